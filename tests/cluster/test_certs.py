"""Certificates as administrators and mail bring them: learned, confirmed, bound, imported in bulk, found, exported."""
import email
import json
import smtplib
import time
from email.message import EmailMessage

import pytest

from conftest import running
from partner import Partner, crlf, openssl

SECRET = "the patient's name is Ada"
ALICE = "alice@ours.example"


def letter(sender, to, text=SECRET):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, "A letter"
    message.set_content(text + "\n")
    return message.as_bytes(policy=email.policy.SMTP)


def send(cluster, sender, recipient, content, node=1):
    """The one message that arrives."""
    before = len(cluster.sink.messages())
    with smtplib.SMTP("127.0.0.1", cluster.smtp_port(node), timeout=60) as session:
        session.sendmail(sender, [recipient], content)
    return cluster.sink.wait(before + 1)[before][1]


def signed(partner, signer, sender, *arguments):
    entity = openssl("cms", "-sign", "-md", "sha256", "-signer", partner.path(f"{signer}.pem"), "-inkey", partner.path(f"{signer}.key"), *arguments,
                     stdin=b"Content-Type: text/plain\r\n\r\nHello.\r\n")
    return f"From: {sender}\r\nTo: {ALICE}\r\nSubject: Signed\r\n".encode() + crlf(entity)


def certificates(cluster, *arguments, node=1):
    return cluster.ctl_json("cert", "list", *arguments, node=node)["items"]


def learned(cluster, address, count=1, node=1, seconds=10):
    """Harvesting happens after the mail: what is stored for the address, within some seconds."""
    end = time.monotonic() + seconds
    while True:
        found = certificates(cluster, "--address", address, node=node)
        if len(found) >= count or time.monotonic() > end:
            return found
        time.sleep(0.1)


def thumbprint(path):
    text = openssl("x509", "-in", path, "-noout", "-fingerprint", "-sha256").decode()
    return text.split("=")[1].strip().replace(":", "").lower()


@pytest.fixture(scope="module")
def partner(tmp_path_factory):
    return Partner(tmp_path_factory.mktemp("partner"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """A CA that nobody trusts."""
    return Partner(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(scope="module")
def ready(partner):
    with running(2) as cluster:
        partner.issue("alice", ALICE)
        cluster.ctl("ca", "trust", partner.path("ca.pem"))
        cluster.ctl("key", "import", partner.path("alice.p12"), "--password-file", partner.path("secret"))
        cluster.ctl("domain", "add", "ours.example", "--locality", "internal")
        yield cluster


@pytest.mark.parametrize("node", [1, 2])
def test_a_certificate_is_learned_and_used_with_what_it_can_read(ready, partner, node):
    address = f"bob{node}@partner.example"
    partner.issue(f"bob{node}", address)
    send(ready, address, ALICE, signed(partner, f"bob{node}", address), node=node)
    [found] = learned(ready, address)
    assert found["source"] == "harvest" and found["state"] == "active" and not found["trusted"]
    content = send(ready, ALICE, address, letter(ALICE, address))
    assert SECRET.encode() not in content
    assert SECRET.encode() in partner.decrypt(f"bob{node}", content)


def test_gcm_that_mail_announced_is_used(ready, partner):
    """Another Sealpost's signature announces AES-256-GCM: what it is answered is encrypted so."""
    partner.issue("eve", "eve@ours.example")
    ready.ctl("key", "import", partner.path("eve.p12"), "--password-file", partner.path("secret"))
    ready.ctl("settings", "set", "sign.mode", "always", "--user", "eve@ours.example")
    ready.ctl("settings", "set", "encrypt.mode", "none", "--user", "far@else.example")
    ours = send(ready, "eve@ours.example", "far@else.example", letter("eve@ours.example", "far@else.example"))
    ready.ctl("cert", "remove", thumbprint(partner.path("eve.pem")))
    body = ours[ours.index(b"\r\nFrom:") + 2:] if b"\r\nFrom:" in ours else ours
    send(ready, "eve@ours.example", ALICE, body)
    [found] = learned(ready, "eve@ours.example")
    assert "aes256-gcm" in found["capabilities"]
    ready.ctl("settings", "set", "domain.locality", "external", "--domain", "ours.example")
    try:
        content = send(ready, ALICE, "eve@ours.example", letter(ALICE, "eve@ours.example"))
        assert "aes-256-gcm" in partner.structure(content)
    finally:
        ready.ctl("settings", "set", "domain.locality", "internal", "--domain", "ours.example")


def test_what_nobody_trusts_is_not_learned_and_waits_with_all(ready, stranger):
    stranger.issue("sam", "sam@stranger.example")
    send(ready, "sam@stranger.example", ALICE, signed(stranger, "sam", "sam@stranger.example"))
    assert learned(ready, "sam@stranger.example", seconds=1.5) == []
    ready.ctl("settings", "set", "harvest.smime", "all", "--domain", "ours.example")
    try:
        send(ready, "sam@stranger.example", ALICE, signed(stranger, "sam", "sam@stranger.example"))
        [found] = learned(ready, "sam@stranger.example")
        assert found["state"] == "quarantine" and not found["trusted"]
    finally:
        ready.ctl("settings", "unset", "harvest.smime", "--domain", "ours.example")


def test_quarantine_until_confirmed(ready, partner):
    partner.issue("quin", "quin@partner.example")
    ready.ctl("settings", "set", "harvest.confirm", "yes")
    try:
        send(ready, "quin@partner.example", ALICE, signed(partner, "quin", "quin@partner.example"))
        [found] = learned(ready, "quin@partner.example")
    finally:
        ready.ctl("settings", "unset", "harvest.confirm")
    assert found["state"] == "quarantine"
    ready.ctl("settings", "set", "encrypt.mode", "mandatory", "--user", "quin@partner.example")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(ready, ALICE, "quin@partner.example", letter(ALICE, "quin@partner.example"))
    assert b"quarantine" in refused.value.smtp_error
    told = ready.ctl("policy", "explain", "--from", ALICE, "--to", "quin@partner.example").stdout
    assert "waits in quarantine to be confirmed" in told
    assert [c["thumbprint"] for c in certificates(ready, "--state", "quarantine", "--address", "quin@partner.example")] == [found["thumbprint"]]
    assert "active" in ready.ctl("cert", "confirm", found["thumbprint"][:12]).stdout
    content = send(ready, ALICE, "quin@partner.example", letter(ALICE, "quin@partner.example"), node=2)
    assert SECRET.encode() in partner.decrypt("quin", content)


@pytest.mark.parametrize("on_change,states", [("review", ["active", "quarantine"]), ("replace", ["active", "replaced"]), ("keep", ["active"])])
def test_a_change_of_key(ready, partner, on_change, states):
    address = f"{on_change}@partner.example"
    partner.issue(f"{on_change}1", address)
    partner.issue(f"{on_change}2", address)
    ready.ctl("cert", "import", partner.path(f"{on_change}1.pem"))
    ready.ctl("settings", "set", "key.on_change", on_change)
    try:
        send(ready, address, ALICE, signed(partner, f"{on_change}2", address))
        found = learned(ready, address, len(states), seconds=10 if len(states) > 1 else 2)
    finally:
        ready.ctl("settings", "unset", "key.on_change")
    assert sorted(c["state"] for c in found) == states
    content = send(ready, ALICE, address, letter(ALICE, address))
    used = f"{on_change}2" if on_change == "replace" else f"{on_change}1"
    assert SECRET.encode() in partner.decrypt(used, content)


def test_a_domain_certificate_counts_both_ways(ready, partner, stranger):
    """The partner's gateway has one certificate for all, of a CA that we do not know: its fingerprint was confirmed."""
    stranger.issue("gateway", "gateway@far.example")
    ready.ctl("cert", "import", stranger.path("gateway.pem"))
    before = send(ready, "x@far.example", ALICE, signed(stranger, "gateway", "x@far.example"))
    assert b"X-Sealpost-Signature: untrusted" in before
    fingerprint = openssl("x509", "-in", stranger.path("gateway.pem"), "-noout", "-fingerprint", "-sha256").decode().split("=")[1].strip()
    wrong = ready.ctl("cert", "domain-confirm", "far.example", "--fingerprint", "00" * 32, code=None)
    assert wrong.returncode != 0 and "import" in wrong.stderr
    ready.ctl("cert", "domain-confirm", "far.example", "--fingerprint", fingerprint)
    after = send(ready, "x@far.example", ALICE, signed(stranger, "gateway", "x@far.example"))
    assert b"X-Sealpost-Signature: valid" in after and b"by=domain" in after
    other = send(ready, "x@else.example", ALICE, signed(stranger, "gateway", "x@else.example"))
    assert b"X-Sealpost-Signature: untrusted" in other
    content = send(ready, ALICE, "anybody@far.example", letter(ALICE, "anybody@far.example"))
    assert SECRET.encode() in stranger.decrypt("gateway", content)
    # and ours: mail to the domain's certificate is opened for each address of the domain
    partner.issue("oursgw", "gateway@ours.example")
    ready.ctl("key", "import", partner.path("oursgw.p12"), "--password-file", partner.path("secret"))
    ready.ctl("cert", "bind", thumbprint(partner.path("oursgw.pem")), "--domain", "ours.example")
    published = ready.ctl("domain", "dns-record", "ours.example").stdout
    assert f'_sealpost._smime.ours.example. IN TXT "v=sp1; sha256={thumbprint(partner.path("oursgw.pem"))}"' in published
    entity = partner.encrypt(["oursgw"], b"Content-Type: text/plain\r\n\r\nFor whom it may concern.\r\n")
    came = send(ready, "x@far.example", "carl@ours.example", b"From: x@far.example\r\nTo: carl@ours.example\r\nSubject: s\r\n" + crlf(entity))
    assert b"For whom it may concern." in came and b"X-Sealpost-Encryption: decrypted" in came


def test_bound_by_hand(ready, partner):
    partner.issue("hand", "hand@partner.example")
    ready.ctl("cert", "import", partner.path("hand.pem"))
    plain = send(ready, ALICE, "team@partner.example", letter(ALICE, "team@partner.example"))
    assert SECRET.encode() in plain
    print_ = thumbprint(partner.path("hand.pem"))
    ready.ctl("cert", "bind", print_, "--user", "Team@Partner.example")
    shown = ready.ctl("cert", "show", print_, node=2).stdout
    assert "team@partner.example" in shown
    content = send(ready, ALICE, "team@partner.example", letter(ALICE, "team@partner.example"))
    assert SECRET.encode() in partner.decrypt("hand", content)
    ready.ctl("cert", "unbind", print_, "team@partner.example")
    assert SECRET.encode() in send(ready, ALICE, "team@partner.example", letter(ALICE, "team@partner.example"))
    assert ready.ctl("cert", "unbind", print_, "team@partner.example", code=None).returncode != 0
    assert ready.ctl("cert", "bind", print_, code=None).returncode != 0, "to what?"


def test_newest_alone_and_escrow(ready, partner):
    address = "two@partner.example"
    for name in ("two1", "two2"):
        partner.issue(name, address)
        ready.ctl("cert", "import", partner.path(f"{name}.pem"))
        time.sleep(1.1)  # notBefore has whole seconds
    assert partner.structure(send(ready, ALICE, address, letter(ALICE, address))).count("d.ktri") == 2
    ready.ctl("settings", "set", "cert.select", "newest", "--user", address)
    content = send(ready, ALICE, address, letter(ALICE, address))
    assert partner.structure(content).count("d.ktri") == 1 and SECRET.encode() in partner.decrypt("two2", content)
    partner.issue("escrow", "escrow@ours.example")
    ready.ctl("cert", "import", partner.path("escrow.pem"))
    ready.ctl("settings", "set", "encrypt.also_to", thumbprint(partner.path("escrow.pem")), "--domain", "ours.example")
    content = send(ready, ALICE, address, letter(ALICE, address))
    assert SECRET.encode() in partner.decrypt("escrow", content) and SECRET.encode() in partner.decrypt("two2", content)
    ready.ctl("cert", "remove", thumbprint(partner.path("escrow.pem")))
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(ready, ALICE, address, letter(ALICE, address))
    assert b"encrypt.also_to" in refused.value.smtp_error
    ready.ctl("settings", "unset", "encrypt.also_to", "--domain", "ours.example")
    assert ready.ctl("settings", "set", "encrypt.also_to", "1234", code=None).returncode != 0


def test_bulk_reports_each_and_export_gives_them_back(ready, partner, tmp_path):
    """Thousands in one file, a broken one among them, and a folder; openssl reads what is exported."""
    key = partner.path("bulk.key")
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    blocks = []
    for i in range(450):
        pem = openssl("req", "-x509", "-new", "-key", key, "-days", "30", "-subj", f"/O=Bulk Works/CN=Clerk{i}", "-addext", f"subjectAltName=email:clerk{i}@bulk.example")
        blocks.append(pem)
    blocks[7] = b"-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"
    blocks[8] = b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"
    blocks[9] = blocks[10]
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "all.pem").write_bytes(b"".join(blocks))
    (folder / "one.der").write_bytes(openssl("x509", "-in", partner.path("ca.pem"), "-outform", "DER"))
    result = ready.ctl("cert", "import", "--bulk", folder, "-o", "json", code=None)
    report = json.loads(result.stdout)
    assert result.returncode != 0 and (report["added"], report["exists"], report["refused"]) == (447, 2, 2), report["refused"]
    assert [i["index"] for i in report["items"] if i["result"] == "refused"] == [7, 8]
    assert all(i["reason"] for i in report["items"] if i["result"] == "refused")
    again = json.loads(ready.ctl("cert", "import", "--bulk", folder / "all.pem", "-o", "json", code=None).stdout)
    assert (again["added"], again["exists"]) == (0, 448)
    assert not any(c["trusted"] for c in certificates(ready, "--domain", "bulk.example"))
    # found by words, domain, a beginning of the thumbprint
    assert len(certificates(ready, "--search", "clerk44 bulk")) == 11  # clerk44 and clerk440 to 449
    assert certificates(ready, "--search", "lerk44") == []  # beginnings of words alone
    assert len(certificates(ready, "--domain", "bulk.example")) == 447
    assert len(certificates(ready, "--search", "works", "--source", "import")) == 447
    one = certificates(ready, "--address", "clerk3@bulk.example")[0]
    assert [c["thumbprint"] for c in certificates(ready, "--search", one["thumbprint"][:9])] == [one["thumbprint"]]
    assert one["thumbprint"] in [c["thumbprint"] for c in ready.ctl_json("cert", "expiring", "--days", "31")["items"]]
    assert one["thumbprint"] not in [c["thumbprint"] for c in ready.ctl_json("cert", "expiring", "--days", "29")["items"]]
    for form in ("pem", "der"):
        out = tmp_path / f"one.{form}"
        ready.ctl("cert", "export", one["thumbprint"], "--format", form, "--file", out)
        assert thumbprint(out) == one["thumbprint"]
    ready.ctl("cert", "export", "--address", "bob1@partner.example", "--chain", "--format", "pkcs7", "--file", tmp_path / "b.p7b")
    listed = openssl("pkcs7", "-inform", "DER", "-in", tmp_path / "b.p7b", "-print_certs", "-noout").decode()
    assert "Partner CA" in listed and "bob1" in listed


def test_nonsense_is_refused_with_what_would_be_right(ready):
    for path in ("?expires_before=soon", "?state=lost", "?after=zz", "?search=.", "?domain=a..b"):
        answer = ready.api("GET", "/v1/certificates" + path)
        assert answer.status == 400 and answer.json["detail"], path
    assert ready.api("POST", "/v1/certificates/bulk", {"data": "bm9uc2Vuc2U="}).status == 400
    assert ready.api("GET", "/v1/certificates/export").status == 400
    assert ready.api("POST", "/v1/certificates/0123456789/state", {"state": "active"}).status == 404
