#!/usr/bin/python3
"""A mail server that only receives: it stands for the far end in the quickstart and the tests.

Every message that it has answered with 250 is a file in its folder, NUMBER.eml, with the envelope beside it in NUMBER.json. It is written to
be made to misbehave: see the options. Plain SMTP (RFC 5321) with what Sealpost's client can use.
"""
import argparse
import json
import os
import re
import socketserver
import ssl
import threading
import time


class Sink(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address, folder, eight_bit=True, pipelining=True, tls=None, reject=None, defer=None, data_reply=None, delay=0.0):
        """reject, defer: expressions over the recipient, answered 550 or 451. data_reply: a function of (sink, recipients) that gives a
        reply for the end of DATA, or None. tls: an ssl.SSLContext offers STARTTLS. delay: seconds before each answer to DATA."""
        self.folder, self.eight_bit, self.pipelining, self.tls = folder, eight_bit, pipelining, tls
        self.reject, self.defer, self.data_reply, self.delay = reject, defer, data_reply, delay
        self.lock, self.count, self.connections, self.tls_sessions = threading.Lock(), 0, 0, 0
        os.makedirs(folder, exist_ok=True)
        super().__init__(address, Session)

    @property
    def port(self):
        return self.server_address[1]

    def keep(self, envelope, content):
        with self.lock:
            self.count += 1
            number = self.count
        path = os.path.join(self.folder, f"{number:06d}")
        with open(path + ".part", "wb") as file:
            file.write(content)
        with open(path + ".json", "w") as file:
            json.dump(envelope, file)
        os.rename(path + ".part", path + ".eml")

    def messages(self):
        """(envelope, bytes) of all that came, in order."""
        found = []
        for name in sorted(os.listdir(self.folder)):
            if name.endswith(".eml"):
                with open(os.path.join(self.folder, name), "rb") as file, open(os.path.join(self.folder, name[:-4] + ".json")) as beside:
                    found.append((json.load(beside), file.read()))
        return found

    def wait(self, count, seconds=20):
        """The messages, once there are `count` of them."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.messages()
            if len(found) >= count:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{len(self.messages())} messages came in {seconds} s, not {count}")

    def start(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        self.shutdown()
        self.server_close()


class Session(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def say(self, *lines):
        text = "".join(f"{line[:3]}{'-' if i < len(lines) - 1 else ' '}{line[4:]}\r\n" for i, line in enumerate(lines))
        self.wfile.write(text.encode())
        self.wfile.flush()

    def setup(self):
        super().setup()
        self.request.settimeout(120)
        self.sender, self.recipients, self.secure, self.parameters = None, [], False, ""
        with self.server.lock:
            self.server.connections += 1

    def handle(self):
        try:
            self.say("220 sink ESMTP")
            while True:
                line = self.rfile.readline(4096)
                if not line or not self.command(line.decode("latin-1").rstrip("\r\n")):
                    return
        except (OSError, ValueError, ssl.SSLError):
            return

    def command(self, line):
        verb = line.split(" ")[0].upper()
        if verb in ("EHLO", "HELO"):
            offers = ["250 sink", "250 SIZE 104857600", "250 ENHANCEDSTATUSCODES"]
            offers += ["250 8BITMIME"] if self.server.eight_bit else []
            offers += ["250 PIPELINING"] if self.server.pipelining else []
            offers += ["250 STARTTLS"] if self.server.tls and not self.secure else []
            self.say(*(offers if verb == "EHLO" else offers[:1]))
        elif verb == "STARTTLS" and self.server.tls:
            self.say("220 go ahead")
            self.request = self.connection = self.server.tls.wrap_socket(self.request, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
            self.secure = True
            with self.server.lock:
                self.server.tls_sessions += 1
        elif verb == "MAIL":
            self.sender, self.recipients = re.search(r"<(.*?)>", line).group(1), []
            self.parameters = line.split(">", 1)[1].strip()
            self.say("250 2.1.0 sender ok")
        elif verb == "RCPT":
            address = re.search(r"<(.*?)>", line).group(1)
            if self.server.reject and re.search(self.server.reject, address):
                self.say(f"550 5.1.1 no such user {address}")
            elif self.server.defer and re.search(self.server.defer, address):
                self.say("451 4.2.1 mailbox busy, try again")
            else:
                self.recipients.append(address)
                self.say("250 2.1.5 recipient ok")
        elif verb == "DATA":
            if not self.recipients:
                self.say("503 5.5.1 no valid recipients")
            else:
                self.say("354 go on")
                self.data()
        elif verb == "RSET":
            self.sender, self.recipients = None, []
            self.say("250 2.0.0 ok")
        elif verb == "NOOP":
            self.say("250 2.0.0 ok")
        elif verb == "QUIT":
            self.say("221 2.0.0 bye")
            return False
        else:
            self.say("502 5.5.2 unknown command")
        return True

    def data(self):
        lines = []
        while True:
            line = self.rfile.readline(1 << 20)
            if not line:
                raise OSError("the client went away in the middle of DATA")
            if line == b".\r\n":
                break
            lines.append(line[1:] if line.startswith(b".") else line)
        if self.server.delay:
            time.sleep(self.server.delay)
        reply = self.server.data_reply(self.server, self.recipients) if self.server.data_reply else None
        if reply is None:
            envelope = {"sender": self.sender, "recipients": self.recipients, "parameters": self.parameters, "tls": self.secure,
                        "client": self.client_address[0]}
            self.server.keep(envelope, b"".join(lines))
            reply = "250 2.0.0 kept"
        self.say(reply)
        self.sender, self.recipients = None, []


def main():
    parser = argparse.ArgumentParser(description="receive mail into a folder")
    parser.add_argument("--listen", default="127.0.0.1:2525", help="HOST:PORT")
    parser.add_argument("--dir", required=True, help="folder for the messages")
    options = parser.parse_args()
    host, port = options.listen.rsplit(":", 1)
    with Sink((host, int(port)), options.dir) as sink:
        sink.serve_forever()


if __name__ == "__main__":
    main()
