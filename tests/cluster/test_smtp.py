"""The SMTP server as a hostile or careless client sees it, and delivery when the next hop misbehaves."""
import contextlib
import email
import os
import re
import smtplib
import socket
import ssl
import subprocess
import time

import pytest

from test_mail import letter, send


@pytest.fixture(scope="module")
def one():
    from conftest import running

    with running(1) as made:
        yield made


class Raw:
    """A session of bytes."""

    def __init__(self, port, source="127.0.0.1"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0))
        self.file = self.socket.makefile("rb")
        self.banner = self.reply()

    def reply(self):
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                return "".join(lines) or None
            lines.append(line.decode())
            if line[3:4] == b" ":
                return "".join(lines)

    def say(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode() + b"\r\n")
        return self.reply()

    def envelope(self):
        self.say("EHLO test.example")
        assert self.say("MAIL FROM:<a@b.example>").startswith("250")
        assert self.say("RCPT TO:<c@d.example>").startswith("250")
        assert self.say("DATA").startswith("354")

    def close(self):
        self.file.close()
        self.socket.close()


@pytest.fixture
def raw(one):
    session = Raw(one.smtp_port())
    yield session
    session.close()


def test_ehlo_offers_what_is_there(raw):
    offers = raw.say("EHLO test.example")
    for extension in ("PIPELINING", "8BITMIME", "SIZE 52428800", "ENHANCEDSTATUSCODES", "STARTTLS"):
        assert extension in offers
    assert raw.say("VRFY someone").startswith("252") and raw.say("NOOP").startswith("250") and raw.say("HELP").startswith("214")
    assert raw.say("RSET").startswith("250") and raw.say("DATA").startswith("503") and raw.say("QUIT").startswith("221")


@pytest.mark.parametrize("body", [
    b"line\nbare LF\r\n.\r\n", b"line\rbare CR\r\n.\r\n", b"a\r\n.\nMAIL FROM:<x@y.example>\r\n", b"a\n.\r\nMAIL FROM:<x@y.example>\r\n",
    b"a\n.\nMAIL FROM:<x@y.example>\r\n", b"a\r.\rMAIL FROM:<x@y.example>\r\n", b"a\r\n.\rMAIL FROM:<x@y.example>\r\n", b"a\0b\r\n.\r\n",
    b"a\r\r\n.\r\n", b"\n.\r\n",
], ids=repr)
@pytest.mark.parametrize("split", [False, True], ids=["whole", "byte by byte"])
def test_smuggling_gets_554_and_the_end(one, raw, body, split):
    before = len(one.sink.messages())
    raw.envelope()
    data = b"Subject: x\r\n\r\n" + body
    if split:
        try:
            for i in range(len(data)):
                raw.socket.sendall(data[i:i + 1])
        except OSError:
            pass
    else:
        raw.socket.sendall(data)
    assert raw.reply().startswith("554")
    assert raw.reply() is None, "the session is over"
    time.sleep(0.1)
    assert len(one.sink.messages()) == before


@pytest.mark.parametrize("command", [b"EHLO a\nMAIL FROM:<>\n", b"EHLO a\rMAIL FROM:<>\r\n", b"NOOP\0\r\n"], ids=repr)
def test_bad_line_ends_in_commands_end_the_session(raw, command):
    assert raw.say(command).startswith("554")
    assert raw.reply() is None


def test_relay_is_for_listed_networks_only(one):
    one.ctl("settings", "set", "relay.networks", "127.0.0.1/32")
    try:
        session = Raw(one.smtp_port(), source="127.0.0.9")
        session.say("EHLO stranger.example")
        answers = [session.say("MAIL FROM:<a@b.example>"), session.say("RCPT TO:<c@d.example>")]
        assert any(a and re.match("55[04] ", a) for a in answers)
        session.close()
    finally:
        one.ctl("settings", "set", "relay.networks", "127.0.0.0/8")


def test_starttls_works_and_carries_no_pipelined_command(one, raw):
    context = ssl.create_default_context(cafile=str(one.folder / "ca.pem"))
    with smtplib.SMTP("127.0.0.1", one.smtp_port(), timeout=20) as session:
        session.starttls(context=context)
        session.sendmail("a@b.example", ["tls@d.example"], letter("a@b.example", "tls@d.example"))
    raw.say("EHLO test.example")
    raw.socket.sendall(b"STARTTLS\r\nMAIL FROM:<injected@evil.example>\r\n")
    first = raw.reply()
    assert first is None or not first.startswith("250 ")
    if first and first.startswith("220"):
        inner = ssl.create_default_context(cafile=str(one.folder / "ca.pem"))
        with pytest.raises((ssl.SSLError, OSError)):
            with inner.wrap_socket(raw.socket, server_hostname="127.0.0.1") as secure:
                secure.sendall(b"RCPT TO:<c@d.example>\r\n")
                assert secure.recv(100) == b""
                raise OSError("the session is over")


def test_limits_have_clear_replies(one, raw):
    raw.say("EHLO test.example")
    assert raw.say("MAIL FROM:<a@b.example> SIZE=99999999999").startswith("552")
    assert raw.say("MAIL FROM:<a@b.example> FOO=bar").startswith("555")
    assert raw.say("MAIL FROM:a@b.example").startswith("501")
    assert raw.say("MAIL FROM:<a@b.example>").startswith("250")
    assert raw.say("RCPT TO:<@x.example:c@d.example>").startswith(("501", "550", "553"))
    assert raw.say("X" * 5000).startswith("500")
    assert raw.reply() is None, "a command beyond all bounds ends the session"


def test_recipients_are_limited(one):
    one.ctl("settings", "set", "smtp.max_recipients", "3")
    try:
        session = Raw(one.smtp_port())
        session.say("EHLO test.example")
        session.say("MAIL FROM:<a@b.example>")
        replies = [session.say(f"RCPT TO:<u{i}@d.example>") for i in range(4)]
        assert [r[:3] for r in replies] == ["250", "250", "250", "452"]
        session.close()
    finally:
        one.ctl("settings", "unset", "smtp.max_recipients")


def test_a_pipelined_transaction_and_dots(one, raw):
    before = len(one.sink.messages())
    raw.say("EHLO test.example")
    raw.socket.sendall(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<dots@d.example>\r\nDATA\r\n")
    assert [raw.reply()[:3] for _ in range(3)] == ["250", "250", "354"]
    assert raw.say(b"Subject: dots\r\n\r\n..one\r\n...two\r\n.\r\n").startswith("250 2.0.0 queued as ")
    content = one.sink.wait(before + 1)[before][1]
    assert content.endswith(b"\r\n.one\r\n..two\r\n")


def test_a_dead_next_hop_is_tried_again_and_the_queue_tells(make_cluster):
    cluster = make_cluster(1, defer="later@")
    cluster.ctl("settings", "set", "delivery.retry", "1h")
    send(cluster, 1, "a@b.example", ["later@d.example", "now@d.example"], letter("a@b.example", "later@d.example"))
    assert cluster.sink.wait(1)[0][0]["recipients"] == ["now@d.example"]
    end = time.monotonic() + 10
    while time.monotonic() < end and not cluster.ctl_json("queue", "list"):
        time.sleep(0.1)
    listed = cluster.ctl("queue", "list").stdout
    assert "a@b.example" in listed
    entries = cluster.ctl_json("queue", "list")
    entries = entries["queue"] if isinstance(entries, dict) and "queue" in entries else entries.get("items", entries) if isinstance(entries, dict) else entries
    queue_id = entries[0]["id"]
    assert "451" in cluster.ctl("queue", "show", queue_id).stdout
    cluster.sink.defer = None
    cluster.ctl("queue", "retry", queue_id)
    assert cluster.sink.wait(2)[1][0]["recipients"] == ["later@d.example"]


def test_a_refusal_of_the_next_hop_is_reported_to_the_sender(make_cluster):
    cluster = make_cluster(1, reject="nobody@")
    send(cluster, 1, "writer@b.example", ["nobody@d.example"], letter("writer@b.example", "nobody@d.example"))
    envelope, content = cluster.sink.wait(1)[0]
    assert envelope["sender"] == "" and envelope["recipients"] == ["writer@b.example"]
    report = email.message_from_bytes(content)
    assert report.get_content_type() == "multipart/report"
    assert b"Final-Recipient: rfc822; nobody@d.example" in content and b"550" in content
    assert b"the patient's name is Ada" not in content, "a report holds no body"


def test_giving_up_is_reported(make_cluster):
    cluster = make_cluster(1, defer="never@")
    cluster.ctl("settings", "set", "delivery.retry", "1s")
    cluster.ctl("settings", "set", "delivery.expire", "3s")
    send(cluster, 1, "writer@b.example", ["never@d.example"], letter("writer@b.example", "never@d.example"))
    envelope, content = cluster.sink.wait(1, seconds=30)[0]
    assert envelope["recipients"] == ["writer@b.example"] and b"never@d.example" in content


def test_eight_bit_mail_is_converted_for_a_seven_bit_hop(make_cluster):
    cluster = make_cluster(1, eight_bit=False)
    message = "From: a@b.example\r\nTo: c@d.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n"
    with smtplib.SMTP("127.0.0.1", cluster.smtp_port(), timeout=20) as session:
        session.sendmail("a@b.example", ["c@d.example"], message.encode(), mail_options=["BODY=8BITMIME"])
    content = cluster.sink.wait(1)[0][1]
    assert max(content) < 128
    assert email.message_from_bytes(content).get_payload(decode=True).decode("utf-8").strip() == "Grüße"


def test_what_waits_is_encrypted_on_disk_and_keys_are_nowhere(make_cluster):
    cluster = make_cluster(1, defer=".")
    marker = b"MARKER-7f3a91-IN-PLAIN"
    send(cluster, 1, "a@b.example", ["c@d.example"], letter("a@b.example", "c@d.example", text=marker.decode()))
    time.sleep(0.5)
    for folder, _, names in os.walk(cluster.folder):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    assert marker not in file.read(), f"plain text in {path}"
    key = (cluster.data() / "master.key").read_text().strip() if (cluster.data() / "master.key").exists() else None
    assert key, "the master key of a local cluster is in its data folder"
    for role in ("core", "smtp", "worker-1", "api"):
        for view in ("environ", "cmdline"):
            with open(f"/proc/{cluster.role_pid(1, role)}/{view}", "rb") as file:
                assert key.encode() not in file.read()


@pytest.fixture(scope="module")
def haproxy(one, tmp_path_factory):
    """A real HAProxy in front of the node: name of the way -> port. It connects from 127.0.0.9 and accepts from anywhere."""
    folder = tmp_path_factory.mktemp("haproxy")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "key", "-out", folder / "cert",
                    "-days", "2", "-subj", "/CN=balancer.test", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    (folder / "pem").write_text((folder / "cert").read_text() + (folder / "key").read_text())
    ways = {"v1": "send-proxy", "v2": "send-proxy-v2", "v2-crc32c": "send-proxy-v2 proxy-v2-options crc32c,unique-id",
            "terminates-tls": "send-proxy-v2-ssl-cn"}
    ports, text = {}, "defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n"
    for name, option in ways.items():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            ports[name] = s.getsockname()[1]
        bind = f"ssl crt {folder / 'pem'}" if name == "terminates-tls" else ""
        text += f"listen {name}\n bind 127.0.0.1:{ports[name]} {bind}\n server node 127.0.0.1:{one.smtp_port()} source 127.0.0.9 {option}\n"
    (folder / "cfg").write_text(text)
    one.ctl("settings", "set", "smtp.proxy_networks", "127.0.0.9/32")
    process = subprocess.Popen(["haproxy", "-db", "-f", folder / "cfg"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for port in ports.values():
            end = time.monotonic() + 30
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
                    break
                assert time.monotonic() < end and process.poll() is None, "haproxy does not listen"
                time.sleep(0.05)
        yield ports, folder / "cert"
    finally:
        process.terminate()
        process.wait(30)
        one.ctl("settings", "unset", "smtp.proxy_networks")


@pytest.mark.parametrize("way", ["v1", "v2", "v2-crc32c", "terminates-tls", "passes-tls-through"])
def test_haproxy_tells_who_the_client_is(one, haproxy, way):
    ports, certificate = haproxy
    before = len(one.sink.messages())
    port = ports["v2" if way == "passes-tls-through" else way]
    options = {"timeout": 30, "source_address": ("127.0.0.77", 0)}
    if way == "terminates-tls":
        session = smtplib.SMTP_SSL("127.0.0.1", port, context=ssl.create_default_context(cafile=certificate), **options)
    else:
        session = smtplib.SMTP("127.0.0.1", port, **options)
    with session:
        if way == "passes-tls-through":
            session.starttls(context=ssl.create_default_context(cafile=str(one.folder / "ca.pem")))
        session.sendmail("a@b.example", ["proxied@d.example"], letter("a@b.example", "proxied@d.example"))
    [(_, came)] = one.sink.wait(before + 1)[before:]
    received = re.sub(r"\s+", " ", email.message_from_bytes(came)["Received"])
    assert "([127.0.0.77])" in received and "127.0.0.9" not in received, received
    assert ("with ESMTPS" in received) == (way == "passes-tls-through"), received


def test_a_proxy_header_of_a_stranger_ends_the_session(one, raw):
    assert raw.say(b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\nEHLO x.test\r\n").startswith("500")
    assert raw.reply() is None
