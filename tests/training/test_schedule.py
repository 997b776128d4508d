import pytest

from recurrent_cells.config.schema import OptimizerConfig, TrainerConfig
from recurrent_cells.training.schedule import CHUNK, Schedule, learning_rate


def schedule(**trainer):
    return Schedule.from_config(TrainerConfig(**trainer), train_size=105, batch_size=10)


def test_epochs_count_full_batches():
    assert schedule(max_epochs=3).total_steps == 30
    assert schedule(max_epochs=3).eval_every == 10


def test_steps_are_the_budget_if_set():
    assert schedule(max_epochs=3, max_steps=7).total_steps == 7


def pauses(schedule):
    steps, step = [], 0
    while step < schedule.total_steps:
        step = schedule.next_pause(step)
        steps.append(step)
    return steps


def test_training_pauses_wherever_something_is_due():
    due = schedule(max_steps=100, eval_every=30, log_every=25, checkpoint_every=40)
    reached = pauses(due)
    assert reached[-1] == 100
    assert {30, 60, 90, 25, 50, 75, 40, 80} <= set(reached)
    assert all(later - earlier <= CHUNK for earlier, later in zip([0, *reached], reached, strict=False))


def test_the_end_is_evaluated():
    assert schedule(max_steps=35, eval_every=20).next_evaluation(20) == 35


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 0.025), (3, 0.1), (4, 0.1), (52, 0.05), (100, 0.0)],
)
def test_cosine_warms_up_and_ends_at_zero(step, expected):
    optimizer = OptimizerConfig(lr=0.1, schedule="cosine", warmup_steps=4)
    assert learning_rate(optimizer, step, 100) == pytest.approx(expected, abs=1e-12)


def test_step_schedule_multiplies_by_gamma():
    optimizer = OptimizerConfig(lr=1.0, schedule="step", step_size=10, gamma=0.5)
    assert [learning_rate(optimizer, step, 40) for step in (0, 9, 10, 25)] == [1.0, 1.0, 0.5, 0.25]
