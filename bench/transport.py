"""Carrying mail, beside Postfix: rates by size and sessions, waits, draining a queue, memory. Each figure of one side is followed by the other's, in rounds."""
import statistics
import time

from ours import Ours
from relay import CountingSink, relay_rate, source
from rivals import Postfix
from smtp_timing import idle_sessions, timing

SIZES = (2, 10, 50, 500)  # KB
SESSIONS = (1, 20, 200)


def medians(runs):
    return [statistics.median(column) for column in zip(*runs)]


def throughput(work, row, quick):
    with Postfix(work / "postfix") as postfix, Ours(work / "throughput", 1, postfix.sink_port) as ours:
        for size in SIZES:
            for sessions in SESSIONS:
                messages = max(200, (400 if quick else 4000) * 10 // max(size, 10) // (4 if sessions == 1 else 1))
                rates = {"ours": [], "postfix": []}
                for _ in range(1 if quick else 3):
                    rates["postfix"].append(relay_rate(postfix.port, postfix.sink_port, messages, sessions, size * 1024))
                    rates["ours"].append(relay_rate(ours.smtp_port(1), postfix.sink_port, messages, sessions, size * 1024))
                mine, theirs = medians(rates["ours"]), medians(rates["postfix"])
                row(f"relay, {size} KB, {sessions} session{'s' * (sessions > 1)}: accepted; and delivered", f"{mine[0]:.0f}; {mine[1]:.0f} messages/s",
                    f"Postfix {theirs[0]:.0f}; {theirs[1]:.0f} messages/s", f"{mine[0] / theirs[0]:.2f}; {mine[1] / theirs[1]:.2f} times")


def waits(work, row, quick):
    with Postfix(work / "postfix") as postfix, Ours(work / "waits", 1, postfix.sink_port) as ours:
        for sessions in SESSIONS:
            messages = (20 if quick else 100) * max(sessions, 5)
            runs = {"ours": [], "postfix": []}
            for _ in range(1 if quick else 3):
                runs["postfix"].append(timing(postfix.port, postfix.sink_port, sessions, messages, 10240))
                runs["ours"].append(timing(ours.smtp_port(1), postfix.sink_port, sessions, messages, 10240))
            mine, theirs = ({key: statistics.median(run[key] for run in runs[who]) * 1000 for key in runs[who][0]} for who in ("ours", "postfix"))
            for what, key in (("the final dot to its reply", ""), ("the final dot to the far end", "far_")):
                low, high = f"{key}p50", f"{key}p99"
                row(f"10 KB, {sessions} session{'s' * (sessions > 1)}: from {what}", f"p50 {mine[low]:.1f} ms, p99 {mine[high]:.1f} ms",
                    f"Postfix p50 {theirs[low]:.1f} ms, p99 {theirs[high]:.1f} ms", f"{mine[low] / theirs[low]:.2f}, {mine[high] / theirs[high]:.2f} times the wait")


def fill(port, messages):
    sender = source(port, 20, messages, 2048)
    if sender.wait() != 0:
        raise RuntimeError(f"smtp-source: {sender.stdout.read().decode(errors='replace')[-300:]}")


def drained(sink_port, messages, go):
    sink = CountingSink(sink_port)
    try:
        time.sleep(0.3)
        began = time.monotonic()
        go()
        last, quiet_since = 0, began
        while sink.count < messages:
            sink.look(0.05)
            now = time.monotonic()
            if sink.count != last:
                last, quiet_since = sink.count, now
            if now - quiet_since > 120:
                raise RuntimeError(f"{sink.count} of {messages} messages arrived")
        return time.monotonic() - began
    finally:
        sink.stop()


def drain(work, row, quick):
    """So many messages of 2 KB wait, then the next hop is there."""
    messages = 2000 if quick else 50000
    with Postfix(work / "postfix") as postfix, Ours(work / "drain", 1, postfix.sink_port) as ours:
        empty = {"ours": ours.memory(1)[0], "postfix": postfix.memory()}
        postfix.hold_back(True)
        fill(postfix.port, messages)
        theirs_full = postfix.memory()
        theirs = drained(postfix.sink_port, messages, lambda: postfix.hold_back(False))
        fill(ours.smtp_port(1), messages)
        mine_full = ours.memory(1)[0]
        mine = drained(postfix.sink_port, messages, lambda: ours.ctl("queue", "retry"))
        row(f"to drain {messages} queued messages of 2 KB", f"{mine:.1f} s, {messages / mine:.0f}/s", f"Postfix {theirs:.1f} s, {messages / theirs:.0f}/s",
            f"{theirs / mine:.2f} times as fast")
        row("memory of 1,000 queued messages", f"{(mine_full - empty['ours']) * 1000 / messages:.0f} KB", f"Postfix {(theirs_full - empty['postfix']) * 1000 / messages:.0f} KB", "",
            "Postfix keeps what it does not look at on disk alone")


def sessions(work, row, quick):
    """What a thousand sessions cost that have said EHLO and nothing since."""
    count = 200 if quick else 1000
    with Postfix(work / "postfix") as postfix, Ours(work / "sessions", 1, postfix.sink_port) as ours:
        ours.ctl("settings", "set", "smtp.max_sessions", "20000")
        ours.ctl("settings", "set", "relay.networks", "127.0.0.0/8")
        figures = []
        for port, memory in ((ours.smtp_port(1), lambda: ours.memory(1)[0]), (postfix.port, postfix.memory)):
            before = memory()
            open_sessions = idle_sessions(port, count)
            figures.append((memory() - before) * 1000 / count)
            for s in open_sessions:
                s.close()
        row("memory of 1,000 idle sessions", f"{figures[0] / 1024:.1f} MB", f"Postfix {figures[1] / 1024:.1f} MB", f"{figures[0] / figures[1]:.3f} times")
