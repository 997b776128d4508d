"""Report on a sweep: python -m src.report."""

from recurrent_cells.cli import main

if __name__ == "__main__":
    main("report")
