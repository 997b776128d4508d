"""Bad input ends with code 2 and a line or two, and leaves neither a run nor files behind."""

import gzip
import os
import pickle
import resource
import socket
import struct
import urllib.error

import numpy as np
import pytest
import torch

from recurrent_cells import paths
from recurrent_cells.config.schema import TrainerConfig
from recurrent_cells.data.idx_folder import IDX_FILES
from recurrent_cells.errors import UserError
from recurrent_cells.tables import CELLS
from recurrent_cells.tracking import store
from recurrent_cells.training import device
from recurrent_cells.training.device import check_device, resolve_device
from tests.support import python, write_idx

# The fewest steps that still train, evaluate and test.
SHORT = (
    *("trainer=cpu", "trainer.max_steps=4", "trainer.eval_every=2", "trainer.progress=false"),
    *("data=idx", "data.val_size=10", "data.batch_size=8", "model.hidden_size=4"),
)

HUGE = "9" * 23
CELL_NAMES = ", ".join(CELLS.names)


@pytest.fixture
def refused(run_cli, tmp_path, monkeypatch):
    """`refused(…)` gives the message of a command line that must leave everything as it was."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, lines: int = 1) -> str:
        before = sorted(tmp_path.rglob("*"))
        answer = run_cli(*arguments)
        assert (answer.code, answer.out) == (2, "")
        assert len(answer.err.splitlines()) == lines
        assert max(map(len, answer.err.splitlines())) < 300
        assert sorted(tmp_path.rglob("*")) == before
        return answer.err.rstrip("\n")

    return run


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.hiden_size=3", "model.hiden_size: no such key; did you mean model.hidden_size?"),
        ("+model.x=3", "+model.x: no such key; did you mean model?"),
        ("+trainer.max_step=3", "+trainer.max_step: no such key; did you mean trainer.max_steps?"),
        ("model=foo", f"model=foo: no such option; allowed are {CELL_NAMES}"),
        ("model=lstm,gru", "model=lstm,gru: several values are a sweep; add -m, or give one value"),
        ("model=null", "null and numbers are no options of a group (model, data, …): name one, or leave the group out"),
        ("model.hidden_size=abc", "model.hidden_size=abc: allowed is an integer of at least 1"),
        ("model.hidden_size=0", "model.hidden_size=0: allowed is an integer of at least 1"),
        ("model.hidden_size=-1", "model.hidden_size=-1: allowed is an integer of at least 1"),
        ("model.dropout=1.5", "model.dropout=1.5: allowed is a number of at least 0 and below 1"),
        ("model.cell=foo", f"model.cell=foo: allowed is one of {CELL_NAMES}"),
        ("trainer.max_epochs=0", "trainer.max_epochs=0: allowed is an integer of at least 1, or null"),
        ("data.batch_size=0", "data.batch_size=0: allowed is an integer of at least 1"),
        ("optimizer.lr=nan", "optimizer.lr=nan: allowed is a number above 0"),
        ("optimizer.lr=-1", "optimizer.lr=-1.0: allowed is a number above 0"),
        ("data=idx", "data.root=null: data=idx needs the folder of its files, data.root=FOLDER"),
        ("--config-name=foo", "--config-name=foo: no such file in the config folder"),
        ("trainer.threads=100000", "trainer.threads=100000: allowed is an integer from 1 to 1024"),
        ("model.num_layers=100000", "model.num_layers=100000: allowed is an integer from 1 to 1000"),
        (f"data.split_seed={HUGE}", f"data.split_seed={HUGE}: allowed is an integer from 0 to 4294967295"),
        (f"data.val_size={HUGE}", f"data.val_size={HUGE}: allowed is an integer of at least 0, or null, below 2^63"),
        ("sweep.parent=abc", "sweep.parent=abc: a sweep sets it for its trials; leave it out"),
        ("~seed", "~seed: a key cannot be left out; give it a value, an integer from 0 to 4294967295"),
    ],
)
def test_a_config_that_will_not_do(refused, override, message):
    assert refused(override) == message


def test_a_config_file_that_is_none(refused, tmp_path):
    (tmp_path / "conf" / "more").mkdir(parents=True)
    (tmp_path / "conf" / "more" / "bad.yaml").write_bytes(b"seed: [1, 2")
    message = refused("--config-dir", str(tmp_path / "conf"), "+more=bad")
    assert message.startswith(f"{tmp_path}/conf/more/bad.yaml: cannot be read as YAML of a config (line 1: ")


@pytest.mark.parametrize(
    ("data", "root", "form"),
    [
        ("npz", "x" * 256, "FILE.npz"),
        ("npz", "~no such user/a.npz", "FILE.npz"),
        ("idx", "~no such user", f"a folder with {IDX_FILES[0]}[.gz] and the three others"),
    ],
)
def test_a_name_that_nothing_can_have(refused, data, root, form):
    assert refused(f"data={data}", f"data.root='{root}'") == f"data.root={root}: does not exist; give {form}"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seed=range(0,10,0)", "seed=range(0,10,0): allowed is range(START,STOP,STEP) in finite numbers"),
        ("seed=range(0,1000000000)", "seed=range(0,1000000000): more than 100,000 trials, the most of a sweep"),
        ("sweep.parent=abc", "sweep.parent=abc: a sweep sets it for its trials; leave it out"),
        ("hydra.launcher._target_=os.getcwd", "hydra.launcher._target_=os.getcwd: is not to be set"),
        ("hydra.sweep.dir=/proc/nope", "hydra.sweep.dir=/proc/nope: cannot be made (No such file or directory)"),
    ],
)
def test_a_sweep_that_will_not_do(refused, override, words):
    assert refused("-m", "model=lstm,gru", override).startswith(words)


def test_a_grid_of_more_trials_than_are_planned_at_once(refused):
    message = refused("-m", "seed=range(0,1000)", "model.hidden_size=range(1,1000)")
    assert message.startswith("the sweep: more than 100,000 trials")


@pytest.mark.parametrize(
    "arguments", [("--foo",), ("--cfg", "nope"), ("--config-dir", "conf", "conf"), ("--config-dir",), ("-m=3",)]
)
def test_flags_that_are_not_understood(refused, arguments):
    assert "usage" not in refused(*arguments)


def test_a_pickled_config_is_not_run(refused, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    (tmp_path / "config.pickle").write_bytes(pickle.dumps(Evil()))
    assert "reproduce=RUN_ID" in refused("--experimental-rerun", "config.pickle")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model.hidden_size=10000000"], "model.hidden_size=10000000 model.num_layers=1"),
        (["model.hidden_size=10000000000000"], "model.hidden_size=10000000000000 model.num_layers=1"),
        (["model.frontend=conv", "model.frontend_size=10000000"], "model.hidden_size=4 model.num_layers=1 frontend"),
        (["data.num_classes=100000000"], "100000000 classes"),
        (["model.hidden_size=3000000", "model=simple_rnn"], "model.hidden_size=3000000"),
    ],
)
@pytest.mark.parametrize("multirun", [False, True])
def test_a_network_that_no_memory_holds_is_not_built(run_cli, idx_folder, runs, overrides, words, multirun):
    answer = run_cli(*["-m"] * multirun, *SHORT, f"data.root={idx_folder}", *overrides)
    assert (answer.code, answer.out, runs()) == (2, "", [])
    assert answer.err.splitlines()[-1].startswith(words)
    assert "of memory, and there are" in answer.err


@pytest.mark.slow
def test_a_dry_run_of_one_trial_trains_nothing(run_cli, idx_folder, store_file, runs):
    answer = run_cli(*SHORT, f"data.root={idx_folder}", "sweep.dry_run=true")
    assert (answer.code, answer.err, runs()) == (0, "", [])
    assert answer.out.splitlines()[-1] == "1 trial, 0 to be left out, 1 to run; nothing started"


@pytest.mark.slow
def test_an_error_without_a_log_does_not_name_one(run_cli, monkeypatch):
    def fail(_: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr("recurrent_cells.trial.life.load_splits", fail)
    assert run_cli("trainer=cpu").err.splitlines()[-1] == "HYDRA_FULL_ERROR=1 shows the traceback."


def test_an_error_within_a_run_names_its_log(run_cli, idx_folder, store_file, monkeypatch):
    def fail(*_: object, **__: object):
        raise RuntimeError("odd")

    monkeypatch.setattr("recurrent_cells.training.program.Program.train", fail)
    answer = run_cli(*SHORT, f"data.root={idx_folder}")
    assert answer.code == 1
    assert answer.err.splitlines()[-1].startswith("The traceback is in the trial's log.")


def test_a_folder_for_hydra_that_cannot_be_made(refused):
    words = "/proc/x: cannot be used (No such file or directory); make it writable or choose another place"
    assert refused("hydra.run.dir=/proc/x") == words


def test_a_sweep_with_trials_that_will_not_do_starts_none(refused):
    message = refused("-m", "model=gru,foo", "model.hidden_size=0,8,abc", lines=3)
    assert sorted(message.splitlines()) == [
        "model.hidden_size=0: allowed is an integer of at least 1",
        "model.hidden_size=abc: allowed is an integer of at least 1",
        f"model=foo: no such option; allowed are {CELL_NAMES} (3 trials)",
    ]


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(device, "num_gpus", lambda: 0)


def test_a_device_that_is_not_there(refused, no_gpu):
    assert refused("trainer=gpu") == "trainer.accelerator=gpu: no CUDA device here; use trainer=auto or trainer=cpu"


def test_kernels_for_a_device_that_is_not_there(refused, no_gpu):
    words = "model.kernel=triton: needs a GPU; allowed on a CPU are auto, reference, torch, numpy"
    assert refused("model.kernel=triton") == words
    assert refused("-m", "model.kernel=numpy,triton").startswith(words)


def test_a_precision_the_device_lacks(refused, no_gpu, monkeypatch):
    words = "trainer.precision=16-mixed: needs a GPU; allowed on a CPU are auto, 32-true, 64-true, bf16-mixed"
    assert refused("trainer.precision=16-mixed") == words
    monkeypatch.setattr(device, "num_gpus", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Old GPU")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert check_device(TrainerConfig(precision="bf16-mixed")) == "gpu"
    assert resolve_device(TrainerConfig()).precision == "16-mixed"
    with pytest.raises(
        UserError, match=r"^trainer.precision=bf16-mixed: Old GPU has no bf16; allowed are auto, 16-mix"
    ):
        resolve_device(TrainerConfig(precision="bf16-mixed"))


def edit(change):
    """A kind of damage: `change` applied to a file's bytes."""
    return lambda path: path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        (
            IDX_FILES[0],
            lambda path: path.unlink(),
            "data.root={folder}: no train-images-idx3-ubyte, plain or .gz; put ",
        ),
        (IDX_FILES[1], edit(lambda content: b""), "{path}: the file is empty, expected an IDX file"),
        (IDX_FILES[2], edit(lambda content: gzip.compress(content)[:-30]), "{path}: truncated, the gzip stream ends"),
        (IDX_FILES[2], edit(lambda content: b"\x1f\x8b" + b"damaged" * 9), "{path}: damaged gzip file"),
        (
            IDX_FILES[0],
            edit(lambda content: b"PK\x03\x04" + content),
            "{path}: wrong magic number 0x504b0304, expected",
        ),
        (IDX_FILES[3], lambda path: write_idx(path, np.zeros(19)), "{path}: 19 labels, but t10k-images-idx3-ubyte has"),
        (
            IDX_FILES[3],
            lambda path: write_idx(path, np.full(20, 8)),
            "{path}: the class 8 is in no training example of ",
        ),
        (
            IDX_FILES[0],
            edit(lambda content: gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 2**31, 28, 28))),
            "{path}: (2147483648, 28, 28) bytes: needs 1,568.0 GiB of memory, and there are",
        ),
        (IDX_FILES[0], lambda path: write_idx(path, np.zeros((60, 6, 5))), "data=idx: all values to train on are 0, "),
        (
            IDX_FILES[1],
            lambda path: [
                write_idx(path.with_name(it), np.zeros(n)) for it, n in zip(IDX_FILES[1::2], (60, 20), strict=True)
            ],
            "data=idx: all targets to train on are 0, ",
        ),
    ],
    ids=[
        *("missing", "empty", "truncated", "damaged", "magic", "counts", "labels"),
        *("bomb", "black", "one class"),
    ],
)
def test_data_that_will_not_do(refused, idx_folder, name, damage, words):
    damage(idx_folder / name)
    message = refused(*SHORT, f"data.root={idx_folder}")
    assert message.startswith(words.format(folder=idx_folder, path=idx_folder / name))


@pytest.mark.parametrize(
    ("overrides", "arrays", "words"),
    [
        (["data=npz"], None, "data.root={path}: does not exist; give FILE.npz"),
        (["data=npz"], {"train_x": np.zeros((9, 4, 1))}, "{path}: no train_y among train_x"),
        (
            ["data=npz"],
            {"train_x": np.array([np.zeros(2), np.zeros(3)], dtype=object), "train_y": np.arange(2)},
            "{path}: train_x holds Python objects, which are not read; give numbers, ",
        ),
        (["data=npz", "data.dataset=GunPoint"], None, "data.dataset=GunPoint: data=npz does not read it; leave it out"),
        (
            ["data=table", "data.series=a", "data.time=b", "data.target=c"],
            None,
            "data.root={path}: does not exist; give FILE.csv or FILE.parquet",
        ),
        (
            ["data=table", "data.series=a", "data.time=b"],
            None,
            "data.target=null: data=table needs it; give data.target",
        ),
        (["data=ts", "data.dataset=GunPoint"], None, "data.dataset=GunPoint: no GunPoint_TRAIN.ts in {path}; "),
    ],
)
def test_series_that_will_not_do(refused, tmp_path, overrides, arrays, words):
    path = tmp_path / "mine.npz"
    if arrays is not None:
        np.savez(path, **arrays)
    message = refused(*overrides, f"data.root={path}", "trainer=cpu")
    assert message.startswith(words.format(path=path))


def test_a_data_folder_that_is_not_there(refused):
    words = "data.root=/absent: does not exist; give a folder with train-images-idx3-ubyte[.gz] and the three others"
    assert refused("data=mnist", "data.root=/absent") == words
    assert refused("data.root=/absent").startswith("data.root=/absent: data=mnist_5k reads no folder; ")


def test_files_of_another_data_set(refused, idx_folder):
    for name in ("mnist", "fashion_mnist"):
        message = refused(f"data={name}", f"data.root={idx_folder}")
        assert message.startswith(
            f"{idx_folder}/train-images-idx3-ubyte: 60 x 6 x 5 bytes where data={name} has 60000 x"
        )


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.batch_size=51", "data.batch_size=51: more than there are training examples; allowed is 1 to 50"),
        ("data.val_size=60", "data.train_size=null data.val_size=60: together more than the 60 examples there are"),
        ("data.train_size=51", "data.train_size=51 data.val_size=10: together more than the 60 examples there are"),
        ("data.num_classes=3", "data.num_classes=3: "),
    ],
)
def test_sizes_the_data_does_not_have(refused, idx_folder, override, words):
    assert refused(*SHORT, f"data.root={idx_folder}", override).startswith(words)


def test_no_network_for_a_download(run_cli, tmp_path, monkeypatch, runs):
    def urlopen(*_: object, **__: object):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    monkeypatch.setattr(paths, "DATASETS", tmp_path / "datasets")
    answer = run_cli("data=mnist")
    assert (answer.code, answer.out, runs()) == (2, "", [])
    announced, failed, ways_out = answer.err.splitlines()
    assert announced == f"data=mnist: downloading into {tmp_path}/datasets"
    assert failed.startswith(
        f"data=mnist: the download into {tmp_path}/datasets failed (<urlopen error Name or service"
    )
    assert ways_out.startswith("Give data.root=FOLDER with the four IDX files (plain or .gz), or use data=mnist_5k")


def test_an_output_folder_that_cannot_be_written(refused, idx_folder, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    message = refused(*SHORT, f"data.root={idx_folder}")
    assert message.startswith(f"{tmp_path}/file: cannot be written (Not a directory); make it writable, or set MLFLOW_")


def test_a_server_that_does_not_answer(refused, idx_folder, monkeypatch):
    monkeypatch.setattr(store, "SERVER_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        silent = refused(*SHORT, f"data.root={idx_folder}")
    gone = refused(*SHORT, f"data.root={idx_folder}")
    for message, reason in ((silent, "timed out"), (gone, "[Errno 111] Connection refused")):
        assert message == (
            f"MLFLOW_TRACKING_URI={uri}: the server does not answer ({reason}); "
            "start it, or unset MLFLOW_TRACKING_URI to use mlruns/"
        )


def test_a_tracking_uri_that_is_rubbish(refused, idx_folder, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "foo")
    message = refused(*SHORT, f"data.root={idx_folder}", lines=2)
    assert message.startswith("MLFLOW_TRACKING_URI=foo: MLflow keeps no runs in folders any more;\nallowed are sqlite:")


@pytest.mark.slow
def test_odd_data_trains_and_dropout_without_effect_is_one_line(run_cli, idx_folder, store_file, runs):
    answer = run_cli(*SHORT, f"data.root={idx_folder}", "model.dropout=0.5")
    assert answer.code == 0
    warning, *progress = answer.err.splitlines()
    assert warning == (
        "model.dropout=0.5: no effect, it acts between recurrent layers and there is one; "
        "model.num_layers=2 or model.output_dropout would use it"
    )
    assert [line.split()[:2] for line in progress] == [["step", "2/4"], ["step", "4/4"]]
    assert [run.info.status for run in runs()] == ["FINISHED"]


def test_a_config_error_answers_before_the_heavy_imports(tmp_path):
    before = processor_seconds()
    result = python("-X", "importtime", "-m", "src.train", "model.hidden_size=0")
    seconds = processor_seconds() - before
    imported = {
        line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if line.startswith("import time")
    }
    said = [line for line in result.stderr.splitlines() if not line.startswith("import time")]
    assert result.returncode == 2
    assert said == ["model.hidden_size=0: allowed is an integer of at least 1"]
    assert "hydra" in imported
    assert not imported & {"torch", "numpy", "mlflow", "pytorch_lightning", "mlxtend", "matplotlib"}
    assert seconds < 2  # half a second; the imports alone take four


def processor_seconds():
    """Of the processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_traceback_is_there_for_who_asks(tmp_path):
    result = python("-m", "src.train", "model.hidden_size=0", env={"HYDRA_FULL_ERROR": "1"})
    assert result.returncode != 0
    assert "Traceback (most recent call last)" in result.stderr
    assert "recurrent_cells.errors.UserError: model.hidden_size=0: allowed is an integer of at least 1" in result.stderr


def test_a_fault_found_late_is_one_line_too(tmp_path):
    result = python("-m", "src.train", "data=mnist", "data.root=/absent")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("data.root=/absent: does not exist; ")
    assert len(result.stderr.splitlines()) == 1
