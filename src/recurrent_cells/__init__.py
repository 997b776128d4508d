"""A harness to compare recurrent networks fairly; the results of sweeps as pandas frames."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurrent_cells.reports.frames import curves, trials, verdict

__all__ = ["curves", "trials", "verdict"]


def __getattr__(name: str) -> Any:
    """The functions that read results, imported with the first use of one: pandas and MLflow take seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from recurrent_cells.reports import frames

    return getattr(frames, name)
