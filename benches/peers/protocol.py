"""What the peers in Python share with those in Rust (`benches/protocol`): the workloads with their numbers, the clock,
and a line of JSON per result."""

import json
import math
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np

BENCHES = Path(__file__).resolve().parent.parent
WORKLOADS = json.loads((BENCHES / "workloads.json").read_text())
LOSSES = json.loads((BENCHES / "losses.json").read_text())
CHECKED_STEPS = 20
TASKS = [f"W{i}:sgd" for i in range(1, 8)] + ["W4:adam", "W5:adam"] + [f"W{i}:infer1" for i in (1, 3, 4, 5)]


def tasks(arguments):
    """The workload and the kind of each task: `W4:adam`, or `W3` for `W3:sgd`."""
    for argument in arguments:
        name, _, kind = argument.partition(":")
        yield Workload(name), kind or "sgd"


class Workload:
    def __init__(self, name):
        self.name = name
        self.__dict__.update(WORKLOADS[name])
        shape = (self.batch, *self.input)
        outputs = (self.batch, self.weights[-1][0])
        self.x = self._uniform(0, shape, np.float32(1))
        if self.loss == "ce":
            self.y = (self._bits(1, self.batch) % np.uint64(outputs[1])).astype(np.int64)
        elif self.loss == "bce":
            self.y = (self._bits(1, outputs[0] * outputs[1]) % np.uint64(2)).astype(np.float32).reshape(outputs)
        else:
            self.y = self._uniform(1, outputs, np.float32(1))
        bounds = [np.float32(1 / np.sqrt(float(np.prod(s[1:])))) for s in self.weights]
        self.w = [self._uniform(2 + 2 * i, s, b) for i, (s, b) in enumerate(zip(self.weights, bounds))]
        self.b = [self._uniform(3 + 2 * i, s[:1], b) for i, (s, b) in enumerate(zip(self.weights, bounds))]

    def _uniform(self, tensor, shape, bound):
        bits = self._bits(tensor, int(np.prod(shape)))
        return ((bits.astype(np.float32) / np.float32(1 << 23) - np.float32(1)) * bound).reshape(shape)

    def _bits(self, tensor, n):
        """24 random bits: splitmix64 of the workload's number, the tensor's and the element's."""
        x = np.arange(n, dtype=np.uint64) | np.uint64((int(self.name[1:]) * 16 + tensor) << 40)
        x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return (x ^ x >> np.uint64(31)) >> np.uint64(40)


def learning_rates(workload, kind):
    """Of the checked steps and of the timed ones; `Task::learning_rates` says why Adam's differ."""
    return (1e-4, 1e-7) if kind == "adam" else (workload.lr, workload.lr)


def first_losses(workload, kind, step):
    lr, _ = learning_rates(workload, kind)
    return [step(lr) for _ in range(1 if kind == "infer1" else CHECKED_STEPS)]


def busy():
    """Seconds of processor time of all processes."""
    ticks = list(map(int, open("/proc/stat").readline().split()[1:]))
    return sum(ticks[i] for i in (0, 1, 2, 5, 6, 7)) / os.sysconf("SC_CLK_TCK")


def others():
    """Seconds of processor time that are not this process's."""
    own = os.times()
    return busy() - own.user - own.system


def measure(by, workload, kind, threads, step):
    """As `measure` in Rust. `step(lr)` gives the loss of one step."""
    secs = float(os.environ.get("BENCH_SECS", 0.5))
    _, lr = learning_rates(workload, kind)
    expected = LOSSES[f"{workload.name}:{kind}"]
    found = first_losses(workload, kind, step)
    errors = [abs(a - b) / abs(b) for a, b in zip(found, expected, strict=True)]
    # JSON has neither NaN nor infinity.
    loss_error = max(e if math.isfinite(e) else sys.float_info.max for e in errors)

    now = time.perf_counter
    start, warm = now(), 0
    while warm < 2 or now() - start < 0.2 * secs:
        step(lr)
        warm += 1
    calls = max(1, int(0.0005 * warm / (now() - start)))

    start, before, samples = now(), others(), []
    while len(samples) < 5 or now() - start < secs:
        sample = now()
        for _ in range(calls):
            step(lr)
        samples.append((now() - sample) * 1e6 / calls)
    other = max(0.0, (others() - before) / (now() - start))
    us = statistics.median(samples)
    row = dict(by=by, w=workload.name, kind=kind, us=us, min=us, max=us, threads=threads, loss_error=loss_error, other=other)
    print(json.dumps(row), flush=True)
