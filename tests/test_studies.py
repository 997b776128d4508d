"""The studies of conf/study, and the pages in docs/studies that are made of their trials."""

import re
import shutil
from dataclasses import replace

import pytest
import yaml
from omegaconf import OmegaConf

from recurrent_cells.cli.studies import study_of
from recurrent_cells.reports.study import write_page
from src import REPOSITORY
from tests.support import write_data_set

STUDIES = sorted((REPOSITORY / "conf" / "study").glob("*.yaml"))
ARCHIVES = sorted((REPOSITORY / "docs" / "studies").glob("*/*.parquet"))
FETCHED = ("japanese_vowels",)  # problems whose data are not in the repository


def problems(path):
    """The problems of a study that need no file; none if its experiments bring their data."""
    params = OmegaConf.load(path).hydra.sweeper.params
    return [name for name in params.get("problem", "").split(",") if name and name not in FETCHED]


@pytest.fixture
def data(tmp_path):
    """`data(path)`: the arguments that give a study what it needs in the place of files that are fetched."""

    def of(path, count=None):
        if found := problems(path)[:count]:
            return (f"problem={','.join(found)}",)
        folder = write_data_set(tmp_path / "digits", train=400, test=200)
        return "data=idx", f"data.root={folder}", "data.val_size=100", "data.validate_on=val"

    return of


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_has_its_file_s_name_a_question_and_a_protocol(path):
    text = yaml.safe_load(path.read_text())
    assert text["study"]["name"] == path.stem
    assert text["study"]["question"].endswith("?")
    assert len(text["study"]["protocol"]) > 1
    assert text["sweep"]["archive"] == "docs/studies/${study.name}/${study.size}.parquet"


@pytest.mark.slow
@pytest.mark.parametrize("size", ["quick", "full"])
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_can_be_planned(path, size, data, run_cli, store_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = run_cli("-m", f"+study={path.stem}", f"study.size={size}", *data(path), "sweep.dry_run=true")
    assert answer.code == 0, answer.err
    assert "nothing started" in answer.out


@pytest.mark.slow
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_trials_of_a_study_train(path, data, run_cli, store_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rates = 'optimizer.lr:"1e-3"'
    two_phases = f'[{{seed:"9",{rates}}},{{seed:"0"}}]' if "phases" in OmegaConf.load(path).sweep else "[]"
    answer = run_cli(
        *(
            "-m",
            f"+study={path.stem}",
            *data(path, 1),
            f"sweep.phases={two_phases}",
            "sweep.until=done",
        ),
        *("optimizer.lr=1e-3", "seed=0")[: 2 if two_phases == "[]" else 0],
        *(
            "trainer.max_steps=2",
            "trainer.max_images=null",
            "trainer.eval_every=2",
            "sweep.report=false",
            "registry=false",
        ),
    )
    assert answer.code == 0, answer.err
    assert "this is not the study" in answer.err
    assert not (tmp_path / "docs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_page_is_what_the_trials_say(archive, tmp_path):
    name = archive.parent.name
    copy = tmp_path / "studies" / name / archive.name
    copy.parent.mkdir(parents=True)
    shutil.copy(archive, copy)
    page = write_page(copy, replace(study_of(name), size=archive.stem))
    assert page.read_text() == (archive.parent.parent / page.name).read_text()
    beside = archive.with_suffix("")
    assert {it.name for it in beside.iterdir()} == {it.name for it in copy.with_suffix("").iterdir()}
    for table in re.findall(r"more rows are in (\S+\.csv)", page.read_text()):
        assert (archive.parent.parent / table).exists()


@pytest.mark.parametrize("said", ["{metric: val/acc}", "5", "{above: gru, below: lstm}"])
def test_what_was_published_is_a_figure_or_an_order(said, run_cli, store_file):
    answer = run_cli("-m", "+study=depth", f"+study.published.lstm={said}", "sweep.dry_run=true")
    assert answer.code == 2
    assert "study.published" in answer.err
