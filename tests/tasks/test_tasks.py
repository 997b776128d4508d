"""Losses and metrics of the tasks there are."""

import math

import pytest
import torch
import torch.nn.functional as F

from recurrent_cells.tables import METRICS, TASKS
from recurrent_cells.tasks import Targets, task_of


def test_the_tasks_and_what_auto_means():
    assert TASKS.names == ["classification", "per_step", "regression"]
    assert METRICS.names == ["acc", "balanced_acc", "mae", "mse", "r2"]
    assert task_of("auto", "last").name == task_of("auto", "mean").name == "classification"
    assert task_of("auto", "every").name == "per_step"


@pytest.mark.parametrize(("readout", "shape"), [("last", (4, 10)), ("every", (4, 7, 10))])
def test_uniform_logits_cost_log_of_classes(readout, shape):
    loss = task_of("auto", readout).loss(torch.zeros(shape), torch.arange(4))
    assert loss.item() == pytest.approx(math.log(10))


def test_half_precision_logits_are_lost_in_float32():
    loss = task_of("auto", "last").loss(torch.randn(4, 10).bfloat16(), torch.arange(4))
    assert loss.dtype == torch.float32


@pytest.mark.parametrize(("readout", "shape"), [("last", (3, 6, 5)), ("every", (3, 6, 4, 5))])
def test_leading_dimensions_are_networks_of_their_own(readout, shape):
    torch.manual_seed(0)
    task = task_of("auto", readout)
    logits, labels = torch.randn(shape, dtype=torch.float64), torch.randint(0, 5, (3, 6))
    losses, scores = task.loss(logits, labels), task.scores(logits, labels)
    for place in range(3):
        torch.testing.assert_close(losses[place], task.loss(logits[place], labels[place]))
        assert torch.equal(scores[place], task.scores(logits[place], labels[place]))


def test_per_step_is_the_mean_over_steps_and_the_last_answer_counts():
    torch.manual_seed(0)
    task = task_of("auto", "every")
    logits, labels = torch.randn(6, 4, 5), torch.randint(0, 5, (6,))
    by_step = [F.cross_entropy(logits[:, step], labels) for step in range(4)]
    torch.testing.assert_close(task.loss(logits, labels), torch.stack(by_step).mean())
    assert torch.equal(task.final(logits), logits[:, -1])
    assert torch.equal(task.scores(logits, labels)[:, -1], (logits[:, -1].argmax(1) == labels).double())


def test_a_sequence_that_has_ended_keeps_its_last_answer():
    torch.manual_seed(0)
    task, lengths = task_of("auto", "every"), torch.tensor([4, 1, 3])
    logits, labels = torch.randn(3, 4, 5), torch.randint(0, 5, (3,))
    right = logits.argmax(-1) == labels[:, None]
    scores = task.scores(logits, labels, lengths)
    for place, length in enumerate(lengths.tolist()):
        assert scores[place, :length].tolist() == right[place, :length].tolist()
        assert scores[place, length - 1 :].unique().tolist() == [float(right[place, length - 1])]
    final = task.final(logits, lengths)
    assert torch.equal(final, torch.stack([logits[0, 3], logits[1, 0], logits[2, 2]]))
    assert torch.equal(task.outcomes(final, labels), scores[:, -1])


def test_steps_with_classes_of_their_own_count_where_one_is_asked_for():
    torch.manual_seed(0)
    task = task_of("auto", "every", Targets(of_steps=True))
    logits = torch.randn(2, 4, 5)
    targets = torch.tensor([[-1, 2, 0, -1], [3, -1, -1, -1]])
    of_first = F.cross_entropy(logits[0, 1:3], targets[0, 1:3])
    of_second = F.cross_entropy(logits[1, :1], targets[1, :1])
    torch.testing.assert_close(task.loss(logits, targets), (of_first + of_second) / 2)
    shares = [(logits[0, 1:3].argmax(-1) == targets[0, 1:3]).double().mean(), float(logits[1, 0].argmax() == 3)]
    assert task.scores(logits, targets).tolist() == [[share] for share in shares]
    assert torch.equal(task.final(logits), logits)


def test_auto_is_what_the_targets_ask_for():
    for numbers in (torch.randn(9), torch.randn(9, 2)):
        assert task_of("auto", "last", Targets.of(numbers)).name == "regression"
    assert task_of("auto", "every", Targets.of(torch.zeros(9, 4, dtype=torch.int64))).name == "per_step"
    assert task_of("auto", "last", Targets.of(torch.arange(9))).name == "classification"


@pytest.mark.parametrize("shape", [(50,), (50, 1), (50, 3)])
def test_numbers_are_lost_in_their_deviations_and_judged_in_their_unit(shape):
    torch.manual_seed(0)
    targets = 1000 + 50 * torch.randn(shape)
    task = task_of("auto", "last", Targets.of(targets))
    mean = torch.zeros(50, targets.view(50, -1).shape[1])
    assert task.loss(mean, targets).item() == pytest.approx(1, rel=1e-5)
    answers = task.final(mean)
    of_mean = targets.double().view(50, -1).var(dim=0, correction=0).mean().item()
    assert task.scores(mean, targets).mean().item() == pytest.approx(of_mean, rel=1e-5)
    found = task.beside(answers, targets)
    assert found.keys() == {"mae", "r2"}
    assert found["r2"] == pytest.approx(0, abs=1e-5)
    errors = (answers.double() - targets.double().view(50, -1)).abs()
    assert found["mae"] == pytest.approx(errors.mean().item())
    perfect = targets.view(50, -1)
    assert task.beside(perfect, targets) == {"mae": 0, "r2": 1}


@pytest.mark.parametrize("several", [False, True])
def test_numbers_of_networks_that_are_trained_together_are_those_of_each(several):
    torch.manual_seed(0)
    numbers = torch.randn(3, 6, 2) if several else torch.randn(3, 6)
    task = task_of("auto", "last", Targets.of(numbers[0]))
    outputs = torch.randn(3, 6, 2 if several else 1)
    losses, scores = task.loss(outputs, numbers), task.scores(outputs, numbers)
    for place in range(3):
        torch.testing.assert_close(losses[place], task.loss(outputs[place], numbers[place]))
        assert torch.equal(scores[place], task.scores(outputs[place], numbers[place]))


def test_uneven_classes_are_balanced_and_recalled_even_ones_are_not():
    task = task_of("auto", "last")
    logits = torch.eye(3)[torch.tensor([0, 0, 0, 1, 2, 0])]
    uneven, even = torch.tensor([0, 0, 0, 0, 2, 2]), torch.tensor([0, 0, 0, 2, 2, 2])
    found = task.beside(logits, uneven)
    assert found == {"balanced_acc": pytest.approx((3 / 4 + 1 / 2) / 2), "recall_0": 3 / 4, "recall_2": 1 / 2}
    assert task.beside(logits, even) == {}
