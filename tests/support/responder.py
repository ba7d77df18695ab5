"""An OCSP responder on loopback alone: each question goes to `openssl ocsp -reqin -respout`, since `openssl ocsp -port` listens on every address."""
import http.server
import subprocess
import tempfile
import threading


class Responder:
    """Answers are good for a day. It has its port from the beginning, so that certificates can name it; it answers from start() on.
    signer: a name of the authority's folder that signs instead of the authority."""

    def __init__(self):
        responder = self
        self.command, self.asked = None, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                question = self.rfile.read(int(self.headers["Content-Length"]))
                responder.asked += 1
                answer = responder.answer(question) if responder.command else None
                if answer is None:
                    self.send_error(503)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "application/ocsp-response")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/"

    def start(self, authority, signer=None, issuer=None):
        signer = signer or authority.name
        self.command = ["openssl", "ocsp", "-index", authority.database, "-rsigner", authority.folder / f"{signer}.pem",
                        "-rkey", authority.folder / f"{signer}.key", "-CA", (issuer or authority).path("pem"), "-ndays", "1"]
        return self

    def answer(self, question):
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/question", "wb") as file:
                file.write(question)
            done = subprocess.run([*self.command, "-reqin", f"{folder}/question", "-respout", f"{folder}/answer"], capture_output=True)
            if done.returncode:
                return None
            with open(f"{folder}/answer", "rb") as file:
                return file.read()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
