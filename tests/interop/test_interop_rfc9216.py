"""The keys and certificates that RFC 9216 publishes (tests/interop/rfc9216/): taken in as they are printed, and used with OpenSSL as the other side."""
import email.policy
import smtplib
from email.message import EmailMessage

import pytest

from example_world import EXAMPLES, own_address
from peers import SECRET, clear_signed, clear_signed_of, cms_of, pkcs7_mime

ENTITY = f"Content-Type: text/plain\r\n\r\n{SECRET}\r\n".encode()


@pytest.mark.parametrize("name", ["alice", "carlos", "dana"])
def test_what_rfc_9216_prints_is_taken_in(world, name):
    result = world.imported[name]
    assert result.returncode == 0 and result.stdout.count(own_address(name)) == 2, result.stdout + result.stderr


def test_alice_of_rfc_9216_reads_what_bob_signed_and_encrypted(world):
    bob = ["-signer", EXAMPLES / "bob.sign.crt", "-inkey", world.key("bob", "sign")]
    signed = world.run("openssl", "cms", "-sign", "-binary", "-outform", "DER", *bob, stdin=ENTITY)
    sealed = world.run("openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-cbc", "-recip", EXAMPLES / "alice.encrypt.crt",
                       stdin=clear_signed(ENTITY, signed, "sha-256"))
    content = world.letter("bob@smime.example", "alice@smime.example", pkcs7_mime(sealed, "enveloped-data"))
    assert SECRET in content and "X-Sealpost-Encryption: decrypted" in content
    assert "X-Sealpost-Signature: valid; signer=bob@smime.example" in content, content[:1500]


def test_both_keys_of_a_file_are_taken_in(world):
    world.gateway.set("alice@smime.example", sign__mode="always")
    explained = world.gateway.cluster.ctl("policy", "explain", "--from", "alice@smime.example", "--to", "bob@partner.example").stdout
    assert "the sender has no usable key" not in explained


def test_bob_of_rfc_9216_reads_what_alice_sends(world):
    """Bob is outside here: his certificates only. The one for encryption is taken for that, and Alice's for signing to sign."""
    cluster = world.gateway.cluster
    for use in ("sign", "encrypt"):
        cluster.ctl("cert", "import", EXAMPLES / f"bob.{use}.crt")
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "alice@smime.example", "bob@smime.example", "A letter"
    message.set_content(SECRET + "\n")
    cluster.ctl("settings", "set", "domain.locality", "external", "--domain", "smime.example")
    world.gateway.set("bob@smime.example", smime__cipher="aes256-cbc", smime__key_transport="pkcs1", encrypt__mode="mandatory")
    world.gateway.set("alice@smime.example", sign__mode="always")
    content = world.gateway.through("alice@smime.example", "bob@smime.example", message.as_bytes(policy=email.policy.SMTP))
    inner = world.run("openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-inkey", world.key("bob", "encrypt"),
                      "-recip", EXAMPLES / "bob.encrypt.crt", stdin=cms_of(content))
    _, signed, signature = clear_signed_of(inner)
    said = world.run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-CAfile", EXAMPLES / "ca.rsa.crt", "-content", world.file(signed),
                     stdin=signature)
    assert SECRET.encode() in said


def test_nothing_is_encrypted_to_x25519_of_rfc_9216(world):
    """OpenSSL 3.0's CMS has no X25519 (RFC 8418): Carlos' certificate is taken in, and has no use; mandatory refuses and says so."""
    cluster = world.gateway.cluster
    cluster.ctl("settings", "set", "domain.locality", "external", "--domain", "smime.example")
    world.gateway.set("carlos@smime.example", encrypt__mode="mandatory")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        world.gateway.through("alice@smime.example", "carlos@smime.example",
                              f"From: alice@smime.example\r\nTo: carlos@smime.example\r\nSubject: x\r\n\r\n{SECRET}\r\n".encode())
    assert b"carlos@smime.example" in refused.value.smtp_error
    explained = cluster.ctl("policy", "explain", "--from", "alice@smime.example", "--to", "carlos@smime.example").stdout
    assert "not made for encryption" in explained and "REFUSED" in explained, explained
