"""K classifiers of one shape as one network."""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from recurrent_cells.models.classifier import Classifier
from recurrent_cells.models.stacked.layers import StackedConv2d, StackedDropout, StackedLinear, StackedRecurrent


class StackedClassifier(nn.Module):
    """K classifiers of one shape as one: a Classifier whose layers are stacked ones.

    Args:
        classifiers: on the CPU; their weights are copied.

    Shapes:
        input (K, B, T, F) → logits (K, B, C), or (K, B, T', C) with `readout=every`;
        `flat` (K, P): all trained weights of each, by name in `shapes`; the layers' own are views of it.
    """

    def __init__(self, classifiers: Sequence[Classifier], device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        first = classifiers[0]
        self.shapes = {name: p.shape for name, p in first.named_parameters() if p.requires_grad}
        self._fixed = {name: p.shape for name, p in first.named_parameters() if not p.requires_grad}
        self.generators = [torch.Generator(device) for _ in classifiers]
        self._network = self._stack(classifiers)
        self.flat = torch.stack([self.row(it.state_dict()) for it in classifiers])
        self.flat = self.flat.to(device, dtype)
        parts = self.flat.split([shape.numel() for shape in self.shapes.values()], dim=1)
        for (name, shape), part in zip(self.shapes.items(), parts, strict=True):
            self._set(name, nn.Parameter(part.unflatten(1, shape)))
        for name in self._fixed:
            values = torch.stack([it.get_parameter(name).detach() for it in classifiers]).to(device, dtype)
            self._set(name, nn.Parameter(values, requires_grad=False))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self._network(x)
        return logits

    @property
    def trained(self) -> list[nn.Parameter]:
        """The trained parameters of all networks, (K, …), in the order of `shapes`; views of `flat`."""
        return [self._network.get_parameter(name) for name in self.shapes]

    @property
    def drops_out(self) -> bool:
        return any(module.acts for module in self.modules() if isinstance(module, StackedDropout))

    def weights(self, flat: Tensor) -> dict[str, Tensor]:
        """The trained weights of one classifier, from its row of `flat`, by their names in the classifier's state."""
        parts = flat.split([shape.numel() for shape in self.shapes.values()])
        return {name: part.view(shape).clone() for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}

    def row(self, weights: Mapping[str, Tensor]) -> Tensor:
        """The trained weights of one classifier, given by name, as a row of `flat`."""
        return torch.cat([weights[name].detach().flatten() for name in self.shapes])

    def _stack(self, classifiers: Sequence[Classifier]) -> Classifier:
        """A classifier whose layers with weights, and those that draw, are stacked and wait for their weights."""
        stacked = copy.deepcopy(classifiers[0])
        for name, module in classifiers[0].named_modules():
            layer: nn.Module
            if isinstance(module, nn.Linear):
                layer = StackedLinear()
            elif isinstance(module, nn.Conv2d):
                layer = StackedConv2d()
            elif isinstance(module, nn.RNNBase):
                layer = StackedRecurrent(
                    module, StackedDropout([it.recurrent.dropout for it in classifiers], self.generators)
                )
            elif isinstance(module, nn.Dropout):
                layer = StackedDropout([it.output_dropout.p for it in classifiers], self.generators)
            else:
                continue
            stacked.set_submodule(name, layer)
        return stacked

    def _set(self, name: str, parameter: nn.Parameter) -> None:
        module, _, attribute = name.rpartition(".")
        self._network.get_submodule(module).register_parameter(attribute, parameter)
