"""Other programs that speak S/MIME, against one node over real SMTP. The fixtures of whole clusters are those of tests/cluster/conftest.py."""
import email.policy
import email.utils
import hashlib
import importlib.util
import pathlib
import smtplib
import ssl
import sys
from email.message import EmailMessage

import pytest

_path = pathlib.Path(__file__).resolve().parents[1] / "cluster" / "conftest.py"
_spec = importlib.util.spec_from_file_location("cluster_conftest", _path)
_clusters = importlib.util.module_from_spec(_spec)
sys.modules["cluster_conftest"] = _clusters
_spec.loader.exec_module(_clusters)
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from example_world import World  # noqa: E402
from peers import ALICE, OURS, SECRET, THEIRS, Authority  # noqa: E402

class Gateway:
    """One node with a key for each kind of sender, and a certificate of each kind of recipient."""

    def __init__(self, cluster, authority):
        self.cluster, self.authority, self.sent = cluster, authority, {}
        cluster.ctl("ca", "trust", authority.path("ca.pem"))
        cluster.ctl("domain", "add", "ours.example", "--locality", "internal")
        for name in OURS:
            cluster.ctl("key", "import", authority.path(f"{name}.p12"), "--password-file", authority.path("secret"))
        for name in THEIRS:
            cluster.ctl("cert", "import", authority.path(f"{name}.pem"))

    def set(self, scope, **values):
        for name, value in values.items():
            self.cluster.ctl("settings", "set", name.replace("__", "."), value, "--user", scope)

    def thumbprint(self, name):
        """SHA-256 of the certificate, in hexadecimal."""
        der = ssl.PEM_cert_to_DER_cert(self.authority.path(f"{name}.pem").read_text())
        return hashlib.sha256(der).hexdigest()

    def through(self, sender, recipient, content):
        before = len(self.cluster.sink.messages())
        with smtplib.SMTP("127.0.0.1", self.cluster.smtp_port(), timeout=60) as session:
            session.sendmail(sender, [recipient], content)
        return self.cluster.sink.wait(before + 1)[-1][1]

    def out(self, recipient, sender=ALICE, **settings):
        """What leaves for a recipient with these settings; asked for twice, it is sent once."""
        key = (recipient, sender, tuple(sorted(settings.items())))
        if key not in self.sent:
            self.set(recipient, **{n: v for n, v in settings.items() if n not in ("smime__digest", "smime__pss")})
            self.set(sender, **{n: v for n, v in settings.items() if n in ("smime__digest", "smime__pss")})
            message = EmailMessage()
            message["From"], message["To"], message["Subject"] = sender, recipient, "A letter"
            message["Date"] = email.utils.localtime()
            message.set_content(SECRET + "\n")
            self.sent[key] = self.through(sender, recipient, message.as_bytes(policy=email.policy.SMTP))
        return self.sent[key]


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def gateway(authority):
    with _clusters.running(1) as cluster:
        yield Gateway(cluster, authority)


@pytest.fixture(scope="session")
def world(gateway):
    made = World(gateway)
    yield made
    made.end()
