"""The page that watches a sweep, in a real browser: by keyboard and pointer, and what each kind of sweep shows."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from recurrent_cells.serving.watch import sweep
from recurrent_cells.serving.watch.app import create_app
from recurrent_cells.serving.watch.sweep import WatchedSweep
from recurrent_cells.sweeps.search.outline import as_json
from recurrent_cells.sweeps.search.ranges import Interval
from recurrent_cells.sweeps.search.settings import SearchSettings
from recurrent_cells.sweeps.search.space import Space
from recurrent_cells.tracking.queries import trial_records
from tests.serving.conftest import answering
from tests.support import within
from tests.written_sweeps import Made, make_sweep, store

__all__ = ["make_sweep", "store"]  # fixtures

pytestmark = pytest.mark.slow  # a browser

RUNNING = (Made("gru", 0, state="RUNNING"), Made("lstm", 0, state="RUNNING"), Made("gru", 1, state="missing"))
ENDED = (Made("gru", 0), Made("gru", 1))
MOST_KEYS = 40  # more than it takes to come anywhere on the page


@pytest.fixture
def opened(store, make_sweep, browser, monkeypatch) -> Iterator[Callable[..., Any]]:
    """`opened(*trials, status="FINISHED")` writes a sweep of these and opens its page, which says no error."""
    monkeypatch.setattr(sweep, "SECONDS_BETWEEN_LOOKS", 0.0)
    monkeypatch.setattr(sweep, "LONGEST_PAUSE", 0.0)
    errors: list[str] = []
    with ExitStack() as stack:

        def begin(*trials: Made, status: str = "RUNNING", width: int = 1400, tags=None, outline=None) -> Any:
            parent = make_sweep(*trials, outline=outline)
            for key, value in (tags or {}).items():
                store.client.set_tag(parent, key, value)
            store.client.update_run(parent, status=status)
            port = stack.enter_context(answering(create_app(WatchedSweep(store, "latest"), "secret")))
            page = browser.new_page(viewport={"width": width, "height": 900})
            stack.callback(page.close)
            page.on("console", lambda it: errors.append(it.text) if it.type in ("error", "warning") else None)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(f"http://127.0.0.1:{port}/#token=secret")
            page.get_by_test_id("status").get_by_text(status.lower()).wait_for()
            return page

        yield begin
    assert errors == []


def walk_to(page, label: str) -> None:
    """Press the tabulator until the control of this name has the focus, which always shows."""
    for _ in range(MOST_KEYS):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(it => [it.ariaLabel || it.textContent, getComputedStyle(it).outlineStyle])(document.activeElement)"
        )
        assert focused[1] == "solid", focused
        if focused[0] == label:
            return
    raise AssertionError(f"{label} is not reached by the keyboard")


def readout(page, chart: str) -> str:
    return page.locator(f"#{chart} .readout").inner_text()


def test_the_keyboard_alone_stops_a_trial(opened, store):
    page = opened(*RUNNING)
    walk_to(page, "Stop lstm-h8x1-s0")
    page.keyboard.press("Enter")
    row = page.locator(".trial", has_text="lstm-h8x1-s0")
    row.get_by_text("stopping", exact=True).wait_for()
    (record,) = (it for it in trial_records(store) if it.name == "lstm-h8x1-s0")
    assert record.tags["stop"]
    assert row.get_by_role("button", name="Stop").count() == 0
    focused = page.evaluate("document.activeElement.closest('.trial')?.dataset.trial")
    assert focused == row.get_attribute("data-trial")


def test_the_keyboard_alone_opens_a_trial_and_stops_the_sweep(opened, store):
    page = opened(*RUNNING)
    for record in trial_records(store):
        store.client.log_text(record.run_id, "step 30", "train.log")
    walk_to(page, "Stop after what runs")
    page.keyboard.press("Space")
    page.get_by_test_id("remark").get_by_text("No more trials start").wait_for()
    walk_to(page, "gru-h8x1-s0")
    page.keyboard.press("Enter")
    page.get_by_text(re.compile("^run [0-9a-f]{32}$")).wait_for()
    page.get_by_text("step 30", exact=True).wait_for()


def test_the_pointer_shows_the_values_of_a_curve(opened):
    page = opened(Made("gru", 0), Made("lstm", 0, state="RUNNING"))
    plot = page.locator("#metric-chart .u-over")
    box = plot.bounding_box()
    assert readout(page, "metric-chart").count("90.00 at 30") == 2  # the last values, without a pointer
    for share, words in ((0.02, "50.00 at 10"), (0.5, "80.00 at 20"), (0.98, "90.00 at 30")):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        page.locator("#metric-chart .readout").get_by_text(words).first.wait_for()
        assert readout(page, "metric-chart").count(words) == 2
    page.mouse.move(box["x"] + 0.02 * box["width"], box["y"] + box["height"] / 2)
    page.locator("#loss-chart .readout").get_by_text("0.5000 at 10").first.wait_for()  # the pointer is at one step


def test_arrow_keys_move_along_the_curves(opened):
    page = opened(Made("gru", 0, state="RUNNING"))
    walk_to(page, "val/acc over optimiser steps; left and right move along the curves")
    for key, words in (("ArrowRight", "80.00 at 20"), ("ArrowRight", "90.00 at 30"), ("ArrowLeft", "80.00 at 20")):
        page.keyboard.press(key)
        page.locator("#metric-chart .readout").get_by_text(words).wait_for()


def test_a_chart_is_logarithmic_and_linear_again(opened):
    page = opened(Made("gru", 0), status="FINISHED")
    chart = page.locator("#loss-chart")
    button = chart.get_by_role("button", name="log")

    def picture() -> str:
        return chart.locator("canvas").evaluate("it => it.toDataURL()")

    linear = picture()
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    within(10, lambda: picture() != linear)
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    within(10, lambda: picture() == linear)


@pytest.mark.parametrize("width", [1400, 390])
def test_where_nothing_can_be_steered_there_is_no_card_to_steer_by(opened, width):
    page = opened(*ENDED, status="FINISHED", width=width)
    assert page.get_by_role("region", name="Steer the sweep").is_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_an_ended_sweep_says_why_in_its_card_whether_seeds_can_be_added(opened):
    page = opened(Made("gru", 0), Made("gru", 1), Made("lstm", 0), status="FINISHED")
    steering = page.get_by_role("region", name="Steer the sweep")
    assert "had the same seeds" in steering.inner_text()
    assert steering.get_by_role("button").count() == 0


def test_a_sweep_that_ended_early_says_so_once(opened):
    page = opened(*ENDED, status="KILLED", tags={"stop": "enough", "sweep.stopped": "stopped: enough"})
    assert page.get_by_test_id("remark").inner_text().startswith("Ended early (stopped: enough)")


def test_a_search_shows_its_proposals_of_all_and_the_best(opened):
    """The second proposal is best, but was pruned: the first comes before it."""
    ranges = {"optimizer.lr": Interval(1e-4, 1e-1, log=True)}
    outline = as_json(Space(lambda overrides: None, (), ranges), SearchSettings(n_trials=20))
    trials = [
        Made("gru", 0, accuracy, params={"optimizer.lr": rate}, pruned=rate == "0.02")
        for rate, accuracy in (("0.01", 0.9), ("0.02", 0.95))
    ]
    running = Made("gru", 0, params={"optimizer.lr": "0.03"}, state="RUNNING")
    page = opened(*trials, running, outline=outline, tags={"search.tried": "2"})
    page.get_by_test_id("counts").get_by_text(
        "2 of 20 proposals tried; 3 trials: 1 running, 1 finished, 1 pruned"
    ).wait_for()
    bar = page.get_by_role("progressbar", name="Done")
    assert (bar.get_attribute("aria-valuenow"), bar.get_attribute("aria-valuemax")) == ("2", "20")
    assert "at the pace of the proposals so far" in page.get_by_test_id("left").inner_text()
    card = page.get_by_role("region", name="The best by validation so far")
    assert re.findall(r"lr ([\d.]+)", card.inner_text()) == ["0.01", "0.02"]
    assert "val 96.00, not trained in full, 1 seed" in card.inner_text()
    assert page.get_by_role("button", name="Stop gru-h8x1-s0 GRU lr 0.03").is_enabled()
