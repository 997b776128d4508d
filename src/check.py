"""Check a sweep against a baseline: python -m src.check."""

from recurrent_cells.cli import main

if __name__ == "__main__":
    main("check")
