"""What makes two trials the same."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from src.config import Config, OptimizerConfig

# Keys that do not decide a trial's result: where things lie, on what it runs, how it is watched.
IRRELEVANT = (
    "sweep",
    "tracking",
    "recipe",
    "full",
    "reproduce",
    "registry",
    "trainer.short_epochs",
    "data.root",
    "data.download",
    "trainer.accelerator",
    "trainer.checkpoint_every",
    "trainer.progress",
)


def fingerprint(config: Config, data_digest: str) -> str:
    """A hash of all that decides a trial's result; 16 hexadecimal digits.

    A reproduction is another trial than its original, which it must never stand for or go on with.
    """
    relevant = _without(asdict(config), IRRELEVANT) | {"data_digest": data_digest}
    if config.reproduce is not None:
        relevant["reproduce"] = config.reproduce
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:16]


def shape(config: Config, data_digest: str) -> str:
    """What trials of about equal cost share: all of the fingerprint but seed and optimiser settings."""
    return fingerprint(replace(config, seed=0, optimizer=OptimizerConfig(name=config.optimizer.name)), data_digest)


def _without(config: Mapping[str, Any], keys: tuple[str, ...], prefix: str = "") -> dict[str, Any]:
    return {
        key: _without(value, keys, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in config.items()
        if f"{prefix}{key}" not in keys
    }
