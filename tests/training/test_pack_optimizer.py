"""The optimisers of many trials at once."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from recurrent_cells.config.schema import OptimizerConfig
from recurrent_cells.training.pack_optimizer import PackOptimizer


class ShortOfMemory(TorchDispatchMode):
    """Memory runs out at the n-th operation that takes any; operations in place take none."""

    def __init__(self, allowed: int) -> None:
        super().__init__()
        self.left = allowed

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        takes_memory = not func._schema.is_mutable and not func.is_view
        if takes_memory and self.left == 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.left -= takes_memory
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("factor", [1.0, 0.5])
@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_a_step_without_memory_changes_nothing(name, factor):
    config = OptimizerConfig(
        name=name, lr=0.1, momentum=0.5, weight_decay=0.1, clip_norm=0.3, recurrent_lr_factor=factor
    )
    flat = torch.randn(2, 7, generator=torch.Generator().manual_seed(0))
    shapes, recurrent = [torch.Size([2, 2]), torch.Size([3])], [True, False]
    optimizer = PackOptimizer([config, config], flat, lambda place, step: 0.1, [None, None], shapes, recurrent)
    optimizer.prepare(0, 2)
    gradients = torch.randn(2, 7, generator=torch.Generator().manual_seed(1))
    optimizer.step(gradients, 0)
    before = [flat.clone(), *(values.clone() for values in optimizer.memory.values())]
    failures = 0
    for allowed in range(100):
        try:
            with ShortOfMemory(allowed):
                optimizer.step(gradients, 1)
        except torch.OutOfMemoryError:
            failures += 1
            for value, known in zip([flat, *optimizer.memory.values()], before, strict=True):
                assert torch.equal(value, known)
        else:
            break
    assert failures > 5
    assert not torch.equal(flat, before[0])
