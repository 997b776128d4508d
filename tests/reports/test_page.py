"""The report as a reader gets it: page, Markdown, tables, pictures, and the same in MLflow."""

import csv
import re
import shutil
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from recurrent_cells.reports.blocks import Competition
from recurrent_cells.reports.compose import compose
from recurrent_cells.reports.configurations import configurations
from recurrent_cells.reports.document import Pictures
from recurrent_cells.reports.figures import pareto_front, styles
from recurrent_cells.reports.markdown import as_markdown
from recurrent_cells.reports.metric import Metric
from recurrent_cells.reports.tables import comparisons
from recurrent_cells.reports.write import Written, report_sweep, write_report
from recurrent_cells.statistics.comparisons import Comparison
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


@pytest.mark.slow
def test_the_verdict_and_the_tables(written):
    assert "GRU beats SimpleRNN by 2.0 ± 0.3 points." in written.headline
    assert "One seed cannot tell LSTM from GRU: nothing can be concluded." in written.headline
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
    assert "| GRU | 98.00 ± 0.37 | 0.09 | 3 |" in text


def test_the_parent_run_holds_the_report(store, make_sweep, undrawn):
    parent = make_sweep(Made("gru", 0), Made("lstm", 0))
    write_report(store, parent)
    assert {file.path for file in store.client.list_artifacts(parent, "report")} == {
        "report/figures",
        "report/report.html",
        "report/report.md",
        "report/tables",
    }
    note = store.client.get_run(parent).data.tags["mlflow.note.content"]
    assert note.startswith("There are no two configurations of two seeds or more: nothing can be concluded")
    assert "| GRU | 90.00 |" in note


def test_joined_sweeps_have_a_report_in_each(store, make_sweep, undrawn):
    a, b = make_sweep(Made("gru", 0), name="a"), make_sweep(Made("lstm", 0), name="b")
    page = write_report(store, f"{a},{b}").page
    assert page.parent.name == f"{a[:8]}+{b[:8]}"
    for parent in (a, b):
        assert [it.path for it in store.client.list_artifacts(parent, "report")] == [
            f"report/joined-{page.parent.name}"
        ]


def test_an_older_report_leaves_nothing_behind(store, make_sweep, undrawn):
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


def test_at_the_end_of_a_sweep_a_fault_is_one_line(store, make_sweep, undrawn, capsys, caplog):
    report_sweep(store, make_sweep(Made("gru", 0)))
    verdict, report = capsys.readouterr().out.splitlines()
    assert verdict == "There is only GRU: nothing to compare it with."
    assert report.startswith("Report: ")
    report_sweep(store, "feed")
    (record,) = (it for it in caplog.records if it.name.startswith("recurrent_cells.reports"))
    assert "no report could be written (sweep=feed: no such sweep" in record.getMessage()


def test_a_metric_of_an_extension_is_judged_as_the_runs_say(store, make_sweep, undrawn):
    tags = {"metric": "mse", "metric.higher_is_better": "false", "metric.is_share": "false"}
    cells = {"gru": 0.2, "lstm": 0.1}
    rates = {"0.1": 0.0, "0.2": 0.05}
    written = write_report(
        store,
        make_sweep(
            *(
                Made(cell, seed, value * (1 + seed / 100) + more, tags=tags, params={"optimizer.lr": rate})
                for cell, value in cells.items()
                for rate, more in rates.items()
                for seed in (0, 1)
            )
        ),
    )
    assert written.headline[0].startswith("LSTM lr 0.1 beats GRU lr 0.1 by 0.101 ± ")
    results = rows(written.page, "results")
    assert [row["configuration"] for row in results] == ["LSTM lr 0.1", "LSTM lr 0.2", "GRU lr 0.1", "GRU lr 0.2"]
    assert list(results[0])[3:7] == ["test/mse", "half_interval", "sd", "val/best_mse"]
    pictures = {path.stem for path in (written.page.parent / "figures").glob("*.svg")}
    assert {"val_mse_by_epoch", "val_loss_by_epoch"} <= pictures
    assert not any(name.startswith(("confusion", "hardest", "val_acc")) for name in pictures)


def test_a_cell_has_the_colour_it_has_in_mlflow(store, make_sweep):
    _, data = read_sweeps(store, make_sweep(*(Made(cell, 0) for cell in ("gru", "new_cell"))))
    look = styles(configurations(data))
    assert look["GRU"].color == CELLS["gru"].color
    assert look["new_cell"].color not in {CELLS[name].color for name in CELLS.names}


def test_the_pareto_front():
    points = [(1.0, 0.5), (2.0, 0.4), (3.0, 0.7), (3.0, 0.6), (4.0, 0.7)]
    assert pareto_front(points, higher_is_better=True) == [(1.0, 0.5), (3.0, 0.7)]
    assert pareto_front(points, higher_is_better=False) == [(1.0, 0.5), (2.0, 0.4)]


@pytest.mark.slow
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


def drawn(store, parent, name):
    """The figure of a report's picture, laid out."""
    document = compose(*read_sweeps(store, parent))
    pictures = [it for block in document.blocks if isinstance(block, Pictures) for it in block.pictures]
    figure = next(picture.figure for picture in pictures if picture.name == name)
    FigureCanvasAgg(figure).draw()
    return figure


def markdown(store, parent):
    """The report's text, without a picture drawn."""
    return as_markdown(compose(*read_sweeps(store, parent)), "")


def numbers(axis):
    low, high = sorted(axis.get_view_interval())
    return [
        it.get_text()
        for it in axis.get_ticklabels()
        if low <= it.get_position()[0 if axis.axis_name == "x" else 1] <= high
    ]


@pytest.mark.parametrize("seconds", [("46", "60"), ("12.1", "12.3"), ("5", "5"), ("1", "900")])
def test_no_axis_without_numbers(store, make_sweep, seconds):
    trials = [
        Made(cell, seed, 0.9 + seed / 1000, tags={"seconds": value})
        for cell, value in zip(("gru", "lstm"), seconds, strict=True)
        for seed in range(2)
    ]
    (axes,) = drawn(store, make_sweep(*trials), "cost_seconds").axes
    assert len([text for text in numbers(axes.xaxis) if text]) >= 2


@pytest.mark.slow
def test_an_interval_that_is_cut_off_has_a_mark(store, make_sweep):
    wide = [Made("gru", seed, 0.9 + seed / 100) for seed in range(2)]
    parent = make_sweep(*wide, *(Made("lstm", seed, 0.9 + seed / 1000) for seed in range(3)))
    (axes,) = drawn(store, parent, "seeds").axes
    assert {line.get_marker() for line in axes.lines} >= {"<", ">"}
    narrow = make_sweep(*(Made(cell, seed, 0.9 + seed / 1000) for cell in ("gru",) for seed in range(5)), name="narrow")
    (axes,) = drawn(store, narrow, "seeds").axes
    assert not {line.get_marker() for line in axes.lines} & {"<", ">"}


def test_each_data_has_a_picture_of_costs_with_its_own_pareto_front(store, make_sweep):
    trials = [
        Made(cell, 0, value, params={"data.name": data}, tags={"data.digest": data})
        for data, values in {"mnist": (0.9, 0.95), "kmnist": (0.7, 0.75)}.items()
        for cell, value in zip(("simple_rnn", "gru"), values, strict=True)
    ]
    parent = make_sweep(*trials)
    for place, heights in ((1, [90.0, 95.0]), (2, [70.0, 75.0])):
        (axes,) = drawn(store, parent, f"cost_parameters_{place}").axes
        assert [list(line.get_ydata()) for line in axes.lines] == [heights]


def test_one_seed_of_each_has_no_word_of_intervals(store, make_sweep):
    text = markdown(store, make_sweep(*(Made(cell, 0) for cell in ("gru", "lstm"))))
    assert "Results of one seed of each" in text
    assert "95 % interval" not in text
    assert "| difference |" not in text


def test_equal_seeds_have_no_interval(store, make_sweep):
    trials = [Made("gru", seed, 0.97) for seed in range(3)] + [
        Made("lstm", seed, 0.9 + seed / 100) for seed in range(3)
    ]
    assert "| GRU | 97.00 | 0.00 | 3 |" in markdown(store, make_sweep(*trials))


def test_a_report_says_of_how_many_it_draws_curves(store, make_sweep):
    trials = [Made("gru", 0, params={"optimizer.lr": str(rate)}) for rate in range(1, 9)]
    assert "Here and below are 6 of the 8 that are compared." in markdown(store, make_sweep(*trials))


def test_matrices_side_by_side_have_one_scale(store, make_sweep):
    good, bad = "10,0\n1,9\n", "5,5\n0,10\n"
    parent = make_sweep(Made("gru", 0, confusion=good), Made("lstm", 0, confusion=bad))
    limits = {drawn(store, parent, f"confusion_{cell}").axes[0].images[0].get_clim() for cell in ("gru", "lstm")}
    assert len(limits) == 1


def test_twelve_configurations_of_one_cell_look_different(store, make_sweep):
    trials = [Made("lstm", 0, params={"optimizer.lr": str(rate)}) for rate in range(1, 13)]
    look = styles(configurations(read_sweeps(store, make_sweep(*trials))[1]))
    assert len({style.color for style in look.values()}) == 12


def test_all_right_is_not_known_for_sure(store, make_sweep, undrawn):
    parent = make_sweep(*(Made(cell, 0, 1.0, confusion="10,0\n0,10\n") for cell in ("gru", "lstm")))
    text = (write_report(store, parent).page.parent / "report.md").read_text()
    assert "an accuracy of 100.0 % is itself only known to lie between 83.9 and 100.0 %" in text


@pytest.mark.slow
def test_curves_of_the_test_images_are_not_called_validation(store, make_sweep, undrawn):
    watched = {"protocol": "test-watched"}
    texts = [
        (write_report(store, make_sweep(*trials, name=name)).page.parent / "report.md").read_text()
        for name, trials in {
            "all": [Made("gru", 0, tags=watched)],
            "some": [Made("gru", 1, tags=watched), Made("lstm", 1)],
            "none": [Made("gru", 2)],
        }.items()
    ]
    assert "All on test examples, which these trials watched." in texts[0]
    assert "On validation examples, but on test examples: GRU." in texts[1]
    assert "All on validation examples." in texts[2]


@pytest.mark.parametrize("p", [0.04996, 0.05004])
def test_p_shows_on_which_side_of_5_per_cent_it_lies(p):
    pairs = [Comparison("GRU", "LSTM", (3, 3), 0.01, 0.0099 if p < 0.05 else 0.0101, p)]
    shown = comparisons(
        [Competition("", [], [SimpleNamespace(block="b")], pairs, {})], Metric("test/acc", is_share=True)
    )
    assert (float(shown.columns["p"][0]) < 0.05) == (p < 0.05)


@pytest.mark.slow
def test_what_guessing_comes_to_stands_beside_results_of_a_made_task(store, make_sweep, undrawn):
    trials = [Made(cell, seed, params={"data.name": "parity"}) for cell in ("gru", "lstm") for seed in (0, 1)]
    text = (write_report(store, make_sweep(*trials)).page.parent / "report.md").read_text()
    assert "Guessing comes to test/acc 50.00 % on data=parity." in text
    others = [Made("gru", seed) for seed in (0, 1)]
    assert "Guessing" not in (write_report(store, make_sweep(*others)).page.parent / "report.md").read_text()


def test_recalls_are_shown_where_classes_are_uneven(store, make_sweep, undrawn):
    uneven, even = "10,10\n0,60\n", "20,20\n20,20\n"
    page = write_report(store, make_sweep(Made("gru", 0, confusion=uneven), Made("lstm", 0, confusion=uneven))).page
    assert rows(page, "recalls") == [
        {"": "balanced accuracy", "GRU": "75.0", "LSTM": "75.0"},
        {"": "0", "GRU": "50.0", "LSTM": "50.0"},
        {"": "1", "GRU": "100.0", "LSTM": "100.0"},
    ]
    parent = make_sweep(Made("gru", 1, confusion=even), Made("lstm", 1, confusion=even), name="even")
    page = write_report(store, parent).page
    assert not (page.parent / "tables" / "recalls.csv").exists()
