"""PyTorch's values and gradients for every operation on variables.

Writes tests/parity/fixtures/autograd.safetensors, in float64: for each case the operands x0, x1, …, the result y, a
gradient dy of it, and the gradients d0, d1, … of the operands. The operands are float32 numbers, so that float32 starts
from the same ones.

Needs torch and safetensors (written with torch 2.15.0). From the repository's root:

    python tests/parity/autograd.py
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

torch.manual_seed(11)
tensors = {}


def randn(*sizes):
    """Random numbers as float32 has them."""
    return torch.randn(sizes).double()


def away(*sizes):
    """Random numbers of both signs, none close to 0."""
    x = randn(*sizes)
    return (x + 0.25 * torch.sign(x)).float().double()


def positive(*sizes):
    return (torch.rand(sizes) * 2 + 0.25).double()


def case(name, f, *operands):
    assert f"{name}/y" not in tensors, name
    operands = [torch.as_tensor(x, dtype=torch.float64).clone().requires_grad_() for x in operands]
    y = f(*operands)
    dy = randn(*y.shape)
    y.backward(dy)
    tensors.update({f"{name}/y": y.detach(), f"{name}/dy": dy})
    for i, x in enumerate(operands):
        tensors[f"{name}/x{i}"], tensors[f"{name}/d{i}"] = x.detach(), x.grad


# Two operands, broadcast either way.
for sizes, left, right in [
    ("2x3_2x3", (2, 3), (2, 3)),
    ("2x3_3", (2, 3), (3,)),
    ("3_2x3", (3,), (2, 3)),
    ("1x3_3x1", (1, 3), (3, 1)),
    ("2x1x4_3x1", (2, 1, 4), (3, 1)),
    ("0_2x3", (), (2, 3)),
    ("2x3_1", (2, 3), (1,)),
]:
    for name, f in [("add", torch.add), ("sub", torch.sub), ("mul", torch.mul), ("div", torch.div),
                    ("maximum", torch.maximum), ("minimum", torch.minimum)]:
        case(f"{name}/{sizes}", f, away(*left), away(*right))
mask = torch.tensor([[True], [False]])
case("where", lambda x, y: torch.where(mask, x, y), randn(3), randn(2, 1))

# Numbers on either side.
for name, f in {
    "add": lambda x: x + 1.5, "sub": lambda x: x - 1.5, "mul": lambda x: x * 1.5, "div": lambda x: x / 1.5,
    "add_first": lambda x: 1.5 + x, "sub_first": lambda x: 1.5 - x, "mul_first": lambda x: 1.5 * x,
    "div_first": lambda x: 1.5 / x, "neg": lambda x: -x,
}.items():
    case(f"number/{name}", f, away(2, 3))

# Functions of one number.
for name, f in {
    "exp": torch.exp, "recip": torch.reciprocal, "square": torch.square, "abs": torch.abs, "sign": torch.sign,
    "floor": torch.floor, "ceil": torch.ceil, "round": torch.round, "sin": torch.sin, "cos": torch.cos,
    "tan": torch.tan, "exp2": torch.exp2, "expm1": torch.expm1, "trunc": torch.trunc, "frac": torch.frac,
    "atan": torch.atan, "sinh": torch.sinh, "cosh": torch.cosh, "asinh": torch.asinh, "tanh": torch.tanh, "erf": torch.erf, "sigmoid": torch.sigmoid, "relu": torch.relu,
    # PyTorch's Softplus is linear above 20; logaddexp(x, 0) is the function itself.
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "powi_3": lambda x: x**3, "powi_-2": lambda x: x**-2, "powi_1": lambda x: x**1, "powi_0": lambda x: x**0,
    "clamp": lambda x: x.clamp(-0.75, 0.75),
}.items():
    case(f"function/{name}", f, away(2, 3))
for name, f in {
    "ln": torch.log, "log2": torch.log2, "log10": torch.log10, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt,
    "log1p": torch.log1p, "powf_1.5": lambda x: x**1.5,
    "powf_-0.5": lambda x: x**-0.5, "powf_0": lambda x: x**0.0,
}.items():
    case(f"function/{name}", f, positive(2, 3))

case("function/acosh", torch.acosh, 1 + positive(2, 3))
for name, f in {"asin": torch.asin, "acos": torch.acos, "atanh": torch.atanh}.items():
    case(f"function/{name}", f, (torch.rand(2, 3) * 1.5 - 0.75).double())
case("pow/2x3_3", torch.pow, positive(2, 3), randn(3))
case("pow/2x1_3", torch.pow, positive(2, 1), randn(3))

# Matrix products.
for name, left, right in [
    ("matrix_matrix", (2, 3), (3, 4)),
    ("matrix_vector", (2, 3), (3,)),
    ("vector_matrix", (3,), (3, 4)),
    ("vector_vector", (3,), (3,)),
    ("batch_matrix", (2, 3, 4), (4, 5)),
    ("batch_batch", (2, 3, 4), (2, 4, 5)),
    ("large", (33, 40), (40, 17)),
]:
    case(f"matmul/{name}", torch.matmul, randn(*left), randn(*right))

# Shapes, picks, joins. The factor makes the elements differ where an operation only moves them.
moves = {
    "reshape": lambda x: x.reshape(4, 6), "flatten": torch.flatten, "flatten_rows": lambda x: x.flatten(1),
    "unsqueeze": lambda x: x.unsqueeze(1), "permute": lambda x: x.permute(2, 0, 1),
    "get": lambda x: x[1, 2, 0], "row": lambda x: x[1], "slice": lambda x: x[:, 1:3], "narrow": lambda x: x.narrow(2, 1, 2),
    "split_left": lambda x: x.split([1, 3], 2)[0], "split_right": lambda x: x.split([1, 3], 2)[1],
    "split_middle": lambda x: x.split([1, 2, 1], 2)[1],
    "index_select_0": lambda x: x.index_select(0, torch.tensor([1, 1, 0])),
    "index_select_2": lambda x: x.index_select(2, torch.tensor([3, 0])),
    "gather": lambda x: x.gather(1, torch.tensor([[[0, 2, 1, 1], [0, 0, 1, 2]], [[2, 2, 2, 2], [0, 1, 2, 0]]])),
}
for name, f in moves.items():
    case(f"move/{name}", f, randn(2, 3, 4))
case("move/squeeze", lambda x: x.squeeze(1), randn(3, 1, 2))
case("move/broadcast_to", lambda x: x.broadcast_to(2, 3, 4), randn(3, 1))
case("move/transpose", lambda x: x.T, randn(2, 3))
case("move/column", lambda x: x[:, 2], randn(2, 3))
case("move/permute_4", lambda x: x.permute(0, 3, 1, 2), randn(2, 3, 4, 5))
case("join/concat_0", lambda x, y: torch.cat([x, y], 0), randn(2, 3), randn(1, 3))
case("join/concat_1", lambda x, y: torch.cat([x, y], 1), randn(2, 3), randn(2, 2))
case("join/concat_3", lambda x, y, z: torch.cat([x, y, z], 1), randn(2, 3), randn(2, 1), randn(2, 2))
case("join/concat_array", lambda x, y: torch.cat([x, y, x], 1), randn(2, 3), randn(2, 3))
for axis in range(3):
    case(f"join/stack_{axis}", lambda x, y: torch.stack([x, y, x], axis), randn(2, 3), randn(2, 3))

# Reductions and what runs along an axis.
reductions = {
    "sum": torch.sum, "mean": torch.mean, "prod": torch.prod, "max": torch.max, "min": torch.min, "var": torch.var,
    "std": torch.std, "var_population": lambda x, **axis: torch.var(x, correction=0, **axis),
    "std_population": lambda x, **axis: torch.std(x, correction=0, **axis), "norm": torch.linalg.vector_norm, "logsumexp": torch.logsumexp,
}
for name, f in reductions.items():
    whole = (lambda x: torch.logsumexp(x, (0, 1, 2))) if name == "logsumexp" else f
    case(f"{name}/all", whole, away(2, 3, 4))
    for axis in range(3):
        def reduced(x, keep=False):
            y = f(x, dim=axis, keepdim=keep)
            return y[0] if isinstance(y, tuple) else y

        case(f"{name}/{axis}", reduced, away(2, 3, 4))
        case(f"{name}/keep/{axis}", lambda x: reduced(x, True), away(2, 3, 4))
for axis in range(3):
    for name, f in {
        "softmax": torch.softmax, "log_softmax": torch.log_softmax, "cumsum": torch.cumsum,
        "sort": lambda x, axis: torch.sort(x, axis)[0], "topk": lambda x, axis: torch.topk(x, 2, axis)[0],
    }.items():
        case(f"{name}/{axis}", lambda x: f(x, axis), randn(2, 3, 4))

# Ties, kinks, zeros and infinities.
ties = [[1.0, 3.0, 3.0], [-2.0, -2.0, 0.0]]
inf = float("inf")
case("kink/maximum", torch.maximum, ties, [[1.0, 2.0, 3.0]])
case("kink/minimum", torch.minimum, ties, [[1.0, 2.0, 3.0]])
case("kink/max", torch.max, ties)
case("kink/min", torch.min, ties)
case("kink/max_axis", lambda x: torch.max(x, 1)[0], ties)
case("kink/min_axis", lambda x: torch.min(x, 1)[0], ties)
case("kink/abs", torch.abs, [0.0, -1.0])
case("kink/sign", torch.sign, [0.0, -1.0])
case("kink/relu", torch.relu, [0.0, -1.0])
case("kink/clamp", lambda x: x.clamp(-1.0, 1.0), [-1.0, 1.0, 1.5])
case("kink/sqrt", torch.sqrt, [0.0, 1.0])
case("kink/powf", lambda x: x**0.5, [0.0, 1.0])
case("kink/pow", torch.pow, [0.0, 0.0, 0.0, -2.0, 2.0], [0.0, 2.0, 0.5, 2.0, 0.0])
case("kink/powi_0", lambda x: x**0, [0.0, 1.0])
case("kink/prod", torch.prod, [2.0, 0.0, 3.0])
case("kink/prod_two_zeros", torch.prod, [2.0, 0.0, 0.0])
case("kink/std", torch.std, [2.0, 2.0, 2.0])
case("kink/norm", torch.linalg.vector_norm, [0.0, 0.0])
case("kink/logsumexp", lambda x: torch.logsumexp(x, 0), [-inf, 0.0])
case("kink/logsumexp_nothing", lambda x: torch.logsumexp(x, 0), [-inf, -inf])
case("kink/nan_max", torch.max, [1.0, float("nan"), 2.0])
case("kink/nan_maximum", torch.maximum, [1.0, float("nan"), 2.0], [float("nan"), 1.0, 0.0])

# What people write.
case("expression/attention", lambda q, k, v: torch.softmax(q @ k.T / 2.0, 1) @ v, randn(3, 4), randn(5, 4), randn(5, 2))
case(
    "expression/normalised",
    lambda x, g, b: (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True) + 1e-5).sqrt() * g + b,
    randn(3, 5), randn(5), randn(5),
)
case("expression/distances", lambda x, y: ((x.unsqueeze(1) - y.unsqueeze(0)) ** 2).sum(2).sqrt(), randn(3, 4), randn(2, 4))


def recurrent(w, u, x):
    h = torch.zeros(2, dtype=torch.float64)
    for row in x:
        h = torch.tanh(w @ h + u @ row)
    return h


case("expression/recurrent", recurrent, randn(2, 2), randn(2, 3), randn(4, 3))
labels, chances = torch.tensor([2, 0, 1]), torch.softmax(randn(3, 4), 1).float().double()
case("loss/cross_entropy", lambda z: nn.functional.cross_entropy(z, labels), randn(3, 4))
tensors["loss/chances"] = chances
case("loss/bce", lambda z: nn.functional.binary_cross_entropy_with_logits(z, chances), randn(3, 4))
case("loss/mse", lambda y: nn.functional.mse_loss(y, chances, reduction="sum"), randn(3, 4))

path = Path(__file__).parent / "fixtures" / "autograd.safetensors"
save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path)
print(f"{path}: {len(tensors)} tensors")
