import torch

from recurrent_cells.training.window import TrainWindow


def test_means_over_all_steps_since_the_last_point():
    window = TrainWindow()
    window.add(torch.tensor([1.0, 2.0]), torch.tensor([5, 10]), None, batch_size=10)
    window.add(torch.tensor([6.0]), torch.tensor([0]), torch.tensor([3.0]), batch_size=10)
    assert window.read(only_last_batch=False) == [(3.0, 0.5, 1.0)]
    assert window.read(only_last_batch=True) == [(6.0, 0.0, 3.0)]


def test_state_continues_to_the_bit():
    losses = torch.rand(7)
    whole, first = TrainWindow(), TrainWindow()
    for window in (whole, first):
        window.add(losses[:4], torch.ones(4), None, batch_size=2)
    second = TrainWindow()
    second.load_states(first.states(), torch.device("cpu"))
    for window in (whole, second):
        window.add(losses[4:], torch.ones(3), None, batch_size=2)
    assert whole.read(False) == second.read(False)


def test_a_window_of_many_trials_is_one_of_each():
    losses, right = torch.rand(5, 3), torch.arange(15).view(5, 3)
    together = TrainWindow()
    together.add(losses, right, losses, batch_size=20)
    for trial, (means, state) in enumerate(zip(together.read(False), together.states(3), strict=True)):
        alone = TrainWindow()
        alone.add(losses[:, trial], right[:, trial], losses[:, trial], batch_size=20)
        assert means == alone.read(False)[0]
        assert state == alone.states()[0]
