"""DKIM from the key to the verifier (dkimpy, which we did not write), and what passes through."""
import base64
import email
import smtplib
import subprocess

import dkim
import pytest

from conftest import running
from test_mail import arrives
from test_mime import without_trace

OURS, ALICE, STRANGER = "ours.example", "alice@ours.example", "y@nowhere.example"


@pytest.fixture(scope="module")
def node():
    with running(1) as made:
        made.ctl("domain", "add", OURS, "--locality", "internal")
        made.ctl("settings", "set", "delivery.idle_timeout", "0s")  # the next hop is asked anew what it can
        yield made


def message(sender, to, *fields, body=b"Hello  there \r\n\r\n"):
    head = (f"From: {sender}", f"To: {to}", "Subject: a test", "Date: Tue, 24 Nov 2026 10:00:00 +0000", f"Message-ID: <1@{OURS}>", *fields)
    return "".join(f"{line}\r\n" for line in head).encode() + b"\r\n" + body


def submit(node, sender, to, content, options=("BODY=8BITMIME",)):
    with smtplib.SMTP("127.0.0.1", node.smtp_port(1), timeout=60) as session:
        session.ehlo()
        session.mail(sender, list(options))
        assert session.rcpt(to)[0] == 250
        code, text = session.data(content)
        assert code == 250, text
        return text.decode().split()[-1]


def sent(node, sender, to, content):
    [(_, came)] = arrives(node, lambda: submit(node, sender, to, content))
    return came


def records(node):
    return {item["name"]: item["record"] for item in node.ctl_json("dkim", "list")["items"]}


def lookup(node):
    known = records(node)
    return lambda name, timeout=5: known.get((name.decode() if isinstance(name, bytes) else name).rstrip("."), "").encode() or None


def signatures(content):
    return [dict((part.strip().split("=", 1) for part in value.replace("\r\n", "").split(";") if "=" in part))
            for value in email.message_from_bytes(content).get_all("DKIM-Signature", [])]


def verdicts(node, content):
    """Of each signature, from the first, by dkimpy."""
    checked = dkim.DKIM(content)
    return [checked.verify(idx=i, dnsfunc=lookup(node)) for i in range(len(signatures(content)))]


def test_a_key_signs_from_when_it_is_activated(node):
    content = message(ALICE, STRANGER)
    made = node.ctl_json("dkim", "create", OURS)
    assert (made["selector"], made["state"], made["algorithm"], made["bits"]) == ("sealpost", "prepared", "rsa-sha256", 2048)
    assert made["record"].startswith("v=DKIM1; k=rsa; p=") and all(len(piece) <= 255 for piece in made["zone"].split('"')[1::2])
    assert "".join(made["zone"].split('"')[1::2]) == made["record"]
    assert without_trace(sent(node, ALICE, STRANGER, content)) == content
    node.ctl("dkim", "create", OURS, "--type", "ed25519")
    node.ctl("dkim", "activate", OURS, "sealpost")
    node.ctl("dkim", "activate", OURS, "sealpost-ed25519")
    came = sent(node, ALICE, STRANGER, content)
    assert [(s["a"], s["d"], s["s"]) for s in signatures(came)] == [("rsa-sha256", OURS, "sealpost"), ("ed25519-sha256", OURS, "sealpost-ed25519")]
    assert came.endswith(content)  # nothing behind our fields was touched
    assert verdicts(node, came) == [True, True]
    assert verdicts(node, came.replace(b"a test", b"a best")) == [False, False]
    assert verdicts(node, came.replace(b"From: alice", b"From: x@evil.example\r\nFrom: alice")) == [False, False]  # From is oversigned
    assert "-----BEGIN" not in node.log(1)


@pytest.mark.parametrize("form", ["simple/simple", "simple/relaxed", "relaxed/simple"])
def test_all_canonical_forms_verify(node, form):
    node.ctl("settings", "set", "dkim.canonicalization", form, "--domain", OURS)
    node.ctl("settings", "set", "dkim.expire", "7d", "--domain", OURS)
    body = b"\tTabs\tand  blanks \r\n\r\n.leading dot\r\n" + b"x" * 990 + b"\r\n\xff\xfe8 bit\r\n \r\n\r\n\r\n"
    came = sent(node, ALICE, STRANGER, message(ALICE, STRANGER, "X-Odd:\todd ", "Cc:  a@x.example ,\r\n\t b@x.example", body=body))
    assert verdicts(node, came) == [True, True]
    assert signatures(came)[0]["c"] == form and int(signatures(came)[0]["x"]) == int(signatures(came)[0]["t"]) + 7 * 86400
    for name in ("dkim.canonicalization", "dkim.expire"):
        node.ctl("settings", "unset", name, "--domain", OURS)


def test_whose_mail_is_signed(node):
    def signed(envelope, header, to=STRANGER, *fields):
        return [s["d"] for s in signatures(sent(node, envelope, to, message(header, to, *fields)))]
    both = [OURS, OURS]
    assert signed(ALICE, ALICE) == both
    assert signed("bounces@news.ours.example", ALICE) == both
    assert signed(ALICE, "x@news.ours.example") == both  # the domain above has the keys
    assert signed("x@evil.example", ALICE) == []  # a stranger's envelope: perhaps a forward
    assert signed("", ALICE) == []
    assert signed("", ALICE, STRANGER, "Auto-Submitted: auto-replied") == both
    assert signed("x@else.example", "x@else.example") == []
    assert signed(ALICE, ALICE, "bob@ours.example") == []  # comes in
    assert signed(ALICE, f"{ALICE}, x@evil.example") == []  # no clear From
    node.ctl("settings", "set", "dkim.subdomains", "no", "--domain", "news.ours.example")
    assert signed(ALICE, "x@news.ours.example") == []
    node.ctl("settings", "set", "dkim.sign", "no", "--domain", OURS)
    assert signed(ALICE, ALICE) == []
    node.ctl("settings", "unset", "dkim.sign", "--domain", OURS)


def test_keys_are_rotated_and_retired(node):
    rotated = node.ctl_json("dkim", "rotate", OURS)["items"]
    assert {item["selector"]: item["state"] for item in rotated} == {
        "sealpost": "active", "sealpost-2": "prepared", "sealpost-ed25519": "active", "sealpost-ed25519-2": "prepared"}
    node.ctl("dkim", "activate", OURS, "sealpost-2")
    came = sent(node, ALICE, STRANGER, message(ALICE, STRANGER))
    assert [s["s"] for s in signatures(came)] == ["sealpost-2", "sealpost-ed25519"] and verdicts(node, came) == [True, True]
    assert node.ctl_json("dkim", "show", OURS, "sealpost")["state"] == "resting"
    refused = node.ctl("dkim", "remove", OURS, "sealpost-2", code=2)
    assert "signs mail" in refused.stderr
    node.ctl("dkim", "retire", OURS, "sealpost")
    node.ctl("dkim", "activate", OURS, "sealpost", code=2)
    node.ctl("dkim", "remove", OURS, "sealpost")
    node.ctl("dkim", "show", OURS, "sealpost", code=3)


def test_a_key_is_imported(node, tmp_path):
    for name, arguments in (("good", ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")), ("short", ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")),
                            ("other", ("-algorithm", "X25519"))):
        subprocess.run(["openssl", "genpkey", *arguments, "-out", tmp_path / name], check=True, capture_output=True)
    assert "RFC 8301" in node.ctl("dkim", "import", "other.example", "--key", tmp_path / "short", code=2).stderr
    assert "RSA or an Ed25519" in node.ctl("dkim", "import", "other.example", "--key", tmp_path / "other", code=2).stderr
    made = node.ctl_json("dkim", "import", "other.example", "--key", tmp_path / "good", "--selector", "old")
    public = subprocess.run(["openssl", "pkey", "-in", tmp_path / "good", "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    assert made["record"].endswith("p=" + base64.b64encode(public).decode())


def foreign(content):
    """Signed by somebody else, and the record that says so."""
    secret = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True).stdout
    public = subprocess.run(["openssl", "pkey", "-pubout", "-outform", "DER"], input=secret, check=True, capture_output=True).stdout
    field = dkim.sign(content, b"far", b"else.example", secret, canonicalize=(b"simple", b"simple"), include_headers=[b"from", b"to", b"subject"])
    return field + content, b"v=DKIM1; p=" + base64.b64encode(public)


HOSTILE = {
    "odd folding": (("Subject:\r\n\ta\r\n  b \t", "X-Fold: \r\n \r\n x"), b"x\r\n"),
    "long lines": (("X-Long: " + "y" * 980,), b"z" * 998 + b"\r\n"),
    "8 bit": (("X-Raw: \u00e4\u00f6",), b"\xff\xfe\x80 caf\xc3\xa9\r\n"),
    "no body": ((), b""),
    "blank lines at the end": ((), b"x\r\n\r\n\r\n \t\r\n"),
    "duplicate fields": (("Subject: again", "Subject: and again", "X-A: 1", "X-A: 1"), b"x\r\n"),
    "dots": ((), b".\r\n..\r\n.x\r\n"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_foreign_signature_passes_through(node, name):
    fields, body = HOSTILE[name]
    content, record = foreign(message("x@else.example", STRANGER, *fields, body=body))
    came = sent(node, "x@else.example", STRANGER, content)
    assert without_trace(came) == content
    assert dkim.verify(came, dnsfunc=lambda name, timeout=5: record)


def test_what_lacks_fields_gets_none(node):
    for content in (b"Subject: nothing else\r\n\r\nx\r\n", b"From mbox@line Thu Jan 1 00:00:00 1970\r\nFrom: x@else.example\r\n\r\nx\r\n"):
        assert without_trace(sent(node, "x@else.example", STRANGER, content)) == content


def test_a_foreign_signature_outlives_quarantine(node):
    content, record = foreign(message("x@else.example", "held@nowhere.example", "X-Scan: odd"))
    node.ctl("policy", "rule-set", "hold", "--when", 'header "X-Scan" matches /odd/', "--then", "quarantine")
    submit(node, "x@else.example", "held@nowhere.example", content)
    [held] = [entry for entry in node.ctl_json("queue", "list")["items"] if entry["state"] == "quarantined"]
    [(_, came)] = arrives(node, lambda: node.ctl("queue", "release", held["id"]))
    assert without_trace(came) == content and dkim.verify(came, dnsfunc=lambda name, timeout=5: record)


def test_it_is_signed_anew_after_a_conversion_to_7_bit(node):
    node.sink.eight_bit = False
    try:
        came = sent(node, ALICE, STRANGER, message(ALICE, STRANGER, body="Gr\u00fc\u00dfe\r\n".encode()))
    finally:
        node.sink.eight_bit = True
    assert came.isascii() and verdicts(node, came) == [True, True]


def test_no_key_no_secret_in_what_is_shown(node):
    shown = node.ctl("dkim", "list", "-o", "json").stdout + node.ctl("dkim", "show", OURS, "sealpost-2").stdout
    assert "PRIVATE" not in shown and "sealed" not in shown
