"""Fashion-MNIST."""

from recurrent_cells.data.published import Published


class FashionMnist(Published):
    """60,000 and 10,000 pictures of clothes (Xiao et al. 2017)."""

    name, torchvision_name = "fashion_mnist", "FashionMNIST"
