"""One optimiser step, taken at once or recorded."""

import pytest
import torch

from recurrent_cells.config.validation import validated
from recurrent_cells.models.classifier import build_classifier
from recurrent_cells.training import step as module
from recurrent_cells.training.optimizer import build_optimizer
from recurrent_cells.training.step import TrainStep, can_be_graphed
from tests.support import compose_config


def config_of(*overrides):
    return validated(compose_config("model.hidden_size=6", "trainer=cpu", *overrides))


def rehearsed(step, inputs, changed):
    """What `graphed` does but for the recording: the step is run on copies, and what it changed is put back."""
    before = [it.clone() for it in changed]
    for _ in range(2):
        step(*(it.clone() for it in inputs))
    with torch.no_grad():
        for tensor, value in zip(changed, before, strict=True):
            tensor.copy_(value)
    return step


def train(config, record, steps=12):
    """Losses, gradient norms, weights and the optimiser's state after some steps."""
    classifier = build_classifier(config.model, 4, 3, config.seed)
    optimizer = build_optimizer(config.optimizer, classifier.parameters())
    take_step = TrainStep(config, classifier, optimizer, None, lambda step: 0.01 / (step + 1))
    take_step._to_be_graphed = record
    generator = torch.Generator().manual_seed(0)
    told = []
    for step in range(steps):
        x = torch.randn(5, 7, 4, generator=generator)
        taken = take_step(step, x, torch.randint(0, 3, (5,), generator=generator))
        assert taken.logits.shape == (5, 3)
        told.append((taken.loss, taken.norm))
    return told, classifier.state_dict(), optimizer.state_dict()


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
@pytest.mark.parametrize("clip_norm", ["0.5", "null"])
def test_a_recorded_step_is_the_step(monkeypatch, cell, clip_norm):
    monkeypatch.setattr(module, "graphed", rehearsed)
    config = config_of(f"model={cell}", f"optimizer.clip_norm={clip_norm}")
    (told, weights, memory), (wanted, wanted_weights, wanted_memory) = (train(config, it) for it in (True, False))
    for (loss, norm), (wanted_loss, wanted_norm) in zip(told, wanted, strict=True):
        torch.testing.assert_close(loss, wanted_loss)
        assert (norm is None) == (wanted_norm is None) == (clip_norm == "null")
        if norm is not None:
            torch.testing.assert_close(norm, wanted_norm)
    torch.testing.assert_close(weights, wanted_weights)
    torch.testing.assert_close(memory["state"], wanted_memory["state"])


def test_a_rate_that_was_a_tensor_is_a_number_again(monkeypatch):
    monkeypatch.setattr(module, "graphed", rehearsed)
    for steps in (1, 4):
        _, _, memory = train(config_of(), record=True, steps=steps)
        assert memory["param_groups"][0]["lr"] == 0.01 / steps


@pytest.mark.parametrize(
    ("overrides", "graphed"),
    [
        ([], True),
        (["trainer.cuda_graph=false"], False),
        (["model.output_dropout=0.1"], False),
        (["model.dropout=0.1", "model.num_layers=2"], False),
        (["optimizer=sgd"], False),
        (["trainer.detect_anomaly=true"], False),
    ],
)
def test_a_step_is_recorded_where_nothing_is_drawn_and_rates_are_tensors(overrides, graphed):
    assert can_be_graphed(config_of(*overrides), None) == graphed
    assert not can_be_graphed(config_of(*overrides), torch.amp.GradScaler("cpu"))
