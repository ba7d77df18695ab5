"""Bad input gets a clear answer that names what is wrong, and changes nothing."""
import socket
import ssl
import subprocess
import time

import pytest

from conftest import BIN, running


@pytest.fixture(scope="module")
def one():
    with running(1) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_changes(one):
    def tables():
        return one.ctl("settings", "list").stdout + one.ctl("cert", "list").stdout + one.ctl("key", "list").stdout + one.ctl("domain", "list").stdout

    before = tables()
    yield
    assert tables() == before


@pytest.mark.parametrize("arguments, words", [
    (("settings", "set", "encrypt.mod", "none"), ["encrypt.mod", "encrypt.mode"]),
    (("settings", "get", "no.such.setting"), ["no.such.setting"]),
    (("settings", "set", "encrypt.mode", "sometimes"), ["sometimes", "mandatory"]),
    (("settings", "set", "smtp.max_recipients", "0"), ["smtp.max_recipients", "1"]),
    (("settings", "set", "relay.networks", "10.0.0.0/40"), ["10.0.0.0/40"]),
    (("settings", "set", "delivery.retry", "soon"), ["soon"]),
    (("settings", "set", "relay.networks", "10.0.0.0/8", "--domain", "d.example"), ["relay.networks"]),
    (("settings", "set", "encrypt.mode", "none", "--domain", "not a domain"), ["domain"]),
    (("settings", "set", "encrypt.mode", "none", "--user", "nobody"), ["nobody"]),
    (("domain", "add", "d.example", "--locality", "sideways"), ["internal"]),
    (("queue", "show", "nonsense"), []),
    (("settigns", "list"), ["settings"]),
    (("settings", "lsit"), ["list"]),
    (("settings", "set", "encrypt.mode", "none", "--domian", "d.example"), ["--domain"]),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_commands_that_cannot_be(one, arguments, words):
    result = one.ctl(*arguments, code=None)
    assert result.returncode in (1, 2, 3)
    for word in words:
        assert word in result.stderr, result.stderr


def test_files_that_are_something_else(one, partner, tmp_path):
    partner.issue("bob", "bob@partner.example")
    partner.issue("carol", "carol@partner.example", gcm=True)
    text = tmp_path / "notes.txt"
    text.write_text("this is no certificate\n")
    assert "certificate" in one.ctl("cert", "import", text, code=None).stderr
    wrong = tmp_path / "wrong"
    wrong.write_text("not the password\n")
    assert "password" in one.ctl("key", "import", partner.path("bob.p12"), "--password-file", wrong, code=None).stderr
    mixed = tmp_path / "mixed.pem"
    mixed.write_bytes(partner.path("bob.key").read_bytes() + partner.path("carol.pem").read_bytes())
    assert "belong" in one.ctl("key", "import", mixed, code=None).stderr
    alone = tmp_path / "alone.pem"
    alone.write_bytes(partner.path("bob.key").read_bytes())
    assert "certificate" in one.ctl("key", "import", alone, code=None).stderr


@pytest.mark.parametrize("body, status, word", [
    ('{"value": "21"', 400, "JSON"), ("[]", 400, ""), ('{"value": "21", "colour": "red"}', 400, "colour"), ("{}", 400, "value"),
    ('{"value": 21}', 400, "value"), ('{"value": "' + "x" * 5_000_000 + '"}', 413, ""),
], ids=["cut", "array", "unknown field", "missing field", "wrong type", "too large"])
def test_bodies_that_do_not_fit(one, body, status, word):
    try:
        answer = one.api("PUT", "/v1/settings/smtp.max_errors", body, headers={"Content-Type": "application/json"})
    except (BrokenPipeError, ConnectionResetError):
        assert status == 413  # the server may close before it has read five megabytes that it does not want
        return
    assert answer.status == status, answer.body
    assert answer.headers["content-type"].startswith("application/problem+json") or status == 413
    assert word in answer.body.decode()


@pytest.mark.parametrize("request_bytes", [
    b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /livez HTTP/1.1\nHost: a\n\n",
], ids=["two lengths", "repeated length", "repeated host", "bare LF"])
def test_ambiguous_requests_are_refused(one, request_bytes):
    context = ssl.create_default_context(cafile=str(one.folder / "ca.pem"))
    with socket.create_connection(("127.0.0.1", one.api_port()), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
            secure.sendall(request_bytes)
            answer = secure.recv(4096)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")


def run_node(config, *arguments):
    return subprocess.run([BIN / "sealpostd", *arguments, "--config", config], capture_output=True, text=True, timeout=30)


def config_for(folder, port, extra="", name="solo"):
    path = folder / "node.conf"
    path.write_text(f"[node]\nname = {name}\ndata = {folder}/data\n[cluster]\nlisten = 127.0.0.1:{port}\n[api]\nlisten = 127.0.0.1:{port + 1}\n"
                    f"[smtp]\nlisten = 127.0.0.1:{port + 2}\n[master_key]\nsource = file:{folder}/master.key\n{extra}")
    return path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_a_line_that_nobody_knows_is_named(tmp_path):
    config = config_for(tmp_path, free_port(), "[smtp]\nlistne = 127.0.0.1:25\n")
    result = run_node(config, "init")
    assert result.returncode != 0
    assert "listne" in result.stderr and "listen" in result.stderr and ":13" in result.stderr
    assert not (tmp_path / "data").exists()


def test_a_port_in_use_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = config_for(tmp_path, port)
        assert run_node(config, "init").returncode == 0
        result = run_node(config, "run")
    assert result.returncode != 0
    assert str(port) in result.stderr and "use" in result.stderr


def test_a_folder_of_another_node_or_a_newer_release_is_not_touched(tmp_path):
    config = config_for(tmp_path, free_port())
    assert run_node(config, "init").returncode == 0
    again = run_node(config, "init")
    assert again.returncode != 0 and again.stderr
    other = run_node(config_for(tmp_path, free_port(), name="somebody-else"), "run")
    assert other.returncode != 0 and "solo" in other.stderr
    config = config_for(tmp_path, free_port())
    (tmp_path / "data" / "identity" / "format").write_text("999 9.9.9\n")
    newer = run_node(config, "run")
    assert newer.returncode != 0 and "newer" in newer.stderr


def test_a_master_key_that_is_none(tmp_path):
    config = config_for(tmp_path, free_port())
    (tmp_path / "master.key").write_text("too short\n")
    (tmp_path / "master.key").chmod(0o600)
    result = run_node(config, "init")
    assert result.returncode != 0 and "master" in result.stderr


def test_no_control_character_from_outside_reaches_the_log(one, tmp_path):
    """Each byte that SMTP lets through, in HELO, addresses, header and a certificate's subject; an escape sequence in each."""
    odd = bytes(b for b in range(1, 256) if b not in b"\r\n")
    mark = b"\x1b[31m" + odd
    one.ctl("domain", "add", "ours.example", "--locality", "internal")
    one.sink.data_reply = lambda sink, recipients: "550 5.7.1 red \x1b[31m\x07 words" if recipients == ["b@ours.example"] else None
    with socket.create_connection(("127.0.0.1", one.smtp_port()), timeout=30) as connection:
        replies = connection.makefile("rb")
        replies.readline()
        for line in (b"HELO h" + mark, b"EHLO h\x1b[2Jx", b"EHLO good.example", b"MAIL FROM:<" + mark + b"@x.example>", b"MAIL FROM:<a\x1b[2J@x.example>",
                     b"MAIL FROM:<a@x.example>", b"RCPT TO:<\"q\x1b[31m\t\"@ours.example>", b"RCPT TO:<b@ours.example>", b"X" + mark, b"DATA"):
            connection.sendall(line + b"\r\n")
            while (reply := replies.readline())[3:4] == b"-":
                pass
        assert reply.startswith(b"354")
        connection.sendall(b"From: \"" + mark + b"\" <a@x.example>\r\nTo: b@ours.example\r\nSubject: " + mark + b"\r\nX-\x1b[2J: 1\r\n\r\nx\r\n.\r\nQUIT\r\n")
        replies.read()
    subject = "/CN=red\x1b[31m\x07\t/O=two\x01words"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-addext", "subjectAltName=email:odd@far.example",
                    "-keyout", tmp_path / "key", "-out", tmp_path / "odd.pem"], check=True, capture_output=True)
    digest = one.ctl_json("cert", "import", tmp_path / "odd.pem")
    assert digest
    shown = one.ctl("cert", "list").stdout
    assert not [c for c in shown if c < " " and c != "\n"]
    one.ctl("cert", "remove", [c["thumbprint"] for c in one.ctl_json("cert", "list")["items"] if "odd@far.example" in c["addresses"]][0])
    one.ctl("domain", "remove", "ours.example")
    end = time.monotonic() + 30
    while b" failed id=" not in (raw := (one.folder / "node1" / "log").read_bytes()):
        assert time.monotonic() < end
        time.sleep(0.05)
    wrong = {b for b in raw if (b < 0x20 and b != 0x0a) or b > 0x7e}
    assert not wrong, wrong
    assert b"550 5.7.1 red" in raw
