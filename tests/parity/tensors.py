"""PyTorch's and NumPy's numbers for the operations on tensors.

Writes tests/parity/fixtures/tensors.safetensors: operands and results in float64, positions in int64.

Needs torch, numpy and safetensors (written with torch 2.15.0). From the repository's root:

    python tests/parity/tensors.py
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

torch.manual_seed(3)
tensors = {}


def save(name, value):
    value = torch.as_tensor(np.asarray(value)) if not isinstance(value, torch.Tensor) else value
    kind = torch.float64 if value.is_floating_point() else torch.int64
    tensors[name] = value.to(kind).contiguous().clone()


def exact(*sizes):
    """Random numbers as float32 has them, so that float32 starts from the same ones."""
    return torch.randn(sizes).double()


# Broadcasting: NumPy's.
for name, left, right in [
    ("1x3_3x1", (1, 3), (3, 1)),
    ("10x5_1x5", (10, 5), (1, 5)),
    ("10x5_5", (10, 5), (5,)),
    ("2x1x4_3x1", (2, 1, 4), (3, 1)),
    ("0_2x3", (), (2, 3)),
]:
    x, y = exact(*left), exact(*right)
    save(f"broadcast/{name}/x", x)
    save(f"broadcast/{name}/y", y)
    for op, f in [("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("div", np.divide),
                  ("maximum", np.maximum), ("minimum", np.minimum), ("gt", np.greater)]:
        save(f"broadcast/{name}/{op}", f(x.numpy(), y.numpy()))

# Functions of one number, the extremes and every kink included; ln, sqrt and powf have NaN where PyTorch has.
x = torch.tensor([-100.0, -20.5, -2.5, -1.5, -1.0, -0.5, -1e-3, 0.0, 1e-3, 0.5, 1.0, 1.5, 2.0, 2.5, 20.5, 88.0]).float().double()
save("function/x", x)
for name, f in {
    "exp": torch.exp, "ln": torch.log, "log2": torch.log2, "log10": torch.log10, "sqrt": torch.sqrt,
    "recip": torch.reciprocal, "square": torch.square, "abs": torch.abs, "sign": torch.sign, "floor": torch.floor,
    "ceil": torch.ceil, "round": torch.round, "sin": torch.sin, "cos": torch.cos, "tan": torch.tan,
    "tanh": torch.tanh, "erf": torch.erf, "sigmoid": torch.sigmoid, "relu": torch.relu,
    # PyTorch's Softplus is linear above 20; logaddexp(x, 0) is the function itself.
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "exp2": torch.exp2, "expm1": torch.expm1, "log1p": torch.log1p, "rsqrt": torch.rsqrt, "trunc": torch.trunc,
    "frac": torch.frac, "asin": torch.asin, "acos": torch.acos, "atan": torch.atan, "sinh": torch.sinh,
    "cosh": torch.cosh, "asinh": torch.asinh, "acosh": torch.acosh, "atanh": torch.atanh,
    "powi": lambda x: x**3, "powf": lambda x: x**1.5, "clamp": lambda x: x.clamp(-1.0, 2.0),
}.items():
    save(f"function/{name}", f(x))

# Reductions and what runs along an axis, of [2, 3, 4].
x = exact(2, 3, 4)
save("axis/x", x)
for name, f in {
    "sum": torch.sum, "prod": torch.prod, "mean": torch.mean, "var": torch.var, "std": torch.std,
    "var_population": lambda x, **axis: torch.var(x, correction=0, **axis),
    "std_population": lambda x, **axis: torch.std(x, correction=0, **axis),
    "norm": torch.linalg.vector_norm, "max": torch.max, "min": torch.min, "argmax": torch.argmax,
    "argmin": torch.argmin,
}.items():
    save(f"all/{name}", f(x))
    for axis in range(3):
        y = f(x, dim=axis)
        save(f"axis/{name}/{axis}", y[0] if isinstance(y, tuple) else y)
save("all/logsumexp", torch.logsumexp(x, dim=(0, 1, 2)))
for axis in range(3):
    save(f"axis/logsumexp/{axis}", torch.logsumexp(x, axis))
    save(f"axis/softmax/{axis}", torch.softmax(x, axis))
    save(f"axis/log_softmax/{axis}", torch.log_softmax(x, axis))
    save(f"axis/cumsum/{axis}", torch.cumsum(x, axis))
    values, positions = torch.sort(x, axis)
    save(f"axis/sort/{axis}", values)
    save(f"axis/sort_positions/{axis}", positions)
    values, positions = torch.topk(x, 2, axis)
    save(f"axis/topk/{axis}", values)
    save(f"axis/topk_positions/{axis}", positions)

# Shape, joining and picking.
save("shape/permute_2_0_1", x.permute(2, 0, 1))
save("shape/permute_1_0_2", x.permute(1, 0, 2))
y = exact(2, 5, 4)
save("shape/y", y)
save("shape/concat_1", torch.cat((x, y), 1))
z = exact(2, 3, 4)
save("shape/z", z)
for axis in range(4):
    save(f"shape/stack_{axis}", torch.stack((x, z), axis))
save("shape/concat_xyz_1", torch.cat((x, y, z), 1))
save("shape/concat_xz_xz_2", torch.cat((x, z, x, z), 2))
save("shape/slice_2", x[:, :, 1:3])
save("pick/index_select_1", torch.index_select(x, 1, torch.tensor([2, 0, 0, 1])))
indices = torch.tensor([[[0, 2, 1, 1], [2, 2, 0, 1]], [[1, 0, 0, 2], [2, 1, 0, 0]]])
save("pick/indices", indices)
save("pick/gather_1", torch.gather(x, 1, indices))

# Products.
operands = {"m": exact(3, 4), "n": exact(4, 5), "v": exact(4), "w": exact(3), "b": exact(2, 3, 4), "c": exact(2, 4, 5)}
for name, value in operands.items():
    save(f"matmul/{name}", value)
for left, right in ["mn", "mv", "wm", "vv", "bn", "bc"]:
    save(f"matmul/{left}{right}", operands[left] @ operands[right])

x, y = torch.tensor([[0.5], [2.0], [-1.5]]).double(), torch.tensor([2.0, -1.0, 0.5, 0.0]).double()
save("pow/x", x)
save("pow/y", y)
save("pow/xy", x**y)

save("rule/linspace", torch.linspace(-1.0, 2.0, 7, dtype=torch.float64))

save_file(tensors, Path(__file__).parent / "fixtures" / "tensors.safetensors")
