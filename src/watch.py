"""Watch a sweep on a page, live: python -m src.watch."""

from recurrent_cells.cli import main

if __name__ == "__main__":
    main("watch")
