"""From a composed config to the typed one: every key in its range, no two in contradiction."""

import logging
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf

from recurrent_cells.config import extensions
from recurrent_cells.config.messages import unknown_key
from recurrent_cells.config.options import Option, options_of
from recurrent_cells.config.rules import Rule
from recurrent_cells.config.schema import (
    SET_BY_SWEEPS,
    Config,
    DataConfig,
    ModelConfig,
    StudyConfig,
    SweepConfig,
    allowed,
    as_typed,
    schema_fields,
)
from recurrent_cells.errors import UserError
from recurrent_cells.tables import CELLS, SOURCES

log = logging.getLogger(__name__)

# A message has at most this many lines and one more.
MOST_FAULTS = 6
# Keys of sweeps that change which trials there are, or what becomes of them.
OF_PLANS = ("phases", "archive")
# The largest integer that SQLite, torch and NumPy hold.
LARGEST = 2**63 - 1
# Keys of data that only some sources read, and that are at their defaults where they do not.
OF_SOURCES = ("dataset", "series", "time", "features", "target", "length", "target_steps", "symbols", "examples")
# Of a value, in a message.
MOST_SHOWN = 80


def validated(cfg: DictConfig) -> Config:
    """The typed config of a trial, checked.

    Raises:
        UserError: naming every key out of range, the value given and what is allowed.
        OmegaConfBaseException: if a value is missing or refers to one that does not exist.
    """
    return checked(typed(cfg))


def typed(cfg: DictConfig) -> Config:
    """The typed config of a trial; raises as `validated`, and UserError only for keys that do not exist."""
    _refuse(list(_added_or_left_out(cfg)))
    config = OmegaConf.to_object(cfg)
    assert isinstance(config, Config)
    return config


def checked(config: Config) -> Config:
    """A typed config whose values will do, with its budget and the extensions that it uses; raises as `validated`."""
    extensions.load(config.extensions)
    _refuse(list(_out_of_range(config)))
    config.model.options = _own_options(config.model)
    config.study = StudyConfig()  # of the sweep, not of a trial
    trainer = config.trainer
    if trainer.max_epochs is None:
        is_short = not config.full and trainer.short_epochs is not None
        trainer.max_epochs = trainer.short_epochs if is_short else trainer.full_epochs
    if config.reproduce is None:  # else the run has the keys that count
        _refuse(list(_conflicts(config)))
        config.extensions = [str(used.path) for used in extensions.used_by(config)]
    model = config.model
    if model.dropout > 0 and model.num_layers == 1 and model.block == "none":
        _warn_once(
            f"model.dropout={model.dropout:g}: no effect, it acts between recurrent layers and there is one; "
            "model.num_layers=2 or model.output_dropout would use it"
        )
    return config


def check_own_keys(sweep: Any) -> None:
    """Raises UserError if a user has set what a sweep tells its trials, of its part of a config."""
    for name in SET_BY_SWEEPS:
        if (value := getattr(sweep, name)) != getattr(SweepConfig(), name):
            raise UserError(f"sweep.{name}={value}: a sweep sets it for its trials; leave it out")


def check_unplanned(sweep: Any) -> None:
    """Raises UserError if a user asks, of a trial or of Hydra's sweeper, for what only sweeps with a plan can do."""
    for name in OF_PLANS:
        if (value := getattr(sweep, name)) != getattr(SweepConfig(), name):
            given = f"sweep.{name}={as_typed(value)[:MOST_SHOWN]}"
            raise UserError(f"{given}: is for sweeps; add -m, with hydra/sweeper=grid, or leave it out")


def root_fault(data: DataConfig) -> str | None:
    """What is wrong with a folder or file that is given, or is not, to a data source."""
    source = SOURCES[data.name]
    if data.root is None and source.needs_root:
        what = "the folder of its files" if source.root_form == "FOLDER" else "its file"
        return f"data.root=null: data={data.name} needs {what}, data.root={source.root_form}"
    if data.root is not None and not source.reads_root:
        return f"data.root={data.root}: data={data.name} reads no folder; data=mnist or data=idx would"
    return None


def key_faults(data: DataConfig) -> Iterator[str]:
    """What is wrong with keys that only some sources read: a source needs one, or does not read it."""
    source = SOURCES[data.name]
    for name in OF_SOURCES:
        value = getattr(data, name)
        if name in source.needs and not value:
            yield f"data.{name}=null: data={data.name} needs it; give data.{name}=NAME"
        elif name not in source.keys and value != getattr(DataConfig(), name):
            yield f"data.{name}={as_typed(value)}: data={data.name} does not read it; leave it out"


@cache
def _warn_once(message: str) -> None:
    """A warning that a sweep gives once, not once a trial."""
    log.warning(message)


def _refuse(faults: list[str]) -> None:
    if len(faults) > MOST_FAULTS:
        faults[MOST_FAULTS:] = [f"… and {len(faults) - MOST_FAULTS} more"]
    if faults:
        raise UserError("\n".join(faults))


def _added_or_left_out(cfg: DictConfig) -> Iterator[str]:
    known = {name for name, _ in schema_fields()}
    for name in _keys(OmegaConf.to_container(cfg, resolve=False), known):
        if name not in known:
            yield f"+{unknown_key(name)}"
    for name in known:
        if "." not in name and name not in cfg:
            yield f"~{name}: a key cannot be left out; give it a value" + (
                f", {allowed(name)}" if allowed(name) else ""
            )


def _keys(tree: Any, known: set[str], prefix: str = "") -> Iterator[str]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and f"{prefix}{name}" not in known:
            yield from _keys(value, known, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _out_of_range(config: Config) -> Iterator[str]:
    for name, item in schema_fields():
        rule: Rule | None = item.metadata["rule"]
        value: Any = config
        for part in name.split("."):
            value = getattr(value, part)
        if rule is not None and not rule.allows(value):
            yield f"{name}={as_typed(value)[:MOST_SHOWN]}: allowed is {rule.words}"
        elif isinstance(value, int) and abs(value) > LARGEST:
            yield f"{name}={value}: allowed is {rule.words if rule else 'an integer'}, below 2^63"


def _own_options(model: ModelConfig) -> dict[str, Any]:
    """The settings of the cell: without those that the file of another cell lists, at their defaults.

    Raises:
        UserError: if the cell has no such setting, or a value is not allowed.
    """
    known, others = options_of(model.cell), [options_of(name) for name in CELLS.names]
    options = {
        name: value
        for name, value in model.options.items()
        if name in known or not any(name in it and it[name].default == value for it in others)
    }
    _refuse(list(_option_faults(model.cell, known, options)))
    return options


def _option_faults(cell: str, known: Mapping[str, Option], options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        given = f"model.options.{name}={as_typed(value)[:MOST_SHOWN]}"
        if name not in known:
            yield f"{given}: model={cell} has no such setting; allowed is {', '.join(known) or 'none'}"
        elif not known[name].rule.allows(value):
            yield f"{given}: allowed is {known[name].rule.words}"
        elif isinstance(value, int) and value > LARGEST:
            yield f"{given}: allowed is {known[name].rule.words}, below 2^63"


def _conflicts(config: Config) -> Iterator[str]:
    trainer, data = config.trainer, config.data
    if config.reproduce_code != "current":
        yield f"reproduce_code={config.reproduce_code}: allowed only with reproduce=RUN_ID"
    if trainer.max_epochs is None and trainer.max_steps is None and trainer.max_images is None:
        yield "trainer.max_epochs=null: there is no budget; give trainer.max_epochs, max_steps or max_images"
    if trainer.max_steps is not None and trainer.max_images is not None:
        yield f"trainer.max_images={trainer.max_images}: trainer.max_steps={trainer.max_steps} is set too; give one"
    if trainer.max_images is not None and trainer.max_images < data.batch_size:
        yield f"trainer.max_images={trainer.max_images}: allowed is at least data.batch_size={data.batch_size}"
    if trainer.max_seconds is not None and config.optimizer.schedule == "cosine":
        yield (
            f"trainer.max_seconds={trainer.max_seconds:g}: optimizer.schedule=cosine has to know the number of "
            "steps beforehand; use optimizer.schedule=none or step"
        )
    if data.val_size == 0 and data.validate_on == "val":
        yield "data.val_size=0: allowed only with data.validate_on=test, something must be validated on"
    if data.sequence != "pixels":
        for key, value, default in (("patch", data.patch, 1), ("permutation", data.permutation, "none")):
            if value != default:
                yield f"data.{key}={value}: allowed only with data.sequence=pixels"
    if fault := root_fault(data):
        yield fault
    if trainer.flush_denormals and trainer.threads > 1:
        yield "trainer.flush_denormals=true: allowed with trainer.threads=1, a thread does so for itself alone"
    yield from key_faults(data)
    if trainer.accelerator == "cpu" and trainer.precision == "16-mixed":
        yield "trainer.precision=16-mixed: a CPU has 32-true, 64-true and bf16-mixed"
