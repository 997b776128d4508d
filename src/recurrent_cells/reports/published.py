"""What was published of recipes, beside what their trials came to."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from statistics import mean
from typing import Any

from recurrent_cells.reports.configurations import Configuration
from recurrent_cells.reports.document import Block, Heading, Table, Text
from recurrent_cells.reports.metric import Metric, describe
from recurrent_cells.statistics.comparisons import compare, one_more
from recurrent_cells.sweeps.results import SweepData
from recurrent_cells.tracking.histories import read_histories
from recurrent_cells.tracking.names import TEST_WATCHED, Tag
from recurrent_cells.tracking.store import Store

NONE = "–"
WORDS = (
    "A published figure is of one run: ± beside it is half of a 95 % interval for one more run with another seed, and "
    "a figure within that interval is what such a run may give. Where an order was published, ± is half of a 95 % "
    "interval of the difference of means. Each row is judged by itself. † watches the test images (its val/acc is of "
    "these) and trains on all training images, as published."
)
# In which direction a recipe's mean lies from the other's.
DIRECTIONS = {"above": 1, "below": -1}


def published_sections(
    store: Store, data: SweepData, everything: Sequence[Configuration], published: Mapping[str, Any], metric: Metric
) -> list[Block]:
    """A table of the recipes beside what was published of each, and one for each curve that was published."""
    recipes = {one.trials[0].record.params["recipe"]: one for one in everything}
    run_ids = [trial.record.run_id for trial in data.finished]
    histories = read_histories(store, run_ids, sorted({it["metric"] for it in published.values() if "metric" in it}))
    curves = {
        recipe: _curve(recipes[recipe], it["metric"], it["values"], histories)
        for recipe, it in published.items()
        if recipe in recipes and "metric" in it
    }
    rows = []
    for recipe, one in recipes.items():
        if recipe in curves:
            said = _figure(published[recipe], curves[recipe], describe(published[recipe]["metric"], _records(one)))
        else:
            said = _order(recipe, recipes, published.get(recipe, {}), metric)
        mark = " †" if one.trials[0].record.tags.get(Tag.PROTOCOL) == TEST_WATCHED else ""
        score = metric.value(one.mean(metric))
        rows.append((recipe + mark, *said, score, f"{one.n_params:,}", str(len(one.trials)), f"{one.seconds:.0f}"))
    heads = ("", "published", "here", "the figure or order is", metric.label, "parameters", "seeds", "seconds")
    title = "Each recipe beside what was published of it"
    table = Table("published", title, dict(zip(heads, zip(*rows, strict=True), strict=True)))
    more = [_curve_table(recipe, published[recipe], found) for recipe, found in curves.items() if len(found) > 1]
    return [Heading("Published and here"), Text(WORDS), table, *more]


def _records(one: Configuration) -> Iterator[Any]:
    return (trial.record for trial in one.trials)


def _curve(
    one: Configuration, name: str, values: Mapping[Any, float], histories: Mapping[str, Mapping[str, Any]]
) -> dict[int, list[float]]:
    """Step → the values of the trials there, at the steps that were published."""
    found: dict[int, list[float]] = {int(step): [] for step in values}
    for record, step in product(_records(one), found):
        history = histories.get(record.run_id, {}).get(name)
        if history is not None:
            found[step] += history.values[history.steps == step].tolist()
    return found


def _figure(said: Mapping[str, Any], curve: Mapping[int, Sequence[float]], metric: Metric) -> tuple[str, str, str]:
    """The last published figure, the interval of one more run there, and on which side of it the figure lies."""
    step, value = max((int(step), value) for step, value in said["values"].items())
    shown = f"{metric.name} {metric.value(value)} after {step:,} steps"
    if not curve[step]:
        return shown, NONE, "no trial was measured there"
    middle, half = one_more(curve[step])
    if not half > 0:
        return shown, metric.value(middle), NONE
    side = "within" if abs(value - middle) <= half else "above" if value > middle else "below"
    return shown, f"{metric.value(middle)} ± {half * metric.scale:.2g}", side


def _order(
    recipe: str, recipes: Mapping[str, Configuration], said: Mapping[str, str], metric: Metric
) -> tuple[str, str, str]:
    """The published order of two recipes, their difference here, and whether that agrees."""
    direction, other = next(iter(said.items()), ("", ""))
    if not direction:
        return "no figure", NONE, NONE
    shown = f"{direction} {other}"
    values = {name: list(recipes[name].values(metric).values()) for name in (recipe, other) if name in recipes}
    if len(values) < 2 or min(map(len, values.values())) < 2:
        return shown, NONE, "not compared yet"
    pair = compare(values, metric.higher_is_better)[0]
    sign = 1 if pair.better == recipe else -1
    here = f"{'+' if sign > 0 else '-'}{metric.amount(pair.difference, pair.half)}"
    if not pair.is_separated:
        return shown, here, "not told apart"
    return shown, here, "as published" if sign == DIRECTIONS[direction] else "the other way round"


def _curve_table(recipe: str, said: Mapping[str, Any], found: Mapping[int, Sequence[float]]) -> Table:
    """The published curve beside mean and range of the trials."""
    columns = {
        "step": [f"{step:,}" for step in found],
        "published": [f"{value:.4f}" for value in said["values"].values()],
        "here": [
            f"{mean(values):.4f} ({min(values):.4f} – {max(values):.4f})" if values else NONE
            for values in found.values()
        ],
    }
    return Table(f"curve_{recipe}", f"{recipe}: {said['metric']}, mean and range of the trials", columns)
