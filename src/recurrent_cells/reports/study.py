"""The page of a study: question, protocol, verdicts and cost, from the file of its trials alone."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from recurrent_cells.config.schema import StudyConfig
from recurrent_cells.errors import UserError
from recurrent_cells.reports import tables
from recurrent_cells.reports.blocks import Competition, across
from recurrent_cells.reports.careless import careless_section
from recurrent_cells.reports.compose import effects, seeds_picture
from recurrent_cells.reports.configurations import Configuration, cell_label
from recurrent_cells.reports.contest import contest_of
from recurrent_cells.reports.document import Block, Bullets, Document, Heading, Pictures, Table, Text
from recurrent_cells.reports.figures import Picture, styles
from recurrent_cells.reports.grid import Entry, draw_grid
from recurrent_cells.reports.markdown import MOST_ROWS, as_markdown
from recurrent_cells.reports.metric import Metric
from recurrent_cells.reports.progress import progress
from recurrent_cells.reports.published import published_sections
from recurrent_cells.reports.questions import question_of
from recurrent_cells.reports.verdicts import verdict_section
from recurrent_cells.reports.write import as_csv, save_picture
from recurrent_cells.statistics.comparisons import estimate
from recurrent_cells.statistics.letters import letters
from recurrent_cells.sweeps.results import SweepData, joined
from recurrent_cells.tracking.archive import opened_archive
from recurrent_cells.tracking.artifacts import Question, read_code
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.queries import TrialRecord, trial_records
from recurrent_cells.tracking.store import Store
from recurrent_cells.trial.fingerprint import is_within

# Packages whose version may change a result.
NAMED = ("torch", "numpy", "pytorch-lightning", "hydra-core", "mlflow", "recurrent-cells")
PYTHON = "version.python"
NONE = "–"
AT_END = " *"
GRID = (
    "Mean {} over seeds with 95 % intervals that hold at once in a column. "
    "Of two in a column that share a letter neither is shown to be better."
)


def write_page(archive: Path, study: StudyConfig) -> Path:
    """Write the page of the study whose trials a file has, beside the file's folder, and its pictures beside the file.

    Raises:
        UserError: if the file is damaged, or has no finished trial.
    """
    with opened_archive(archive) as (store, parent):
        data = joined(store, [parent], trial_records(store))
        if not data.finished:
            raise UserError(f"{archive}: no trial is finished; the page tells of finished trials")
        if not contest_of(store, data).compared:
            raise UserError(f"{archive}: only trials that chose among settings are finished; the page compares others")
        document = compose_study(store, data, study, progress(archive).core_hours)
    folder = archive.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for path in [*folder.glob("*.png"), *folder.glob("*.csv")]:
        path.unlink()
    for block in document.blocks:
        if isinstance(block, Pictures):
            for picture in block.pictures:
                save_picture(picture.figure, folder / picture.name)
        if isinstance(block, Table) and len(block.rows) > MOST_ROWS:
            (folder / f"{block.name}.csv").write_text(as_csv(block))
    page = archive.parent.parent / f"{study.name}{'' if study.size == 'quick' else f'-{study.size}'}.md"
    beside = str(folder.relative_to(page.parent))
    page.write_text(as_markdown(document, _footer(study, archive), pictures=beside, tables=beside))
    return page


def compose_study(store: Store, data: SweepData, study: StudyConfig, core_hours: float) -> Document:
    """The contents of the page.

    Args:
        core_hours: that the finished trials took.
    """
    contest = contest_of(store, data)
    metric, found = contest.metric, contest.competitions
    question = question_of(store, data) or Question("done", [], 0.0, 0, [])
    tuning = [trial.record for trial in data.finished if trial.record.fingerprint in question.tuning]
    look = styles(contest.everything)
    finding: list[Block] = [Text(study.finding)] if study.finding else []
    protocol: list[Block] = [Heading("Protocol"), Bullets(study.protocol), *_deviations(study)]
    cost: list[Block] = [Heading("Cost"), Text(_cost(store, data, core_hours))]
    title = f"{study.name}: {study.question}"
    if study.published:
        held = published_sections(store, data, contest.everything, study.published, metric)
        seeds = Pictures([seeds_picture(contest.everything, found, look, metric)])
        return Document(title, [*finding, seeds, *protocol, *held, *cost])
    blocks: list[Block] = [
        *finding,
        Pictures([*_grid(found, metric), seeds_picture(contest.everything, found, look, metric)]),
        *protocol,
        *verdict_section(data, found, across(contest.everything, metric), metric, contest.margin),
        *effects(data, found, look, metric),
        Heading("Results"),
        tables.results(contest.everything, found, metric),
        *([tables.comparisons(found, metric, contest.margin)] if any(one.tested for one in found) else []),
        *_chosen(data, contest.everything, question.keys, tuning),
        *careless_section(found, tuning, question.keys, metric),
        *cost,
    ]
    return Document(title, blocks)


def _deviations(study: StudyConfig) -> list[Block]:
    return [Heading("Deviations"), Bullets(study.deviations)] if study.deviations else []


def _chosen(
    data: SweepData, everything: Sequence[Configuration], keys: Sequence[str], tuning: Sequence[TrialRecord]
) -> list[Block]:
    """The settings of each configuration that a phase chose by validation, with a mark at the ends of what it tried."""
    chosen = [key for key in sorted(data.swept or ()) if is_within(key, keys)]
    columns = {
        key: [one.settings.get(key, NONE) + AT_END * _is_at_end(key, one, tuning) for one in everything]
        for key in chosen
    }
    names = {"": [one.label for one in everything]}
    title = "Chosen by validation, with seeds of its own"
    if any(value.endswith(AT_END) for column in columns.values() for value in column):
        title += f";{AT_END} is an end of what was tried, beyond which the cell might do better"
    return [Table("chosen", title, names | columns)] if chosen else []


def _is_at_end(key: str, one: Configuration, tuning: Sequence[TrialRecord]) -> bool:
    """Whether a number is the least or the greatest of several that were tried."""
    try:
        value = float(one.settings[key])
        tried = {float(it.params[key]) for it in tuning if it.block == one.block}
    except (KeyError, ValueError):
        return False
    return len(tried) > 1 and value in (min(tried), max(tried))


def _grid(found: Sequence[Competition], metric: Metric) -> Iterator[Picture]:
    """Who is told apart from whom on each of several data blocks."""
    if len(found) > 1:
        columns = {one.name: _column(one, metric) for one in found}
        yield Picture("grid", GRID.format(metric.name), draw_grid(columns, metric))


def _column(found: Competition, metric: Metric) -> dict[str, Entry]:
    """What is compared on a data block, the best first."""
    found = found.without_block_names()
    ranked = sorted(found.compared, key=lambda one: -metric.rank(one.mean(metric)))
    separated = [frozenset((pair.better, pair.worse)) for pair in found.pairs if pair.is_separated]
    shared = letters([one.label for one in ranked], separated)
    alone = len({one.cell for one in ranked}) == len(ranked)
    estimates = {one.label: estimate(list(one.values(metric).values()), len(ranked)) for one in ranked}
    return {
        cell_label(one.cell) if alone else one.label: Entry(estimates[one.label], shared[one.label]) for one in ranked
    }


def _cost(store: Store, data: SweepData, hours: float) -> str:
    """Trials, core-hours, and on what they were spent."""
    records = [trial.record for trial in data.finished]
    devices = sorted({it.tags.get(Tag.DEVICE, "") for it in records} - {""})
    pythons = {f"Python {it.tags[PYTHON]}" for it in records if PYTHON in it.tags}
    versions = sorted(pythons | {line for it in records for line in _versions(read_code(store, it)[1])})
    return (
        f"{len(records)} finished trials took {hours:.2f} core-hours of training and testing "
        f"({', '.join([*devices, *versions])}). Hours are of a clock: beside other work trials take longer."
    )


def _versions(packages: Sequence[str]) -> Iterator[str]:
    for line in packages:
        folder, _, version = line.partition("==")
        name = folder.replace("_", "-")
        if name in NAMED:
            yield f"{name} {version}"


def _footer(study: StudyConfig, archive: Path) -> str:
    size = "" if study.size == "quick" else f" study.size={study.size}"
    return (
        f"`python -m src.train -m +study={study.name}{size}` trains what `{archive.name}` in this study's folder has "
        "not, and writes this page."
    )
