"""A trial's best network, loaded from its verified checkpoint."""

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from recurrent_cells.config.extensions import load_recorded
from recurrent_cells.config.schema import Config
from recurrent_cells.data.sequences import Reading
from recurrent_cells.errors import UserError
from recurrent_cells.memory import check_memory
from recurrent_cells.models.classifier import Classifier, build_classifier
from recurrent_cells.models.image_classifier import ImageClassifier
from recurrent_cells.models.size import count_parameters
from recurrent_cells.paths import command
from recurrent_cells.tasks import Targets, Task, task_of
from recurrent_cells.tracking.artifacts import read_checkpoint
from recurrent_cells.tracking.names import Artifact
from recurrent_cells.tracking.queries import TrialRecord, best_by_block, find_trial, trial_records
from recurrent_cells.tracking.registry import CHAMPION, find_champions
from recurrent_cells.tracking.store import Store
from recurrent_cells.training import state

BEST = "best"
# Of a weight, as it is drawn and as it is loaded.
WEIGHT_BYTES = 8


@dataclass(frozen=True)
class Trained:
    """A network with its best weights, and how images become its sequences.

    Args:
        image_size: (H, W) of the images it was trained on.
        reading: how images are read.
        offset, scale: of the bytes of an image, as in training.
    """

    record: TrialRecord
    config: Config
    classifier: Classifier
    image_size: tuple[int, int]
    num_classes: int
    reading: Reading
    offset: float | Tensor
    scale: float | Tensor
    targets: Targets

    @cached_property
    def task(self) -> Task:
        return task_of(self.config.task, self.config.model.readout, self.targets)

    def check_classes(self) -> None:
        """Raises UserError if the network's answers are no classes."""
        if not self.task.has_classes:
            raise UserError(
                f"run {self.record.name}: its task {self.task.name} has no classes; "
                "predict, evaluate and serve answer with classes alone"
            )

    def check_size(self, images: NDArray[np.uint8], place: str) -> None:
        """Raises UserError, naming the place they come from, if images (N, H, W) are not of `image_size`."""
        if images.shape[1:] != self.image_size:
            given, known = (" x ".join(str(length) for length in size) for size in (images.shape[1:], self.image_size))
            raise UserError(f"{place}: images of {given}, but run {self.record.name} was trained on {known}")

    def sequences(self, images: NDArray[np.uint8]) -> Tensor:
        """Images (N, H, W) as sequences (N, T, F); raises UserError for another size."""
        self.check_size(images, "the images")
        return self.network.sequences(torch.from_numpy(np.array(images)))

    @torch.inference_mode()
    def logits(self, images: NDArray[np.uint8]) -> Tensor:
        """Images (N, H, W) → logits (N, C) after the last step."""
        self.check_size(images, "the images")
        logits: Tensor = self.network(torch.from_numpy(np.array(images)))
        return logits

    @cached_property
    def network(self) -> ImageClassifier:
        """The network from image bytes to logits."""
        return ImageClassifier(self.classifier, self.reading, self.offset, self.scale).eval()

    @torch.inference_mode()
    def logits_by_step(self, images: NDArray[np.uint8]) -> Tensor:
        """Images (N, H, W) → logits (N, T, C): what the network would answer after each of the T steps.

        The last of them are those of `logits`.

        Raises:
            UserError: where a network cannot be asked before the last step.
        """
        model = self.config.model
        if model.readout not in ("last", "every"):
            raise UserError(f"model.readout={model.readout}: it needs all steps, there is no answer after each of them")
        if model.bidirectional:
            raise UserError("model.bidirectional=true: it reads from both ends, there is no answer after each step")
        if model.frontend == "conv":
            raise UserError("model.frontend=conv: it sees the whole image at once, its steps are not the image's")
        outputs, _ = self.classifier.recurrent(self.classifier.frontend(self.sequences(images)))
        logits: Tensor = self.classifier.head(outputs)  # (N, T, C)
        return logits


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
            f"run={which}: {store.address} has no registered model {store.experiment} with the alias {CHAMPION}; "
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
    return best_by_block(trial_records(store, "attributes.status = 'FINISHED'"))


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
        parameters = count_parameters(config.model, saved["num_features"], saved["num_classes"])
        check_memory(WEIGHT_BYTES * parameters, f"{Artifact.CHECKPOINT} of run {record.run_id}", "it is not loaded")
        classifier = build_classifier(config.model, saved["num_features"], saved["num_classes"], config.seed)
        classifier.load_state_dict(saved["weights"])
        height, width = saved["image_size"]
        targets = Targets(**saved.get("targets", {}))
    except (OmegaConfBaseException, KeyError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{Artifact.CHECKPOINT} of run {record.run_id} is not of this version ({reason}); train it again"
        ) from None
    classifier.eval()
    read = Reading(config.data.sequence, config.data.patch, saved.get("order"))
    scaling = (saved["offset"], saved["scale"])
    return Trained(record, config, classifier, (height, width), saved["num_classes"], read, *scaling, targets)
