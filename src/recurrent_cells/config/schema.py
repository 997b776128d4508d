"""The schema of a trial: every key with its type, range and meaning, and the rules across keys."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from recurrent_cells.errors import UserError
from recurrent_cells.tables import CELLS, TASKS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rule:
    """What a key's value may be: a check and the words for it."""

    allows: Callable[[Any], bool]
    words: str


def _key(default: Any, rule: Rule | None = None, optional: bool = False) -> Any:
    if rule is not None and optional:
        inner = rule
        rule = Rule(lambda value: value is None or inner.allows(value), f"{inner.words}, or null")
    metadata = {"rule": rule} if rule else {}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def one_of(*choices: str) -> Rule:
    return Rule(lambda value: value in choices, f"one of {', '.join(choices)}")


def at_least(low: int) -> Rule:
    return Rule(lambda value: value >= low, f"an integer of at least {low}")


def number(low: float, high: float = math.inf, above: bool = False, below: bool = False) -> Rule:
    """A finite number from `low` to `high`; `above` and `below` leave the ends out."""

    def allows(value: float) -> bool:
        return (
            math.isfinite(value)
            and (value > low if above else value >= low)
            and (value < high if below else value <= high)
        )

    words = f"a number {'above' if above else 'of at least'} {low:g}"
    if high != math.inf:
        words += f" and {'below' if below else 'at most'} {high:g}"
    return Rule(allows, words)


# Where runs go unless told otherwise; what the entries without Hydra look at.
EXPERIMENT = "recurrent-cells"

# A message has at most this many lines and one more.
MOST_FAULTS = 6

DATA_SETS = ["fashion_mnist", "idx", "kmnist", "mnist", "mnist_5k"]
HEAD_LAYERS = ("linear", "softmax", "relu", "tanh")


@dataclass
class ModelConfig:
    """The network: front end → recurrent layers → readout → head."""

    cell: str = _key("lstm", one_of(*CELLS.names))
    hidden_size: int = _key(128, at_least(1))
    num_layers: int = _key(1, at_least(1))
    # between recurrent layers, as in torch.nn
    dropout: float = _key(0.0, number(0, 1, below=True))
    # on what the last recurrent layer gives to the readout
    output_dropout: float = _key(0.0, number(0, 1, below=True))
    bidirectional: bool = False
    # two bias vectors per gate as cuDNN has, or one as Keras and TensorFlow have
    biases: int = _key(2, Rule(lambda value: value in (1, 2), "1 or 2"))
    init: str = _key("torch", one_of("torch", "keras", "normal"))
    # `auto`: our own layers where they are faster than torch.nn's (SimpleRNN and GRU on a CPU), to rounding the same
    kernel: str = _key("auto", one_of("auto", "torch"))
    # of an LSTM (no other cell has a forget gate); null leaves it to `init`
    forget_bias: float | None = _key(None, number(-100, 100), optional=True)
    frontend: str = _key("none", one_of("none", "linear", "conv"))
    # features after `linear`, channels of `conv`
    frontend_size: int = _key(128, at_least(1))
    readout: str = _key("last", one_of("last", "every", "mean"))
    # the layers after the readout; `linear` has one output per class
    head: list[str] = _key(
        ["linear"],
        Rule(
            lambda value: len(value) > 0 and all(layer in HEAD_LAYERS for layer in value) and value[-1] == "linear",
            f"a list of {', '.join(HEAD_LAYERS)} that ends in linear (the loss applies the last softmax)",
        ),
    )


@dataclass
class DataConfig:
    """The images, how they are split and how they are read as sequences."""

    name: str = _key("mnist_5k", one_of(*DATA_SETS))
    # a folder of IDX files; null means the repository's own folder `datasets`
    root: str | None = _key(None, Rule(lambda value: value != "", "a folder"), optional=True)
    # null: download into the default folder only, never into a root that was given
    download: bool | None = None
    # null: as many as the labels of the training file show
    num_classes: int | None = _key(None, at_least(2), optional=True)
    batch_size: int = _key(64, at_least(1))
    # images of a split sent through the network at once when evaluating
    eval_batch_size: int = _key(1000, at_least(1))
    normalize: str = _key("standard", one_of("none", "unit", "standard"))
    order: str = _key("shuffled", one_of("shuffled", "file"))
    sequence: str = _key("rows", one_of("rows", "columns", "image"))
    # null: all that validation leaves
    train_size: int | None = _key(None, at_least(1), optional=True)
    val_size: int = _key(5000, at_least(0))
    # only for data without test files of its own
    test_size: int | None = _key(None, at_least(1), optional=True)
    # `random`: drawn by split_seed; `tail`: the last images of the training file
    split: str = _key("random", one_of("random", "tail"))
    split_seed: int = _key(0, at_least(0))
    # `test` watches the test images while training, as some published recipes do
    validate_on: str = _key("val", one_of("val", "test"))


@dataclass
class OptimizerConfig:
    """The optimiser, gradient clipping and the learning-rate schedule."""

    name: str = _key("adam", one_of("adam", "rmsprop", "sgd"))
    lr: float = _key(1e-3, number(0, above=True))
    weight_decay: float = _key(0.0, number(0))
    # of sgd and rmsprop
    momentum: float = _key(0.0, number(0, 1, below=True))
    # of adam
    beta1: float = _key(0.9, number(0, 1, below=True))
    beta2: float = _key(0.999, number(0, 1, below=True))
    # smoothing of rmsprop (called rho in Keras, decay in TensorFlow)
    alpha: float = _key(0.99, number(0, 1, below=True))
    eps: float = _key(1e-8, number(0, above=True))
    # largest norm of all gradients together; the norm is logged as train/grad_norm
    clip_norm: float | None = _key(None, number(0, above=True), optional=True)
    schedule: str = _key("none", one_of("none", "cosine", "step"))
    # steps of linear warm-up from 0, before any schedule
    warmup_steps: int = _key(0, at_least(0))
    # of schedule=step: every step_size steps the rate is multiplied by gamma
    step_size: int = _key(1000, at_least(1))
    gamma: float = _key(0.1, number(0, 1, above=True))


@dataclass
class TrainerConfig:
    """The budget, the device and what is written down how often."""

    accelerator: str = _key("auto", one_of("auto", "cpu", "gpu"))
    precision: str = _key("auto", one_of("auto", "32-true", "64-true", "bf16-mixed", "16-mixed"))
    # on a GPU: products of float32 in TF32
    tf32: bool = False
    # on a GPU: all kernels of a step are launched as one graph, where nothing is drawn or scaled in it
    cuda_graph: bool = True
    max_epochs: int | None = _key(15, at_least(1), optional=True)
    # the budget in optimiser steps; if set, max_epochs does not count
    max_steps: int | None = _key(None, at_least(1), optional=True)
    # the budget in training images, counted in full batches; if set, max_epochs does not count
    max_images: int | None = _key(None, at_least(1), optional=True)
    # max_epochs when full=false; null: no other
    short_epochs: int | None = _key(None, at_least(1), optional=True)
    # evaluate every so many steps; null: at the end of every epoch
    eval_every: int | None = _key(None, at_least(1), optional=True)
    # evaluate before the first step too
    eval_at_start: bool = False
    # steps from one point of the training curves to the next
    log_every: int = _key(20, at_least(1))
    # `interval`: train/* is the mean since the last point; `batch`: of the current batch alone
    log_train: str = _key("interval", one_of("interval", "batch"))
    # steps between checkpoints to resume from; null: at evaluations, two seconds apart at least
    checkpoint_every: int | None = _key(None, at_least(1), optional=True)
    # evaluations without a better validation accuracy after which training stops
    early_stopping: int | None = _key(None, at_least(1), optional=True)
    # which weights the test images are read with
    test_with: str = _key("best", one_of("best", "last"))
    deterministic: bool = True
    threads: int = _key(1, at_least(1))
    detect_anomaly: bool = False
    # a trace and a table of where the time of some steps goes, in the run's artifacts
    profile: bool = False
    # null: a bar on a terminal, a line per evaluation elsewhere
    progress: bool | None = None


@dataclass
class TrackingConfig:
    experiment: str = _key(EXPERIMENT, Rule(lambda value: bool(value.strip()), "a name that is not blank"))
    # seconds to wait for a store that fails once training has begun
    patience: float = _key(60.0, number(0))


@dataclass
class SweepConfig:
    rerun: str = _key("missing", one_of("missing", "failed", "all"))
    dry_run: bool = False
    # how often a killed trial is started again
    retries: int = _key(1, at_least(0))
    # verdict, figures and tables at the end, in reports/ and with the parent run
    report: bool = True
    # the parent run's id, set by the sweeper
    parent: str | None = None
    # milliseconds: what finished earlier is trained again; set by the sweeper
    since: int = 0
    # in a search that prunes: its Optuna study and the trial's number there, set by the sweeper
    study: str | None = None
    number: int | None = _key(None, at_least(0), optional=True)


@dataclass
class Config:
    # the published recipe that an experiment file reproduces
    recipe: str | None = None
    # false: recipes of many epochs train short_epochs of them
    full: bool = True
    # the run id of a trial, or its beginning, to be trained again as it was
    reproduce: str | None = None
    # keep the best network of a trial as an MLflow model, and register that of a sweep
    registry: bool = True
    # what is asked of the sequences; `auto`: the class, after every step where model.readout=every
    task: str = _key("auto", Rule(lambda value: value == "auto" or value in TASKS, "auto or the name of a task"))
    seed: int = _key(0, Rule(lambda value: 0 <= value < 2**32, "an integer from 0 to 4294967295"))
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)


def register() -> None:
    """Make the schema known to Hydra as `schema`."""
    ConfigStore.instance().store(name="schema", node=Config)


def schema_fields(cls: type = Config, prefix: str = "") -> Iterator[tuple[str, Field[Any]]]:
    """Every leaf of the schema as (dotted key, dataclass field)."""
    for item in fields(cls):
        key = f"{prefix}{item.name}"
        if isinstance(item.type, type) and is_dataclass(item.type):
            yield from schema_fields(item.type, f"{key}.")
        else:
            yield key, item


def allowed(key: str) -> str:
    """What a key may be, in words, for messages; empty for an unknown key."""
    item = dict(schema_fields()).get(key)
    if item is None:
        return ""
    rule: Rule | None = item.metadata.get("rule")
    if rule is not None:
        return rule.words
    if isinstance(item.default, bool):
        return "true or false"
    return "true, false or null" if item.type == bool | None else "text or null"


def as_typed(value: Any) -> str:
    """A value as one would write it on the command line."""
    if isinstance(value, list):
        return f"[{','.join(as_typed(item) for item in value)}]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


def validated(cfg: DictConfig) -> Config:
    """The typed config of a trial, checked.

    Raises:
        UserError: naming every key out of range, the value given and what is allowed.
        OmegaConfBaseException: if a value is missing or refers to one that does not exist.
    """
    _refuse(list(_added(cfg)))
    config = OmegaConf.to_object(cfg)
    assert isinstance(config, Config)
    _refuse(list(_out_of_range(config)))
    if config.reproduce is None:  # else the run has the keys that count
        _refuse(list(_conflicts(config)))
    if not config.full and config.trainer.short_epochs is not None:
        config.trainer.max_epochs = config.trainer.short_epochs
    if config.model.dropout > 0 and config.model.num_layers == 1:
        _warn_once(
            f"model.dropout={config.model.dropout:g}: no effect, it acts between recurrent layers and there is one; "
            "model.num_layers=2 or model.output_dropout would use it"
        )
    return config


@cache
def _warn_once(message: str) -> None:
    """A warning that a sweep gives once, not once a trial."""
    log.warning(message)


def _refuse(faults: list[str]) -> None:
    if len(faults) > MOST_FAULTS:
        faults[MOST_FAULTS:] = [f"… and {len(faults) - MOST_FAULTS} more"]
    if faults:
        raise UserError("\n".join(faults))


def _added(cfg: DictConfig) -> Iterator[str]:
    known = {key for key, _ in schema_fields()}
    for key in _keys(OmegaConf.to_container(cfg, resolve=False)):
        if key not in known:
            yield f"+{key}: no such key; python -m src.train --cfg job shows all there are"


def _keys(tree: Any, prefix: str = "") -> Iterator[str]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _keys(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _out_of_range(config: Config) -> Iterator[str]:
    for key, item in schema_fields():
        rule: Rule | None = item.metadata.get("rule")
        value: Any = config
        for part in key.split("."):
            value = getattr(value, part)
        if rule is not None and not rule.allows(value):
            yield f"{key}={as_typed(value)}: allowed is {rule.words}"


def _conflicts(config: Config) -> Iterator[str]:
    trainer, data = config.trainer, config.data
    if trainer.max_epochs is None and trainer.max_steps is None and trainer.max_images is None:
        yield "trainer.max_epochs=null: there is no budget; give trainer.max_epochs, max_steps or max_images"
    if trainer.max_steps is not None and trainer.max_images is not None:
        yield f"trainer.max_images={trainer.max_images}: trainer.max_steps={trainer.max_steps} is set too; give one"
    if trainer.max_images is not None and trainer.max_images < data.batch_size:
        yield f"trainer.max_images={trainer.max_images}: allowed is at least data.batch_size={data.batch_size}"
    if data.val_size == 0 and data.validate_on == "val":
        yield "data.val_size=0: allowed only with data.validate_on=test, something must be validated on"
    if data.name == "idx" and data.root is None:
        yield "data.root=null: data=idx needs the folder of the four IDX files, data.root=FOLDER"
    if data.name == "mnist_5k" and data.root is not None:
        yield f"data.root={data.root}: data=mnist_5k reads no folder; data=mnist or data=idx would"
    if trainer.accelerator == "cpu" and trainer.precision == "16-mixed":
        yield "trainer.precision=16-mixed: a CPU has 32-true, 64-true and bf16-mixed"
