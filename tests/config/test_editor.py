"""The JSON schemas of config files."""

import subprocess
import sys
from pathlib import Path

import pytest

from recurrent_cells.config import editor
from src import REPOSITORY

CONF = REPOSITORY / "conf"
# hydra/ has settings of Hydra itself.
FILES = [it for it in sorted(CONF.rglob("*.yaml")) if it.parent.name != "hydra"]


def schema_of(file: Path) -> Path:
    group = file.parent.name
    return CONF / f"{group if group in ('model', 'data', 'optimizer', 'trainer') else 'config'}.schema.json"


def check(schema: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(schema), *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_repository_s_schemas_are_those_of_the_keys(tmp_path):
    editor.write(tmp_path)
    for name in editor.schemas():
        assert (CONF / f"{name}.schema.json").read_text() == (tmp_path / f"{name}.schema.json").read_text()


@pytest.mark.parametrize("schema", sorted({schema_of(file) for file in FILES}), ids=lambda it: it.name)
def test_every_config_file_names_its_schema_and_fits(schema):
    files = [file for file in FILES if schema_of(file) == schema]
    for file in files:
        path = schema.name if file.parent == CONF else f"../{schema.name}"
        assert f"# yaml-language-server: $schema={path}" in file.read_text().splitlines()
    answer = check(schema, *files)
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ("model", "hidden_sise: 64"),
        ("model", "hidden_size: -1"),
        ("model", "readout: lats"),
        ("model", "dropout: 1.5"),
        ("model", "cell: lstm\noptions:\n  varaint: standard"),
        ("model", "cell: s4d\noptions:\n  state_size: 3"),
        ("optimizer", "lr: fast"),
        ("config", "trainer:\n  max_epoch: 3"),
    ],
)
def test_a_typo_is_refused(tmp_path, group, text):
    (tmp_path / "mine.yaml").write_text(text)
    assert check(CONF / f"{group}.schema.json", tmp_path / "mine.yaml").returncode == 1


def test_values_that_are_found_when_the_config_is_composed_are_not(tmp_path):
    (tmp_path / "mine.yaml").write_text("seed: ???\nmodel:\n  hidden_size: ${seed}\n  forget_bias: null\n")
    assert check(CONF / "config.schema.json", tmp_path / "mine.yaml").returncode == 0
