"""Trains the networks of tests/parity/networks.py with PyTorch on the GPU and compares the losses with Plywood's.

usage: torch_check.py LOSSES RESULTS    LOSSES is the output of `plywood-cuda losses`; RESULTS gets a line of JSON per network

Both begin with the same parameters and data, those of the fixture. What 100 steps make of rounding is bounded as in
benches/src/cuda/networks.rs.
"""

import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

PARITY = Path(__file__).resolve().parents[2] / "tests" / "parity"
sys.path.insert(0, str(PARITY))

import networks

BOUNDS = {"f32": 2e-3, "f64": 1e-7}
TYPES = {"f32": torch.float32, "f64": torch.float64}


def losses_of(name, dtype, steps, fixture, device):
    model, _, _, loss_of, optimizer_of = networks.CASES[name]
    model = model.to(device, dtype)
    with torch.no_grad():
        for key, value in model.named_parameters():
            value.copy_(fixture[f"{name}/initial/{key}"])
    x, target = fixture[f"{name}/x"].to(device, dtype), fixture[f"{name}/target"].to(device)
    target = target if target.dtype == torch.int64 else target.to(dtype)
    optimizer, losses = optimizer_of(model.parameters()), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model(x), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses).tolist()


def main():
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    fixture = load_file(PARITY / "fixtures" / "networks.safetensors")
    good = count = 0
    with open(sys.argv[2], "w") as results:
        for line in open(sys.argv[1]):
            found = json.loads(line)
            name, kind, got = found["network"], found["type"], found["losses"]
            expected = losses_of(name, TYPES[kind], len(got), fixture, device)
            floor = max(map(abs, expected)) * (1.0 if kind == "f32" else 0.01)
            errors = [abs(a - b) / max(abs(b), floor) for a, b in zip(got, expected, strict=True)]
            error = max(e if math.isfinite(e) else sys.float_info.max for e in errors)
            ok = error <= BOUNDS[kind]
            title = f"PyTorch on {device}: {name}, {len(got)} losses, {kind}"
            print(f"{'ok   ' if ok else 'FAIL '} {title:<72} {error:.1e} of {BOUNDS[kind]:.0e}", flush=True)
            results.write(json.dumps({"check": title, "ok": ok, "error": error, "bound": BOUNDS[kind]}) + "\n")
            good, count = good + ok, count + 1
    print(f"\n{good} of {count} networks have PyTorch's losses.")
    sys.exit(0 if good == count and count > 0 else 1)


main()
