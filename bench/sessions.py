#!/usr/bin/python3
"""What idle sessions cost a node, and what they do to the others: sessions.py [PLAIN [TLS]] (10000 and 2000 unless told).

Each session has said EHLO (those of TLS after STARTTLS) and nothing since. Memory is the smtp role's proportional set, by 1,000 sessions; beside it the time of a
NOOP in a session of its own, before and while they are open."""
import itertools
import pathlib
import resource
import socket
import ssl
import statistics
import sys
import tempfile
import time

from ours import Ours


def noop_ms(port):
    with socket.create_connection(("127.0.0.1", port)) as s, s.makefile("rb") as lines:
        lines.readline()
        times = []
        for _ in range(500):
            began = time.perf_counter()
            s.sendall(b"NOOP\r\n")
            lines.readline()
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000, sorted(times)[-5] * 1000


def ehlo(s):
    s.sendall(b"EHLO idle.example\r\n")
    got = b""
    while b"\n250 " not in got:
        got += s.recv(4096)


def session(port, n, context):
    s = socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.{n // 200 % 250 + 1}.{n % 200 + 1}", 0))
    s.recv(512)
    ehlo(s)
    if context is not None:
        s.sendall(b"STARTTLS\r\n")
        s.recv(512)
        s = context.wrap_socket(s, server_hostname="127.0.0.1")
        ehlo(s)
    return s


def main():
    plain = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    tls = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="sealpost-sessions-") as folder, Ours(pathlib.Path(folder) / "cluster", 1) as ours:
        port, context = ours.smtp_port(1), ssl.create_default_context(cafile=ours.ca)
        memory = lambda: ours.memory(1)[1]["smtp"]  # noqa: E731
        numbers, quiet = itertools.count(), noop_ms(port)
        print(f"a NOOP with no other session: {quiet[0]:.3f} ms, the slowest of a hundred {quiet[1]:.3f} ms")
        for kind, count, with_tls in (("plain", plain, None), ("TLS", tls, context)):
            before = memory()
            sessions = [session(port, next(numbers), with_tls) for _ in range(count)]
            during, beside = memory(), noop_ms(port)
            print(f"{count} idle {kind} sessions: {(during - before) / 1024:.1f} MB, {(during - before) / count:.2f} KB each; "
                  f"a NOOP beside them: {beside[0]:.3f} ms, the slowest of a hundred {beside[1]:.3f} ms")
            for s in sessions:
                s.close()
            time.sleep(1)


main()
