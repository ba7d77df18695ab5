"""Whole clusters, driven by programs that we did not write: Python's smtplib, OpenSSL's tool, curl's protocol through http.client.

A test asks for `make_cluster` (as many nodes as it says, made for it alone) or for `cluster` (three nodes that a module shares). Folders and ports are
the test's own, so that two runs do not meet. Everything is ended by the process ids that local-cluster knows, also when a test fails.
"""
import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy"))
sys.path.insert(0, str(ROOT / "tests" / "support"))
from mail_sink import Sink  # noqa: E402
from partner import Partner  # noqa: E402

BIN = pathlib.Path(os.environ.get("SEALPOST_BIN") or ROOT / "build" / "bin")
PORTS_A_NODE = 10


def free_base(nodes):
    """A base port whose range for `nodes` nodes is free now."""
    base = 20000 + (os.getpid() * 131) % 9000
    for _ in range(400):
        base = 20000 + (base - 20000 + 97) % 10000
        needed = [base + PORTS_A_NODE * n + k for n in range(1, nodes + 1) for k in (1, 3, 4, 5)]
        sockets = []
        try:
            for port in needed:
                s = socket.socket()
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sockets.append(s)
                s.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    raise RuntimeError("no free ports")


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Cluster:
    def __init__(self, folder, nodes, sink, base=None):
        self.folder, self.nodes, self.sink = pathlib.Path(folder), nodes, sink
        self.base = base or free_base(nodes)
        self.environment = dict(os.environ, SEALPOST_BIN=str(BIN), ASAN_OPTIONS="detect_leaks=0:abort_on_error=0:quarantine_size_mb=16", UBSAN_OPTIONS="print_stacktrace=1")

    def local(self, verb, *arguments, check=True, timeout=180):
        result = subprocess.run([str(ROOT / "deploy/local-cluster"), verb, "--dir", str(self.folder), *map(str, arguments)], env=self.environment,
                                capture_output=True, text=True, timeout=timeout)
        if check and result.returncode != 0:
            raise AssertionError(f"local-cluster {verb}: {result.stdout}{result.stderr}")
        return result

    def up(self):
        self.local("up", "--nodes", self.nodes, "--base-port", self.base, "--next-hop", f"127.0.0.1:{self.sink.port}")
        return self

    def smtp_port(self, node=1):
        return self.base + PORTS_A_NODE * node + 1

    def api_port(self, node=1):
        return self.base + PORTS_A_NODE * node + 3

    def peer_port(self, node=1):
        return self.base + PORTS_A_NODE * node + 4

    def data(self, node=1):
        return self.folder / f"node{node}" / "data"

    def log(self, node=1):
        path = self.folder / f"node{node}" / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def token(self):
        return (self.folder / "admin.token").read_text().strip()

    def ctl(self, *arguments, node=1, code=0, stdin=None):
        """sealpostctl; the exit status must be `code` (None: any)."""
        environment = dict(self.environment, SEALPOST_ENDPOINT=f"https://127.0.0.1:{self.api_port(node)}", SEALPOST_TOKEN=self.token,
                           SEALPOST_CACERT=str(self.folder / "ca.pem"))
        result = subprocess.run([str(BIN / "sealpostctl"), *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=60, input=stdin)
        if code is not None and result.returncode != code:
            raise AssertionError(f"sealpostctl {' '.join(map(str, arguments))}: exit {result.returncode}, not {code}\n{result.stdout}{result.stderr}")
        return result

    def ctl_json(self, *arguments, node=1):
        return json.loads(self.ctl(*arguments, "-o", "json", node=node).stdout)

    def api(self, method, path, body=None, node=1, token=True, headers=None):
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        connection = http.client.HTTPSConnection("127.0.0.1", self.api_port(node), context=context, timeout=30)
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {self.token if token is True else token}"
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def status(self, node=1):
        return self.ctl_json("cluster", "status", node=node)

    def leader(self, seconds=30):
        """The number of the leading node."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for node in range(1, self.nodes + 1):
                result = self.ctl("cluster", "status", "-o", "json", node=node, code=None)
                if result.returncode == 0 and json.loads(result.stdout).get("leader"):
                    return int(json.loads(result.stdout)["leader"].removeprefix("node"))
            time.sleep(0.1)
        raise AssertionError("there is no leader")

    def verify(self, node=1, seconds=30):
        """The tables of all nodes are equal at the same index; a node that has just started gets a moment."""
        end = time.monotonic() + seconds
        while True:
            result = self.ctl("cluster", "verify", node=node, code=None)
            if result.returncode == 0:
                return
            if time.monotonic() > end:
                raise AssertionError(result.stdout + result.stderr)
            time.sleep(0.5)

    def role_pid(self, node, role):
        return int((self.data(node) / "run" / f"{role}.pid").read_text())

    def kill_role(self, node, role, seconds=30):
        """SIGKILL, and back when the supervisor has started the role anew: until then the old life's `/readyz` may still be answered."""
        before = self.role_pid(node, role)
        os.kill(before, signal.SIGKILL)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(OSError, ValueError):
                if self.role_pid(node, role) != before:
                    return
            time.sleep(0.02)
        raise AssertionError(f"node{node}: {role} is not started again:\n{self.log(node)[-2000:]}")

    def ready(self, node=1, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                if self.api("GET", "/readyz", node=node, token=False).status == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"node{node} is not ready:\n{self.log(node)[-2000:]}")

    def down(self):
        self.local("down", check=False)

    def sanitiser_reports(self):
        return [f"node{n}: {line}" for n in range(1, self.nodes + 1) for line in self.log(n).splitlines()
                if "ERROR: AddressSanitizer" in line or "runtime error:" in line or "WARNING: ThreadSanitizer" in line]


@contextlib.contextmanager
def running(nodes, start=True, **sink_options):
    # Not below pytest's own folder: the roles' users must be able to reach nothing but their working directory, and /tmp is the usual place.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sealpost-test-"))
    sink = Sink(("127.0.0.1", 0), str(folder / "sink"), **sink_options).start()
    cluster = Cluster(folder / "cluster", nodes, sink)
    try:
        if start:
            cluster.up()
        yield cluster
    finally:
        cluster.down()
        sink.stop()
        reports = cluster.sanitiser_reports()
        shutil.rmtree(folder, ignore_errors=True)
    assert not reports, "\n".join(reports)


@pytest.fixture
def make_cluster():
    with contextlib.ExitStack() as stack:
        yield lambda nodes=1, **options: stack.enter_context(running(nodes, **options))


@pytest.fixture(scope="module")
def cluster():
    with running(3) as made:
        yield made


@pytest.fixture(scope="session")
def partner(tmp_path_factory):
    return Partner(tmp_path_factory.mktemp("partner"))
