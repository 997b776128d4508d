"""Training a recorded trial again: its config, what is not as it was, and whether the curves came out the same."""

import hashlib
import io
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from recurrent_cells.config.extensions import load_recorded
from recurrent_cells.config.files import parse_config
from recurrent_cells.config.schema import Config, as_typed, schema_fields
from recurrent_cells.config.validation import validated
from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import UserError
from recurrent_cells.tracking.artifacts import read_checkpoint, read_code, read_config
from recurrent_cells.tracking.checkout import code_diff, git_tags
from recurrent_cells.tracking.names import Artifact, Curve, Tag
from recurrent_cells.tracking.provenance import library_tags
from recurrent_cells.tracking.queries import TrialRecord, find_trial
from recurrent_cells.tracking.store import Store, open_store
from recurrent_cells.training import state
from recurrent_cells.training.device import resolve_device
from recurrent_cells.trial.fingerprint import CIRCUMSTANCES, is_within

# What may differ from the run.
FREE = tuple(key for key, _ in schema_fields() if is_within(key, CIRCUMSTANCES))
TIMINGS = (Curve.EPOCH_SECONDS, Curve.SAMPLES_PER_SECOND)

log = logging.getLogger(__name__)

Points = dict[tuple[str, int], float]


@dataclass(frozen=True)
class Original:
    """A recorded trial, and what the command line gives beside it."""

    store: Store
    record: TrialRecord
    overrides: Sequence[str]


def find_original(given: Config) -> Original:
    """The trial that `given.reproduce` names.

    Raises:
        UserError: if there is no such trial, or the command line has keys that are the run's to give.
    """
    assert given.reproduce is not None
    overrides = _overrides(given.reproduce)
    store = open_store(given.tracking.experiment, reading=True)
    return Original(store, find_trial(store, given.reproduce, "reproduce"), overrides)


def config_again(original: Original, given: Config) -> Config:
    """The config that trains a recorded trial again, with a warning of what is not as it was.

    Raises:
        UserError: if the trial cannot be trained here, or its data are others now.
    """
    record, config = original.record, _recorded_config(original.store, original.record, given)
    digest = load_splits(config.data).digest
    if digest != record.tags[Tag.DATA_DIGEST]:
        raise UserError(
            f"reproduce={given.reproduce}: the digest of its data was {record.tags[Tag.DATA_DIGEST]}, that of "
            f"data={config.data.name} here is {digest}; data.root=FOLDER names others"
        )
    device = resolve_device(config.trainer)
    now = git_tags() | library_tags() | {Tag.DEVICE: device.name, Tag.PRECISION: device.precision}
    changes, _ = read_code(original.store, record)
    if differences := _differences(record.tags, now) + _of_changes(record.tags, changes):
        log.warning("not as it was, so the curves may differ: %s", "; ".join(differences))
    return config


def compare(original: Original, run_id: str) -> str:
    """Whether weights and every metric of a run, its timings left out, equal the original's to the bit; in words."""
    again = find_trial(original.store, run_id, "run")
    then, now = _points(original.store, original.record), _points(original.store, again)
    pruned = original.record.pruned
    if pruned:  # it was tested earlier
        tested = "test/", Curve.best_val(original.record.metric)
        then = {key: value for key, value in then.items() if not key[0].startswith(tested)}
    whole = original.record.status == "FINISHED" and not pruned
    if not whole:  # compared as far as it went
        now = {key: value for key, value in now.items() if key in then}
    name = f"{original.record.name} ({original.record.run_id})"
    different = [key for key in then.keys() | now.keys() if not _equal(then.get(key), now.get(key))]
    weights = [_digest_of_weights(original.store, it) for it in (original.record, again)] if whole else [""]
    known = all(weights)
    if not different and (not known or len(set(weights)) == 1):
        ended = "PRUNED" if pruned else original.record.status
        and_weights = f" and the weights, SHA-256 {weights[0][:16]}…" if known else ""
        far = "" if whole else f", as far as it went ({ended})"
        metrics = len({key for key, _ in then})
        return f"the same to the bit as {name}: {len(then):,} points of {metrics} metrics{and_weights}{far}"
    if not different:
        return f"not the same as {name}: all {len(then):,} points are, the weights are not"
    metric, step = min(different, key=lambda key: (key[1], key[0]))
    first = f"{metric} at step {step} was {_word(then.get((metric, step)))}, is {_word(now.get((metric, step)))}"
    return f"not the same as {name}: {len(different):,} of {len(then | now):,} points differ, the first {first}"


def _overrides(run_id: str) -> list[str]:
    """What a command line gives that may differ from the run; raises UserError for what may not."""
    overrides = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    free = []
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if key in FREE:
            free.append(override)
        elif key not in ("reproduce", "reproduce_code"):
            raise UserError(
                f"{override}: reproduce={run_id} takes it from the run; allowed beside it: {', '.join(FREE)}"
            )
    return free


def _recorded_config(store: Store, record: TrialRecord, given: Config) -> Config:
    content = read_config(store, record)
    if content is None:
        run = f"run {record.name} ({record.status})"
        raise UserError(f"reproduce={given.reproduce}: {run} has left no {Artifact.CONFIG}")
    kept = parse_config(content, f"reproduce={given.reproduce}: its {Artifact.CONFIG}")
    try:
        recorded = OmegaConf.merge(OmegaConf.structured(Config), kept)
    except OmegaConfBaseException as error:
        fault = str(error).splitlines()[0]
        commit = record.tags.get(Tag.GIT_COMMIT, "unknown")
        raise UserError(
            f"reproduce={given.reproduce}: its config is not of this version ({fault}); its code was commit {commit}"
        ) from None
    default, present = OmegaConf.structured(Config), OmegaConf.structured(given)
    for key in FREE:
        if OmegaConf.select(present, key) != OmegaConf.select(default, key):
            OmegaConf.update(recorded, key, OmegaConf.select(present, key))
    if Tag.TIME_USED in record.tags:
        OmegaConf.update(recorded, "trainer.max_steps", int(record.tags[Tag.TIME_USED]))
        OmegaConf.update(recorded, "trainer.max_images", None)
    for key in ("reproduce", "trainer.max_seconds", "sweep.parent", "sweep.study", "sweep.number"):
        OmegaConf.update(recorded, key, None)
    assert isinstance(recorded, DictConfig)
    load_recorded(OmegaConf.select(recorded, "extensions"), record.tags, store.folder)
    return replace(validated(recorded), reproduce=record.run_id)


def _differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    found = [
        f"{key.removeprefix('version.')} {then.get(key, 'unknown')} then, {now[key]} now"
        for key in now
        if key != Tag.GIT_DIRTY and then.get(key) != now[key]
    ]
    if Tag.PACK in then:
        found.append(f"one of {then[Tag.PACK]} trials trained as one program then, alone now")
    return found


def _of_changes(then: Mapping[str, str], changes: bytes) -> list[str]:
    """What is not as it was of the changes that are in no commit."""
    if then.get(Tag.GIT_DIRTY) == "true" and not changes:
        return ["uncommitted changes then, which were not kept"]
    return ["other uncommitted changes now"] if changes != code_diff() else []


def _points(store: Store, record: TrialRecord) -> Points:
    points: Points = {}
    for metric in record.metrics.keys() - set(TIMINGS):
        for point in sorted(store.client.get_metric_history(record.run_id, metric), key=lambda it: it.timestamp):
            points[metric, point.step] = point.value
    return points


def _digest_of_weights(store: Store, record: TrialRecord) -> str:
    """The SHA-256 of the weights that a trial was tested with; empty if they are not there, or damaged."""
    try:
        content = state.read(io.BytesIO(read_checkpoint(store, record)), Path(Artifact.CHECKPOINT))
    except UserError:
        return ""
    found = hashlib.sha256()
    for name, weights in sorted(content["weights"].items()):
        found.update(f"{name} {weights.dtype} {tuple(weights.shape)}".encode())
        found.update(weights.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _equal(then: float | None, now: float | None) -> bool:
    if then is None or now is None:
        return then is now
    return then == now or (math.isnan(then) and math.isnan(now))


def _word(value: float | None) -> str:
    return "missing" if value is None else as_typed(value)
