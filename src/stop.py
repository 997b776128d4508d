"""Stop a trial, or a sweep after the trials that run: python -m src.stop run=RUN_ID."""

from recurrent_cells.cli import main

if __name__ == "__main__":
    main("stop")
