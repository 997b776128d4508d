"""The report as a reader gets it: page, Markdown, tables, pictures, and the same in MLflow."""

import csv
import re
import shutil
from collections.abc import Iterator

import pytest

from recurrent_cells.reports.configurations import configurations
from recurrent_cells.reports.figures import pareto_front, styles
from recurrent_cells.reports.write import Written, report_sweep, write_report
from recurrent_cells.sweeps.results import read_sweeps
from recurrent_cells.tables import CELLS
from recurrent_cells.tracking.store import open_store
from tests.written_sweeps import Made, write_sweep

TRIALS = [
    Made("simple_rnn", 0, 0.960, confusion="8,2\n0,10\n"),
    Made("simple_rnn", 1, 0.961),
    Made("simple_rnn", 2, 0.959),
    Made("gru", 0, 0.9801),
    Made("gru", 1, 0.9808),
    Made("gru", 2, 0.9791),
    Made("lstm", 0, 0.981),
    Made("lstm", 1, state="FAILED", tags={"error": "the loss is <nan>"}),
    Made("lstm", 2, state="missing"),
]


@pytest.fixture(scope="module")
def written(tmp_path_factory, empty_store) -> Iterator[Written]:
    """The report of these trials, written once."""
    folder = tmp_path_factory.mktemp("report")
    shutil.copy(empty_store, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        store = open_store("recurrent-cells")
        yield write_report(store, write_sweep(store, folder, *TRIALS, name="cells & <seeds>"))


def rows(page, table):
    with (page.parent / "tables" / f"{table}.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_verdict_and_the_tables(written):
    assert written.headline[-1] == "GRU beats SimpleRNN by 2.00 ± 0.04 points (p < 0.001, 3 seeds)."
    results = rows(written.page, "results")
    assert [row["configuration"] for row in results] == ["LSTM", "GRU", "SimpleRNN"]
    assert float(results[1]["test/acc"]) == pytest.approx(0.98)
    assert [(row["trial"], row["state"], row["error"]) for row in rows(written.page, "unfinished")] == [
        ("lstm-h8x1-s1", "failed", "the loss is <nan>"),
        ("lstm-h8x1-s2", "missing", ""),
    ]
    assert len(rows(written.page, "trials")) == 7
    assert rows(written.page, "most_confused")[0] == {
        "": "0 read as 1",
        "SimpleRNN": "13.33",
        "GRU": "10.00",
        "LSTM": "10.00",
    }


def test_the_page_holds_all_it_shows(written):
    html = written.page.read_text()
    assert "<title>Report: cells &amp; &lt;seeds&gt;</title>" in html
    assert "the loss is &lt;nan&gt;" in html
    assert re.findall(r'(?:src|href)="(?!data:)', html) == []
    pictures = {path.stem for path in (written.page.parent / "figures").glob("*.svg")}
    assert len(re.findall("<img ", html)) == len(pictures) == 13
    assert {path.stem for path in (written.page.parent / "figures").glob("*.png")} == pictures


def test_the_markdown_names_pictures_that_exist(written):
    text = (written.page.parent / "report.md").read_text()
    pictures = re.findall(r"\]\((figures/.*?)\)", text)
    assert len(pictures) == 13
    assert all((written.page.parent / name).is_file() for name in pictures)
    assert "| GRU | 98.00 ± 0.21 | 0.09 | 3 |" in text


def test_the_parent_run_holds_the_report(store, make_sweep):
    parent = make_sweep(Made("gru", 0), Made("lstm", 0))
    write_report(store, parent)
    assert {file.path for file in store.client.list_artifacts(parent, "report")} == {
        "report/figures",
        "report/report.html",
        "report/report.md",
        "report/tables",
    }
    note = store.client.get_run(parent).data.tags["mlflow.note.content"]
    assert note.startswith("No two trials share more than one seed: nothing can be concluded")
    assert "| GRU | 90.00 |" in note


def test_joined_sweeps_have_a_report_in_each(store, make_sweep):
    a, b = make_sweep(Made("gru", 0), name="a"), make_sweep(Made("lstm", 0), name="b")
    page = write_report(store, f"{a},{b}").page
    assert page.parent.name == f"{a[:8]}+{b[:8]}"
    for parent in (a, b):
        assert [it.path for it in store.client.list_artifacts(parent, "report")] == [
            f"report/joined-{page.parent.name}"
        ]


def test_an_older_report_leaves_nothing_behind(store, make_sweep):
    parent = make_sweep(Made("gru", 0))
    stray = store.folder / "reports" / parent / "figures" / "stray.png"
    stray.parent.mkdir(parents=True)
    stray.touch()
    assert write_report(store, parent).page.parent == stray.parent.parent
    assert not stray.exists()


def test_a_sweep_without_finished_trials_says_so(store, make_sweep):
    written = write_report(store, make_sweep(Made("gru", 0, state="KILLED")))
    assert written.headline == ("No trial is finished: there is nothing to compare.",)
    assert "gru-h8x1-s0" in written.page.read_text()


def test_at_the_end_of_a_sweep_a_fault_is_one_line(store, make_sweep, capsys, caplog):
    report_sweep(store, make_sweep(Made("gru", 0)))
    assert capsys.readouterr().out.startswith("Report: ")
    report_sweep(store, "feed")
    (record,) = (it for it in caplog.records if it.name.startswith("recurrent_cells.reports"))
    assert "no report could be written (sweep=feed: no such sweep" in record.getMessage()


def test_a_cell_has_the_colour_it_has_in_mlflow(store, make_sweep):
    _, data = read_sweeps(store, make_sweep(*(Made(cell, 0) for cell in ("gru", "new_cell"))))
    look = styles(configurations(data.finished))
    assert look["GRU"].color == CELLS["gru"].color
    assert look["new_cell"].color not in {CELLS[cell].color for cell in CELLS.names}


def test_the_pareto_front():
    points = [(1.0, 0.5), (2.0, 0.4), (3.0, 0.7), (3.0, 0.6), (4.0, 0.7)]
    assert pareto_front(points, higher_is_better=True) == [(1.0, 0.5), (3.0, 0.7)]
    assert pareto_front(points, higher_is_better=False) == [(1.0, 0.5), (2.0, 0.4)]


@pytest.mark.parametrize("width", [1200, 390])
def test_a_browser_draws_every_picture(written, browser, width):
    page = browser.new_page(viewport={"width": width, "height": 800})
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(written.page.as_uri())
    drawn = page.evaluate("[...document.images].map(picture => picture.complete && picture.naturalWidth > 0)")
    assert drawn == [True] * 13
    assert page.evaluate("document.documentElement.scrollWidth") <= width  # nothing hangs over the edge
    assert errors == []
