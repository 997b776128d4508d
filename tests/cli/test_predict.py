"""The command: python -m src.predict run=… images=… [output=…]."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from recurrent_cells.cli.predict import main
from recurrent_cells.data.idx import read_idx
from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.trial.train import train
from tests.conftest import Answer
from tests.support import TINY, compose_config, python, without_classes, write_data_set


@pytest.fixture
def trial(begin_with):
    """The record of a finished trial on images of 6 × 5."""
    (record,) = trial_records(begin_with(train_long))
    return record


def train_long(folder):
    train(compose_config(*TINY, f"data.root={write_data_set(folder / 'data')}", "trainer.max_epochs=60"))


@pytest.fixture
def predict(capsys):
    def run(*arguments):
        code = 0
        try:
            main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
        return Answer(code, *capsys.readouterr())

    return run


@pytest.fixture
def pictures(tmp_path, idx_folder):
    """A folder with the test images as PNG, named by their number."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index, pixels in enumerate(read_idx(idx_folder / "t10k-images-idx3-ubyte", 3).array):
        Image.fromarray(pixels).save(folder / f"{index:02}.png")
    return folder


def as_json(answer):
    return [json.loads(line) for line in answer.out.splitlines()]


def test_the_test_images_as_files_give_the_accuracy_of_the_run(trial, pictures, idx_folder, predict):
    answer = predict(f"run={trial.run_id[:8]}", f"images={pictures}", "output=json")
    labels = read_idx(idx_folder / "t10k-labels-idx1-ubyte", 1).array
    rows = as_json(answer)
    assert [row["file"] for row in rows] == sorted(str(path) for path in pictures.iterdir())
    right = [row["label"] == label for row, label in zip(rows, labels, strict=True)]
    assert np.mean(right) == pytest.approx(trial.metrics["test/acc"])
    assert list(rows[0]) == ["file", "label", "probability", "runner_up", "runner_up_probability", "inverted", "blank"]
    assert not any(row["inverted"] or row["blank"] for row in rows)
    assert all(0 <= row["runner_up_probability"] <= row["probability"] <= 1 for row in rows)
    assert answer.code == 0


def test_an_image_and_its_negative_have_one_answer(trial, pictures, predict):
    light = Image.open(pictures / "03.png")
    Image.fromarray(255 - np.asarray(light)).save(pictures / "negative.png")
    one, other = as_json(
        predict("run=best", f"images={pictures / '03.png'}", f"images={pictures / 'negative.png'}", "output=json")
    )
    assert other["inverted"]
    assert other["label"] == one["label"]
    assert other["probability"] == pytest.approx(one["probability"])


def test_text_says_the_run_the_answer_and_what_was_found(trial, pictures, predict):
    Image.new("L", (40, 40), 255).save(pictures / "blank.png")
    answer = predict("run=best", f"images={pictures}/0[01].png", f"images={pictures / 'blank.png'}")
    head, first, _, blank = answer.out.splitlines()
    assert head == f"{trial.name}, run {trial.run_id}:"
    assert first.startswith(f"{pictures}/00.png: 0 (")
    assert blank.endswith("; inverted; blank: there is nothing to read")


@pytest.mark.parametrize("name", ["a b.png", "[01].png", "a=b,c.png", "~.png", "*.png", "ä'\".png", "00.png?"])
def test_a_file_that_is_there_is_taken_by_its_name(trial, pictures, predict, name):
    (pictures / "05.png").rename(pictures / name)
    (row,) = as_json(predict("run=best", f"images={pictures / name}", "output=json"))
    assert row["file"] == str(pictures / name)


def test_a_name_that_cannot_be_printed_takes_one_line(trial, pictures, predict):
    (pictures / "01.png").rename(pictures / os.fsdecode(b"new\nline\xff.png"))
    answer = predict("run=best", f"images={pictures}/new*")
    assert "/new\\nline\\udcff.png': " in answer.out
    assert answer.out.count("\n") == 2


def test_an_image_from_standard_input(trial, pictures, predict, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((pictures / "02.png").read_bytes())))
    (row,) = as_json(predict("run=best", "images=-", "output=json"))
    assert (row["file"], row["label"]) == ("-", 2)


def test_what_is_no_image_is_said_and_the_others_go_on(trial, pictures, predict, tmp_path):
    bad = tmp_path / "bad"
    (bad / "empty").mkdir(parents=True)
    (bad / "text.png").write_text("no image")
    whole = io.BytesIO()
    Image.fromarray(np.random.RandomState(0).randint(0, 255, (90, 90)).astype(np.uint8)).save(whole, "PNG")
    (bad / "truncated.png").write_bytes(whole.getvalue()[:2000])
    (bad / "bomb.bmp").write_bytes(
        b"BM" + np.array([58, 0, 54, 40, 30000, 30000], "<u4").tobytes() + np.array([1, 8], "<u2").tobytes() + bytes(24)
    )
    os.mkfifo(bad / "pipe.png")
    answer = predict("run=best", f"images={bad}/*", f"images={pictures / '00.png'}", "output=json")
    assert answer.code == 1
    assert [row["file"] for row in as_json(answer)] == [str(pictures / "00.png")]
    faults = [line.removeprefix(f"{bad}/").partition(":")[0] for line in answer.err.splitlines()]
    assert faults == ["bomb.bmp", "empty", "pipe.png", "text.png", "truncated.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "run= is missing; allowed is a trial's run id"),
        (["run=best"], "images= or series=: neither given, allowed is one; a file"),
        (["run=best", "images="], "images=: a value is missing"),
        (["run=best", "image=x"], "image=x: no such key; allowed are run=, images=, series=, output="),
        (["run=best", "images=.", "output=xml"], "output=xml: allowed is text or json"),
        (["run=best", "images=nowhere/*.png"], "images=nowhere/*.png: no such file"),
        (["run=best", "images=nowhere/[.png"], "images=nowhere/[.png: no such file"),
        (["run=best", "images=" + 500 * "x"], "no such file"),
        (["run=best", "images=."], "run=best: no trial is finished"),
        (["run=abcdef", "images=."], "run=abcdef: no such run"),
    ],
)
def test_bad_input(store_file, predict, arguments, words):
    answer = predict(*arguments)
    assert answer.code == 2
    assert words in answer.err
    assert answer.err.count("\n") == 1
    assert answer.out == ""


def test_a_network_without_classes_answers_with_numbers(trial, pictures, predict, monkeypatch):
    without_classes(monkeypatch)
    (row,) = as_json(predict("run=best", f"images={pictures / '00.png'}", "output=json"))
    assert len(row["values"]) == 4
    said = predict("run=best", f"images={pictures / '00.png'}").out.splitlines()[1]
    assert said == f"{pictures}/00.png: {', '.join(f'{value:.6g}' for value in row['values'])}"


def test_help(predict):
    assert "output: text or json" in predict("--help").out


@pytest.mark.slow
def test_as_a_command_and_a_reader_who_leaves_early(trial, pictures):
    assert python("-m", "src.predict", "run=best", f"images={pictures}").stdout.count("\n") == 21
    shell = f"{sys.executable} -m src.predict run=best images={pictures} | head -1"
    left = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False, timeout=60)
    assert left.stdout.startswith(trial.name)
    assert left.stderr == ""
