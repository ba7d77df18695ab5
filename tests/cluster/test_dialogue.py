"""What clients ask for with MAIL and RCPT, with a real Postfix before the node and another behind it: what one of them understood shows in what it tells the sender."""
import contextlib
import email
import email.policy
import pathlib
import quopri
import re
import secrets
import smtplib
import ssl
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "neighbours"))
from programs import Certificate, Postfix  # noqa: E402

ALICE = "alice@sender.example"


class Way:
    """postfix `before` -> node -> postfix `behind` (for postfix.example) -> sink; all other mail goes from the node to the sink, which knows no DSN."""

    def __init__(self, cluster, before, behind):
        self.cluster, self.before, self.behind = cluster, before, behind

    def logs(self):
        return self.cluster.log()[-3000:] + self.before.log() + self.behind.log()

    def arrived(self, what, wanted, seconds=120):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for envelope, content in self.cluster.sink.messages():
                if wanted(envelope, content):
                    return envelope, content
            time.sleep(0.1)
        raise AssertionError(f"{what} did not arrive:\n{self.logs()}")

    def behind_logs(self, expression, seconds=60):
        end = time.monotonic() + seconds
        while not re.search(expression, (self.behind.folder / "log").read_text()):
            assert time.monotonic() < end, self.logs()
            time.sleep(0.1)

    def report(self, mark, action):
        """The notification from the null sender about the message with this subject."""
        return self.arrived(f"a report about {mark}", lambda envelope, content: envelope["sender"] == "" and mark.encode() in content and
                            f"Action: {action}".encode() in content)[1]


@pytest.fixture(scope="module")
def way(tmp_path_factory):
    from conftest import running

    certificate = Certificate(tmp_path_factory.mktemp("certificate"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.pem, certificate.key)
    with running(1, tls=context) as cluster, Postfix(certificate, cluster.sink.port) as behind, Postfix(certificate, cluster.smtp_port()) as before:
        cluster.ctl("settings", "set", "delivery.next_hop", f"127.0.0.1:{behind.port}", "--domain", "postfix.example")
        yield Way(cluster, before, behind)


def give(port, recipient, mark, mail=(), rcpt=(), text="x", secure=False):
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as session:
        session.ehlo("client.example")
        if secure:
            session.starttls()
            session.ehlo("client.example")
        if "SMTPUTF8" in mail:
            session.command_encoding = "utf-8"
        code, reply = session.docmd(f"MAIL FROM:<{ALICE}> {' '.join(mail)}".strip())
        assert code == 250, reply
        code, reply = session.docmd(f"RCPT TO:<{recipient}> {' '.join(rcpt)}".strip())
        assert code == 250, reply
        code, reply = session.data(f"From: <{ALICE}>\r\nTo: <bob@x.example>\r\nSubject: {mark}\r\nMessage-ID: <{mark}@sender.example>\r\n\r\n{text}\r\n".encode())
        assert code == 250, reply


def parts_of(report, kind="delivery-status"):
    """The report by Python's reader, and by the letter of RFC 3464: what fields there are, in blocks."""
    message = email.message_from_bytes(report, policy=email.policy.SMTP)
    assert message.get_content_type() == "multipart/report" and message.get_param("report-type") == kind
    assert message["Auto-Submitted"].startswith("auto-") and not message.defects
    human, status, returned = message.iter_parts()
    assert human.get_content_type() == "text/plain" and status.get_content_type() == f"message/{kind}"
    # The status itself from the bytes: Python knows no message/global-delivery-status, and folds anew what it writes.
    part = next(part for part in report.split(b"\r\n--" + message.get_boundary().encode()) if f"\r\nContent-Type: message/{kind}\r\n".encode() in part)
    head, text = part.split(b"\r\n\r\n", 1)
    text = (quopri.decodestring(text) if b"quoted-printable" in head else text).decode().strip()
    blocks = []
    for block in re.split("\r\n\r\n|\n\n", text):
        block = re.sub("\r?\n[ \t]+", " ", block)
        fields = [re.fullmatch(r"([A-Z][A-Za-z-]+): (.+)", line).groups() for line in block.splitlines()]
        assert len({name for name, _ in fields}) == len(fields)
        blocks.append(dict(fields))
    assert "Reporting-MTA" in blocks[0] and all({"Final-Recipient", "Action", "Status"} <= set(block) for block in blocks[1:])
    return blocks[0], blocks[1:], returned


def test_postfix_behind_tells_what_we_passed_on(way):
    mark = secrets.token_hex(8)
    give(way.cluster.smtp_port(), "bob@postfix.example", mark, ["RET=HDRS", "ENVID=dialog+2B1"], ["NOTIFY=SUCCESS", "ORCPT=rfc822;bob+2Blist@old.example"])
    message, (bob,), _ = parts_of(way.report(mark, "relayed"))
    assert message["Reporting-MTA"] == "dns; postfix.example" and message["Original-Envelope-Id"] == "dialog+1"
    assert re.fullmatch("rfc822; ?bob\\+list@old.example", bob["Original-Recipient"])
    # The message came by BDAT, along with its envelope: Postfix counts when the connection is closed.
    way.behind_logs(r"disconnect from .* mail=1 rcpt=1 bdat=1 ")


def test_we_tell_of_one_who_will_not(way):
    mark = secrets.token_hex(8)
    give(way.cluster.smtp_port(), "bob@sink.example", mark, ["RET=FULL", "ENVID=dialog+2B2"], ["NOTIFY=SUCCESS", "ORCPT=rfc822;bob+2Blist@old.example"], text="not quoted")
    report = way.report(mark, "relayed")
    message, (bob,), returned = parts_of(report)
    assert message["Original-Envelope-Id"] == "dialog+2" and "Arrival-Date" in message
    assert bob["Original-Recipient"] == "rfc822; bob+list@old.example" and bob["Final-Recipient"] == "rfc822; bob@sink.example"
    assert bob["Status"].startswith("2.") and bob["Remote-MTA"] == f"dns; 127.0.0.1:{way.cluster.sink.port}" and "Last-Attempt-Date" in bob
    assert returned.get_content_type() == "text/rfc822-headers" and mark in returned.get_payload() and b"not quoted" not in report


def test_an_address_beyond_ascii_goes_as_far_as_it_can(way):
    # From the Postfix before us to the one behind, which got it with SMTPUTF8 and so cannot go on: the sink does not offer it. Its report asks for
    # SMTPUTF8 as well, and is lost.
    mark = secrets.token_hex(8)
    give(way.before.port, "j\u00f6rg@postfix.example", mark, ["SMTPUTF8"])
    way.behind_logs(r"to=<j\u00f6rg@postfix.example>.* dsn=5.6.7, status=bounced \(SMTPUTF8 is required")
    # Where it is we who cannot go on, Alice learns of it. (Postfix has written the address into its Received field: the header needs SMTPUTF8, too.)
    mark = secrets.token_hex(8)
    give(way.before.port, "j\u00f6rg@sink.example", mark, ["SMTPUTF8"])
    _, (joerg,), _ = parts_of(way.report(mark, "failed"), "global-delivery-status")
    assert joerg["Final-Recipient"] == "utf-8; j\u00f6rg@sink.example" and joerg["Status"] == "5.6.9"
    # A domain beyond ASCII is its ASCII form, and needs nothing.
    mark = secrets.token_hex(8)
    give(way.cluster.smtp_port(), "bob@b\u00fccher.example", mark, ["SMTPUTF8"])
    envelope, _ = way.arrived(mark, lambda envelope, content: f"Subject: {mark}".encode() in content)
    assert envelope["recipients"] == ["bob@xn--bcher-kva.example"]


def test_requiretls_is_promised_under_tls_and_kept(way):
    mark = secrets.token_hex(8)
    with pytest.raises(AssertionError, match="530|5.7.10"):
        give(way.cluster.smtp_port(), "bob@plain.example", mark, ["REQUIRETLS"])
    from mail_sink import Sink

    plain = Sink(("127.0.0.1", 0), str(way.cluster.sink.folder) + "-plain").start()
    with contextlib.ExitStack() as stack:
        stack.callback(plain.stop)
        way.cluster.ctl("settings", "set", "delivery.next_hop", f"127.0.0.1:{plain.port}", "--domain", "plain.example")
        give(way.cluster.smtp_port(), "bob@plain.example", mark, ["REQUIRETLS", "RET=FULL"], text="not quoted", secure=True)
        report = way.report(mark, "failed")
        _, (bob,), _ = parts_of(report)
        assert bob["Status"] == "5.7.30" and b"not quoted" not in report
        assert not plain.messages()
