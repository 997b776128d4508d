"""List runs that say something untrue about themselves, and repair them."""

from collections.abc import Sequence

from recurrent_cells.cli.arguments import run_command
from recurrent_cells.config.schema import EXPERIMENT
from recurrent_cells.tracking.backup import secure
from recurrent_cells.tracking.names import Tag
from recurrent_cells.tracking.store import Store, open_store


def main(arguments: Sequence[str]) -> None:
    """Repair what can be repaired in all experiments of the store; exits with 2 if it cannot be opened."""
    run_command(__doc__, {}, arguments, lambda _: _examine())


def _examine() -> None:
    copied = secure()
    store = open_store(EXPERIMENT)
    print("\n".join([store.address, *copied, *examine(store)]))


def examine(store: Store) -> list[str]:
    """Repair the store and say what was wrong, what was done and what is left, in lines."""
    from recurrent_cells.tracking.queries import search
    from recurrent_cells.tracking.recovery import deliver_kept, mark_killed
    from recurrent_cells.tracking.repairs import mark_damaged, read_back

    repairs, kept = deliver_kept(store)
    repairs += read_back(store)
    running = []
    for one in store.everywhere():
        repairs += mark_killed(one) + mark_damaged(one, to_the_byte=True)
        running += [(one.experiment, run) for run in search(one, "attributes.status = 'RUNNING'")]
    return [
        *_section(
            "repaired", [f"{it.name} ({it.run_id}): was {it.was}, now {it.status}: {it.cause}" for it in repairs]
        ),
        *_section("not delivered, kept on disk", [f"{end.folder}: {end.cause}" for end in kept]),
        *_section(
            "running",
            [
                f"{run.info.run_name} ({run.info.run_id}) in {experiment}: {_worker(run.data.tags)}"
                for experiment, run in running
            ],
        ),
        f"{len(repairs)} repaired, {len(kept)} not delivered, {len(running)} running",
    ]


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"{title}:", *(f"  {line}" for line in lines)] if lines else []


def _worker(tags: dict[str, str]) -> str:
    if Tag.PID not in tags:
        return "not started from here, left alone"
    return f"process {tags[Tag.PID]} on {tags[Tag.HOST]}"
