"""Training a recorded trial again: its config, what is not as it was, and whether the curves came out the same."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from recurrent_cells.config.extensions import load_recorded
from recurrent_cells.config.schema import Config, as_typed, schema_fields
from recurrent_cells.config.validation import validated
from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import UserError
from recurrent_cells.tracking.artifacts import read_config
from recurrent_cells.tracking.names import Artifact, Curve, Tag
from recurrent_cells.tracking.provenance import git_tags, library_tags
from recurrent_cells.tracking.queries import TrialRecord, find_trial
from recurrent_cells.tracking.store import Store, open_store
from recurrent_cells.training.device import resolve_device
from recurrent_cells.trial.fingerprint import CIRCUMSTANCES, is_within

# What may differ from the run.
FREE = tuple(key for key, _ in schema_fields() if is_within(key, CIRCUMSTANCES))
TIMINGS = (Curve.EPOCH_SECONDS, Curve.SAMPLES_PER_SECOND)

log = logging.getLogger(__name__)

Points = dict[tuple[str, int], float]


@dataclass(frozen=True)
class Original:
    """A recorded trial, and the config that trains it again."""

    store: Store
    record: TrialRecord
    config: Config


def read_original(given: Config) -> Original:
    """The trial that `given.reproduce` names, with a warning of what is not as it was.

    Raises:
        UserError: if there is no such trial, it cannot be trained here, or its data are others now.
    """
    assert given.reproduce is not None
    _refuse_overrides(given.reproduce)
    store = open_store(given.tracking.experiment, reading=True)
    record = find_trial(store, given.reproduce, "reproduce")
    original = Original(store, record, _recorded_config(store, record, given))
    digest = load_splits(original.config.data).digest
    if digest != record.tags[Tag.DATA_DIGEST]:
        raise UserError(
            f"reproduce={given.reproduce}: the digest of its data was {record.tags[Tag.DATA_DIGEST]}, that of "
            f"data={original.config.data.name} here is {digest}; data.root=FOLDER names others"
        )
    device = resolve_device(original.config.trainer)
    now = git_tags() | library_tags() | {Tag.DEVICE: device.name, Tag.PRECISION: device.precision}
    if differences := _differences(record.tags, now):
        log.warning("not as it was, so the curves may differ: %s", "; ".join(differences))
    return original


def compare(original: Original, run_id: str) -> str:
    """Whether every metric of a run, its timings left out, equals the original's to the bit; in words."""
    then = _points(original.store, original.record)
    now = _points(original.store, find_trial(original.store, run_id, "run"))
    pruned = original.record.pruned
    if pruned:  # it was tested earlier
        tested = "test/", Curve.best_val(original.record.metric)
        then = {key: value for key, value in then.items() if not key[0].startswith(tested)}
    whole = original.record.status == "FINISHED" and not pruned
    if not whole:  # compared as far as it went
        now = {key: value for key, value in now.items() if key in then}
    name = f"{original.record.name} ({original.record.run_id})"
    different = [key for key in then.keys() | now.keys() if not _equal(then.get(key), now.get(key))]
    if not different:
        ended = "PRUNED" if pruned else original.record.status
        far = "" if whole else f", as far as it went ({ended})"
        return f"the same to the bit as {name}: {len(then):,} points of {len({key for key, _ in then})} metrics{far}"
    metric, step = min(different, key=lambda key: (key[1], key[0]))
    first = f"{metric} at step {step} was {_word(then.get((metric, step)))}, is {_word(now.get((metric, step)))}"
    return f"not the same as {name}: {len(different):,} of {len(then | now):,} points differ, the first {first}"


def _refuse_overrides(run_id: str) -> None:
    """The run decides what is trained; nothing else on the command line may."""
    if not HydraConfig.initialized():
        return
    for override in HydraConfig.get().overrides.task:
        key = override.lstrip("+~").partition("=")[0]
        if key not in (*FREE, "reproduce"):
            raise UserError(
                f"{override}: reproduce={run_id} takes it from the run; allowed beside it: {', '.join(FREE)}"
            )


def _recorded_config(store: Store, record: TrialRecord, given: Config) -> Config:
    text = read_config(store, record)
    if text is None:
        run = f"run {record.name} ({record.status})"
        raise UserError(f"reproduce={given.reproduce}: {run} has left no {Artifact.CONFIG}")
    try:
        recorded = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.create(text))
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
    dirty = [when for when, tags in (("then", then), ("now", now)) if tags.get(Tag.GIT_DIRTY) != "false"]
    return [*found, *([f"uncommitted changes {' and '.join(dirty)}"] if dirty else [])]


def _points(store: Store, record: TrialRecord) -> Points:
    points: Points = {}
    for metric in record.metrics.keys() - set(TIMINGS):
        for point in sorted(store.client.get_metric_history(record.run_id, metric), key=lambda it: it.timestamp):
            points[metric, point.step] = point.value
    return points


def _equal(then: float | None, now: float | None) -> bool:
    if then is None or now is None:
        return then is now
    return then == now or (math.isnan(then) and math.isnan(now))


def _word(value: float | None) -> str:
    return "missing" if value is None else as_typed(value)
