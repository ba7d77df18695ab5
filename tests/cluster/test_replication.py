"""What the rules for libraft 0.15 promise of a whole cluster: replay, lag, and peers that are none."""
import http.client
import json
import os
import shutil
import socket
import ssl
import time

from conftest import Cluster


def write_many(cluster, node, count):
    """`count` writes of some 3 KB each over one connection."""
    connection = http.client.HTTPSConnection("127.0.0.1", cluster.api_port(node), timeout=60,
                                             context=ssl.create_default_context(cafile=str(cluster.folder / "ca.pem")))
    headers = {"Authorization": f"Bearer {cluster.token}", "Content-Type": "application/json"}
    networks = ",".join(f"2001:db8:{0x1000 + i:x}::/48" for i in range(190))  # a list holds 256 at most, a value 4096 bytes
    for i in range(count):
        body = json.dumps({"value": f"127.0.0.0/8,172.16.{i % 250}.0/24,{networks}"})
        connection.request("PUT", "/v1/settings/relay.networks", body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
    connection.close()


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) * 1024


def test_each_node_replays_its_own_log_to_the_same_tables(make_cluster):
    cluster = make_cluster(3)
    write_many(cluster, 1, 60)
    for node in (1, 2, 3):
        cluster.local("kill", node)
        shutil.rmtree(cluster.data(node) / "state")  # as after a power cut: the map is not believed
        cluster.local("start", "--wait", node)
        cluster.verify(node, seconds=60)


def test_a_node_that_lags_does_not_swell_the_leader(make_cluster, monkeypatch):
    monkeypatch.setenv("SEALPOST_LIMITS_LOG_TAIL_BYTES", "1M")
    cluster: Cluster = make_cluster(3)
    cluster.ctl("settings", "set", "cluster.stale_after", "2s")
    leader = cluster.leader()
    lagging = next(n for n in (1, 2, 3) if n != leader)
    write_many(cluster, leader, 300)
    before = resident(cluster.role_pid(leader, "core"))
    cluster.local("pause", lagging)
    try:
        time.sleep(3.5)  # it has lost its right to act: writes do not wait for it any more
        write_many(cluster, leader, 1500)
        grown = resident(cluster.role_pid(leader, "core")) - before
    finally:
        cluster.local("resume", lagging)
    assert grown < 100 << 20, f"the leader grew by {grown >> 20} MB while 5 MB were written"
    assert any(name.startswith("snapshot-") for name in os.listdir(cluster.data(leader) / "raft"))
    cluster.ready(lagging, seconds=60)
    cluster.verify(lagging, seconds=60)


def test_whoever_has_no_certificate_of_the_cluster_is_no_peer(make_cluster):
    cluster = make_cluster(1)
    core = cluster.role_pid(1, "core")
    for protocol in ("sealpost-raft/1", "sealpost-rpc/1", "sealpost-join/1", "h2"):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols([protocol])
        for junk in (b"\x00" * 64, b"\xff" * 4096, b"\x01" + b"\x00" * 7 + b"\xff" * 8 + b"A" * 1000):
            try:
                with socket.create_connection(("127.0.0.1", cluster.peer_port(1)), timeout=5) as plain:
                    with context.wrap_socket(plain) as secure:
                        secure.sendall(junk)
                        secure.recv(100)
            except OSError:
                pass
    with socket.create_connection(("127.0.0.1", cluster.peer_port(1)), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n" + os.urandom(2000))
    cluster.ready()
    assert cluster.role_pid(1, "core") == core, "core did not die of it"
