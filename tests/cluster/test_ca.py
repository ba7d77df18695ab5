"""The CA for users' certificates: made on one node, used on all; checked with openssl from outside."""
import concurrent.futures
import email
import email.policy
import json
import smtplib
import time
from email.message import EmailMessage

import pytest

from partner import openssl

TEXT = "the patient's name is Ada"


def letter(sender, to, text=TEXT):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, "A letter"
    message.set_content(text + "\n")
    return message.as_bytes(policy=email.policy.SMTP)


def send(cluster, node, sender, to):
    """What arrives at the other side."""
    before = len(cluster.sink.messages())
    with smtplib.SMTP("127.0.0.1", cluster.smtp_port(node), timeout=60) as session:
        session.sendmail(sender, [to], letter(sender, to))
    return cluster.sink.wait(before + 1)[before][1]


def is_signed(content):
    return b"multipart/signed" in content


def verifies(content, folder, roots):
    (folder / "message").write_bytes(content)
    return openssl("cms", "-verify", "-in", folder / "message", "-CAfile", roots, "-out", folder / "plain", "-signer", folder / "signer.pem",
                   check=False).returncode == 0


@pytest.fixture(scope="module")
def ready(cluster, tmp_path_factory):
    """A root and an intermediate, made on different nodes; p256 keys, so that sanitised programs are quick."""
    folder = tmp_path_factory.mktemp("ca")
    cluster.ctl("domain", "add", "ours.example", "--locality", "internal")
    cluster.ctl("settings", "set", "sign.mode", "always", "--domain", "ours.example")
    cluster.ctl("settings", "set", "ca.key_type", "p256")
    cluster.ctl("settings", "set", "ca.crl_url", "http://pki.ours.example/crl/{ca}.crl")
    cluster.ctl("ca", "create", "root", "--subject", "CN=Ours Root,O=Ours,C=DE", "--key", "p384", node=1)
    cluster.ctl("ca", "create", "mail", "--subject", "CN=Ours Mail CA", "--key", "p256", "--issuer", "root", node=2)
    cluster.ctl("settings", "set", "ca.default", "mail")
    for name in ("root", "mail"):
        (folder / f"{name}.pem").write_text(cluster.ctl_json("ca", "show", name, node=3)["pem"])
    cluster.tmp = folder
    return cluster


def issue(cluster, address, *options, node=1):
    [item] = cluster.ctl_json("ca", "issue", address, *options, node=node)["items"]
    return item


def certificate(cluster, thumbprint, node=1):
    path = cluster.tmp / f"{thumbprint[:16]}.pem"
    path.write_text(cluster.ctl_json("cert", "show", thumbprint, node=node)["pem"])
    return path


def crl(cluster, name, node=1):
    answer = cluster.api("GET", f"/crl/{name}.crl", node=node, token=False)
    assert answer.status == 200 and answer.headers["content-type"] == "application/pkix-crl"
    path = cluster.tmp / f"{name}.crl"
    path.write_bytes(openssl("crl", "-inform", "DER", stdin=answer.body))
    return path


def test_a_certificate_issued_on_one_node_signs_on_another(ready):
    item = issue(ready, "Alice@ours.example", "--name", "Alice Liddell", node=1)
    assert item["address"] == "alice@ours.example" and item["state"] == "valid" and item["uses"] == ["sign", "encrypt"]
    content = send(ready, 2, "alice@ours.example", "x@else.example")
    assert is_signed(content) and verifies(content, ready.tmp, ready.tmp / "root.pem")
    subject = openssl("x509", "-in", ready.tmp / "signer.pem", "-noout", "-subject", "-ext", "subjectAltName,keyUsage,extendedKeyUsage").decode()
    assert "Alice Liddell" in subject and "email:alice@ours.example" in subject and "E-mail Protection" in subject


def test_openssl_verifies_what_is_issued_with_the_lists(ready):
    path = certificate(ready, issue(ready, "verify@ours.example")["thumbprint"])
    openssl("verify", "-x509_strict", "-crl_check_all", "-purpose", "smimesign", "-CAfile", ready.tmp / "root.pem", "-untrusted", ready.tmp / "mail.pem",
            "-CRLfile", crl(ready, "mail", node=2), "-CRLfile", crl(ready, "root", node=3), path)
    assert "http://pki.ours.example/crl/mail.crl" in openssl("x509", "-in", path, "-noout", "-ext", "crlDistributionPoints").decode()


def test_an_address_gets_one_certificate_unless_another_is_asked_for(ready):
    issue(ready, "one@ours.example")
    refused = ready.ctl("ca", "issue", "one@ours.example", node=2, code=2)
    assert "has a certificate already" in refused.stderr
    issue(ready, "one@ours.example", "--another", node=2)
    assert len(ready.ctl_json("ca", "issued", "mail", "--address", "one@ours.example")["items"]) == 2


def test_two_certificates_with_the_dual_profile(ready):
    ready.ctl("settings", "set", "ca.profile", "dual", "--domain", "ours.example")
    try:
        items = ready.ctl_json("ca", "issue", "dual@ours.example")["items"]
    finally:
        ready.ctl("settings", "unset", "ca.profile", "--domain", "ours.example")
    assert sorted(i["uses"] for i in items) == [["encrypt"], ["sign"]]
    assert is_signed(send(ready, 3, "dual@ours.example", "x@else.example"))


def test_rows_of_a_file_are_reported_one_by_one(ready):
    path = ready.tmp / "users.csv"
    path.write_text('address,name\nrow1@ours.example,"Row, One"\nno address\n\nrow2@ours.example\nrow1@ours.example\n')
    result = ready.ctl("ca", "issue", "--csv", path, code=2)
    assert "row1@ours.example" in result.stdout and "row2@ours.example" in result.stdout
    assert "line 3" in result.stderr and "line 6" in result.stderr and "already" in result.stderr
    path = certificate(ready, ready.ctl_json("ca", "issued", "mail", "--address", "row1@ours.example")["items"][0]["thumbprint"])
    assert "Row, One" in openssl("x509", "-in", path, "-noout", "-subject").decode()


@pytest.mark.parametrize("arguments,says", [
    (("ca", "create", "Bad Name", "--subject", "CN=x"), "lower-case"),
    (("ca", "create", "default", "--subject", "CN=x"), "cannot be the name"),
    (("ca", "create", "bad", "--subject", "XX=x"), "unknown type"),
    (("ca", "create", "bad", "--subject", "CN=x", "--issuer", "nobody"), "there is no CA"),
    (("ca", "create", "bad", "--subject", "CN=x", "--issuer", "mail"), "may not have a CA below it"),
    (("ca", "create", "root", "--subject", "CN=x"), "already"),
    (("ca", "issue", "nobody"), "address"),
    (("ca", "issue", "x@ours.example", "--ca", "nobody"), "there is no CA"),
    (("ca", "remove", "root"), "has issued"),
    (("ca", "revoke", "00000000"), "no CA of this cluster has issued"),
])
def test_what_is_wrong_is_told(ready, arguments, says):
    result = ready.ctl(*arguments, code=None)
    assert result.returncode != 0 and says in result.stderr


def test_a_cas_certificate_stays_while_the_ca_is_there(ready):
    thumbprint = ready.ctl_json("ca", "show", "mail")["thumbprint"]
    assert "remove the CA first" in ready.ctl("cert", "remove", thumbprint, code=2).stderr


def test_a_revoked_certificate_is_on_the_list_and_signs_no_more(ready):
    item = issue(ready, "leaver@ours.example", node=1)
    path = certificate(ready, item["thumbprint"])
    assert is_signed(send(ready, 3, "leaver@ours.example", "x@else.example"))
    before = ready.ctl_json("ca", "show", "mail")["crl_number"]
    revoked = ready.ctl_json("ca", "revoke", item["thumbprint"][:12], "--reason", "keyCompromise", node=2)
    assert revoked["state"] == "revoked" and revoked["reason"] == "keyCompromise"
    for node in (1, 2, 3):
        assert not is_signed(send(ready, node, "leaver@ours.example", "x@else.example"))
    text = openssl("crl", "-in", crl(ready, "mail", node=3), "-noout", "-text").decode()
    assert item["serial"].upper() in text.replace(":", "") and "Key Compromise" in text
    assert ready.ctl_json("ca", "show", "mail")["crl_number"] == before + 1
    checked = openssl("verify", "-crl_check", "-CAfile", ready.tmp / "root.pem", "-untrusted", ready.tmp / "mail.pem", "-CRLfile", ready.tmp / "mail.crl", path,
                      check=False)
    assert checked.returncode != 0 and b"revoked" in checked.stderr
    assert "revoked already" in ready.ctl("ca", "revoke", item["thumbprint"], code=2).stderr
    issue(ready, "leaver@ours.example", node=3)  # back again: a new one
    assert is_signed(send(ready, 1, "leaver@ours.example", "x@else.example"))


def test_revoking_on_all_nodes_at_once_loses_none(ready):
    items = [issue(ready, f"gone{n}@ours.example") for n in range(6)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda i: ready.ctl("ca", "revoke", items[i]["thumbprint"], node=1 + i % 3), range(6)))
    text = openssl("crl", "-in", crl(ready, "mail"), "-noout", "-text").decode().replace(":", "")
    assert all(item["serial"].upper() in text for item in items)


def test_a_revoked_ca_signs_no_more_on_any_node(ready):
    ready.ctl("ca", "create", "fallen", "--subject", "CN=Fallen CA", "--key", "p256", "--issuer", "root", node=1)
    issue(ready, "fallen@ours.example", "--ca", "fallen", node=2)
    assert is_signed(send(ready, 3, "fallen@ours.example", "x@else.example"))
    shown = ready.ctl_json("ca", "revoke-ca", "fallen", "--reason", "cACompromise", node=2)
    assert shown["reason"] == "cACompromise" and shown["revoked_since"]
    for node in (1, 2, 3):
        assert not is_signed(send(ready, node, "fallen@ours.example", "x@else.example"))
    (ready.tmp / "fallen.pem").write_text(ready.ctl_json("ca", "show", "fallen")["pem"])
    checked = openssl("verify", "-crl_check", "-CAfile", ready.tmp / "root.pem", "-CRLfile", crl(ready, "root", node=3), ready.tmp / "fallen.pem", check=False)
    assert checked.returncode != 0 and b"revoked" in checked.stderr
    assert "is revoked" in ready.ctl("ca", "issue", "other@ours.example", "--ca", "fallen", code=4).stderr
    assert "is revoked" in ready.ctl("ca", "trust", ready.tmp / "fallen.pem", code=None).stderr
    issue(ready, "fallen@ours.example", node=3)  # of the other CA
    assert is_signed(send(ready, 1, "fallen@ours.example", "x@else.example"))
