"""The model registry: one registered model for an experiment, and the champion of each data block."""

import logging
import re
from collections.abc import Collection
from contextlib import suppress

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from recurrent_cells.errors import UserError
from recurrent_cells.tracking.locks import alone
from recurrent_cells.tracking.names import Artifact, Curve, Tag
from recurrent_cells.tracking.queries import TrialRecord, find_trial
from recurrent_cells.tracking.store import Store

log = logging.getLogger(__name__)

# The alias of the first block's champion; each block has `champion-BLOCK` too.
CHAMPION = "champion"


def find_champions(store: Store) -> dict[str, TrialRecord]:
    """The champion of each data block, by the block's name."""
    return {record.block: record for record in _by_alias(store).values()}


def crown(store: Store, record: TrialRecord) -> str:
    """Register a trial's model as champion of its data block if the trial ranks above the present champion.

    Of several that challenge at once, on whatever machines, the best is champion in the end: each registers its model
    first, and looks after it has set the alias whether a better one was registered meanwhile.

    Returns:
        what came of it, in words.

    Raises:
        MlflowException: if the registry refuses.
    """
    with alone(store.folder, CHAMPION):  # a process that dies between the two leaves another machine's to be found
        by_alias = _by_alias(store)
        champions = {champion.block: champion for champion in by_alias.values()}
        present = champions.get(record.block)
        as_before = present is not None and present.run_id == record.run_id
        if present is not None and not as_before and record.rank <= present.rank:
            return _refused(record, present, champions)
        version = _registered(store, record)
        best = record
        while True:
            _set_aliases(store, best)
            rivals = _registered_since(store, present, record.block)
            rival = max(rivals, key=lambda it: it.rank, default=best)
            if rival.rank <= best.rank:
                break
            best = rival
    if best is not record:
        return _refused(record, best, champions)
    place = f"version {version.version} of {model_name(store)}"
    said = f", {place}, as before" if as_before else f" is now {place}"
    return f"{_title(record, champions)}: {_with_value(record)}{said}"


def _set_aliases(store: Store, record: TrialRecord) -> None:
    first = _by_alias(store).get(CHAMPION)
    aliases = [f"{CHAMPION}-{record.block}"]
    if first is None or first.block == record.block:
        aliases.append(CHAMPION)
    for alias in aliases:
        store.client.set_registered_model_alias(model_name(store), alias, _registered(store, record).version)


def _registered_since(store: Store, present: TrialRecord | None, block: str) -> list[TrialRecord]:
    """The trials of a block whose models were registered after that of a champion."""
    versions = store.client.search_model_versions(f"name = '{model_name(store)}'")
    before = max((int(it.version) for it in versions if present is not None and it.run_id == present.run_id), default=0)
    found = []
    for version in versions:
        with suppress(UserError):  # the run was deleted
            if int(version.version) > before and version.run_id:
                found.append(find_trial(store, version.run_id, CHAMPION))
    return [record for record in found if record.block == block and record.status == "FINISHED"]


def _refused(record: TrialRecord, present: TrialRecord, champions: Collection[str]) -> str:
    fault = "is not better" if record.rank[0] == present.rank[0] else "chose its weights by the test data"
    return f"{_title(record, champions)}: {_with_value(present)} stays, {_with_value(record)} {fault}"


def _title(record: TrialRecord, champions: Collection[str]) -> str:
    return "Champion" if set(champions) <= {record.block} else f"Champion of {record.block}"


def _with_value(record: TrialRecord) -> str:
    return f"{record.name} ({Curve.best_val(record.metric)} {record.selection:.4f})"


def model_name(store: Store) -> str:
    """The registered model of an experiment: its name, without characters that no model may have in its own."""
    return re.sub("[/:'\"]", "-", store.experiment)


def _by_alias(store: Store) -> dict[str, TrialRecord]:
    """The trials of the champions by alias, `champion` first; without those whose run was deleted or is damaged."""
    try:
        aliases = store.client.get_registered_model(model_name(store)).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}
    found: dict[str, TrialRecord] = {}
    for alias in sorted(alias for alias in aliases if alias.partition("-")[0] == CHAMPION):
        run_id = store.client.get_model_version(model_name(store), aliases[alias]).run_id
        if not run_id:  # of a model that someone has registered otherwise
            continue
        with suppress(UserError):
            record = find_trial(store, run_id, CHAMPION)
            if record.status == "FINISHED":
                found[alias] = record
            else:
                log.warning("champion %s (%s) is left out: %s, %s", record.name, run_id, record.status, record.error)
    return found


def _registered(store: Store, record: TrialRecord) -> ModelVersion:
    """The version of a trial's model, made if there is none."""
    known = store.client.search_model_versions(f"name = '{model_name(store)}' and run_id = '{record.run_id}'")
    if known:
        return known[0]
    try:
        store.client.create_registered_model(model_name(store))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    tags = {key: record.tags[key] for key in (Tag.CELL, Tag.DATA_DIGEST) if key in record.tags}
    source = f"{record.artifact_uri.rstrip('/')}/{Artifact.MODEL}"
    return store.client.create_model_version(model_name(store), source, record.run_id, tags=tags)
