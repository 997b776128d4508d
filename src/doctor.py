"""Repair runs that say something untrue about themselves: python -m src.doctor."""

from recurrent_cells.cli import main

if __name__ == "__main__":
    main("doctor")
