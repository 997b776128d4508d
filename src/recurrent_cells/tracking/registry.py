"""The model registry: one registered model for an experiment, and its champion."""

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from recurrent_cells.errors import UserError
from recurrent_cells.tracking.model import MODEL
from recurrent_cells.tracking.queries import SELECTION, TrialRecord, find_trial
from recurrent_cells.tracking.store import Store

CHAMPION = "champion"
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # the model, and the alias


def find_champion(store: Store) -> ModelVersion | None:
    """The version of the model named as the experiment that is called champion; None if there is none."""
    try:
        return store.client.get_model_version_by_alias(store.experiment, CHAMPION)
    except MlflowException as error:
        if error.error_code in ABSENT:
            return None
        raise


def crown(store: Store, record: TrialRecord) -> str:
    """Register a trial's model as champion if its validation accuracy is above the champion's on the same data.

    Returns:
        what came of it, in words.

    Raises:
        MlflowException: if the registry refuses.
    """
    present = find_champion(store)
    name = f"{record.name} (validation accuracy {record.metrics[SELECTION]:.4f})"
    if present is not None and present.run_id == record.run_id:
        return f"Champion: {name}, version {present.version} of {store.experiment}, as before"
    champion = None if present is None else _trial_of(store, present)
    if present is not None and champion is not None:
        stays = f"Champion: {champion.name} ({champion.metrics[SELECTION]:.4f}), version {present.version}, stays"
        if champion.tags["data.digest"] != record.tags["data.digest"]:
            return f"{stays}: {name} was trained on other data, they cannot be compared"
        if record.metrics[SELECTION] <= champion.metrics[SELECTION]:
            return f"{stays}: {name} is not better"
    version = _registered(store, record)
    store.client.set_registered_model_alias(store.experiment, CHAMPION, version.version)
    return f"Champion: {name} is now version {version.version} of {store.experiment}"


def _trial_of(store: Store, version: ModelVersion) -> TrialRecord | None:
    """None if its run was deleted."""
    try:
        return find_trial(store, version.run_id, CHAMPION)
    except UserError:
        return None


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
    tags = {key: record.tags[key] for key in ("cell", "data.digest") if key in record.tags}
    source = f"{record.artifact_uri.rstrip('/')}/{MODEL}"
    return store.client.create_model_version(store.experiment, source, record.run_id, tags=tags)
