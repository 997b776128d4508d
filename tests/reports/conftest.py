"""Sweeps to report on."""

from tests.written_sweeps import make_sweep, store, undrawn

__all__ = ["make_sweep", "store", "undrawn"]
