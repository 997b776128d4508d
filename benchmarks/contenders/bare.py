"""The loop one writes by hand in torch: batches sliced from memory, no metrics, no files.

Options: `graph` with a step as one CUDA graph, `own` with this project's layers instead of torch.nn's, `floor` the
same on one fixed batch.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from benchmarks.contenders import Network, Round
from benchmarks.precision import autocast
from recurrent_cells.models.layers import RecurrentLayers
from recurrent_cells.training.device import use_tf32

LAYERS = {"simple_rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
WARM_UPS = 3


class Model(nn.Module):
    """(B, T, F) → (B, 10) by torch.nn's layers, or this project's."""

    def __init__(self, network: Network, num_features: int, own: bool = False) -> None:
        super().__init__()
        sizes = num_features, network.hidden_size, network.num_layers
        self.own = own
        self.layers: nn.Module = (
            RecurrentLayers(network.cell, *sizes) if own else LAYERS[network.cell](*sizes, batch_first=True)
        )
        self.head = nn.Linear(network.hidden_size, 10)

    def forward(self, x: Tensor) -> Tensor:
        _, last = self.layers(x)
        if not self.own:  # (L, B, H), an LSTM's with its cell states
            last = (last[0] if isinstance(last, tuple) else last)[-1:]
        logits: Tensor = self.head(last[0])
        return logits


def prepare(network: Network, x: Any, y: Any, option: str = "") -> Round:
    torch.set_num_threads(1)
    threadpool_limits(1)
    use_tf32(network.tf32)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if option == "graph" and device.type == "cpu":
        raise RuntimeError("a CUDA graph needs a GPU")
    sequences, labels = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
    model = Model(network, x.shape[2], own=option in ("own", "floor")).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True, capturable=option == "graph")
    scaler = torch.amp.GradScaler(device.type, enabled=network.precision == "16-mixed")
    loss_function = nn.CrossEntropyLoss()
    size = network.batch_size
    batches = len(labels) // size
    fixed = sequences[:size].clone(), labels[:size].clone()

    def differentiate(chosen: Tensor) -> None:
        batch, targets = fixed if option == "floor" else (sequences[chosen], labels[chosen])
        with autocast(network.precision, device.type, cache=option != "graph"):
            loss = loss_function(model(batch), targets)
        optimizer.zero_grad()
        scaler.scale(loss).backward()

    def update() -> None:
        scaler.step(optimizer)
        scaler.update()

    def differentiate_and_update(chosen: Tensor) -> None:
        differentiate(chosen)
        update()

    take_step: Callable[[Tensor], None] = differentiate_and_update
    if option == "graph":
        take_step = _graphed(differentiate, update, torch.arange(size, device=device), scaler.is_enabled())

    def train(steps: int) -> float:
        order = torch.randperm(len(labels), device=device)
        _wait(device)
        start = time.perf_counter()
        for step in range(steps):
            take_step(order[step % batches * size : (step % batches + 1) * size])
        _wait(device)
        return (time.perf_counter() - start) / steps

    return train


def _graphed(
    differentiate: Callable[[Tensor], None], update: Callable[[], None], chosen: Tensor, scales: bool
) -> Callable[[Tensor], None]:
    """A step as one graph; a gradient scaler asks whether gradients are finite, so its update stays outside."""

    def take_step(given: Tensor) -> None:
        chosen.copy_(given)
        graph.replay()
        if scales:
            update()

    def recorded() -> None:
        differentiate(chosen)
        if not scales:
            update()

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UPS):
            differentiate(chosen)
            update()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        recorded()
    return take_step


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
