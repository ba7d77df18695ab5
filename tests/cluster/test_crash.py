"""SIGKILL of a random role or a whole node, again and again, under a steady flow of numbered messages: the far end has every number that was answered 250,
and none in plain text. SEALPOST_CRASH_SEED repeats a run, SEALPOST_CRASHES makes it longer."""
import email
import os
import random
import re
import signal
import smtplib
import threading
import time
from email.message import EmailMessage

SECRET = "CRASH-TEST-PLAIN-TEXT"
CRASHES = int(os.environ.get("SEALPOST_CRASHES", "50"))
ROLES = ["core", "smtp", "worker-1", "worker-2", "api", "node"]


def test_fifty_kills_lose_nothing(make_cluster, partner):
    seed = int(os.environ.get("SEALPOST_CRASH_SEED", random.randrange(1 << 30)))
    print(f"SEALPOST_CRASH_SEED={seed}")
    dice = random.Random(seed)
    cluster = make_cluster(3)
    partner.issue("bob", "bob@partner.example")
    cluster.ctl("ca", "trust", partner.path("ca.pem"))
    cluster.ctl("cert", "import", partner.path("bob.pem"))
    cluster.ctl("settings", "set", "encrypt.mode", "mandatory", "--domain", "partner.example")
    cluster.ctl("settings", "set", "delivery.retry", "1s,2s")
    accepted, refused, lock, stop, counter = set(), [], threading.Lock(), threading.Event(), iter(range(1 << 30))

    def flow():
        while not stop.is_set():
            with lock:
                number = next(counter)
            message = EmailMessage()
            message["From"], message["To"], message["Subject"] = "a@b.example", "bob@partner.example", f"number {number}"
            message.set_content(f"{SECRET} {number}\n" + "x" * 70 + "\n")
            node = number % 3 + 1
            try:
                with smtplib.SMTP("127.0.0.1", cluster.smtp_port(node), timeout=15) as session:
                    session.sendmail("a@b.example", ["bob@partner.example"], message.as_bytes(policy=email.policy.SMTP))
                with lock:
                    accepted.add(number)
            except smtplib.SMTPDataError as error:
                if error.smtp_code >= 500:
                    refused.append(f"node{node}: {error.smtp_code} {error.smtp_error}")
            except (OSError, smtplib.SMTPException):
                time.sleep(0.05)  # the node is down: a mail server would try another or later
            time.sleep(0.01)

    threads = [threading.Thread(target=flow) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        down = None
        for _ in range(CRASHES):
            time.sleep(dice.uniform(0.2, 0.9))
            role, node = dice.choice(ROLES), dice.randrange(1, 4)
            if role == "node" and down is None:
                cluster.local("kill", node)
                down = node
            elif role != "node" and node != down:
                try:
                    os.kill(cluster.role_pid(node, role), signal.SIGKILL)
                except (OSError, ValueError):
                    pass  # it is between two lives
            if down is not None and dice.random() < 0.5:
                cluster.local("start", down)
                down = None
        if down is not None:
            cluster.local("start", down)
        time.sleep(1)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for node in (1, 2, 3):
        cluster.ready(node, seconds=60)
    for node in (1, 2, 3):
        cluster.ctl("queue", "retry", node=node, code=None)
    arrived, end = set(), time.monotonic() + 90
    while time.monotonic() < end:
        came = cluster.sink.messages()
        arrived = {int(re.search(rb"^Subject: number (\d+)", content, re.M).group(1)) for _, content in came}
        if accepted <= arrived:
            break
        time.sleep(0.5)
    print(f"{len(accepted)} accepted, {len(came)} arrived, {len(came) - len(arrived)} of them twice")
    assert not refused, refused[:3]
    assert accepted <= arrived, f"lost: {sorted(accepted - arrived)[:20]}"
    assert len(accepted) > 50
    assert not any(SECRET.encode() in content for _, content in came)
    cluster.verify(1)
