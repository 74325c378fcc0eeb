"""Plywood beside PyTorch and JAX on networks of many shapes: benches/src/sweep.rs lists them.

usage: sweep.py [--rounds N] [--secs S] [--threads T] [--only TEXT]      with a Python that has numpy

A training step is that of SGD; inference is the forward pass of the batch. PyTorch runs in this Python, or in the one that
PLYWOOD_PEERS_TORCH_PYTHON names; JAX in that of PLYWOOD_PEERS_JAX_PYTHON, if it names one. Prints a table, the worst for
Plywood first: medians of the rounds, in which all take turns. `!` marks a network during whose rounds other processes took
more than a tenth of a core.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from protocol import busy

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--rounds", type=int, default=3)
options.add_argument("--secs", type=float, default=0.1)
options.add_argument("--threads", type=int, default=1)
options.add_argument("--only", default="", help="only the networks with this text")
options = options.parse_args()

HERE = Path(__file__).resolve().parent
BENCH = [str(HERE.parent.parent / "target/release/plywood-bench"), "sweep", str(options.secs), str(options.threads)]
pythons = {"torch": os.environ.get("PLYWOOD_PEERS_TORCH_PYTHON", sys.executable)}
if jax := os.environ.get("PLYWOOD_PEERS_JAX_PYTHON"):
    pythons["jax"] = jax
threads = str(options.threads)
environment = dict(os.environ, OMP_NUM_THREADS=threads, MKL_NUM_THREADS=threads, BENCH_THREADS=threads)
peers = {
    name: subprocess.Popen(
        [python, str(HERE / "sweep_peer.py"), name, str(options.secs)],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
    )
    for name, python in pythons.items()
}


def by_peer(peer, network):
    print(json.dumps(network), file=peer.stdin, flush=True)
    return float(peer.stdout.readline())


def by_plywood(name):
    output = subprocess.run(BENCH + [name], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[0])["us"]


def own_time():
    """Seconds of processor time of this process and of all that it started."""
    ticks = os.sysconf("SC_CLK_TCK")
    live = (Path(f"/proc/{peer.pid}/stat").read_text().rsplit(")", 1)[1].split() for peer in peers.values())
    return sum(os.times()[:4]) + sum((int(stat[11]) + int(stat[12])) / ticks for stat in live)


listed = subprocess.run(BENCH[:2] + ["0", threads, options.only], check=True, stdout=subprocess.PIPE, text=True).stdout
networks = list(map(json.loads, listed.splitlines()))
if not networks:
    sys.exit(f"no network has {options.only!r} in its name")
times = {(network["name"], by): [] for network in networks for by in ("plywood", *peers)}
noisy = set()
for _ in range(options.rounds):
    for network in networks:
        name, start, before = network["name"], time.perf_counter(), busy() - own_time()
        times[name, "plywood"].append(by_plywood(name))
        for by, peer in peers.items():
            times[name, by].append(by_peer(peer, network))
        if busy() - own_time() - before > 0.1 * (time.perf_counter() - start):
            noisy.add(name)

rows = []
for network in networks:
    plywood, *others = (statistics.median(times[network["name"], by]) for by in ("plywood", *peers))
    rows.append((min(others) / plywood, network["name"], plywood, others))
print(f"| network, {threads} thread(s) | plywood | {' | '.join(peers)} |\n|---|---|{'---|' * len(peers)}")
for _, name, plywood, others in sorted(rows):
    cells = " | ".join(f"{us:.0f} µs ({us / plywood:.2f})" for us in others)
    print(f"| {name}{' !' * (name in noisy)} | {plywood:.0f} µs | {cells} |")
