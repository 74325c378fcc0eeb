"""PyTorch or JAX in a sweep: reads networks, a line of JSON each, and answers with the median microseconds of a step.

usage: sweep_peer.py torch|jax SECS
"""

import json
import os
import statistics
import sys
import time

by, secs = sys.argv[1], float(sys.argv[2])
threads = int(os.environ["BENCH_THREADS"])


def sizes(network):
    return network["batch"], *(int(size) for size in network["input"].strip("()").split(",") if size)


def in_torch():
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    names = "ReLU Tanh Sigmoid ELU LeakyReLU GELU SiLU Softplus Hardtanh".split()
    words = dict({name: getattr(nn, name)() for name in names}, Linear=nn.Linear, MaxPool2d=nn.MaxPool2d)
    words["Conv2d"] = lambda i, o, kernel, padding=0: nn.Conv2d(i, o, kernel, padding=padding)

    def step_of(network):
        torch.manual_seed(0)
        model = nn.Sequential(*eval(f"[{network['layers']}]", words))
        x = torch.rand(sizes(network))
        if network["kind"] == "infer":
            model.eval()
            return torch.inference_mode()(lambda: model(x).view(-1)[0].item())
        y = torch.zeros_like(model(x))
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

        def step():
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    return step_of


def in_jax():
    if threads == 1:
        # XLA has no switch that keeps it to one thread: it gets one core.
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax import lax, nn

    rng = np.random.default_rng(0)

    def parameters(w, b):
        bound = 1 / np.sqrt(np.prod(w) / b)
        return [jnp.asarray(rng.uniform(-bound, bound, size), jnp.float32) for size in (w, (b,))]

    def linear(i, o):
        return lambda p, x: x @ p[0] + p[1], parameters((i, o), o)

    def conv(i, o, kernel, padding=0):
        def forward(p, x):
            pad = [(padding, padding)] * 2
            y = lax.conv_general_dilated(x, p[0], (1, 1), pad, dimension_numbers=("NCHW", "OIHW", "NCHW"))
            return y + p[1][None, :, None, None]

        return forward, parameters((o, i, kernel, kernel), o)

    def pool(k):
        window = (1, 1, k, k)
        return lambda _, x: lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID"), []

    functions = dict(
        ReLU=nn.relu, Tanh=jnp.tanh, Sigmoid=nn.sigmoid, ELU=nn.elu, LeakyReLU=nn.leaky_relu, SiLU=nn.silu,
        Softplus=nn.softplus, Hardtanh=nn.hard_tanh, GELU=lambda x: nn.gelu(x, approximate=False),
    )
    words = {name: (lambda _, x, f=f: f(x), []) for name, f in functions.items()}
    words.update(Linear=linear, Conv2d=conv, MaxPool2d=pool)

    def step_of(network):
        layers, state = zip(*eval(f"[{network['layers']}]", words))
        x = jnp.asarray(rng.random(sizes(network)), jnp.float32)

        def forward(state, x):
            for layer, p in zip(layers, state):
                x = layer(p, x)
            return x

        if network["kind"] == "infer":
            run = jax.jit(forward)
            return lambda: run(state, x).block_until_ready()

        def loss(state, x, y):
            return ((forward(state, x) - y) ** 2).mean()

        def sgd(state, x, y):
            value, gradients = jax.value_and_grad(loss)(state, x, y)
            return jax.tree_util.tree_map(lambda p, g: p - 1e-3 * g, state, gradients), value

        y = jnp.zeros_like(forward(state, x))
        run = jax.jit(sgd, donate_argnums=0)

        def step():
            nonlocal state
            state, value = run(state, x, y)
            return float(value)

        return step

    return step_of


def median(step):
    for part in (secs / 5, secs):
        times, start = [], time.perf_counter()
        while len(times) < 3 or time.perf_counter() - start < part:
            step_start = time.perf_counter()
            step()
            times.append((time.perf_counter() - step_start) * 1e6)
    return statistics.median(times)


step_of = {"torch": in_torch, "jax": in_jax}[by]()
steps = {}
for line in sys.stdin:
    network = json.loads(line)
    step = steps.get(network["name"]) or steps.setdefault(network["name"], step_of(network))
    print(median(step), flush=True)
