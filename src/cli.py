"""The command line around Hydra: short messages for users, true exit codes, Ctrl-C that is understood."""

import logging
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from src import config
from src.errors import DeliveryError, Interrupted, SweepFailed, TrialBusy, TrialError, UserError
from src.messages import explain

if TYPE_CHECKING:
    from omegaconf import DictConfig

FAILED, BAD_INPUT = 1, 2


def main(train: Callable[["DictConfig"], Any]) -> None:
    """Run `train` on the config that the command line composes, and exit with the code of design."""
    tracebacks = bool(os.environ.get("HYDRA_FULL_ERROR", "").strip() not in ("", "0"))
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that Hydra raises instead of printing; the user's wish is kept above
    config.register()
    configure_console()
    try:
        hydra.main(version_base="1.3", config_path="../conf", config_name="config")(_task(train))()
    except Interrupted as interruption:
        _say(f"interrupted by {interruption}: the same command goes on where this one was")
        sys.exit(interruption.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if tracebacks:
            raise
        _say(explain(error))
        sys.exit(BAD_INPUT)
    except (TrialError, TrialBusy, DeliveryError, SweepFailed) as error:
        if tracebacks:
            raise
        _say(str(error))
        sys.exit(FAILED)
    except Exception as error:
        if tracebacks:
            raise
        _say(f"{type(error).__name__}: {error}\nThe traceback is in the trial's log; HYDRA_FULL_ERROR=1 shows it here.")
        sys.exit(FAILED)


def _task(train: Callable[["DictConfig"], Any]) -> Callable[["DictConfig"], Any]:
    def task(cfg: "DictConfig") -> Any:
        result = train(cfg)
        if HydraConfig.get().mode == RunMode.RUN:
            print_result(result)
        return result

    # Hydra finds conf/ beside the module of the function it is given.
    task.__module__ = train.__module__
    return task


def print_result(result: dict[str, Any]) -> None:
    print(
        f"best val/acc {result['val/acc']:.4f}  test/acc {result['test/acc']:.4f}  "
        f"{result['n_params']:,} parameters  {result['seconds']:.1f} s  run {result['run_id']}"
    )
    print("See the curves: make ui")


def configure_console() -> None:
    """Messages of INFO and above on standard error, without decoration."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(lambda record: not getattr(record, "only_file", False))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)


def _say(message: str) -> None:
    print(message, file=sys.stderr)
