"""PyTorch's side of the timings on a GPU, on request, as benches/src/cuda/serve.rs is Plywood's.

A line of standard input asks, a line of JSON answers:

  losses W5 sgd high MODE       the losses of the first steps from the initial parameters (or, of `infer`, the first output)
  time W5 sgd high 0.2 MODE     microseconds a step, measured for so many seconds
  products W5 sgd high 0.2      microseconds for nothing but the matrix products and convolutions of a step, in one graph
  limits high                   the device's matrix products in TFLOP/s, and its copies in GB/s

MODE: eager; compile (forward and loss by torch.compile); graph (the whole step, eager, as one CUDA graph); compile+graph. The
optimizers are PyTorch's fused ones. Precisions: highest is f32 throughout; high allows TF32; bf16 is autocast.
"""

import json
import statistics
import sys
import time
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers"))

import torch

import protocol
from torch_model import loss_of, model_of

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
SAMPLES = 5


def set_precision(precision):
    torch.set_float32_matmul_precision("highest" if precision == "highest" else "high")
    torch.backends.cudnn.allow_tf32 = precision != "highest"


def autocast(precision):
    return torch.autocast(DEVICE.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def synchronize():
    if GPU:
        torch.cuda.synchronize()


def captured(work, before=lambda: None):
    """What runs `work` as one graph; its result is in the same place each time. `before` comes before the capture."""
    if not GPU:
        return work
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    before()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = work()

    def replay():
        graph.replay()
        return result

    return replay


class Run:
    """A workload in one mode."""

    def __init__(self, name, kind, precision, mode):
        self.workload, self.kind, self.graph = protocol.Workload(name), kind, mode.endswith("graph")
        self.model = model_of(self.workload).to(DEVICE)
        self.initial = [parameter.detach().clone() for parameter in self.model.parameters()]
        self.x = torch.from_numpy(self.workload.x).to(DEVICE)
        self.y = torch.from_numpy(self.workload.y).to(DEVICE)
        model, loss = self.model, loss_of(self.workload)

        def forward(x, y):
            with autocast(precision):
                return model(x) if kind == "infer" else loss(model(x), y)

        self.forward = torch.compile(forward, dynamic=False) if mode.startswith("compile") else forward
        if kind != "infer":
            options = {"fused": True} if GPU else {}
            if kind == "adam" and self.graph:
                options["capturable"] = GPU
            optimizer = torch.optim.Adam if kind == "adam" else torch.optim.SGD
            self.optimizer = optimizer(self.model.parameters(), lr=0.0, **options)
        self.steps = {}

    def step(self):
        if self.kind == "infer":
            with torch.inference_mode():
                return self.forward(self.x, self.y)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.forward(self.x, self.y)
        loss.backward()
        self.optimizer.step()
        return loss

    def restart(self):
        """The parameters and the optimizer as in the beginning, where they are."""
        with torch.no_grad():
            for parameter, initial in zip(self.model.parameters(), self.initial):
                parameter.copy_(initial)
        if self.kind != "infer":
            for state in self.optimizer.state.values():
                for value in state.values():
                    if torch.is_tensor(value):
                        value.zero_()

    def with_rate(self, lr):
        """A step with this learning rate, which a graph holds for good."""
        if self.kind != "infer":
            self.optimizer.param_groups[0]["lr"] = lr
        if not self.graph:
            return self.step
        if lr not in self.steps:
            self.steps = {lr: captured(self.step)}
        return self.steps[lr]


def losses(run):
    checked, _ = protocol.learning_rates(run.workload, run.kind)
    step = run.with_rate(checked)
    run.restart()
    if run.kind == "infer":
        return [step().flatten()[0].item()]
    return [step().item() for _ in range(protocol.CHECKED_STEPS)]


def timed(step, secs):
    """Microseconds a step: many are queued, and the last is waited for."""

    def steps(n):
        synchronize()
        start = time.perf_counter()
        for _ in range(n):
            step()
        synchronize()
        return time.perf_counter() - start

    steps(3)
    n, seconds = 1, steps(1)
    while seconds < 0.02 * secs:
        n *= 2
        seconds = steps(n)
    n = max(1, int(secs / SAMPLES / seconds * n))
    return {"us": statistics.median(steps(n) * 1e6 / n for _ in range(SAMPLES)), "steps": n}


def products(name, kind, precision, secs):
    """The products of a step at their sizes, with operands in the precision's own type."""
    workload = protocol.Workload(name)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    random = lambda *sizes: torch.randn(sizes, device=DEVICE).to(dtype)
    work, (h, w) = [], (workload.input[1:] if len(workload.input) == 3 else (1, 1))
    for i, sizes in enumerate(workload.weights):
        weight = random(*sizes)
        needs = [i > 0, True, False]
        if len(sizes) == 4:
            x, dy = random(workload.batch, sizes[1], h, w), random(workload.batch, sizes[0], h, w)
            work.append(lambda x=x, weight=weight: torch.conv2d(x, weight, padding=1))
            if kind != "infer":
                work.append(lambda x=x, dy=dy, weight=weight, needs=needs: torch.ops.aten.convolution_backward(
                    dy, x, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, needs))
            h, w = h // 2, w // 2
        else:
            x, dy = random(workload.batch, sizes[1]), random(workload.batch, sizes[0])
            work.append(lambda x=x, weight=weight: x @ weight.T)
            if kind != "infer":
                work.append(lambda x=x, dy=dy: dy.T @ x)
                if i > 0:
                    work.append(lambda dy=dy, weight=weight: dy @ weight)
    with torch.inference_mode():
        return timed(captured(lambda: [product() for product in work]), secs)


def limits(precision):
    """Large products of random numbers, and copies, counting bytes read and written."""
    dtype, best = (torch.bfloat16 if precision == "bf16" else torch.float32), 0.0
    for n in [4096, 8192] if GPU else [512]:
        a, b = (torch.randn(n, n, device=DEVICE).to(dtype) for _ in range(2))
        c = torch.empty(n, n, device=DEVICE, dtype=dtype)
        us = timed(lambda: torch.matmul(a, b, out=c), 0.3)["us"]
        best = max(best, 2 * n**3 / us / 1e6)
    a = torch.randn(1 << (28 if GPU else 22), device=DEVICE)
    b = torch.empty_like(a)
    return {"tflops": best, "copy_gbs": 2 * 4 * a.numel() / timed(lambda: b.copy_(a), 0.2)["us"] / 1e3}


def answer(runs, what, *words):
    if what == "limits":
        set_precision(words[0])
        return limits(words[0])
    name, kind, precision = words[:3]
    set_precision(precision)
    if what == "products":
        return products(name, kind, precision, float(words[3]))
    key = (name, kind, precision, words[-1])
    if key not in runs:
        runs[key] = Run(*key)
    run = runs[key]
    if what == "losses":
        return {"losses": losses(run)}
    _, lr = protocol.learning_rates(run.workload, run.kind)
    return timed(run.with_rate(lr), float(words[3]))


def main():
    # Each workload, precision and kind is a graph of its own from the same few functions.
    torch._dynamo.config.recompile_limit = torch._dynamo.config.accumulated_recompile_limit = 10_000
    runs = {}
    name = torch.cuda.get_device_name() if GPU else "cpu"
    print(json.dumps({"device": name, "torch": torch.__version__, "cuda": torch.version.cuda}), flush=True)
    for line in sys.stdin:
        try:
            found = answer(runs, *line.split())
        except Exception as wrong:
            found = {"error": f"{type(wrong).__name__}: {wrong}".splitlines()[0]}
        print(json.dumps(found), flush=True)


main()
