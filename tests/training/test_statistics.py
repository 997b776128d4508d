import math

import pytest
import torch

from src.training.statistics import Tally, sequence_loss


def test_uniform_logits_cost_log_of_classes():
    assert sequence_loss(torch.zeros(4, 10), torch.arange(4)).item() == pytest.approx(math.log(10))
    assert sequence_loss(torch.zeros(4, 7, 10), torch.arange(4)).item() == pytest.approx(math.log(10))


def test_half_precision_logits_are_lost_in_float32():
    loss = sequence_loss(torch.randn(4, 10).bfloat16(), torch.arange(4))
    assert loss.dtype == torch.float32


def test_tally_over_batches_equals_the_whole():
    torch.manual_seed(0)
    logits, labels = torch.randn(50, 10), torch.randint(0, 10, (50,))
    tally = Tally()
    for start in range(0, 50, 20):
        tally.add(logits[start : start + 20], labels[start : start + 20])
    assert tally.loss == pytest.approx(sequence_loss(logits, labels).item(), rel=1e-6)
    assert tally.accuracy == (logits.argmax(1) == labels).sum().item() / 50
    confusion = torch.tensor(tally.confusion)
    assert confusion.sum() == 50
    assert confusion.diag().sum() == (logits.argmax(1) == labels).sum()


def test_accuracy_after_each_step():
    logits = torch.zeros(2, 3, 2)
    logits[0, :, 1] = torch.tensor([-1.0, 1.0, 1.0])
    logits[1, :, 1] = torch.tensor([-1.0, -1.0, 1.0])
    tally = Tally()
    tally.add(logits, torch.tensor([1, 1]))
    assert tally.accuracy_by_step == [0.0, 0.5, 1.0]
    assert tally.accuracy == 1.0
