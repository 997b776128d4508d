"""What makes two trials the same."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from src.config import Config

# Keys that do not decide a trial's result: where things lie, on what it runs, how it is watched.
IRRELEVANT = (
    "sweep",
    "tracking",
    "data.root",
    "data.download",
    "trainer.accelerator",
    "trainer.checkpoint_every",
    "trainer.progress",
)


def fingerprint(config: Config, data_digest: str) -> str:
    """A hash of all that decides a trial's result; 16 hexadecimal digits."""
    relevant = _without(asdict(config), IRRELEVANT) | {"data_digest": data_digest}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:16]


def _without(config: Mapping[str, Any], keys: tuple[str, ...], prefix: str = "") -> dict[str, Any]:
    return {
        key: _without(value, keys, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in config.items()
        if f"{prefix}{key}" not in keys
    }
