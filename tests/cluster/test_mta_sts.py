"""Policies of MTA-STS, fetched over real HTTPS and DNS: what is believed, what is not, and what stays in force. TLS reports, read by Python."""
import email
import email.policy
import gzip
import http.server
import json
import os
import ssl
import struct
import threading
import time

import pytest

from authority import Authority
from conftest import running
from nameserver import NameServer

GOOD, BAD = "sts.example", "bad.example"
POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.sts.example\r\nmx: *.backup.example\r\nmax_age: 604800\r\n"


class PolicyServer:
    """HTTPS on an address of 127.0.0.0/8 that is this process's alone, port 443; `answer`: status, content type, body."""

    def __init__(self, certificate):
        server, self.answer, self.asked = self, (200, "text/plain", POLICY), 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked += 1
                status, kind, body = server.answer
                self.send_response(status)
                self.send_header("Content-Type", kind)
                if status == 302:
                    self.send_header("Location", "https://mta-sts.sts.example/elsewhere")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        pid = os.getpid()
        self.address = f"127.{100 + pid % 100}.{pid // 100 % 250 + 1}.43"
        self.http = http.server.ThreadingHTTPServer((self.address, 443), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


def packed(value):
    """MessagePack of texts, numbers and lists of them."""
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, str):
        return b"\xda" + struct.pack(">H", len(value)) + value.encode()
    return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(packed, value))


DAY = int(time.time()) // 86400 - 2


def count_yesterday(cluster):
    """What a node would have counted on DAY, in the file that it keeps (smtp/tls_report.h)."""
    failure = ["certificate-expired", "mx.sts.example", "192.0.2.1", "192.0.2.2", "certificate has expired", 3]
    counted = [[GOOD, 1, "version: STSv1\nmode: enforce", "mx.sts.example *.backup.example", 7, [failure]], [BAD, 0, "", "", 1, []]]
    folder = cluster.data() / "messages" / "tls"
    fresh = folder / "fresh"
    fresh.write_bytes(packed([1, DAY * 86400000, 0, counted]))
    fresh.chmod(0o644)
    fresh.rename(folder / str(DAY))
    return folder / str(DAY)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sts")
    authority = Authority(folder / "ca", "Web CA")
    # bad.example's server has the certificate of the other one.
    server = PolicyServer(authority.issue_server("web", "mta-sts.sts.example"))
    names = NameServer(folder / "nsd", {GOOD: True, BAD: False})
    for zone in (GOOD, BAD):
        names.records[zone] = f'_mta-sts IN TXT "v=STSv1; id=one"\nmta-sts IN A {server.address}\n'
    names.records[GOOD] += '_smtp._tls IN TXT "v=TLSRPTv1; rua=mailto:tls@sts.example"\n'
    names.publish(GOOD)
    names.publish(BAD)
    names.start()
    try:
        with running(1) as cluster:
            for name, value in (("dns.resolvers", names.resolver), ("dns.trust_anchors", names.anchor(GOOD)), ("fetch.allow_networks", "127.0.0.0/8")):
                cluster.ctl("settings", "set", name, value)
            cluster.ctl("ca", "trust", authority.path("pem"))
            cluster.ctl("settings", "set", "delivery.tls_trust", "both")
            cluster.ctl("settings", "set", "tlsrpt.from", "postmaster@ours.example")
            cluster.ctl("settings", "set", "tlsrpt.send", "yes")
            cluster.counted = count_yesterday(cluster)  # read by the last test: the node looks for it twice a minute
            yield cluster, server, names
    finally:
        names.stop()
        server.stop()


def refreshed(cluster, domain, until):
    """What `sts show` says when `until` holds of it."""
    cluster.ctl("sts", "refresh", domain)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        shown = cluster.ctl_json("sts", "show", domain)
        if until(shown):
            return shown
        time.sleep(0.1)
    raise AssertionError(shown)


def test_a_policy_is_fetched_and_shown(world):
    cluster, server, _ = world
    shown = refreshed(cluster, GOOD, lambda s: s["state"] == "in-force")
    assert (shown["mode"], shown["mx"], shown["id"], shown["max_age"]) == ("enforce", ["mx.sts.example", "*.backup.example"], "one", 604800)
    assert shown["error"] == "" and shown["failed"] is None
    assert [s["domain"] for s in cluster.ctl_json("sts", "list")["items"]] == [GOOD]
    assert server.asked >= 1


@pytest.mark.parametrize("answer, why", [
    ((302, "text/plain", POLICY), "the server answered 302"),
    ((404, "text/plain", POLICY), "the server answered 404"),
    ((200, "text/html", POLICY), "the answer is not text/plain"),
    ((200, "text/plain", POLICY.replace("max_age: 604800", "max_age: never")), 'a max_age that is no number of seconds: "never"'),
    ((200, "text/plain", "x" * 70000), "the answer is larger than 65536 bytes"),
])
def test_what_is_no_policy_takes_none_away(world, answer, why):
    cluster, server, _ = world
    server.answer = answer
    shown = refreshed(cluster, GOOD, lambda s: s["error"] == why)
    assert (shown["state"], shown["mode"]) == ("in-force", "enforce")
    server.answer = (200, "text/plain", POLICY)


def test_a_new_id_brings_the_new_policy(world):
    cluster, server, names = world
    server.answer = (200, "text/plain; charset=utf-8", POLICY.replace("enforce", "testing"))
    names.records[GOOD] = names.records[GOOD].replace("id=one", "id=two")
    names.publish(GOOD)
    shown = refreshed(cluster, GOOD, lambda s: s["id"] == "two")
    assert (shown["mode"], shown["error"]) == ("testing", "")


def test_another_names_certificate_vouches_for_nothing(world):
    cluster, server, _ = world
    asked = server.asked
    shown = refreshed(cluster, BAD, lambda s: s["error"] != "")
    assert "certificate does not hold" in shown["error"] and shown["state"] == "waiting" and server.asked == asked
    cluster.ctl("sts", "remove", BAD)
    assert cluster.ctl("sts", "show", BAD, code=3)
    assert cluster.ctl("sts", "refresh", "*.example", code=2)


def test_a_day_that_is_over_is_reported(world):
    cluster, _, _ = world
    (envelope, content), = cluster.sink.wait(1, seconds=90)
    mail = email.message_from_bytes(content, policy=email.policy.SMTP)
    assert (mail["To"], mail["TLS-Report-Domain"], mail["TLS-Required"]) == ("tls@sts.example", GOOD, "No")
    assert mail.get_content_type() == "multipart/report" and mail.get_param("report-type") == "tlsrpt"
    assert mail["Subject"] == f"Report Domain: {GOOD} Submitter: {mail['TLS-Report-Submitter']} Report-ID: <{mail['Subject'].split('<')[1]}"
    part = list(mail.iter_parts())[1]
    assert part.get_content_type() == "application/tlsrpt+gzip"
    assert part.get_filename() == f"{mail['TLS-Report-Submitter']}!{GOOD}!{DAY * 86400}!{DAY * 86400 + 86399}.json.gz"
    report = json.loads(gzip.decompress(part.get_content()))
    day = time.strftime("%Y-%m-%d", time.gmtime(DAY * 86400))
    assert report.pop("report-id") == mail["Subject"].split("<")[1][:-1]
    assert report == {
        "organization-name": mail["TLS-Report-Submitter"], "contact-info": "postmaster@ours.example",
        "date-range": {"start-datetime": f"{day}T00:00:00Z", "end-datetime": f"{day}T23:59:59Z"},
        "policies": [{
            "policy": {"policy-type": "sts", "policy-string": ["version: STSv1", "mode: enforce"], "policy-domain": GOOD,
                       "mx-host": ["mx.sts.example", "*.backup.example"]},
            "summary": {"total-successful-session-count": 7, "total-failure-session-count": 3},
            "failure-details": [{"result-type": "certificate-expired", "sending-mta-ip": "192.0.2.1", "receiving-mx-hostname": "mx.sts.example",
                                 "receiving-ip": "192.0.2.2", "failed-session-count": 3, "failure-reason-code": "certificate has expired"}]}]}
    end = time.monotonic() + 60
    while cluster.counted.exists():  # the other domain asks for no report
        assert time.monotonic() < end
        time.sleep(0.1)
