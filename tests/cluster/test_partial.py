"""A message that policy refuses for some of its recipients: for all, or split; over LMTP each has a reply of its own."""
import email
import smtplib
import subprocess
import time
from email.message import EmailMessage

import pytest

OURS, GOOD, BAD = "alice@ours.example", "y@nowhere.example", "judge@court.example"
SECRET = "the secret subject"


def letter(to, sender=OURS):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, SECRET
    message.set_content("nothing to see\n")
    return message.as_bytes(policy=email.policy.SMTP)


def prepare(cluster):
    cluster.ctl("domain", "add", "ours.example", "--locality", "internal")
    cluster.ctl("settings", "set", "encrypt.mode", "mandatory", "--domain", "court.example")
    return cluster


def lmtp_port(cluster):
    return cluster.base + 12


@pytest.fixture(scope="module")
def node():
    from conftest import running
    with running(1, start=False) as cluster:
        cluster.environment["SEALPOST_SMTP_LMTP_LISTEN"] = f"127.0.0.1:{lmtp_port(cluster)}"
        yield prepare(cluster.up())


@pytest.fixture
def split(node):
    node.ctl("settings", "set", "partial.recipients", "split", "--domain", "ours.example")
    yield node
    node.ctl("settings", "set", "partial.recipients", "refuse-all", "--domain", "ours.example")


def send(cluster, to, sender=OURS):
    """The last reply, as text."""
    with smtplib.SMTP("127.0.0.1", cluster.smtp_port(), timeout=60) as session:
        session.helo() if not session.ehlo() else None
        session.mail(sender)
        for recipient in to:
            session.rcpt(recipient)
        code, text = session.data(letter(", ".join(to)))
        return code, text.decode()


def queue_is_empty(cluster, seconds=15):
    end = time.monotonic() + seconds
    while cluster.ctl_json("queue", "list")["items"]:
        assert time.monotonic() < end, cluster.ctl("queue", "list").stdout
        time.sleep(0.1)


def the_two(messages):
    """The message and the notification about it."""
    assert len(messages) == 2, [m[0] for m in messages]
    [report] = [m for m in messages if m[0]["sender"] == ""]
    [letter_] = [m for m in messages if m[0]["sender"] != ""]
    return letter_, report


def check_report(report):
    envelope, content = report
    assert envelope["recipients"] == [OURS]
    parsed = email.message_from_bytes(content)
    assert parsed.get_content_type() == "multipart/report"
    text = content.decode()
    assert f"Final-Recipient: rfc822; {BAD}" in text and "Status: 5.7." in text and "encryption is mandatory" in text
    assert SECRET not in text and "nothing to see" not in text
    assert "Message-ID:" in text and parsed["Auto-Submitted"] == "auto-replied"
    assert GOOD not in parsed.get_payload(0).as_string()


def test_refuse_all_is_the_default(node):
    before = len(node.sink.messages())
    code, text = send(node, [GOOD, BAD])
    assert code == 550 and BAD in text and GOOD not in text
    time.sleep(0.5)
    assert len(node.sink.messages()) == before


def test_split_serves_one_and_tells_of_the_other(split):
    before = len(split.sink.messages())
    code, text = send(split, [GOOD, BAD])
    assert code == 250 and "1 of 2 recipients refused" in text
    came, report = the_two(split.sink.wait(before + 2)[before:])
    assert came[0]["recipients"] == [GOOD]
    check_report(report)
    queue_is_empty(split)
    assert len(split.sink.messages()) == before + 2, "one notification"


def test_the_null_sender_is_never_split(split):
    before = len(split.sink.messages())
    code, _ = send(split, [GOOD, BAD], sender="")
    assert code == 550
    time.sleep(0.5)
    assert len(split.sink.messages()) == before


def test_all_refused_is_a_refusal(split):
    code, text = send(split, [BAD, "clerk@court.example"])
    assert code == 550 and BAD in text and "clerk@court.example" in text


def test_a_sender_who_cannot_be_told_is_not_split(split):
    """A notification to court.example would have to be encrypted, and cannot be."""
    split.ctl("settings", "set", "partial.recipients", "split", "--domain", "court.example")
    with smtplib.SMTP("127.0.0.1", split.smtp_port(), timeout=60) as session:
        session.ehlo()
        session.mail("sender@court.example")
        session.rcpt(GOOD)
        session.rcpt(BAD)
        code, _ = session.data(letter(GOOD, "sender@court.example"))
    assert code == 550


def test_both_or_none_after_a_kill(make_cluster):
    """smtp is killed again and again while messages come: whatever was acknowledged ends as one delivery and one notification."""
    cluster = prepare(make_cluster(1))
    cluster.ctl("settings", "set", "partial.recipients", "split", "--domain", "ours.example")
    cluster.ctl("settings", "set", "encrypt.notify_sender", "always", "--domain", "ours.example")
    acknowledged = []
    for round_ in range(4):
        with smtplib.SMTP("127.0.0.1", cluster.smtp_port(), timeout=60) as session:
            session.ehlo()
            for i in range(5):
                session.mail(OURS)
                session.rcpt(f"{round_}-{i}@nowhere.example")
                session.rcpt(f"{round_}-{i}@court.example")
                code, _ = session.data(letter(GOOD))
                assert code == 250
                acknowledged.append(f"{round_}-{i}")
            cluster.kill_role(1, "smtp")
        cluster.ready()
    delivered, told, notices = set(), set(), {}
    end = time.monotonic() + 60
    while time.monotonic() < end and not (delivered >= set(acknowledged) and told >= set(acknowledged) and set(notices) >= set(acknowledged)):
        time.sleep(0.3)
        for envelope, content in cluster.sink.messages():
            if envelope["sender"]:
                delivered |= {r.split("@")[0] for r in envelope["recipients"]}
            elif b"Subject: How your message was protected" in content:
                [name] = [name for name in acknowledged if f"<{name}@nowhere.example>".encode() in content]
                notices.setdefault(name, set()).add(email.message_from_bytes(content)["Message-ID"])
            else:
                told |= {name for name in acknowledged if f"rfc822; {name}@court.example".encode() in content}
    assert delivered == set(acknowledged)
    assert told == set(acknowledged)
    assert {name: len(ids) for name, ids in notices.items()} == {name: 1 for name in acknowledged}, "one notice each"


def test_what_cannot_be_encrypted_waits_for_a_certificate(node, partner):
    """encrypt.on_failure=quarantine: kept as it came, for all, and decided anew when it is released."""
    node.ctl("settings", "set", "encrypt.on_failure", "quarantine", "--domain", "ours.example")
    try:
        before = len(node.sink.messages())
        code, text = send(node, [GOOD, BAD])
        assert code == 250 and "held until an administrator releases it" in text
        id_ = text.split("queued as ")[1].split(";")[0]
        [(envelope, notice)] = node.sink.wait(before + 1)[before:]
        assert envelope["sender"] == "" and envelope["recipients"] == [OURS] and b"Subject: Your message is held" in notice
        assert SECRET.encode() not in notice and b"nothing to see" not in notice and f"<{BAD}>".encode() in notice
        before += 1
        end = time.monotonic() + 20
        while (entry := node.ctl_json("queue", "show", id_))["state"] != "quarantined":
            assert time.monotonic() < end, entry
            time.sleep(0.1)
        assert entry["state"] == "quarantined" and "encryption is mandatory" in entry["recipients"][0]["last_reply"]
        node.ctl("queue", "release", id_)
        end = time.monotonic() + 20
        while len((events := node.ctl_json("message", "trace", id_)["events"])) < 2:
            assert time.monotonic() < end, events
            time.sleep(0.1)
        assert events[0]["event"] == "notified"
        assert events[1]["event"] == "quarantined" and "550 5.7.5" in events[1]["text"]
        assert len(node.sink.messages()) == before
        partner.issue("judge", BAD)
        node.ctl("ca", "trust", partner.path("ca.pem"))
        node.ctl("cert", "import", partner.path("judge.pem"))
        node.ctl("queue", "release", id_)
        came = {envelope["recipients"][0]: content for envelope, content in node.sink.wait(before + 2)[before:]}
        assert set(came) == {GOOD, BAD}
        assert b"nothing to see" not in came[BAD] and b"nothing to see" in partner.decrypt("judge", came[BAD])
        queue_is_empty(node)
    finally:
        node.ctl("settings", "unset", "encrypt.on_failure", "--domain", "ours.example")
        for certificate in node.ctl_json("cert", "list", "--address", BAD)["items"]:
            node.ctl("cert", "remove", certificate["thumbprint"])


# --- LMTP, with clients that we did not write ---


def test_lmtp_of_python(node):
    before = len(node.sink.messages())
    with smtplib.LMTP("127.0.0.1", lmtp_port(node), timeout=60) as session:
        session.ehlo()  # LHLO
        session.mail(OURS)
        for recipient in (GOOD, BAD, "z@nowhere.example"):
            assert session.rcpt(recipient)[0] == 250
        codes = [session.data(letter(GOOD))] + [session.getreply() for _ in range(2)]
        assert [code for code, _ in codes] == [250, 550, 250]
        assert BAD.encode() in codes[1][1] and b"mandatory" in codes[1][1]
        assert session.noop()[0] == 250
    came = node.sink.wait(before + 1)[before:]
    assert sorted(came[0][0]["recipients"]) == [GOOD, "z@nowhere.example"]
    queue_is_empty(node)
    assert all(envelope["sender"] for envelope, _ in node.sink.messages()[before:]), "no notification: the client knows"


def test_lmtp_of_postfix(node):
    before = len(node.sink.messages())
    result = subprocess.run(["/usr/sbin/smtp-source", "-L", "-d", "-m", "10", "-s", "2", "-r", "3", "-f", OURS, "-t", "pf@nowhere.example", f"127.0.0.1:{lmtp_port(node)}"],
                            capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    came = node.sink.wait(before + 10)[before:]
    assert len(came) == 10 and all(len(envelope["recipients"]) == 3 for envelope, _ in came)


def test_a_client_that_says_the_wrong_hello(node):
    with smtplib.SMTP("127.0.0.1", lmtp_port(node), timeout=60) as session:
        assert session.ehlo()[0] == 500
    with smtplib.SMTP("127.0.0.1", node.smtp_port(), timeout=60) as session:
        assert session.docmd("LHLO x")[0] == 500


# --- what rules set apart ---


def test_a_rule_puts_one_copy_aside(node):
    node.ctl("policy", "rule-set", "aside", "--when", "recipient held@nowhere.example", "--then", "quarantine")
    try:
        before = len(node.sink.messages())
        code, text = send(node, [GOOD, "held@nowhere.example"])
        assert code == 250
        id_ = text.split("queued as ")[1].split()[0]
        came = node.sink.wait(before + 1)[before:]
        assert [envelope["recipients"] for envelope, _ in came] == [[GOOD]]
        end = time.monotonic() + 10
        while (entry := node.ctl_json("queue", "show", id_))["state"] != "quarantined":
            assert time.monotonic() < end, entry
            time.sleep(0.1)
        [held] = [r for r in entry["recipients"] if r["address"] == "held@nowhere.example"]
        assert held["state"] == "quarantined" and "rule" in held["last_reply"]
        assert node.ctl_json("message", "trace", id_)["state"] == "quarantined"
        assert node.ctl("queue", "retry", id_, code=None).returncode != 0
        node.ctl("queue", "retry")
        time.sleep(0.5)
        assert len(node.sink.messages()) == before + 1
        node.ctl("queue", "release", id_)
        came = node.sink.wait(before + 2)[before:]
        assert came[1][0]["recipients"] == ["held@nowhere.example"]
        queue_is_empty(node)
        events = [e["event"] for e in node.ctl_json("message", "trace", id_)["events"]]
        assert events == ["delivered", "quarantined", "released", "delivered"]
    finally:
        node.ctl("policy", "rule-remove", "aside")


def test_a_rule_chooses_the_next_hop(node, tmp_path):
    from mail_sink import Sink
    other = Sink(("127.0.0.1", 0), str(tmp_path / "other")).start()
    node.ctl("policy", "rule-set", "elsewhere", "--when", "recipient routed@nowhere.example", "--then", f"route 127.0.0.1:{other.port}")
    try:
        before = len(node.sink.messages())
        code, _ = send(node, [GOOD, "routed@nowhere.example"])
        assert code == 250
        assert node.sink.wait(before + 1)[before][0]["recipients"] == [GOOD]
        assert other.wait(1)[0][0]["recipients"] == ["routed@nowhere.example"]
    finally:
        node.ctl("policy", "rule-remove", "elsewhere")
        other.stop()
