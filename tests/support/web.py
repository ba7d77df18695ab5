"""A web server of one's own on loopback: files from memory, redirects, answers that never come; and what it was asked for."""
import http.server
import threading


class Web:
    def __init__(self, host="127.0.0.1"):
        self.files, self.redirects, self.silent, self.asked = {}, {}, set(), []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                web.asked.append(self.path)
                if self.path in web.silent:
                    web.ended.wait(60)
                elif self.path in web.redirects:
                    self.send_response(302)
                    self.send_header("Location", web.redirects[self.path])
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                elif self.path in web.files:
                    body = web.files[self.path]
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                else:
                    self.send_error(404)

            def log_message(self, *_):
                pass

        self.ended = threading.Event()
        self.server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.host = host
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def url(self, path, host=None):
        return f"http://{host or self.host}:{self.port}{path}"

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
