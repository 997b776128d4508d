"""The command: python -m src.report [sweep=…] [metric=…] [margin=…]."""

import pytest

from recurrent_cells.cli.report import main
from recurrent_cells.reports import write
from recurrent_cells.tracking import database
from tests.support import refusal
from tests.written_sweeps import Made, make_sweep, store, undrawn

__all__ = ["make_sweep", "store", "undrawn"]  # fixtures

pytestmark = pytest.mark.usefixtures("undrawn")


def test_it_says_the_verdict_and_where_the_page_is(make_sweep, capsys, tmp_path):
    parent = make_sweep(*(Made(cell, seed, 0.9) for cell in ("gru", "lstm") for seed in (0, 1)))
    main(["metric=test/acc"])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "GRU and LSTM are equal on every seed, without any spread to judge that by.",
        f"Report: {tmp_path}/reports/{parent}/report.html",
    ]


def test_a_store_that_cannot_be_written_is_reported_on_and_stays_as_it_is(
    make_sweep, store, capsys, tmp_path, monkeypatch
):
    parent = make_sweep(*(Made("gru", seed, 0.9) for seed in (0, 1)))
    store.disconnect()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr(database, "is_writable", lambda _: False)
    monkeypatch.setattr(write, "REPORTS", tmp_path / "elsewhere")
    main([])
    page = tmp_path / "elsewhere" / parent / "report.html"
    assert capsys.readouterr().out.splitlines()[-1] == f"Report: {page}"
    assert page.exists()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    monkeypatch.setattr(write, "REPORTS", tmp_path / "mlflow.db")
    assert "the report cannot be written there" in refusal(main, [], capsys)


def test_a_margin_is_in_points(make_sweep, capsys):
    make_sweep(*(Made(cell, seed, 0.9 + seed / 1000) for cell in ("gru", "lstm") for seed in (0, 1, 2)))
    main(["margin=1"])
    assert capsys.readouterr().out.startswith("GRU and LSTM are equal within 1 point: they differ by at most 0.")


def test_help(capsys):
    main(["--help"])
    assert "sweep: latest" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["metrics=x"], "metrics=x: no such key; allowed are sweep=, metric=, margin=, format="),
        (["sweep="], "sweep=: a value is missing"),
        (["sweep=abcd"], "sweep=abcd: no such sweep"),
        (["margin=-1"], "margin=-1: allowed is a number above 0"),
        (["margin=x"], "margin=x: allowed is a number above 0"),
        (["metric=test/f1"], "metric=test/f1: no finished trial has it; allowed are epoch, "),
    ],
)
def test_bad_input(make_sweep, capsys, arguments, words):
    make_sweep(Made("gru", 0))
    assert words in refusal(main, arguments, capsys)


def test_a_store_without_sweeps(store, capsys):
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 2
    assert "has no sweep" in capsys.readouterr().err
