"""RFC 8419 in Python, from the RFC alone: no tool of Debian 12 has Ed25519 in CMS. The curve is python3-cryptography's."""
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import serialization

DATA = bytes.fromhex("06092a864886f70d010701")
SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
CONTENT_TYPE = bytes.fromhex("06092a864886f70d010903")
MESSAGE_DIGEST = bytes.fromhex("06092a864886f70d010904")
SHA512 = bytes.fromhex("300b0609608648016503040203")
ED25519 = bytes.fromhex("300506032b6570")


def tlv(tag, content):
    length = len(content)
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag]) + (bytes([length]) if length < 0x80 else bytes([0x80 | len(octets)]) + octets) + content


def elements(der):
    """(tag, content, whole) of each element of DER."""
    found = []
    while der:
        length, head = der[1], 2
        if length & 0x80:
            head += length & 0x7F
            length = int.from_bytes(der[2:head], "big")
        assert head + length <= len(der)
        found.append((der[0], der[head:head + length], der[:head + length]))
        der = der[head + length:]
    return found


def verify(der, content, certificate_pem):
    """Asserts that this SignedData is Ed25519's as RFC 8419 wants it, over the content, by the certificate. The types of its attributes."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    (_, whole, _), = elements(der)
    kind, explicit = elements(whole)
    assert kind[2] == SIGNED_DATA and explicit[0] == 0xA0
    (_, data, _), = elements(explicit[1])
    version, digests, encapsulated, certificates, infos = elements(data)
    assert version[1] == b"\x01" and digests[1] == SHA512 and elements(encapsulated[1])[0][2] == DATA
    assert certificate.public_bytes(serialization.Encoding.DER) in [e[2] for e in elements(certificates[1])]
    (_, info, _), = elements(infos[1])
    version, identifier, digest, attributes, algorithm, signature = elements(info)
    assert version[1] == b"\x01" and digest[2] == SHA512 and algorithm[2] == ED25519
    assert int.from_bytes(elements(identifier[1])[1][1], "big") == certificate.serial_number
    members = [e[2] for e in elements(attributes[1])]
    assert attributes[0] == 0xA0 and members == sorted(members), "a SET OF in DER is sorted"
    values = {elements(e[1])[0][2]: elements(e[1])[1][1] for e in elements(attributes[1])}
    assert values[CONTENT_TYPE] == DATA
    assert elements(values[MESSAGE_DIGEST])[0][1] == hashlib.sha512(content).digest()
    certificate.public_key().verify(signature[1], b"\x31" + attributes[2][1:])
    return set(values)


def sign(content, certificate_pem, key_pem, detached=True):
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    key = serialization.load_pem_private_key(key_pem, None)
    members = sorted([tlv(0x30, CONTENT_TYPE + tlv(0x31, DATA)), tlv(0x30, MESSAGE_DIGEST + tlv(0x31, tlv(0x04, hashlib.sha512(content).digest())))])
    attributes = tlv(0x31, b"".join(members))
    serial = certificate.serial_number
    identifier = certificate.issuer.public_bytes() + tlv(0x02, serial.to_bytes(serial.bit_length() // 8 + 1, "big"))
    info = tlv(0x30, b"\x02\x01\x01" + tlv(0x30, identifier) + SHA512 + b"\xa0" + attributes[1:] + ED25519 + tlv(0x04, key.sign(attributes)))
    encapsulated = tlv(0x30, DATA + (b"" if detached else tlv(0xA0, tlv(0x04, content))))
    data = tlv(0x30, b"\x02\x01\x01" + tlv(0x31, SHA512) + encapsulated + tlv(0xA0, certificate.public_bytes(serialization.Encoding.DER)) + tlv(0x31, info))
    return tlv(0x30, SIGNED_DATA + tlv(0xA0, data))
