"""Debian's Thunderbird as the other side: it reads in its window what Sealpost made, and Sealpost opens what it composes.

What Thunderbird cannot is a row that expects its refusal: when a newer version learns it, the test says so.
"""
import pytest

from peers import SECRET, address
from test_interop_smime import ENCRYPTED, SIGNED
from thunderbird import Thunderbird

BOB = "bob@partner.example"
READS = {
    **{row: ENCRYPTED[row] for row in ("aes128-cbc", "aes192-cbc", "aes256-cbc", "oaep", "ecdh-p256")},
    "ecdh-p384": ("cora", {"smime__cipher": "aes192-cbc"}),
    "ecdh-p521": ("cleo", {"smime__cipher": "aes256-cbc"}),
}
CANNOT_READ = {row: ENCRYPTED[row] for row in ("aes128-gcm", "aes256-gcm", "ecdh-p521")}
VERIFIES = [*((row, "no") for row in SIGNED if row != "ed25519"), *((row, "yes") for row in ("rsa-sha256", "pss-sha256", "ecdsa-p256"))]


@pytest.fixture(scope="module")
def thunderbird(authority):
    program = Thunderbird(authority)
    yield program
    program.end()


@pytest.mark.parametrize("row", READS)
def test_thunderbird_reads_what_we_encrypt(gateway, thunderbird, row):
    recipient, settings = READS[row]
    seen = thunderbird.read(gateway.out(address(recipient), **settings))
    assert SECRET in seen["body"] and seen["encrypted"] == 0 and seen["signed"] == 0 and "A letter" in seen["subject"], seen


@pytest.mark.parametrize("row", CANNOT_READ)
def test_thunderbird_does_not_read_gcm(gateway, thunderbird, row):
    recipient, settings = CANNOT_READ[row]
    seen = thunderbird.read(gateway.out(address(recipient), **settings))
    assert SECRET not in seen["body"] and seen["encrypted"] != 0, seen


def signed(gateway, row, opaque):
    sender, settings, _ = SIGNED[row]
    gateway.set(address(sender), sign__mode="always")
    return gateway.out("stranger@nowhere.example", sender=address(sender), smime__opaque=opaque, **settings)


@pytest.mark.parametrize("row, opaque", VERIFIES, ids=[f"{row}-{'opaque' if opaque == 'yes' else 'clear'}" for row, opaque in VERIFIES])
def test_thunderbird_verifies_what_we_sign(gateway, thunderbird, row, opaque):
    seen = thunderbird.read(signed(gateway, row, opaque))
    assert SECRET in seen["body"] and seen["signed"] == 0 and seen["encrypted"] == -1, seen


def test_thunderbird_sees_what_was_changed(gateway, thunderbird):
    seen = thunderbird.read(signed(gateway, "rsa-sha256", "no").replace(b"Ada", b"Eve"))
    assert "Eve" in seen["body"] and seen["signed"] > 0, seen


def test_thunderbird_does_not_verify_ed25519(gateway, thunderbird):
    seen = thunderbird.read(signed(gateway, "ed25519", "no"))
    assert SECRET in seen["body"] and seen["signed"] > 0, seen


def test_thunderbird_shows_a_hidden_subject_in_the_text(gateway, thunderbird):
    """Thunderbird 153 knows no header protection in encrypted S/MIME: it is for such programs that RFC 9788 has the legacy display part."""
    content = gateway.out(BOB, smime__cipher="aes256-cbc", smime__key_transport="pkcs1", protect__headers="hide-subject")
    gateway.set(BOB, protect__headers="sign")
    assert b"A letter" not in content
    seen = thunderbird.read(content)
    assert "[...]" in seen["subject"] and "Subject: A letter" in seen["body"], seen
    assert SECRET in seen["body"] and seen["encrypted"] == 0 and seen["signed"] == 0, seen


@pytest.mark.parametrize("sender, recipient", [("bob", "alice"), ("carl", "erna"), ("cora", "emil"), ("cleo", "ella")])
@pytest.mark.parametrize("sign, encrypt", [(True, False), (False, True), (True, True)], ids=["signed", "encrypted", "both"])
def test_we_read_what_thunderbird_composes(gateway, thunderbird, sender, recipient, sign, encrypt):
    sender, recipient = address(sender), address(recipient)
    composed = thunderbird.compose(sender, recipient, SECRET + "\r\n", sign, encrypt)
    assert (SECRET.encode() in composed) == (not encrypt)
    content = gateway.through(sender, recipient, composed).decode()
    assert SECRET in content
    assert (f"X-Sealpost-Signature: valid; signer={sender}" in content) == sign
    assert ("X-Sealpost-Encryption: decrypted" in content) == encrypt
