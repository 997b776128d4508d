"""The hidden size that a trial has to find, before anything starts."""

from dataclasses import asdict, replace

from recurrent_cells.config.schema import Config
from recurrent_cells.data.splits import load_splits
from recurrent_cells.models.size import matching_size

# Sizes by all that they depend on.
_found: dict[str, int] = {}


def matched(config: Config) -> Config:
    """A config with the hidden size that its `model.match` asks for on its data, in the place of the question.

    Raises:
        UserError: if there is no such size, or the data will not do.
    """
    if config.model.match is None:
        return config
    splits = load_splits(config.data)
    sizes = splits.num_features, splits.num_outputs, splits.num_steps
    key = str((asdict(replace(config.model, hidden_size=1)), *sizes))
    if key not in _found:
        _found[key] = matching_size(config.model, *sizes)
    return replace(config, model=replace(config.model, hidden_size=_found[key], match=None))
