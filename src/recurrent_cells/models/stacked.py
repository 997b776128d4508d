"""K classifiers of one shape as one: a leading dimension K on inputs, weights and outputs.

The layers have the parameters of their counterparts in torch.nn by the same names, (K, …); StackedClassifier sets them.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurrent_cells.models.classifier import Classifier
from recurrent_cells.models.masks import HashedDropout, is_hashed


class StackedClassifier(nn.Module):
    """K classifiers of one shape as one: a Classifier whose layers are stacked ones.

    Args:
        classifiers: on the CPU; their weights are copied.

    Shapes:
        input (K, B, T, F) and lengths (K, B) or None → logits (K, B, C), or (K, B, T', C) with `readout=every`;
        `flat` (K, P): all trained weights of each, by name in `shapes`; the layers' own are views of it.
    """

    def __init__(self, classifiers: Sequence[Classifier], device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        first = classifiers[0]
        self.shapes = {name: p.shape for name, p in first.named_parameters() if p.requires_grad}
        self._fixed = {name: p.shape for name, p in first.named_parameters() if not p.requires_grad}
        self.generators = [torch.Generator() for _ in classifiers]
        self.seeds = torch.zeros(len(classifiers), dtype=torch.int64, device=device)
        self._network = self._stack(classifiers)
        self.flat = torch.stack([self.row(it.state_dict()) for it in classifiers])
        self.flat = self.flat.to(device, dtype)
        parts = self.flat.split([shape.numel() for shape in self.shapes.values()], dim=1)
        for (name, shape), part in zip(self.shapes.items(), parts, strict=True):
            self._set(name, nn.Parameter(part.unflatten(1, shape)))
        for name in self._fixed:
            values = torch.stack([it.get_parameter(name).detach() for it in classifiers]).to(device, dtype)
            self._set(name, nn.Parameter(values, requires_grad=False))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        logits: Tensor = self._network(x, lengths)
        return logits

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Stay where the weights were made: moved, as Lightning does after a validation, they would leave `flat`."""
        return self

    @property
    def trained(self) -> list[nn.Parameter]:
        """The trained parameters of all networks, (K, …), in the order of `shapes`; views of `flat`."""
        return [self._network.get_parameter(name) for name in self.shapes]

    def weights(self, flat: Tensor) -> dict[str, Tensor]:
        """The trained weights of one classifier, from its row of `flat`, by their names in the classifier's state."""
        parts = flat.split([shape.numel() for shape in self.shapes.values()])
        return {name: part.view(shape).clone() for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}

    def row(self, weights: Mapping[str, Tensor]) -> Tensor:
        """The trained weights of one classifier, given by name, as a row of `flat`."""
        return torch.cat([weights[name].detach().flatten() for name in self.shapes])

    def _stack(self, classifiers: Sequence[Classifier]) -> Classifier:
        """A classifier whose layers with weights, and those that draw, wait for stacked weights."""
        stacked = copy.deepcopy(classifiers[0])
        for place, (name, module) in enumerate(classifiers[0].named_modules()):
            layer: nn.Module
            if isinstance(module, nn.Linear):
                layer = StackedLinear()
            elif isinstance(module, nn.Conv2d):
                layer = StackedConv2d()
            elif isinstance(module, nn.LayerNorm):
                layer = StackedLayerNorm(module.eps)
            elif isinstance(module, nn.Dropout):
                dropouts = [classifier.get_submodule(name) for classifier in classifiers]
                probabilities = [it.p for it in dropouts if isinstance(it, nn.Dropout)]
                if is_hashed(self.seeds.device):
                    layer = HashedDropout(probabilities, self.seeds, place)
                else:
                    layer = StackedDropout(probabilities, self.generators)
            else:
                continue
            stacked.set_submodule(name, layer)
        return stacked

    def _set(self, name: str, parameter: nn.Parameter) -> None:
        module, _, attribute = name.rpartition(".")
        self._network.get_submodule(module).register_parameter(attribute, parameter)


class StackedLinear(nn.Module):
    """(K, …, in) → (K, …, out)."""

    weight: Tensor
    bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        products = torch.baddbmm(self.bias.unsqueeze(1), x.flatten(1, -2), self.weight.mT)
        return products.unflatten(1, x.shape[1:-1])


class StackedConv2d(nn.Module):
    """Padded 3×3 convolutions, (K, B, in, height, width) → (K, B, out, height, width), a group for each network."""

    weight: Tensor
    bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        networks, maps = self.weight.shape[:2]
        grouped = x.transpose(0, 1).flatten(1, 2)  # (B, K·in, height, width)
        convolved = F.conv2d(grouped, self.weight.flatten(0, 1), self.bias.flatten(), padding=1, groups=networks)
        return convolved.unflatten(1, (networks, maps)).transpose(0, 1)


class StackedLayerNorm(nn.Module):
    """The last dimension of (K, …, width) to mean 0 and deviation 1, then scaled and shifted by each network."""

    weight: Tensor
    bias: Tensor

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        normed = F.layer_norm(x, x.shape[-1:], eps=self.eps).flatten(1, -2)
        return (normed * self.weight.unsqueeze(1) + self.bias.unsqueeze(1)).unflatten(1, x.shape[1:-1])


class StackedDropout(nn.Module):
    """Dropout (K, …) with a probability and a generator for each network: seeded alike it drops what torch.nn drops."""

    def __init__(self, probabilities: Sequence[float], generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self._probabilities, self._generators = probabilities, generators

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not any(self._probabilities):
            return x
        return torch.stack(
            [
                kept if p == 0 else kept * torch.empty_like(kept).bernoulli_(1 - p, generator=generator).div_(1 - p)
                for kept, p, generator in zip(x, self._probabilities, self._generators, strict=True)
            ]
        )
