"""What is revoked or denied is used for nothing, on every node, from the moment that the change is acknowledged."""
import os
import signal
import smtplib
import time

import pytest

from partner import Partner, crlf, openssl
from test_mail import arrives, letter, send

ALICE = "alice@ours.example"
SECRET = b"the patient's name is Ada"


class Authority(Partner):
    """A partner whose CA revokes."""

    def serial(self, name):
        return openssl("x509", "-in", self.path(f"{name}.pem"), "-noout", "-serial").decode().strip().partition("=")[2]

    def thumbprint(self, name):
        text = openssl("x509", "-in", self.path(f"{name}.pem"), "-noout", "-fingerprint", "-sha256").decode()
        return text.strip().partition("=")[2].replace(":", "").lower()

    def crl(self, number, revoked=(), days=7, extra=(), form="PEM"):
        """A list with the certificates of these names; `extra` has more lines of OpenSSL's database."""
        lines = [f"R\t300101000000Z\t260102000000Z,keyCompromise\t{self.serial(name)}\tunknown\t/CN={name}" for name in revoked]
        self.path("crl.txt").write_text("".join(f"{line}\n" for line in [*lines, *extra]))
        self.path("crl.txt.attr").write_text("unique_subject = no\n")
        self.path("crlnumber").write_text(f"{number:04X}\n")
        self.path("crl.cnf").write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.path('crl.txt')}\ncrlnumber={self.path('crlnumber')}\ndefault_md=sha256\n")
        out = self.path(f"{number}.crl")
        openssl("ca", "-config", self.path("crl.cnf"), "-gencrl", "-cert", self.path("ca.pem"), "-keyfile", self.path("ca.key"), "-crldays", days, "-out", out)
        if form == "DER":
            openssl("crl", "-in", out, "-outform", "DER", "-out", out)
        return out


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def ready(cluster, authority):
    for name in ("bob", "carol", "dora", "erin", "frank"):
        authority.issue(name, f"{name}@partner.example")
        cluster.ctl("cert", "import", authority.path(f"{name}.pem"))
    for name in ("alice", "anna"):
        authority.issue(name, f"{name}@ours.example")
        cluster.ctl("key", "import", authority.path(f"{name}.p12"), "--password-file", authority.path("secret"))
    cluster.ctl("ca", "trust", authority.path("ca.pem"))
    cluster.ctl("domain", "add", "ours.example", "--locality", "internal")
    cluster.ctl("settings", "set", "encrypt.mode", "mandatory", "--domain", "partner.example")
    return cluster


def encrypted(ready, authority, node, name):
    to = f"{name}@partner.example"
    [(_, content)] = arrives(ready, lambda: send(ready, node, ALICE, [to], letter(ALICE, to)))
    assert SECRET not in content and SECRET in authority.decrypt(name, content)


def refused(ready, node, name, says):
    before = len(ready.sink.messages())
    to = f"{name}@partner.example"
    with pytest.raises(smtplib.SMTPDataError) as no:
        send(ready, node, ALICE, [to], letter(ALICE, to))
    assert no.value.smtp_code == 550
    assert says in no.value.smtp_error.decode(), no.value.smtp_error
    assert len(ready.sink.messages()) == before


def test_a_revocation_is_in_force_on_every_node_when_it_is_acknowledged(ready, authority):
    for node in (1, 2, 3):
        encrypted(ready, authority, node, "bob")
    crl = authority.crl(1, ["bob"])
    ready.ctl("crl", "import", crl, node=1)
    for node in (2, 3, 1):
        refused(ready, node, "bob", "was revoked 2026-01-02 (keyCompromise)")
    encrypted(ready, authority, 2, "carol")


def test_a_revocation_and_its_end_once_more_and_again(ready, authority):
    """No node is behind, however often it changes: each worker remembers what it has judged."""
    for round_ in range(3):
        ready.ctl("crl", "import", authority.crl(10 + 2 * round_, ["bob", "dora"], form="DER"), node=1 + round_)
        for node in (1, 2, 3):
            refused(ready, node, "dora", "was revoked")
        ready.ctl("crl", "import", authority.crl(11 + 2 * round_, ["bob"]), node=3 - round_)
        for node in (1, 2, 3):
            encrypted(ready, authority, node, "dora")


def test_what_is_denied_is_used_on_no_node(ready, authority):
    for node in (1, 2, 3):
        encrypted(ready, authority, node, "carol")
    ready.ctl("ctl", "deny", authority.thumbprint("carol"), "--comment", "the laptop was stolen", node=1)
    for node in (2, 3, 1):
        refused(ready, node, "carol", "denied by the certificate trust list (the laptop was stolen)")
    [entry] = ready.ctl_json("ctl", "list", node=2)["items"]
    assert entry["verdict"] == "deny" and entry["in_force"] and entry["subject"] == "CN=carol"
    shown = ready.ctl_json("cert", "show", authority.thumbprint("carol")[:12], node=3)
    assert shown["ctl"]["verdict"] == "deny" and shown["encryption"]["status"] == "UNTRUSTED"
    ready.ctl("ctl", "remove", authority.thumbprint("carol")[:12], node=3)
    for node in (1, 2):
        encrypted(ready, authority, node, "carol")


def test_explain_and_show_say_why(ready, authority):
    explained = ready.ctl("policy", "explain", "--from", ALICE, "--to", "bob@partner.example", node=2)
    assert "was revoked 2026-01-02 (keyCompromise)" in explained.stdout
    shown = ready.ctl_json("cert", "show", authority.thumbprint("bob"), node=3)
    assert shown["revocation"] == {"status": "revoked", "revoked": "2026-01-02T00:00:00Z", "reason": "keyCompromise", "source": "crl"}
    assert shown["encryption"]["status"] == "REVOKED"
    good = ready.ctl_json("cert", "show", authority.thumbprint("dora"))["revocation"]
    assert good["status"] == "good" and good["until"]
    [listed] = ready.ctl_json("crl", "list")["items"]
    assert listed["name"] == "CN=Partner CA" and listed["entries"] == 1 and listed["in_force"]
    assert ready.ctl_json("crl", "show", listed["issuer"][:10])["items"] == [listed]


def incoming(authority, signer):
    entity = authority.sign(signer, b"Content-Type: text/plain\r\n\r\nSee you in court.\r\n")
    return f"From: {signer}@partner.example\r\nTo: {ALICE}\r\nSubject: Answer\r\n".encode() + crlf(entity)


def verdict(ready, authority, signer, node):
    content = incoming(authority, signer)
    [(_, came)] = arrives(ready, lambda: send(ready, node, f"{signer}@partner.example", [ALICE], content))
    return next(line for line in came.decode(errors="replace").splitlines() if line.lower().startswith("x-sealpost-signature:"))


def test_a_signature_by_what_is_revoked_or_denied_is_marked(ready, authority):
    assert " valid" in verdict(ready, authority, "erin", 1)
    assert " revoked" in verdict(ready, authority, "bob", 2)
    ready.ctl("ctl", "deny", authority.thumbprint("erin"), node=1)
    assert " untrusted" in verdict(ready, authority, "erin", 2)
    assert " untrusted" in verdict(ready, authority, "erin", 3)
    ready.ctl("ctl", "remove", authority.thumbprint("erin"))


def test_nothing_is_signed_with_what_is_revoked(ready, authority):
    def from_anna():
        sender, to = "anna@ours.example", "dora@partner.example"
        [(_, content)] = arrives(ready, lambda: send(ready, 3, sender, [to], letter(sender, to)))
        return authority.decrypt("dora", content)

    assert authority.verifies(from_anna())
    ready.ctl("crl", "import", authority.crl(20, ["bob", "anna"]), node=1)
    plain = from_anna()
    assert SECRET in plain and b"pkcs7-signature" not in plain
    ready.ctl("settings", "set", "sign.on_missing_key", "refuse")
    with pytest.raises(smtplib.SMTPDataError) as no:
        send(ready, 2, "anna@ours.example", ["dora@partner.example"], letter("anna@ours.example", "dora@partner.example"))
    assert "revoked" in no.value.smtp_error.decode()
    ready.ctl("settings", "unset", "sign.on_missing_key")


def test_hard_wants_a_list_that_has_not_ended(ready, authority):
    ready.ctl("settings", "set", "smime.revocation", "hard", node=2)
    for node in (1, 3):
        encrypted(ready, authority, node, "dora")
    issuer = ready.ctl_json("crl", "list")["items"][0]["issuer"]
    ready.ctl("crl", "remove", issuer, node=1)
    for node in (2, 3):
        refused(ready, node, "dora", "whether the certificate CN=dora was revoked is not known")
    ready.ctl("settings", "set", "smime.revocation", "soft", node=1)
    for node in (2, 3):
        encrypted(ready, authority, node, "dora")
    ready.ctl("crl", "import", authority.crl(21, ["bob"]))


def test_what_is_allowed_needs_no_anchor(ready, authority, tmp_path):
    stranger = Authority(tmp_path)
    stranger.issue("ivy", "ivy@partner.example")
    ready.ctl("cert", "import", stranger.path("ivy.pem"))
    refused(ready, 2, "ivy", "no path")
    ready.ctl("ctl", "allow", stranger.thumbprint("ivy"), "--comment", "checked by telephone", "--expires", "2099-01-01", node=1)
    for node in (2, 3):
        encrypted(ready, stranger, node, "ivy")
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 5))
    ready.ctl("ctl", "allow", stranger.thumbprint("ivy"), "--expires", soon, node=1)
    assert not ready.ctl_json("ctl", "list")["items"][0]["comment"], "an entry is replaced as a whole"
    ready.ctl("ctl", "remove", stranger.thumbprint("ivy"), node=2)
    refused(ready, 3, "ivy", "no path")


def test_bad_input_changes_nothing(ready, authority, tmp_path):
    stranger = Authority(tmp_path)
    stranger.issue("joe", "joe@partner.example")
    before = ready.ctl_json("crl", "list"), ready.ctl_json("ctl", "list")
    for what, says in (
        (["crl", "import", authority.path("ca.pem")], "no certificate revocation list"),
        (["crl", "import", authority.crl(3, ["bob"])], "newer"),
        (["crl", "import", stranger.crl(1, ["joe"])], "not by the key of CN=Partner CA"),
        (["crl", "show", "12345678"], "no list of this issuer"),
        (["crl", "remove", "xyz"], "64 hexadecimal digits"),
        (["ctl", "deny", "abc"], "64 hexadecimal digits"),
        (["ctl", "deny", "0123456789ab"], "no certificate"),
        (["ctl", "deny", authority.thumbprint("bob"), "--expires", "soon"], "it looks like 2027-01-31"),
        (["ctl", "deny", authority.thumbprint("bob"), "--expires", "2020-01-01"], "no time in the future"),
        (["ctl", "remove", authority.thumbprint("bob")], "not on the certificate trust list"),
        (["settings", "set", "smime.revocation", "harder"], "off|soft|hard"),
    ):
        result = ready.ctl(*what, code=None)
        assert result.returncode != 0, what
        assert says in result.stderr, (what, result.stderr)
    forged = bytearray(authority.crl(99, ["dora"], form="DER").read_bytes())
    forged[-1] ^= 1
    authority.path("forged.crl").write_bytes(forged)
    assert "signature" in ready.ctl("crl", "import", authority.path("forged.crl"), code=None).stderr
    after = ready.ctl_json("crl", "list"), ready.ctl_json("ctl", "list")
    assert before == after
    encrypted(ready, authority, 2, "dora")


def test_a_list_of_a_hundred_thousand(ready, authority):
    extra = [f"R\t300101000000Z\t260102000000Z,superseded\t{0x4000000000000000000000000000 + n * 7919:032X}\tunknown\t/CN=x{n}" for n in range(100000)]
    ready.ctl("crl", "import", authority.crl(50, ["bob", "frank"], extra=extra, form="DER"), node=2)
    assert ready.ctl_json("crl", "list", node=3)["items"][0]["entries"] == 100002
    for node in (1, 2, 3):
        refused(ready, node, "frank", "was revoked")
        encrypted(ready, authority, node, "dora")
    ready.ctl("crl", "import", authority.crl(51, ["bob"]), node=1)
    encrypted(ready, authority, 3, "frank")
    ready.verify()


@pytest.mark.parametrize("change", ["deny", "revoke"])
def test_a_node_that_does_not_hear_of_it_may_not_act_any_more(make_cluster, authority, change):
    """The acknowledgement waits for a node whose core stands still, until that node has lost its right to act on what it knows."""
    cluster = make_cluster(3)
    authority.issue("gina", "gina@partner.example")
    cluster.ctl("ca", "trust", authority.path("ca.pem"))
    cluster.ctl("cert", "import", authority.path("gina.pem"))
    cluster.ctl("settings", "set", "encrypt.mode", "mandatory", "--domain", "partner.example")
    cluster.ctl("settings", "set", "cluster.stale_after", "4s")
    leader = cluster.leader()
    deaf, asked = [node for node in (1, 2, 3) if node != leader]
    to = "gina@partner.example"
    arrives(cluster, lambda: send(cluster, deaf, ALICE, [to], letter(ALICE, to)))
    words = ["ctl", "deny", authority.thumbprint("gina")] if change == "deny" else ["crl", "import", authority.crl(70, ["gina"])]
    core = cluster.role_pid(deaf, "core")
    session = smtplib.SMTP("127.0.0.1", cluster.smtp_port(deaf), timeout=60)
    session.ehlo()
    assert session.mail(ALICE)[0] == 250 and session.rcpt(to)[0] == 250
    os.kill(core, signal.SIGSTOP)
    try:
        began = time.monotonic()
        cluster.ctl(*words, node=asked)
        assert time.monotonic() - began > 2, "acknowledged while a node could still act on what was before"
        before = len(cluster.sink.messages())
        assert session.data(letter(ALICE, to))[0] == 451, "MAIL came before, and it is decided only now"
        session.close()
        with pytest.raises(smtplib.SMTPException) as no:
            send(cluster, deaf, ALICE, [to], letter(ALICE, to))
        assert "451" in str(no.value) or "550" in str(no.value)
        refused(cluster, asked, "gina", "denied" if change == "deny" else "was revoked")
    finally:
        os.kill(core, signal.SIGCONT)
    cluster.ready(deaf)
    refused(cluster, deaf, "gina", "denied" if change == "deny" else "was revoked")
    assert len(cluster.sink.messages()) == before
