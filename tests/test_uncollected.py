"""Imports during which no garbage is collected."""

import gc
import sys
from importlib import import_module

import pytest

from recurrent_cells.imports import uncollected


@pytest.fixture(autouse=True)
def unfrozen():
    yield
    gc.unfreeze()


def test_garbage_is_collected_again_after_the_imports_even_if_these_fail():
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ModuleNotFoundError), uncollected():
        import_module("no_such_module")
    assert gc.isenabled()


def test_who_collects_none_is_left_so():
    gc.disable()
    with uncollected():
        pass
    assert not gc.isenabled()
    gc.enable()


def test_what_was_imported_is_looked_through_no_more(tmp_path, monkeypatch):
    (tmp_path / "imported_for_this_test.py").write_text("loop = []\nloop.append(loop)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with uncollected():
        loop = import_module("imported_for_this_test").loop
    assert not any(it is loop for it in gc.get_objects())
    del sys.modules["imported_for_this_test"]


def test_without_an_import_all_objects_can_be_collected():
    before = gc.get_freeze_count()
    with uncollected():
        pass
    assert gc.get_freeze_count() == before
