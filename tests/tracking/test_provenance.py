"""What made a run, and whether its process still works on it."""

import os
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from recurrent_cells.tracking.provenance import (
    ATTEMPT_VARIABLE,
    death_here,
    is_here,
    is_this_process,
    library_tags,
    packages,
    process_start,
    process_tags,
)


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
