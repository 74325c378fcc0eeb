"""A workload's network and loss in PyTorch."""

import torch
import torch.nn.functional as F
from torch import nn


def model_of(workload):
    layers = []
    for i, (w, b) in enumerate(zip(workload.w, workload.b)):
        conv = w.ndim == 4
        if not conv and i > 0 and workload.w[i - 1].ndim == 4:
            layers.append(nn.Flatten())
        layer = nn.Conv2d(w.shape[1], w.shape[0], w.shape[2], padding=1) if conv else nn.Linear(w.shape[1], w.shape[0])
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(w))
            layer.bias.copy_(torch.from_numpy(b))
        layers.append(layer)
        if i + 1 < len(workload.w):
            layers.append(nn.ReLU() if workload.activation == "relu" else nn.Sigmoid())
        if conv:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def loss_of(workload):
    return {"ce": F.cross_entropy, "bce": F.binary_cross_entropy_with_logits, "mse": F.mse_loss}[workload.loss]
