"""The contents of a report, from the trials of a sweep."""

from collections.abc import Iterator, Mapping, Sequence

from recurrent_cells.reports import tables
from recurrent_cells.reports.blocks import Competition, across
from recurrent_cells.reports.configurations import PROBLEM, Configuration, differing
from recurrent_cells.reports.confusion import Confusion, read_confusion
from recurrent_cells.reports.contest import Contest, contest_of
from recurrent_cells.reports.curves import X_AXES, band
from recurrent_cells.reports.document import Block, Bullets, Document, Heading, Pictures, Text
from recurrent_cells.reports.fairness import Finding, fairness
from recurrent_cells.reports.figures import (
    Picture,
    Style,
    best_of_blocks,
    draw_confusion,
    draw_cost,
    draw_curves,
    draw_effect,
    draw_hardest,
    draw_seeds,
    effect_keys,
    has_order,
    styles,
)
from recurrent_cells.reports.metric import Metric, describe
from recurrent_cells.reports.searches import read_outline, search_section
from recurrent_cells.reports.verdicts import verdict_section
from recurrent_cells.statistics.comparisons import share_interval
from recurrent_cells.sweeps.results import SweepData
from recurrent_cells.tables import SOURCES
from recurrent_cells.tracking import artifacts
from recurrent_cells.tracking.artifacts import read_hardest, read_numbers
from recurrent_cells.tracking.histories import Histories, read_histories
from recurrent_cells.tracking.names import TEST_WATCHED, Curve, Tag
from recurrent_cells.tracking.queries import TrialRecord, best_by_validation
from recurrent_cells.tracking.store import Store
from recurrent_cells.training.pictures import draw_numbers

MOST_CURVES = 6
SEEDS_SHOW = (
    "Every seed as a small point; above it the mean with its 95 % interval, of which all hold at once. "
    "An arrow: the interval goes on beyond the picture."
)
ONE_SEED_SHOWS = "The one seed of each configuration: without others nothing is known of their spread."
CURVES_SHOW = (
    "Lines are means over seeds, bands reach from the lowest seed to the highest; seconds are those of training."
)
LINES_JOIN = "lines join means"
WITHOUT_ORDER = "large ones their means with 95 % intervals, of which all of a data block hold at once"
COSTS = {
    "parameters": "Small points are seeds, large ones means; on the dashed line nothing is better and smaller at once.",
    "seconds": "The same against time: what trains beside others on one machine takes longer than alone.",
}


def compose(store: Store, data: SweepData, contest: Contest | None = None) -> Document:
    """The report of a sweep, whatever became of its trials; by the metric on the test data if there is no contest."""
    title = " + ".join(sweep.name or sweep.run_id for sweep in data.sweeps)
    left = [tables.unfinished(data)] if data.unfinished else []
    if not data.finished:
        return Document(title, [Text("No trial is finished: there is nothing to compare.", strong=True), *left])
    contest = contest or contest_of(store, data)
    if not contest.compared:
        only = "No trial of the comparison is finished, only trials that chose among settings."
        return Document(title, [Text(only, strong=True), *left])
    records = [trial.record for trial in data.finished]
    metric, everything, found, compared = contest.metric, contest.everything, contest.competitions, contest.compared
    drawn = [one for competition in found for one in _best_few(competition.compared)][:MOST_CURVES]
    curves = [describe(curve, records) for curve in ("val/loss", f"val/{records[0].metric}")]
    losses = read_histories(store, [trial.run_id for one in compared for trial in one.trials], [Curve.VAL_LOSS])
    drawn_runs = [trial.run_id for one in drawn for trial in one.trials]
    others = read_histories(store, drawn_runs, [f"val/{records[0].metric}", "epoch", "epoch_seconds"])
    histories = {run_id: losses.get(run_id, {}) | others.get(run_id, {}) for run_id in drawn_runs}
    read = {one.label: read_confusion(store, one) for one in drawn}
    confusions = {label: confusion for label, confusion in read.items() if confusion is not None}
    look = styles(everything)
    outline = read_outline(store, data)
    blocks: list[Block] = [
        *verdict_section(data, found, across(everything, metric), metric, contest.margin),
        *_fairness(fairness(data, compared, losses, metric)),
        *(search_section(outline, data) if outline else []),
        *left,
        Heading("Results"),
        tables.results(everything, found, metric),
        *_guessing(records, metric),
        Pictures([seeds_picture(everything, found, look, metric)]),
        *_how_sure(found, metric, list(confusions.values())),
        *([tables.comparisons(found, metric, contest.margin)] if any(one.tested for one in found) else []),
        Heading("Cost"),
        Pictures([picture for cost in COSTS for picture in _costs(found, look, metric, cost)]),
        *([] if outline else effects(data, found, look, metric)),
        *_curves(curves, drawn, len(compared), histories, look),
        *_errors(confusions, _hardest(store, records)),
        Heading("Trials"),
        tables.trials(everything, metric),
    ]
    return Document(title, blocks)


def headline(document: Document) -> list[str]:
    """The sentences that matter most, for a terminal."""
    return [block.text for block in document.blocks if isinstance(block, Text) and block.strong]


def _guessing(records: Sequence[TrialRecord], metric: Metric) -> list[Block]:
    """What guessing comes to, where a source of the data knows."""
    names = sorted({record.params.get("data.name", "") for record in records})
    known = {name: SOURCES[name].naive.get(metric.name) for name in names if name in SOURCES}
    unit = " %" if metric.is_share else ""
    said = [f"{metric.value(value)}{unit} on data={name}" for name, value in known.items() if value is not None]
    return [Text(f"Guessing comes to {metric.name} {', '.join(said)}.")] if said else []


def _best_few(compared: Sequence[Configuration]) -> list[Configuration]:
    """The best by validation, at most six, in the order given."""
    few = sorted(compared, key=lambda one: -one.rank)[:MOST_CURVES]
    return [one for one in compared if one in few]


def _fairness(findings: Sequence[Finding]) -> list[Block]:
    different = [f"{finding.what}: {finding.difference}" for finding in findings if finding.difference]
    same = [f"{finding.what} {finding.value}" for finding in findings if not finding.difference and finding.value]
    clean = [finding.what for finding in findings if not finding.difference and not finding.value]
    blocks: list[Block] = [Heading("Is it fair?")]
    if different:
        blocks.append(Bullets(different, warning=True))
    blocks.append(Text(" ".join([_sentence("The same for all", same), _sentence("None", clean)]).strip()))
    return blocks


def _sentence(start: str, parts: Sequence[str]) -> str:
    return f"{start}: {', '.join(parts)}." if parts else ""


def _how_sure(found: Sequence[Competition], metric: Metric, confusions: Sequence[Confusion]) -> list[Block]:
    """What other test examples would change, of one accuracy: for trials that have not left what that says of pairs."""
    if metric.name != "test/acc" or not confusions or all(competition.on_other_examples for competition in found):
        return []
    images = confusions[0].images
    rate = sum(float(it.counts.trace()) for it in confusions) / sum(float(it.counts.sum()) for it in confusions)
    low, high = (100 * bound for bound in share_interval(rate, images))
    known = f"an accuracy of {100 * rate:.1f} % is itself only known to lie between {low:.1f} and {high:.1f} %"
    words = "The intervals tell what other seeds would change, not what other examples would."
    return [Text(f"{words} With {images:,} test examples {known}.")]


def effects(data: SweepData, found: Sequence[Competition], look: Mapping[str, Style], metric: Metric) -> list[Block]:
    """What each swept key does, on each data block if it has several values there, else over all of them."""
    everything = [one for competition in found for one in competition.everything]
    groups = {competition.name: competition.everything for competition in found}
    pictures = []
    for key in _effective(data, everything):
        within = {name: drawn for name, drawn in groups.items() if effect_keys(drawn, [key])}
        for place, (name, drawn) in enumerate((within or {"": everything}).items()):
            on_block = f" on {name}" if name else ""
            others = len(_effective(data, drawn)) > 1
            rest = ", other keys at their best by validation" if others else ""
            means = LINES_JOIN if has_order(one.settings[key] for one in drawn) else WITHOUT_ORDER
            words = f"What {key} does{on_block}: small points are seeds, {means}{rest}."
            number = f"_{place + 1}" if len(within) > 1 else ""
            figure = draw_effect(drawn, look, metric, key, tables.groups(found))
            pictures.append(Picture(f"effect_{key.replace('.', '_')}{number}", words, figure))
    return [Heading("Effect of the swept values"), Pictures(pictures)] if pictures else []


def _costs(found: Sequence[Competition], look: Mapping[str, Style], metric: Metric, cost: str) -> Iterator[Picture]:
    """What each configuration reaches and costs, on each data block."""
    for place, competition in enumerate(found):
        several = len(found) > 1
        name, on_block = (f"_{place + 1}", f"On {competition.name}. ") if several else ("", "")
        figure = draw_cost(competition.everything, look, metric, cost)
        yield Picture(f"cost_{cost}{name}", f"{on_block}{COSTS[cost]}", figure)


def _effective(data: SweepData, drawn: Sequence[Configuration]) -> list[str]:
    """The swept keys of which some cell has several values; a problem is no value of a scale."""
    varied = [key for key in differing([one.settings for one in drawn]) if key != PROBLEM]
    swept = [key for key in varied if data.swept is None or key in data.swept]
    return effect_keys(drawn, [key for key in swept if all(key in one.said for one in drawn)])


def seeds_picture(
    everything: Sequence[Configuration], found: Sequence[Competition], look: Mapping[str, Style], metric: Metric
) -> Picture:
    """Every seed of each configuration, data blocks one by one."""
    by_block = [one for competition in found for one in competition.everything if one.values(metric)]
    drawn = best_of_blocks(by_block, metric)
    words = SEEDS_SHOW if any(len(one.values(metric)) > 1 for one in everything) else ONE_SEED_SHOWS
    if len(drawn) < len(by_block):
        words += f" The best {len(drawn)} of {len(by_block)} configurations, as many of each data block."
    return Picture("seeds", words, draw_seeds(drawn, look, metric, tables.groups(found)))


def _curves(
    curves: Sequence[Metric],
    drawn: Sequence[Configuration],
    compared: int,
    histories: Histories,
    look: Mapping[str, Style],
) -> list[Block]:
    pictures = []
    for curve in curves:
        for x_axis in X_AXES:
            found = {
                one.label: band(histories, [trial.run_id for trial in one.trials], curve.name, x_axis) for one in drawn
            }
            bands = {label: it for label, it in found.items() if it is not None}
            if bands:
                file = f"{curve.name}_by_{x_axis}".replace("/", "_").replace(" ", "_")
                figure = draw_curves(bands, look, curve, x_axis)
                pictures.append(Picture(file, f"{curve.name} by {x_axis}.", figure))
    watched = [
        one.label for one in drawn if any(trial.record.tags.get(Tag.PROTOCOL) == TEST_WATCHED for trial in one.trials)
    ]
    on = (
        f"On validation examples, but on test examples: {', '.join(watched)}"
        if watched
        else "All on validation examples"
    )
    if len(watched) == len(drawn):
        on = "All on test examples, which these trials watched"
    few = f" Here and below are {len(drawn)} of the {compared} that are compared." if len(drawn) < compared else ""
    return [Heading("Curves"), Text(f"{CURVES_SHOW} {on}.{few}"), Pictures(pictures)] if pictures else []


def _hardest(store: Store, records: Sequence[TrialRecord]) -> list[Picture]:
    trial = best_by_validation(records)
    if trial is None:
        return []
    by_validation = f"{trial.name}, the best trial by validation"
    if (numbers := read_numbers(store, trial)) is not None:
        words = f"What {by_validation}, answered to the test sequences, against what is true; on the line is no error."
        return [Picture("predicted_against_true", words, draw_numbers(*numbers))]
    examples = read_hardest(store, trial)
    if not examples:
        return []
    kind = "images" if examples[0].is_image else "sequences"
    words = (
        f"The test {kind} that were hardest for {by_validation}: "
        "the per cents are the probabilities it gave the label and its answer."
    )
    confusion = artifacts.read_confusion(store, trial)
    return [Picture(f"hardest_{kind}", words, draw_hardest(examples, confusion and confusion[1]))]


def _errors(confusions: Mapping[str, Confusion], hardest: Sequence[Picture]) -> list[Block]:
    worst = max((it.worst for it in confusions.values()), default=0.0)
    pictures = [
        Picture(
            f"confusion_{''.join(sign if sign.isalnum() else '_' for sign in label.lower())}",
            f"{label}: per cent of each label's test examples, over {it.seeds} {'seed' if it.seeds == 1 else 'seeds'}.",
            draw_confusion(it, label, worst),
        )
        for label, it in confusions.items()
    ]
    known = [table for table in (tables.recalls(confusions), tables.confused(confusions)) if table]
    blocks: list[Block] = [Heading("Errors"), Pictures([*pictures, *hardest]), *known]
    return blocks if pictures or hardest else []
