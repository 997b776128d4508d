"""The command: python -m src.export run=… format=… [to=…]."""

import pytest

from recurrent_cells.cli.export import main
from recurrent_cells.errors import ExportError
from recurrent_cells.inference import export as exporting
from tests.support import refusal, train_tiny


def test_it_writes_a_file_and_says_how_far_its_logits_are_off(store_file, idx_folder, tmp_path, capsys):
    trained = train_tiny(idx_folder, "trainer.max_steps=2")
    capsys.readouterr()
    main(["run=best", "format=torch", f"to={tmp_path}/network.pt2"])
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{tmp_path}/network.pt2: images (N, 6, 5) in float32, 0 to 255 → logits (N, 4)"
    assert second.startswith("its outputs differ by at most ")
    assert second.endswith(trained.record.run_id)
    assert (tmp_path / "network.pt2").exists()


def test_logits_that_differ_are_a_failure(store_file, idx_folder, tmp_path, capsys, monkeypatch):
    def export(*_):
        raise ExportError("they differ")

    train_tiny(idx_folder, "trainer.max_steps=2")
    monkeypatch.setattr(exporting, "export", export)
    with pytest.raises(SystemExit) as end:
        main(["run=best", "format=torch", f"to={tmp_path}/network.pt2"])
    assert end.value.code == 1
    assert capsys.readouterr().err.endswith("they differ\n")


def test_a_folder_that_is_not_there(store_file, idx_folder, tmp_path, capsys):
    train_tiny(idx_folder, "trainer.max_steps=2")
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["run=best", "format=torch", f"to={tmp_path}/none/network.pt2"])
    assert end.value.code == 2
    assert "cannot be written (No such file or directory); give to=FILE" in capsys.readouterr().err


def test_help(capsys):
    main(["--help"])
    assert "format: onnx or torch" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "run= is missing"),
        (["run=best"], "format= is missing; allowed is onnx or torch"),
        (["run=best", "format=tflite"], "format=tflite: allowed is onnx or torch"),
        (["run=best", "format=torch"], "run=best: no trial is finished"),
        (["run=champion", "format=torch"], "run=champion: sqlite:///"),
        (["into=x"], "into=x: no such key; allowed are run=, format=, to="),
    ],
)
def test_bad_input(store_file, capsys, arguments, words):
    assert words in refusal(main, arguments, capsys)
