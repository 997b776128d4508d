"""How the outputs of all steps, or the last state of each direction, become what the head sees; the head itself.

Shapes are counted from the end, so that stacked networks may lead with a dimension of their own. Outputs are zero in
the padding of sequences with lengths (B,).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def last_step(outputs: Tensor, last: Sequence[Tensor], lengths: Tensor | None) -> Tensor:
    """Many to one, D times (B, H) → (B, D·H): the state after the last valid step; a backward layer's is the first."""
    return torch.cat(tuple(last), dim=-1) if len(last) > 1 else last[0]


def every_step(outputs: Tensor, last: Sequence[Tensor], lengths: Tensor | None) -> Tensor:
    """Many to many: (B, T, D·H) → (B, T, D·H)."""
    return outputs


def mean_step(outputs: Tensor, last: Sequence[Tensor], lengths: Tensor | None) -> Tensor:
    """The mean over valid steps, (B, T, D·H) → (B, D·H)."""
    return outputs.mean(dim=-2) if lengths is None else outputs.sum(dim=-2) / lengths.unsqueeze(-1)


def flatten(outputs: Tensor, last: Sequence[Tensor], lengths: Tensor | None) -> Tensor:
    """All steps side by side, of sequences that are equally long: (B, T, D·H) → (B, T·D·H)."""
    return outputs.flatten(-2)


READOUTS = {"last": last_step, "every": every_step, "mean": mean_step, "flatten": flatten}


def head(layers: list[str], in_features: int, num_outputs: int) -> nn.Sequential:
    """Layers by name, (…, in_features) → (…, num_outputs); each `linear` has `num_outputs` outputs."""
    modules: list[nn.Module] = []
    for layer in layers:
        if layer == "linear":
            modules.append(nn.Linear(in_features, num_outputs))
            in_features = num_outputs
        else:
            modules.append({"softmax": nn.Softmax(dim=-1), "relu": nn.ReLU(), "tanh": nn.Tanh()}[layer])
    return nn.Sequential(*modules)
