"""Evaluate a trained network: python -m src.evaluate."""

from recurrent_cells.cli import main

if __name__ == "__main__":
    main("evaluate")
