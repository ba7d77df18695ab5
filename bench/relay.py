"""How many messages a second a relay accepts and delivers: Postfix's smtp-source sends, its smtp-sink receives."""
import os
import re
import selectors
import subprocess
import time

class CountingSink:
    """smtp-sink; `count` is what it has received, from the counters that it writes."""

    def __init__(self, port):
        self.process = subprocess.Popen(["smtp-sink", "-c", "-u", "nobody", f"127.0.0.1:{port}", "512"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self.tail = b""
        self.count = 0

    def look(self, seconds):
        if self.selector.select(seconds):
            chunk = self.process.stdout.read() or b""
            self.tail = (self.tail + chunk)[-4096:]
            # "sess=1 quit=0 mesg=17": the last whole one counts
            found = re.findall(rb"mesg=(\d+)(?=\D)", self.tail)
            if found:
                self.count = int(found[-1])

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.selector.close()
        self.process.stdout.close()


def source(port, sessions, messages, size):
    """smtp-source, started."""
    return subprocess.Popen(["smtp-source", "-d", "-s", str(sessions), "-m", str(messages), "-l", str(size), "-f", "from@bench.example", "-t", "to@bench.example",
                             f"127.0.0.1:{port}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def relay_rate(port, sink_port, messages, sessions=20, size=10240):
    """(accepted a second, accepted and delivered a second)."""
    sink = CountingSink(sink_port)
    try:
        time.sleep(0.3)
        if sink.process.poll() is not None:
            raise RuntimeError(f"smtp-sink does not run: {sink.process.stdout.read()!r}")
        began = time.monotonic()
        sender = source(port, sessions, messages, size)
        accepted = None
        quiet_since, last = began, 0
        while sink.count < messages or accepted is None:
            sink.look(0.02)
            now = time.monotonic()
            if accepted is None and sender.poll() is not None:
                accepted = now - began
                said = sender.stdout.read().decode(errors="replace")
                if sender.returncode != 0:
                    raise RuntimeError(f"smtp-source: {said.strip()[-300:]}")
            if sink.count != last:
                quiet_since, last = now, sink.count
            if now - quiet_since > 60:
                sender.kill()
                raise RuntimeError(f"{sink.count} of {messages} messages arrived")
        delivered = time.monotonic() - began
        return messages / accepted, messages / delivered
    finally:
        sink.stop()
