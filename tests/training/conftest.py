"""Configs that a pack can hold."""

from pathlib import Path
from typing import Any

import pytest

from recurrent_cells.config.schema import Config
from recurrent_cells.config.validation import validated
from recurrent_cells.training.device import use_threads
from tests.support import compose_config, write_data_set


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """As trials have; threads that wait for one another are slow on a busy machine."""
    use_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data"), train=100)


@pytest.fixture
def configs(folder):
    """`configs("model=gru", …, each=[{"seed": 1}, …])`: configs that share the overrides and differ in the rest."""

    def made(*overrides: str, each: list[dict[str, Any]]) -> list[Config]:
        shared = ("data=idx", f"data.root={folder}", "data.val_size=30", "data.batch_size=10", "trainer=cpu")
        small = ("model.hidden_size=6", "trainer.max_steps=200", "trainer.eval_every=40", "trainer.precision=64-true")
        return [
            validated(compose_config(*shared, *small, *overrides, *(f"{key}={it[key]}" for key in it))) for it in each
        ]

    return made
