"""What made a run, and whether its process still works on it."""

import os
import re
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from recurrent_cells.tracking import provenance
from recurrent_cells.tracking.provenance import (
    ATTEMPT_VARIABLE,
    CODE_VARIABLE,
    code_diff,
    death_here,
    git_tags,
    is_here,
    is_this_process,
    library_tags,
    packages,
    process_start,
    process_tags,
)


@pytest.fixture(autouse=True)
def forgotten():
    git_tags.cache_clear()
    code_diff.cache_clear()
    yield
    git_tags.cache_clear()
    code_diff.cache_clear()


def git(folder, *arguments):
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_commit_and_whether_it_is_all(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    git(tmp_path, "init")
    (tmp_path / "code.py").write_text("one")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    clean = git_tags()
    assert re.fullmatch("[0-9a-f]{40}", clean["git.commit"])
    assert clean["git.dirty"] == "false"
    git_tags.cache_clear()
    (tmp_path / "code.py").write_text("two")
    assert git_tags() == clean | {"git.dirty": "true"}


def test_outside_a_checkout_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_tags() == {"git.commit": "unknown", "git.dirty": "unknown"}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder under git, which the code of this process seems to come from; its commit has two files."""
    root = tmp_path / "checkout"
    (root / "src").mkdir(parents=True)
    monkeypatch.setattr(provenance, "PACKAGE", root / "src")
    git(root, "init")
    (root / "src" / "code.py").write_text("one\n")
    (root / "README").write_text("read\n")
    git(root, "add", ".")
    git(root, "commit", "-m", "first")
    return root


def test_the_diff_makes_the_commit_the_code_that_ran(checkout, tmp_path):
    git(checkout, "clone", ".", str(tmp_path / "copy"))
    assert code_diff() == b""
    code_diff.cache_clear()
    new = {"src/code.py": "two\n", "src/new cell.py": "new\n", "src/é.py": "\xe9\n", "conf/x.yaml": "a: 1\n"}
    for name, text in new.items():
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).write_text(text)
    (checkout / "README").unlink()
    (checkout / "notes.txt").write_text("no code")
    before = (checkout / ".git" / "index").read_bytes()
    (tmp_path / "code.diff").write_bytes(code_diff())
    assert (checkout / ".git" / "index").read_bytes() == before
    git(tmp_path / "copy", "apply", str(tmp_path / "code.diff"))
    files = [path for path in (tmp_path / "copy").rglob("*") if path.is_file() and ".git" not in path.parts]
    assert {path.relative_to(tmp_path / "copy").as_posix(): path.read_text() for path in files} == new


def test_a_diff_that_is_too_long_is_left_out_with_a_warning(checkout, caplog):
    (checkout / "src" / "numbers.py").write_text("1\n" * 600_000)
    assert code_diff() == b""
    assert "are not kept with runs" in caplog.text


def test_without_a_checkout_there_is_no_diff(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert code_diff() == b""


def test_packages_are_those_that_are_installed():
    assert {f"torch=={version('torch')}", f"mlflow=={version('mlflow')}"} <= set(packages())


def test_versions_are_named():
    assert library_tags().keys() >= {"version.torch", "version.mlflow", "version.hydra-core", "version.python"}


def test_a_process_knows_itself():
    assert is_this_process(process_tags())
    assert not is_this_process(process_tags() | {"process.pid": "1"})
    assert not is_this_process({})


def test_a_living_process_is_not_dead():
    assert death_here(process_tags()) is None


def test_a_process_that_ended_is_gone():
    child = subprocess.Popen(["sleep", "60"])
    tags = process_tags() | {"process.pid": str(child.pid), "process.start": process_start(child.pid) or ""}
    assert death_here(tags) is None
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process_start(child.pid) is None, "a zombie works on nothing"
    assert death_here(tags) == f"process {child.pid} is gone (killed, or the power failed)"
    child.wait()
    assert process_start(child.pid) is None


@pytest.mark.parametrize("pid", ["", "rubbish", "-1", "²", "9" * 40])
def test_what_is_no_number_of_a_process_names_none_that_lives(pid):
    assert "is gone" in (death_here(process_tags() | {"process.pid": pid}) or "")


def test_a_machine_that_was_renamed_knows_its_processes():
    assert is_here(process_tags() | {"process.host": "its old name"})
    assert is_this_process(process_tags() | {"process.host": "its old name"})


def test_another_machine_or_container_is_elsewhere():
    tags = process_tags()
    assert not is_here(tags | {"process.host": "elsewhere", "process.boot": "another"})
    assert not is_here(tags | {"process.namespace": "of a container"}), "its processes have numbers of their own"
    del tags["process.namespace"]  # of an earlier version
    assert is_here(tags)
    assert not is_here(tags | {"process.host": "elsewhere"})


def test_a_process_that_only_has_the_number_is_another():
    assert "is gone" in (death_here(process_tags() | {"process.start": "1"}) or "")


def test_after_a_restart_of_the_machine_nothing_lives():
    tags = process_tags() | {"process.boot": "another"}
    assert death_here(tags) == f"host {tags['process.host']} was restarted"


def test_code_that_was_sent_without_its_history_is_told_its_commit(monkeypatch):
    monkeypatch.setenv(CODE_VARIABLE, '{"git.commit": "abc", "git.dirty": "true"}')
    assert git_tags() == {"git.commit": "abc", "git.dirty": "true"}


def test_a_process_knows_itself_in_whatever_attempt(monkeypatch):
    monkeypatch.setenv(ATTEMPT_VARIABLE, "first")
    tags = process_tags()
    assert tags["process.attempt"] == "first"
    monkeypatch.setenv(ATTEMPT_VARIABLE, "second")
    assert is_this_process(tags)


def test_where_proc_is_not_mounted_the_living_and_the_dead_are_told_apart(monkeypatch):
    read_text = Path.read_text

    def without_proc(path, *arguments, **named):
        if path.is_relative_to("/proc"):
            raise FileNotFoundError(path)
        return read_text(path, *arguments, **named)

    monkeypatch.setattr(Path, "read_text", without_proc)
    child = subprocess.Popen(["sleep", "60"])
    tags = process_tags() | {"process.pid": str(child.pid), "process.start": process_start(child.pid) or ""}
    assert death_here(tags) is None
    child.kill()
    child.wait()
    assert "is gone" in (death_here(tags) or "")


def test_setting_the_clock_kills_no_run(monkeypatch):
    tags = process_tags()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr("psutil.boot_time", lambda: 0.0)
    assert death_here(tags) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
def test_runs_of_earlier_versions_name_their_process_in_ticks_since_boot():
    ticks = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
    assert death_here(process_tags() | {"process.start": ticks}) is None
