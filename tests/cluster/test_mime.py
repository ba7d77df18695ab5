"""Hostile and broken MIME through a cluster: nothing crashes, what passes leaves byte for byte, what is encrypted decrypts to what came."""
import base64
import re
import smtplib

import pytest

from test_mail import arrives

SENDER, BOB, STRANGER = "x@else.example", "bob@partner.example", "y@nowhere.example"


def head(to, *fields):
    return "".join(f"{line}\r\n" for line in (f"From: {SENDER}", f"To: {to}", "Subject: odd", "MIME-Version: 1.0", *fields)).encode()


def mixed(boundary="b", kind="mixed"):
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"'


def parts(count):
    return b"".join(b"--b\r\n\r\nx\r\n" for _ in range(count)) + b"--b--\r\n"


def levels(count):
    down = b"".join(b'--b%d\r\nContent-Type: multipart/mixed; boundary="b%d"\r\n\r\n' % (i, i + 1) for i in range(count))
    return down + b"--b%d\r\n\r\ndeep\r\n" % count


def nested_messages(count):
    return b"".join(b"Content-Type: message/rfc822\r\n\r\n" for _ in range(count)) + b"\r\nwithin itself\r\n"


ODD = {
    "100,000 parts": lambda to: head(to, mixed()) + b"\r\n" + parts(100000),
    "10,000 levels": lambda to: head(to, mixed("b0")) + b"\r\n" + levels(10000),
    "a boundary within a boundary": lambda to: head(to, mixed("b")) + b'\r\n--b\r\nContent-Type: multipart/mixed; boundary="bb"\r\n\r\n--bb\r\n\r\nx\r\n--b--\r\n--bb--\r\n',
    "the same boundary again": lambda to: head(to, mixed("b")) + b'\r\n--b\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n',
    "no boundary": lambda to: head(to, "Content-Type: multipart/mixed") + b"\r\nx\r\n",
    "a boundary that never comes": lambda to: head(to, mixed()) + b"\r\nx\r\n",
    "not closed": lambda to: head(to, mixed()) + b"\r\n--b\r\n\r\nx\r\n",
    "bad base64": lambda to: head(to, "Content-Type: application/pdf", "Content-Transfer-Encoding: base64") + b"\r\n====$$$!AAA=\r\nA\r\n=\r\n",
    "UTF-8 in the header": lambda to: head(to, "X-Text: Gr\u00fc\u00dfe", "Content-Type: text/plain; charset=utf-8; name=\u00fc.txt") + b"\r\nx\r\n",
    "8 bit that is no UTF-8": lambda to: head(to) + b"X-Text: \xff\xfe\x80\r\nContent-Type: text/plain; name=\xff\r\n\r\n\xff\r\n",
    "a charset that nobody knows": lambda to: head(to, "Content-Type: text/plain; charset=x-nobody-" + "y" * 500) + b"\r\nx\r\n",
    "a bomb of encoded words": lambda to: head(to).replace(b"Subject: odd", b"Subject:" + b"\r\n =?utf-7?Q?" .join([b""] + [b"+AGEAYQBh-?="] * 1500)) + b"\r\nx\r\n",
    "message/partial": lambda to: head(to, "Content-Type: message/partial; id=a; number=1; total=2") + b"\r\nx\r\n",
    "messages within messages": lambda to: head(to)[:-2] + b"\r\n" + nested_messages(3000),
    "groups of addresses": lambda to: head(to).replace(f"To: {to}".encode(), b"To: " + (b"a:b," * 200 + b"\r\n ") * 75 + b"c@d.example;"),
    "comments in comments": lambda to: head(to, "Content-Type: text/plain" + ("(" * 900 + "\r\n ") * 20 + "x") + b"\r\nx\r\n",
    "a line that is no field": lambda to: head(to) + b"no field at all\r\nX-A: b\r\n\r\nx\r\n",
    "fields twice": lambda to: head(to, "Content-Type: text/plain", "Content-Type: text/html", "Subject: other") + b"\r\n<b>x</b>\r\n",
    "an empty message": lambda to: b"",
    "only a header": lambda to: head(to),
}


@pytest.fixture(scope="module")
def ready(cluster, partner):
    partner.issue("bob", BOB)
    cluster.ctl("ca", "trust", partner.path("ca.pem"))
    cluster.ctl("cert", "import", partner.path("bob.pem"))
    return cluster


def submit(cluster, node, to, content):
    """As it is: smtplib's own sendmail() would touch line ends and dots only."""
    with smtplib.SMTP("127.0.0.1", cluster.smtp_port(node), timeout=120) as session:
        session.ehlo()
        session.mail(SENDER, ["BODY=8BITMIME"])
        session.rcpt(to)
        return session.data(content)


def without_trace(content):
    """What is behind this gateway's own Received field."""
    return re.sub(rb"\AReceived: .*?\r\n(?![ \t])", b"", content, count=1, flags=re.S)


def deaths(cluster):
    return sum(cluster.log(node).count("killed by signal") for node in (1, 2, 3))


@pytest.mark.parametrize("name", ODD)
def test_what_passes_leaves_byte_for_byte(ready, name):
    content, before = ODD[name](STRANGER), deaths(ready)
    [(_, came)] = arrives(ready, lambda: submit(ready, 1, STRANGER, content))
    expected = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
    got = without_trace(came)
    assert got.rstrip(b"\r\n") == expected.rstrip(b"\r\n")
    assert deaths(ready) == before


@pytest.mark.parametrize("name", ODD)
def test_what_is_encrypted_is_what_came(ready, partner, name):
    """To somebody with a certificate: encrypted as a whole, or refused with a reason; never in plain text."""
    content, before = ODD[name](BOB), deaths(ready)
    sent = len(ready.sink.messages())
    code, text = submit(ready, 2, BOB, content)
    if code != 250:
        assert name == "a line that is no field" and code == 554 and b"no field" in text, text
    else:
        [(_, came)] = ready.sink.wait(sent + 1)[sent:]
        assert b"application/pkcs7-mime" in came.lower()
        inner = partner.decrypt("bob", came)
        body = content.split(b"\r\n\r\n", 1)[1] if b"\r\n\r\n" in content else b""
        assert body.rstrip(b"\r\n") in inner.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert deaths(ready) == before


def test_a_header_beyond_the_limit_is_refused_before_anybody_reads_it(ready):
    content = head(STRANGER) + b"X-Long: " + b"\r\n ".join([b"y" * 900] * 1200) + b"\r\n\r\nx\r\n"
    code, text = submit(ready, 3, STRANGER, content)
    assert code == 552 and b"header" in text


def test_nul_ends_the_session(ready):
    with smtplib.SMTP("127.0.0.1", ready.smtp_port(1), timeout=60) as session:
        session.ehlo()
        session.mail(SENDER)
        session.rcpt(STRANGER)
        with pytest.raises((smtplib.SMTPServerDisconnected, smtplib.SMTPResponseException)):
            code, text = session.data(head(STRANGER) + b"X-A: \x00\r\n\r\nx\r\n")
            raise smtplib.SMTPResponseException(code, text)


@pytest.mark.parametrize("choice, code", [("refuse", 554), ("quarantine", 250)])
def test_what_is_malformed_is_treated_as_set(ready, choice, code):
    ready.ctl("settings", "set", "mime.malformed", choice, "--domain", "else.example")
    try:
        before = len(ready.sink.messages())
        answer, text = submit(ready, 1, STRANGER, ODD["not closed"](STRANGER))
        assert answer == code, text
        if choice == "refuse":
            assert b"not well formed" in text
        else:
            assert "quarantine" in ready.ctl("queue", "list").stdout
        submit(ready, 1, STRANGER, head(STRANGER) + b"\r\nwhole\r\n")
        came = ready.sink.wait(before + 1)[before:]
        assert len(came) == 1 and b"whole" in came[0][1]
    finally:
        ready.ctl("settings", "unset", "mime.malformed", "--domain", "else.example")


def test_base64_is_kept_as_it_came(ready, partner):
    """Lines of odd length, blanks at their ends: nobody has to change a byte of it."""
    encoded = base64.b64encode(bytes(range(256))).decode()
    body = f"{encoded[:7]} \r\n{encoded[7:100]}\t\r\n{encoded[100:]}\r\n"
    content = head(BOB, "Content-Type: application/octet-stream", "Content-Transfer-Encoding: base64") + b"\r\n" + body.encode()
    [(_, came)] = arrives(ready, lambda: submit(ready, 3, BOB, content))
    assert body.encode() in partner.decrypt("bob", came)
