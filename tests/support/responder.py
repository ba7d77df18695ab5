"""An OCSP responder: `openssl ocsp` over the book of an authority, on a free port (it cannot be told an address)."""
import subprocess
import time

from directory import free_port


class Responder:
    """Answers are good for a day. signer: a name of the authority's folder that signs instead of the authority."""

    def __init__(self, port=None):
        self.port = port or free_port()
        self.process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def start(self, authority, signer=None, issuer=None):
        signer = signer or authority.name
        command = ["openssl", "ocsp", "-index", authority.database, "-port", str(self.port), "-rsigner", authority.folder / f"{signer}.pem",
                   "-rkey", authority.folder / f"{signer}.key", "-CA", (issuer or authority).path("pem"), "-ndays", "1"]
        log = authority.folder / f"responder.{self.port}.log"
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log.open("ab"), stderr=subprocess.STDOUT)
        for _ in range(200):  # not by connecting: it serves one connection at a time, and would wait on that one
            if "waiting for OCSP client" in log.read_text():
                return self
            time.sleep(0.05)
        raise RuntimeError("openssl ocsp does not listen")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None
