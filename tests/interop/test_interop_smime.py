"""S/MIME with OpenSSL, NSS and GnuPG, each algorithm in each direction; docs/interoperability.md is the same matrix for people.

What a peer cannot do is a row too, that expects the peer's refusal in its own words: when a newer version learns it, or something else goes wrong, the
test says so.
"""
import contextlib
import zlib

import pytest

import ed25519
from ed25519 import tlv
from peers import ALICE, SECRET, Cannot, GpgSm, Nss, OpenSsl, address, clear_signed, clear_signed_of, cms_of, pkcs7_mime

PEERS = {"openssl": OpenSsl, "nss": Nss, "gpgsm": GpgSm}
ENTITY = f"Content-Type: text/plain\r\n\r\n{SECRET}\r\n".encode()


@pytest.fixture(scope="module")
def peers(authority):
    made = {name: kind(authority) for name, kind in PEERS.items()}
    yield made
    for peer in made.values():
        peer.end()


def rows(table, cannot):
    """A parameter for each peer and row, with what the peer says when it cannot; cannot: {(peer, row): what it says}."""
    for peer in PEERS:
        for row, values in table.items():
            yield pytest.param(peer, values, cannot.get((peer, row)), id=f"{peer}-{row}")


@contextlib.contextmanager
def refusal(words):
    """What is done with the peer succeeds, or, with these words (an expression), is refused by the peer with them."""
    if words is None:
        yield
        return
    with pytest.raises(Cannot, match=words):
        yield


# --- what we encrypt: row -> recipient, settings ---
ENCRYPTED = {
    "aes128-cbc": ("bob", {"smime__cipher": "aes128-cbc", "smime__key_transport": "pkcs1"}),
    "aes192-cbc": ("bob", {"smime__cipher": "aes192-cbc", "smime__key_transport": "pkcs1"}),
    "aes256-cbc": ("bob", {"smime__cipher": "aes256-cbc", "smime__key_transport": "pkcs1"}),
    "aes128-gcm": ("bob", {"smime__cipher": "aes128-gcm", "smime__key_transport": "pkcs1"}),
    "aes192-gcm": ("bob", {"smime__cipher": "aes192-gcm", "smime__key_transport": "pkcs1"}),
    "aes256-gcm": ("bob", {"smime__cipher": "aes256-gcm", "smime__key_transport": "pkcs1"}),
    "oaep": ("bob", {"smime__cipher": "aes256-cbc", "smime__key_transport": "oaep"}),
    "ecdh-p256": ("carl", {"smime__cipher": "aes128-cbc"}),
    "ecdh-p384": ("cora", {"smime__cipher": "aes192-gcm"}),
    "ecdh-p521": ("cleo", {"smime__cipher": "aes256-gcm"}),
}
# What the peers of Debian 12 say: NSS 3.87, gpgsm 2.2.40, OpenSSL 3.0.
NSS_GCM = "SEC_ERROR_UNRECOGNIZED_OID"  # knows no AuthEnvelopedData
NSS_EC = "SEC_ERROR_BAD_DER"  # has no template for key agreement
NSS_OAEP = "SEC_ERROR_UNSUPPORTED_KEYALG"
GPG_GCM = "error getting IV: Buffer too short"  # reads the parameters of GCM as an IV
GPG_EC = "error decrypting session key: No secret key"  # it can import no EC key from PKCS #12
GPG_OAEP = "error getting encrypted session key"
CANNOT_DECRYPT = {
    **{("nss", row): NSS_GCM for row in ("aes128-gcm", "aes192-gcm", "aes256-gcm")},
    ("nss", "ecdh-p256"): NSS_EC,
    **{("nss", row): NSS_GCM for row in ("ecdh-p384", "ecdh-p521")},
    ("nss", "oaep"): NSS_OAEP,
    **{("gpgsm", row): GPG_GCM for row in ("aes128-gcm", "aes192-gcm", "aes256-gcm")},
    ("gpgsm", "ecdh-p256"): GPG_EC,
    **{("gpgsm", row): GPG_GCM for row in ("ecdh-p384", "ecdh-p521")},
    ("gpgsm", "oaep"): GPG_OAEP,
}


@pytest.mark.parametrize("peer, row, cannot", rows(ENCRYPTED, CANNOT_DECRYPT))
def test_the_peer_decrypts_ours(gateway, peers, peer, row, cannot):
    recipient, settings = row
    content = gateway.out(address(recipient), **settings)
    assert SECRET.encode() not in content
    with refusal(cannot):
        inner = peers[peer].decrypt(recipient, cms_of(content))
        _, signed, signature = clear_signed_of(inner)
        assert SECRET.encode() in signed
        peers[peer].verify(signature, signed)
    if cannot:  # it is the peer: OpenSSL reads the same message, and the peer says the same of one that OpenSSL wrote
        assert SECRET.encode() in peers["openssl"].decrypt(recipient, cms_of(content))
        cipher = settings["smime__cipher"].replace("aes", "aes-")
        oaep = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"] if settings.get("smime__key_transport") == "oaep" else []
        with refusal(cannot):
            peers[peer].decrypt(recipient, peers["openssl"].encrypt(recipient, ENTITY, cipher, oaep))


def test_the_certificate_says_what_the_peer_reads(gateway, peers, authority):
    """Everything on auto: Dora's certificate announces AES-128-GCM and OAEP, and gets just that."""
    shown = gateway.cluster.ctl_json("cert", "show", gateway.thumbprint("dora"))
    assert sorted(shown["capabilities"]) == ["aes128-gcm", "rsa-oaep-sha256"]
    content = gateway.out("dora@partner.example")
    structure = authority.structure(content).lower()
    assert "aes-128-gcm" in structure and "rsaesoaep" in structure
    assert SECRET.encode() in peers["openssl"].decrypt("dora", cms_of(content))


# --- what we sign: row -> sender, settings, micalg ---
SIGNED = {
    "rsa-sha256": ("alice", {"smime__digest": "sha256", "smime__pss": "no"}, "sha-256"),
    "rsa-sha384": ("alice", {"smime__digest": "sha384", "smime__pss": "no"}, "sha-384"),
    "rsa-sha512": ("alice", {"smime__digest": "sha512", "smime__pss": "no"}, "sha-512"),
    "pss-sha256": ("alice", {"smime__digest": "sha256", "smime__pss": "yes"}, "sha-256"),
    "pss-sha512": ("alice", {"smime__digest": "sha512", "smime__pss": "yes"}, "sha-512"),
    "ecdsa-p256": ("erna", {"smime__digest": "sha256"}, "sha-256"),
    "ecdsa-p384": ("emil", {"smime__digest": "sha384"}, "sha-384"),
    "ecdsa-p521": ("ella", {"smime__digest": "sha512"}, "sha-512"),
    "ed25519": ("eddy", {}, "sha-512"),
}
CANNOT_VERIFY = {  # OpenSSL and gpgsm have no EdDSA in CMS, NSS no Ed25519 at all; gpgsm fails on P-521
    ("openssl", "ed25519"): "eddsa_digest_signverify_init:invalid digest",
    ("nss", "ed25519"): "status=ProcessingError",
    ("gpgsm", "ed25519"): "DSA requires the hash length to be a multiple of 8 bits",
    ("gpgsm", "ecdsa-p521"): "DSA requires the hash length to be a multiple of 8 bits",
}


@pytest.mark.parametrize("opaque", ["no", "yes"], ids=["clear", "opaque"])
@pytest.mark.parametrize("peer, row, cannot", rows(SIGNED, CANNOT_VERIFY))
def test_the_peer_verifies_ours(gateway, peers, peer, row, cannot, opaque):
    sender, settings, micalg = row
    gateway.set(address(sender), sign__mode="always")
    content = gateway.out("stranger@nowhere.example", sender=address(sender), smime__opaque=opaque, **settings)
    if opaque == "yes":
        signature, signed = cms_of(content), None
    else:
        said, signed, signature = clear_signed_of(content)
        assert said == micalg and SECRET.encode() in signed
    with refusal(cannot):
        peers[peer].verify(signature, signed)
    if cannot:  # it is the peer: what OpenSSL or Python signed with that key is refused alike
        files = [gateway.authority.path(f"{sender}.{end}").read_bytes() for end in ("pem", "key")]
        other = ed25519.sign(ENTITY, *files, detached=False) if sender == "eddy" else peers["openssl"].sign(sender, ENTITY, "sha512")
        with refusal(cannot):
            peers[peer].verify(other)


# --- what the peer encrypts ---

def arrives(gateway, entity, sender="bob@partner.example"):
    head = f"From: {sender}\r\nTo: {ALICE}\r\nSubject: Answer\r\nMIME-Version: 1.0\r\n".encode()
    return gateway.through(sender, ALICE, head + entity).decode(errors="replace")


def opened(gateway, der, cipher, kind="enveloped-data"):
    content = arrives(gateway, pkcs7_mime(der, kind))
    assert SECRET in content and "X-Sealpost-Encryption: decrypted" in content and f"cipher={cipher}" in content, content[:2000]
    return content


OPENSSL_ENCRYPTS = {
    "aes128-cbc": ("alice", "aes-128-cbc", [], "aes128-cbc"),
    "aes192-cbc": ("alice", "aes-192-cbc", [], "aes192-cbc"),
    "aes256-cbc": ("alice", "aes-256-cbc", [], "aes256-cbc"),
    "aes128-gcm": ("alice", "aes-128-gcm", [], "aes128-gcm"),
    "aes192-gcm": ("alice", "aes-192-gcm", [], "aes192-gcm"),
    "aes256-gcm": ("alice", "aes-256-gcm", [], "aes256-gcm"),
    "3des": ("alice", "des3", [], "3des"),
    "des": ("alice", "des", [], "des"),
    "rc2-128": ("alice", "rc2", [], "rc2"),
    "rc2-64": ("alice", "rc2-64", [], "rc2"),
    "rc2-40": ("alice", "rc2-40", [], "rc2"),
    "oaep-sha1": ("alice", "aes-256-cbc", ["-keyopt", "rsa_padding_mode:oaep"], "aes256-cbc"),
    "oaep-sha256": ("alice", "aes-256-cbc", ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"], "aes256-cbc"),
    "oaep-sha512": ("alice", "aes-256-gcm", ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha512"], "aes256-gcm"),
    "ecdh-p256-sha1": ("erna", "aes-128-cbc", ["-keyopt", "ecdh_kdf_md:sha1"], "aes128-cbc"),
    "ecdh-p256-sha256": ("erna", "aes-256-cbc", ["-keyopt", "ecdh_kdf_md:sha256"], "aes256-cbc"),
    "ecdh-p384-sha384": ("emil", "aes-192-gcm", ["-keyopt", "ecdh_kdf_md:sha384"], "aes192-gcm"),
    "ecdh-p521-sha512": ("ella", "aes-256-gcm", ["-keyopt", "ecdh_kdf_md:sha512"], "aes256-gcm"),
    "key-identifier": ("alice", "aes-256-cbc", ["-keyid"], "aes256-cbc"),
    "indefinite-length": ("alice", "aes-256-gcm", ["-stream", "-indef"], "aes256-gcm"),
}


@pytest.mark.parametrize("row", OPENSSL_ENCRYPTS.values(), ids=OPENSSL_ENCRYPTS.keys())
def test_we_decrypt_openssl(gateway, peers, row):
    name, cipher, options, told = row
    der = peers["openssl"].encrypt(name, ENTITY, cipher, options)
    head = f"From: bob@partner.example\r\nTo: {address(name)}\r\nMIME-Version: 1.0\r\n".encode()
    content = gateway.through("bob@partner.example", address(name), head + pkcs7_mime(der, "enveloped-data")).decode()
    assert SECRET in content and f"cipher={told}" in content
    assert ("weak=yes" in content) == (told in ("3des", "des", "rc2"))


def test_we_decrypt_nss(gateway, peers):
    opened(gateway, peers["nss"].encrypt("alice", ENTITY), "aes128-cbc")


def test_nss_does_not_encrypt_to_a_curve(peers):
    with refusal("SEC_ERROR_INVALID_ALGORITHM"):
        peers["nss"].encrypt("carl", ENTITY)


@pytest.mark.parametrize("cipher, told", [("AES", "aes128-cbc"), ("AES192", "aes192-cbc"), ("AES256", "aes256-cbc"), ("3DES", "3des")])
def test_we_decrypt_gpgsm(gateway, peers, cipher, told):
    opened(gateway, peers["gpgsm"].encrypt("alice", ENTITY, cipher), told)


@pytest.mark.parametrize("name", ["erna", "emil", "ella"])
def test_gpgsm_does_not_encrypt_to_a_curve(peers, name):
    with refusal("ksba_cms_set_enc_val failed: Invalid S-expression|Provided object is too short"):
        peers["gpgsm"].encrypt(name, ENTITY)


# --- what the peer signs ---
PEER_SIGNS = {f"{name}-{digest}": (name, digest) for name in ("bob", "carl", "cora", "cleo") for digest in ("sha256", "sha384", "sha512")}
CANNOT_SIGN = {("gpgsm", row): "No secret key" for row in PEER_SIGNS if not row.startswith("bob")}


@pytest.mark.parametrize("detached", [True, False], ids=["clear", "opaque"])
@pytest.mark.parametrize("peer, row, cannot", rows(PEER_SIGNS, CANNOT_SIGN))
def test_we_verify_the_peer(gateway, peers, peer, row, cannot, detached):
    name, digest = row
    with refusal(cannot):
        der = peers[peer].sign(name, ENTITY, digest, detached=detached)
    if cannot:
        return
    entity = clear_signed(ENTITY, der, digest.replace("sha", "sha-")) if detached else pkcs7_mime(der, "signed-data")
    content = arrives(gateway, entity, address(name))
    assert f"X-Sealpost-Signature: valid; signer={address(name)}" in content
    changed = clear_signed(ENTITY.replace(b"Ada", b"Eve"), der, digest.replace("sha", "sha-"))
    assert "X-Sealpost-Signature: invalid" in arrives(gateway, changed, address(name))


@pytest.mark.parametrize("digest", ["sha256", "sha512"])
def test_we_verify_pss_of_openssl(gateway, peers, digest):
    der = peers["openssl"].sign("bob", ENTITY, digest, ["-keyopt", "rsa_padding_mode:pss"])
    assert "X-Sealpost-Signature: valid" in arrives(gateway, pkcs7_mime(der, "signed-data"))


@pytest.mark.parametrize("digest", ["sha1", "md5"])
def test_old_digests_of_openssl_are_invalid(gateway, peers, digest):
    der = peers["openssl"].sign("bob", ENTITY, digest)
    assert "X-Sealpost-Signature: invalid" in arrives(gateway, pkcs7_mime(der, "signed-data"))


def test_python_verifies_our_ed25519(gateway, authority):
    certificate = authority.path("eddy.pem").read_bytes()
    _, signed, der = clear_signed_of(gateway.out("stranger@nowhere.example", sender=address("eddy"), smime__opaque="no"))
    types = ed25519.verify(der, signed, certificate)
    for attribute in ("06092a864886f70d010905", "06092a864886f70d01090f", "060b2a864886f70d010910022f"):  # time, capabilities, signingCertificateV2
        assert bytes.fromhex(attribute) in types
    with pytest.raises(AssertionError):
        ed25519.verify(der, signed + b"x", certificate)


@pytest.mark.parametrize("detached", [True, False], ids=["clear", "opaque"])
def test_we_verify_ed25519_of_python(gateway, authority, detached):
    name, files = "eddy", (authority.path("eddy.pem").read_bytes(), authority.path("eddy.key").read_bytes())
    der = ed25519.sign(ENTITY, *files, detached=detached)
    entity = clear_signed(ENTITY, der, "sha-512") if detached else pkcs7_mime(der, "signed-data")
    assert f"X-Sealpost-Signature: valid; signer={address(name)}" in arrives(gateway, entity, address(name))
    if detached:
        assert "X-Sealpost-Signature: invalid" in arrives(gateway, clear_signed(ENTITY.replace(b"Ada", b"Eve"), der, "sha-512"), address(name))
    der = der[:-1] + bytes([der[-1] ^ 1])
    entity = clear_signed(ENTITY, der, "sha-512") if detached else pkcs7_mime(der, "signed-data")
    assert "X-Sealpost-Signature: invalid" in arrives(gateway, entity, address(name))


def test_our_ed25519_goes_round_through_the_outside(gateway):
    sent = gateway.out("stranger@nowhere.example", sender=address("eddy"), smime__opaque="no")
    body = sent[sent.index(b"Content-Type: multipart/signed"):]
    assert f"X-Sealpost-Signature: valid; signer={address('eddy')}" in arrives(gateway, body, address("eddy"))


# --- both, and compressed ---

def test_signed_and_encrypted_both_ways(gateway, peers):
    for name, peer in peers.items():
        signed = pkcs7_mime(peer.sign("bob", ENTITY), "signed-data")
        content = arrives(gateway, pkcs7_mime(peer.encrypt("alice", signed), "enveloped-data"))
        assert "X-Sealpost-Signature: valid; signer=bob@partner.example" in content and "X-Sealpost-Encryption: decrypted" in content, name


def test_compressed_by_python_inside_openssl(gateway, peers):
    """CompressedData (RFC 3274) by Python's zlib: no tool of Debian 12 writes it."""
    inside = tlv(0x30, bytes.fromhex("06092a864886f70d010701") + tlv(0xa0, tlv(0x04, zlib.compress(ENTITY))))
    data = tlv(0x30, b"\x02\x01\x00" + bytes.fromhex("300d060b2a864886f70d0109100308") + inside)
    der = tlv(0x30, bytes.fromhex("060b2a864886f70d0109100109") + tlv(0xa0, data))
    packed = pkcs7_mime(der, "compressed-data")
    assert SECRET in arrives(gateway, packed)
    opened(gateway, peers["openssl"].encrypt("alice", packed), "aes256-cbc")


def test_python_unpacks_ours(gateway, peers):
    content = gateway.out("bob@partner.example", smime__cipher="aes256-cbc", smime__key_transport="pkcs1", smime__compress="yes")
    gateway.set("bob@partner.example", smime__compress="no")
    der = cms_of(peers["openssl"].decrypt("bob", cms_of(content)))
    assert bytes.fromhex("060b2a864886f70d0109100109") in der
    assert SECRET.encode() in zlib.decompressobj().decompress(der[der.index(b"\x78\x9c"):])
