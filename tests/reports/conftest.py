"""Sweeps to report on."""

from tests.written_sweeps import make_sweep, store

__all__ = ["make_sweep", "store"]
