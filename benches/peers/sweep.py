"""Plywood beside PyTorch on networks of many shapes, a step with SGD of each: benches/src/sweep.rs lists them.

usage: sweep.py [--rounds N] [--secs S] [--threads T] [--only TEXT]      with a Python that has PyTorch

Prints a table, the worst for Plywood first: medians of the rounds, which take turns.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("--rounds", type=int, default=3)
options.add_argument("--secs", type=float, default=0.1)
options.add_argument("--threads", type=int, default=1)
options.add_argument("--only", default="", help="only the networks with this text")
options = options.parse_args()
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(options.threads)

import torch
from torch import nn

ROOT = Path(__file__).resolve().parent.parent.parent
torch.set_num_threads(options.threads)
WORDS = {name: getattr(nn, name)() for name in "ReLU Tanh Sigmoid ELU LeakyReLU GELU SiLU Softplus Hardtanh".split()}
WORDS.update(Linear=nn.Linear, MaxPool2d=nn.MaxPool2d)
WORDS.update(Conv2d=lambda i, o, kernel, padding=0: nn.Conv2d(i, o, kernel, padding=padding))


def step_of(network):
    torch.manual_seed(0)
    model = nn.Sequential(*eval(f"[{network['layers']}]", WORDS))
    sizes = [int(size) for size in network["input"].strip("()").split(",")]
    x = torch.rand(network["batch"], *sizes)
    y = torch.zeros_like(model(x))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def median(step):
    for secs in (options.secs / 5, options.secs):
        times, start = [], time.perf_counter()
        while len(times) < 3 or time.perf_counter() - start < secs:
            step_start = time.perf_counter()
            step()
            times.append((time.perf_counter() - step_start) * 1e6)
    return statistics.median(times)


bench = [str(ROOT / "target/release/plywood-bench"), "sweep", str(options.secs), str(options.threads), options.only]
own, theirs, steps = {}, {}, {}
for _ in range(options.rounds):
    output = subprocess.run(bench, check=True, stdout=subprocess.PIPE, text=True).stdout
    for network in map(json.loads, output.splitlines()):
        name = f"{network['batch']} × {network['input']}: {' '.join(network['layers'].split())}"
        if name not in steps:
            steps[name] = step_of(network)
        own.setdefault(name, []).append(network["us"])
        theirs.setdefault(name, []).append(median(steps[name]))

rows = [(statistics.median(own[name]), statistics.median(theirs[name]), name) for name in own]
print(f"| network, {options.threads} thread(s) | plywood | torch | torch ÷ plywood |\n|---|---|---|---|")
for plywood, peer, name in sorted(rows, key=lambda row: row[1] / row[0]):
    print(f"| {name} | {plywood:.0f} µs | {peer:.0f} µs | {peer / plywood:.2f} |")
