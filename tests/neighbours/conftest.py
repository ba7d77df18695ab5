"""Mail servers of others on both sides of one node. The fixtures of whole clusters are those of tests/cluster/conftest.py."""
import importlib.util
import pathlib
import ssl
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
_spec = importlib.util.spec_from_file_location("cluster_conftest", HERE.parent / "cluster" / "conftest.py")
_clusters = importlib.util.module_from_spec(_spec)
sys.modules["cluster_conftest"] = _clusters
_spec.loader.exec_module(_clusters)
sys.path.insert(0, str(HERE))
from mail_sink import Sink  # noqa: E402
from programs import UNPACKED, Certificate, Dovecot, Exim, OpenSmtpd, Postfix  # noqa: E402


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory):
    path = tmp_path_factory.mktemp("dkim") / "dkim.key"
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", path, "2048"], check=True, capture_output=True)
    return path


class Street:
    """A node; in front of it and behind it the three servers; and at the far end a sink. Mail for NAME leaves by the server of that name."""

    def __init__(self, cluster, before, behind, dovecot, far):
        self.cluster, self.before, self.behind, self.dovecot, self.far = cluster, before, behind, dovecot, far

    def logs(self):
        return self.cluster.log()[-3000:] + "".join(s.log() for s in (*self.before.values(), *self.behind.values()))


@pytest.fixture(scope="session")
def street(certificate, signing_key, tmp_path_factory):
    subprocess.run([str(HERE.parents[1] / "deploy/packages/unpack"), "neighbours", str(UNPACKED)], check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.pem, certificate.key)
    far = Sink(("127.0.0.1", 0), str(tmp_path_factory.mktemp("far")), tls=context).start()
    try:
        with _clusters.running(1) as cluster, Postfix(certificate, far.port) as p, Exim(certificate, far.port) as e, OpenSmtpd(certificate, far.port) as o, \
                Postfix(certificate, cluster.smtp_port()) as q, Exim(certificate, cluster.smtp_port(), signing_key) as f, OpenSmtpd(certificate, cluster.smtp_port()) as r, \
                Dovecot(certificate, far.port) as dovecot:
            behind = {"postfix": p, "exim": e, "opensmtpd": o}
            for name, server in behind.items():
                cluster.ctl("settings", "set", "delivery.next_hop", f"127.0.0.1:{server.port}", "--domain", f"{name}.example")
                cluster.ctl("settings", "set", "delivery.retry", "1s", "--domain", f"{name}.example")
            yield Street(cluster, {"postfix": q, "exim": f, "opensmtpd": r}, behind, dovecot, far)
    finally:
        far.stop()
