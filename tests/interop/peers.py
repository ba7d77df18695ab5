"""Programs of others that make and read CMS: OpenSSL's tool, NSS (cmsutil), GnuPG (gpgsm). Each has the same certificates, and four words:
decrypt, verify (detached or not), sign, encrypt; all with the DER of a CMS object. A peer that cannot raises Cannot with what it said."""
import base64
import email
import pathlib
import shutil
import subprocess
import tempfile

from partner import Partner, openssl

ALICE = "alice@ours.example"
SECRET = "the patient's name is Ada"
# name: arguments of openssl genpkey. Senders behind the gateway, and recipients outside.
KEYS = {
    "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "p256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "p521": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    "ed25519": ["-algorithm", "ED25519"],
}
OURS = {"alice": "rsa", "erna": "p256", "emil": "p384", "ella": "p521", "eddy": "ed25519"}
THEIRS = {"bob": "rsa", "carl": "p256", "cora": "p384", "cleo": "p521", "dora": "rsa"}
# SMIMECapabilities (RFC 4262) of Dora's certificate: AES-128-GCM, and OAEP with SHA-256 and MGF1 with SHA-256.
DORA_READS = ("3049" "300b0609608648016503040106" "303a06092a864886f70d010107302d"
              "a00d300b0609608648016503040201" "a11c301a06092a864886f70d010108300d06096086480165030402010500")


class Cannot(Exception):
    pass


def address(name):
    return f"{name}@{'ours' if name in OURS else 'partner'}.example"


class Authority(Partner):
    """A CA that both sides trust, and a certificate for everybody."""

    def __init__(self, folder):
        super().__init__(folder)
        self.path("secret").write_text("secret\n")
        for name, kind in {**OURS, **THEIRS}.items():
            openssl("genpkey", *KEYS[kind], "-out", self.path(f"{name}.key"))
            openssl("req", "-new", "-key", self.path(f"{name}.key"), "-subj", f"/CN={name}", "-out", self.path(f"{name}.csr"))
            usage = {"rsa": ",keyEncipherment", "ed25519": ""}.get(kind, ",keyEncipherment,keyAgreement")
            self.path(f"{name}.ext").write_text(f"subjectAltName=email:{address(name)}\nkeyUsage=critical,digitalSignature{usage}\n"
                                                "extendedKeyUsage=emailProtection\nbasicConstraints=critical,CA:FALSE\n"
                                                + (f"1.2.840.113549.1.9.15=DER:{DORA_READS}\n" if name == "dora" else ""))
            openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path("ca.pem"), "-CAkey", self.path("ca.key"), "-CAcreateserial",
                    "-days", "365", "-extfile", self.path(f"{name}.ext"), "-out", self.path(f"{name}.pem"))
            openssl("pkcs12", "-export", "-legacy", "-in", self.path(f"{name}.pem"), "-inkey", self.path(f"{name}.key"), "-name", name,
                    "-passout", "pass:secret", "-out", self.path(f"{name}.p12"))


class Peer:
    def __init__(self, authority):
        self.authority = authority
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sealpost-peer-"))
        self.number = 0

    def end(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def file(self, content):
        self.number += 1
        path = self.folder / f"{self.number}"
        path.write_bytes(content)
        return path

    def run(self, *arguments, stdin=None, environment=None):
        result = subprocess.run([str(a) for a in arguments], input=stdin, capture_output=True, timeout=60, env=environment)
        if result.returncode != 0:
            raise Cannot(result.stderr.decode(errors="replace"))
        return result.stdout


class OpenSsl(Peer):
    def decrypt(self, name, der):
        a = self.authority
        return self.run("openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-inkey", a.path(f"{name}.key"), "-recip", a.path(f"{name}.pem"), stdin=der)

    def verify(self, der, content=None):
        detached = [] if content is None else ["-content", self.file(content)]
        return self.run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-CAfile", self.authority.path("ca.pem"), "-purpose", "any", *detached,
                        stdin=der)

    def sign(self, name, entity, digest="sha256", options=(), detached=False):
        a = self.authority
        return self.run("openssl", "cms", "-sign", "-binary", "-outform", "DER", "-md", digest, "-signer", a.path(f"{name}.pem"), "-inkey", a.path(f"{name}.key"),
                        *([] if detached else ["-nodetach"]), *options, stdin=entity)

    def encrypt(self, name, entity, cipher="aes-256-cbc", options=()):
        return self.run("openssl", "cms", "-encrypt", "-provider", "legacy", "-provider", "default", "-binary", "-outform", "DER", f"-{cipher}",
                        "-recip", self.authority.path(f"{name}.pem"), *options, stdin=entity)


class Nss(Peer):
    def __init__(self, authority):
        super().__init__(authority)
        self.database = f"sql:{self.folder}"
        self.run("certutil", "-N", "-d", self.database, "--empty-password")
        self.run("certutil", "-A", "-d", self.database, "-n", "CA", "-t", "C,C,C", "-i", authority.path("ca.pem"))
        for name, kind in THEIRS.items():
            self.run("pk12util", "-i", authority.path(f"{name}.p12"), "-d", self.database, "-W", "secret", "-K", "")
        self.run("certutil", "-A", "-d", self.database, "-n", "alice", "-t", ",,", "-i", authority.path("alice.pem"))

    def tool(self, *arguments):
        return self.run("cmsutil", *arguments, "-d", self.database)

    def decrypt(self, name, der):
        return self.tool("-D", "-i", self.file(der))

    def verify(self, der, content=None):
        detached = [] if content is None else ["-c", self.file(content)]
        said = self.tool("-D", "-h", "1", "-i", self.file(der), *detached)
        if b"status=GoodSignature" not in said:
            raise Cannot(said.decode(errors="replace"))
        return said

    def sign(self, name, entity, digest="sha256", detached=False):
        return self.tool("-S", "-N", name, "-G", "-P", "-H", digest.upper(), *(["-T"] if detached else []), "-i", self.file(entity))

    def encrypt(self, name, entity):
        return self.tool("-E", "-r", address(name), "-i", self.file(entity))


class GpgSm(Peer):
    def __init__(self, authority):
        super().__init__(authority)
        self.folder.chmod(0o700)
        self.environment = {"GNUPGHOME": str(self.folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C"}
        (self.folder / "gpgsm.conf").write_text("batch\ndisable-crl-checks\ndisable-dirmngr\ndisable-policy-checks\npinentry-mode loopback\nno-secmem-warning\n")
        (self.folder / "gpg-agent.conf").write_text("allow-loopback-pinentry\n")
        print_of = openssl("x509", "-in", authority.path("ca.pem"), "-noout", "-fingerprint", "-sha1").decode().strip().split("=")[1]
        (self.folder / "trustlist.txt").write_text(f"{print_of} S relax\n")
        self.tool("--import", authority.path("ca.pem"))
        for name in [*OURS, *THEIRS]:
            self.tool("--import", authority.path(f"{name}.pem"))
        self.tool("--import", authority.path("bob.p12"))  # gpgsm 2.2.40 crashes on EC keys in PKCS #12

    def end(self):
        subprocess.run(["gpgconf", "--kill", "all"], env=self.environment, timeout=60, check=False)
        super().end()

    def tool(self, *arguments):
        return self.run("gpgsm", "--passphrase-fd", "0", *arguments, stdin=b"secret\n", environment=self.environment)

    def decrypt(self, name, der):
        return self.tool("--decrypt", self.file(der))

    def verify(self, der, content=None):
        return self.tool("--verify", self.file(der), *([] if content is None else [self.file(content)]))

    def sign(self, name, entity, digest="sha256", detached=False):
        return self.tool("--digest-algo", digest.upper(), "--local-user", address(name), *(["--detach-sign"] if detached else ["--sign"]), self.file(entity))

    def encrypt(self, name, entity, cipher="AES256"):
        return self.tool("--cipher-algo", cipher, "-r", address(name), "--encrypt", self.file(entity))


# --- MIME around CMS ---

def cms_of(message):
    """The DER in an application/pkcs7-mime message or entity."""
    parsed = email.message_from_bytes(message)
    assert parsed.get_content_type() == "application/pkcs7-mime", parsed.get_content_type()
    return parsed.get_payload(decode=True)


def clear_signed_of(message):
    """micalg, the signed bytes, and the DER of the signature of a multipart/signed."""
    parsed = email.message_from_bytes(message)
    assert parsed.get_content_type() == "multipart/signed", parsed.get_content_type()
    boundary = parsed.get_param("boundary").encode()
    parts = (b"\r\n" + message.split(b"\r\n\r\n", 1)[1]).split(b"\r\n--" + boundary)
    return parsed.get_param("micalg"), parts[1].removeprefix(b"\r\n"), parsed.get_payload()[1].get_payload(decode=True)


def pkcs7_mime(der, kind):
    return (f"Content-Type: application/pkcs7-mime; smime-type={kind}; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode()
            + base64.encodebytes(der).replace(b"\n", b"\r\n"))


def clear_signed(entity, der, micalg):
    return (f'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg="{micalg}"; boundary=b1\r\n\r\n--b1\r\n'.encode() + entity
            + b"\r\n--b1\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64.encodebytes(der).replace(b"\n", b"\r\n") + b"\r\n--b1--\r\n")
