#!/usr/bin/python3
"""The story that deploy/quickstart tells. Everything on the outside is other people's software: mail is sent with Python's smtplib, keys are made and mail
is opened with OpenSSL's own tool; the far end is deploy/mail_sink.py, which only receives."""
import email
import email.policy
import json
import os
import shutil
import signal
import smtplib
import subprocess
import sys
import threading
import time
from email.message import EmailMessage

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, HERE)
from mail_sink import Sink  # noqa: E402

DIR = os.path.realpath(os.environ["SEALPOST_QUICKSTART_DIR"])
CLUSTER = os.path.join(DIR, "cluster")
INBOX = os.path.join(DIR, "far-end")
BASE_PORT, SINK_PORT = int(os.environ.get("SEALPOST_QUICKSTART_PORT", "24000")), int(os.environ.get("SEALPOST_QUICKSTART_PORT", "24000")) + 99
BIN = os.environ.get("SEALPOST_BIN") or os.path.join(ROOT, "build", "bin")
ME, PARTNER, SECRET = "alice@ours.example", "bob@partner.example", "The merger closes on Friday."
MESSAGES = 200
faults = []


def told(good, what):
    """One observation: a line of the story, and a fault if it is not as told."""
    print(f"   {'✓' if good else '✗'} {what}")
    if not good:
        faults.append(what)
    return good


def chapter(number, text):
    print(f"\n{number}. {text}")


def run(*command, stdin=None, check=True):
    result = subprocess.run(command, input=stdin, capture_output=True, timeout=120)
    if check and result.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:4])} ...: {result.stderr.decode(errors='replace').strip() or result.stdout.decode(errors='replace').strip()}")
    return result


def cluster(*arguments, check=True):
    return run(os.path.join(HERE, "local-cluster"), *arguments[:1], "--dir", CLUSTER, *arguments[1:], check=check)


def smtp_port(node):
    return BASE_PORT + 10 * node + 1


def ctl(node, *arguments, check=True):
    """sealpostctl against one node."""
    environment = dict(os.environ, SEALPOST_ENDPOINT=f"https://127.0.0.1:{BASE_PORT + 10 * node + 3}", SEALPOST_CACERT=os.path.join(CLUSTER, "ca.pem"),
                       SEALPOST_TOKEN=open(os.path.join(CLUSTER, "admin.token")).read().strip())
    result = subprocess.run([os.path.join(BIN, "sealpostctl"), *arguments], env=environment, capture_output=True, text=True, timeout=60)
    if check and result.returncode != 0:
        raise RuntimeError(f"sealpostctl {' '.join(arguments)}: {result.stderr.strip()}")
    return result


def send(node, sender, recipients, message, timeout=60):
    with smtplib.SMTP("127.0.0.1", smtp_port(node), timeout=timeout) as session:
        session.sendmail(sender, recipients, message if isinstance(message, bytes) else message.as_bytes(policy=email.policy.SMTP))


def openssl(*arguments, stdin=None):
    return run("openssl", *arguments, stdin=stdin).stdout


def make_partner(folder):
    """A CA of the partner's own, and certificates for bob (his) and for alice (ours): with OpenSSL's tool alone."""
    os.makedirs(folder, exist_ok=True)
    path = lambda name: os.path.join(folder, name)  # noqa: E731
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=Partner CA", "-keyout", path("ca.key"), "-out", path("ca.pem"),
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    for name, address in (("bob", PARTNER), ("alice", ME)):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", path(f"{name}.key"), "-out", path(f"{name}.csr"))
        with open(path(f"{name}.ext"), "w") as extensions:
            extensions.write(f"subjectAltName=email:{address}\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=emailProtection\n")
        openssl("x509", "-req", "-in", path(f"{name}.csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-CAcreateserial", "-days", "365",
                "-extfile", path(f"{name}.ext"), "-out", path(f"{name}.pem"))
    with open(path("alice.p12.password"), "w") as password:
        password.write("quickstart\n")
    openssl("pkcs12", "-export", "-in", path("alice.pem"), "-inkey", path("alice.key"), "-certfile", path("ca.pem"), "-passout", "pass:quickstart",
            "-out", path("alice.p12"))
    return path


def partner_key(path):
    chapter(2, "The partner's keys, made with OpenSSL's own tool, go in through node 1.")
    ctl(1, "ca", "trust", path("ca.pem"))
    ctl(1, "cert", "import", path("bob.pem"))
    ctl(1, "key", "import", path("alice.p12"), "--password-file", path("alice.p12.password"))
    ctl(1, "domain", "add", "ours.example", "--locality", "internal")
    told(PARTNER in ctl(2, "cert", "list").stdout, "node 2 knows bob's certificate, which went in through node 1")


def outgoing(sink, path):
    chapter(3, f"alice writes to bob, with an attachment, through node 2. She has {len(SECRET)} characters to hide.")
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = ME, PARTNER, "Friday"
    message.set_content(SECRET + "\n")
    message.add_attachment(b"%PDF-1.7 the contract", maintype="application", subtype="pdf", filename="contract.pdf")
    before = len(sink.messages())
    send(2, ME, [PARTNER], message)
    envelope, content = sink.wait(before + 1)[before]
    told(SECRET.encode() not in content and b"pkcs7-mime" in content, "what reached the far end is S/MIME; her words are not in it")
    plain = openssl("cms", "-decrypt", "-inkey", path("bob.key"), "-recip", path("bob.pem"), stdin=content)
    told(SECRET.encode() in plain, "`openssl cms -decrypt` with bob's key opens it")
    verified = run("openssl", "cms", "-verify", "-CAfile", path("ca.pem"), "-purpose", "any", stdin=plain, check=False)
    told(verified.returncode == 0, "and `openssl cms -verify` confirms alice's signature inside")
    told(b"contract.pdf" in plain, "the attachment is there")


def incoming(sink, path):
    chapter(4, "bob answers, signed and encrypted by OpenSSL; his answer comes in through node 3.")
    reply = f"Content-Type: text/plain; charset=us-ascii\r\n\r\nFriday it is.\r\n".encode()
    signed = openssl("cms", "-sign", "-signer", path("bob.pem"), "-inkey", path("bob.key"), "-md", "sha256", stdin=reply)
    sealed = openssl("cms", "-encrypt", "-aes256", path("alice.pem"), stdin=signed)
    head = f"From: {PARTNER}\r\nTo: {ME}\r\nSubject: Re: Friday\r\nX-Sealpost-Signature: valid; signer=mallory@evil.example; protocol=smime\r\n".encode()
    before = len(sink.messages())
    send(3, PARTNER, [ME], head + sealed.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    content = sink.wait(before + 1)[before][1]
    parsed = email.message_from_bytes(content)
    told(b"Friday it is." in content, "it arrives decrypted")
    told((parsed["X-Sealpost-Signature"] or "").startswith(f"valid; signer={PARTNER}"), f"X-Sealpost-Signature: {parsed['X-Sealpost-Signature']}")
    told((parsed["X-Sealpost-Encryption"] or "").startswith("decrypted"), f"X-Sealpost-Encryption: {parsed['X-Sealpost-Encryption']}")
    told(b"mallory" not in content, "the verdict that somebody had forged into it is gone")


def refusal(sink):
    chapter(5, "Mail to court.example must be encrypted, and there is no key for judge@court.example.")
    ctl(1, "settings", "set", "encrypt.mode", "mandatory", "--domain", "court.example")
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = ME, "judge@court.example", "The file"
    message.set_content("Nobody else may read this.\n")
    before = len(sink.messages())
    reply = None
    try:
        send(3, ME, ["judge@court.example"], message)
    except smtplib.SMTPDataError as error:
        reply = f"{error.smtp_code} {error.smtp_error.decode(errors='replace')}"
    except smtplib.SMTPRecipientsRefused as error:
        reply = " ".join(f"{code} {text.decode(errors='replace')}" for code, text in error.recipients.values())
    told(reply is not None and reply.startswith("550") and "judge@court.example" in reply, f"node 3 refuses it in the session: {reply!r}")
    told(len(sink.messages()) == before, "and it went to nobody")


def leader():
    for node in (1, 2, 3):
        result = ctl(node, "cluster", "status", "-o", "json", check=False)
        if result.returncode == 0 and json.loads(result.stdout).get("leader"):
            return json.loads(result.stdout)["leader"]
    return None


def send_one(number, accepted, lock):
    """Sends message `number` to whichever node takes it, as a mail server with three smart hosts does."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = ME, PARTNER, f"number {number}"
    message.set_content(f"{SECRET} number {number}\n")
    end = time.monotonic() + 90
    while time.monotonic() < end:
        for node in ((number + i) % 3 + 1 for i in range(3)):
            try:
                send(node, ME, [PARTNER], message, timeout=20)
                with lock:
                    accepted.append(number)
                return
            except (OSError, smtplib.SMTPException):
                continue
        time.sleep(0.2)


def leader_dies(sink):
    name = leader()
    chapter(6, f"{MESSAGES} messages go out while the leader, {name}, is killed with SIGKILL in the middle.")
    before, accepted, lock, numbers = len(sink.messages()), [], threading.Lock(), iter(range(MESSAGES))

    def work():
        for number in numbers_locked():
            send_one(number, accepted, lock)

    def numbers_locked():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            yield number

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    while len(accepted) < MESSAGES // 4 and any(thread.is_alive() for thread in threads):
        time.sleep(0.01)
    cluster("kill", name.removeprefix("node"))
    killed = time.monotonic()
    new = None
    while new in (None, name) and time.monotonic() < killed + 30:
        new = leader()
        time.sleep(0.05)
    told(new not in (None, name), f"{new} leads, {time.monotonic() - killed:.1f} s after the kill")
    for thread in threads:
        thread.join()
    told(len(accepted) == MESSAGES, f"{len(accepted)} of {MESSAGES} were answered with 250")
    cluster("start", "--wait", name.removeprefix("node"))  # what it had accepted is in its spool
    found = set()
    end = time.monotonic() + 60
    while time.monotonic() < end and len(found) < MESSAGES:
        found = {email.message_from_bytes(content)["Subject"] for _, content in sink.messages()[before:]}
        time.sleep(0.2)
    came = sink.messages()[before:]
    told(len(found) == MESSAGES, f"{len(found)} different messages arrived" + (f" ({len(came) - len(found)} of them twice)" if len(came) > len(found) else ""))
    told(not any(SECRET.encode() in content for _, content in came), "none of them in plain text")
    told(ctl(1, "cluster", "verify", check=False).returncode == 0, "`sealpostctl cluster verify`: the tables of all nodes are equal")


def down():
    if os.path.isdir(CLUSTER):
        cluster("down", check=False)
    try:
        with open(os.path.join(DIR, "sink.pid")) as file:
            os.kill(int(file.read()), signal.SIGTERM)
    except (OSError, ValueError):
        pass
    shutil.rmtree(DIR, ignore_errors=True)


def leave_running():
    """The far end goes on as a process of its own, so that the cluster can be played with."""
    process = subprocess.Popen([sys.executable, os.path.join(HERE, "mail_sink.py"), "--listen", f"127.0.0.1:{SINK_PORT}", "--dir", INBOX + "-later"],
                               start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(os.path.join(DIR, "sink.pid"), "w") as file:
        file.write(str(process.pid))
    print(f"""
The cluster is left running. To go on with it:
   export SEALPOST_ENDPOINT=https://127.0.0.1:{BASE_PORT + 13} SEALPOST_CACERT={CLUSTER}/ca.pem SEALPOST_TOKEN=$(cat {CLUSTER}/admin.token)
   {os.path.relpath(BIN)}/sealpostctl cluster status
   {os.path.relpath(BIN)}/sealpostctl policy explain --from {ME} --to {PARTNER} --to judge@court.example
   send mail to 127.0.0.1:{smtp_port(1)}, {smtp_port(2)} or {smtp_port(3)}; what leaves is in {INBOX}-later
   deploy/local-cluster kill --dir {CLUSTER} 1        deploy/quickstart --down ends it all""")


def main():
    if sys.argv[1:] == ["--down"]:
        down()
        print("The quickstart's cluster is down and its folder is gone.")
        return 0
    down()
    os.makedirs(DIR)
    sink = Sink(("127.0.0.1", SINK_PORT), INBOX).start()
    try:
        chapter(1, "Three nodes start on loopback; the second and third join with a token each.")
        began = time.monotonic()
        cluster("up", "--nodes", "3", "--base-port", str(BASE_PORT), "--next-hop", f"127.0.0.1:{SINK_PORT}")
        told(True, f"up in {time.monotonic() - began:.1f} s; the leader is {leader()}")
        path = make_partner(os.path.join(DIR, "partner"))
        partner_key(path)
        outgoing(sink, path)
        incoming(sink, path)
        refusal(sink)
        leader_dies(sink)
    except (RuntimeError, AssertionError, OSError, subprocess.SubprocessError, smtplib.SMTPException) as error:
        told(False, f"it went no further: {error}")
    finally:
        sink.stop()
    if faults:
        print(f"\n{len(faults)} things were not as told:", *faults, sep="\n   ")
    if os.path.isdir(CLUSTER):
        leave_running()
    return 1 if faults and "--check" in sys.argv else 0


sys.exit(main())
