"""MNIST."""

from recurrent_cells.data.published import Published


class Mnist(Published):
    """60,000 and 10,000 handwritten digits (LeCun et al. 1998)."""

    name, torchvision_name = "mnist", "MNIST"
