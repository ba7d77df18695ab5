"""Mail servers of others as Debian ships them, each relaying what it takes to one next port; in folders and on loopback ports of their own.

Exim and OpenSMTPD cannot be installed beside Postfix: they are unpacked (deploy/packages/unpack) and run in a mount namespace (`inside`), where they
find themselves under /usr and their users in /etc/passwd.
"""
import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNPACKED = ROOT / "build" / "neighbours"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Certificate:
    """A self-signed certificate that all of them show."""

    def __init__(self, folder):
        self.pem, self.key = folder / "tls.pem", folder / "tls.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=neighbour.example",
                        "-addext", "subjectAltName=DNS:neighbour.example", "-keyout", self.key, "-out", self.pem], check=True, capture_output=True)


class Server:
    """One program. `name` is its host name; all that it takes goes to `next_port`."""

    name = ""

    def __init__(self, certificate, next_port):
        # Their users must be able to reach it.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sealpost-neighbour-"))
        self.folder.chmod(0o755)
        self.certificate, self.next_port, self.port, self.process = certificate, next_port, free_port(), None

    def write(self, path, text, mode=0o644):
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def key_copy(self, owner="root"):
        path = self.folder / "tls.key"
        shutil.copy(self.certificate.key, path)
        path.chmod(0o600)
        shutil.chown(path, owner)
        return path

    def run(self, *command):
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)

    def run_inside(self, users, *command):
        """In the mount namespace, with these further users: name -> number."""
        for kind, line in (("passwd", "{0}:x:{1}:{1}::/var/empty:/usr/sbin/nologin\n"), ("group", "{0}:x:{1}:\n")):
            self.write(f"etc/{kind}", pathlib.Path(f"/etc/{kind}").read_text() + "".join(line.format(*user) for user in users.items()))
        self.run(ROOT / "tests/neighbours/inside", UNPACKED, self.folder, *command)

    def log(self):
        return "".join(f"--- {path}\n{path.read_text(errors='replace')[-3000:]}" for path in sorted(self.folder.rglob("*")) if path.is_file() and path.name in
                       ("output", "log", "mainlog", "paniclog", "rejectlog"))

    def wait(self):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
                    if s.recv(3) == b"220":
                        return self
            if self.process is not None and self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"{type(self).__name__} does not start:\n{self.log()}")

    def __enter__(self):
        try:
            self.start()
            return self.wait()
        except BaseException:
            self.__exit__()
            raise

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Exim(Server):
    """Signs with DKIM what it sends on, when it is given a key (`dkim_key`, selector "s", domain "signed.example")."""

    name = "exim.example"

    def __init__(self, certificate, next_port, dkim_key=None):
        super().__init__(certificate, next_port)
        self.dkim_key = dkim_key

    def start(self):
        dkim = ""
        if self.dkim_key:
            shutil.copy(self.dkim_key, self.folder / "dkim.key")
            (self.folder / "dkim.key").chmod(0o644)
            dkim = f"dkim_domain = signed.example\n dkim_selector = s\n dkim_private_key = {self.folder}/dkim.key\n dkim_canon = simple\n"
        (self.folder / "log").mkdir()
        (self.folder / "log").chmod(0o777)
        key = self.key_copy()
        key.chmod(0o644)  # the certificate of a test
        shutil.copy(self.certificate.pem, self.folder / "tls.pem")
        self.write("prepare", "#!/bin/sh\nset -e\nmkdir -p /var/spool/exim4 /var/lib/exim4\nchown Debian-exim:Debian-exim /var/spool/exim4\n", 0o755)
        self.write("etc/exim4/exim4.conf", f"""\
primary_hostname = {self.name}
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
log_file_path = {self.folder}/log/%slog
keep_environment =
host_lookup =
tls_advertise_hosts = *
tls_certificate = {self.folder}/tls.pem
tls_privatekey = {self.folder}/tls.key
smtputf8_advertise_hosts = *
chunking_advertise_hosts = *
dsn_advertise_hosts = *
message_size_limit = 60M
acl_smtp_rcpt = all
begin acl
all:
 accept
begin routers
next:
 driver = manualroute
 transport = next
 route_list = * 127.0.0.1 byname
 self = send
begin transports
next:
 driver = smtp
 port = {self.next_port}
 hosts_require_tls = *
 tls_verify_hosts =
 tls_try_verify_hosts =
 {dkim}
begin retry
* * F,1h,1s
""")
        self.run_inside({"Debian-exim": 61001}, "/usr/sbin/exim4", "-bdf", "-q2s")


class OpenSmtpd(Server):
    """Debian 12 links 6.8.0p2 with OpenSSL 3, under which it can start TLS as a client and breaks off each handshake as a server (its issue 1171):
    it offers STARTTLS and then cannot."""

    name = "opensmtpd.example"

    def start(self):
        key = self.key_copy()
        shutil.copy(self.certificate.pem, self.folder / "tls.pem")
        self.write("prepare", "#!/bin/sh\nset -e\nmkdir -p /var/lib/opensmtpd/empty\nmkdir -m 711 /var/spool/smtpd\n"
                   "cd /var/spool/smtpd\nmkdir -m 700 queue corrupt incoming purge temporary\nmkdir -m 770 offline\n"
                   "chown opensmtpq queue corrupt incoming purge temporary\nchgrp opensmtpq offline\n", 0o755)
        config = self.write("smtpd.conf", f"""\
pki {self.name} cert "{self.folder}/tls.pem"
pki {self.name} key "{key}"
smtp max-message-size 60M
listen on 127.0.0.1 port {self.port} tls pki {self.name} hostname {self.name}
action "next" relay host "smtp+tls://127.0.0.1:{self.next_port}" tls no-verify helo {self.name}
match from any for any action "next"
""")
        self.run_inside({"opensmtpd": 61002, "opensmtpq": 61003}, "/usr/sbin/smtpd", "-d", "-f", config)


class Postfix(Server):
    name = "postfix.example"

    def start(self):
        config = self.folder / "config"
        for folder in ("config", "queue", "data"):
            (self.folder / folder).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        for file in ("postfix-files", "dynamicmaps.cf"):
            if os.path.exists(f"/etc/postfix/{file}"):
                shutil.copy(f"/etc/postfix/{file}", config / file)
        self.key_copy()
        shutil.copy(self.certificate.pem, self.folder / "tls.pem")
        self.write("config/master.cf", f"""\
127.0.0.1:{self.port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
tlsmgr unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
""")
        self.write("config/main.cf", f"""\
compatibility_level = 3.6
queue_directory = {self.folder}/queue
data_directory = {self.folder}/data
mail_owner = postfix
setgid_group = postdrop
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = {self.name}
mydestination =
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{self.next_port}
alias_maps =
alias_database =
local_recipient_maps =
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_tls_security_level = may
smtpd_tls_cert_file = {self.folder}/tls.pem
smtpd_tls_key_file = {self.folder}/tls.key
smtp_tls_security_level = encrypt
smtp_dns_support_level = disabled
smtputf8_enable = yes
message_size_limit = 60000000
minimal_backoff_time = 2s
queue_run_delay = 2s
maillog_file = {self.folder}/log
maillog_file_prefixes = {self.folder}
""")
        subprocess.run(["postfix", "-c", config, "start"], capture_output=True, timeout=60)

    def stop(self):
        subprocess.run(["postfix", "-c", self.folder / "config", "stop"], capture_output=True, timeout=60)


class Dovecot(Server):
    """LMTP into maildirs, one for each address."""

    name = "dovecot.example"

    def start(self):
        owner = pwd.getpwnam("nobody")
        (self.folder / "mail").mkdir()
        shutil.chown(self.folder / "mail", owner.pw_uid, owner.pw_gid)
        config = self.write("dovecot.conf", f"""\
protocols = lmtp
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/log
ssl = no
mail_location = maildir:{self.folder}/mail/%u
first_valid_uid = 1
first_valid_gid = 1
hostname = {self.name}
service lmtp {{
  unix_listener lmtp {{
    mode = 0
  }}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {self.port}
  }}
}}
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={owner.pw_uid} gid={owner.pw_gid} home={self.folder}/mail/%u
}}
""")
        self.run("/usr/sbin/dovecot", "-F", "-c", config)

    def messages(self, address):
        return [path.read_bytes() for path in sorted((self.folder / "mail" / address / "new").glob("*"))]
