"""A trial's best network, loaded from its verified checkpoint."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from recurrent_cells.config.extensions import load_recorded
from recurrent_cells.config.schema import Config
from recurrent_cells.data.arrays import in_words
from recurrent_cells.data.reading import Reading
from recurrent_cells.errors import UserError, first_line
from recurrent_cells.memory import check_memory
from recurrent_cells.models.classifier import Classifier, build_classifier
from recurrent_cells.models.network import Network
from recurrent_cells.models.size import count_parameters
from recurrent_cells.paths import command
from recurrent_cells.tasks import Targets, Task, task_of
from recurrent_cells.tracking.artifacts import read_checkpoint
from recurrent_cells.tracking.names import Artifact
from recurrent_cells.tracking.queries import TrialRecord, best_by_block, find_trial, trial_records
from recurrent_cells.tracking.registry import CHAMPION, find_champions, model_name
from recurrent_cells.tracking.store import Store
from recurrent_cells.training import state

BEST = "best"
# Of a weight, as it is drawn and as it is loaded.
WEIGHT_BYTES = 8


@dataclass(frozen=True)
class Trained:
    """A network with its best weights, and what it takes and answers.

    Args:
        size: (H, W) of the images, or (T, F) of the longest series, that it was trained on.
        num_outputs: O, as many as classes or numbers.
        class_names: of classes 0, 1, …; None where they are called by their numbers.
        feature_names: of features 0, 1, …; empty where they have none.
    """

    record: TrialRecord
    config: Config
    classifier: Classifier
    network: Network
    size: tuple[int, int]
    num_outputs: int
    class_names: tuple[str, ...] | None
    feature_names: tuple[str, ...]

    @property
    def task(self) -> Task:
        return self.network.task

    @property
    def names(self) -> tuple[str, ...]:
        """What each class is called."""
        return self.class_names or tuple(map(str, range(self.num_outputs)))

    @property
    def takes(self) -> str:
        """What the network was trained on, in words."""
        if self.network.takes_any_steps:
            return f"series of {self.size[1]} feature{'s' * (self.size[1] != 1)}"
        return f"{'images' if self.network.is_image else 'series'} of {in_words(self.size)}"

    def check_steps(self) -> None:
        """Raises UserError if the network cannot be asked before the last step."""
        model = self.config.model
        if model.readout not in ("last", "every"):
            raise UserError(f"model.readout={model.readout}: it needs all steps, there is no answer after each of them")
        if model.bidirectional:
            raise UserError("model.bidirectional=true: it reads from both ends, there is no answer after each step")
        if model.frontend == "conv":
            raise UserError("model.frontend=conv: it sees the whole image at once, its steps are not the image's")

    def check(self, values: NDArray[Any], place: str) -> None:
        """Raises UserError, naming the place they come from, for images or series (N, …) that are of another kind."""
        is_image, size = values.dtype == np.uint8, values.shape[1:]
        free = self.network.takes_any_steps
        if is_image == self.network.is_image and size[free:] == self.size[free:]:
            return
        kind = "images" if is_image else "series"
        raise UserError(f"{place}: {kind} of {in_words(size)}, but run {self.record.name} was trained on {self.takes}")

    def sequences(self, values: NDArray[Any]) -> Tensor:
        """Images (N, H, W) or series (N, T, F) as the sequences that the classifier reads; raises as `check`."""
        return self._read(values)[0]

    def outputs(self, values: NDArray[Any]) -> tuple[Tensor, ...]:
        """All that the classifier answers, (N, O) or (N, T, O), and lengths (N,) where there are any."""
        sequences, *lengths = self._read(values)
        return self.classifier(sequences, *lengths), *lengths

    @torch.inference_mode()
    def logits(self, values: NDArray[Any]) -> Tensor:
        """Images (N, H, W) or series (N, T, F) → logits or numbers (N, O), (N, T, O) where each step has a target."""
        outputs, *lengths = self.outputs(values)
        return self.task.final(outputs, *lengths)

    @torch.inference_mode()
    def logits_by_step(self, values: NDArray[Any]) -> Tensor:
        """Images or series → (N, T, O): what the network would answer after each step, and has answered in the padding.

        The last of them are those of `logits`; raises as `check_steps`.
        """
        self.check_steps()
        sequences, *lengths = self._read(values)
        outputs, _ = self.classifier.recurrent(self.classifier.frontend(sequences), *lengths)
        logits: Tensor = self.classifier.head(outputs)
        for of_series in lengths:
            read = torch.arange(logits.shape[1]).minimum(of_series.unsqueeze(1) - 1)
            logits = logits.take_along_dim(read.unsqueeze(2), dim=1)
        return logits if self.task.every_step else self.task.final(logits)

    def _read(self, values: NDArray[Any]) -> tuple[Tensor, ...]:
        self.check(values, "the images" if self.network.is_image else "the series")
        return self.network.read(torch.from_numpy(np.array(values)))


def find_winner(store: Store, which: str) -> TrialRecord:
    """The trial that `run=` names: a run id or its beginning, `best` or `champion`.

    `best` has the best validation value of the experiment's finished trials, the earliest of equals; `champion` is in
    the model registry. Trials on several data blocks have no common one: `best-BLOCK`, or its beginning, chooses.

    Raises:
        UserError: if there is none, or several.
    """
    choice, _, block = which.partition("-")
    if choice not in (BEST, CHAMPION):
        return find_trial(store, which, "run")
    winners = find_winners(store, choice)
    if not winners and choice == CHAMPION:
        raise UserError(
            f"run={which}: {store.address} has no registered model {model_name(store)} with the alias {CHAMPION}; "
            "a sweep registers its best network, run=best needs none"
        )
    if not winners:
        raise UserError(f"run={which}: no trial is finished in {store.address}; {command('train')} trains one")
    found = [winners[name] for name in winners if name.startswith(block)]
    if len(found) != 1:
        fault = "there are trials on several data" if found else "no such data"
        choices = ", ".join(f"run={choice}-{name}" for name in sorted(winners))
        raise UserError(f"run={which}: {fault}, which cannot be compared; allowed is {choices}")
    return found[0]


def find_winners(store: Store, choice: str) -> dict[str, TrialRecord]:
    """The `best` or the `champion` of each data block, by the block's name."""
    if choice == CHAMPION:
        return find_champions(store)
    return best_by_block(trial_records(store))


def load_trained(store: Store, record: TrialRecord) -> Trained:
    """A trial's best network, on the CPU and in evaluation mode.

    Raises:
        UserError: if there is no checkpoint, or it is not, to the byte, what the trial wrote.
    """
    content = read_checkpoint(store, record)
    saved = state.read(io.BytesIO(content), Path(Artifact.CHECKPOINT))
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Config), saved["config"])
        assert isinstance(merged, DictConfig)
        config = OmegaConf.to_object(merged)
        assert isinstance(config, Config)
        load_recorded(config.extensions, record.tags, store.folder)
        features, classes, steps = saved["num_features"], saved["num_classes"], saved.get("num_steps", 1)
        parameters = count_parameters(config.model, features, classes, steps)
        check_memory(WEIGHT_BYTES * parameters, f"{Artifact.CHECKPOINT} of run {record.run_id}", "it is not loaded")
        classifier = build_classifier(config.model, features, classes, config.seed, steps)
        classifier.load_state_dict(saved["weights"])
        height, width = saved["image_size"]
        read = Reading(config.data.sequence, config.data.patch, saved.get("order"))
        offset, scale = (it if isinstance(it, Tensor) else float(it) for it in (saved["offset"], saved["scale"]))
        form = (offset, scale, saved.get("is_image", True), saved.get("has_lengths", False))
        task = task_of(config.task, config.model.readout, Targets(**saved.get("targets", {})))
        class_names = None if saved.get("class_names") is None else tuple(saved["class_names"])
        feature_names = tuple(saved.get("feature_names") or config.data.features)
    except (OmegaConfBaseException, LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise UserError(
            f"{Artifact.CHECKPOINT} of run {record.run_id} is not of this version ({first_line(error)}); train it again"
        ) from None
    network = Network(classifier, task, read, *form).eval()
    return Trained(record, config, classifier, network, (height, width), classes, class_names, feature_names)
