"""The usual set-up: a LightningModule that logs, a DataLoader over pictures, MLFlowLogger, ModelCheckpoint."""

import logging
import os
import tempfile
import time
import warnings
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import MLFlowLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.functional import to_pil_image, to_tensor

from benchmarks.contenders import Network, Round
from benchmarks.contenders.bare import Model
from recurrent_cells.training.device import use_tf32


class Pictures(Dataset[tuple[Tensor, int]]):
    """As torchvision's MNIST: a picture is made and turned into a tensor whenever it is asked for."""

    def __init__(self, x: Any, y: Any) -> None:
        scaled = torch.from_numpy(x)
        self.images = ((scaled - scaled.min()) / (scaled.max() - scaled.min()) * 255).to(torch.uint8)
        self.labels = y.tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return to_tensor(to_pil_image(self.images[index]))[0], self.labels[index]


class Usual(pl.LightningModule):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        logits = self.model(x)
        loss = F.cross_entropy(logits, y)
        self.log("train/loss", loss, prog_bar=True)
        self.log("train/acc", (logits.argmax(dim=1) == y).float().mean(), on_step=True, on_epoch=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class Clock(pl.Callback):
    def __init__(self, after: int) -> None:
        self.after, self.start, self.end, self.steps = after, 0.0, 0.0, 0

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.after:
            self.start = time.perf_counter()
        self.end, self.steps = time.perf_counter(), trainer.global_step - self.after


def prepare(network: Network, x: Any, y: Any) -> Round:
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    use_tf32(network.tf32)
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    folder = tempfile.TemporaryDirectory()
    data = DataLoader(Pictures(x, y), batch_size=network.batch_size, shuffle=True, drop_last=True)

    def train(steps: int) -> float:
        clock = Clock(max(1, steps // 10))
        trainer = pl.Trainer(
            max_steps=steps + clock.after,
            max_epochs=-1,
            logger=MLFlowLogger("usual", tracking_uri=f"sqlite:///{folder.name}/mlflow.db"),
            callbacks=[clock, ModelCheckpoint(folder.name)],
            enable_model_summary=False,
            accelerator="auto",
            devices=1,
            precision=network.precision,  # type: ignore[arg-type]
        )
        trainer.fit(Usual(Model(network, x.shape[2])), data)
        return (clock.end - clock.start) / clock.steps

    return train
