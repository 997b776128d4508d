"""The files a finished trial leaves: its config, its best weights, its outcomes on the test data."""

from dataclasses import asdict
from pathlib import Path

from recurrent_cells.data.sequences import as_image
from recurrent_cells.data.splits import Splits
from recurrent_cells.tracking import artifacts
from recurrent_cells.tracking.artifacts import HardExample
from recurrent_cells.tracking.names import Artifact
from recurrent_cells.training import state
from recurrent_cells.training.fit import Tested
from recurrent_cells.training.member import Member
from recurrent_cells.training.pictures import draw_accuracy_after_step, draw_confusion, draw_numbers, first_sequences

# A matrix of more has several classes to a pixel, and takes seconds and gigabytes.
MOST_CLASSES_DRAWN = 500


def write_results(folder: Path, member: Member, tested: Tested, splits: Splits) -> str:
    """Write the weights that were tested, with all it takes to use them, and where they were wrong.

    Returns:
        the SHA-256 of the file of weights.
    """
    config, best = member.config, member.progress.best
    assert best is not None
    content = {
        "weights": member.classifier.state_dict(),
        "step": member.progress.step if config.trainer.test_with == "last" else best.step,
        "config": asdict(config),
        "num_features": splits.num_features,
        "num_classes": splits.num_outputs,
        "num_steps": splits.num_steps,
        "image_size": splits.image_size,
        "order": splits.reading.order,
        "is_image": splits.is_image,
        "has_lengths": splits.has_lengths,
        "class_names": splits.class_names,
        "feature_names": splits.feature_names,
        "offset": splits.offset,
        "scale": splits.scale,
        "targets": asdict(member.progress.task.targets),
    }
    digest = artifacts.write_checkpoint(folder, state.as_bytes(content))
    artifacts.write_outcomes(folder, tested.outcomes)
    if tested.confusion is not None:
        artifacts.write_confusion(folder, tested.confusion, splits.class_names)
        if len(tested.confusion) <= MOST_CLASSES_DRAWN:
            draw_confusion(tested.confusion, splits.class_names, folder / Artifact.CONFUSION_PICTURE)
    if tested.hardest:
        artifacts.write_hardest(folder, _hardest(tested, splits))
    if tested.numbers is not None:
        artifacts.write_numbers(folder, *tested.numbers)
        draw_numbers(*tested.numbers).savefig(folder / Artifact.NUMBERS_PICTURE, dpi=100)
    if len(tested.scores) > 1:
        artifacts.write_after_step(folder, tested.scores)
        draw_accuracy_after_step(tested.scores, folder / Artifact.AFTER_STEP_PICTURE)
    if config.sweep.parent is None:
        first_sequences(splits).savefig(folder / Artifact.FIRST_SEQUENCES, dpi=100)
    return digest


def _hardest(tested: Tested, splits: Splits) -> list[HardExample]:
    """The test examples whose labels the network thought least likely: images in bytes, series to their last step."""
    split, found = splits.test, []
    for index, answer, probability, label_probability in tested.hardest:
        sequence = split.sequences[index] if split.lengths is None else split.sequences[index, : split.lengths[index]]
        if splits.is_image:
            values = as_image(sequence, splits.reading, splits.image_size, splits.offset, splits.scale).numpy()
        else:
            values = (sequence * splits.scale + splits.offset).numpy()
        label = int(split.targets[index])
        found.append(HardExample(index, label, answer, probability, label_probability, values))
    return found
