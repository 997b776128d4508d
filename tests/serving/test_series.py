"""A server in which networks of series answer, and its page."""

import io
import json
import shutil
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest

from recurrent_cells.config import extensions
from recurrent_cells.inference.held_out import load_held_out
from recurrent_cells.serving.app import create_app, describe, read_by_step, score
from recurrent_cells.serving.base import BadRequest
from recurrent_cells.serving.connections import http_server
from recurrent_cells.serving.models import Models, load_models
from recurrent_cells.tracking.store import open_store
from tests.inference.series import train_series
from tests.support import within

KINDS = {"classes": ("data=waves",), "curves": ("data=curves",), "numbers": ("data=means", "task=number")}


@pytest.fixture(scope="module")
def made(tmp_path_factory, empty_store) -> dict[str, tuple[Models, np.ndarray]]:
    """For each kind the networks of two cells, and test series."""
    found = {}
    for kind, overrides in KINDS.items():
        folder = tmp_path_factory.mktemp(kind)
        shutil.copy(empty_store, folder / "mlflow.db")
        extensions.clear()
        with pytest.MonkeyPatch.context() as surroundings:
            surroundings.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
            for cell in ("gru", "lstm"):
                trained = train_series(folder, f"model={cell}", *overrides)
            found[kind] = load_models(open_store("recurrent-cells")), load_held_out(trained).values
    return found


def body(**content) -> bytes:
    return json.dumps(content).encode()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["instances", "inputs"])
def test_series_are_scored_with_the_names_of_classes(made, form):
    models, values = made["classes"]
    likely = models.scoring.logits(values).double().softmax(dim=1).numpy()
    predictions = score(models.scoring, body(**{form: values.tolist()}))["predictions"]
    assert [it["label"] for it in predictions] == likely.argmax(axis=1).tolist()
    assert [it["name"] for it in predictions] == [("slow", "fast")[label] for label in likely.argmax(axis=1)]
    assert np.allclose([it["probabilities"] for it in predictions], likely)


def npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def test_files_of_series_are_scored_as_lists_of_them_are(made):
    models, values = made["classes"]
    wanted = score(models.scoring, body(instances=values[:3].tolist()))
    assert score(models.scoring, npz(x=values[:3]), is_file=True) == wanted
    text = "\n".join(",".join(map(str, step)) for step in values[0].tolist())
    assert score(models.scoring, text.encode(), is_file=True) == score(
        models.scoring, body(instances=values[:1].tolist())
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"\xff\xfe", "neither JSON, .npz or CSV"),
        (b"a" * 200_000, "neither JSON, .npz or CSV (field larger"),
        (npz(x=np.zeros((1000, 100, 1000))), "the file: arrays of 800,000,000 bytes; allowed are 67,108,864"),
        (npz(x=np.zeros((1001, 2, 1))), "the file: 1001 series; allowed are 1 to 1,000"),
        (npz(y=np.zeros(3)), "no array x among y"),
    ],
)
def test_a_file_that_holds_no_series_is_refused(made, content, words):
    models, _ = made["curves"]
    with pytest.raises(BadRequest) as refused:
        score(models.scoring, content, is_file=True)
    assert refused.value.status == 400
    assert str(refused.value).startswith(words)


def sent(address: str, kind: str, content: bytes) -> urllib.request.Request:
    return urllib.request.Request(f"{address}invocations", data=content, headers={"content-type": kind})


@pytest.mark.parametrize("address", ["curves"], indirect=True)
@pytest.mark.parametrize("kind", ["text/csv", "application/x-npz"])
def test_the_server_takes_files_of_series_by_their_content_type(made, address, kind):
    _, values = made["curves"]
    content = npz(x=values[:1]) if kind == "application/x-npz" else "\n".join(map(str, values[0, :, 0])).encode()
    with urllib.request.urlopen(sent(address, kind, content)) as answer:
        assert len(json.load(answer)["predictions"]) == 1


@pytest.mark.parametrize("address", ["curves"], indirect=True)
def test_the_server_names_the_content_types_that_it_takes(address):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(sent(address, "text/plain", b"1"))
    with refused.value as error:
        assert error.code == 415
        assert "text/plain: allowed is application/json, text/csv, application/x-npz" in error.read().decode()


def test_a_series_of_one_feature_may_be_a_list_of_numbers(made):
    models, values = made["curves"]
    one = score(models.scoring, body(inputs=values[:, :, 0].tolist()))
    assert one == score(models.scoring, body(inputs=values.tolist()))


def test_numbers_are_scored_as_numbers(made):
    models, values = made["numbers"]
    predictions = score(models.scoring, body(inputs=values.tolist()))["predictions"]
    assert np.allclose([it["values"] for it in predictions], models.scoring.logits(values).numpy())
    networks = describe(models)
    assert networks["scoring"]["names"] is None


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_each_cell_is_watched_step_by_step(made, kind):
    models, values = made[kind]
    answer = read_by_step(models, body(series=values[0].tolist()))
    assert np.allclose(answer["series"], values[0])
    assert list(answer["cells"]) == ["gru", "lstm"]
    for cell, found in answer["cells"].items():
        outputs = models.by_cell[cell].logits_by_step(values[:1])[0]
        assert np.allclose(found, outputs.softmax(dim=1) if kind == "classes" else outputs, atol=1e-5)
        assert len(found) == 12


@pytest.mark.parametrize(
    ("work", "content", "words"),
    [
        (score, {"inputs": [[[1, 2, 3]]]}, "inputs: the series: series of 1 x 3, but run"),
        (score, {"inputs": []}, "inputs: no series"),
        (score, {"inputs": [[[1, 2]]] * 1001}, "inputs: 1001 series; allowed are 1 to 1,000"),
        (score, {"inputs": [[[1, "2"]]]}, "inputs: series 0: '2' is no number"),
        (score, {"inputs": [[[1, 2]], [[1, 2], [3, 4]]]}, "inputs: series of different lengths"),
        (score, {"values": []}, "allowed is a JSON object with one of instances, inputs"),
        (read_by_step, {"series": [[[1, 2]], [[3, 4]]]}, "series: 2 of them; allowed is one"),
        (read_by_step, {"image": [[0]]}, "allowed is a JSON object with series, a list of steps"),
    ],
)
def test_bad_requests_are_refused_in_a_line(made, work, content, words):
    models, _ = made["classes"]
    with pytest.raises(BadRequest) as refused:
        work(models.scoring if work is score else models, body(**content))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.fixture
def address(made, request) -> Iterator[str]:
    """A server over the networks of a kind."""
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        server = http_server(create_app(made[request.param][0]), lambda: None)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        within(20, lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("address", ["curves"], indirect=True)
def test_a_curve_that_is_drawn_is_read_by_both_cells(address, browser):
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(address)
    box = page.get_by_test_id("board").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"], steps=10)
    page.mouse.move(box["x"] + box["width"] - 5, box["y"] + 0.8 * box["height"], steps=10)
    page.mouse.up()
    page.get_by_text("of 12 steps read").wait_for(timeout=20_000)
    page.get_by_test_id("row").filter(has_text="12").wait_for(timeout=20_000)
    assert {page.get_by_test_id(f"cell-{cell}").get_by_test_id("answer").inner_text() for cell in ("gru", "lstm")} <= {
        "0",
        "1",
    }
    assert faults == []


@pytest.mark.slow
@pytest.mark.parametrize("address", ["classes", "numbers"], indirect=True)
def test_steps_that_are_pasted_are_read(address, browser, made):
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(address)
    page.get_by_test_id("steps").fill("left,right\n" + "\n".join("0.5, -0.25" for _ in range(12)))
    page.get_by_test_id("send").click()
    page.get_by_text("of 12 steps read").wait_for(timeout=20_000)
    page.get_by_test_id("row").filter(has_text="12").wait_for(timeout=20_000)
    assert not page.get_by_test_id("board").is_visible()
    shown = page.get_by_test_id("cell-gru").get_by_test_id("answer").inner_text()
    assert shown in ("slow", "fast") or float(shown) == pytest.approx(0, abs=5)
    assert faults == []
    page.get_by_test_id("steps").fill("1,2,3")
    page.get_by_test_id("send").click()
    page.get_by_text("No answer: series: the series: series of 1 x 3").wait_for(timeout=20_000)
