"""AdamW (Loshchilov and Hutter 2019)."""

from recurrent_cells.training.optimizers.adam import Adam


class AdamW(Adam):
    """Adam whose weight decay is no part of the gradients: a step takes the rate times the decay off each weight."""

    name = "adamw"
    decouples_decay = True
