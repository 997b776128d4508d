"""python -m recurrent_cells COMMAND …: the same as the script `recurrent-cells`."""

from recurrent_cells.cli import main

if __name__ == "__main__":
    main()
