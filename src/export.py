"""Export a trained network: python -m src.export."""

from recurrent_cells.cli import main

if __name__ == "__main__":
    main("export")
