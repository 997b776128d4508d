"""The page of a study: question, protocol, verdicts and cost, from the file of its trials alone."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recurrent_cells.errors import UserError
from recurrent_cells.reports import tables
from recurrent_cells.reports.blocks import Competition, across
from recurrent_cells.reports.careless import careless_section
from recurrent_cells.reports.compose import effects, seeds_picture
from recurrent_cells.reports.configurations import cell_label
from recurrent_cells.reports.contest import contest_of
from recurrent_cells.reports.document import Block, Bullets, Document, Heading, Pictures, Text
from recurrent_cells.reports.figures import Picture, styles
from recurrent_cells.reports.grid import Entry, draw_grid
from recurrent_cells.reports.markdown import as_markdown
from recurrent_cells.reports.metric import Metric
from recurrent_cells.reports.questions import question_of
from recurrent_cells.reports.verdicts import verdict_section
from recurrent_cells.reports.write import draw
from recurrent_cells.statistics.comparisons import estimate
from recurrent_cells.statistics.letters import letters
from recurrent_cells.sweeps.results import SweepData, joined
from recurrent_cells.tracking.archive import opened_archive
from recurrent_cells.tracking.archived import read_archive, read_sweep
from recurrent_cells.tracking.artifacts import Study, read_code, read_study
from recurrent_cells.tracking.names import Artifact, Tag
from recurrent_cells.tracking.queries import trial_records
from recurrent_cells.tracking.store import Store

# Packages whose version may change a result.
NAMED = ("torch", "numpy", "pytorch-lightning", "recurrent-cells")
HOUR = 3600
GRID = (
    "Mean {} over seeds with 95 % intervals that hold at once in a column. "
    "Of two in a column that share a letter neither is shown to be better."
)


@dataclass(frozen=True)
class Progress:
    """How far a study has come.

    Args:
        planned: trials, as far as they are known: seeds may be added.
        core_hours: what the finished trials took.
    """

    study: Study
    planned: int
    finished: int
    core_hours: float


def progress(archive: Path) -> Progress:
    """How far the study of a file has come; raises UserError if the file has none."""
    told, trials = read_sweep(archive), read_archive(archive)
    if Artifact.STUDY not in told:
        raise _no_study(archive)
    planned = {entry["fingerprint"] for entry in json.loads(told[Artifact.PLAN])}
    finished = [it for it in trials if it.fingerprint in planned]
    hours = sum(float(it.tags.get(Tag.SECONDS, 0)) * int(it.params.get("trainer.threads", 1)) for it in finished)
    study = Study(**json.loads(told[Artifact.STUDY]))
    return Progress(study, len(planned), len(finished), hours / HOUR)


def write_page(archive: Path) -> Path:
    """Write the page of the study whose trials a file has, beside the file's folder, and its pictures beside the file.

    Raises:
        UserError: if the file has no study, or no finished trial.
    """
    with opened_archive(archive) as (store, parent):
        data = joined(store, [parent], trial_records(store))
        study = _study(store, data, archive)
        if not data.finished:
            raise UserError(f"{archive}: no trial is finished, of which a page could tell")
        document = compose_study(store, data, study)
    folder = archive.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.png"):
        path.unlink()
    for block in document.blocks:
        if isinstance(block, Pictures):
            for picture in block.pictures:
                draw(picture.figure, folder / picture.name)
    page = archive.parent.parent / f"{study.name}{'' if study.size == 'quick' else f'-{study.size}'}.md"
    page.write_text(as_markdown(document, _footer(study, archive), pictures=str(folder.relative_to(page.parent))))
    return page


def compose_study(store: Store, data: SweepData, study: Study) -> Document:
    """The contents of the page."""
    contest = contest_of(store, data)
    metric, found = contest.metric, contest.competitions
    question = question_of(store, data)
    chosen_by = set(question.tuning if question else [])
    tuning = [trial.record for trial in data.finished if trial.record.fingerprint in chosen_by]
    look = styles(contest.everything)
    blocks: list[Block] = [
        *([Text(study.finding)] if study.finding else []),
        Pictures([*_grid(found, metric), seeds_picture(contest.everything, found, look, metric)]),
        Heading("Protocol"),
        Bullets(study.protocol),
        *_deviations(study),
        *verdict_section(data, found, across(contest.everything, metric), metric, contest.margin),
        *effects(data, contest.everything, look, metric),
        Heading("Results"),
        tables.results(contest.everything, found, metric),
        *([tables.comparisons(found, metric, contest.margin)] if any(one.tested for one in found) else []),
        *careless_section(found, tuning, metric),
        Heading("Cost"),
        Text(_cost(store, data)),
    ]
    return Document(f"{study.name}: {study.question}", blocks)


def _deviations(study: Study) -> list[Block]:
    return [Heading("Deviations"), Bullets(study.deviations)] if study.deviations else []


def core_hours(data: SweepData) -> float:
    """Hours of training and testing of the finished trials, times their threads."""
    records = [trial.record for trial in data.finished]
    return sum((it.seconds or 0) * int(it.params.get("trainer.threads", 1)) for it in records) / HOUR


def _study(store: Store, data: SweepData, archive: Path) -> Study:
    study = read_study(store, data.sweeps[0])
    if study is None:
        raise _no_study(archive)
    return study


def _no_study(archive: Path) -> UserError:
    return UserError(f"{archive}: no study is in it; allowed is a file that a sweep of +study=NAME has written")


def _grid(found: Sequence[Competition], metric: Metric) -> Iterator[Picture]:
    """Who is told apart from whom on each of several data blocks."""
    if len(found) > 1:
        columns = {one.name: _column(one, metric) for one in found}
        yield Picture("grid", GRID.format(metric.name), draw_grid(columns, metric))


def _column(found: Competition, metric: Metric) -> dict[str, Entry]:
    """What is compared on a data block, the best first."""
    ranked = sorted(found.without_block_names().compared, key=lambda one: -metric.rank(one.mean(metric)))
    pairs = found.without_block_names().pairs
    separated = [frozenset((pair.better, pair.worse)) for pair in pairs if pair.is_separated]
    shared = letters([one.label for one in ranked], separated)
    alone = len({one.cell for one in ranked}) == len(ranked)
    estimates = {one.label: estimate(list(one.values(metric).values()), len(ranked)) for one in ranked}
    return {
        cell_label(one.cell) if alone else one.label: Entry(estimates[one.label], shared[one.label]) for one in ranked
    }


def _cost(store: Store, data: SweepData) -> str:
    """Trials, core-hours, and on what they were spent."""
    records = [trial.record for trial in data.finished]
    devices = sorted({it.tags.get(Tag.DEVICE, "") for it in records} - {""})
    versions = sorted({line for it in records for line in _versions(read_code(store, it)[1])})
    hours = core_hours(data)
    return (
        f"{len(records)} finished trials took {hours:.2f} core-hours of training and testing "
        f"({', '.join([*devices, *versions])})."
    )


def _versions(packages: Sequence[str]) -> Iterator[str]:
    for line in packages:
        name, _, version = line.partition("==")
        if name in NAMED:
            yield f"{name} {version}"


def _footer(study: Study, archive: Path) -> str:
    size = "" if study.size == "quick" else f" study.size={study.size}"
    return (
        f"`python -m src.train -m +study={study.name}{size}` trains what `{archive.name}` in this study's folder has "
        "not, and writes this page."
    )
