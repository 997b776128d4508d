"""The command python -m src.serve, and the page it serves, in a real browser."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recurrent_cells.cli.serve import main
from src import REPOSITORY
from tests.support import python

CELLS = ("simple_rnn", "lstm", "gru")


@pytest.mark.parametrize("arguments", [["x"], ["65536"], ["-1"], ["8000", "8001"], [""], ["²"]])
def test_a_port_that_is_none(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "allowed is one port" in capsys.readouterr().err


def test_a_port_that_is_taken(capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SystemExit) as end:
            main([str(port)])
    assert end.value.code == 2
    way_out = "python -m src.serve 0 takes one that is free"
    assert capsys.readouterr().err == f"port {port}: Address already in use; {way_out}\n"


def test_a_store_without_trials(store_file, capsys):
    with pytest.raises(SystemExit) as end:
        main(["0"])
    assert end.value.code == 2
    assert "no trial is finished" in capsys.readouterr().err


def test_help(capsys):
    main(["--help"])
    assert "8000 by default" in capsys.readouterr().out


@pytest.fixture(scope="module")
def store_of_digits(tmp_path_factory) -> Path:
    """A store with a network of each cell that has learnt digits for 6 epochs."""
    folder = tmp_path_factory.mktemp("digits")
    env = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    models = f"model={','.join(CELLS)}"
    few = ("model.hidden_size=64", "trainer=cpu", "trainer.max_epochs=6", "optimizer.lr=0.003", "sweep.report=false")
    trained = python("-m", "src.train", "-m", models, *few, env=env, timeout=300)
    assert trained.returncode == 0, trained.stderr
    return folder / "mlflow.db"


@pytest.fixture
def served(store_of_digits) -> Iterator[tuple[str, subprocess.Popen]]:
    """The greeting of a server over that store, and its process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "src.serve", "0"],
        cwd=REPOSITORY,
        env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{store_of_digits}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        greeting = "".join(process.stdout.readline() for _ in range(3))
        yield greeting, process
    finally:
        process.kill()
        process.communicate()


def draw_a_one(page):
    box = page.get_by_test_id("board").bounding_box()

    def place(x, y):
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    page.mouse.move(*place(0.54, 0.15))
    page.mouse.down()
    page.mouse.move(*place(0.46, 0.85), steps=12)
    page.mouse.up()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 390])
def test_a_one_that_is_drawn_is_read_by_all_three_cells(served, browser, width):
    address = re.findall(r"http://\S+/", served[0])[0]
    page = browser.new_page(viewport={"width": width, "height": 900})
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    cells = [page.get_by_test_id(f"cell-{cell}") for cell in CELLS]
    for cell in cells:
        cell.wait_for()
        assert cell.get_by_test_id("bar").count() == 10
    assert page.get_by_test_id("slider").is_disabled()

    draw_a_one(page)
    page.get_by_test_id("row").get_by_text("28", exact=True).wait_for()
    for cell in cells:
        assert cell.get_by_test_id("answer").inner_text() == "1"
        assert re.search("after 28 of 28 rows: 1, ", cell.get_attribute("aria-label"))

    page.get_by_test_id("slider").fill("7")
    assert page.get_by_test_id("row").inner_text() == "7"
    page.get_by_test_id("play").click()
    page.get_by_test_id("row").get_by_text("28", exact=True).wait_for()
    page.get_by_test_id("clear").click()
    assert cells[0].get_by_test_id("answer").inner_text() == "–"
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert errors == []
    page.close()


@pytest.mark.slow
def test_the_greeting_and_the_end(served):
    greeting, process = served
    assert "Row by row: simple_rnn-h64x1-s0, lstm-h64x1-s0, gru-h64x1-s0" in greeting
    assert "/invocations is answered by " in greeting
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert process.stderr.read() == ""
