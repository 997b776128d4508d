"""Serve trained networks on this machine: python -m src.serve."""

from recurrent_cells.cli import main

if __name__ == "__main__":
    main("serve")
