"""The schema, its rules, and the config files written against it."""

import itertools
import logging
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from recurrent_cells.config.schema import Config, ModelConfig, allowed, schema_fields
from recurrent_cells.config.validation import validated
from recurrent_cells.data.sources import Source
from recurrent_cells.errors import UserError
from recurrent_cells.tables import CELLS, SOURCES
from src import REPOSITORY
from tests.support import compose_config

CONF = REPOSITORY / "conf"
OPTIONS = sorted(
    (path.parent.name, path.stem)
    for group in ("model", "data", "optimizer", "trainer")
    for path in (CONF / group).glob("*.yaml")
)


def test_the_default_command_is_valid():
    config = validated(compose_config())
    assert (config.model.cell, config.data.name, config.seed) == ("lstm", "mnist_5k", 0)


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_is_valid(group, option):
    source = SOURCES[option] if group == "data" else Source
    extra = ["data.root=/data"] * source.needs_root + [f"data.{key}=it" for key in source.needs]
    config = OmegaConf.structured(validated(compose_config(f"{group}={option}", *extra)))
    chosen = config[group].get("cell") or config[group].get("name") or option
    assert chosen == option


def test_all_model_files_have_all_keys_of_the_schema():
    keys = {key.removeprefix("model.") for key, _ in schema_fields() if key.startswith("model.")}
    for path in (CONF / "model").glob("*.yaml"):
        assert set(yaml.safe_load(path.read_text())) == keys, path


def test_every_key_says_what_it_allows_and_allows_its_default():
    defaults = OmegaConf.structured(Config)
    for key, item in schema_fields():
        assert allowed(key), key
        rule = item.metadata.get("rule")
        assert rule is None or rule.allows(OmegaConf.select(defaults, key)), key
    assert allowed("model.quux") == ""


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seed=-1", "an integer from 0 to 4294967295"),
        ("seed=4294967296", "an integer from 0 to 4294967295"),
        ("model.cell=foo", f"one of {', '.join(CELLS.names)}"),
        ("model.hidden_size=0", "an integer of at least 1"),
        ("model.hidden_size=-1", "an integer of at least 1"),
        ("model.dropout=1.5", "a number of at least 0 and below 1"),
        ("model.dropout=1.0", "a number of at least 0 and below 1"),
        ("model.biases=3", "1 or 2"),
        (
            "model.head=[relu]",
            "a list of up to 16, linear, softmax, relu, tanh, that ends in linear (the loss applies softmax)",
        ),
        ("data.batch_size=0", "an integer of at least 1"),
        ("data.num_classes=1", "an integer of at least 2, or null"),
        ("optimizer.lr=-1.0", "a number above 0"),
        ("optimizer.lr=nan", "a number above 0"),
        ("optimizer.lr=inf", "a number above 0"),
        ("optimizer.gamma=0.0", "a number above 0 and at most 1"),
        ("trainer.max_epochs=0", "an integer of at least 1, or null"),
        ("trainer.precision=8-bit", "one of auto, 32-true, 64-true, bf16-mixed, 16-mixed"),
        ("tracking.experiment=' '", "a name that is not blank"),
    ],
)
def test_values_out_of_range_are_refused_by_name(override, words):
    with pytest.raises(UserError) as caught:
        validated(compose_config(override))
    assert str(caught.value) == f"{override.replace(chr(39), '')}: allowed is {words}"


def test_the_ends_of_ranges_are_allowed():
    config = validated(compose_config("seed=4294967295", "model.dropout=0", "model.hidden_size=1", "optimizer.gamma=1"))
    assert (config.seed, config.model.hidden_size, config.optimizer.gamma) == (2**32 - 1, 1, 1.0)


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["trainer.max_epochs=null"], "trainer.max_epochs=null"),
        (["data.val_size=0"], "data.val_size=0"),
        (["data=idx"], "data.root=null"),
        (["data.root=/data"], "data.root=/data"),
        (["data=ts"], "data.dataset=null"),
        (["data.patch=4"], "data.patch=4"),
        (["data.permutation=bit_reversal"], "data.permutation=bit_reversal"),
        (["data.dataset=GunPoint"], "data.dataset=GunPoint"),
        (["trainer.max_seconds=60", "optimizer.schedule=cosine"], "trainer.max_seconds=60"),
        (["trainer=cpu", "trainer.precision=16-mixed"], "trainer.precision=16-mixed"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(overrides, key):
    with pytest.raises(UserError) as caught:
        validated(compose_config(*overrides))
    assert str(caught.value).startswith(f"{key}: ")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("override", ["+model.x=1", "++model.x=1", "+quux=1", "+quux={a:1}"])
def test_keys_added_to_the_schema_are_refused(override):
    with pytest.raises(UserError, match=r"^\+(model\.x|quux|quux\.a): no such key"):
        validated(compose_config(override))


def test_many_faults_make_a_short_message():
    faults = ["seed=-1", "model.cell=x", "model.init=x", "model.biases=0", "data.order=x", "data.split=x"]
    more = ["optimizer.lr=-1", "optimizer.eps=-1", "trainer.threads=0"]
    with pytest.raises(UserError) as caught:
        validated(compose_config(*faults, *more))
    lines = str(caught.value).splitlines()
    assert len(lines) == 7
    assert lines[-1] == "… and 3 more"


def test_dropout_without_effect_is_said_once(caplog):
    cfg = compose_config("model.dropout=0.5")
    with caplog.at_level(logging.WARNING):
        validated(cfg)
        validated(cfg)
        validated(compose_config("model.dropout=0.5", "model.num_layers=2"))
    assert [record.message.partition(":")[0] for record in caplog.records] == ["model.dropout=0.5"]


def test_models_of_one_shape_differ_in_the_cell_and_its_own_settings_alone():
    files = [yaml.safe_load(Path(path).read_text()) for path in sorted((CONF / "model").glob("*.yaml"))]
    for one, other in itertools.combinations(files, 2):
        assert [key for key in one if key != "options" and one[key] != other[key]] == ["cell"]
    assert ModelConfig().hidden_size == files[0]["hidden_size"]
