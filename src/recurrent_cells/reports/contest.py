"""What a sweep's trials are compared by: the metric, the margin, and the competition on each data block."""

from collections.abc import Sequence
from dataclasses import dataclass

from recurrent_cells.errors import UserError
from recurrent_cells.reports.blocks import Competition, competitions
from recurrent_cells.reports.configurations import Configuration, configurations
from recurrent_cells.reports.metric import Metric, describe
from recurrent_cells.reports.questions import question_of, without_tuning
from recurrent_cells.sweeps.results import SweepData
from recurrent_cells.tracking.store import Store


@dataclass(frozen=True)
class Contest:
    """The configurations of a sweep and what competes on each data block.

    Args:
        margin: within which configurations are called equal, in the metric's own scale; None where there is none.
    """

    metric: Metric
    margin: float | None
    everything: Sequence[Configuration]
    competitions: Sequence[Competition]

    @property
    def compared(self) -> list[Configuration]:
        return [one for competition in self.competitions for one in competition.compared]


def contest_of(store: Store, data: SweepData, name: str | None = None, margin: float | None = None) -> Contest:
    """The contest of a sweep that has finished trials, by a metric, by default the one on the test data.

    Args:
        margin: in points for a share, else in the metric's own scale; None is that of the sweep's question.

    Raises:
        UserError: if no finished trial has the metric.
    """
    records = [trial.record for trial in data.finished]
    metric = describe(name or f"test/{records[0].metric}", records)
    known = sorted({name for record in records for name in record.metrics})
    if metric.name not in known:
        raise UserError(f"metric={metric.name}: no finished trial has it; allowed are {', '.join(known)}")
    question = question_of(store, data)
    everything = configurations(without_tuning(data, question), question.keys if question is not None else ())
    if margin is None and question is not None and question.margin > 0:
        margin = question.margin
    found = competitions(store, everything, metric, question, data)
    return Contest(metric, margin and margin / metric.scale, everything, found)
