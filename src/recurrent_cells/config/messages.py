"""Errors in one or two lines: the key or file, what was given, what is allowed, what to do."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import fields

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from recurrent_cells.config.schema import Config, allowed, as_typed, schema_fields
from recurrent_cells.errors import DeliveryError, SweepFailed, TrialBusy, TrialError, UserError
from recurrent_cells.paths import command


def explain(error: BaseException) -> str:
    """Any error as its user should read it: short, and without the words of the libraries in between."""
    if isinstance(error, UserError | TrialError | TrialBusy | DeliveryError | SweepFailed):
        return str(error)
    if isinstance(error, MissingConfigException):
        return _missing_option(error)
    if isinstance(error, OverrideParseException):
        return _unreadable_override(error)
    fault = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(fault, OmegaConfBaseException) and fault.full_key:
        return _faulty_key(fault.full_key, fault, str(error))
    if isinstance(error, HydraException):
        return _hydra_fault(str(error))
    if isinstance(error, ValueError) and str(error).startswith("Config group override must be"):
        return "null and numbers are no options of a group (model, data, …): name one, or leave the group out"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: cannot be used ({error.strerror}); make it writable or choose another place"
    return f"{type(error).__name__}: {_first_lines(str(error), 2)}"


def suggestion(key: str) -> str | None:
    """The key of the schema, or the section or group, that a mistaken one was probably meant to be."""
    keys = [name for name, _ in schema_fields()]
    by_last_part = {name.rpartition(".")[2]: name for name in reversed(keys)}
    last_part = key.rpartition(".")[2]
    if last_part in by_last_part:
        return by_last_part[last_part]
    known = [*keys, *(section.name for section in fields(Config)), "experiment", "problem"]
    if close := difflib.get_close_matches(key, known, n=1, cutoff=0.7):
        return close[0]
    if close := difflib.get_close_matches(last_part, by_last_part, n=1, cutoff=0.7):
        return by_last_part[close[0]]
    return None


def unknown_key(key: str) -> str:
    if key.startswith("hydra."):
        return f"{key}: no such key; {command('train')} --cfg hydra shows them all"
    meant = suggestion(key)
    way_out = f"did you mean {meant}?" if meant else f"{command('train')} --help shows them all"
    return f"{key}: no such key; {way_out}"


def _missing_option(error: MissingConfigException) -> str:
    if not error.missing_cfg_file:
        return _first_lines(str(error), 2)
    group, _, option = error.missing_cfg_file.rpartition("/")
    if not group:
        return f"--config-name={option}: no such file in the config folder"
    options = sorted(error.options or [])
    words = f"allowed are {', '.join(options)}" if options else "the group has none"
    meant = difflib.get_close_matches(option, options, n=1)
    return f"{group}={option}: no such option; {words}" + (f"; did you mean {group}={meant[0]}?" if meant else "")


def _unreadable_override(error: OverrideParseException) -> str:
    if "=" not in error.override and not error.override.startswith("~"):
        return f"{error.override}: not understood; write key=value, or ~group to leave one out"
    return f"{error.override}: not understood; close brackets, and quote special characters twice: 'key=\"a b!\"'"


def _faulty_key(key: str, fault: OmegaConfBaseException, context: str) -> str:
    """What is wrong with a key; `context` is Hydra's message, which has the override or the config file."""
    where = re.match(r"In '(.+?)':", context)
    prefix = f"conf/{where[1]}.yaml: " if where else ""
    override = re.search(r"(?:Error merging override |Could not override ')([^'\s=]+)", context)
    named = override[1].lstrip("+~") if override else key
    if isinstance(fault, ConfigKeyError | ConfigAttributeError) or named.startswith(f"{key}."):
        return prefix + unknown_key(max(key, named, key=len))
    if context.startswith("Error merging override ~"):
        return f"~{key}: a key cannot be left out; give it a value" + (f", {allowed(key)}" if allowed(key) else "")
    words = allowed(key.partition("[")[0])
    if isinstance(fault, MissingMandatoryValue):
        return f"{prefix}{key}=???: a value is missing" + (f"; allowed is {words}" if words else "")
    if isinstance(fault, InterpolationResolutionError) or not isinstance(fault, ValidationError) or not words:
        return f"{prefix}{key}: {_first_lines(str(fault), 1)}"
    return f"{prefix}{key}={as_typed(fault.value)}: allowed is {words}"


def _hydra_fault(message: str) -> str:
    if given := re.search(r"Ambiguous value for argument '(.*)'\n|Sweep parameters '(.*)' requires", message):
        return f"{given[1] or given[2]}: several values are a sweep; add -m, or give one value"
    if given := re.match(r"Could not delete from config\. '(.*)' does not exist", message):
        return unknown_key(given[1])
    return _first_lines(message, 2)


def _first_lines(text: str, count: int) -> str:
    return "\n".join(list(_telling(text))[:count])


def _telling(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith(("See http", "full_key:", "Config search path")):
            yield line.strip()[:300]
