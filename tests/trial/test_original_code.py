"""Training a recorded trial again with its own code: python -m src.train reproduce=RUN_ID reproduce_code=original."""

import shutil
import subprocess
from importlib.metadata import version

import pytest

from recurrent_cells.tracking import checkout
from recurrent_cells.tracking.checkout import code_diff, git_tags
from recurrent_cells.tracking.names import Artifact
from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.tracking.store import open_store
from src import REPOSITORY
from tests.support import TINY

ORIGINAL = "reproduce_code=original"
ALIEN = "diff --git a/absent b/absent\n--- a/absent\n+++ b/absent\n@@ -1 +1 @@\n-a\n+b\n"


def git(folder, *arguments):
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A git repository with one commit of this code, from which this process seems to run."""
    root = tmp_path / "repository"
    for folder in ("src", "conf"):
        shutil.copytree(REPOSITORY / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    git(root, "init")
    git(root, "add", ".")
    git(root, "commit", "-m", "first")
    monkeypatch.setattr(checkout, "PACKAGE", root / "src" / "recurrent_cells")
    for cached in (git_tags, code_diff):
        cached.cache_clear()
    yield root
    for cached in (git_tags, code_diff):
        cached.cache_clear()


def change(root, file, old, new):
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))


@pytest.fixture
def train(run_cli, idx_folder, store_file):
    """Trains a trial; its record."""

    def trained():
        assert run_cli(*TINY, "trainer.max_epochs=1", f"data.root={idx_folder}").code == 0
        return records()[-1]

    return trained


def records():
    return trial_records(open_store("recurrent-cells"))


def is_tidy(repository, tmp_path):
    told = subprocess.run(["git", "worktree", "list"], cwd=repository, check=True, capture_output=True, text=True)
    return len(told.stdout.splitlines()) == 1 and not list(tmp_path.glob(".worktree-*"))


@pytest.mark.slow
def test_the_same_code_comes_to_the_same_weights(repository, train, run_cli, tmp_path):
    record = train()
    change(repository, "src/recurrent_cells/models/init.py", "0.1", "0.2")
    git(repository, "commit", "--all", "-m", "second")
    answer = run_cli(f"reproduce={record.run_id[:8]}", ORIGINAL)
    assert answer.code == 0, answer.err
    assert f"the code of commit {record.tags['git.commit']} runs now" in answer.err
    assert f"the same to the bit as {record.name} ({record.run_id}): " in answer.out
    assert " and the weights, " in answer.out
    again = records()[-1]
    assert again.tags["reproduces"] == record.run_id
    assert again.tags["git.commit"] == record.tags["git.commit"]
    assert is_tidy(repository, tmp_path)


@pytest.mark.slow
def test_uncommitted_changes_of_then_are_applied(repository, train, run_cli, tmp_path):
    """The run says that its code was changed, which that of this process is not: the curves show it."""
    change(repository, "src/recurrent_cells/models/init.py", "nn.init.zeros_", "nn.init.ones_")
    record = train()
    git(repository, "checkout", "--", ".")
    answer = run_cli(f"reproduce={record.run_id}", ORIGINAL)
    assert answer.code == 0, answer.err
    assert "the changes that the store keeps of src/recurrent_cells/models/init.py runs now" in answer.err
    assert f"not the same as {record.name} ({record.run_id})" in answer.out
    assert is_tidy(repository, tmp_path)


@pytest.mark.slow
def test_code_that_is_not_to_be_had_is_refused(repository, train, run_cli, tmp_path, monkeypatch):
    record, client = train(), open_store("recurrent-cells").client

    def refusal():
        answer = run_cli(f"reproduce={record.run_id}", ORIGINAL)
        assert answer.code == 2
        assert len(records()) == 1
        assert is_tidy(repository, tmp_path)
        return answer.err

    client.set_tag(record.run_id, "git.dirty", "true")
    assert "had uncommitted changes, which were not kept" in refusal()
    client.log_text(record.run_id, ALIEN, Artifact.CODE_DIFF)
    client.log_text(record.run_id, f"absent==1.0\ntorch=={version('torch')}\n", Artifact.PACKAGES)
    said = refusal()
    assert f"the changes kept with the run do not apply to commit {record.tags['git.commit']}" in said
    assert "packages are not as they were: " in said
    assert " absent 1.0 then, absent now; " in said
    assert "torch" not in said.split()
    client.set_tag(record.run_id, "git.commit", "0" * 40)
    assert f"{ORIGINAL}: commit {'0' * 40} is not in {repository}; git fetch may bring it" in refusal()
    monkeypatch.setattr(checkout, "PACKAGE", repository.parent)
    assert "this code is in no git repository" in refusal()


def test_without_a_run_original_code_is_refused(run_cli, idx_folder):
    answer = run_cli(*TINY, f"data.root={idx_folder}", ORIGINAL)
    assert answer.code == 2
    assert answer.err == "reproduce_code=original: allowed only with reproduce=RUN_ID\n"
