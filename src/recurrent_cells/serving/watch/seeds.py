"""Whether seeds can be added to a sweep, or are, and when."""

from collections import defaultdict
from dataclasses import dataclass

from recurrent_cells.serving.watch.rows import Configurations
from recurrent_cells.sweeps.results import SweepData
from recurrent_cells.tracking.artifacts import Question, read_question
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.parents import ParentRun
from recurrent_cells.tracking.steering import DECIDED, seeds_asked_for
from recurrent_cells.tracking.store import Store

GROWS = f"{DECIDED}-"  # how the name of a plan begins that adds seeds by its command


@dataclass(frozen=True)
class Seeds:
    """The seeds of a sweep.

    Args:
        can_add: whether the sweep can be asked to add seeds.
        planned: of each configuration, the fewest.
        words: what becomes of the seeds, or why none can be added; may be empty.
    """

    can_add: bool
    planned: int
    words: str


def seeds_of(
    store: Store, parent: ParentRun, data: SweepData, configurations: Configurations, is_search: bool
) -> Seeds:
    """What the tags, the plan and the question of a sweep say of its seeds."""
    question = read_question(store, parent)
    planned = _by_configuration(data, configurations, question)
    fewest = min(map(len, planned), default=0)
    asked, is_running = seeds_asked_for(parent.tags), parent.status == "RUNNING"
    if parent.tags.get(Tag.PLAN, "").startswith(GROWS):
        most = f", at most {question.max_seeds}" if question is not None else ""
        return Seeds(False, fewest, f"Its command adds seeds until each pair is decided{most}.")
    if asked is not None:
        when = "once the planned trials have ended" if is_running else "when the same command is given again"
        is_under_way = question is not None and question.until == DECIDED
        words = f"Seeds are added until each pair is decided, at most {asked} of a configuration"
        return Seeds(False, fewest, f"{words}." if is_under_way and is_running else f"{words}: {when}.")
    if is_search or len(planned) < 2:
        return Seeds(False, fewest, "")
    if fewest < 2 or any(seeds != planned[0] for seeds in planned):
        words = "Seeds could be added if each configuration had the same seeds, two or more."
        return Seeds(False, fewest, words)
    return Seeds(True, fewest, "")


def _by_configuration(data: SweepData, configurations: Configurations, question: Question | None) -> list[list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for trial in data.trials:
        if question is None or trial.fingerprint not in question.tuning:
            found[configurations.of_trial[trial.fingerprint]].append(trial.overrides.get("seed", "0"))
    return list(found.values())
