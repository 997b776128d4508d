"""What the pictures of a trial show."""

import numpy as np
import pytest
import torch

from recurrent_cells.data.reading import Reading
from recurrent_cells.data.splits import Split, Splits
from recurrent_cells.training.pictures import draw_confusion, draw_numbers, first_sequences


def splits(targets, names=None, is_image=False, lengths=None, features=3):
    sequences = torch.arange(len(targets) * 6 * features, dtype=torch.float32).view(-1, 6, features)
    split = Split(sequences, targets, lengths)
    classes = 0 if targets.is_floating_point() else int(targets.max()) + 1
    return Splits(split, split, split, classes, names, is_image, (6, features), Reading("rows"), "", 0.0, 1.0)


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def test_of_data_sorted_by_class_the_first_of_each_are_shown():
    sorted_by_class = torch.arange(10).repeat_interleave(50)
    assert titles(first_sequences(splits(sorted_by_class, is_image=True))) == [str(label) for label in range(10)]
    two = torch.tensor([1, 1, 1, 1, 1, 1, 0])
    assert titles(first_sequences(splits(two, names=("low", "high")))) == ["low", *["high"] * 5]


def test_each_of_many_classes_has_a_picture():
    letters = torch.arange(26).repeat_interleave(3)
    assert titles(first_sequences(splits(letters, is_image=True))) == [str(label) for label in range(26)]


def test_a_series_is_drawn_to_its_last_step_a_curve_for_each_feature():
    figure = first_sequences(splits(torch.tensor([0.5, 2]), lengths=torch.tensor([4, 6])))
    assert titles(figure) == ["0.5", "2"]
    assert [[len(line.get_xdata()) for line in axes.lines] for axes in figure.axes] == [[4] * 3, [6] * 3]


@pytest.mark.parametrize("features", [13, 40])
def test_a_series_of_many_features_is_drawn_as_an_image(features):
    figure = first_sequences(splits(torch.tensor([0, 1]), features=features))
    assert [axes.images[0].get_array().shape for axes in figure.axes] == [(features, 6)] * 2


def test_predicted_against_true_is_a_panel_for_each_number(tmp_path):
    answers, targets = np.random.rand(2, 20, 4).astype(np.float32)
    figure = draw_numbers(answers, targets)
    assert len(figure.axes) == 4
    for output, axes in enumerate(figure.axes):
        drawn = axes.collections[0].get_offsets()
        ends = axes.lines[0].get_xydata()
        assert (ends[:, 0] == ends[:, 1]).all()
        assert ends[0, 0] <= drawn.min() < drawn.max() <= ends[1, 0]
        np.testing.assert_allclose(drawn, np.stack([targets[:, output], answers[:, output]], axis=1), rtol=1e-6)


@pytest.mark.parametrize("names", [None, ("low", "high")])
def test_a_confusion_matrix_is_written(tmp_path, names):
    draw_confusion([[3, 1], [0, 2]], names, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_names_of_classes_are_no_formulas(tmp_path):
    names = ("$1_$2", "$^$")
    first_sequences(splits(torch.tensor([0, 1]), names=names)).savefig(tmp_path / "first.png")
    draw_confusion([[3, 1], [0, 4]], names, tmp_path / "confusion.png")
