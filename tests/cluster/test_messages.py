"""The message log: what became of each message, asked of any node, long after the message has left."""
import json
import shutil
import smtplib
import time

import pytest

from test_partial import BAD, GOOD, OURS, SECRET, letter, prepare

TRACED = ("waiting", "deferred")


@pytest.fixture(scope="module")
def three(cluster):
    cluster.ctl("settings", "set", "delivery.retry", "300ms")
    return prepare(cluster)


def send(cluster, to, node=1, sender=OURS):
    """Code, text and, if it was accepted, the id."""
    with smtplib.SMTP("127.0.0.1", cluster.smtp_port(node), timeout=60) as session:
        session.ehlo()
        session.mail(sender)
        for recipient in to:
            session.rcpt(recipient)
        code, text = session.data(letter(", ".join(to), sender or OURS))
        text = text.decode()
        return code, text, text.split("queued as ")[1].split(";")[0].split()[0] if "queued as " in text else None


def trace(cluster, id_, node=1, state=None, seconds=15):
    """The message as `node` tells it, once it has this state."""
    end = time.monotonic() + seconds
    while True:
        message = cluster.ctl_json("message", "trace", id_, node=node)
        if state is None or message["state"] == state:
            return message
        assert time.monotonic() < end, message
        time.sleep(0.1)


def listed(cluster, *arguments, node=1):
    return cluster.ctl_json("message", "list", *arguments, node=node)["items"]


def test_a_delivered_message_asked_at_another_node(three):
    _, _, id_ = send(three, [GOOD, "z@nowhere.example"], node=1)
    for node in (1, 2, 3):
        message = trace(three, id_, node, "delivered")
        assert message["node"] == "node1" and message["sender"] == OURS and message["client_ip"] == "127.0.0.1"
        assert [r["address"] for r in message["recipients"]] == [GOOD, "z@nowhere.example"]
        assert {r["state"] for r in message["recipients"]} == {"delivered"}
        assert all(e["event"] == "delivered" and e["next_hop"].startswith("127.0.0.1:") and e["text"].startswith("250") for e in message["events"])
        assert len(message["events"]) == 2 and message["reply"].startswith("250 2.0.0 queued as")
        assert message["trace"]["recipients"][0]["address"] == GOOD
        assert "subject" not in message and SECRET not in json.dumps(message)
    text = three.ctl("message", "trace", id_, node=3).stdout
    assert "what happened:" in text and "how it was decided:" in text and "taken by node" in text


def test_a_refused_message_and_its_reply(three):
    code, text, _ = send(three, [GOOD, BAD], node=2, sender="refused@ours.example")
    assert code == 550
    [found] = listed(three, "--from", "refused@ours.example", "--status", "refused", node=3)
    message = trace(three, found["id"], node=1)
    assert message["state"] == "refused" and message["node"] == "node2"
    assert message["reply"].startswith("550 5.7.") and BAD in message["reply"]
    by_address = {r["address"]: r for r in message["recipients"]}
    assert "mandatory" in by_address[BAD]["last_reply"] and by_address[GOOD]["state"] == "refused"
    assert message["trace"]["recipients"]


def test_a_bounced_message(three):
    three.ctl("settings", "set", "partial.recipients", "split", "--domain", "ours.example")
    try:
        _, _, id_ = send(three, [GOOD, BAD], node=3)
        message = trace(three, id_, 2, "bounced")
    finally:
        three.ctl("settings", "set", "partial.recipients", "refuse-all", "--domain", "ours.example")
    assert {r["address"]: r["state"] for r in message["recipients"]} == {GOOD: "delivered", BAD: "refused"}
    [notified] = [e for e in message["events"] if e["event"] == "notified"]
    report = trace(three, notified["text"], 1, "delivered")
    assert report["sender"] == "" and report["listener"] == "local" and report["recipients"][0]["address"] == OURS


def test_a_deferred_message(three):
    three.ctl("domain", "add", "dead.example")
    three.ctl("settings", "set", "delivery.next_hop", "127.0.0.1:1", "--domain", "dead.example")
    _, _, id_ = send(three, ["x@dead.example"], node=1)
    message = trace(three, id_, 2, "deferred")
    assert message["events"][0]["event"] == "deferred" and message["events"][0]["attempt"] == 1 and message["events"][0]["text"]
    # any node shows it and acts, whichever has it
    [entry] = three.ctl_json("queue", "list", "--domain", "dead.example", "--state", "deferred", node=2)["items"]
    assert entry["id"] == id_ and entry["node"] == "node1" and three.ctl_json("queue", "show", id_, node=3)["sender"] == entry["sender"]
    three.ctl("queue", "hold", id_, node=2)
    assert three.ctl("queue", "retry", id_, node=3, code=None).returncode != 0
    three.ctl("queue", "delete", id_, node=3)
    message = trace(three, id_, 3, "deleted")
    assert message["events"][-1]["event"] == "deleted"


def test_lists(three):
    ids = [send(three, [f"list{i}@nowhere.example"], node=1 + i % 3, sender="lists@ours.example")[2] for i in range(6)]
    everything = listed(three, "--from", "lists@ours.example", node=2)
    assert [m["id"] for m in everything] == sorted(ids, reverse=True) and {m["node"] for m in everything} == {"node1", "node2", "node3"}
    assert listed(three, "--to", "LIST3@nowhere.example")[0]["id"] == ids[3]
    assert {m["id"] for m in listed(three, "--to", "@nowhere.example", "--since", "1h", "--limit", "200")} >= set(ids)
    assert listed(three, "--from", "lists@ours.example", "--until", "1h") == []
    assert listed(three, "--from", "@elsewhere.example") == []
    paged, before = [], []
    while True:
        page = three.ctl_json("message", "list", "--from", "@ours.example", "--limit", 2, *before)
        paged += [m["id"] for m in page["items"]]
        if "older" not in page:
            break
        before = ["--before", page["older"]]
    assert paged == sorted(paged, reverse=True) and len(set(paged)) == len(paged) and set(ids) <= set(paged)
    for wrong, word in (("--since", "yesterday"), ("--until", "2026-13-01x")):
        result = three.ctl("message", "list", wrong, word, code=None)
        assert result.returncode != 0 and word in result.stderr and "2h" in result.stderr
    assert three.api("GET", "/v1/messages?status=lost").status == 400
    assert three.api("GET", "/v1/messages?before=xyz").status == 400
    assert three.api("GET", "/v1/messages/xyz").status == 404
    assert three.api("GET", "/v1/messages/" + "0" * 26).status == 404
    assert three.api("GET", "/v1/messages", token=False).status == 401


def test_subjects_only_where_allowed(three):
    three.ctl("settings", "set", "log.subjects", "yes")
    try:
        _, _, id_ = send(three, [GOOD])
        assert trace(three, id_, 2)["subject"] == SECRET
    finally:
        three.ctl("settings", "set", "log.subjects", "no")
    _, _, id_ = send(three, [GOOD])
    assert "subject" not in trace(three, id_)


def test_nothing_readable_on_the_disk(three):
    send(three, ["very-readable@nowhere.example"])
    trace(three, listed(three, "--to", "very-readable@nowhere.example")[0]["id"])
    for path in (p for p in (three.data(1) / "messages").iterdir() if p.is_file()):
        content = path.read_bytes()
        assert b"readable" not in content and b"nowhere.example" not in content
        assert path.stat().st_mode & 0o077 == 0


def test_a_silent_node_is_named(make_cluster):
    cluster = prepare(make_cluster(3))
    ids = {node: send(cluster, [GOOD], node=node)[2] for node in (1, 3)}
    trace(cluster, ids[3], 1, "delivered")
    cluster.local("kill", "3")
    time.sleep(2.5)
    page = cluster.ctl_json("message", "list")
    assert [s["node"] for s in page["silent"]] == ["node3"] and page["silent"][0]["reason"]
    assert ids[1] in [m["id"] for m in page["items"]]
    missing = cluster.api("GET", f"/v1/messages/{ids[3]}")
    assert missing.status == 503 and "node3" in missing.body.decode()
    assert trace(cluster, ids[1])["state"] == "delivered"


def test_retention_and_a_killed_role(make_cluster):
    cluster = prepare(make_cluster(1))
    _, _, old = send(cluster, [GOOD])
    trace(cluster, old, state="delivered")
    cluster.kill_role(1, "smtp")
    cluster.ready()
    assert trace(cluster, old)["state"] == "delivered", "the log is there after a kill"
    cluster.ctl("settings", "set", "trace.retention", "3s")
    _, _, new = send(cluster, [GOOD])
    end = time.monotonic() + 25
    while cluster.ctl("message", "trace", old, code=None).returncode == 0:
        assert time.monotonic() < end, "it stays for longer than trace.retention"
        time.sleep(0.5)
    while cluster.ctl("message", "trace", new, code=None).returncode == 0:
        assert time.monotonic() < end
        time.sleep(0.5)


def test_mail_goes_on_without_a_log(make_cluster):
    """The log cannot even be opened: its folder is a file."""
    cluster = prepare(make_cluster(1))
    cluster.down()
    shutil.rmtree(cluster.data(1) / "messages")
    (cluster.data(1) / "messages").write_bytes(b"no folder")
    folder_is_refused = cluster.local("up", "--nodes", 1, "--base-port", cluster.base, "--next-hop", f"127.0.0.1:{cluster.sink.port}", check=False)
    if folder_is_refused.returncode != 0:
        pytest.fail("the supervisor does not start with such a data folder")
    before = len(cluster.sink.messages())
    code, _, id_ = send(cluster, [GOOD])
    assert code == 250
    cluster.sink.wait(before + 1)
    answer = cluster.api("GET", f"/v1/messages/{id_}")
    assert answer.status == 503 and "message log could not be opened" in answer.body.decode()
