"""The type in which recurrent layers compute, where the network around them is under autocast.

On a GPU it is the type of their weights, with autocast off: float32, whose products are in TF32 where that is allowed,
or float64. Under autocast cuDNN would compute every cell in float16, also where bfloat16 was asked for and no loss is
scaled. Our own kernels (`model.kernel=triton`) multiply in autocast's type, bfloat16 as it is. Front end, head and the
projections of blocks stay under autocast. Take gradients with autocast off: each product of the backward pass
then has the type of its forward product, else autocast's. On a CPU products are in autocast's type.
"""

import torch


def leaves_autocast(device: str) -> bool:
    """Whether recurrent layers on a device, `cpu` or `cuda`, have to switch off the autocast that they are under."""
    return device == "cuda" and torch.is_autocast_enabled(device)


def product_dtype(kernel: str, device: str, weights: torch.dtype, low: torch.dtype | None) -> torch.dtype:
    """The type of the products in recurrent layers.

    Args:
        device: `cpu` or `cuda`.
        low: autocast's type; None without autocast.
    """
    in_full = device != "cpu" and kernel != "triton"
    return weights if low is None or in_full else low
