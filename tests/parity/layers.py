"""PyTorch's numbers for each layer and each loss by itself, extreme inputs included.

Writes tests/parity/fixtures/layers.safetensors: inputs, outputs and gradients in float64. The inputs are float32
numbers, so that float32 starts from the same ones.

Needs torch and safetensors (written with torch 2.15.0). From the repository's root:

    python tests/parity/layers.py
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

MAGNITUDES = [0.0, 1e-6, 1e-3, 0.25, 0.5, 0.75, 1.0, 2.0, 2.5, 3.0, 5.0, 10.0, 20.0, 20.5, 100.0, 1e4]

# The bounds of Hardtanh, the threshold of Softplus (20, and 5 at beta 2) and every kink are among the inputs.
ACTIVATIONS = {
    "relu": nn.ReLU(),
    "leaky_relu": nn.LeakyReLU(),
    "leaky_relu_0.2": nn.LeakyReLU(0.2),
    "leaky_relu_0": nn.LeakyReLU(0.0),
    "leaky_relu_2": nn.LeakyReLU(2.0),
    "leaky_relu_-0.3": nn.LeakyReLU(-0.3),
    "elu": nn.ELU(),
    "elu_0.5": nn.ELU(0.5),
    "elu_2": nn.ELU(2.0),
    "elu_-0.5": nn.ELU(-0.5),
    "gelu": nn.GELU(),
    "gelu_tanh": nn.GELU(approximate="tanh"),
    "silu": nn.SiLU(),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "softplus": nn.Softplus(),
    "softplus_2_5": nn.Softplus(2.0, 5.0),
    "softplus_0.5": nn.Softplus(0.5),
    "hardtanh": nn.Hardtanh(),
    "hardtanh_-0.5_2": nn.Hardtanh(-0.5, 2.0),
    "identity": nn.Identity(),
}

tensors = {}


def exact(values):
    """The same numbers as float32 has them."""
    return torch.as_tensor(values).float().double()


def module(name, layer, x):
    layer, x = layer.double(), x.clone().requires_grad_()
    y = layer(x)
    dy = exact(torch.randn(y.shape))
    y.backward(dy)
    tensors.update({f"{name}/x": x.detach(), f"{name}/y": y.detach(), f"{name}/dy": dy, f"{name}/dx": x.grad})
    for key, value in layer.named_parameters():
        tensors[f"{name}/{key}"] = value.detach()
        tensors[f"{name}/d{key}"] = value.grad


def loss(name, make, y, target):
    target = target if target.dtype == torch.int64 else exact(target)
    tensors.update({f"{name}/y": y, f"{name}/target": target})
    for reduction in ["mean", "sum", "none"]:
        at = y.clone().requires_grad_()
        value = make(reduction=reduction)(at, target)
        tensors[f"{name}/{reduction}"] = value.detach()
        if reduction != "none":
            value.backward()
            tensors[f"{name}/d{reduction}"] = at.grad
    assert torch.isfinite(tensors[f"{name}/none"]).all(), name


def main():
    torch.manual_seed(0)
    x = exact([-m for m in reversed(MAGNITUDES)] + MAGNITUDES)
    for name, layer in ACTIVATIONS.items():
        module(name, layer, x.reshape(-1, 1))

    module("linear", nn.Linear(13, 7), exact(torch.randn(5, 13)))
    module("linear_unbiased", nn.Linear(13, 7, bias=False), exact(torch.randn(5, 13)))
    module("linear_rows", nn.Linear(5, 7), exact(torch.randn(4, 3, 5)))
    module("linear_wide", nn.Linear(33, 65), exact(torch.randn(17, 33)))

    logits = torch.randn(8, 5)
    logits[1] = 0.0
    logits[2] = torch.tensor([1e4, -1e4, 0.0, 100.0, -100.0])
    logits[3] = -1e4
    logits[4] = torch.tensor([1e4, 1e4 - 1, 1e4, 1e4 + 1, 1e4])
    logits[5] = torch.tensor([-1e4, -1e4, -1e4, -1e4, -1e4 + 0.5])
    logits[6] *= 30
    logits = exact(logits)
    module("softmax", nn.Softmax(dim=-1), logits)
    module("log_softmax", nn.LogSoftmax(dim=-1), logits)

    loss("mse", nn.MSELoss, exact(torch.randn(5, 3)), torch.randn(5, 3))
    loss("mse_large", nn.MSELoss, exact([[1e4, -1e4, 100.0], [0.0, -100.0, 1.0]]), torch.randn(2, 3))
    classes = torch.tensor([4, 1, 1, 0, 3, 2, 0, 1])
    loss("cross_entropy", nn.CrossEntropyLoss, logits, classes)
    shares = torch.softmax(torch.randn(8, 5), dim=-1)
    shares[2] = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])
    loss("cross_entropy_shares", nn.CrossEntropyLoss, logits, shares)
    loss("bce", nn.BCELoss, exact(torch.rand(5, 3)), torch.rand(5, 3))
    loss(
        "bce_certain", nn.BCELoss,
        exact([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.5, 0.999, 0.001]]),
        torch.tensor([[0.0, 1.0, 0.25], [0.0, 1.0, 0.25], [0.5, 1.0, 1.0]]),
    )
    z = x.reshape(-1, 1).repeat(1, 3)
    loss("bce_with_logits", nn.BCEWithLogitsLoss, z, torch.tensor([0.0, 0.25, 1.0]).repeat(len(x), 1))

    module("conv2d", nn.Conv2d(3, 5, 3), exact(torch.randn(2, 3, 8, 9)))
    module("conv2d_padded", nn.Conv2d(2, 7, 5, padding=2), exact(torch.randn(3, 2, 7, 7)))
    uneven = nn.Conv2d(2, 4, (3, 5), stride=(2, 3), padding=(1, 2), dilation=(2, 1))
    module("conv2d_uneven", uneven, exact(torch.randn(3, 2, 9, 11)))
    module("conv2d_same", nn.Conv2d(3, 4, (3, 5), padding="same", dilation=2, bias=False), exact(torch.randn(2, 3, 6, 5)))
    module("conv2d_strided", nn.Conv2d(16, 33, 3, stride=2, padding=1), exact(torch.randn(2, 16, 13, 12)))
    module("conv2d_pixels", nn.Conv2d(17, 9, 1), exact(torch.randn(3, 17, 5, 3)))
    module("conv2d_overhang", nn.Conv2d(1, 2, 2, padding=3), exact(torch.randn(1, 1, 1, 2)))

    module("max_pool2d", nn.MaxPool2d(2), exact(torch.randn(2, 3, 7, 8)))
    module("max_pool2d_uneven", nn.MaxPool2d((3, 4), (1, 2), (1, 2)), exact(torch.randn(2, 2, 5, 7)))
    # Equal numbers in most windows, and what is no number.
    special = exact(torch.randint(3, (2, 2, 9, 8)))
    special[0, 0, 2, 3], special[0, 1, 4, 4], special[1, 0, :4, :4] = torch.inf, torch.nan, -torch.inf
    module("max_pool2d_special", nn.MaxPool2d(3, 2, 1), special)

    contiguous = {key: value.clone().contiguous() for key, value in tensors.items()}
    save_file(contiguous, Path(__file__).parent / "fixtures" / "layers.safetensors")


if __name__ == "__main__":
    main()
