"""Roots, intermediates and people with the extensions that tell where lists, issuers and responders are; made with OpenSSL's tool."""
import pathlib

from partner import openssl


class Authority:
    """A root or, with `issuer`, an intermediate CA. Files lie in `folder` as NAME.pem, NAME.key."""

    def __init__(self, folder, name, issuer=None, aia=None, crl=None, ocsp=None, freshest=None):
        self.folder, self.name, self.issuer = pathlib.Path(folder), name, issuer
        self.folder.mkdir(parents=True, exist_ok=True)
        openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", self.path("key"), "-out", self.path("csr"))
        extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
        signer = issuer or self
        if issuer:
            extensions += "authorityKeyIdentifier=keyid\n" + places(aia, crl, ocsp, freshest)
        self._sign(signer, self.name, extensions, self_signed=issuer is None)
        self.database = self.folder / f"{name}.index"
        self.database.write_text("")
        (self.folder / f"{name}.number").write_text("01\n")
        self.config = self.folder / f"{name}.cnf"
        self.config.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.database}\ncrlnumber={self.folder}/{name}.number\nnew_certs_dir={self.folder}\n"
                               f"rand_serial=yes\ndefault_md=sha256\npolicy=p\nunique_subject=no\ncrl_extensions=c\n"
                               f"[p]\ncommonName=supplied\n[c]\nauthorityKeyIdentifier=keyid\n")

    def path(self, kind):
        return self.folder / f"{self.name}.{kind}"

    def _sign(self, signer, name, extensions, self_signed=False, days=3650):
        (self.folder / f"{name}.ext").write_text(extensions)
        authority = ["-signkey", signer.path("key")] if self_signed else ["-CA", signer.path("pem"), "-CAkey", signer.path("key"), "-CAcreateserial"]
        openssl("x509", "-req", "-in", self.folder / f"{name}.csr", *authority, "-days", str(days), "-extfile", self.folder / f"{name}.ext",
                "-out", self.folder / f"{name}.pem")

    def issue(self, name, address, aia=None, crl=None, ocsp=None, freshest=None):
        openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.csr")
        self._sign(self, name, f"subjectAltName=email:{address}\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=emailProtection\n"
                   f"basicConstraints=critical,CA:FALSE\nauthorityKeyIdentifier=keyid\n" + places(aia, crl, ocsp, freshest), days=365)
        return self.folder / f"{name}.pem"

    def issue_server(self, name, *hosts):
        """For a server of these names; key and chain in one file, as Python's ssl wants them."""
        openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.csr")
        names = ",".join(f"DNS:{host}" for host in hosts)
        self._sign(self, name, f"subjectAltName={names}\nextendedKeyUsage=serverAuth\nbasicConstraints=critical,CA:FALSE\nauthorityKeyIdentifier=keyid\n", days=365)
        both = self.folder / f"{name}.both"
        both.write_bytes((self.folder / f"{name}.pem").read_bytes() + (self.folder / f"{name}.key").read_bytes())
        return both

    def issue_between(self, name, address, begin, end):
        """As issue(), for a time (YYYYMMDDHHMMSSZ) that may be over."""
        self.issue(name, address)
        openssl("ca", "-batch", "-config", self.config, "-cert", self.path("pem"), "-keyfile", self.path("key"), "-notext", "-startdate", begin, "-enddate", end,
                "-extfile", self.folder / f"{name}.ext", "-in", self.folder / f"{name}.csr", "-out", self.folder / f"{name}.pem")

    def der(self, name=None):
        return openssl("x509", "-in", self.folder / f"{name or self.name}.pem", "-outform", "DER")

    def p7c(self):
        return openssl("crl2pkcs7", "-nocrl", "-certfile", self.path("pem"), "-outform", "DER")

    def revoke(self, name):
        openssl("ca", "-batch", "-config", self.config, "-cert", self.path("pem"), "-keyfile", self.path("key"), "-revoke", self.folder / f"{name}.pem")

    def known(self, name):
        """The certificate is in the authority's book, so that its responder answers `good`."""
        openssl("ca", "-batch", "-config", self.config, "-cert", self.path("pem"), "-keyfile", self.path("key"), "-valid", self.folder / f"{name}.pem")

    def crl(self, hours=24, dates=None, base=None, freshest=None):
        """DER of a list that is good for so long; dates: (lastUpdate, nextUpdate) as YYYYMMDDHHMMSSZ. base: it is a delta upon the list of that
        number. freshest: where the list says that its deltas are."""
        extensions = ["authorityKeyIdentifier=keyid"] + ([f"deltaCRL=critical,ASN1:INTEGER:{base}"] if base else [])
        extensions += [f"freshestCRL=URI:{freshest}"] if freshest else []
        text = self.config.read_text()
        self.config.write_text(text[:text.index("[c]\n")] + "[c]\n" + "\n".join(extensions) + "\n")
        when = ["-crl_lastupdate", dates[0], "-crl_nextupdate", dates[1]] if dates else ["-crlhours", str(hours)]
        openssl("ca", "-gencrl", "-batch", "-config", self.config, "-cert", self.path("pem"), "-keyfile", self.path("key"), *when, "-out", self.path("crl"))
        return openssl("crl", "-in", self.path("crl"), "-outform", "DER")

    def sign(self, name, entity, *chain):
        more = [a for c in chain for a in ("-certfile", c.path("pem"))]
        return openssl("cms", "-sign", "-md", "sha256", "-signer", self.folder / f"{name}.pem", "-inkey", self.folder / f"{name}.key", *more, stdin=entity)

    def decrypt(self, name, message):
        return openssl("cms", "-decrypt", "-inkey", self.folder / f"{name}.key", "-recip", self.folder / f"{name}.pem", stdin=message)


def places(aia=None, crl=None, ocsp=None, freshest=None):
    access = [f"caIssuers;URI:{u}" for u in ([aia] if isinstance(aia, str) else aia or [])] + [f"OCSP;URI:{u}" for u in ([ocsp] if isinstance(ocsp, str) else ocsp or [])]
    lines = "authorityInfoAccess=" + ",".join(access) + "\n" if access else ""
    lines += f"crlDistributionPoints=URI:{crl}\n" if crl else ""
    return lines + (f"freshestCRL=URI:{freshest}\n" if freshest else "")
