import pytest

from recurrent_cells.config.validation import validated
from recurrent_cells.trial.fingerprint import fingerprint, shape
from tests.support import compose_config


def config(*overrides: str):
    return validated(compose_config(*overrides))


@pytest.mark.parametrize(
    "override",
    [
        *("sweep.retries=3", "sweep.parent=abc", "tracking.experiment=other", "tracking.patience=1"),
        *("data.download=false", "trainer.accelerator=cpu", "trainer.checkpoint_every=7", "trainer.progress=true"),
    ],
)
def test_where_and_how_it_is_watched_makes_no_other_trial(override):
    assert fingerprint(config(override), "digest") == fingerprint(config(), "digest")


@pytest.mark.parametrize(
    "override",
    [
        *("seed=1", "model=gru", "model.hidden_size=64", "optimizer.lr=0.1", "trainer.precision=64-true"),
        *("trainer.threads=2", "trainer.log_every=7", "data.batch_size=32", "data.split_seed=1"),
        *("trainer.flush_denormals=true", "task=per_step", "model.block=residual"),
    ],
)
def test_what_decides_its_numbers_makes_another_trial(override):
    assert fingerprint(config(override), "digest") != fingerprint(config(), "digest")


def test_a_limit_of_time_makes_another_trial():
    plain = "optimizer.schedule=none"
    assert fingerprint(config(plain, "trainer.max_seconds=60"), "digest") != fingerprint(config(plain), "digest")


def test_other_data_makes_another_trial():
    assert fingerprint(config(), "one") != fingerprint(config(), "other")


def test_seed_and_optimiser_settings_leave_the_shape():
    expected = shape(config(), "digest")
    assert shape(config("seed=3", "optimizer.lr=0.1", "optimizer.warmup_steps=5"), "digest") == expected
    assert shape(config("model.hidden_size=64"), "digest") != expected


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], "490ade98ebc38076"),
        (["model=gru", "seed=3"], "e89b9f1802419564"),
        (["data=mnist", "model=simple_rnn", "optimizer=rmsprop", "model.hidden_size=50"], "bc94d50767ed0778"),
        (["experiment=keras_rnn_per_step"], "3ac87374cddf1fea"),
        (["experiment=keras_rnn_per_step", "full=false"], "ea8b21fee10fc9f3"),
        (["experiment=tf_gru_stacked", "data.root=/x", "registry=false"], "bd96b6d9a719f92f"),
        (["data=idx", "data.root=/x", "trainer=gpu", "optimizer=sgd", "model.readout=every"], "0bdf193e519e794b"),
    ],
)
def test_trials_in_stores_of_earlier_versions_are_known_again(overrides, expected):
    assert fingerprint(config(*overrides), "digest") == expected
