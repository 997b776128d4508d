"""What makes two trials the same."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from operator import attrgetter
from typing import Any

from recurrent_cells.config.extensions import used_by
from recurrent_cells.config.options import options_of
from recurrent_cells.config.schema import Config, ModelConfig, OptimizerConfig, block_keys, later_keys

# Where things lie, on what a trial runs, how it is watched, what is kept of it.
CIRCUMSTANCES = (
    "extensions",
    "registry",
    "tracking",
    "data.root",
    "data.download",
    "trainer.accelerator",
    "trainer.checkpoint_every",
    "trainer.progress",
    "trainer.profile",
)
# Keys that do not decide a trial's result.
IRRELEVANT = (
    *("sweep", "study", "recipe", "full", "reproduce", "reproduce_code"),
    *("trainer.full_epochs", "trainer.short_epochs"),
    *CIRCUMSTANCES,
)


def fingerprint(config: Config, data_digest: str) -> str:
    """A hash of all that decides a trial's result; 16 hexadecimal digits.

    Keys that came later count only where they say something else than what was done before.
    A reproduction is another trial than its original, which it must never stand for or go on with.
    """
    model = replace(config.model, options=_departures(config.model))
    relevant = _without(asdict(replace(config, model=model)), IRRELEVANT) | {"data_digest": data_digest}
    if used := used_by(config):
        relevant["extensions"] = sorted(extension.digest for extension in used)
    if config.reproduce is not None:
        relevant["reproduce"] = config.reproduce
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:16]


def shape(config: Config, data_digest: str) -> str:
    """What trials of about equal cost share: all of the fingerprint but seed and optimiser settings."""
    return fingerprint(replace(config, seed=0, optimizer=OptimizerConfig(name=config.optimizer.name)), data_digest)


def block(config: Config, data_digest: str) -> str:
    """What trials share that read the same sequences of the same data, split alike, to answer the same."""
    keys = {key: attrgetter(key)(config) for key in block_keys() if key != "data.name"}
    return hashlib.sha256(json.dumps([data_digest, config.task, keys], sort_keys=True).encode()).hexdigest()[:16]


def is_within(key: str, keys: Iterable[str]) -> bool:
    """Whether a dotted key is one of `keys` or lies in a section that is."""
    return any(key == it or key.startswith(f"{it}.") for it in keys)


def _departures(model: ModelConfig) -> dict[str, Any]:
    """The cell's own settings that are not the cell's defaults."""
    known = options_of(model.cell)
    return {name: value for name, value in model.options.items() if value != known[name].default}


def _without(config: Mapping[str, Any], keys: tuple[str, ...], prefix: str = "") -> dict[str, Any]:
    later = later_keys()
    return {
        key: _without(value, keys, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in config.items()
        if f"{prefix}{key}" not in keys and (f"{prefix}{key}", value) not in later.items()
    }
