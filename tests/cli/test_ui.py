"""What a user sees in the MLflow UI, in a real browser."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest

from recurrent_cells.reports.write import write_report
from recurrent_cells.tables import CELLS
from recurrent_cells.tracking.names import Tag
from src import REPOSITORY
from tests.support import within, write_data_set
from tests.written_sweeps import Made, make_sweep, store

__all__ = ["make_sweep", "store"]  # fixtures

# MLflow's page says these of itself, whatever it shows.
MLFLOWS_OWN = ("ResizeObserver loop", "the server responded with a status of 404")


@pytest.fixture
def ui(store) -> Iterator[str]:
    """`make ui` over this test's store; its output up to where it can be used."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "src.ui", str(port)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        said = "".join(process.stdout.readline() for _ in range(3))

        def answers() -> bool:
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).status == 200
            except OSError:
                return False

        within(120, answers)
        yield said
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


@pytest.mark.slow
def test_a_browser_shows_curves_trials_and_report(ui, make_sweep, store, browser):
    hidden_size = {"model.hidden_size": "8"}
    colours = {cell: CELLS[cell].color for cell in ("simple_rnn", "lstm", "gru")}
    trials = [
        Made(cell, seed, 0.9 + 0.01 * seed, params=hidden_size, tags={Tag.RUN_COLOR: colours[cell]})
        for cell in ("simple_rnn", "lstm", "gru")
        for seed in (0, 1)
    ]
    parent = make_sweep(*trials)
    write_report(store, parent)
    errors: list[str] = []
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    charts, seeds, table = re.findall(r"http://\S+", ui)

    page.goto(charts)
    page.get_by_text("Group: gru").wait_for()
    assert page.get_by_text("Group:").count() == 3
    page.locator("h3, h4, div", has_text=re.compile("^val/acc$")).first.wait_for()
    page.locator("path.js-line").first.wait_for()

    page.goto("about:blank")
    page.goto(seeds)
    page.get_by_text("gru-h8x1-s1").first.wait_for()
    page.locator("path.js-line").first.wait_for()
    drawn = page.locator("path.js-line").evaluate_all("all => all.map(line => line.style.stroke)")
    shades = {tuple(bytes.fromhex(colour[1:])) for colour in colours.values()}
    assert {tuple(map(int, re.findall(r"\d+", stroke)[:3])) for stroke in drawn} == shades

    page.goto("about:blank")
    page.goto(table)
    page.get_by_text("Parameters", exact=True).wait_for()
    page.get_by_text("gru-h8x1-s1").first.wait_for()
    assert page.get_by_role("link", name=re.compile("-h8x1-s")).count() == len(trials)
    for column in ("test/acc", "val/best_acc", "model.hidden_size"):
        assert page.get_by_text(column, exact=True).count() > 0, column

    page.goto(f"{charts.partition('/runs')[0]}/runs/{parent}/artifacts/report/report.html")
    report = page.frame_locator("iframe")
    report.get_by_role("heading", name="Verdict").wait_for()
    results = report.locator("table", has_text="Means over seeds").first.locator("tbody tr")
    assert results.count() == 3
    pictures = report.locator("img")
    assert pictures.count() > 8
    assert pictures.evaluate_all("all => all.every(picture => picture.complete && picture.naturalWidth > 0)")

    page.goto(f"{charts.partition('/runs')[0]}/runs/{parent}")
    page.get_by_text("are not told apart").first.wait_for()  # the note
    assert [error for error in errors if not any(own in error for own in MLFLOWS_OWN)] == []


@pytest.mark.slow
def test_a_trial_ends_by_a_tag_that_is_set_in_a_browser(ui, store, browser, tmp_path):
    data = write_data_set(tmp_path / "data")
    command = [
        *("data=idx", f"data.root={data}", "data.val_size=10", "data.batch_size=10", "model.hidden_size=4"),
        *("trainer=cpu", "trainer.max_steps=10_000_000", "trainer.eval_every=500", "registry=false"),
    ]

    def runs():
        return store.client.search_runs([store.experiment_id])

    with subprocess.Popen([sys.executable, "-m", "src.train", *command], cwd=REPOSITORY) as trial:
        try:
            within(300, lambda: bool(runs()))
            (run,) = runs()
            table = re.findall(r"http://\S+", ui)[-1]
            page = browser.new_page(viewport={"width": 1600, "height": 1000})
            page.set_default_timeout(120_000)
            page.goto(f"{table.partition('/runs')[0]}/runs/{run.info.run_id}")
            add_tag(page, "stop", "seen enough of this one")
            trial.wait(120)
        finally:
            trial.kill()
    (run,) = runs()
    assert run.info.status == "KILLED"
    assert run.data.tags["error"] == "stopped: seen enough of this one"
    page.reload()
    page.get_by_text("Killed", exact=True).wait_for()
    page.get_by_text("stopped: seen enough of this one").first.wait_for()
    page.close()


def add_tag(page, key: str, value: str) -> None:
    """Add a tag to the run whose page this is, by the controls that MLflow's own page has for that."""
    page.get_by_role("button", name="Edit tags").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox").fill(key)
    page.keyboard.press("Enter")
    dialog.get_by_role("textbox", name="Value").fill(value)
    dialog.get_by_role("button", name="Add tag").click()
    dialog.get_by_role("button", name="Save tags").click()
    dialog.wait_for(state="hidden")
