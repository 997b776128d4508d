import math

import pytest
import torch

from recurrent_cells.tasks import task_of
from recurrent_cells.training.tally import Answers, Hardest, Tally

CLASSIFICATION, PER_STEP = task_of("auto", "last"), task_of("auto", "every")


def test_batches_come_to_the_whole():
    torch.manual_seed(0)
    logits, labels = torch.randn(50, 10), torch.randint(0, 10, (50,))
    tally, answers = Tally(CLASSIFICATION), Answers(CLASSIFICATION)
    for start in range(0, 50, 20):
        tally.add(logits[start : start + 20], labels[start : start + 20])
        answers.add(logits[start : start + 20], labels[start : start + 20])
    right = (logits.argmax(1) == labels).sum().item()
    assert tally.losses == [pytest.approx(CLASSIFICATION.loss(logits, labels).item(), rel=1e-6)]
    assert tally.scores == [[right / 50]]
    counts = torch.tensor(answers.confusion)
    assert counts.sum() == 50
    assert counts.diag().sum() == right


@pytest.mark.parametrize(("task", "shape"), [(CLASSIFICATION, (3, 40, 5)), (PER_STEP, (3, 40, 7, 5))])
def test_networks_that_answer_together_are_each_what_they_are_alone(task, shape):
    torch.manual_seed(0)
    outputs, labels = torch.randn(shape), torch.randint(0, 5, (40,))
    together = Tally(task)
    for start in range(0, 40, 16):
        together.add(outputs[:, start : start + 16], labels[start : start + 16])
    for place in range(3):
        alone = Tally(task)
        alone.add(outputs[place], labels)
        assert together.losses[place] == pytest.approx(alone.losses[0], rel=1e-6)
        assert together.scores[place] == alone.scores[0]


def test_accuracy_after_each_step():
    logits = torch.zeros(2, 3, 2)
    logits[0, :, 1] = torch.tensor([-1.0, 1.0, 1.0])
    logits[1, :, 1] = torch.tensor([-1.0, -1.0, 1.0])
    tally = Tally(PER_STEP)
    tally.add(logits, torch.tensor([1, 1]))
    assert tally.scores == [[0.0, 0.5, 1.0]]


@pytest.mark.parametrize("task", [CLASSIFICATION, PER_STEP])
def test_outcomes_are_those_of_the_answers_that_count(task):
    answers, tally = Answers(task), Tally(task)
    for count in (20, 7):
        outputs = torch.randn(count, 5, 3) if task is PER_STEP else torch.randn(count, 3)
        labels = torch.randint(3, (count,))
        for it in (answers, tally):
            it.add(outputs, labels)
    assert answers.outcomes.shape == (27,)
    assert answers.outcomes.mean() == pytest.approx(tally.scores[0][-1])


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


def test_fewer_sequences_than_asked_for_are_all_kept():
    logits = torch.zeros(2, 4)
    logits[0, 1] = 5
    hardest = Hardest(4)
    hardest.add(logits, torch.tensor([2, 0]))
    assert [(index, answer) for index, answer, *_ in hardest.found] == [(0, 1), (1, 0)]
    assert math.isclose(sum(probability for _, _, probability, _ in hardest.found), hardest.found[0][2] + 0.25)
