"""PyTorch's numbers for clipped gradients.

Writes tests/parity/fixtures/clip.safetensors, in float64: of one network the input, the target, the initial parameters and the
gradients; for each way of clipping the gradients after it, the norm before it in each of five steps, and the parameters after
them. The input, the target and the initial parameters are float32 numbers, so that float32 starts from the same ones.

Needs torch and safetensors (written with torch 2.15.0). From the repository's root:

    python tests/parity/clip.py
"""

import copy
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

STEPS = 5


def norm(limit):
    return lambda parameters: clip_grad_norm_(parameters, limit)


def value(limit):
    def clip(parameters):
        before = clip_grad_norm_(parameters, torch.inf)
        clip_grad_value_(parameters, limit)
        return before

    return clip


def sgd(lr, **options):
    return lambda parameters: torch.optim.SGD(parameters, lr=lr, **options)


def adam(lr):
    return lambda parameters: torch.optim.Adam(parameters, lr=lr)


# name: how to clip, optimizer
CASES = {
    "norm": (norm(0.5), sgd(0.5, momentum=0.9)),
    "large_norm": (norm(1e3), sgd(0.1)),
    "zero_norm": (norm(0.0), sgd(0.1, weight_decay=0.1)),
    "any_norm": (norm(torch.inf), sgd(0.1)),
    "norm_adam": (norm(0.1), adam(0.01)),
    "value": (value(0.02), sgd(0.5)),
    "value_adam": (value(0.01), adam(0.01)),
}


def main():
    torch.manual_seed(0)
    first = nn.Sequential(nn.Linear(6, 40), nn.ReLU(), nn.Linear(40, 33, bias=False), nn.ReLU(), nn.Linear(33, 3))
    first, x, target = first.double(), torch.randn(7, 6).double(), (4 * torch.randn(7, 3)).double()
    with torch.no_grad():
        for p in first.parameters():
            p.copy_(p.float())

    def block(parameters):
        return torch.cat([p.detach().flatten() for p in parameters])

    tensors = {"x": x, "target": target, "initial": block(first.parameters())}
    for name, (clip, optimizer_of) in CASES.items():
        model = copy.deepcopy(first)
        optimizer = optimizer_of(model.parameters())
        norms = []
        for step in range(STEPS):
            optimizer.zero_grad()
            nn.MSELoss()(model(x), target).backward()
            if step == 0:
                tensors["gradient"] = block(p.grad for p in model.parameters()).clone()
            norms.append(clip(list(model.parameters())))
            if step == 0:
                tensors[f"{name}/clipped"] = block(p.grad for p in model.parameters()).clone()
            optimizer.step()
        tensors[f"{name}/norms"] = torch.stack(norms)
        tensors[f"{name}/after"] = block(model.parameters())
    save_file(tensors, Path(__file__).parent / "fixtures" / "clip.safetensors")


if __name__ == "__main__":
    main()
