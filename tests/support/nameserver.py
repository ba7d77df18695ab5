"""A name server of one's own: Debian's NSD with signed and unsigned zones, on 127.0.0.1 and a free port; ldns signs."""
import pathlib
import socket
import subprocess
import time

from directory import free_port

NAME = "_sealpost._smime"


class NameServer:
    """zones: {zone: whether it is signed}. Records are set by publish(), which takes effect at once."""

    def __init__(self, folder, zones):
        self.folder, self.zones = pathlib.Path(folder), zones
        self.folder.mkdir(parents=True)
        self.port, self.process, self.serial = free_port(), None, 0
        self.records = {z: "" for z in zones}  # beside what publish() says
        self.keys = {z: self._run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", z).strip() for z, signed in zones.items() if signed}
        lines = [f"server:\n ip-address: 127.0.0.1@{self.port}\n username: \"\"\n chroot: \"\"\n zonesdir: {self.folder}\n pidfile: {self.folder}/pid\n"
                 f" database: \"\"\n xfrdfile: {self.folder}/xfrd\n zonelistfile: {self.folder}/zones.list\n logfile: {self.folder}/log\n"
                 f" server-count: 1\nremote-control:\n control-enable: no\n"]
        lines += [f"zone:\n name: {z}\n zonefile: {z}.served\n" for z in zones]
        (self.folder / "nsd.conf").write_text("".join(lines))
        for zone in zones:
            self._write(zone, [])

    def _run(self, *command):
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True, timeout=60).stdout

    @property
    def resolver(self):
        return f"127.0.0.1@{self.port}"

    def anchor(self, zone):
        return " ".join((self.folder / f"{self.keys[zone]}.ds").read_text().split())

    def _write(self, zone, fingerprints):
        self.serial += 1
        text = f"$ORIGIN {zone}.\n$TTL 60\n@ IN SOA ns host {self.serial} 3600 600 86400 60\n@ IN NS ns\nns IN A 127.0.0.1\n"
        text += "".join(f'{NAME} IN TXT "v=sp1; sha256={f}"\n' for f in fingerprints)
        text += self.records[zone]
        (self.folder / f"{zone}.zone").write_text(text)
        served = f"{zone}.zone"
        if self.zones[zone]:
            self._run("ldns-signzone", "-n", "-f", f"{zone}.signed", f"{zone}.zone", self.keys[zone])
            served = f"{zone}.signed"
        (self.folder / f"{zone}.served").write_text((self.folder / served).read_text())

    def publish(self, zone, *fingerprints, forge=None):
        """forge: (old, new): changed in the signed zone, as somebody on the way would."""
        self._write(zone, fingerprints)
        if forge:
            path = self.folder / f"{zone}.served"
            text = path.read_text()
            assert forge[0] in text
            path.write_text(text.replace(*forge))
        if self.process:
            self.stop()
            self.start()

    def start(self):
        self.process = subprocess.Popen(["/usr/sbin/nsd", "-d", "-c", str(self.folder / "nsd.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        raise RuntimeError("nsd does not listen: " + (self.folder / "log").read_text())

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
            self.process = None
