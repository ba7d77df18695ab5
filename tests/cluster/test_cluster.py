"""Nodes that die, lag, come back, join and leave; and what the API tells of it."""
import email
import email.policy
import json
import smtplib
import socket
import subprocess
import threading
import time

import pytest

from authority import Authority
from conftest import BIN
from test_mail import letter, send


def others(cluster, number):
    return [n for n in range(1, cluster.nodes + 1) if n != number]


def test_the_leader_dies_and_nothing_is_lost(make_cluster):
    cluster = make_cluster(3)
    leader = cluster.leader()
    survivor = others(cluster, leader)[0]
    cluster.ctl("settings", "set", "smtp.max_recipients", "77", node=leader)
    cluster.local("kill", leader)
    began = time.monotonic()
    while True:
        new = cluster.ctl("cluster", "status", "-o", "json", node=survivor, code=None)
        if new.returncode == 0 and json.loads(new.stdout).get("leader") not in (None, "", f"node{leader}"):
            break
        assert time.monotonic() - began < 20, "no new leader"
        time.sleep(0.05)
    assert "77" in cluster.ctl("settings", "get", "smtp.max_recipients", node=survivor).stdout
    cluster.ctl("settings", "set", "smtp.max_recipients", "78", node=survivor)  # two of three are a majority
    cluster.local("start", "--wait", leader)
    cluster.verify(leader)
    assert "78" in cluster.ctl("settings", "get", "smtp.max_recipients", node=leader).stdout


def test_a_change_is_in_force_everywhere_when_it_is_acknowledged(make_cluster):
    cluster = make_cluster(3)
    for i in range(12):
        mode = "mandatory" if i % 2 == 0 else "none"
        cluster.ctl("settings", "set", "encrypt.mode", mode, "--domain", "d.example", node=i % 3 + 1)
        for node in (1, 2, 3):
            try:
                send(cluster, node, "a@b.example", ["c@d.example"], letter("a@b.example", "c@d.example"))
                outcome = "none"
            except smtplib.SMTPDataError as error:
                assert error.smtp_code == 550
                outcome = "mandatory"
            assert outcome == mode, f"round {i}: node{node}"


def test_a_paused_node_defers_mail_rather_than_act_on_old_rules(make_cluster):
    cluster = make_cluster(3)
    follower = next(n for n in (1, 2, 3) if n != cluster.leader())
    cluster.ctl("settings", "set", "cluster.stale_after", "2s")
    for node in others(cluster, follower):
        cluster.local("pause", node)
    try:
        time.sleep(3.5)
        with smtplib.SMTP("127.0.0.1", cluster.smtp_port(follower), timeout=20) as session:
            session.ehlo()
            code, text = session.mail("a@b.example")
            if code == 250:
                code, text = session.rcpt("c@d.example")
        assert code == 451, text
    finally:
        for node in others(cluster, follower):
            cluster.local("resume", node)
    cluster.ready(follower)
    send(cluster, follower, "a@b.example", ["c@d.example"], letter("a@b.example", "c@d.example"))


@pytest.mark.parametrize("role", ["core", "smtp", "worker-1", "api"])
def test_a_role_that_is_killed_is_back_at_once(make_cluster, role):
    cluster = make_cluster(1)
    for _ in range(3):
        cluster.kill_role(1, role)
        cluster.ready()
    before = len(cluster.sink.messages())
    send(cluster, 1, "a@b.example", ["c@d.example"], letter("a@b.example", "c@d.example"))
    cluster.sink.wait(before + 1)


def test_sigterm_lets_a_transaction_finish_or_defers_it(make_cluster):
    cluster = make_cluster(1)
    session = socket.create_connection(("127.0.0.1", cluster.smtp_port()), timeout=30)
    stream = session.makefile("rb")
    stream.readline()
    session.sendall(b"HELO x.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
    for _ in range(4):
        stream.readline()
    stopping = threading.Thread(target=cluster.local, args=("stop", 1))
    stopping.start()
    time.sleep(0.5)
    session.sendall(b"Subject: last\r\n\r\nwords\r\n.\r\n")
    reply = stream.readline()
    stopping.join()
    assert reply.startswith((b"250", b"421")), reply
    cluster.local("start", "--wait", 1)
    if reply.startswith(b"250"):
        cluster.sink.wait(1)


def test_a_removed_node_learns_it_and_stops_for_good(make_cluster):
    cluster = make_cluster(3)
    leader = cluster.leader()
    removed, keeper = leader, others(cluster, leader)[0]  # the leader itself: it hands over first
    cluster.ctl("node", "remove", f"node{removed}", node=keeper)
    end = time.monotonic() + 20
    while time.monotonic() < end and "removed" not in cluster.log(removed):
        time.sleep(0.1)
    assert "removed" in cluster.log(removed), "it was told so"
    with pytest.raises(OSError):
        for _ in range(200):
            socket.create_connection(("127.0.0.1", cluster.smtp_port(removed)), timeout=2).close()
            time.sleep(0.1)
    names = {n["name"] for n in cluster.status(keeper)["nodes"]}
    assert names == {f"node{n}" for n in others(cluster, removed)}
    cluster.ctl("settings", "set", "smtp.max_errors", "22", node=keeper)
    cluster.verify(keeper)
    assert cluster.local("start", removed, check=False).returncode != 0, "its data folder does not run again"


def test_cluster_status_is_for_people_and_programs(cluster):
    status = cluster.status()
    assert status["leader"] in ("node1", "node2", "node3")
    assert {n["name"] for n in status["nodes"]} == {"node1", "node2", "node3"}
    assert all(n["applied_index"] > 0 and n["role"] in ("leader", "follower") for n in status["nodes"])
    table = cluster.ctl("cluster", "status").stdout
    assert "node2" in table and "leader" in table


def test_leadership_moves_on_request(cluster):
    leader = cluster.leader()
    target = others(cluster, leader)[0]
    cluster.ctl("cluster", "transfer", "--to", f"node{target}")
    assert cluster.leader() == target


def test_api_speaks_of_its_problems(cluster):
    assert cluster.api("GET", "/livez", token=False).status == 200
    assert cluster.api("GET", "/readyz", token=False).status == 200
    assert b"sealpost_" in cluster.api("GET", "/metrics", token=False).body
    denied = cluster.api("GET", "/v1/settings", token=False)
    assert denied.status == 401 and denied.headers["content-type"].startswith("application/problem+json")
    assert cluster.api("GET", "/v1/settings", token="x" * 43).status == 401
    assert cluster.api("GET", "/v1/nothing").status == 404
    written = cluster.api("PUT", "/v1/settings/smtp.max_errors", {"value": "21"})
    assert written.status == 200 and int(written.headers["sealpost-index"]) > 0
    document = cluster.api("GET", "/v1/openapi.json", token=False)
    if document.status == 401:
        document = cluster.api("GET", "/v1/openapi.json")
    described = document.json
    assert described["openapi"].startswith("3.")
    for path in ("/v1/settings", "/v1/domains", "/v1/users", "/v1/certificates", "/v1/keys", "/v1/queue", "/v1/policy/explain"):
        assert path in described["paths"], path


def test_a_token_may_do_what_its_role_may_on_every_node(cluster, tmp_path):
    desk = cluster.ctl_json("token", "add", "desk", "--role", "helpdesk", node=1)["token"]
    officer = cluster.ctl_json("token", "add", "officer", "--role", "security", node=2)["token"]
    for node in (1, 2, 3):
        assert cluster.api("GET", "/v1/settings", node=node, token=desk).status == 200
        refused = cluster.api("PUT", "/v1/settings/encrypt.also_to", {"value": ""}, node=node, token=desk)
        assert refused.status == 403 and (refused.json["permission"], refused.json["role"]) == ("setting.write", "helpdesk")
        assert cluster.api("PUT", "/v1/settings/no.such", {"value": "x"}, node=node, token=officer).status == 404
        refused = cluster.api("PUT", "/v1/settings/smtp.max_errors", {"value": "22"}, node=node, token=officer)
        assert refused.status == 403 and refused.json["permission"] == "setting.write.transport"
        assert cluster.api("POST", "/v1/nodes/token", {}, node=node, token=officer).status == 403
    assert cluster.api("PUT", "/v1/settings/sign.mode", {"value": "none"}, node=3, token=officer).status == 200
    cluster.ctl("settings", "unset", "sign.mode")
    (tmp_path / "desk").write_text(desk)
    told = cluster.ctl("--token-file", tmp_path / "desk", "domain", "remove", "ours.example", code=4)
    assert "helpdesk" in told.stderr and "domain.write" in told.stderr

    tokens = {t["name"]: t for t in cluster.ctl_json("token", "list", node=3)["items"]}
    assert (tokens["desk"]["role"], tokens["desk"]["added_by"]) == ("helpdesk", "token:admin")
    assert tokens["admin"]["added_by"] == "init"
    assert desk not in str(tokens) and officer not in cluster.ctl("token", "list").stdout
    done = [line for line in cluster.log(3).splitlines() if "API request" in line and "setSetting" in line and "token:officer" in line]
    assert any("sign.mode" in line and "200" in line for line in done) and any("setting.write.transport" in line for line in done)

    cluster.ctl("token", "remove", "officer", node=3)  # acknowledged: in force on every node
    assert [cluster.api("GET", "/v1/settings", node=node, token=officer).status for node in (1, 2, 3)] == [401] * 3
    assert "last token of the role admin" in cluster.ctl("token", "remove", "admin", code=None).stderr
    cluster.ctl("token", "remove", "desk")
    assert [t["name"] for t in cluster.ctl_json("token", "list")["items"]] == ["admin"]
    cluster.verify()


def joined(cluster, folder, name, token, port):
    """`sealpostd join` of a new node in a folder of its own."""
    folder.mkdir(exist_ok=True)
    config = folder / "node.conf"
    config.write_text(f"[node]\nname = {name}\ndata = {folder}/data\nhostname = {name}.example\n[cluster]\nlisten = 127.0.0.1:{port}\n"
                      f"[api]\nlisten = 127.0.0.1:{port + 1}\n[smtp]\nlisten = 127.0.0.1:{port + 2}\n[master_key]\nsource = file:{folder}/master.key\n")
    return subprocess.run([BIN / "sealpostd", "join", "--config", config, "--token-file", "/dev/stdin"], input=token, capture_output=True, text=True,
                          timeout=60, env=cluster.environment)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_a_token_admits_once_in_time_and_to_its_own_cluster(make_cluster, tmp_path):
    cluster, stranger = make_cluster(1), make_cluster(1)
    token = cluster.ctl_json("node", "token")["token"]
    first = joined(cluster, tmp_path / "n2", "node2", token, free_port())
    assert first.returncode == 0, first.stderr
    again = joined(cluster, tmp_path / "n3", "node3", token, free_port())
    assert again.returncode != 0 and "used" in again.stderr
    assert not (tmp_path / "n3" / "data" / "identity" / "node.id").exists(), "a refused join leaves nothing that could run"
    short = cluster.ctl_json("node", "token", "--lifetime", "10s")["token"]
    time.sleep(10.5)
    late = joined(cluster, tmp_path / "n4", "node4", short, free_port())
    assert late.returncode != 0 and "expired" in late.stderr
    garbage = joined(cluster, tmp_path / "n5", "node5", "sealpost-join-1.AAAA", free_port())
    assert garbage.returncode != 0 and "token" in garbage.stderr
    # A token of the other cluster, pointed at this one's address: the CA's fingerprint in it does not fit.
    foreign = stranger.ctl_json("node", "token")["token"]
    stranger.local("kill", 1)
    wrong = joined(cluster, tmp_path / "n6", "node6", foreign, free_port())
    assert wrong.returncode != 0 and wrong.stderr




def reminded(cluster, to):
    return [content for envelope, content in cluster.sink.messages() if envelope["recipients"] == [to]]


def until(true, seconds=40):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_what_expires_is_told_once_though_leader_and_sender_are_killed(cluster, tmp_path):
    authority = Authority(tmp_path, "reminders")
    for domain in ("told.example", "later.example"):
        cluster.ctl("domain", "add", domain, "--locality", "internal")
        cluster.ctl("settings", "set", "notify.to", f"admin@{domain}", "--domain", domain)
        cluster.ctl("settings", "set", "cert.expiry_warn", "370d", "--domain", domain)
        authority.issue(domain, f"alice@{domain}")
    bad = cluster.ctl("settings", "set", "notify.to", "nobody", code=None)
    assert bad.returncode != 0 and "is no mail address" in bad.stderr
    cluster.ctl("settings", "set", "notify.from", "gateway@told.example")
    cluster.ctl("settings", "set", "notify.gather", "0s")
    leader = cluster.leader()
    cluster.ctl("cert", "import", tmp_path / "told.example.pem")
    cluster.local("kill", leader)  # it has claimed the mail, or sent it, or neither
    other = leader % 3 + 1
    cluster.local("start", "--wait", leader)
    until(lambda: reminded(cluster, "admin@told.example"))
    until(lambda: [m["state"] for m in cluster.api("GET", "/v1/reminder-mails", node=other).json["items"]] == ["accepted"])
    told = cluster.ctl_json("cert", "reminders", node=other)["items"]
    assert [(t["to"], t["kind"], t["what"]) for t in told] == [("admin@told.example", "certificate", "alice@told.example (a partner's)")]
    # Whoever leads now tells the other domain's administrator, and the first nothing more.
    for node in (1, 2, 3):
        cluster.kill_role(node, "smtp")
    cluster.ctl("cert", "import", tmp_path / "later.example.pem", node=other)
    until(lambda: reminded(cluster, "admin@later.example"))
    until(lambda: "sending" not in cluster.ctl("cert", "reminder-mails", node=other).stdout)
    mails = reminded(cluster, "admin@told.example")
    assert len(mails) == 1
    message = email.message_from_bytes(mails[0], policy=email.policy.default)
    assert (message["Auto-Submitted"], message["From"].addresses[0].addr_spec) == ("auto-generated", "gateway@told.example")
    assert told[0]["message"] in message["Message-ID"] and "alice@told.example" in message.get_content()
    assert [envelope["sender"] for envelope, _ in cluster.sink.messages() if envelope["recipients"] == ["admin@told.example"]] == [""]
    for node in (1, 2, 3):
        cluster.ready(node)
    cluster.verify()
