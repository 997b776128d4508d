"""The drawing page with many cells."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import pytest

from recurrent_cells.serving.app import create_app
from recurrent_cells.serving.connections import http_server
from recurrent_cells.tables import CELLS
from tests.support import within

NAMES = [f"cell_{number}" for number in range(6)]


@pytest.fixture
def address(models) -> Iterator[str]:
    """A server over nine cells, six of which are others by name alone, and two that are left out."""
    for name in [*NAMES, "absent", "missing"]:
        CELLS.add(type(name, (CELLS["gru"],), {"name": name, "label": name.title(), "color": "#CC79A7"}))
    by_cell = models.by_cell | dict.fromkeys(NAMES, models.by_cell["gru"])
    many = replace(models, by_cell=by_cell, left_out=dict.fromkeys(("absent", "missing"), "no trial of it is finished"))
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        server = http_server(create_app(many), lambda: None)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        within(20, lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join()
    CELLS.clear()


def overlap(one, other) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "width"), ("y", "height"))
    )


@pytest.mark.slow
@pytest.mark.parametrize("width", [1400, 700, 390])
def test_nine_cells_answer_side_by_side_and_those_left_out_share_a_card(address, browser, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(address)
    page.get_by_test_id("example").click()
    page.get_by_test_id("row").get_by_text("6", exact=True).wait_for()
    cards = [page.get_by_test_id(f"cell-{name}") for name in ("simple_rnn", "lstm", "gru", *NAMES)]
    assert all(card.get_by_test_id("answer").inner_text() in "0123" for card in cards)
    left_out = page.get_by_test_id("left-out")
    assert "Absent, Missing: no trial of it is finished." in left_out.inner_text()
    boxes = [card.bounding_box() for card in (*cards, left_out)]
    assert not any(overlap(one, other) for one, other in combinations(boxes, 2))
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert faults == []
    page.close()
