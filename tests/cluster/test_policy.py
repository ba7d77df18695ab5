"""Policy through a cluster: what senders ask for, kinds of messages, what would be, and that it is in force at every node."""
import email
from email.message import EmailMessage

import pytest

from test_mail import ALICE, SECRET, arrives, letter, send

BOB = "bob@partner.example"


@pytest.fixture(scope="module")
def ready(cluster, partner):
    partner.issue("bob", BOB)
    partner.issue("alice", ALICE)
    cluster.ctl("ca", "trust", partner.path("ca.pem"))
    cluster.ctl("cert", "import", partner.path("bob.pem"))
    cluster.ctl("key", "import", partner.path("alice.p12"), "--password-file", partner.path("secret"))
    cluster.ctl("domain", "add", "ours.example", "--locality", "internal")
    cluster.ctl("settings", "set", "encrypt.mode", "request", "--domain", "ours.example")
    cluster.ctl("settings", "set", "encrypt.mode", "none", "--domain", "partner.example", node=2)
    return cluster


def test_what_the_subject_asks_for_is_done_and_taken_out(ready, partner):
    [(_, content)] = arrives(ready, lambda: send(ready, 3, ALICE, [BOB], letter(ALICE, BOB, subject="the plain truth")))
    assert SECRET.encode() in content and b"Subject: the plain truth" in content
    [(_, content)] = arrives(ready, lambda: send(ready, 3, ALICE, [BOB], letter(ALICE, BOB, subject="[Encrypt] für die Bürger")))
    assert SECRET.encode() not in content
    outer = email.message_from_bytes(content, policy=email.policy.default)
    assert outer["Subject"] == "für die Bürger"
    inner = partner.decrypt("bob", content)
    assert SECRET.encode() in inner and b"ncrypt]" not in inner


def test_what_is_asked_for_and_cannot_be_is_refused(ready):
    import smtplib
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(ready, 2, ALICE, ["nobody@partner.example"], letter(ALICE, "nobody@partner.example", subject="[encrypt] x"))
    text = refused.value.smtp_error.decode()
    assert refused.value.smtp_code == 550 and "nobody@partner.example" in text and "[encrypt] in the subject" in text


def test_a_field_asks_as_well(ready, partner):
    message = letter(ALICE, BOB, Sensitivity="Company-Confidential")
    [(_, content)] = arrives(ready, lambda: send(ready, 1, ALICE, [BOB], message))
    assert SECRET.encode() not in content and SECRET.encode() in partner.decrypt("bob", content)


def test_a_label_asks_as_well(ready, partner):
    ready.ctl("settings", "set", "trigger.label.encrypt", "Secret", "--domain", "ours.example")
    label = "MSIP_Label_77aa_Enabled=true; MSIP_Label_77aa_Name=Secret"
    message = letter(ALICE, BOB).replace(b"Subject:", f"msip_labels: {label}\r\nSubject:".encode(), 1)
    [(_, content)] = arrives(ready, lambda: send(ready, 1, ALICE, [BOB], message))
    assert SECRET.encode() not in content and SECRET.encode() in partner.decrypt("bob", content)
    ready.ctl("settings", "unset", "trigger.label.encrypt", "--domain", "ours.example")


@pytest.mark.parametrize("kind", ["calendar", "report", "auto-reply", "empty", "tnef"])
def test_no_kind_of_message_escapes_what_is_mandatory(ready, kind):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = ALICE, "x@court.example", "x"
    if kind == "calendar":
        message.set_content("BEGIN:VCALENDAR\nEND:VCALENDAR\n", subtype="calendar")
    elif kind == "tnef":
        message.set_content(b"\x78\x9f\x3e\x22", maintype="application", subtype="ms-tnef")
    elif kind == "empty":
        message.set_content("\n")
    else:
        message.set_content("x\n")
        if kind == "auto-reply":
            message["Auto-Submitted"] = "auto-replied"
    content = message.as_bytes(policy=email.policy.SMTP)
    if kind == "report":
        content = (b"From: alice@ours.example\r\nTo: x@court.example\r\nMIME-Version: 1.0\r\n"
                   b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n")
    ready.ctl("settings", "set", "encrypt.mode", "mandatory", "--domain", "court.example")
    for name in ("calendar", "reports", "auto_replies", "empty", "tnef"):
        ready.ctl("settings", "set", f"encrypt.{name}", "plain-if-opportunistic", "--domain", "court.example")
    before = len(ready.sink.messages())
    import smtplib
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(ready, 2, ALICE, ["x@court.example"], content)
    assert refused.value.smtp_code == 550 and b"mandatory (domain court.example)" in refused.value.smtp_error
    assert len(ready.sink.messages()) == before


def explain(cluster, *arguments, node=1):
    return cluster.ctl_json("policy", "explain", "--from", ALICE, "--to", BOB, *arguments, node=node)


def test_explain_says_what_would_be(ready):
    now = explain(ready)["recipients"][0]
    assert now["protection"] == []
    asked = explain(ready, "--subject", "[encrypt] offer")
    assert asked["recipients"][0]["protection"] == ["encrypt", "sign"] or asked["recipients"][0]["protection"] == ["sign", "encrypt"]
    assert asked["subject"] == "offer" and asked["recipients"][0]["method"] == "smime"
    with_header = explain(ready, "--header", "Sensitivity: company-confidential")["recipients"][0]
    assert "encrypt" in with_header["protection"]
    supposed = explain(ready, "--with", "partner.example:encrypt.mode=mandatory")
    assert "encrypt" in supposed["recipients"][0]["protection"]
    mode = [s for s in supposed["trace"]["recipients"][0]["settings"] if s["name"] == "encrypt.mode"]
    assert mode == [{"name": "encrypt.mode", "of": "recipient", "value": "mandatory", "level": "domain", "scope": "partner.example", "proposed": True}]
    later = explain(ready, "--with", "partner.example:encrypt.mode=mandatory", "--at", "2040-01-01")["recipients"][0]
    assert later["status"] == "NO_KEY" and "expired" in later["reason"]


def test_explain_tells_what_is_wrong_with_a_question(ready):
    for arguments, words in (
        (("--with", "encrypt.mod=none"), ["encrypt.mode"]),
        (("--with", "encrypt.mode"), ["partner.example:encrypt.mode=mandatory"]),
        (("--with", "encrypt.mode=sometimes"), ["sometimes", "mandatory"]),
        (("--at", "tomorrow"), ["2026-11-24"]),
        (("--header", "no field"), ["Sensitivity"]),
    ):
        result = ready.ctl("policy", "explain", "--from", ALICE, "--to", BOB, *arguments, code=None)
        assert result.returncode != 0 and all(w in result.stderr for w in words), result.stderr


def test_an_expression_that_is_wrong_is_not_taken(ready):
    result = ready.ctl("settings", "set", "trigger.subject.encrypt", "/(open/", code=None)
    assert result.returncode != 0 and "is wrong at its byte" in result.stderr
    assert "[encrypt]" in ready.ctl("settings", "get", "trigger.subject.encrypt").stdout


def test_a_catastrophic_expression_fails_closed(ready):
    ready.ctl("settings", "set", "trigger.subject.encrypt", "/(a+)+$/", "--user", "slow@ours.example")
    import smtplib
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(ready, 3, "slow@ours.example", [BOB], letter("slow@ours.example", BOB, subject="a" * 300 + "!"))
    assert b"too long" in refused.value.smtp_error
