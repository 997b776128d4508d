"""The command python -m src.predict on series: JSON, .npz and CSV."""

import io
import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from recurrent_cells.cli.predict import main
from recurrent_cells.inference.held_out import load_held_out
from recurrent_cells.inference.series_files import read_series
from recurrent_cells.inference.trained import find_winner, load_trained
from tests.conftest import Answer
from tests.inference.series import train_series


@pytest.fixture
def trained(begin_with):
    store = begin_with(train_series)
    return load_trained(store, find_winner(store, "best"))


@pytest.fixture
def values(trained):
    return load_held_out(trained).values


@pytest.fixture
def predict(capsys):
    def run(*arguments):
        capsys.readouterr()
        code = 0
        try:
            main(("run=best", *arguments))
        except SystemExit as end:
            code = int(end.code or 0)
        return Answer(code, *capsys.readouterr())

    return run


def rows(answer):
    assert (answer.code, answer.err) == (0, "")
    return [json.loads(line) for line in answer.out.splitlines()]


def as_csv(values, header="left,right\n"):
    return header + "\n".join(",".join(map(str, step)) for step in values.tolist())


@pytest.mark.slow
def test_every_form_of_file_has_one_answer(trained, values, predict, tmp_path):
    (tmp_path / "all.json").write_text(json.dumps(values.tolist()))
    (tmp_path / "named.json").write_text(json.dumps({"values": values.tolist(), "lengths": [12] * len(values)}))
    np.savez(tmp_path / "all.npz", x=values)
    likely = trained.logits(values).softmax(dim=1).numpy()
    for name in ("all.json", "named.json", "all.npz"):
        found = rows(predict(f"series={tmp_path / name}", "output=json"))
        assert [row["label"] for row in found] == likely.argmax(axis=1).tolist()
        assert [row["series"] for row in found] == [str(place) for place in range(len(values))]
        assert [row["name"] for row in found] == [trained.names[label] for label in likely.argmax(axis=1)]
        assert [row["probability"] for row in found] == pytest.approx(likely.max(axis=1), abs=1e-6)
    for name, content in (("a.csv", as_csv(values[3])), ("b.csv", as_csv(values[3], "").replace(",", ";"))):
        (tmp_path / name).write_text(content)
        (row,) = rows(predict(f"series={tmp_path / name}", "output=json"))
        assert row["probability"] == pytest.approx(likely[3].max(), abs=1e-6)
        assert "series" not in row


def test_text_names_the_classes_and_a_folder_is_read(trained, values, predict, tmp_path):
    folder = tmp_path / "recorded"
    folder.mkdir()
    (folder / "one.csv").write_text(as_csv(values[0]))
    np.savez(folder / "two.npz", x=values[1:3])
    (folder / "notes.txt").write_text("not read")
    head, *answers = predict(f"series={folder}").out.splitlines()
    assert head == f"{trained.record.name}, run {trained.record.run_id}:"
    names = [trained.names[label] for label in trained.logits(values[:3]).argmax(dim=1)]
    assert [line.partition(" (")[0] for line in answers] == [
        f"{folder}/one.csv: {names[0]}",
        f"{folder}/two.npz, series 0: {names[1]}",
        f"{folder}/two.npz, series 1: {names[2]}",
    ]


def test_a_series_from_standard_input(trained, values, predict, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(values[0].tolist()).encode())))
    (row,) = rows(predict("series=-", "output=json"))
    assert row["name"] == trained.names[row["label"]]


def test_a_regression_answers_with_numbers(store_file, tmp_path, predict):
    trained = train_series(tmp_path, "data=means", "task=number")
    values = load_held_out(trained).values
    np.savez(tmp_path / "all.npz", x=values)
    found = rows(predict(f"series={tmp_path / 'all.npz'}", "output=json"))
    assert np.array([row["values"] for row in found]) == pytest.approx(trained.logits(values).numpy(), abs=1e-6)
    assert f": {found[0]['values'][0]:.6g}\n" in predict(f"series={tmp_path / 'all.npz'}").out


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", "the file is empty"),
        ("header.csv", b"left,right\n", "a line of names and no step"),
        ("three.csv", b"1,2,3\n4,5,6", "series of 2 x 3, but run lstm-h8x1-s0 was trained on series of 2 features"),
        ("ragged.csv", b"1,2\n4", "line 2: 1 columns, but 2 in the first"),
        ("word.csv", b"1,2\n3,four", "row 1: 'four' is no number"),
        ("gap.csv", b"1,2\n3,\n5,6", "step 1, feature 1 is nan"),
        ("binary.csv", b"\xff\xfe\x00\x01", "neither JSON, .npz or CSV"),
        ("cut.json", b'{"values": [[1, 2]', "not JSON"),
        ("keys.json", b'{"x": [[1, 2]]}', "an object with x; allowed are values and lengths"),
        ("zero.json", b'{"values": [[[1, 2]]], "lengths": [0]}', "lengths: 0 for series 0; allowed is 1 to 1"),
        ("long.json", b'{"values": [[[1, 2]]], "lengths": [9]}', "lengths: 9 for series 0; allowed is 1 to 1"),
        ("nan.json", b"[[NaN, 2], [3, 4]]", "step 0, feature 0 is nan"),
        ("damaged.npz", b"PK\x03\x04 and nothing", "not an .npz file of numpy.savez, or damaged"),
    ],
)
def test_what_is_no_series_is_said_in_a_line_and_the_others_go_on(
    trained, values, predict, tmp_path, name, content, words
):
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.csv").write_text(as_csv(values[0]))
    answer = predict(f"series={tmp_path / name}", f"series={tmp_path / 'good.csv'}", "output=json")
    assert answer.code == 1
    assert answer.err.startswith(f"{tmp_path / name}: ")
    assert words in answer.err
    assert answer.err.count("\n") == 1
    assert len(answer.out.splitlines()) == 1


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"y": np.zeros((1, 3, 2))}, "no array x among y"),
        ({"x": np.array([[1], [1, 2]], dtype=object)}, "x holds Python objects, which are not read"),
        ({"x": np.array([[["a", "b"]]])}, "values of type <U1; allowed are numbers"),
        ({"x": np.zeros((1, 3, 2, 2))}, "values of shape (1, 3, 2, 2); allowed are (N, T, F)"),
        ({"x": np.zeros((0, 3, 2))}, "there is no series"),
        ({"x": np.zeros((1, 0, 2))}, "no step has a number"),
        ({"x": np.zeros((1, 3, 2)), "lengths": [4]}, "lengths: 4 for series 0; allowed is 1 to 3"),
        ({"x": np.full((1, 3, 2), np.inf)}, "step 0, feature 0 is inf"),
    ],
)
def test_arrays_that_are_no_series_are_refused(trained, predict, tmp_path, arrays, words):
    np.savez(tmp_path / "x.npz", **arrays)
    answer = predict(f"series={tmp_path / 'x.npz'}")
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert words in answer.err


def test_images_are_refused_where_series_were_trained_on(trained, predict, tmp_path):
    answer = predict(f"images={tmp_path}")
    assert (answer.code, answer.out) == (2, "")
    run = "run lstm-h8x1-s0 was trained on series of 2 features"
    assert answer.err == f"images=: {run}; give series=FILES\n"


@pytest.mark.parametrize("names", [("0", "1"), ("inflow", "nanometres"), ("1st", "2nd")])
def test_a_line_of_names_is_none_of_numbers(trained, values, names):
    series = replace(trained, feature_names=names)
    for order in (names, names[::-1]):
        columns = values[3][:, [names.index(name) for name in order]]
        content = as_csv(columns, f"{','.join(order)}\n").encode()
        (found,), _ = read_series(content, series)
        assert found == pytest.approx(values[3])
