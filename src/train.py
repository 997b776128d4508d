"""Train one trial, or a sweep of them with -m: python -m src.train [-m] [key=value ...]."""

from recurrent_cells.cli import main

if __name__ == "__main__":
    main("train")
