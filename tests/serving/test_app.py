"""What the server answers, over real connections."""

import json
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from benchmarks.malformed.requests import is_refused, malformed_requests, send
from recurrent_cells.inference.images import prepare
from recurrent_cells.serving import app
from recurrent_cells.serving.base import MOST_BYTES

IMAGES = np.random.RandomState(0).randint(0, 256, (7, 6, 5))


@pytest.fixture
def ask(port):
    """`ask("/ping")` is the status and what was said; with `content` it is sent as JSON."""

    def request(path, content=None):
        body = None if content is None else json.dumps(content).encode()
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}", data=body, headers={"content-type": "application/json; charset=utf-8"}
        )
        try:
            with urllib.request.urlopen(asked, timeout=20) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return request


@pytest.mark.slow
def test_it_says_that_it_is_there(ask):
    from mlflow import __version__

    assert ask("/ping") == (200, "\n")
    assert ask("/health")[0] == 200
    assert ask("/version") == (200, __version__)


@pytest.mark.parametrize("form", ["instances", "inputs", "dataframe_split"])
@pytest.mark.parametrize("shape", [(7, 6, 5), (7, 30)])
@pytest.mark.parametrize("kind", [int, float])
def test_the_network_chosen_answers_images_of_either_shape(ask, models, form, shape, kind):
    values = IMAGES.reshape(shape).astype(kind).tolist()
    content = {"columns": [], "data": values} if form == "dataframe_split" else values
    status, said = ask("/invocations", {form: content})
    assert status == 200
    likely = models.scoring.logits(IMAGES.astype(np.uint8)).double().softmax(dim=1).numpy()
    predictions = json.loads(said)["predictions"]
    assert [prediction["label"] for prediction in predictions] == likely.argmax(axis=1).tolist()
    assert np.allclose([prediction["probability"] for prediction in predictions], likely.max(axis=1))
    assert np.allclose([prediction["probabilities"] for prediction in predictions], likely)


def test_each_cell_says_what_it_holds_likely_after_each_row(ask, models):
    status, said = ask("/rows", {"image": IMAGES[0].tolist()})
    assert status == 200
    answer = json.loads(said)
    assert (np.array(answer["image"]) == IMAGES[0]).all()
    assert list(answer["cells"]) == ["simple_rnn", "lstm", "gru"]
    for cell, likely in answer["cells"].items():
        expected = models.by_cell[cell].logits_by_step(IMAGES[:1].astype(np.uint8))[0].softmax(dim=1).numpy()
        assert np.allclose(likely, expected, atol=1e-5)
        assert np.shape(likely) == (6, 4)


def test_a_drawing_is_prepared_as_a_file_would_be(ask):
    drawing = np.full((80, 60), 255)
    drawing[10:50, 20:28] = 0
    answer = json.loads(ask("/rows", {"image": drawing.tolist()})[1])
    expected = prepare(drawing.astype(np.float32), (6, 5))
    assert answer["image"] == expected.pixels.tolist()
    assert answer["inverted"]
    assert not answer["blank"]


def test_the_page_is_there_and_asks_for_nothing_elsewhere(ask):
    status, page = ask("/")
    assert status == 200
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


def test_the_networks_are_named(ask, models):
    networks = json.loads(ask("/networks")[1])
    assert networks["scoring"]["run_id"] == models.scoring.record.run_id
    assert networks["scoring"]["choice"] == "best"
    assert [cell["name"] for cell in networks["cells"]] == ["SimpleRNN", "LSTM", "GRU"]
    assert [cell["run"] for cell in networks["cells"]] == ["simple_rnn-h8x1-s0", "lstm-h8x1-s0", "gru-h8x1-s0"]


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("/invocations", {}, "allowed is a JSON object with one of instances, inputs, dataframe_split"),
        ("/invocations", {"inputs": [[0] * 29]}, "allowed are images of shape (N, 6, 5) or (N, 30), these are (1, 29)"),
        ("/invocations", {"inputs": [["0"] * 30]}, "(N, 30) in numbers, these are not"),
        ("/invocations", {"inputs": [[float("nan")] * 30]}, "NaN: allowed are finite numbers"),
        ("/invocations", {"inputs": [[256] * 30]}, "pixels: allowed are numbers from 0 to 255"),
        ("/invocations", {"inputs": [[0] * 30] * 1001}, "inputs: 1001 images; allowed are 1 to 1,000"),
        ("/rows", {"image": [[0]] * 1025}, "1 to 1024 a side"),
        ("/rows", {"image": "x" * MOST_BYTES}, "allowed is 1 MiB"),
        ("/rows", [], "the body is not a JSON object"),
    ],
)
def test_bad_requests_are_refused_in_a_line(ask, path, content, words):
    status, said = ask(path, content)
    assert 400 <= status < 500
    assert list(json.loads(said)) == ["error"]
    assert words in json.loads(said)["error"]
    assert "\n" not in json.loads(said)["error"]


def test_other_paths_and_methods_are_refused_in_json(ask):
    assert ask("/nothing") == (404, '{"error": "GET /nothing: Not Found"}')
    assert ask("/rows") == (405, '{"error": "GET /rows: Method Not Allowed"}')


def test_whatever_comes_the_next_good_request_is_answered(port, ask):
    requests = malformed_requests(pause=0.05)
    assert len(requests) >= 200
    with ThreadPoolExecutor(4) as senders:
        answers = list(senders.map(lambda malformed: send(port, malformed, 20), requests))
    wrong = {each.name: answer for each, answer in zip(requests, answers, strict=True) if not is_refused(answer)}
    assert wrong == {}
    assert ask("/invocations", {"instances": IMAGES.tolist()})[0] == 200


def test_ping_is_answered_while_a_network_works(ask, monkeypatch):
    working, done = threading.Event(), threading.Event()

    def slow(*_):
        working.set()
        done.wait(20)
        return {}

    monkeypatch.setattr(app, "score", slow)
    with ThreadPoolExecutor(1) as other:
        reply = other.submit(ask, "/invocations", {"instances": IMAGES.tolist()})
        assert working.wait(20)
        start = time.monotonic()
        assert ask("/ping")[0] == 200
        assert time.monotonic() - start < 5
        assert not reply.done()
        done.set()
        assert reply.result(20)[0] == 200


def test_a_fault_of_ours_ends_one_request_only(ask, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(app, "score", broken)
        assert ask("/invocations", {"instances": IMAGES.tolist()})[0] == 500
    assert ask("/invocations", {"instances": IMAGES.tolist()})[0] == 200
