"""Kuzushiji-MNIST."""

from recurrent_cells.data.published import Published


class Kmnist(Published):
    """60,000 and 10,000 cursive characters (Clanuwat et al. 2018)."""

    name, torchvision_name = "kmnist", "KMNIST"
