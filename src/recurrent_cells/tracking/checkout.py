"""The git checkout of the code: its commit, its uncommitted changes, and a recorded state of both beside it."""

import json
import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from recurrent_cells.errors import UserError
from recurrent_cells.files import scratch_folder
from recurrent_cells.paths import PACKAGE
from recurrent_cells.tracking.names import Tag

# Where code was sent to without its history: the tags of its commit.
CODE_VARIABLE = "RECURRENT_CELLS_CODE"
# Where new files are code; bytes of changes that a run keeps.
CODE = ("src", "conf")
MOST_DIFF = 1_000_000
WORKTREE = ".worktree-"
UNKNOWN = "unknown"

log = logging.getLogger(__name__)


def repository() -> Path | None:
    """The folder of the git repository that has the code of this process.

    None without git, and for code that was installed, be it within a repository of something else, or sent here.
    """
    if CODE_VARIABLE in os.environ:
        return None
    try:
        return Path(_git("rev-parse", "--show-toplevel")) if _git("ls-files") else None
    except (OSError, subprocess.SubprocessError):
        return None


@lru_cache(maxsize=1)
def git_tags() -> dict[str, str]:
    """`git.commit` and `git.dirty` (uncommitted changes), or `unknown` outside a checkout."""
    if CODE_VARIABLE in os.environ:
        return dict(json.loads(os.environ[CODE_VARIABLE]))
    unknown = {Tag.GIT_COMMIT: UNKNOWN, Tag.GIT_DIRTY: UNKNOWN}
    try:
        if repository() is None:
            return unknown
        commit = _git("rev-parse", "HEAD")
        dirty = _git("status", "--porcelain", "--untracked-files=no") != ""
    except (OSError, subprocess.SubprocessError):
        return unknown
    return {Tag.GIT_COMMIT: commit, Tag.GIT_DIRTY: str(dirty).lower()}


@lru_cache(maxsize=1)
def code_diff() -> bytes:
    """What `git apply` adds to the commit to have the code of this process, new files of `src/` and `conf/` too.

    Empty where nothing is changed or nothing is known of a checkout, and, with a warning, for more than 1 MB.
    """
    root = repository()
    try:
        diff = b"" if root is None else _changes(root)
    except (OSError, subprocess.SubprocessError):
        return b""
    if len(diff) > MOST_DIFF:
        log.warning("uncommitted changes of %.1f MB are not kept with runs: more than 1 MB", len(diff) / 1e6)
        return b""
    return diff


def _changes(root: Path) -> bytes:
    new = _git("ls-files", "--others", "--exclude-standard", "-z", "--", *CODE, folder=root)
    if not new and not _git("status", "--porcelain", "--untracked-files=no", folder=root):
        return b""
    with tempfile.TemporaryDirectory() as scratch:  # in a copy of the index: the user's own stays as it is
        index = Path(scratch) / "index"
        # With its time: files that are as old git compares by their content.
        shutil.copy2(root / _git("rev-parse", "--git-path", "index", folder=root), index)
        copied = {"GIT_INDEX_FILE": str(index)}
        if new:
            _git("add", "--intent-to-add", "--", *new.rstrip("\0").split("\0"), folder=root, environment=copied)
        plain = "--binary", "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/"
        return _output("diff", *plain, "HEAD", folder=root, environment=copied)


@contextmanager
def worktree(root: Path, commit: str, diff: bytes, parent: Path) -> Iterator[Path]:
    """A commit of a repository with a diff applied, in a worktree below `parent` that goes after the body.

    What a process that was killed has left there is removed first.

    Raises:
        UserError: if the repository does not have the commit, or the diff does not apply to it.
    """
    if not has_commit(root, commit):
        raise UserError(f"commit {commit} is not in {root}; git fetch may bring it")
    with scratch_folder(parent, WORKTREE) as folder:
        _forget_removed(root)
        no_hooks = "-c", "core.hooksPath=/dev/null"
        _git(*no_hooks, "worktree", "add", "--quiet", "--detach", str(folder), commit, folder=root)
        try:
            _apply(diff, folder, commit)
            yield folder
        finally:
            _git("worktree", "remove", "--force", str(folder), folder=root)


def _apply(diff: bytes, folder: Path, commit: str) -> None:
    try:
        if diff:
            _output("apply", "--whitespace=nowarn", folder=folder, content=diff)
    except subprocess.CalledProcessError as error:
        why = (error.stderr.decode(errors="replace").splitlines() or ["git apply fails"])[0]
        raise UserError(f"the changes kept with the run do not apply to commit {commit} ({why})") from None


def has_commit(root: Path, commit: str) -> bool:
    """Whether a repository has a commit, named by all its digits: a tag of a run may be any text."""
    try:
        return bool(re.fullmatch("[0-9a-f]{40,64}", commit) and _git("cat-file", "-t", commit, folder=root) == "commit")
    except subprocess.CalledProcessError:
        return False


def _forget_removed(root: Path) -> None:
    """Have a repository know no worktree of ours any more whose folder is gone."""
    for line in _git("worktree", "list", "--porcelain", folder=root).splitlines():
        folder = Path(line.removeprefix("worktree "))
        if line.startswith("worktree ") and folder.name.startswith(WORKTREE) and not folder.exists():
            _git("worktree", "remove", "--force", str(folder), folder=root)


def _git(*arguments: str, folder: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    return _output(*arguments, folder=folder, environment=environment).decode(errors="surrogateescape").strip()


def _output(
    *arguments: str,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> bytes:
    """What git, given some content, prints in a folder, by default that of the code."""
    result = subprocess.run(
        ["git", "-c", "core.quotePath=false", *arguments],
        cwd=folder or PACKAGE,
        env=os.environ | dict(environment or {}),
        check=True,
        capture_output=True,
        input=content,
        timeout=20,
    )
    return result.stdout
