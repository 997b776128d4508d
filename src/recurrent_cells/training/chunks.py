"""How many sequences are evaluated at once."""

from recurrent_cells.config.schema import Config, ModelConfig
from recurrent_cells.data.splits import Splits

# States of all steps and sequences that are evaluated at once, a few times over, stay within 128 MB each in float32.
MOST_STATES = 1 << 25


def num_steps(model: ModelConfig, splits: Splits) -> int:
    """The steps that the layers take of a sequence: a convolution in front makes several of each."""
    return splits.num_steps * (model.frontend_size if model.frontend == "conv" else 1)


def evaluated_at_once(config: Config, splits: Splits, networks: int = 1) -> int:
    """How many sequences each of some networks evaluates at once: together `data.eval_batch_size`, if memory allows."""
    directions = 2 if config.model.bidirectional else 1
    states = num_steps(config.model, splits) * config.model.hidden_size * directions
    return max(1, min(config.data.eval_batch_size, MOST_STATES // states) // networks)
