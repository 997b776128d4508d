"""Mixed precision as Lightning has it around a step, for what is measured without Lightning."""

import torch

LOW = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def autocast(precision: str, device: str, cache: bool = True) -> torch.autocast:
    """Autocast of a precision on a device, `cpu` or `cuda`; that of 32-true does nothing."""
    low = LOW.get(precision)
    return torch.autocast(device, low, enabled=low is not None, cache_enabled=cache)
