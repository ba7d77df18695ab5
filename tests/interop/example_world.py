"""The people of RFC 9216 (tests/interop/rfc9216/): keys and certificates as they are printed there, at one gateway."""
import base64
import email.utils
import pathlib

from partner import openssl
from peers import Peer

EXAMPLES = pathlib.Path(__file__).resolve().parent / "rfc9216"


def own_address(name):
    return f"{name}@smime.example"


class World(Peer):
    """Alice and Bob have RSA keys, Carlos and Dana Ed25519 and X25519; a PKCS #12 file each, whose password is the name, with a certificate for each use."""

    def __init__(self, gateway):
        super().__init__(gateway.authority)
        self.gateway, self.imported = gateway, {}
        for root in ("ca.rsa.crt", "ca.25519.crt"):
            gateway.cluster.ctl("ca", "trust", EXAMPLES / root)
        gateway.cluster.ctl("domain", "add", "smime.example", "--locality", "internal")
        for name in ("alice", "carlos", "dana"):
            self.imported[name] = gateway.cluster.ctl("key", "import", self.pkcs12(name), "--password-file", self.file(name.encode() + b"\n"), code=None)

    def pkcs12(self, name):
        return self.file(base64.b64decode("".join((EXAMPLES / f"{name}.p12").read_text().splitlines()[1:-1])))

    def key(self, name, use):
        """A private key, taken out of the PKCS #12 file by OpenSSL."""
        pem = openssl("pkcs12", "-legacy", "-in", self.pkcs12(name), "-passin", f"pass:{name}", "-nodes", "-nocerts").decode()
        public = openssl("x509", "-in", EXAMPLES / f"{name}.{use}.crt", "-noout", "-pubkey")
        for part in pem.split("-----BEGIN PRIVATE KEY-----")[1:]:
            path = self.file(("-----BEGIN PRIVATE KEY-----" + part).encode())
            if openssl("pkey", "-in", path, "-pubout") == public:
                return path
        raise AssertionError(f"{name} has no key for {use}")

    def letter(self, sender, recipient, entity):
        head = f"From: {sender}\r\nTo: {recipient}\r\nSubject: Answer\r\nDate: {email.utils.formatdate()}\r\nMIME-Version: 1.0\r\n".encode()
        return self.gateway.through(sender, recipient, head + entity).decode(errors="replace")
