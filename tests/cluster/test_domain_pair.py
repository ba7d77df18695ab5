"""Two Sealposts that have never met: each domain has one certificate, published in DNS, confirmed by the other's administrator."""
import hashlib
import smtplib
import time

import pytest

from authority import Authority
from conftest import running
from nameserver import NameServer

A, B = "signed.example", "open.example"
SECRET = "the patient's name is Ada"


def send(cluster, sender, recipient, content):
    """What leaves for the next hop."""
    before = len(cluster.sink.messages())
    with smtplib.SMTP("127.0.0.1", cluster.smtp_port(), timeout=60) as session:
        session.sendmail(sender, [recipient], content)
    return cluster.sink.wait(before + 1)[before][1]


def refused(cluster, sender, recipient):
    with pytest.raises(smtplib.SMTPResponseException) as caught, smtplib.SMTP("127.0.0.1", cluster.smtp_port(), timeout=60) as session:
        session.sendmail(sender, [recipient], letter(sender, recipient))
    return caught.value.smtp_code == 550


def letter(sender, to):
    return f"From: {sender}\r\nTo: {to}\r\nSubject: A letter\r\nMessage-ID: <{time.monotonic_ns()}@x>\r\n\r\n{SECRET}\r\n".encode()


def looked_up(cluster, domain):
    before = cluster.api("GET", f"/v1/domains/{domain}/dns").json.get("changed")
    cluster.api("PUT", f"/v1/domains/{domain}/dns")
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = cluster.api("GET", f"/v1/domains/{domain}/dns").json
        if found.get("changed") and found["changed"] != before:
            return found
        time.sleep(0.1)
    raise AssertionError(found)


class Side:
    """A cluster of one node, with the certificate of its domain."""

    def __init__(self, cluster, folder, domain):
        self.cluster, self.folder, self.domain = cluster, folder, domain
        self.authority = Authority(folder, f"CA of {domain}")
        self.print = self.own("gate")
        cluster.ctl("domain", "add", domain, "--locality", "internal")
        cluster.ctl("settings", "set", "sign.on_missing_key", "domain-key", "--domain", domain)
        cluster.ctl("settings", "set", "sign.mode", "always", "--domain", domain)

    def own(self, name):
        """A certificate for the domain, with its key, bound to it; gives the fingerprint."""
        pem = self.authority.issue(name, f"gate@{self.domain}")
        (self.folder / f"{name}.both").write_bytes(pem.read_bytes() + (self.folder / f"{name}.key").read_bytes())
        self.cluster.ctl("key", "import", self.folder / f"{name}.both")
        fingerprint = hashlib.sha256(self.authority.der(name)).hexdigest()
        self.cluster.ctl("cert", "bind", fingerprint, "--domain", self.domain, "--pin")
        return fingerprint

    def confirms(self, other, name="gate"):
        self.cluster.ctl("cert", "import", other.folder / f"{name}.pem")
        self.cluster.ctl("cert", "domain-confirm", other.domain, "--fingerprint", hashlib.sha256(other.authority.der(name)).hexdigest())


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    server = NameServer(folder / "nsd", {A: True, B: False}).start()
    try:
        with running(1) as first, running(1) as second:
            sides = Side(first, folder / "a", A), Side(second, folder / "b", B)
            for side in sides:
                side.cluster.ctl("settings", "set", "dns.resolvers", server.resolver)
                side.cluster.ctl("settings", "set", "dns.trust_anchors", server.anchor(A))
            yield *sides, server
    finally:
        server.stop()


def verdict(side, sender, content):
    arrived = send(side.cluster, sender, f"bob@{side.domain}", content)
    assert SECRET.encode() in arrived
    return [line.split(": ", 1)[1].split(";")[0] for name in ("Signature", "Encryption")
            for line in arrived.decode().split("\r\n\r\n")[0].replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n") if line.startswith(f"X-Sealpost-{name}:")]


def test_two_gateways_meet_by_dns_and_a_confirmation(pair):
    a, b, server = pair
    record = a.cluster.ctl("domain", "dns-record", A).stdout
    assert a.print in record
    server.publish(A, a.print)
    b.cluster.ctl("cert", "import", a.folder / "gate.pem")
    found = looked_up(b.cluster, A)
    assert (found["state"], found["dnssec"], found["published"]) == ("unconfirmed", "signed", [a.print])
    b.cluster.ctl("settings", "set", "encrypt.mode", "mandatory", "--domain", A)
    assert refused(b.cluster, f"bob@{B}", f"alice@{A}"), "DNS alone trusts nothing"
    b.cluster.ctl("cert", "domain-confirm", A, "--fingerprint", found["published"][0])
    a.confirms(b)
    a.cluster.ctl("settings", "set", "encrypt.mode", "mandatory", "--domain", B)
    for one, other in ((a, b), (b, a)):
        sender = f"alice@{one.domain}"
        on_the_way = send(one.cluster, sender, f"bob@{other.domain}", letter(sender, f"bob@{other.domain}"))
        assert SECRET.encode() not in on_the_way and b"enveloped" in on_the_way.lower()
        assert verdict(other, sender, on_the_way) == ["valid", "decrypted"]


def test_another_fingerprint_is_not_trusted(pair):
    a, b, server = pair
    second = a.own("gate2")
    server.publish(A, second)
    found = looked_up(b.cluster, A)
    assert (found["state"], found["confirmed"], found["published"]) == ("changed", [a.print], [second])
    a.cluster.ctl("cert", "unbind", a.print, A)  # from now on A signs with the new one
    sender = f"alice@{A}"
    content = send(a.cluster, sender, f"bob@{B}", letter(sender, f"bob@{B}"))
    assert verdict(b, sender, content) == ["untrusted", "decrypted"]
    b.confirms(a, "gate2")
    content = send(a.cluster, sender, f"bob@{B}", letter(sender, f"bob@{B}"))
    assert verdict(b, sender, content) == ["valid", "decrypted"]


def test_a_revoked_or_expired_pin_stops_mail(pair):
    a, b, _ = pair
    sender, to = f"bob@{B}", f"alice@{A}"
    b.cluster.ctl("cert", "unbind", a.print, A)
    assert SECRET.encode() not in send(b.cluster, sender, to, letter(sender, to))  # to the second one
    b.cluster.ctl("cert", "import", a.authority.path("pem"))
    a.authority.revoke("gate2")
    a.authority.crl()
    b.cluster.ctl("crl", "import", a.authority.path("crl"))
    assert refused(b.cluster, sender, to)
    # One whose time is over, confirmed all the same.
    a.authority.issue_between("gate3", f"gate@{A}", "20200101000000Z", "20210101000000Z")
    b.confirms(a, "gate3")
    assert refused(b.cluster, sender, to)
    a.authority.issue("gate4", f"gate@{A}")
    b.confirms(a, "gate4")
    assert SECRET.encode() not in send(b.cluster, sender, to, letter(sender, to))
