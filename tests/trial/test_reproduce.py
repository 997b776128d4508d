"""Training a recorded trial again: python -m src.train reproduce=RUN_ID."""

import time
from types import SimpleNamespace

import pytest
import torch

from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.tracking.store import open_store
from recurrent_cells.training import progress
from recurrent_cells.training.program import Program
from tests.support import TINY, write_data_set

SMALL = (*TINY, "trainer.max_epochs=2", "model.hidden_size=128", "model.init=keras")


@pytest.fixture
def root(idx_folder):
    return f"data.root={idx_folder}"


@pytest.fixture
def original(run_cli, store_file, root):
    """A finished trial."""
    assert run_cli(*SMALL, root).code == 0
    (record,) = trial_records(open_store("recurrent-cells"))
    return record


@pytest.mark.slow
def test_a_trial_of_a_sweep_comes_out_the_same_alone(run_cli, store_file, root):
    assert run_cli("-m", *SMALL, root, "seed=3", "sweep.report=false").code == 0
    (record,) = trial_records(open_store("recurrent-cells"))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)  # as a process of its own would begin
    try:
        answer = run_cli(f"reproduce={record.run_id[:8]}")
    finally:
        torch.set_num_threads(threads)
    assert answer.code == 0, answer.err
    assert f"the same to the bit as {record.name} ({record.run_id}): " in answer.out
    again = next(it for it in trial_records(open_store("recurrent-cells")) if it.run_id != record.run_id)
    assert again.tags["reproduces"] == record.run_id
    assert again.fingerprint != record.fingerprint  # it never stands for its original
    assert again.metrics["test/acc"] == record.metrics["test/acc"]
    assert again.params["model.hidden_size"] == "128"


@pytest.mark.slow
@pytest.mark.parametrize("budget", ["trainer.max_epochs=5", "trainer.max_images=100000"])
def test_a_trial_whose_time_was_used_comes_out_the_same_whatever_the_time_now(
    run_cli, store_file, root, monkeypatch, budget
):
    now, take_step = [0.0], Program._take_step

    def ticking(self, *rest):
        now[0] += 1
        return take_step(self, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Program, "_take_step", ticking)
        patch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
        overrides = (budget, "optimizer.schedule=none", "trainer.eval_every=2", "trainer.max_seconds=3")
        assert run_cli(*SMALL, root, *overrides).code == 0
    (record,) = trial_records(open_store("recurrent-cells"))
    assert record.tags["time_used"] == "3"  # of more steps
    answer = run_cli(f"reproduce={record.run_id}")
    assert answer.code == 0, answer.err
    assert f"the same to the bit as {record.name} ({record.run_id}): " in answer.out


def test_another_value_is_found(run_cli, original):
    client = open_store("recurrent-cells").client
    client.log_metric(original.run_id, "val/acc", 0.123, timestamp=int(time.time() * 1000), step=1)
    answer = run_cli(f"reproduce={original.run_id}")
    assert answer.code == 0
    assert f"not the same as {original.name}" in answer.out
    assert "1 of" in answer.out
    assert "the first val/acc at step 1 was 0.123, is" in answer.out


def test_a_run_that_did_not_finish_is_compared_as_far_as_it_went(run_cli, original):
    client = open_store("recurrent-cells").client
    client.set_terminated(original.run_id, status="KILLED")
    assert "as far as it went (KILLED)" in run_cli(f"reproduce={original.run_id}").out


def test_other_libraries_are_warned_of(run_cli, original):
    client = open_store("recurrent-cells").client
    client.set_tag(original.run_id, "version.torch", "1.0")
    client.set_tag(original.run_id, "git.commit", "abc")
    said = run_cli(f"reproduce={original.run_id}").err
    assert "not as it was, so the curves may differ: git.commit abc then, " in said
    assert "torch 1.0 then, " in said


def test_other_images_are_refused(run_cli, original, tmp_path):
    other = write_data_set(tmp_path / "other", train=80)
    answer = run_cli(f"reproduce={original.run_id}", f"data.root={other}")
    assert answer.code == 2
    assert "the digest of its data was" in answer.err
    assert len(trial_records(open_store("recurrent-cells"))) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("reproduce=ffff",), "reproduce=ffff: no such run"),
        (("reproduce=a",), "reproduce=a: no such run"),
        (("reproduce={run_id}", "model=gru"), "model=gru: reproduce="),
        (("reproduce={run_id}", "trainer.max_epochs=9"), "trainer.max_epochs=9: reproduce="),
        (("-m", "reproduce={run_id}"), "one trial at a time, without -m"),
    ],
)
def test_bad_input(run_cli, original, arguments, words):
    answer = run_cli(*(argument.format(run_id=original.run_id) for argument in arguments))
    assert answer.code == 2
    assert words in answer.err
    assert len(trial_records(open_store("recurrent-cells"))) == 1


def test_a_sweep_is_refused(run_cli, store_file):
    store = open_store("recurrent-cells")
    parent = store.client.create_run(store.experiment_id, run_name="a sweep").info.run_id
    answer = run_cli(f"reproduce={parent}")
    assert answer.code == 2
    assert "that is a sweep" in answer.err


def test_a_config_of_another_version_is_refused(run_cli, original, tmp_path):
    client = open_store("recurrent-cells").client
    client.log_text(original.run_id, "model:\n  no_such_key: 1\n", "config.yaml")
    answer = run_cli(f"reproduce={original.run_id}")
    assert answer.code == 2
    assert "its config is not of this version" in answer.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: [1, 2\nb: }{", "its config.yaml: cannot be read as YAML of a config (line 2: "),
        (bytes(range(256)), "its config.yaml: cannot be read as YAML of a config ("),
        (b"seed: !!python/object/apply:os.mkdir [ran]", "could not determine a constructor for the tag"),
        (b"[1, 2]", "its config is not of this version"),
    ],
)
def test_a_config_that_is_none_is_refused(run_cli, original, tmp_path, content, words):
    (tmp_path / "config.yaml").write_bytes(content)
    open_store("recurrent-cells").client.log_artifact(original.run_id, str(tmp_path / "config.yaml"))
    answer = run_cli(f"reproduce={original.run_id}")
    assert answer.code == 2
    assert words in answer.err
    assert len(answer.err.splitlines()) == 1
