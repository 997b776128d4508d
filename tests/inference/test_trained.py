"""A trial's best network, loaded by someone who did not train it."""

import hashlib
import os
import pickle
from pathlib import Path

import pytest
import torch

from recurrent_cells.cli import evaluate
from recurrent_cells.data.examples import load_examples
from recurrent_cells.data.splits import load_splits
from recurrent_cells.errors import UserError
from recurrent_cells.inference.trained import find_winner, load_trained
from recurrent_cells.tracking.queries import best_by_validation, trial_records
from recurrent_cells.tracking.registry import crown
from recurrent_cells.tracking.store import Store, open_store
from recurrent_cells.trial.train import train
from tests.support import TINY, compose_config, refusal, train_tiny, write_data_set


@pytest.fixture
def store(begin_with) -> Store:
    """A store with two finished trials."""
    return begin_with(train_two)


def train_two(folder) -> None:
    data = write_data_set(folder / "data")
    for seed in (0, 1):
        train(compose_config(*TINY, f"data.root={data}", f"seed={seed}"))


def network_and_images(folder, *overrides):
    """A network trained for one step, and its test images."""
    trained = train_tiny(folder, "trainer.max_steps=1", *overrides)
    images = load_examples(trained.config.data).test.values
    return trained, images


def checkpoint(record):
    return Path(record.artifact_uri.removeprefix("file://")) / "best.ckpt"


def test_it_answers_as_the_trial_did(store, idx_folder):
    for record in trial_records(store):
        trained = load_trained(store, record)
        assert trained.size == (6, 5)
        images = load_examples(trained.config.data)
        answers = trained.logits(images.test.values).argmax(dim=1).numpy()
        assert (answers == images.test.targets).mean() == pytest.approx(record.metrics["test/acc"])
        assert (trained.sequences(images.test.values) == load_splits(trained.config.data).test.sequences).all()


def test_the_best_is_the_one_with_the_highest_validation_accuracy(store):
    records = trial_records(store)
    best = max(records, key=lambda record: record.metrics["val/best_acc"])
    assert find_winner(store, "best").run_id == best.run_id
    for record in records:
        store.client.log_metric(record.run_id, "val/best_acc", 0.5, step=99)
    assert find_winner(store, "best").run_id == records[0].run_id
    assert find_winner(store, records[1].run_id[:10]).run_id == records[1].run_id


def test_trials_on_several_data_have_no_best_in_common(store, idx_folder, capsys):
    columns = train_tiny(idx_folder, "data.sequence=columns", "trainer.max_steps=1").record
    rows = best_by_validation(record for record in trial_records(store) if record.block != columns.block)
    said = refusal(evaluate.main, ["run=best"], capsys)
    assert said.startswith("run=best: there are trials on several data")
    assert f"run=best-{columns.block}" in said
    assert f"run=best-{rows.block}" in said
    assert find_winner(store, f"best-{columns.block}").run_id == columns.run_id
    assert find_winner(store, f"best-{rows.block}").run_id == rows.run_id
    with pytest.raises(UserError, match="run=best-mnist: no such data"):
        find_winner(store, "best-mnist")


def test_champions_of_several_data_are_chosen_by_name(store, idx_folder, capsys):
    records = [*trial_records(store)[:1], train_tiny(idx_folder, "data.val_size=30", "trainer.max_steps=1").record]
    for record in records:
        crown(store, record)
    said = refusal(evaluate.main, ["run=champion"], capsys)
    for record in records:
        assert f"run=champion-{record.block}" in said
        assert find_winner(store, f"champion-{record.block}").run_id == record.run_id


class Harm:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("harm", ["truncated", "flipped", "pickle", "gone", "pickle with its digest"])
def test_a_checkpoint_that_was_tampered_with_is_refused(store, tmp_path, harm):
    record = trial_records(store)[0]
    path = checkpoint(record)
    content = bytearray(path.read_bytes())
    if harm == "truncated":
        path.write_bytes(content[:1000])
    elif harm == "flipped":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif harm == "gone":
        path.unlink()
    else:
        path.write_bytes(pickle.dumps(Harm(tmp_path / "harmed")))
        if harm.endswith("digest"):
            store.client.set_tag(record.run_id, "checkpoint.sha256", hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(UserError, match=r"best\.ckpt") as refused:
        load_trained(store, find_winner(store, record.run_id))
    assert str(refused.value).count("\n") == 0
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"num_features": "abc"},
        {"num_features": 2.5},
        {"weights": [1]},
        {"image_size": 3},
        {"offset": "abc"},
        {"targets": {"absent": 1}},
        {"targets": [1]},
        {"config": "abc"},
        {"class_names": 3},
    ],
)
def test_a_checkpoint_with_other_values_than_a_trial_writes_is_refused(store, changed):
    record = trial_records(store)[0]
    path = checkpoint(record)
    torch.save(torch.load(path, weights_only=True) | changed, path)
    store.client.set_tag(record.run_id, "checkpoint.sha256", hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(UserError, match=r"^best\.ckpt of run \w+ is not of this version"):
        load_trained(store, find_winner(store, record.run_id))


def test_a_store_without_trials(store_file):
    with pytest.raises(UserError, match="run=best: no trial is finished"):
        find_winner(open_store("recurrent-cells"), "best")


@pytest.mark.parametrize(
    "overrides", [["model=gru", "model.num_layers=2"], ["model.readout=every", "data.sequence=columns"]]
)
def test_answers_after_each_step_end_in_the_answer(store_file, idx_folder, overrides):
    trained, images = network_and_images(idx_folder, *overrides)
    by_step = trained.logits_by_step(images)
    assert by_step.shape == (20, trained.sequences(images).shape[1], 4)
    assert torch.allclose(by_step[:, -1], trained.logits(images), atol=1e-5)
    with torch.inference_mode():
        for count in range(1, by_step.shape[1]):
            read_so_far = trained.classifier(trained.sequences(images)[:, :count])
            answer = read_so_far if read_so_far.dim() == 2 else read_so_far[:, -1]
            assert torch.allclose(by_step[:, count - 1], answer, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "override", ["model.readout=mean", "model.readout=flatten", "model.bidirectional=true", "model.frontend=conv"]
)
def test_a_network_that_has_no_answer_after_each_step_says_so(store_file, idx_folder, override):
    trained, images = network_and_images(idx_folder, override, "model.frontend_size=2")
    with pytest.raises(UserError, match=override):
        trained.logits_by_step(images)


def test_images_of_another_size_are_refused(store_file, idx_folder):
    trained, images = network_and_images(idx_folder)
    with pytest.raises(UserError, match=r"images of 5 x 5, but run lstm-h8x1-s0 was trained on images of 6 x 5"):
        trained.logits(images[:, 1:])
