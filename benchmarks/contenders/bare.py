"""The loop one writes by hand in torch: batches sliced from memory, no metrics, no files.

Options: `own` with this project's layers instead of torch.nn's, `floor` the same on one fixed batch.
"""

import time
from typing import Any

import torch
from threadpoolctl import threadpool_limits
from torch import nn

from benchmarks.contenders import Network, Round
from recurrent_cells.models.layers import RecurrentLayers


class Model(nn.Module):
    def __init__(self, network: Network, num_features: int, kernel: str) -> None:
        super().__init__()
        self.layers = RecurrentLayers(
            network.cell, num_features, network.hidden_size, network.num_layers, kernel=kernel
        )
        self.head = nn.Linear(network.hidden_size, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, last = self.layers(x)
        logits: torch.Tensor = self.head(last[0])
        return logits


def prepare(network: Network, x: Any, y: Any, option: str = "") -> Round:
    torch.set_num_threads(1)
    threadpool_limits(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sequences, labels = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
    model = Model(network, x.shape[2], "auto" if option else "torch").to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    loss_function = nn.CrossEntropyLoss()
    size = network.batch_size
    batches = len(labels) // size
    fixed = sequences[:size].clone(), labels[:size].clone()

    def train(steps: int) -> float:
        order = torch.randperm(len(labels), device=device)
        _wait(device)
        start = time.perf_counter()
        for step in range(steps):
            if option == "floor":
                batch, targets = fixed
            else:
                chosen = order[step % batches * size : (step % batches + 1) * size]
                batch, targets = sequences[chosen], labels[chosen]
            loss = loss_function(model(batch), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        _wait(device)
        return (time.perf_counter() - start) / steps

    return train


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
