"""Where a step's time goes: a trace and a table of some steps in the run's artifacts."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.profiler import ProfilerActivity, profile

from recurrent_cells.training.module import TrialModule

FOLDER = "profile"
WARM_UP, STEPS = 20, 40
ROWS = 40


class Profile(pl.Callback):
    """Records the operations of about 40 steps after the first 20, or of what there is, and writes them to a folder.

    Files: `trace.json.gz` for chrome://tracing or Perfetto, `table.txt` with the costliest operations.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._profile: profile | None = None
        self._first = 0
        self._done = False

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        assert isinstance(module, TrialModule)
        warm = module.step >= min(WARM_UP, module.program.schedule.total_steps // 3)
        if self._done or self._profile is not None or not warm:
            return
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if module.device.type == "cuda" else [])]
        # all events are of one cycle; torch 2.11 warns unless told so
        self._profile, self._first = profile(activities=activities, acc_events=True), module.step
        self._profile.start()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        assert isinstance(module, TrialModule)
        if self._profile is not None and module.step - self._first >= STEPS:
            self._write(module)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrialModule)
        if self._profile is not None:
            self._write(module)

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        if self._profile is not None:
            with suppress(RuntimeError):
                self._profile.stop()

    def _write(self, module: TrialModule) -> None:
        assert self._profile is not None
        if module.device.type == "cuda":
            torch.cuda.synchronize()
        recorded, self._profile, self._done = self._profile, None, True
        recorded.stop()
        self._folder.mkdir(parents=True, exist_ok=True)
        averages = recorded.key_averages()
        steps = module.step - self._first
        column = "self_cuda_time_total" if module.device.type == "cuda" else "self_cpu_time_total"
        table = averages.table(sort_by=column, row_limit=ROWS)
        title = f"Steps {self._first + 1} to {module.step}; divide by {steps} for one step. Recording slows them down."
        (self._folder / "table.txt").write_text(f"{title}\n{table}\n")
        recorded.export_chrome_trace(str(self._folder / "trace.json.gz"))
