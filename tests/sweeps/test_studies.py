"""A study: a sweep whose file has its question, and whose page is made of the file of its trials alone."""

import platform
from importlib.metadata import version

import pytest
import yaml

from recurrent_cells.config.schema import StudyConfig
from recurrent_cells.reports.progress import progress
from recurrent_cells.reports.study import write_page
from recurrent_cells.tracking.archived import read_archive
from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.training import artifacts
from tests.support import write_data_set

STUDY = """# @package _global_
defaults:
  - override /data: idx
  - override /trainer: cpu

study:
  name: tiny
  question: which cell is better?
  protocol: [Each cell with the better of two rates., Fresh seeds.]
  quick: {seeds: "0,1", finding: GRU is.}
  full: {seeds: "0,1,2"}

model: {hidden_size: 4}
trainer: {max_steps: 20}

hydra:
  sweeper:
    params:
      model: lstm,gru
      problem: first,second

sweep:
  archive: docs/studies/${study.name}/${study.size}.parquet
  phases:
    - {seed: "8", optimizer.lr: "1e-3,1e-2"}
    - {seed: "${study.${study.size}.seeds}"}
"""


@pytest.fixture
def study(run_cli, store_file, tmp_path, monkeypatch):
    """`study(…)` runs a study of two cells on two problems, each trial in a few steps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(artifacts, "draw_confusion", lambda *_: None)
    root = write_data_set(tmp_path / "data")
    texts = {"study/tiny": STUDY} | {
        f"problem/{name}": f"# @package _global_\ndata: {{split_seed: {seed}, val_size: 10, batch_size: 10}}\n"
        for seed, name in enumerate(("first", "second"))
    }
    for name, text in texts.items():
        file = tmp_path / "conf" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run(*arguments):
        given = "--config-dir", str(tmp_path / "conf"), "+study=tiny", f"data.root={root}", "registry=false"
        return run_cli("-m", *given, "hydra.launcher.slots=2", *arguments)

    return run


@pytest.mark.slow
def test_parts_of_a_study_come_to_the_page_of_the_whole(study, tmp_path):
    folder = tmp_path / "docs" / "studies"
    archive, page = folder / "tiny" / "quick.parquet", folder / "tiny.md"
    first = study("problem=second")
    assert (first.code, first.out.splitlines()[-1]) == (0, "Study: docs/studies/tiny.md")
    assert len(read_archive(archive)) == 8
    assert study("problem=first").code == 0
    parts = page.read_text()
    lines = parts.splitlines()
    assert lines[:5:2] == ["# tiny: which cell is better?", "GRU is.", lines[4]]
    assert {"- Fresh seeds.", "**On first:**", "**On second:**"} <= set(lines)
    assert (folder / "tiny" / "quick" / "grid.png").exists()
    assert "is an end of what was tried" in parts  # of two rates either is
    named = [f"{name} {version(name)}" for name in ("torch", "numpy", "pytorch-lightning", "hydra-core", "mlflow")]
    assert all(line in parts for line in (f"Python {platform.python_version()}", *named))
    found = progress(archive)
    assert (found.finished, found.planned) == (16, 16)

    page.unlink()
    words = yaml.safe_load(STUDY.split("model:")[0])["study"]
    assert write_page(archive, StudyConfig(**words)).read_text() == parts

    archive.unlink()
    assert study().code == 0
    assert len(read_archive(archive)) == 16
    assert set(page.read_text().splitlines()) == set(lines)


@pytest.mark.slow
def test_another_archive_makes_another_sweep(study, tmp_path):
    mine = tmp_path / "mine" / "trials.parquet"
    assert study("problem=first", "model=gru", f"sweep.archive={mine}").code == 0
    assert len(read_archive(mine)) == 4
    assert not list(tmp_path.rglob("tiny.md"))


@pytest.mark.slow
def test_a_sweep_that_departs_from_a_study_leaves_its_file_and_page(study, store, tmp_path):
    answer = study("problem=first", "model=gru")
    assert answer.code == 0
    assert "with model=gru this is not the study tiny" in answer.err
    assert not (tmp_path / "docs").exists()
    assert not any(key.startswith("study") for record in trial_records(store) for key in record.params)
