"""Read images with a trained network: python -m src.predict."""

from recurrent_cells.cli import main

if __name__ == "__main__":
    main("predict")
