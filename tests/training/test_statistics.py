import math

import pytest
import torch

from recurrent_cells.training.statistics import Hardest, Tally, sequence_loss


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


def test_the_hardest_are_those_with_the_least_likely_labels():
    torch.manual_seed(0)
    logits, labels = torch.randn(50, 10), torch.randint(0, 10, (50,))
    hardest = Hardest(4)
    for start in range(0, 50, 20):
        hardest.add(logits[start : start + 20], labels[start : start + 20])
    probabilities = logits.double().softmax(1)
    expected = probabilities[torch.arange(50), labels].argsort()[:4].tolist()
    assert [index for index, *_ in hardest.found] == expected
    index, answer, of_answer, of_label = hardest.found[0]
    assert answer == logits[index].argmax().item()
    assert of_answer == pytest.approx(probabilities[index, answer].item())
    assert of_label == pytest.approx(probabilities[index, labels[index]].item())


def test_fewer_sequences_than_asked_for_are_all_kept_and_the_last_step_counts():
    logits = torch.zeros(2, 3, 4)
    logits[0, -1, 1] = 5
    hardest = Hardest(4)
    hardest.add(logits, torch.tensor([2, 0]))
    assert [(index, answer) for index, answer, *_ in hardest.found] == [(0, 1), (1, 0)]
