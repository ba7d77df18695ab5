"""Mail that others bring and others take: through the node it comes out as it went in, whatever stands before and behind it."""
import base64
import secrets
import smtplib
import subprocess
import time

import dkim
import pytest

SERVERS = ("postfix", "exim", "opensmtpd")
LINES = [".", "..", ".leading", "x" * 990, "caf\u00e9 \u20ac", "", "trailing blank ", "\tindented", "From the start"]


def letter(recipient, mark):
    """8-bit, with all fields that a server might otherwise add."""
    head = [f"From: <alice@sender.example>", f"To: <{recipient}>", f"Subject: {mark}", f"Message-ID: <{mark}@sender.example>", "Date: Wed, 25 Nov 2026 01:00:00 +0000",
            "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "X-Folded: one", "\ttwo"]
    return "\r\n".join(head + [""] + LINES + [""]).encode()


def signature_holds(content, key):
    """The signature that Exim made for signed.example, by a library that neither it nor we have to do with."""
    public = subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    return dkim.verify(content, dnsfunc=lambda name, timeout=5: record if name == b"s._domainkey.signed.example." else None)


def arrived(street, mark, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for envelope, content in street.far.messages():
            if f"Subject: {mark}\r\n".encode() in content:
                return envelope, content
        time.sleep(0.05)
    raise AssertionError(f"{mark} did not arrive:\n{street.logs()}")


def give(server, recipient, content, secure=True, options=()):
    with smtplib.SMTP("127.0.0.1", server.port, timeout=60) as session:
        session.ehlo("client.example")
        if secure:
            session.starttls()
            session.ehlo("client.example")
        session.sendmail("alice@sender.example", [recipient], content, options)


@pytest.mark.parametrize("behind", SERVERS)
@pytest.mark.parametrize("before", SERVERS)
def test_a_letter_goes_through_unchanged(street, signing_key, before, behind):
    mark = f"{before}-{behind}-{secrets.token_hex(6)}"
    content = letter(f"bob@{behind}.example", mark)
    give(street.before[before], f"bob@{behind}.example", content, secure=before != "opensmtpd", options=["BODY=8BITMIME"])
    envelope, received = arrived(street, mark)
    head, body = received.split(b"\r\n\r\n", 1)
    assert body == content.split(b"\r\n\r\n", 1)[1]
    # All servers told of themselves above what Alice wrote, and we between them.
    assert received.endswith(content), received
    if before == "exim":
        assert b"DKIM-Signature:" in head and signature_holds(received, signing_key)
        assert not signature_holds(received.replace(b"caf", b"Caf"), signing_key)
    assert head.count(b"Received:") == 3
    assert envelope["tls"] and envelope["sender"] == "alice@sender.example"


def test_a_next_hop_whose_tls_fails_gets_plain_text_only_where_that_is_allowed(street):
    cluster = street.cluster
    mark = f"plain-{secrets.token_hex(6)}"
    with smtplib.SMTP("127.0.0.1", cluster.smtp_port(), timeout=60) as session:
        cluster.ctl("settings", "set", "delivery.tls", "required", "--domain", "opensmtpd.example")
        try:
            session.sendmail("alice@sender.example", ["bob@opensmtpd.example"], letter("bob@opensmtpd.example", mark))
            end = time.monotonic() + 60
            while True:
                waiting = [m for m in cluster.ctl_json("queue", "list")["items"] if m["attempts"] > 0 and m["sender"] == "alice@sender.example"]
                if waiting:
                    break
                assert time.monotonic() < end, cluster.log()[-3000:]
                time.sleep(0.1)
            assert not any(mark.encode() in content for _, content in street.far.messages())
        finally:
            cluster.ctl("settings", "unset", "delivery.tls", "--domain", "opensmtpd.example")
    arrived(street, mark)
