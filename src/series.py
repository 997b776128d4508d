"""Fetch small sets of time series: python -m src.series."""

from recurrent_cells.cli import main

if __name__ == "__main__":
    main("series")
