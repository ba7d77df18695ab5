"""Times that smtp-source does not tell: from the final dot to its reply, and to the far end. One asyncio client and one asyncio sink, the same for both sides.
What Python costs is in both figures, so their ratio flatters the slower side."""
import asyncio
import resource
import socket
import time

LINE = b"A line of text that is as long as lines in mail tend to be, no more.\r\n"


def body_of(number, size):
    head = f"From: from@bench.example\r\nTo: to@bench.example\r\nSubject: timing\r\nX-Bench: {number}\r\n\r\n".encode()
    return head + LINE * max(0, (size - len(head)) // len(LINE))


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


class Sink:
    """Takes each message at once and notes when its number arrived."""

    def __init__(self, port):
        self.port, self.arrived = port, {}

    async def serve(self, reader, writer):
        writer.write(b"220 sink\r\n")
        try:
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb == b"EHLO":
                    writer.write(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
                elif verb == b"DATA":
                    writer.write(b"354 go on\r\n")
                    text = await reader.readuntil(b"\r\n.\r\n")
                    writer.write(b"250 2.0.0 taken\r\n")
                    at = text.find(b"X-Bench: ")
                    self.arrived[int(text[at + 9:text.index(b"\r\n", at)])] = time.monotonic()
                elif verb == b"QUIT":
                    writer.write(b"221 bye\r\n")
                    break
                else:
                    writer.write(b"250 2.0.0 ok\r\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port, limit=1 << 22)
        return self

    async def __aexit__(self, *_):
        self.server.close()


async def reply(reader):
    while True:
        line = await reader.readline()
        if len(line) < 4 or line[3:4] != b"-":
            break
    if line[:1] not in b"23" or not line:
        raise RuntimeError(f"unexpected reply: {line!r}")


async def session(port, numbers, size, sent, waits):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reply(reader)
    writer.write(b"EHLO bench.example\r\n")
    await reply(reader)
    for number in numbers:
        for command in (b"MAIL FROM:<from@bench.example>\r\n", b"RCPT TO:<to@bench.example>\r\n", b"DATA\r\n"):
            writer.write(command)
            await reply(reader)
        writer.write(body_of(number, size))
        await writer.drain()
        began = time.monotonic()
        writer.write(b".\r\n")
        await reply(reader)
        waits.append(time.monotonic() - began)
        sent[number] = began
    writer.write(b"QUIT\r\n")
    await reply(reader)
    writer.close()


async def measure(port, sink_port, sessions, messages, size):
    sent, waits = {}, []
    async with Sink(sink_port) as sink:
        await asyncio.gather(*(session(port, range(i, messages, sessions), size, sent, waits) for i in range(sessions)))
        end = time.monotonic() + 120
        while len(sink.arrived) < messages:
            if time.monotonic() > end:
                raise RuntimeError(f"{len(sink.arrived)} of {messages} messages arrived")
            await asyncio.sleep(0.05)
    journeys = [sink.arrived[number] - began for number, began in sent.items()]
    return {"p50": percentile(waits, 0.5), "p99": percentile(waits, 0.99), "far_p50": percentile(journeys, 0.5), "far_p99": percentile(journeys, 0.99)}


def timing(port, sink_port, sessions, messages, size):
    """Seconds: p50 and p99 from the dot to its reply, and to the sink."""
    return asyncio.run(measure(port, sink_port, sessions, messages, size))


def idle_sessions(port, count):
    """So many sessions that have said EHLO and nothing since; the caller closes them."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(count + 200, 1024),) * 2)
    sockets = []
    for i in range(count):
        # 200 connections an address: what servers allow one client, unless they are told otherwise
        s = socket.socket()
        s.bind((f"127.0.{1 + i // 200}.1", 0))
        s.settimeout(60)
        s.connect(("127.0.0.1", port))
        sockets.append(s)
        s.recv(512)
        s.sendall(b"EHLO bench.example\r\n")
        s.recv(1024)
    return sockets
