"""What the page's buttons ask for, over real connections: tags are set, and nobody else may ask."""

import json
import urllib.error
import urllib.request

import pytest

from recurrent_cells.serving.watch import sweep
from recurrent_cells.serving.watch.app import FILES, create_app
from recurrent_cells.serving.watch.sweep import WatchedSweep
from recurrent_cells.tracking.queries import trial_records
from tests.serving.conftest import answering
from tests.written_sweeps import Made, make_sweep, store

__all__ = ["make_sweep", "store"]  # fixtures

TOKEN = {"x-watch-token": "secret"}
TRIALS = [Made(cell, seed, 0.9) for cell in ("gru", "lstm") for seed in range(2)]


@pytest.fixture
def asked(store, make_sweep, monkeypatch):
    """`asked(*trials)` serves a sweep of these that runs; it gives `ask(path, content, **headers)`."""
    monkeypatch.setattr(sweep, "SECONDS_BETWEEN_LOOKS", 0.0)
    monkeypatch.setattr(sweep, "LONGEST_PAUSE", 0.0)
    servers = []

    def begin(*trials: Made, status: str = "RUNNING"):
        parent = make_sweep(*trials)
        store.client.update_run(parent, status=status)
        server = answering(create_app(WatchedSweep(store, "latest"), "secret"))
        port = server.__enter__()
        servers.append(server)

        def ask(path, content=None, headers=TOKEN):
            body = None if content is None else json.dumps(content).encode()
            sent = {"content-type": "application/json", **headers}
            request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body, headers=sent)
            try:
                with urllib.request.urlopen(request, timeout=20) as reply:
                    return reply.status, reply.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode()

        return ask

    yield begin
    for server in servers:
        server.__exit__(None, None, None)


@pytest.fixture
def tags(store):
    """The tags of a run, of the sweep's parent without an id."""

    def of(run_id=None):
        runs = store.client.search_runs([store.experiment_id])
        chosen = run_id or next(run.info.run_id for run in runs if "sweep.plan" in run.data.tags)
        return store.client.get_run(chosen).data.tags

    return of


def test_a_trial_is_stopped_and_one_without_a_run_is_skipped(asked, store, tags):
    running, waiting, ended = Made("gru", 0, state="RUNNING"), Made("gru", 1, state="missing"), Made("gru", 2)
    ask = asked(running, waiting, ended)
    assert ask("/actions", {"do": "stop", "trial": running.fingerprint})[0] == 200
    assert ask("/actions", {"do": "skip", "trial": waiting.fingerprint})[0] == 200
    stopped = next(record for record in trial_records(store) if record.status == "RUNNING")
    assert tags(stopped.run_id)["stop"] == tags()[f"skip.{waiting.fingerprint}"] == "from the page"
    states = [trial["state"] for trial in json.loads(ask("/sweep")[1])["trials"]]
    assert states == ["stopping", "skipped", "finished"]
    for kind, trial in (("stop", ended), ("stop", waiting), ("skip", running)):
        assert ask("/actions", {"do": kind, "trial": trial.fingerprint})[0] == 409


@pytest.mark.parametrize("status", ["RUNNING", "SCHEDULED"])
def test_a_sweep_that_runs_or_waits_is_stopped(asked, tags, status):
    assert "No more trials start" in asked(*TRIALS, status=status)("/actions", {"do": "stop-sweep"})[1]
    assert tags()["stop"] == "from the page"


def test_a_sweep_that_has_ended_is_not_stopped(asked, tags):
    assert asked(*TRIALS, status="FINISHED")("/actions", {"do": "stop-sweep"})[0] == 409
    assert "stop" not in tags()


@pytest.mark.parametrize(
    ("status", "words"),
    [("RUNNING", "once the planned trials have ended"), ("FINISHED", "when the same command is given again")],
)
def test_seeds_are_asked_for_and_the_page_says_when_they_come(asked, tags, status, words):
    ask = asked(*TRIALS, status=status)
    assert json.loads(ask("/sweep")[1])["sweep"]["seeds"] == {"can_add": True, "words": ""}
    assert "at most 8" in json.loads(ask("/actions", {"do": "add-seeds", "most": 8})[1])["done"]
    assert (tags()["sweep.until"], tags()["sweep.max_seeds"]) == ("decided", "8")
    seeds = json.loads(ask("/sweep")[1])["sweep"]["seeds"]
    assert not seeds["can_add"]
    assert words in seeds["words"]
    assert ask("/actions", {"do": "add-seeds", "most": 8})[0] == 409


@pytest.mark.parametrize("trials", [TRIALS[:2], TRIALS[::2], TRIALS[:3]])
def test_one_configuration_one_seed_or_uneven_seeds_cannot_be_decided(asked, tags, trials):
    ask = asked(*trials)
    assert not json.loads(ask("/sweep")[1])["sweep"]["seeds"]["can_add"]
    assert ask("/actions", {"do": "add-seeds", "most": 8})[0] == 409
    assert "sweep.until" not in tags()


@pytest.mark.parametrize("headers", [{}, {"x-watch-token": "another"}, {"x-watch-token": ""}])
def test_without_the_token_nothing_is_done(asked, tags, headers):
    status, said = asked(*TRIALS)("/actions", {"do": "stop-sweep"}, headers)
    assert (status, list(json.loads(said))) == (403, ["error"])
    assert "stop" not in tags()


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "attacker.example"},
        {"host": "127.0.0.1.attacker.example:80"},
        {"host": "127.0.0.1:x"},
        {"origin": "http://attacker.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
    ],
)
def test_pages_of_others_are_told_nothing(asked, tags, headers):
    ask = asked(*TRIALS)
    assert ask("/sweep", None, headers)[0] == 403
    assert ask("/actions", {"do": "stop-sweep"}, TOKEN | headers)[0] == 403
    assert "stop" not in tags()


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"do": "x"},
        {"do": ["stop"]},
        {"do": "stop"},
        {"do": "stop", "trial": "x"},
        {"do": "stop", "trial": ["x"]},
        {"do": "add-seeds"},
        {"do": "add-seeds", "most": "8"},
        {"do": "add-seeds", "most": 2},
        {"do": "add-seeds", "most": 10**9},
        {"do": "add-seeds", "most": True},
        [],
        "x" * (1 << 20),
    ],
)
def test_what_no_button_asks_for_is_refused_in_a_line(asked, content):
    status, said = asked(*TRIALS)("/actions", content)
    assert 400 <= status < 500
    assert list(json.loads(said)) == ["error"]
    assert "\n" not in json.loads(said)["error"]


def test_the_page_is_its_own_files_alone_and_asks_for_nothing_elsewhere(asked):
    ask = asked(Made("gru", 0))
    for path in FILES:
        status, content = ask(path)
        assert status == 200
        links = content.replace("http://www.w3.org/2000/svg", "").replace("https://github.com/leeoniya/uPlot", "")
        assert "http://" not in links
        assert "https://" not in links
    for path in (
        "/app.py",
        "/../app.py",
        "/%2e%2e/app.py",
        "/static/uPlot.min.js",
        "/uPlot.LICENSE.txt",
        "//etc/passwd",
    ):
        assert ask(path)[0] == 404


def test_the_log_of_a_trial_is_that_of_a_trial_of_the_sweep(asked, store):
    ended, waiting = Made("gru", 0), Made("gru", 1, state="missing")
    ask = asked(ended, waiting)
    (record,) = trial_records(store)
    assert ask(f"/log?trial={ended.fingerprint}")[0] == 404
    store.client.log_text(record.run_id, "\n".join(f"line {number}" for number in range(100)), "train.log")
    lines = json.loads(ask(f"/log?trial={ended.fingerprint}")[1])["lines"]
    assert (len(lines), lines[-1]) == (30, "line 99")
    for fingerprint in (waiting.fingerprint, "", "..", "../../etc/passwd", record.run_id):
        assert ask(f"/log?trial={fingerprint}")[0] == 404
