"""The copies of runs' files in the store: brought there, synced where that can be, compared with what was written."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recurrent_cells.files import make_folder, sync_tree
from recurrent_cells.tracking import manifest
from recurrent_cells.tracking.manifest import Faults, Manifest
from recurrent_cells.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True)
class Copies:
    """What the store has of one run's files. `folder` is where they lie, None if they are a server's."""

    store: Store
    run_id: str
    folder: Path | None

    def bring(self, originals: Path) -> None:
        """Copy a folder; what lies on this machine is on the disk afterwards, else the originals are."""
        if self.folder is None:
            sync_tree(originals)
            self.store.client.log_artifacts(self.run_id, str(originals))
            return
        make_folder(self.folder)
        shutil.copytree(originals, self.folder, dirs_exist_ok=True)
        sync_tree(self.folder)

    def faults_by_size(self, expected: Manifest) -> Faults:
        """What is missing, empty or of another size; raises if a server does not answer."""
        if not expected:
            return {}
        size = self._listed("").get if self.folder is None else manifest.size_in(self.folder)
        return manifest.faults_by_size(expected, size)

    def faults(self, expected: Manifest) -> Faults:
        """What is missing, empty or altered, to the byte; raises if a server does not answer."""
        if self.folder is not None:
            return manifest.faults_by_content(expected, manifest.read_in(self.folder))
        present = self._listed("")
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(self.store.client.download_artifacts(self.run_id, "", scratch)) if present else Path(scratch)
            return manifest.faults_by_content(expected, manifest.read_in(root))

    def mend(self, expected: Manifest, originals: Path) -> tuple[Faults, Faults]:
        """Copy damaged files again from the originals that are whole; the faults found before and those left after."""
        found = self.faults(expected)
        lost = manifest.faults_by_content({name: expected[name] for name in found}, manifest.read_in(originals))
        usable = found.keys() - lost.keys()
        for name in usable:
            folder = Path(name).parent.as_posix()
            self.store.client.log_artifact(self.run_id, str(originals / name), None if folder == "." else folder)
        if not usable:
            return found, found
        if self.folder is not None:
            sync_tree(self.folder)
        return found, self.faults(expected)

    def _listed(self, folder: str) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for entry in self.store.client.list_artifacts(self.run_id, folder or None):
            sizes |= self._listed(entry.path) if entry.is_dir else {entry.path: entry.file_size}
        return sizes


def sync_files(store: Store, run_id: str) -> None:
    """Have the files that a run has in the store on the disk, if they lie on this machine."""
    folder = copies_of(store, store.client.get_run(run_id)).folder
    if folder is not None and folder.exists():
        sync_tree(folder)


def copies_of(store: Store, run: "Run") -> Copies:
    return Copies(store, run.info.run_id, manifest.local_folder(run.info.artifact_uri))
