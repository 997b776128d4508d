"""The studies, and how far each has come: python -m src.studies."""

from recurrent_cells.cli import main

if __name__ == "__main__":
    main("studies")
