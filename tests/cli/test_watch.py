"""The command python -m src.watch, and its page in a real browser beside a sweep that runs."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from recurrent_cells.cli.watch import main
from recurrent_cells.tracking.steering import ask_to_stop
from recurrent_cells.tracking.store import open_store
from src import REPOSITORY
from tests.support import refusal, within, write_data_set

STEPS = 8000  # of a trial: longer than it takes to see that a tag asks for its end


@pytest.mark.parametrize("arguments", [["x"], ["65536"], ["8001", "8002"], ["port=-1"], ["²"]])
def test_a_port_that_is_none(arguments, capsys):
    assert "allowed is one port" in refusal(main, arguments, capsys)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["0"], "has no sweep"),
        (["0", "sweep=x"], "has no sweep"),
        (["0", "quux=1"], "no such key"),
        (["sweep="], "value"),
    ],
)
def test_what_cannot_be_watched(arguments, words, store_file, capsys):
    assert words in refusal(main, arguments, capsys)


def test_a_port_that_is_taken(capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert "python -m src.watch 0 takes one that is free" in refusal(main, [str(port)], capsys)


def test_help(capsys):
    main(["--help"])
    assert "8001 by default" in capsys.readouterr().out


@pytest.fixture
def started(store_file) -> Iterator:
    """`started("src.train", …)` starts a command in a process of its own, which ends with the test."""
    processes: list[subprocess.Popen] = []

    def start(name: str, *arguments: str) -> subprocess.Popen:
        env = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{store_file}"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen([sys.executable, "-m", name, *arguments], cwd=REPOSITORY, env=env, **pipes))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def greeting_of(server: subprocess.Popen) -> str:
    assert server.stdout is not None
    return "".join(server.stdout.readline() for _ in range(2))


@pytest.mark.slow
def test_a_sweep_is_watched_and_steered_from_its_start_to_the_verdict(started, browser, store_file, tmp_path):
    data = write_data_set(tmp_path / "data")
    command = [
        *("-m", "model=gru,lstm,simple_rnn", "seed=0,1,2", "data=idx", f"data.root={data}", "data.val_size=10"),
        *("data.batch_size=10", "model.hidden_size=4", "trainer=cpu", f"trainer.max_steps={STEPS}"),
        *("trainer.eval_every=500", "sweep.report=false", "registry=false", "hydra.launcher.slots=2"),
    ]
    sweep, store = started("src.train", *command), open_store("recurrent-cells")

    def parents():
        return store.client.search_runs([store.experiment_id], "tags.`sweep.plan` != ''")

    within(120, lambda: bool(parents()))
    greeting = greeting_of(started("src.watch", "0"))
    address = re.findall(r"http://127\.0\.0\.1:\d+/#token=\S+", greeting)[0]
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)

    page.get_by_text("9 trials").wait_for()

    def by_button(row):
        row.get_by_role("button", name="Stop").click()

    def by_tag(row):
        ask_to_stop(store, run_named(store, row.locator(".name").inner_text()).info.run_id, "from elsewhere")

    for ask in (by_button, by_tag):
        stop_one(page, store, ask)

    page.get_by_test_id("most").fill("5")
    page.get_by_test_id("add-seeds").click()
    page.get_by_test_id("seeds-words").get_by_text("at most 5 of a configuration").wait_for()

    photograph(page, tmp_path / "running")

    page.get_by_test_id("comparison").get_by_text(re.compile("beats|told apart|differ|equal")).first.wait_for(
        timeout=300_000
    )
    assert sweep.wait(300) == 0
    page.get_by_text(re.compile("^Verdict$")).wait_for()
    (parent,) = parents()
    assert int(parent.data.tags["sweep.trials"]) > 9
    photograph(page, tmp_path / "ended")
    assert errors == []
    page.close()


def stop_one(page, store, ask) -> None:
    """Have a trial stopped; another where the trial ended before it saw the tag."""
    row = page.locator(".trial", has=page.locator(".pill.running")).first
    row.wait_for(timeout=120_000)
    name = row.locator(".name").inner_text()
    ask(page.locator(".trial", has_text=name))
    within(120, lambda: run_named(store, name).info.status != "RUNNING")
    if run_named(store, name).info.status == "FINISHED":
        page.locator(".trial", has_text=name).locator(".pill.running").wait_for(state="detached")
        stop_one(page, store, ask)
    else:
        page.locator(".trial", has_text=name).get_by_text("stopped", exact=True).wait_for()


def run_named(store, name):
    (run,) = store.client.search_runs([store.experiment_id], f"attributes.run_name = '{name}'")
    return run


def photograph(page, path) -> None:
    """Take pictures of the whole page, which fits a desk's width and a phone's."""
    for width in (390, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=path.with_name(f"{path.name}-{width}.png"), full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.slow
def test_without_the_token_the_page_has_no_buttons_that_steer(started, browser, store_file, tmp_path):
    data = write_data_set(tmp_path / "data")
    few = ("data=idx", f"data.root={data}", "data.val_size=10", "data.batch_size=10", "model.hidden_size=4")
    few += ("trainer.max_steps=4",)
    assert started("src.train", "-m", "seed=0,1", *few, "trainer=cpu", "sweep.report=false").wait(120) == 0
    address = re.findall(r"http://127\.0\.0\.1:\d+/", greeting_of(started("src.watch", "0")))[0]
    page = browser.new_page()
    page.goto(address)
    page.get_by_text("2 trials").wait_for()
    assert page.get_by_test_id("add-seeds").is_hidden()
    page.close()
