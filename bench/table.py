#!/usr/bin/python3
"""One table: each line is Sealpost beside its rival, measured in turns in the same run on the same disk and cores, with other people's load generators
where there are any (smtp-source, smtp-sink) and the same one for both where there are none (bench/load/https_load.c)."""
import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bench"))
import transport  # noqa: E402
from rivals import Etcd  # noqa: E402
from relay import CountingSink  # noqa: E402
from ours import Ours, free_port  # noqa: E402

BIN = pathlib.Path(os.environ.get("SEALPOST_BIN") or ROOT / "build" / "bin")
WORK = ROOT / "build" / "bench-run"
rows = []


def row(what, ours, rival, ratio, note=""):
    rows.append((what, ours, rival, ratio, note))
    print(f"   {what}: {ours}" + (f" | {rival} | {ratio}" if rival else "") + (f" | {note}" if note else ""), file=sys.stderr, flush=True)


def https_load(port, ca, connections, seconds, method, path, body="", header=""):
    result = subprocess.run([BIN / "https_load", str(port), ca, str(connections), str(seconds), method, path, body, header],
                            capture_output=True, text=True, timeout=seconds + 120, check=True)
    rate, p50, p99, failures = result.stdout.split()
    return {"rate": float(rate), "p50": float(p50), "p99": float(p99), "failures": int(failures), "said": result.stderr.strip()}


def relay(quick):
    transport.throughput(WORK, row, quick)


def waits(quick):
    transport.waits(WORK, row, quick)


def drain(quick):
    transport.drain(WORK, row, quick)


def sessions(quick):
    transport.sessions(WORK, row, quick)


def smime(quick):
    output = subprocess.run([BIN / "smime_bench", "2" if quick else "5"], capture_output=True, text=True, check=True, timeout=600).stdout
    for line in output.splitlines():
        fields = line.split("\t")
        if len(fields) == 5 and re.fullmatch(r"[0-9.]+", fields[4]):
            row(f"S/MIME, {fields[0]}, {fields[1]} bytes", f"{fields[2]} us", f"bare CMS loop {fields[3]} us", f"{fields[4]} times the CPU")


def message(quick):
    """Whole messages in a worker, policy and MIME included, beside a bare loop that makes the same CMS object."""
    output = subprocess.run([BIN / "message_bench", "1" if quick else "5"], capture_output=True, text=True, check=True, timeout=900).stdout
    for line in output.splitlines()[1:]:
        name, size, ours, bare, ratio, smime, smime_ratio = line.split("\t")
        row(f"message, {name}, {size} bytes", f"{ours} us", f"bare CMS loop {bare} us; with S/MIME in and out {smime} us",
            f"{ratio}; {smime_ratio} times the CPU")


def decision(quick):
    output = subprocess.run([BIN / "decision_bench", "1000" if quick else "100000"], capture_output=True, text=True, check=True, timeout=300).stdout
    head, *lines = output.splitlines()
    for line in lines:
        row(f"policy decision ({head}), {line.split(',')[0].strip()}", re.search(r"[0-9.]+ us", line).group(), "", "")


def state(quick):
    seconds = 2 if quick else 6
    for nodes in (1, 3):
        with Etcd(WORK / f"etcd{nodes}", nodes) as etcd, Ours(WORK / f"state{nodes}", nodes) as ours:
            leader, follower = ours.leader(), ours.leader() % nodes + 1
            auth = f"Authorization: Bearer {ours.token}"
            for connections in (1, 64):
                mine = https_load(ours.api_port(leader), ours.ca, connections, seconds, "PUT", "/v1/settings/encrypt.mode?user=u{n}@bench.example",
                                  '{"value": "opportunistic"}', auth)
                theirs = etcd.put(https_load, connections, seconds)
                compare(f"acknowledged writes, {nodes} node{'s' * (nodes > 1)}, {connections} client{'s' * (connections > 1)}", mine, theirs)
            for name, node in (("leader", leader), ("follower", follower)):
                if nodes == 1 and name == "follower":
                    continue
                mine = https_load(ours.api_port(node), ours.ca, 64, seconds, "GET", "/v1/settings/encrypt.mode?user=u1@bench.example&barrier=true", "", auth)
                theirs = etcd.get(https_load, 64, seconds, follower=name == "follower")
                compare(f"barrier reads at the {name}, {nodes} node{'s' * (nodes > 1)}, 64 clients", mine, theirs)


def compare(what, mine, theirs):
    faults = [f"{who}: {f['failures']} failures {f['said'][:200]}" for who, f in (("ours", mine), ("etcd", theirs)) if f["failures"]]
    ratio = f"{mine['rate'] / theirs['rate']:.2f} times" if theirs["rate"] else "-"
    row(what, f"{mine['rate']:.0f}/s, p50 {mine['p50']:.1f} ms, p99 {mine['p99']:.1f} ms", f"etcd {theirs['rate']:.0f}/s, p50 {theirs['p50']:.1f} ms, p99 {theirs['p99']:.1f} ms",
        ratio, "; ".join(faults))


def node(quick):
    with Ours(WORK / "node", 1) as ours:
        total, parts, resident = ours.memory(1)
        row("memory of an idle node (PSS, all roles)", f"{total / 1024:.1f} MB", "", "", " ".join(f"{name} {kb / 1024:.1f}" for name, kb in sorted(parts.items())) + f"; sum of resident sets {resident / 1024:.0f} MB")
        times = [ours.start_to_ready(1) for _ in range(2 if quick else 5)]
        row("from start to ready, one node", f"{statistics.median(times) * 1000:.0f} ms", "", "", f"worst of {len(times)}: {max(times) * 1000:.0f} ms")


def large(quick):
    """One message of 49 MB, signed and encrypted: what the worker that has it needs at its peak."""
    port = free_port()
    sink = CountingSink(port)
    try:
        with Ours(WORK / "large", 1, port) as ours:
            ours.ctl("domain", "add", "bench.example", "--locality", "internal")
            ours.ctl("ca", "create", "bench", "--subject", "CN=Bench", "--key", "p256")
            for address in ("from@bench.example", "to@partner.example"):
                ours.ctl("ca", "issue", address, "--ca", "bench")
            ours.ctl("settings", "set", "encrypt.mode", "mandatory", "--domain", "partner.example")
            idle = max(ours.peaks(1, "worker"))
            sent = subprocess.run(["smtp-source", "-d", "-m", "1", "-l", "49000000", "-f", "from@bench.example", "-t", "to@partner.example",
                                   f"127.0.0.1:{ours.smtp_port(1)}"], capture_output=True, text=True, timeout=120)
            if sent.returncode != 0:
                raise RuntimeError(f"smtp-source: {sent.stdout}{sent.stderr}")
            row("a worker's resident set at its peak, one message of 49 MB signed and encrypted", f"{max(ours.peaks(1, 'worker')):.0f} MB", "", "",
                f"idle {idle:.0f} MB; the message itself, which is mapped, is 47 MB of it")
    finally:
        sink.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds: to see that it works, not to quote")
    parser.add_argument("pattern", nargs="?", default="", help="node, smime, message, decision, large, relay, waits, drain, sessions, state")
    a = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    failed = False
    try:
        for part in (node, smime, message, decision, large, relay, waits, drain, sessions, state):
            if re.search(a.pattern, part.__name__):
                print(f"{part.__name__} ...", file=sys.stderr, flush=True)
                try:
                    part(a.quick)
                except (OSError, RuntimeError, subprocess.SubprocessError, AssertionError) as error:
                    failed = True
                    row(part.__name__, f"not measured: {error}", "", "")
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
    print("| what | Sealpost | rival | ratio | |\n|---|---|---|---|---|")
    for columns in rows:
        print("| " + " | ".join(columns) + " |")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
