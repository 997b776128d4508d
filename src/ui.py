"""Open the MLflow UI on this machine: python -m src.ui."""

from recurrent_cells.cli import main

if __name__ == "__main__":
    main("ui")
