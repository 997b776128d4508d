"""The schema of a trial: every key with its default, its meaning and what it may be."""

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any

from hydra.core.config_store import ConfigStore

from recurrent_cells.config.rules import Rule, at_least, name_in, number, one_of, or_null
from recurrent_cells.tables import CELLS, OPTIMIZERS, SOURCES, TASKS

# Where runs go by default; where the commands without Hydra look for them.
EXPERIMENT = "recurrent-cells"
HEAD_LAYERS = ("linear", "softmax", "relu", "tanh")


a_name = Rule(lambda value: bool(value.strip()), "a name that is not blank")


def key(default: Any, meaning: str, rule: Rule | None = None) -> Any:
    metadata = {"meaning": meaning, "rule": rule}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class ModelConfig:
    """The network: front end → recurrent layers → readout → head."""

    cell: str = key("lstm", "the recurrent cell", name_in(CELLS))
    hidden_size: int = key(128, "features of a hidden state", at_least(1))
    num_layers: int = key(1, "recurrent layers, one on the outputs of the other", at_least(1))
    dropout: float = key(0.0, "dropout between recurrent layers", number(0, 1, below=True))
    output_dropout: float = key(0.0, "dropout on the outputs of the last recurrent layer", number(0, 1, below=True))
    bidirectional: bool = key(False, "read the sequence from both ends")
    biases: int = key(
        2,
        "bias vectors of a gate: two as in cuDNN, or one as in Keras",
        Rule(lambda value: value in (1, 2), "1 or 2"),
    )
    init: str = key("torch", "whose initial weights", one_of("torch", "keras", "normal"))
    kernel: str = key(
        "auto",
        "what computes the layers, alike to rounding; auto: the fastest on the device",
        one_of("auto", "reference", "torch", "numpy"),
    )
    forget_bias: float | None = key(
        None, "initial bias of an LSTM's forget gate; null: that of init", or_null(number(-100, 100))
    )
    frontend: str = key("none", "what precedes the recurrent layers", one_of("none", "linear", "conv"))
    frontend_size: int = key(128, "features of frontend=linear, channels of frontend=conv", at_least(1))
    readout: str = key("last", "the outputs that are read: of which steps", one_of("last", "every", "mean"))
    head: list[str] = key(
        ["linear"],
        "the layers after the readout; each linear has an output per class",
        Rule(
            lambda value: len(value) > 0 and all(layer in HEAD_LAYERS for layer in value) and value[-1] == "linear",
            f"a list of {', '.join(HEAD_LAYERS)} that ends in linear (the loss applies the last softmax)",
        ),
    )


@dataclass
class DataConfig:
    """The data, how they are split, and how images are read as sequences."""

    name: str = key("mnist_5k", "the data source", name_in(SOURCES))
    root: str | None = key(
        None,
        "the folder of the data's files; null: datasets/ beside the runs",
        or_null(Rule(lambda value: value != "", "a folder")),
    )
    download: bool | None = key(None, "fetch files that are missing; null: only where root is null")
    num_classes: int | None = key(None, "classes; null: as many as the training labels show", or_null(at_least(2)))
    batch_size: int = key(64, "sequences of a training step", at_least(1))
    eval_batch_size: int = key(1000, "sequences that are evaluated at once", at_least(1))
    normalize: str = key(
        "standard",
        "unit: bytes as 0 … 1; standard: training values of mean 0 and standard deviation 1",
        one_of("none", "unit", "standard"),
    )
    order: str = key("shuffled", "the order of training sequences", one_of("shuffled", "file"))
    sequence: str = key("rows", "the steps of an image", one_of("rows", "columns", "image"))
    train_size: int | None = key(None, "training sequences; null: all that validation leaves", or_null(at_least(1)))
    val_size: int = key(5000, "validation sequences, taken from the training data", at_least(0))
    test_size: int | None = key(None, "test sequences of data without test files", or_null(at_least(1)))
    split: str = key(
        "random",
        "random: validation is drawn by split_seed; tail: the last of the training data",
        one_of("random", "tail"),
    )
    split_seed: int = key(0, "draws validation and test sequences", at_least(0))
    validate_on: str = key("val", "test: watch the test data while training, as some recipes do", one_of("val", "test"))


@dataclass
class OptimizerConfig:
    """The optimiser, gradient clipping and the learning-rate schedule."""

    name: str = key("adam", "the optimiser", name_in(OPTIMIZERS))
    lr: float = key(1e-3, "learning rate", number(0, above=True))
    weight_decay: float = key(0.0, "weight decay", number(0))
    momentum: float = key(0.0, "momentum, of sgd and rmsprop", number(0, 1, below=True))
    beta1: float = key(0.9, "decay of adam's first moment", number(0, 1, below=True))
    beta2: float = key(0.999, "decay of adam's second moment", number(0, 1, below=True))
    alpha: float = key(0.99, "smoothing of rmsprop (rho in Keras, decay in TensorFlow)", number(0, 1, below=True))
    eps: float = key(1e-8, "added to the denominator of adam and rmsprop", number(0, above=True))
    clip_norm: float | None = key(
        None, "largest norm of all gradients together, logged as train/grad_norm", or_null(number(0, above=True))
    )
    schedule: str = key("none", "how the learning rate falls", one_of("none", "cosine", "step"))
    warmup_steps: int = key(0, "steps over which the rate rises from 0, before the schedule", at_least(0))
    step_size: int = key(1000, "of schedule=step: steps after which the rate is multiplied by gamma", at_least(1))
    gamma: float = key(0.1, "of schedule=step: what the rate is multiplied by", number(0, 1, above=True))


@dataclass
class TrainerConfig:
    """The budget, the device, and how often what is written down."""

    accelerator: str = key("auto", "the device", one_of("auto", "cpu", "gpu"))
    precision: str = key(
        "auto",
        "auto: mixed precision on a GPU, float32 on a CPU",
        one_of("auto", "32-true", "64-true", "bf16-mixed", "16-mixed"),
    )
    tf32: bool = key(False, "on a GPU: products of float32 in TF32")
    cuda_graph: bool = key(True, "on a GPU: launch a step as one graph, where nothing is drawn or scaled in it")
    max_epochs: int | None = key(15, "the budget in epochs; null: full_epochs or short_epochs", or_null(at_least(1)))
    max_steps: int | None = key(None, "the budget in optimiser steps, in place of epochs", or_null(at_least(1)))
    max_images: int | None = key(
        None, "the budget in training sequences, in full batches, in place of epochs", or_null(at_least(1))
    )
    full_epochs: int | None = key(None, "a recipe's published epochs", or_null(at_least(1)))
    short_epochs: int | None = key(None, "a recipe's epochs with full=false; null: full_epochs", or_null(at_least(1)))
    eval_every: int | None = key(None, "steps between evaluations; null: an epoch", or_null(at_least(1)))
    eval_at_start: bool = key(False, "evaluate before the first step too")
    log_every: int = key(20, "steps between two points of the training curves", at_least(1))
    log_train: str = key(
        "interval",
        "train/* is the mean since the last point, or that of one batch",
        one_of("interval", "batch"),
    )
    checkpoint_every: int | None = key(
        None,
        "steps between checkpoints to resume from; null: at evaluations, two seconds apart at least",
        or_null(at_least(1)),
    )
    early_stopping: int | None = key(
        None, "evaluations without a better validation value after which training stops", or_null(at_least(1))
    )
    test_with: str = key("best", "which weights are tested", one_of("best", "last"))
    deterministic: bool = key(True, "deterministic algorithms only")
    threads: int = key(1, "threads of a process", at_least(1))
    detect_anomaly: bool = key(False, "find the operation that made a gradient NaN; slow")
    profile: bool = key(False, "keep a trace and a table of where the time of some steps goes")
    progress: bool | None = key(None, "a progress bar; null: on a terminal, else a line per evaluation")


@dataclass
class TrackingConfig:
    """Where runs go."""

    experiment: str = key(EXPERIMENT, "the MLflow experiment", a_name)
    patience: float = key(60.0, "seconds to wait for a store that fails once training has begun", number(0))


@dataclass
class SweepConfig:
    """How a sweep (-m) runs."""

    rerun: str = key("missing", "which trials to train", one_of("missing", "failed", "all"))
    dry_run: bool = key(False, "list the trials and start none")
    retries: int = key(1, "how often a killed trial is started again", at_least(0))
    report: bool = key(True, "end in a report: verdict, figures and tables")
    parent: str | None = key(None, "set by the sweep: its parent run")
    since: int = key(0, "set by the sweep: a run that ended before does not count (milliseconds)")
    study: str | None = key(None, "set by a search that prunes: its Optuna study")
    number: int | None = key(None, "set by a search that prunes: the trial's number", or_null(at_least(0)))


@dataclass
class Config:
    """A trial."""

    recipe: str | None = key(None, "the published recipe that an experiment file reproduces")
    full: bool = key(True, "false: recipes of many epochs train short_epochs of them")
    reproduce: str | None = key(None, "a run id, or its beginning: train that trial again as it was")
    registry: bool = key(True, "keep the best network as an MLflow model, and register that of a sweep")
    extensions: list[str] = key([], "Python files that add cells, data sources, tasks, optimisers, …")
    task: str = key(
        "auto",
        "what is asked of a sequence; auto: its class, after every step where readout=every",
        name_in(TASKS, "auto"),
    )
    seed: int = key(
        0,
        "decides all that is drawn in a trial but the split",
        Rule(lambda value: 0 <= value < 2**32, "an integer from 0 to 4294967295"),
    )
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)

    @property
    def is_shortened(self) -> bool:
        """Whether the trial has the short budget of a recipe in the place of the published one."""
        short = self.trainer.short_epochs
        return not self.full and short is not None and self.trainer.max_epochs == short


def register() -> None:
    """Make the schema known to Hydra as `schema`."""
    ConfigStore.instance().store(name="schema", node=Config)


def schema_fields(cls: type = Config, prefix: str = "") -> Iterator[tuple[str, Field[Any]]]:
    """Every leaf of the schema as (dotted key, dataclass field)."""
    for item in fields(cls):
        name = f"{prefix}{item.name}"
        if isinstance(item.type, type) and is_dataclass(item.type):
            yield from schema_fields(item.type, f"{name}.")
        else:
            yield name, item


def default_of(item: Field[Any]) -> Any:
    return item.default_factory() if callable(item.default_factory) else item.default


def allowed(name: str) -> str:
    """What a key may be, in words, for messages; empty for an unknown key."""
    item = dict(schema_fields()).get(name)
    if item is None:
        return ""
    rule: Rule | None = item.metadata["rule"]
    if rule is not None:
        return rule.words
    words: dict[Any, str] = {bool: "true or false", bool | None: "true, false or null", list[str]: "a list of files"}
    return words.get(item.type, "an integer" if item.type is int else "text or null")


def as_typed(value: Any) -> str:
    """A value as one would write it on the command line."""
    if isinstance(value, list):
        return f"[{','.join(as_typed(item) for item in value)}]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)
