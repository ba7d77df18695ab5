"""The CA for users' certificates, on its own: at the first mail, ahead of an end, and with CAs elsewhere."""
import base64
import concurrent.futures
import json
import smtplib
import time

import pytest

from partner import Partner, openssl
from test_ca import crl, is_signed, letter, send, verifies


@pytest.fixture(scope="module")
def ready(cluster, tmp_path_factory):
    cluster.ctl("domain", "add", "ours.example", "--locality", "internal")
    cluster.ctl("settings", "set", "sign.mode", "always", "--domain", "ours.example")
    cluster.ctl("settings", "set", "ca.key_type", "p256")
    cluster.ctl("ca", "create", "root", "--subject", "Ours Root", "--key", "p256")
    cluster.ctl("settings", "set", "ca.default", "root")
    cluster.tmp = tmp_path_factory.mktemp("ca")
    (cluster.tmp / "root.pem").write_text(cluster.ctl_json("ca", "show", "root")["pem"])
    return cluster


@pytest.fixture
def automatic(ready):
    ready.ctl("settings", "set", "ca.auto_request", "yes", "--domain", "ours.example")
    yield ready
    ready.ctl("settings", "unset", "ca.auto_request", "--domain", "ours.example")


def issued(cluster, address, node=1):
    return cluster.ctl_json("ca", "issued", "root", "--address", address, "--consistent", node=node)["items"]


def test_the_first_mail_of_a_sender_is_signed(automatic):
    content = send(automatic, 2, "first@ours.example", "x@else.example")
    assert is_signed(content) and verifies(content, automatic.tmp, automatic.tmp / "root.pem")
    assert len(issued(automatic, "first@ours.example")) == 1
    assert is_signed(send(automatic, 3, "first@ours.example", "x@else.example"))
    assert len(issued(automatic, "first@ours.example")) == 1


def test_nobody_gets_a_certificate_who_is_not_to_have_one(automatic):
    assert not is_signed(send(automatic, 1, "stranger@else.example", "x@else.example"))
    automatic.ctl("settings", "set", "ca.auto_request", "no", "--user", "shy@ours.example")
    assert not is_signed(send(automatic, 1, "shy@ours.example", "x@else.example"))
    automatic.ctl("settings", "set", "sign.mode", "none", "--user", "quiet@ours.example")
    send(automatic, 1, "quiet@ours.example", "x@else.example")
    for address in ("stranger@else.example", "shy@ours.example", "quiet@ours.example"):
        assert issued(automatic, address) == []


def test_all_nodes_at_once_end_with_one_certificate(automatic):
    address = "busy@ours.example"
    before = len(automatic.sink.messages())

    def one(node):
        with smtplib.SMTP("127.0.0.1", automatic.smtp_port(node), timeout=60) as session:
            session.sendmail(address, ["x@else.example"], letter(address, "x@else.example"))

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(one, [1, 2, 3, 1, 2, 3]))
    came = automatic.sink.wait(before + 6)[before:]
    assert all(is_signed(content) for _, content in came)
    assert len(issued(automatic, address)) == 1
    automatic.verify()


def test_the_limit_of_an_hour_leaves_the_decision_to_on_missing_key(automatic):
    automatic.ctl("domain", "add", "few.example", "--locality", "internal")
    for name, value in (("sign.mode", "always"), ("ca.auto_request", "yes"), ("ca.auto_request_limit", "1")):
        automatic.ctl("settings", "set", name, value, "--domain", "few.example")
    assert is_signed(send(automatic, 1, "one@few.example", "x@else.example"))
    assert not is_signed(send(automatic, 2, "two@few.example", "x@else.example"))
    assert issued(automatic, "two@few.example") == []
    automatic.ctl("settings", "set", "sign.on_missing_key", "refuse", "--domain", "few.example")
    with pytest.raises(smtplib.SMTPDataError, match="must be signed for two@few.example"):
        send(automatic, 3, "two@few.example", "x@else.example")


def test_a_default_that_is_no_ca_leaves_the_decision(automatic):
    automatic.ctl("settings", "set", "ca.default", "nobody", "--domain", "ours.example")
    try:
        assert not is_signed(send(automatic, 1, "lost@ours.example", "x@else.example"))
    finally:
        automatic.ctl("settings", "unset", "ca.default", "--domain", "ours.example")


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.3)


def test_a_certificate_is_renewed_ahead_of_its_end_and_the_old_key_stays(ready):
    address = "renewed@ours.example"
    ready.ctl("settings", "set", "ca.validity", "10", "--domain", "ours.example")
    ready.ctl("ca", "issue", address, "--name", "Re Newed")
    ready.ctl("ca", "issue", "once@ours.example", "--once")
    old = issued(ready, address)[0]
    time.sleep(3)
    assert len(issued(ready, address)) == 1, "one that would not last longer is not issued again"
    ready.ctl("settings", "unset", "ca.validity", "--domain", "ours.example")
    wait_for(lambda: len(issued(ready, address)) == 2)
    states = {i["thumbprint"]: i["state"] for i in issued(ready, address)}
    assert states.pop(old["thumbprint"]) == "renewed"
    [new] = states
    assert states[new] == "valid"
    assert ready.ctl_json("cert", "show", old["thumbprint"])["has_key"]
    assert "Re Newed" in ready.ctl_json("cert", "show", new)["subject"]
    content = send(ready, 2, address, "x@else.example")
    assert verifies(content, ready.tmp, ready.tmp / "root.pem")
    assert json.dumps(openssl("x509", "-in", ready.tmp / "signer.pem", "-noout", "-fingerprint", "-sha256").decode().replace(":", "").lower()).find(new) > 0
    time.sleep(3)
    assert len(issued(ready, address)) == 2 and len(issued(ready, "once@ours.example")) == 1


def test_a_revocation_list_is_renewed_ahead_of_its_end(ready):
    ready.ctl("settings", "set", "ca.crl_validity", "6s")
    ready.ctl("ca", "create", "short", "--subject", "Short", "--key", "p256")
    try:
        wait_for(lambda: ready.ctl_json("ca", "show", "short", node=2)["crl_number"] >= 3)
        openssl("crl", "-in", crl(ready, "short", node=3), "-noout", "-nextupdate")
    finally:
        ready.ctl("settings", "unset", "ca.crl_validity")
    ready.ctl("ca", "remove", "short")


def test_a_request_is_answered_by_a_ca_elsewhere(ready, partner):
    address = "csr@ours.example"
    made = ready.ctl_json("ca", "csr", address, "--name", "C. S. Request", "--key", "p256", node=1)
    (ready.tmp / "r.pem").write_text(made["pem"])
    assert "C. S. Request" in openssl("req", "-in", ready.tmp / "r.pem", "-verify", "-noout", "-subject").decode()
    assert [r["id"] for r in ready.ctl_json("ca", "csr-list", "--consistent", node=2)["items"]] == [made["id"]]
    (ready.tmp / "r.ext").write_text(f"subjectAltName=email:{address}\nkeyUsage=critical,digitalSignature,keyAgreement\nextendedKeyUsage=emailProtection\n")
    openssl("x509", "-req", "-in", ready.tmp / "r.pem", "-CA", partner.path("ca.pem"), "-CAkey", partner.path("ca.key"), "-CAcreateserial", "-days", "30",
            "-extfile", ready.tmp / "r.ext", "-out", ready.tmp / "answer.pem")
    partner.issue("other", "other@partner.example")
    assert "no key waits" in ready.ctl("ca", "csr-complete", partner.path("other.pem"), code=3).stderr
    ready.ctl("ca", "trust", partner.path("ca.pem"))
    ready.ctl("ca", "csr-complete", ready.tmp / "answer.pem", node=3)
    assert ready.ctl_json("ca", "csr-list")["items"] == []
    content = send(ready, 2, address, "x@else.example")
    assert is_signed(content) and verifies(content, ready.tmp, partner.path("ca.pem"))


def test_an_imported_answer_finds_its_key_too(ready, partner):
    made = ready.ctl_json("ca", "csr", "csr2@ours.example", "--key", "p256")
    (ready.tmp / "r2.pem").write_text(made["pem"])
    (ready.tmp / "r2.ext").write_text("subjectAltName=email:csr2@ours.example\n")
    openssl("x509", "-req", "-in", ready.tmp / "r2.pem", "-CA", partner.path("ca.pem"), "-CAkey", partner.path("ca.key"), "-CAcreateserial", "-days", "30",
            "-extfile", ready.tmp / "r2.ext", "-out", ready.tmp / "answer2.pem")
    [item] = ready.ctl_json("cert", "import", ready.tmp / "answer2.pem")["items"]
    assert ready.ctl_json("cert", "show", item["thumbprint"])["has_key"]
    given_up = ready.ctl_json("ca", "csr", "csr3@ours.example", "--key", "p256")
    ready.ctl("ca", "csr-remove", given_up["id"][:12])
    assert ready.ctl_json("ca", "csr-list")["items"] == []


def test_an_exported_key_is_read_by_openssl(ready):
    [item] = ready.ctl_json("ca", "issue", "export@ours.example")["items"]
    (ready.tmp / "secret").write_text("correct horse battery\n")
    path = ready.tmp / "export.p12"
    ready.ctl("key", "export", item["thumbprint"], "--password-file", ready.tmp / "secret", "--file", path)
    assert path.stat().st_mode & 0o777 == 0o600
    text = openssl("pkcs12", "-in", path, "-passin", "pass:correct horse battery", "-nodes").decode()
    assert "PRIVATE KEY" in text and "export@ours.example" in text
    assert "PBKDF2" in openssl("pkcs12", "-in", path, "-passin", "pass:correct horse battery", "-noout", "-info", check=False).stderr.decode()
    assert ready.ctl("key", "export", item["thumbprint"], "--password-file", ready.tmp / "secret", "--file", path, code=1).stderr, "no file is written over"
    (ready.tmp / "short").write_text("short\n")
    assert "at least 8" in ready.ctl("key", "export", item["thumbprint"], "--password-file", ready.tmp / "short", "--file", ready.tmp / "no.p12", code=2).stderr
    ca = ready.ctl_json("ca", "show", "root")["thumbprint"]
    ready.ctl("key", "export", ca, "--password-file", ready.tmp / "secret", "--file", ready.tmp / "no.p12", code=3)
    for node in (1, 2, 3):
        assert "correct horse" not in ready.log(node)


def test_a_ca_is_taken_over_with_its_key(ready, tmp_path_factory):
    other = Partner(tmp_path_factory.mktemp("imported"))
    pem = other.path("ca.key").read_text() + other.path("ca.pem").read_text()
    (ready.tmp / "ca-with-key.pem").write_text(pem)
    ready.ctl("ca", "import", "old", ready.tmp / "ca-with-key.pem", node=2)
    ready.ctl("ca", "issue", "moved@ours.example", "--ca", "old")
    content = send(ready, 3, "moved@ours.example", "x@else.example")
    assert is_signed(content) and verifies(content, ready.tmp, other.path("ca.pem"))
    assert "already" in ready.ctl("ca", "import", "again", ready.tmp / "ca-with-key.pem", code=2).stderr
    other.issue("leaf", "leaf@ours.example")
    assert "not that of a CA" in ready.ctl("ca", "import", "leaf", other.path("leaf.p12"), "--password-file", other.path("secret"), code=2).stderr


def test_a_ca_elsewhere_is_asked_by_itself(automatic, partner):
    address = "asked@ours.example"
    automatic.ctl("ca", "trust", partner.path("ca.pem"), code=None)  # it may be trusted already
    automatic.ctl("settings", "set", "ca.handler", "csr", "--domain", "ours.example")
    try:
        for node in (1, 2):
            assert not is_signed(send(automatic, node, address, "x@else.example"))
        [waits] = [r for r in automatic.ctl_json("ca", "csr-list", "--consistent", node=3)["items"] if r["address"] == address]
        assert issued(automatic, address) == []
        (automatic.tmp / "asked.pem").write_text(waits["pem"])
        (automatic.tmp / "asked.ext").write_text(f"subjectAltName=email:{address}\n")
        openssl("x509", "-req", "-in", automatic.tmp / "asked.pem", "-CA", partner.path("ca.pem"), "-CAkey", partner.path("ca.key"), "-CAcreateserial",
                "-days", "25", "-extfile", automatic.tmp / "asked.ext", "-out", automatic.tmp / "asked.crt")
        automatic.ctl("ca", "csr-complete", automatic.tmp / "asked.crt", node=2)
        assert is_signed(send(automatic, 1, address, "x@else.example"))
        # It ends within ca.renew_before, so the next one is asked for ahead of that, once.
        deadline = time.monotonic() + 60
        while address not in [r["address"] for r in automatic.ctl_json("ca", "csr-list")["items"]]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        automatic.ctl("settings", "unset", "ca.handler", "--domain", "ours.example")
        for waits in automatic.ctl_json("ca", "csr-list", "--consistent")["items"]:
            automatic.ctl("ca", "csr-remove", waits["id"])
