"""A local cluster of ours, for measuring."""
import json
import os
import pathlib
import socket
import ssl
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("SEALPOST_BIN") or ROOT / "build" / "bin")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Ours:
    def __init__(self, folder, nodes, next_hop_port=None):
        self.folder, self.nodes, self.base = pathlib.Path(folder), nodes, 15000 + (os.getpid() * 50 + nodes * 7) % 4000
        self.next_hop_port = next_hop_port or 9
        self.ca = str(self.folder / "ca.pem")

    def local(self, verb, *arguments):
        result = subprocess.run([ROOT / "deploy/local-cluster", verb, "--dir", self.folder, *map(str, arguments)], capture_output=True, text=True,
                                env=dict(os.environ, SEALPOST_BIN=str(BIN)), timeout=120)
        if result.returncode != 0:
            raise RuntimeError(f"local-cluster {verb}: {result.stdout}{result.stderr}")
        return result.stdout

    def __enter__(self):
        self.local("up", "--nodes", self.nodes, "--base-port", self.base, "--next-hop", f"127.0.0.1:{self.next_hop_port}")
        self.token = (self.folder / "admin.token").read_text().strip()
        return self

    def __exit__(self, *_):
        self.local("down")

    def smtp_port(self, node):
        return self.base + 10 * node + 1

    def api_port(self, node):
        return self.base + 10 * node + 3

    def ctl(self, *arguments):
        result = subprocess.run([BIN / "sealpostctl", *arguments], capture_output=True, text=True, timeout=60,
                                env=dict(os.environ, SEALPOST_ENDPOINT=f"https://127.0.0.1:{self.api_port(1)}", SEALPOST_TOKEN=self.token, SEALPOST_CACERT=self.ca))
        if result.returncode != 0:
            raise RuntimeError(f"sealpostctl {' '.join(arguments)}: {result.stderr.strip()}")
        return result.stdout

    def leader(self):
        return int(json.loads(self.ctl("cluster", "status", "-o", "json"))["leader"].removeprefix("node"))

    def peaks(self, node, role):
        """MiB of the resident set at its largest since the start, of each process of the role."""
        found = []
        for path in (self.folder / f"node{node}" / "data" / "run").glob(f"{role}-*.pid"):
            status = pathlib.Path(f"/proc/{path.read_text().strip()}/status").read_text()
            found.append(next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024)
        return found

    def memory(self, node):
        """(KiB in all, KiB by role, KiB of all resident sets): proportional set size, so that what roles share counts once; what they share with other
        programs of the machine (libc) counts in part only, so the sum of the resident sets, which counts it in each, is the upper bound."""
        parts, resident = {}, 0
        for path in (self.folder / f"node{node}" / "data" / "run").glob("*.pid"):
            rollup = pathlib.Path(f"/proc/{path.read_text().strip()}/smaps_rollup").read_text()
            parts[path.stem] = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
            resident += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Rss:"))
        return sum(parts.values()), parts, resident

    def start_to_ready(self, node):
        """Seconds from the start of the program to the first 200 of /readyz."""
        self.local("stop", node)
        context = ssl.create_default_context(cafile=self.ca)
        folder = self.folder / f"node{node}"
        with open(folder / "log", "ab") as log:
            began = time.monotonic()
            process = subprocess.Popen([BIN / "sealpostd", "run", "--config", folder / "node.conf"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                       start_new_session=True)
            (folder / "pid").write_text(f"{process.pid}\n")
            while time.monotonic() < began + 30:
                try:
                    with socket.create_connection(("127.0.0.1", self.api_port(node)), timeout=2) as plain, \
                            context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                        secure.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                        if secure.recv(64).startswith(b"HTTP/1.1 200"):
                            return time.monotonic() - began
                except OSError:
                    pass
                time.sleep(0.005)
        raise RuntimeError("the node is not ready after 30 s")
