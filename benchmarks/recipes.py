"""The published recipes against their published results, from the runs in the tracking store.

python -m src.train -m +sweep=recipes full=true seed=0,1,2 data.root=FOLDER
python -m benchmarks.recipes --write benchmarks/results/recipes.md
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.record import machine, write_result
from recurrent_cells.config.schema import TrackingConfig
from recurrent_cells.statistics.comparisons import estimate
from recurrent_cells.tracking.queries import TrialRecord, trial_records
from recurrent_cells.tracking.store import Store, open_store


@dataclass(frozen=True)
class Row:
    """A recipe, or one with something exchanged."""

    recipe: str
    published: str
    exchanged: tuple[tuple[str, str], ...] = ()

    @property
    def command(self) -> str:
        return " ".join(
            [f"python -m src.train experiment={self.recipe}", *(f"{key}={value}" for key, value in self.exchanged)]
        )


ROWS = (
    Row("keras_simple_rnn", "no figure for this network"),
    Row("keras_simple_rnn_as_published", "0.6586 at step 4,000"),
    Row("keras_lstm", "a picture; clearly above SimpleRNN"),
    Row("keras_lstm", "found mediocre", exchanged=(("model.cell", "simple_rnn"),)),
    Row("keras_rnn_per_step", "in words: worse than one loss at the last step"),
    Row("keras_rnn_per_step", "in words: better", exchanged=(("model.readout", "last"),)),
    Row("keras_cnn_rnn_per_step", "in words: worse than one loss at the last step"),
    Row("keras_cnn_rnn_per_step", "in words: better", exchanged=(("model.readout", "last"),)),
    Row("tf_lstm_projected", "no test figure; training batches below"),
    Row("tf_gru_stacked", "about 0.985 after 3 epochs"),
)

FULL_EPOCHS = "200"  # of the per-step recipes

AS_PUBLISHED = {
    0: (2.3111, 0.0958),
    500: (1.6328, 0.5229),
    1000: (1.3162, 0.5595),
    1500: (1.1488, 0.5495),
    2000: (1.0472, 0.5713),
    2500: (1.0110, 0.5631),
    3000: (0.9521, 0.5877),
    3500: (0.8797, 0.6042),
    4000: (0.8584, 0.6586),
}
PROJECTED = {
    10: (1.3012, 0.5547),
    20: (1.0104, 0.6641),
    30: (0.7884, 0.7031),
    40: (0.6676, 0.7891),
    50: (0.5958, 0.7813),
    60: (0.3510, 0.8828),
    70: (0.4991, 0.7969),
    80: (0.4395, 0.8203),
    90: (0.5045, 0.8359),
    100: (0.2717, 0.9141),
    110: (0.3662, 0.8711),
    120: (0.3226, 0.8984),
    130: (0.3479, 0.8828),
    140: (0.3942, 0.8828),
}


def of_row(row: Row, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The finished runs of a row: its recipe, with what it exchanges and nothing else."""
    exchanged = dict(row.exchanged)
    own_cells = {"keras_lstm": "lstm", "tf_lstm_projected": "lstm", "tf_gru_stacked": "gru"}
    expected = {
        "recipe": row.recipe,
        "model.cell": exchanged.get("model.cell", own_cells.get(row.recipe, "simple_rnn")),
        "model.readout": exchanged.get("model.readout", "every" if row.recipe.endswith("per_step") else "last"),
    }
    return [record for record in records if expected.items() <= record.params.items()]


def by_budget(records: Sequence[TrialRecord]) -> dict[str, list[TrialRecord]]:
    """Runs of different length stand in different rows."""
    groups: dict[str, list[TrialRecord]] = defaultdict(list)
    for record in records:
        params = record.params
        steps, images = params["trainer.max_steps"], params["trainer.max_images"]
        budget = f"{params['trainer.max_epochs']} epochs"
        if steps != "None" or images != "None":
            budget = f"{int(steps):,} steps" if steps != "None" else f"{int(images):,} images"
        groups[budget].append(record)
    return groups


def mean_and_spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.4f} (1 seed)"
    found = estimate(values)
    return f"{found.mean:.4f} ± {found.half:.4f} ({found.count} seeds)"


def main_table(records: Sequence[TrialRecord]) -> list[str]:
    lines = [
        "| recipe | budget | published | test accuracy here | parameters | seconds | command |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        for budget, runs in sorted(by_budget(of_row(row, records)).items()):
            watched = " †" if runs[0].tags["protocol"] == "test-watched" else ""
            accuracy = mean_and_spread([run.metrics["test/acc"] for run in runs])
            if "test/acc_mean_over_steps" in runs[0].metrics:
                over_steps = statistics.mean(run.metrics["test/acc_mean_over_steps"] for run in runs)
                accuracy += f"; {over_steps:.4f} over all steps"
            seconds = statistics.median(run.seconds or float("nan") for run in runs)
            epochs = runs[0].params["trainer.max_epochs"]
            shortened = "per_step" in row.recipe and epochs != FULL_EPOCHS
            command = row.command + (f" trainer.max_epochs={epochs}" if shortened else "")
            name = row.recipe + "".join(f", {key}={value}" for key, value in row.exchanged)
            lines.append(
                f"| {name}{watched} | {budget} | {row.published} | {accuracy} | {int(runs[0].params['n_params']):,} "
                f"| {seconds:.0f} | `{command}` |"
            )
    return lines


def curve_table(
    store: Store,
    records: Sequence[TrialRecord],
    published: dict[int, tuple[float, float]],
    split: str,
    x: str,
    scale: int,
) -> list[str]:
    """Published loss and accuracy beside ours at the same steps."""
    histories: dict[str, dict[int, list[float]]] = {}
    for key in ("loss", "acc"):
        points: dict[int, list[float]] = defaultdict(list)
        for record in records:
            for point in store.client.get_metric_history(record.run_id, f"{split}/{key}"):
                points[point.step].append(point.value)
        histories[key] = points
    lines = [
        f"| {x} | published loss | loss here | published accuracy | accuracy here |",
        "|---|---|---|---|---|",
    ]
    for step, (loss, accuracy) in published.items():
        losses, accuracies = histories["loss"][step], histories["acc"][step]
        lines.append(
            f"| {step * scale:,} | {loss:.4f} | {statistics.mean(losses):.4f} ({min(losses):.4f} – {max(losses):.4f}) "
            f"| {accuracy:.4f} | {statistics.mean(accuracies):.4f} ({min(accuracies):.4f} – {max(accuracies):.4f}) |"
        )
    return lines


def report(store: Store, remarks: str) -> str:
    records = [record for record in trial_records(store) if record.status == "FINISHED" and "recipe" in record.params]
    as_published = [record for record in records if record.params["recipe"] == "keras_simple_rnn_as_published"]
    projected = [record for record in records if record.params["recipe"] == "tf_lstm_projected"]
    lines = [
        "# The published recipes",
        "",
        "Full MNIST. Test accuracy is the mean ± half of a 95 % interval for other seeds, each row by itself, at the "
        "last step of training for the rows marked †, which watch the 10,000 test images and train on all 60,000 as "
        "their recipes do.",
        "",
        *main_table(records),
        "",
        remarks.strip(),
        "",
        "## keras_simple_rnn_as_published, test images",
        "",
        *curve_table(store, as_published, AS_PUBLISHED, "val", "step", 1),
        "",
        "## tf_lstm_projected, current training batch of 128",
        "",
        *curve_table(store, projected, PROJECTED, "train", "images", 128),
        "",
        machine(),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--remarks", type=Path, default=Path(__file__).with_name("recipes_remarks.md"))
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    arguments = parser.parse_args()
    write_result(report(open_store(TrackingConfig().experiment), arguments.remarks.read_text()), arguments.write)


if __name__ == "__main__":
    main()
