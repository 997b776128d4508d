"""The git checkout of the code."""

import os
import re
import subprocess

import pytest

from recurrent_cells.errors import UserError
from recurrent_cells.tracking import checkout
from recurrent_cells.tracking.checkout import CODE_VARIABLE, code_diff, git_tags, repository, worktree


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
    monkeypatch.setattr(checkout, "PACKAGE", tmp_path)
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
    monkeypatch.setattr(checkout, "PACKAGE", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_tags() == {"git.commit": "unknown", "git.dirty": "unknown"}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder under git, which the code of this process seems to come from; its commit has two files."""
    root = tmp_path / "checkout"
    (root / "src").mkdir(parents=True)
    monkeypatch.setattr(checkout, "PACKAGE", root / "src")
    git(root, "init")
    (root / "src" / "code.py").write_text("one\n")
    (root / "README").write_text("read\n")
    git(root, "add", ".")
    git(root, "commit", "-m", "first")
    return root


def test_the_diff_makes_the_commit_the_code_that_ran(root, tmp_path):
    git(root, "clone", ".", str(tmp_path / "copy"))
    assert code_diff() == b""
    code_diff.cache_clear()
    new = {"src/code.py": "two\n", "src/new cell.py": "new\n", "src/é.py": "\xe9\n", "conf/x.yaml": "a: 1\n"}
    for name, text in new.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    (root / "README").unlink()
    (root / "notes.txt").write_text("no code")
    before = (root / ".git" / "index").read_bytes()
    (tmp_path / "code.diff").write_bytes(code_diff())
    assert (root / ".git" / "index").read_bytes() == before
    git(tmp_path / "copy", "apply", str(tmp_path / "code.diff"))
    files = [path for path in (tmp_path / "copy").rglob("*") if path.is_file() and ".git" not in path.parts]
    assert {path.relative_to(tmp_path / "copy").as_posix(): path.read_text() for path in files} == new


def test_a_change_of_the_same_length_in_the_moment_of_the_commit_is_in_the_diff(root):
    code, index = root / "src" / "code.py", root / ".git" / "index"
    git(root, "config", "core.trustctime", "false")
    os.utime(code, (1_700_000_000, 1_700_000_000))
    git(root, "add", ".")
    code.write_text("two\n")
    (root / "src" / "new.py").write_text("new\n")
    for path in (code, index):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    assert b"+two" in code_diff()


def test_a_diff_that_is_too_long_is_left_out_with_a_warning(root, caplog):
    (root / "src" / "numbers.py").write_text("1\n" * 600_000)
    assert code_diff() == b""
    assert "are not kept with runs" in caplog.text


def test_without_a_checkout_there_is_no_diff(tmp_path, monkeypatch):
    monkeypatch.setattr(checkout, "PACKAGE", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert code_diff() == b""


def test_code_that_was_sent_without_its_history_is_told_its_commit(monkeypatch):
    monkeypatch.setenv(CODE_VARIABLE, '{"git.commit": "abc", "git.dirty": "true"}')
    assert git_tags() == {"git.commit": "abc", "git.dirty": "true"}


def test_code_that_was_installed_within_a_repository_of_something_else_is_in_none(root, monkeypatch):
    assert repository() == root
    installed = root / ".venv" / "package"
    installed.mkdir(parents=True)
    (installed / "__init__.py").touch()
    monkeypatch.setattr(checkout, "PACKAGE", installed)
    assert repository() is None
    assert git_tags() == {"git.commit": "unknown", "git.dirty": "unknown"}


def worktrees(root):
    told = subprocess.run(["git", "worktree", "list"], cwd=root, check=True, capture_output=True, text=True).stdout
    return len(told.splitlines()) - 1


def test_a_worktree_has_a_commit_and_changes_and_goes(root, tmp_path):
    (root / "src" / "code.py").write_text("two\n")
    commit, diff = git_tags()["git.commit"], code_diff()
    (root / "src" / "code.py").write_text("three\n")
    git(root, "commit", "--all", "-m", "second")
    with worktree(root, commit, diff, tmp_path / "store") as folder:
        assert (folder / "src" / "code.py").read_text() == "two\n"
        assert worktrees(root) == 1
    assert (root / "src" / "code.py").read_text() == "three\n"
    assert not list((tmp_path / "store").iterdir())
    assert worktrees(root) == 0


def test_a_worktree_that_a_killed_process_has_left_is_removed(root, tmp_path):
    commit = git_tags()["git.commit"]
    store = tmp_path / "store"
    store.mkdir()
    git(root, "worktree", "add", "--detach", str(store / ".worktree-left"), commit)
    git(root, "worktree", "add", "--detach", str(tmp_path / "own"), commit)
    with worktree(root, commit, b"", store):
        assert len(list(store.iterdir())) == 1
        assert worktrees(root) == 2, "the user's own stays"


@pytest.mark.parametrize("commit", ["0" * 40, "HEAD", "--help", "unknown"])
def test_a_commit_that_is_not_in_the_repository_is_refused(root, tmp_path, commit):
    with pytest.raises(UserError, match=f"commit {commit} is not in {root}"), worktree(root, commit, b"", tmp_path):
        pass
    assert worktrees(root) == 0


def test_changes_that_do_not_apply_are_refused(root, tmp_path):
    (root / "src" / "code.py").write_text("two\n")
    git(root, "commit", "--all", "-m", "second")
    (root / "src" / "code.py").write_text("three\n")
    diff, store = code_diff(), tmp_path / "store"
    git(root, "checkout", "--", ".")
    git(root, "checkout", "HEAD~")
    with pytest.raises(UserError, match="do not apply"), worktree(root, git_tags()["git.commit"], diff, store):
        pass
    assert not list(store.iterdir())
    assert worktrees(root) == 0
