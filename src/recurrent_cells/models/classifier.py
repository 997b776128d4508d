"""The network: front end → recurrent layers, bare or in blocks → readout → head, in plain torch."""

import torch
from torch import Tensor, nn

from recurrent_cells.config.schema import ModelConfig
from recurrent_cells.lengths import without_padding
from recurrent_cells.models.block import recurrent_part
from recurrent_cells.models.frontends import FRONT_ENDS
from recurrent_cells.models.init import initialize
from recurrent_cells.models.layers import RecurrentLayers
from recurrent_cells.models.readouts import READOUTS, flatten, head
from recurrent_cells.seeds import derive


class Classifier(nn.Module):
    """A recurrent network that answers sequences, its weights as torch draws them.

    Args:
        model: the network's config, whose initialisation is left to `build_classifier`.
        num_features: F of the input (B, T, F).
        num_outputs: O of the outputs.
        num_steps: T of the input, on which the weights of the head depend with `readout=flatten`.

    Shapes:
        input (B, T, F) and lengths (B,) or None → outputs (B, O), or (B, T', O) with `readout=every`, where T' = T
        unless the front end makes other steps. With lengths, what stands in the padding changes no bit of the outputs
        at valid steps or of any gradient.
    """

    def __init__(self, model: ModelConfig, num_features: int, num_outputs: int, num_steps: int = 1) -> None:
        super().__init__()
        self.frontend = FRONT_ENDS[model.frontend](num_features, model.frontend_size)
        self.recurrent = recurrent_part(model, self.frontend.num_features)
        self.readout = READOUTS[model.readout]
        self.output_dropout = nn.Dropout(model.output_dropout)
        directions = 2 if model.bidirectional else 1
        read = 1 if self.takes_any_steps else num_steps
        self.head = head(model.head, read * directions * model.hidden_size, num_outputs)

    @property
    def takes_any_steps(self) -> bool:
        """Whether no weight depends on the number of steps."""
        return self.readout is not flatten

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        if lengths is not None:
            x = without_padding(x, lengths)
        outputs, last = self.recurrent(self.frontend(x), lengths)
        return self.head(self.output_dropout(self.readout(outputs, last, lengths)))


def build_classifier(
    model: ModelConfig, num_features: int, num_outputs: int, seed: int, num_steps: int = 1
) -> Classifier:
    """A classifier on the CPU whose initial weights depend on nothing but its config and `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "init"))
        classifier = Classifier(model, num_features, num_outputs, num_steps)
        initialize(classifier, model.init, model.forget_bias)
        return classifier


def trained_parameters(model: nn.Module) -> dict[str, bool]:
    """The names of trained parameters in their order, each with whether it leads from state to state in a layer."""
    layers = [(place, module) for place, module in model.named_modules() if isinstance(module, RecurrentLayers)]
    recurrent = {f"{place}.{name}" for place, module in layers for name in module.recurrent}
    return {name: name in recurrent for name, it in model.named_parameters() if it.requires_grad}


def num_parameters(model: nn.Module) -> int:
    """Trained parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
