"""A partner with a CA and keys of its own, made and used with OpenSSL's tool alone."""
import pathlib
import subprocess

GCM = "2.16.840.1.101.3.4.1.46"
# SMIMECapabilities with AES-256-GCM alone: SEQUENCE OF SEQUENCE { OID } (RFC 8551 section 2.5.2)
CAPABILITIES_GCM = "1.2.840.113549.1.9.15=DER:30:0D:30:0B:06:09:60:86:48:01:65:03:04:01:2E"


def openssl(*arguments, stdin=None, check=True):
    result = subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, timeout=60)
    if check and result.returncode != 0:
        raise AssertionError(f"openssl {arguments[0]}: {result.stderr.decode(errors='replace')}")
    return result.stdout if check else result


class Partner:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=Partner CA", "-keyout", self.path("ca.key"),
                "-out", self.path("ca.pem"), "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def path(self, name):
        return self.folder / name

    def issue(self, name, address, gcm=False, ec=False, days=365, not_after=None):
        """name.key, name.pem and name.p12 (password: secret) for a mail address."""
        wanted = repr((address, gcm, ec, days, not_after))
        if self.path(f"{name}.p12").exists():
            there = self.path(f"{name}.wanted").read_text()
            assert there == wanted, f"{name} was issued as {there} before, and now {wanted} is asked for: take another name"
            return
        self.path(f"{name}.wanted").write_text(wanted)
        if ec:
            openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.path(f"{name}.key"))
        else:
            openssl("genrsa", "-out", self.path(f"{name}.key"), "2048")
        openssl("req", "-new", "-key", self.path(f"{name}.key"), "-subj", f"/CN={name}", "-out", self.path(f"{name}.csr"))
        usage = "digitalSignature,keyAgreement" if ec else "digitalSignature,keyEncipherment"
        extensions = f"subjectAltName=email:{address}\nkeyUsage=critical,{usage}\nextendedKeyUsage=emailProtection\nbasicConstraints=critical,CA:FALSE\n"
        if gcm:
            extensions += CAPABILITIES_GCM + "\n"
        self.path(f"{name}.ext").write_text(extensions)
        if not_after:
            # `openssl x509 -req` of 3.0 takes no dates; `openssl ca` does.
            self.path("index.txt").write_text("")
            self.path("ca.cnf").write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.path('index.txt')}\nnew_certs_dir={self.folder}\nrand_serial=yes\n"
                                           f"default_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n")
            openssl("ca", "-batch", "-config", self.path("ca.cnf"), "-cert", self.path("ca.pem"), "-keyfile", self.path("ca.key"), "-notext",
                    "-startdate", "20200101000000Z", "-enddate", not_after, "-extfile", self.path(f"{name}.ext"), "-in", self.path(f"{name}.csr"),
                    "-out", self.path(f"{name}.pem"))
        else:
            openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path("ca.pem"), "-CAkey", self.path("ca.key"), "-CAcreateserial",
                    "-days", str(days), "-extfile", self.path(f"{name}.ext"), "-out", self.path(f"{name}.pem"))
        openssl("pkcs12", "-export", "-in", self.path(f"{name}.pem"), "-inkey", self.path(f"{name}.key"), "-passout", "pass:secret",
                "-out", self.path(f"{name}.p12"))
        self.path("secret").write_text("secret\n")

    def decrypt(self, name, message):
        return openssl("cms", "-decrypt", "-inkey", self.path(f"{name}.key"), "-recip", self.path(f"{name}.pem"), stdin=message)

    def structure(self, message):
        """What OpenSSL shows of the CMS object in a message."""
        return openssl("cms", "-cmsout", "-print", "-noout", stdin=message).decode(errors="replace")

    def verifies(self, message):
        return openssl("cms", "-verify", "-CAfile", self.path("ca.pem"), "-purpose", "any", stdin=message, check=False).returncode == 0

    def sign(self, name, entity, opaque=False):
        return openssl("cms", "-sign", "-md", "sha256", "-signer", self.path(f"{name}.pem"), "-inkey", self.path(f"{name}.key"),
                       *(["-nodetach"] if opaque else []), stdin=entity)

    def encrypt(self, names, entity, cipher="-aes256"):
        return openssl("cms", "-encrypt", cipher, *[self.path(f"{name}.pem") for name in names], stdin=entity)


def crlf(message):
    return message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
