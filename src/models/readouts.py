"""How the outputs of all steps become what the head sees, and the head itself.

Shapes are counted from the end, so that stacked networks may lead with a dimension of their own.
"""

import torch
from torch import Tensor, nn


def last_step(outputs: Tensor, bidirectional: bool) -> Tensor:
    """Many to one: (B, T, D·H) → (B, D·H); a backward layer's last step is the first."""
    if not bidirectional:
        return outputs[..., -1, :]
    hidden_size = outputs.shape[-1] // 2
    return torch.cat([outputs[..., -1, :hidden_size], outputs[..., 0, hidden_size:]], dim=-1)


def every_step(outputs: Tensor, bidirectional: bool) -> Tensor:
    """Many to many: (B, T, D·H) → (B, T, D·H)."""
    return outputs


def mean_step(outputs: Tensor, bidirectional: bool) -> Tensor:
    """The mean over steps, (B, T, D·H) → (B, D·H)."""
    return outputs.mean(dim=-2)


READOUTS = {"last": last_step, "every": every_step, "mean": mean_step}


def head(layers: list[str], in_features: int, num_classes: int) -> nn.Sequential:
    """Layers by name, (…, in_features) → (…, num_classes); each `linear` has one output per class."""
    modules: list[nn.Module] = []
    for layer in layers:
        if layer == "linear":
            modules.append(nn.Linear(in_features, num_classes))
            in_features = num_classes
        else:
            modules.append({"softmax": nn.Softmax(dim=-1), "relu": nn.ReLU(), "tanh": nn.Tanh()}[layer])
    return nn.Sequential(*modules)
