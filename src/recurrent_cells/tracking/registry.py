"""The model registry: one registered model for an experiment, and the champion of each data block."""

import logging
from contextlib import suppress

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from recurrent_cells.errors import UserError
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

    Returns:
        what came of it, in words.

    Raises:
        MlflowException: if the registry refuses.
    """
    by_alias = _by_alias(store)
    champions = {champion.block: champion for champion in by_alias.values()}
    present, first = champions.get(record.block), by_alias.get(CHAMPION)
    as_before = present is not None and present.run_id == record.run_id
    title = "Champion" if champions.keys() <= {record.block} else f"Champion of {record.block}"
    if present is not None and not as_before and record.rank <= present.rank:
        fault = "is not better" if record.rank[0] == present.rank[0] else "chose its weights by the test data"
        return f"{title}: {_with_value(present)} stays, {_with_value(record)} {fault}"
    version = _registered(store, record)
    aliases = [f"{CHAMPION}-{record.block}"]
    if first is None or first.block == record.block:
        aliases.append(CHAMPION)
    for alias in aliases:
        store.client.set_registered_model_alias(store.experiment, alias, version.version)
    place = f"version {version.version} of {store.experiment}"
    return f"{title}: {_with_value(record)}{f', {place}, as before' if as_before else f' is now {place}'}"


def _with_value(record: TrialRecord) -> str:
    return f"{record.name} ({Curve.best_val(record.metric)} {record.selection:.4f})"


def _by_alias(store: Store) -> dict[str, TrialRecord]:
    """The trials of the champions by alias, `champion` first; without those whose run was deleted or is damaged."""
    try:
        aliases = store.client.get_registered_model(store.experiment).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}
    found: dict[str, TrialRecord] = {}
    for alias in sorted(alias for alias in aliases if alias.partition("-")[0] == CHAMPION):
        run_id = store.client.get_model_version(store.experiment, aliases[alias]).run_id
        with suppress(UserError):
            record = find_trial(store, run_id, CHAMPION)
            if record.status == "FINISHED":
                found[alias] = record
            else:
                log.warning("champion %s (%s) is left out: %s, %s", record.name, run_id, record.status, record.error)
    return found


def _registered(store: Store, record: TrialRecord) -> ModelVersion:
    """The version of a trial's model, made if there is none."""
    known = store.client.search_model_versions(f"name = '{store.experiment}' and run_id = '{record.run_id}'")
    if known:
        return known[0]
    try:
        store.client.create_registered_model(store.experiment)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    tags = {key: record.tags[key] for key in (Tag.CELL, Tag.DATA_DIGEST) if key in record.tags}
    source = f"{record.artifact_uri.rstrip('/')}/{Artifact.MODEL}"
    return store.client.create_model_version(store.experiment, source, record.run_id, tags=tags)
