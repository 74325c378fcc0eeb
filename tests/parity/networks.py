"""PyTorch's numbers for the networks of tests/src/networks.rs.

Writes tests/parity/fixtures/networks.safetensors: for each network the input, the target, the initial parameters, the
output, the loss, the gradient of every parameter, and the parameters after five optimizer steps, all in float64. The
inputs and initial parameters are float32 numbers, so that float32 starts from the same ones.

Needs torch and safetensors (written with torch 2.15.0). From the repository's root:

    python tests/parity/networks.py
"""

from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

STEPS = 5


class LinearScale(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, n))

    def forward(self, x):
        return self.weight * x


def net(*layers):
    """A Sequential; a layer can be a pair of its name and itself."""
    named = [layer if isinstance(layer, tuple) else (str(i), layer) for i, layer in enumerate(layers)]
    return nn.Sequential(OrderedDict(named))


def nested():
    encoder = net(nn.Linear(7, 13), nn.GELU(approximate="tanh"), ("last", nn.Linear(13, 5)))
    decoder = net(nn.Linear(3, 11), nn.SiLU(), nn.Linear(11, 7))
    return net(
        ("encoder", encoder),
        nn.Tanh(),
        ("code", nn.Linear(5, 3)),
        nn.Softplus(2.0, 5.0),
        ("decoder", decoder),
    )


def deep():
    return net(
        nn.Linear(7, 13), nn.Tanh(), nn.Linear(13, 17), nn.Sigmoid(), nn.Linear(17, 33), nn.SiLU(),
        nn.Linear(33, 7), nn.GELU(), nn.Linear(7, 1),
    )


def sandwich():
    return net(
        nn.SiLU(), nn.Linear(7, 7), nn.Identity(), nn.LeakyReLU(-0.3), nn.Tanh(), nn.ELU(),
        nn.Linear(7, 7, bias=False), nn.Identity(),
    )


def sgd(lr, **options):
    return lambda parameters: torch.optim.SGD(parameters, lr=lr, **options)


def adam(lr, **options):
    return lambda parameters: torch.optim.Adam(parameters, lr=lr, **options)


def adamw(lr, **options):
    return lambda parameters: torch.optim.AdamW(parameters, lr=lr, **options)


def numbers(*sizes):
    return torch.randn(*sizes)


def chances(*sizes):
    return torch.rand(*sizes)


def classes(n, batch):
    return torch.randint(n, (batch,))


def shares(batch, n):
    """Probabilities of classes, exact enough in float32 that both types see the same numbers."""
    return torch.softmax(torch.randn(batch, n), dim=-1)


torch.manual_seed(0)

# name: network, input, target, loss, optimizer
CASES = {
    "shallow": (net(nn.Linear(4, 3)), (5, 4), numbers(5, 3), nn.MSELoss(), sgd(0.1)),
    "single": (net(nn.Linear(1, 1), nn.Tanh(), nn.Linear(1, 1)), (1, 1), numbers(1, 1), nn.MSELoss(), adam(0.05)),
    "zoo": (
        net(nn.Linear(16, 32), nn.ReLU(), ("out", nn.Linear(32, 7))),
        (5, 16), classes(7, 5), nn.CrossEntropyLoss(), adam(1e-2),
    ),
    "deep": (deep(), (3, 7), numbers(3, 1), nn.MSELoss(reduction="sum"), sgd(0.01, momentum=0.9)),
    "chance": (
        net(nn.Linear(6, 4), nn.Softplus(), nn.Linear(4, 1), nn.Sigmoid()),
        (5, 6), chances(5, 1), nn.BCELoss(), sgd(0.1, momentum=0.8, nesterov=True),
    ),
    "unbiased": (
        net(nn.Linear(13, 17, bias=False), nn.LeakyReLU(0.2), nn.Linear(17, 3)),
        (7, 13), chances(7, 3), nn.BCEWithLogitsLoss(), adam(0.02, betas=(0.8, 0.95), eps=1e-6),
    ),
    "picture": (
        net(nn.Flatten(), nn.Linear(15, 7), nn.ELU(0.5), nn.Linear(7, 4)),
        (5, 3, 5), shares(5, 4), nn.CrossEntropyLoss(), sgd(0.1, weight_decay=0.1),
    ),
    "rows": (
        net(nn.Linear(5, 7), nn.Hardtanh(-0.5, 0.5), nn.Linear(7, 2)),
        (3, 3, 5), numbers(3, 3, 2), nn.MSELoss(), sgd(0.1, momentum=0.9, dampening=0.3),
    ),
    "nested": (nested(), (5, 7), numbers(5, 7), nn.MSELoss(), adam(0.01, weight_decay=0.1)),
    "autoencoder": (
        net(("squeeze", nn.Linear(17, 3)), nn.Tanh(), nn.Linear(3, 17)),
        (7, 17), numbers(7, 17), nn.MSELoss(), sgd(0.5, momentum=0.5, weight_decay=0.01),
    ),
    "attention": (
        net(nn.Linear(5, 7), nn.Softmax(dim=-1), nn.Linear(7, 3), nn.LogSoftmax(dim=-1)),
        (3, 5), numbers(3, 3), nn.MSELoss(), sgd(0.1, momentum=0.9, weight_decay=0.05, nesterov=True),
    ),
    "sandwich": (sandwich(), (5, 7), numbers(5, 7), nn.MSELoss(), adamw(0.01, betas=(0.5, 0.9))),
    "scaled": (
        net(("scale", LinearScale(7)), nn.Sigmoid(), nn.Linear(7, 3)),
        (5, 7), classes(3, 5), nn.CrossEntropyLoss(reduction="sum"), sgd(0.05),
    ),
    "wide": (
        net(nn.Linear(33, 65), nn.ReLU(), nn.Linear(65, 33), nn.GELU(), ("out", nn.Linear(33, 17))),
        (17, 33), chances(17, 17), nn.BCEWithLogitsLoss(reduction="sum"), adam(1e-3),
    ),
    "hourglass": (
        net(nn.Linear(13, 3), nn.GELU(), nn.Linear(3, 33), nn.Tanh(), nn.Linear(33, 5), nn.ELU(), nn.Linear(5, 17)),
        (7, 13), classes(17, 7), nn.CrossEntropyLoss(), sgd(0.1, momentum=0.8, dampening=0.1, weight_decay=0.02),
    ),
    "images": (
        net(
            nn.Conv2d(2, 5, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2),
            ("last", nn.Conv2d(5, 4, (3, 2), stride=(2, 1), padding=(1, 0), bias=False)), nn.GELU(),
            nn.Flatten(), nn.Linear(16, 3),
        ),
        (5, 2, 9, 7), classes(3, 5), nn.CrossEntropyLoss(), adam(0.01),
    ),
    "filter": (
        net(
            nn.MaxPool2d(3, (1, 2), 1), nn.Conv2d(1, 3, (2, 3), padding="same", dilation=(2, 1)), nn.Sigmoid(),
            nn.Conv2d(3, 2, 3, 2), nn.MaxPool2d((1, 2), 1, (0, 1)),
        ),
        (3, 1, 6, 8), numbers(3, 2, 2, 2), nn.MSELoss(), sgd(0.1, momentum=0.9),
    ),
}


def main():
    tensors = {}
    for seed, (name, (model, size, target, loss_of, optimizer_of)) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        for module in model.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                module.reset_parameters()
        x = torch.randn(*size)
        model, x = model.double(), x.double()
        target = target if target.dtype == torch.int64 else target.double()

        def keep(prefix, values):
            for key, value in values:
                tensors[f"{name}/{prefix}/{key}"] = value.detach().clone()

        tensors[f"{name}/x"], tensors[f"{name}/target"] = x, target
        keep("initial", model.named_parameters())
        optimizer = optimizer_of(model.parameters())
        for step in range(STEPS):
            optimizer.zero_grad()
            y = model(x)
            loss = loss_of(y, target)
            loss.backward()
            if step == 0:
                tensors[f"{name}/y"] = y.detach().clone()
                tensors[f"{name}/loss"] = loss.detach().clone()
                keep("gradient", ((key, value.grad) for key, value in model.named_parameters()))
            optimizer.step()
        keep("after", model.named_parameters())
    save_file(tensors, Path(__file__).parent / "fixtures" / "networks.safetensors")


if __name__ == "__main__":
    main()
