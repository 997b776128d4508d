"""The command: python -m src.evaluate run=… [data=…] [data.root=…] [output=…]."""

import json

import pytest

from recurrent_cells.cli.evaluate import main
from tests.support import refusal, train_tiny, write_data_set


def test_it_prints_scores_as_text(store_file, idx_folder, capsys):
    trained = train_tiny(idx_folder)
    capsys.readouterr()
    main(["run=best"])
    said = capsys.readouterr()
    assert said.out.startswith(f"lstm-h8x1-s0 (run {trained.record.run_id}) on 20 test examples of data=idx\naccuracy ")
    for title in ("Each class", "Confusions", "Calibration", "Accuracy after each step"):
        assert title in said.out
    assert said.err == ""


def test_it_prints_one_json_object(store_file, idx_folder, tmp_path, capsys):
    trained = train_tiny(idx_folder)
    other = write_data_set(tmp_path / "other", test=30)
    capsys.readouterr()
    main([f"run={trained.record.run_id[:8]}", "data=idx", f"data.root={other}", "output=json"])
    said = capsys.readouterr()
    scores = json.loads(said.out)
    assert (scores["run_id"], scores["count"]) == (trained.record.run_id, 30)
    assert 0 <= scores["interval"][0] <= scores["accuracy"] <= scores["interval"][1] <= 1
    assert said.err == f"{scores['warning']}\n"


def test_help(capsys):
    main(["--help"])
    assert "run: a trial's run id" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "run= is missing; allowed is a trial's run id"),
        (["runs=x"], "runs=x: no such key; allowed are run=, data=, data.root=, extensions=, output="),
        (["run="], "run=: a value is missing"),
        (["run=best"], "run=best: no trial is finished"),
        (["run=abcd"], "run=abcd: no such run"),
        (["run=best", "output=xml"], "output=xml: allowed is text or json"),
    ],
)
def test_bad_input(store_file, capsys, arguments, words):
    assert words in refusal(main, arguments, capsys)
