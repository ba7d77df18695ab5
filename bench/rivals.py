"""The rivals as Debian packages them, in folders and on loopback ports of their own: Postfix as a relay, etcd with one and three members."""
import base64
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import time

from ours import free_port

MASTER_CF = """\
127.0.0.1:{port} inet n - n - 2000 smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - 100 smtp
relay unix - - n - 100 smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
# As fast as it is told to be: no look-ups, no throttles, connections kept; durable as it always is.
MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = relay.bench.example
mydestination =
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{sink}
alias_maps =
alias_database =
local_recipient_maps =
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
default_process_limit = 200
qmgr_message_active_limit = 20000
default_destination_concurrency_limit = 20
initial_destination_concurrency = 20
smtp_connection_cache_on_demand = yes
smtp_host_lookup = native
smtp_dns_support_level = disabled
in_flow_delay = 0
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
"""


class Postfix:
    def __init__(self, folder):
        # Its daemons run as "postfix" and must reach their folder: /var/tmp lies on the same disk as a checkout as a rule, and is open to all.
        self.folder = pathlib.Path(f"/var/tmp/sealpost-bench-postfix-{os.getpid()}")
        self.port, self.sink_port = free_port(), free_port()

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("config", "queue", "data"):
            (self.folder / name).mkdir(parents=True)
        shutil.chown(self.folder / "data", "postfix")
        config = self.folder / "config"
        (config / "main.cf").write_text(MAIN_CF.format(folder=self.folder, sink=self.sink_port))
        (config / "master.cf").write_text(MASTER_CF.format(port=self.port))
        for name in ("postfix-files", "dynamicmaps.cf"):
            if os.path.exists(f"/etc/postfix/{name}"):
                shutil.copy(f"/etc/postfix/{name}", config / name)
        result = subprocess.run(["postfix", "-c", config, "start"], capture_output=True, text=True, timeout=60)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as s:
                    if s.recv(3) == b"220":
                        return self
            except OSError:
                pass
            time.sleep(0.1)
        log = self.folder / "log"
        raise RuntimeError(f"Postfix does not start: {result.stdout}{result.stderr}{log.read_text()[-600:] if log.exists() else ''}")

    def hold_back(self, yes):
        """Deliveries wait (they are tried by nobody), or all that wait are delivered now."""
        config = self.folder / "config"
        subprocess.run(["postconf", "-c", config, "-e", f"defer_transports = {'smtp' if yes else ''}"], check=True)
        subprocess.run(["postfix", "-c", config, "reload"], check=True, capture_output=True)
        if not yes:
            subprocess.run(["postqueue", "-c", config, "-f"], check=True)

    def memory(self):
        """KiB of all its processes, proportional."""
        master = int((self.folder / "queue/pid/master.pid").read_text())
        total = 0
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if parent == master or path.name == str(master):
                    total += next(int(line.split()[1]) for line in (path / "smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
            except (OSError, StopIteration):
                pass
        return total

    def __exit__(self, *_):
        subprocess.run(["postfix", "-c", self.folder / "config", "stop"], capture_output=True, timeout=60)
        shutil.rmtree(self.folder, ignore_errors=True)


def b64(text):
    return base64.b64encode(text.encode()).decode()


class Etcd:
    """Client and peer connections by TLS, as ours; its JSON gateway over HTTP/1.1, so that one generator fits both."""

    def __init__(self, folder, nodes):
        self.folder, self.nodes = pathlib.Path(folder), nodes
        self.members = [(free_port(), free_port()) for _ in range(nodes)]
        self.processes = []
        self.ca = str(self.folder / "tls.pem")

    def __enter__(self):
        self.folder.mkdir(parents=True)
        key = str(self.folder / "tls.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=bench",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", self.ca], check=True, capture_output=True)
        members = ",".join(f"m{i}=https://127.0.0.1:{peer}" for i, (_, peer) in enumerate(self.members))
        for i, (client, peer) in enumerate(self.members):
            log = open(self.folder / f"m{i}.log", "wb")
            self.processes.append(subprocess.Popen(
                ["etcd", "--name", f"m{i}", "--data-dir", self.folder / f"m{i}", "--listen-client-urls", f"https://127.0.0.1:{client}",
                 "--advertise-client-urls", f"https://127.0.0.1:{client}", "--listen-peer-urls", f"https://127.0.0.1:{peer}",
                 "--initial-advertise-peer-urls", f"https://127.0.0.1:{peer}", "--initial-cluster", members, "--cert-file", self.ca, "--key-file", key,
                 "--peer-cert-file", self.ca, "--peer-key-file", key, "--peer-trusted-ca-file", self.ca],
                stdout=log, stderr=log))
            log.close()
        self.wait()
        return self

    def request(self, member, path):
        context = ssl.create_default_context(cafile=self.ca)
        with socket.create_connection(("127.0.0.1", self.members[member][0]), timeout=2) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as s:
            s.sendall(b"POST " + path.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            answer = b""
            while chunk := s.recv(4096):
                answer += chunk
        return answer.decode(errors="replace")

    def wait(self):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                self.leader_index = self.find_leader()
                return
            except (OSError, LookupError):
                time.sleep(0.1)
        raise RuntimeError(f"etcd does not start: {(self.folder / 'm0.log').read_text()[-400:]}")

    def find_leader(self):
        for i in range(self.nodes):
            answer = self.request(i, "/v3/maintenance/status")
            member = answer.split('"member_id":"')[1].split('"')[0] if '"member_id":"' in answer else None
            leader = answer.split('"leader":"')[1].split('"')[0] if '"leader":"' in answer else None
            if member and member == leader:
                return i
        raise LookupError

    def port(self, follower=False):
        return self.members[(self.leader_index + 1) % self.nodes if follower else self.leader_index][0]

    def put(self, https_load, connections, seconds):
        # Keys and values are base64 here: the generator's three digits and an A are a whole group of it.
        body = '{"key": "%s{n}A", "value": "%s"}' % (b64("setting/u"), b64("opportunistic" + " " * 50))
        return https_load(self.port(), self.ca, connections, seconds, "POST", "/v3/kv/put", body)

    def get(self, https_load, connections, seconds, follower):
        return https_load(self.port(follower), self.ca, connections, seconds, "POST", "/v3/kv/range", '{"key": "%s"}' % b64("setting/u1"))

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(timeout=30)
