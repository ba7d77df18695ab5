"""An LDAP directory of one's own: Debian's slapd with a folder of its own, on 127.0.0.1 and a free port."""
import base64
import pathlib
import socket
import subprocess
import time

SUFFIX = "dc=partner,dc=example"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Directory:
    """people: {mail address: DER of the certificate}"""

    def __init__(self, folder, people):
        self.folder = pathlib.Path(folder)
        (self.folder / "db").mkdir(parents=True)
        self.port = free_port()
        self.config = self.folder / "slapd.conf"
        self.config.write_text(f"include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\ninclude /etc/ldap/schema/inetorgperson.schema\n"
                               f"modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {self.folder}/pid\n"
                               f"database mdb\nsuffix {SUFFIX}\ndirectory {self.folder}/db\nindex mail eq\n")
        entries = [f"dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\ndc: partner\no: Partner\n"]
        for address, der in people.items():
            name = address.split("@")[0]
            entries.append(f"dn: cn={name},{SUFFIX}\nobjectClass: inetOrgPerson\ncn: {name}\nsn: {name}\nmail: {address}\n"
                           f"userCertificate;binary:: {base64.b64encode(der).decode()}\n")
        (self.folder / "people.ldif").write_text("\n".join(entries))
        subprocess.run(["/usr/sbin/slapadd", "-f", self.config, "-l", self.folder / "people.ldif"], check=True, capture_output=True, timeout=60)
        self.process = None

    @property
    def lookup(self):
        return f"ldap://127.0.0.1:{self.port}/{SUFFIX}?userCertificate;binary?sub?(mail=%s)"

    def start(self):
        self.process = subprocess.Popen(["/usr/sbin/slapd", "-d", "256", "-f", str(self.config), "-h", f"ldap://127.0.0.1:{self.port}/"],
                                        stdout=subprocess.DEVNULL, stderr=open(self.folder / "log", "ab"))
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        raise RuntimeError("slapd does not listen")

    def searches(self):
        return (self.folder / "log").read_text(errors="replace").count(" SRCH base=")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None
