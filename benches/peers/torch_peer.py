"""PyTorch, eager, with its default optimizers.

usage: torch_peer.py W1:sgd W4:adam W5:infer1 …     measure
       torch_peer.py --losses                        write benches/losses.json, which all are checked against

BENCH_PRECISION is that of products of f32: highest (as usual), high, bf16, or autocast for networks that compute in bf16.
"""

import json
import os
import sys

threads = int(os.environ.get("BENCH_THREADS", 1))
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch

import protocol
from torch_model import loss_of, model_of

torch.set_num_threads(threads)
precision = os.environ.get("BENCH_PRECISION", "highest")
autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "autocast")
torch.set_float32_matmul_precision({"bf16": "medium", "autocast": "highest"}.get(precision, precision))


def step_of(workload, kind):
    model = model_of(workload)
    x, y = torch.from_numpy(workload.x), torch.from_numpy(workload.y)
    if kind == "infer1":
        row = x[:1].contiguous()

        def infer(_lr):
            with torch.inference_mode(), autocast:
                return model(row)[0, 0].item()

        return infer
    optimizer = (torch.optim.Adam if kind == "adam" else torch.optim.SGD)(model.parameters(), lr=1.0)

    def train(lr):
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad()
        with autocast:
            loss = loss_of(workload)(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return train


if sys.argv[1:] == ["--losses"]:
    losses = {}
    for workload, kind in protocol.tasks(protocol.TASKS):
        losses[f"{workload.name}:{kind}"] = protocol.first_losses(workload, kind, step_of(workload, kind))
    lines = ",\n".join(f"  {json.dumps(task)}: {json.dumps(values)}" for task, values in losses.items())
    (protocol.BENCHES / "losses.json").write_text(f"{{\n{lines}\n}}\n")
    sys.exit()

for workload, kind in protocol.tasks(sys.argv[1:]):
    protocol.measure("autocast" if precision == "autocast" else "torch", workload, kind, threads, step_of(workload, kind))
