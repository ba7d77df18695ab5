"""Mail through three nodes: what is protected, how, for whom, and what is refused."""
import email
import smtplib
from email.message import EmailMessage

import pytest

from partner import crlf

SECRET = "the patient's name is Ada"
ALICE = "alice@ours.example"


def letter(sender, to, text=SECRET, subject="A letter", **headers):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text + "\n")
    return message.as_bytes(policy=email.policy.SMTP)


def send(cluster, node, sender, recipients, content):
    with smtplib.SMTP("127.0.0.1", cluster.smtp_port(node), timeout=60) as session:
        return session.sendmail(sender, recipients, content)


def arrives(cluster, content_or_send, count=1):
    before = len(cluster.sink.messages())
    content_or_send()
    return cluster.sink.wait(before + count)[before:]


@pytest.fixture(scope="module")
def ready(cluster, partner):
    for name, address, options in (
        ("bob", "bob@partner.example", {}),
        ("carol", "carol@partner.example", {"gcm": True}),
        ("dave", "dave@partner.example", {"ec": True, "gcm": True}),
        ("old", "old@partner.example", {"not_after": "20210101000000Z"}),
        ("alice", ALICE, {}),
    ):
        partner.issue(name, address, **options)
    cluster.ctl("ca", "trust", partner.path("ca.pem"), node=1)
    for name in ("bob", "carol", "dave", "old"):
        cluster.ctl("cert", "import", partner.path(f"{name}.pem"), node=2)
    cluster.ctl("key", "import", partner.path("alice.p12"), "--password-file", partner.path("secret"), node=3)
    cluster.ctl("domain", "add", "ours.example", "--locality", "internal", node=1)
    cluster.ctl("settings", "set", "encrypt.mode", "mandatory", "--domain", "court.example", node=3)
    return cluster


def test_mail_to_a_stranger_passes(ready):
    [(envelope, content)] = arrives(ready, lambda: send(ready, 1, "x@else.example", ["y@nowhere.example"], letter("x@else.example", "y@nowhere.example")))
    assert envelope["recipients"] == ["y@nowhere.example"]
    assert SECRET.encode() in content and content.startswith(b"Received: ")


def test_mail_to_a_partner_is_signed_and_encrypted(ready, partner):
    [(_, content)] = arrives(ready, lambda: send(ready, 2, ALICE, ["bob@partner.example"], letter(ALICE, "bob@partner.example")))
    assert SECRET.encode() not in content
    inner = partner.decrypt("bob", content)
    assert SECRET.encode() in inner and partner.verifies(inner)
    assert "aes-256-cbc" in partner.structure(content)


@pytest.mark.parametrize("name", ["carol", "dave"])
def test_gcm_when_the_certificate_announces_it(ready, partner, name):
    to = f"{name}@partner.example"
    [(_, content)] = arrives(ready, lambda: send(ready, 3, ALICE, [to], letter(ALICE, to)))
    assert "aes-256-gcm" in partner.structure(content)
    assert SECRET.encode() in partner.decrypt(name, content)


def test_each_recipient_gets_what_she_can_read(ready, partner):
    to = ["bob@partner.example", "carol@partner.example", "y@nowhere.example"]
    came = arrives(ready, lambda: send(ready, 1, ALICE, to, letter(ALICE, ", ".join(to))), count=2)
    by_recipient = {r: content for envelope, content in came for r in envelope["recipients"]}
    assert sorted(by_recipient) == sorted(to)
    assert SECRET.encode() in by_recipient["y@nowhere.example"]
    for name in ("bob", "carol"):
        assert SECRET.encode() in partner.decrypt(name, by_recipient[f"{name}@partner.example"])


def test_a_hidden_recipient_shows_nowhere(ready, partner):
    to, bcc = "bob@partner.example", "carol@partner.example"
    came = arrives(ready, lambda: send(ready, 1, ALICE, [to, bcc], letter(ALICE, to)), count=2)
    for envelope, content in came:
        assert len(envelope["recipients"]) == 1
        assert partner.structure(content).count("d.ktri") + partner.structure(content).count("issuerAndSerialNumber") == 2  # one recipient info
        assert b"carol" not in content


@pytest.mark.parametrize("node", [1, 2, 3])
def test_mandatory_without_a_key_is_refused_in_the_session(ready, node):
    before = len(ready.sink.messages())
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(ready, node, ALICE, ["judge@court.example", "bob@partner.example"], letter(ALICE, "judge@court.example"))
    text = refused.value.smtp_error.decode()
    assert refused.value.smtp_code == 550 and "5.7." in text
    assert "judge@court.example" in text and "mandatory" in text
    assert len(ready.sink.messages()) == before, "it goes to nobody, also not to those who could have had it"


def test_an_expired_certificate_is_named(ready):
    ready.ctl("settings", "set", "encrypt.mode", "mandatory", "--user", "old@partner.example")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(ready, 1, ALICE, ["old@partner.example"], letter(ALICE, "old@partner.example"))
    assert "expired" in refused.value.smtp_error.decode()


def incoming(partner, opaque=False, sign=True, encrypt=True, sender="bob@partner.example", signer="bob", text="See you in court."):
    entity = f"Content-Type: text/plain\r\n\r\n{text}\r\n".encode()
    if sign:
        entity = partner.sign(signer, entity, opaque)
    if encrypt:
        entity = partner.encrypt(["alice"], entity)
    head = f"From: {sender}\r\nTo: {ALICE}\r\nSubject: Answer\r\nX-Sealpost-Signature: valid; signer=mallory@evil.example\r\nX-SEALPOST-Else: 1\r\n"
    return head.encode() + crlf(entity)


def test_an_answer_arrives_decrypted_with_its_verdict(ready, partner):
    [(_, content)] = arrives(ready, lambda: send(ready, 3, "bob@partner.example", [ALICE], incoming(partner)))
    parsed = email.message_from_bytes(content)
    assert b"See you in court." in content and b"mallory" not in content and b"X-SEALPOST-Else" not in content
    marks = parsed.get_all("X-Sealpost-Signature")
    assert len(marks) == 1 and marks[0].startswith("valid; signer=bob@partner.example; protocol=smime; algorithm=")
    assert parsed["X-Sealpost-Encryption"].startswith("decrypted; protocol=smime; cipher=aes256-cbc")


def test_a_signature_of_another_is_a_mismatch(ready, partner):
    [(_, content)] = arrives(ready, lambda: send(ready, 1, "x@evil.example", [ALICE], incoming(partner, sender="ceo@partner.example")))
    assert email.message_from_bytes(content)["X-Sealpost-Signature"].startswith("mismatch")


def test_a_changed_message_is_invalid(ready, partner):
    changed = incoming(partner, encrypt=False).replace(b"in court", b"on golf")
    [(_, content)] = arrives(ready, lambda: send(ready, 2, "bob@partner.example", [ALICE], changed))
    assert email.message_from_bytes(content)["X-Sealpost-Signature"].startswith("invalid")


def test_what_is_not_for_our_keys_stays_closed(ready, partner):
    entity = partner.encrypt(["bob"], b"Content-Type: text/plain\r\n\r\nnot for alice\r\n")
    content = f"From: bob@partner.example\r\nTo: {ALICE}\r\n".encode() + crlf(entity)
    [(_, came)] = arrives(ready, lambda: send(ready, 1, "bob@partner.example", [ALICE], content))
    assert email.message_from_bytes(came)["X-Sealpost-Encryption"].startswith("failed")
    assert b"not for alice" not in came


def test_settings_inherit_and_explain_says_so(ready):
    ready.ctl("settings", "set", "encrypt.mode", "none", "--domain", "*.loose.example")
    ready.ctl("settings", "set", "encrypt.mode", "mandatory", "--user", "chef@a.loose.example", node=2)
    shown = ready.ctl("policy", "explain", "--from", ALICE, "--to", "x@a.loose.example", "--to", "chef@a.loose.example", node=3).stdout
    assert "*.loose.example" in shown and "mandatory" in shown and "chef@a.loose.example" in shown
    answer = ready.api("POST", "/v1/policy/explain", {"from": ALICE, "to": ["bob@partner.example"]}, node=2)
    assert answer.status == 200 and b"encrypt.mode" in answer.body


def test_mail_among_our_own_is_encrypted_where_wanted(ready, partner):
    """encrypt.internal: signed and encrypted when it comes from our own servers, passed on as ever when it does not."""
    ann = "ann@ours.example"
    partner.issue("ann", ann)
    ready.ctl("cert", "import", partner.path("ann.pem"))
    ready.ctl("settings", "set", "encrypt.internal", "yes", "--user", ann, node=2)
    [(_, content)] = arrives(ready, lambda: send(ready, 3, ALICE, [ann], letter(ALICE, ann)))
    assert SECRET.encode() in content
    ready.ctl("settings", "set", "encrypt.internal_from", "127.0.0.0/8")
    [(_, content)] = arrives(ready, lambda: send(ready, 3, ALICE, [ann], letter(ALICE, ann)))
    assert SECRET.encode() not in content
    inner = partner.decrypt("ann", content)
    assert SECRET.encode() in inner and partner.verifies(inner)
    ready.ctl("settings", "unset", "encrypt.internal_from")
    ready.ctl("settings", "unset", "encrypt.internal", "--user", ann)


def test_strangers_are_not_sent_on(ready):
    stranger, outside = "x@else.example", "y@nowhere.example"
    ready.ctl("settings", "set", "relay.unknown_sender", "refuse", node=2)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(ready, 1, stranger, [outside], letter(stranger, outside))
    assert refused.value.smtp_code == 550 and b"relay.unknown_sender" in refused.value.smtp_error
    [(envelope, _)] = arrives(ready, lambda: send(ready, 1, stranger, [ALICE], letter(stranger, ALICE)))
    assert envelope["recipients"] == [ALICE]
    [(envelope, _)] = arrives(ready, lambda: send(ready, 1, ALICE, [outside], letter(stranger, outside)))  # forwarded
    assert envelope["recipients"] == [outside]
    ready.ctl("settings", "set", "relay.unknown_sender", "pass")


def test_all_nodes_hold_the_same_tables(ready):
    for node in (1, 2, 3):
        ready.verify(node)
