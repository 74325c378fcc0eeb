"""JAX: one jitted step a call, parameters donated, the loss read back each step.

usage: jax_peer.py W1:sgd W4:adam W5:infer1 …
"""

import os
import sys

threads = int(os.environ.get("BENCH_THREADS", 1))
if threads == 1:
    # XLA has no switch that keeps it to one thread: it gets one core.
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import protocol


def forward(workload, parameters, x):
    h = x
    for i, (w, b) in enumerate(parameters):
        if w.ndim == 4:
            h = lax.conv_general_dilated(h, w, (1, 1), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW"))
            h = jax.nn.relu(h + b[None, :, None, None])
            h = lax.reduce_window(h, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
            continue
        h = h.reshape(h.shape[0], -1) @ w + b
        if i + 1 < len(parameters):
            h = jax.nn.relu(h) if workload.activation == "relu" else jax.nn.sigmoid(h)
    return h


def loss_of(workload, parameters, x, y):
    z = forward(workload, parameters, x)
    if workload.loss == "ce":
        return -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1).mean()
    if workload.loss == "bce":
        return (jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z)))).mean()
    return ((z - y) ** 2).mean()


def step_of(workload, kind):
    # JAX's convention for a dense layer is [in, out].
    w = [w if w.ndim == 4 else np.ascontiguousarray(w.T) for w in workload.w]
    parameters = [(jnp.asarray(w), jnp.asarray(b)) for w, b in zip(w, workload.b)]
    x = jnp.asarray(workload.x)
    if kind == "infer1":
        run = jax.jit(lambda parameters, x: forward(workload, parameters, x))
        row = x[:1]
        return lambda _lr: float(np.asarray(run(parameters, row))[0, 0])
    y = jnp.asarray(workload.y.astype(np.int32) if workload.loss == "ce" else workload.y)
    tree = jax.tree_util.tree_map

    def sgd(state, x, y, lr):
        loss, gradients = jax.value_and_grad(lambda p: loss_of(workload, p, x, y))(state)
        return tree(lambda p, g: p - lr * g, state, gradients), loss

    def adam(state, x, y, lr):
        p, m, v, t = state
        loss, g = jax.value_and_grad(lambda p: loss_of(workload, p, x, y))(p)
        t = t + 1
        m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        c1, c2 = 1 - 0.9**t, 1 - 0.999**t
        p = tree(lambda p, m, v: p - lr * (m / c1) / (jnp.sqrt(v / c2) + 1e-8), p, m, v)
        return (p, m, v, t), loss

    zeros = lambda: tree(jnp.zeros_like, parameters)
    state = parameters if kind == "sgd" else (parameters, zeros(), zeros(), jnp.float32(0))
    run = jax.jit(sgd if kind == "sgd" else adam, donate_argnums=0)

    def train(lr):
        nonlocal state
        state, loss = run(state, x, y, lr)
        return float(loss)

    return train


for workload, kind in protocol.tasks(sys.argv[1:]):
    protocol.measure("jax", workload, kind, threads, step_of(workload, kind))
