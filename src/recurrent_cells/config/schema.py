"""The schema of a trial: every key with its default, its meaning and what it may be."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any

from hydra.core.config_store import ConfigStore

from recurrent_cells.config.rules import A_TIME, Rule, at_least, between, name_in, number, one_of, or_null
from recurrent_cells.tables import CELLS, OPTIMIZERS, SOURCES, TASKS

# Where runs go by default; where the commands without Hydra look for them.
EXPERIMENT = "recurrent-cells"
HEAD_LAYERS = ("linear", "softmax", "relu", "tanh")
BLOCKS = ("none", "residual")
KERNELS = ("auto", "reference", "torch", "numpy", "triton", "scan", "chunks", "steps")
SCALINGS = ("none", "unit", "standard")
SEQUENCES = ("rows", "columns", "image", "pixels")
SPLITS = ("random", "tail", "stratified")
FILLINGS = ("refuse", "zero", "mean", "last")
PRECISIONS = ("auto", "32-true", "64-true", "bf16-mixed", "16-mixed")

POSITIVE = at_least(1)
COUNT = at_least(0)
SHARE = number(0, 1, below=True)
ABOVE_0 = number(0, above=True)
BIAS = number(-100, 100)
MOST_LAYERS, MOST_HEAD_LAYERS, MOST_THREADS, MOST_STEPS = 1000, 16, 1024, 1_000_000
ONE_OR_TWO = Rule(lambda value: value in (1, 2), "1 or 2")
A_SEED = between(0, 2**32 - 1)
A_PATH = or_null(Rule(lambda value: value != "", "a folder or a file"))
HEAD = Rule(
    lambda value: 0 < len(value) <= MOST_HEAD_LAYERS and value[-1] == "linear" and set(value) <= set(HEAD_LAYERS),
    f"a list of up to {MOST_HEAD_LAYERS}, {', '.join(HEAD_LAYERS)}, that ends in linear (the loss applies softmax)",
)
PHASES = Rule(
    lambda value: len(value) in (0, 2),
    "a list of two mappings such as {seed: '8,9', optimizer.lr: '1e-3,3e-3'} and {seed: '0,1,2'}, or nothing",
)
PUBLISHED = Rule(
    lambda value: all(
        isinstance(said, Mapping) and set(said) in ({"metric", "values"}, {"above"}, {"below"})
        for said in value.values()
    ),
    "a mapping such as {RECIPE: {metric: test/acc, values: {2577: 0.985}}} or {RECIPE: {above: OTHER}}",
)
A_MATCH = Rule(lambda value: bool(re.fullmatch(r"parameters:[1-9]\d{0,14}", value)), "parameters:COUNT")
RUN_IDS = Rule(lambda value: all(value), "a list of run ids")
A_NAME = Rule(lambda value: bool(value.strip()), "a name that is not blank")
A_PERMUTATION = Rule(lambda value: value != "", "none, bit_reversal, torch_SEED, numpy_SEED or a file of numbers")
SENTENCES = Rule(lambda value: all(value), "a list of sentences, or nothing")
NAMES = Rule(lambda value: all(name.strip() for name in value), "a list of names, or nothing")


def key(default: Any, meaning: str, rule: Rule | None = None, block: bool = False, later: bool = False) -> Any:
    """A key of the schema.

    Args:
        block: whether the key is part of the data block: configurations that differ in it are not compared.
        later: whether runs were kept before there was the key; its default says what was done then.
    """
    metadata = {"meaning": meaning, "rule": rule, "block": block, "later": later}
    if isinstance(default, list | dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class ModelConfig:
    """The network: front end → recurrent layers, bare or in blocks → readout → head."""

    cell: str = key("lstm", "the recurrent cell", name_in(CELLS))
    options: dict[str, Any] = key({}, "settings of this cell alone, as its file in conf/model lists them", later=True)
    hidden_size: int = key(128, "features of a hidden state", POSITIVE)
    match: str | None = key(
        None, "parameters:COUNT takes the hidden size that comes closest to so many", or_null(A_MATCH), later=True
    )
    block: str = key(
        "none", "residual: norm, gated projection and residual around each layer", one_of(*BLOCKS), later=True
    )
    num_layers: int = key(1, "recurrent layers, one on the outputs of the other", between(1, MOST_LAYERS))
    dropout: float = key(0.0, "dropout between recurrent layers; in blocks, on what each adds", SHARE)
    output_dropout: float = key(0.0, "dropout on the outputs of the last recurrent layer", SHARE)
    bidirectional: bool = key(False, "read the sequence from both ends")
    biases: int = key(2, "bias vectors of a gate: two as in cuDNN, or one as in Keras", ONE_OR_TWO)
    init: str = key("torch", "whose initial weights", one_of("torch", "keras", "normal"))
    kernel: str = key("auto", "what computes the layers, to rounding the same; auto: the fastest", one_of(*KERNELS))
    forget_bias: float | None = key(None, "first bias of an LSTM-like forget gate; null: as init has it", or_null(BIAS))
    frontend: str = key("none", "what precedes the recurrent layers", one_of("none", "linear", "conv"))
    frontend_size: int = key(128, "features of frontend=linear, channels of frontend=conv", POSITIVE)
    readout: str = key(
        "last",
        "the outputs that are read: of which steps; flatten: of all steps side by side",
        one_of("last", "every", "mean", "flatten"),
    )
    head: list[str] = key(["linear"], "layers after the readout; each linear has an output per class", HEAD)


@dataclass
class DataConfig:
    """The data, how they are split, and how images are read as sequences."""

    name: str = key("mnist_5k", "the data source", name_in(SOURCES), block=True)
    root: str | None = key(None, "the folder of the data's files, or the file; null: datasets/ beside the runs", A_PATH)
    download: bool | None = key(None, "fetch files that are missing; null: only where root is null")
    dataset: str | None = key(None, "of data=ts: NAME of NAME_TRAIN.ts", or_null(A_NAME), block=True, later=True)
    series: str | None = key(None, "of data=table: the column of the series' names", or_null(A_NAME), True, True)
    time: str | None = key(None, "of data=table: the column of times", or_null(A_NAME), True, True)
    features: list[str] = key([], "of data=table: columns of numbers; []: all others of numbers", NAMES, True, True)
    target: str | None = key(None, "of data=table: the column of what is asked", or_null(A_NAME), True, True)
    length: int | None = key(
        None,
        "of tasks made on the spot: T of a sequence, the longest to train on, or how many keys; null: the task's own",
        or_null(between(2, MOST_STEPS)),
        True,
        True,
    )
    target_steps: str = key("last", "of data=parity: the steps that have a target", one_of("last", "every"), True, True)
    symbols: int | None = key(
        None, "of data=selective_copy: how many are to be copied; null: 16", or_null(POSITIVE), True, True
    )
    examples: int | None = key(
        None,
        "of tasks made on the spot: how many to train and validate; null: the task's own",
        or_null(POSITIVE),
        True,
        True,
    )
    missing: str = key(
        "refuse", "what stands for a missing number of a series", one_of(*FILLINGS), block=True, later=True
    )
    num_classes: int | None = key(None, "classes; null: as many as the training labels show", or_null(at_least(2)))
    batch_size: int = key(64, "sequences of a training step", POSITIVE)
    eval_batch_size: int = key(1000, "sequences that are evaluated at once", POSITIVE)
    normalize: str = key(
        "standard",
        "unit: bytes to 0 … 1; standard: to mean 0 and deviation 1, the numbers of a series by feature",
        one_of(*SCALINGS),
    )
    order: str = key(
        "shuffled",
        "the order of training sequences; by_length: shuffled, a batch being of similar length",
        one_of("shuffled", "by_length", "file"),
    )
    sequence: str = key("rows", "the steps of an image", one_of(*SEQUENCES), block=True)
    patch: int = key(1, "of sequence=pixels: pixels of a step", POSITIVE, block=True, later=True)
    permutation: str = key(
        "none", "of sequence=pixels: the order in which they are read", A_PERMUTATION, block=True, later=True
    )
    train_size: int | None = key(
        None, "training sequences; null: all that validation leaves", or_null(POSITIVE), block=True
    )
    val_size: int | None = key(
        5000, "validation sequences, taken from the training data; null: a fifth of these", or_null(COUNT), block=True
    )
    test_size: int | None = key(
        None, "test sequences of data without test files; null: a fifth", or_null(POSITIVE), block=True
    )
    split: str = key(
        "random",
        "what validates: drawn by split_seed, the last in the file, or drawn with each class in proportion",
        one_of(*SPLITS),
        block=True,
    )
    split_seed: int = key(
        0, "draws validation and test sequences, and all of tasks made on the spot", A_SEED, block=True
    )
    validate_on: str = key("val", "test: watch the test data while training, as some recipes do", one_of("val", "test"))


@dataclass
class OptimizerConfig:
    """The optimiser, gradient clipping and the learning-rate schedule."""

    name: str = key("adam", "the optimiser", name_in(OPTIMIZERS))
    lr: float = key(1e-3, "learning rate", ABOVE_0)
    weight_decay: float = key(0.0, "weight decay, a part of the gradients but for adamw", number(0))
    momentum: float = key(0.0, "momentum, of sgd and rmsprop", SHARE)
    beta1: float = key(0.9, "decay of adam's and adamw's first moment", SHARE)
    beta2: float = key(0.999, "decay of adam's and adamw's second moment", SHARE)
    alpha: float = key(0.99, "smoothing of rmsprop (rho in Keras, decay in TensorFlow)", SHARE)
    eps: float = key(1e-8, "added to the denominator of adam, adamw and rmsprop", ABOVE_0)
    recurrent_lr_factor: float = key(
        1.0, "what the rate of recurrent parameters, from state to state, is multiplied by", ABOVE_0, later=True
    )
    decay_recurrent: bool | None = key(
        None, "weight decay on recurrent parameters too; null: where they have the rate of all", later=True
    )
    clip_norm: float | None = key(None, "largest norm of all gradients, logged as train/grad_norm", or_null(ABOVE_0))
    schedule: str = key("none", "how the learning rate falls", one_of("none", "cosine", "step"))
    warmup_steps: int = key(0, "steps over which the rate rises from 0, before the schedule", COUNT)
    step_size: int = key(1000, "of schedule=step: steps after which the rate is multiplied by gamma", POSITIVE)
    gamma: float = key(0.1, "of schedule=step: what the rate is multiplied by", number(0, 1, above=True))

    @property
    def decays_recurrent(self) -> bool:
        """Whether weight decay acts on recurrent parameters."""
        return self.recurrent_lr_factor == 1 if self.decay_recurrent is None else self.decay_recurrent

    @property
    def tells_recurrent_apart(self) -> bool:
        """Whether recurrent parameters have a rate or a weight decay of their own."""
        return self.recurrent_lr_factor != 1 or (self.weight_decay > 0 and not self.decays_recurrent)


@dataclass
class TrainerConfig:
    """The budget, the device, and how often what is written down."""

    accelerator: str = key("auto", "the device", one_of("auto", "cpu", "gpu"))
    precision: str = key("auto", "auto: float32 on a CPU; mixed around the layers on a GPU", one_of(*PRECISIONS))
    tf32: bool = key(False, "on a GPU: products of float32 in TF32")
    cuda_graph: bool = key(True, "on a GPU: launch a step as one graph")
    max_epochs: int | None = key(15, "the budget in epochs; null: full_epochs or short_epochs", or_null(POSITIVE))
    max_steps: int | None = key(None, "the budget in optimiser steps, in place of epochs", or_null(POSITIVE))
    max_images: int | None = key(None, "the budget in training sequences, in place of epochs", or_null(POSITIVE))
    max_seconds: float | None = key(
        None,
        "end the trial after so many seconds of training and validation, those before a kill counted",
        or_null(ABOVE_0),
        later=True,
    )
    full_epochs: int | None = key(None, "a recipe's published epochs", or_null(POSITIVE))
    short_epochs: int | None = key(None, "a recipe's epochs with full=false; null: full_epochs", or_null(POSITIVE))
    eval_every: int | None = key(None, "steps between evaluations; null: an epoch", or_null(POSITIVE))
    eval_at_start: bool = key(False, "evaluate before the first step too")
    log_every: int = key(20, "steps between two points of the training curves", POSITIVE)
    log_train: str = key("interval", "train/*: mean since the last point, or of a batch", one_of("interval", "batch"))
    checkpoint_every: int | None = key(None, "steps between checkpoints; null: at evaluations", or_null(POSITIVE))
    early_stopping: int | None = key(None, "end after so many evaluations without a better one", or_null(POSITIVE))
    test_with: str = key("best", "which weights are tested", one_of("best", "last"))
    deterministic: bool = key(True, "deterministic algorithms only")
    threads: int = key(1, "threads of a process", between(1, MOST_THREADS))
    flush_denormals: bool | None = key(
        None,
        "on a CPU: take numbers below 1e-38 for 0; null: with threads=1, but for images by rows or columns",
        later=True,
    )
    detect_anomaly: bool = key(False, "find the operation that made a gradient NaN; slow")
    profile: bool = key(False, "keep a trace and a table of where the time of some steps goes")
    progress: bool | None = key(None, "a progress bar; null: on a terminal, else a line per evaluation")


@dataclass
class TrackingConfig:
    """Where runs go."""

    experiment: str = key(EXPERIMENT, "the MLflow experiment", A_NAME)
    patience: float = key(60.0, "seconds to wait for a store that fails once training has begun", number(0))


@dataclass
class SweepConfig:
    """How a sweep (-m) runs."""

    rerun: str = key("missing", "which trials to train", one_of("missing", "failed", "stopped", "all"))
    dry_run: bool = key(False, "list the trials and start none")
    retries: int = key(1, "how often a killed trial is started again", COUNT)
    budget: str | None = key(None, "the time of a start of the sweep; the rest goes on later", or_null(A_TIME))
    stop_after_failures: int | None = key(None, "start no more trials once so many have failed", or_null(POSITIVE))
    until: str = key("done", "decided: add seeds until each pair is decided", one_of("done", "decided"))
    margin: float = key(0.0, "of until=decided: what is as good as equal, in points or the metric's unit", number(0))
    max_seeds: int = key(30, "of until=decided: the most seeds of a configuration", at_least(2))
    report: bool = key(True, "end in a report: verdict, figures and tables")
    phases: list[dict[str, str]] = key(
        [], "two sets of choices: one is chosen from by validation, one compares", PHASES
    )
    archive: str | None = key(
        None, "a Parquet file: the trials it has count as finished, and those that finish are added", A_PATH
    )
    parent: str | None = key(None, "set by the sweep: its parent run")
    earlier: list[str] = key([], "set by the sweep: runs of the trial that do not count", RUN_IDS)
    study: str | None = key(None, "set by a search that prunes: its Optuna study")
    number: int | None = key(None, "set by a search that prunes: the trial's number", or_null(COUNT))


@dataclass
class StudyConfig:
    """What a sweep is to find out, in the words of a file of conf/study."""

    name: str | None = key(None, "what the study is called: the name of its file", or_null(A_NAME))
    size: str = key("quick", "which of its two sizes", one_of("quick", "full"))
    quick: dict[str, Any] = key({}, "of the small size: values to which the file refers, finding, deviations")
    full: dict[str, Any] = key({}, "of the large size: values to which the file refers, finding, deviations")
    question: str | None = key(None, "what is asked")
    protocol: list[str] = key([], "what was settled before the first trial ran", SENTENCES)
    published: dict[str, Any] = key(
        {}, "recipe → what was published of it: metric and values by step, or above or below another recipe", PUBLISHED
    )

    @property
    def finding(self) -> str:
        """The answer that the trials of this size gave, in a sentence or two; empty while there is none."""
        return str(self._of_size.get("finding", ""))

    @property
    def deviations(self) -> list[str]:
        """What was done otherwise than the protocol has it, and why."""
        return list(self._of_size.get("deviations", []))

    @property
    def _of_size(self) -> dict[str, Any]:
        return self.full if self.size == "full" else self.quick


# Keys of a sweep that it sets itself, for its trials.
SET_BY_SWEEPS = ("parent", "earlier", "study", "number")


@dataclass
class Config:
    """A trial."""

    recipe: str | None = key(None, "the published recipe that an experiment file reproduces")
    full: bool = key(True, "false: recipes of many epochs train short_epochs of them")
    reproduce: str | None = key(None, "a run id, or its beginning: train that trial again as it was")
    reproduce_code: str = key(
        "current", "of reproduce: the code of now, or that of the run from git and store", one_of("current", "original")
    )
    registry: bool = key(True, "keep the best network as an MLflow model, and register that of a sweep")
    extensions: list[str] = key([], "Python files that add cells, data sources, tasks, optimisers, …")
    task: str = key(
        "auto", "what is asked; auto: a class, at every step where readout=every", name_in(TASKS, "auto"), later=True
    )
    seed: int = key(0, "decides all that is drawn in a trial but the split", A_SEED)
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)
    study: StudyConfig = field(default_factory=StudyConfig)

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


def block_keys() -> list[str]:
    """The keys that make a data block: which sequences are trained on, validated and tested."""
    return [name for name, item in schema_fields() if item.metadata["block"]]


@cache
def later_keys() -> Mapping[str, Any]:
    """The keys that are younger than the first runs that were kept, with the values that say what was done before."""
    return {name: default_of(item) for name, item in schema_fields() if item.metadata["later"]}


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
    words: dict[Any, str] = {
        bool: "true or false",
        bool | None: "true, false or null",
        list[str]: "a list of files",
        dict[str, Any]: "a mapping",
    }
    return words.get(item.type, "an integer" if item.type is int else "text or null")


def as_typed(value: Any) -> str:
    """A value as one would write it on the command line."""
    if isinstance(value, list):
        return f"[{','.join(as_typed(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{name}:{as_typed(item)}' for name, item in value.items())}}}"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)
