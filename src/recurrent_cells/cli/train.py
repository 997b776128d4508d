"""Train one trial, or a sweep of them with -m: [-m] [key=value …].

Around Hydra: short messages for users, true exit codes, Ctrl-C that is understood.
"""

import logging
import os
import sys
import traceback
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from hydra import version
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from recurrent_cells.config import extensions
from recurrent_cells.config import schema as config
from recurrent_cells.config.files import limit_files
from recurrent_cells.config.help import COMPLETION, FLAGS, schema_help
from recurrent_cells.config.key_help import key_help
from recurrent_cells.config.messages import explain
from recurrent_cells.config.validation import check_own_keys, check_unplanned, validated
from recurrent_cells.errors import DeliveryError, Interrupted, Stopped, SweepFailed, TrialBusy, TrialError, UserError
from recurrent_cells.imports import uncollected
from recurrent_cells.paths import command
from recurrent_cells.trial.train import train

if TYPE_CHECKING:
    from omegaconf import DictConfig

CONF = "pkg://recurrent_cells.conf"
FAILED, BAD_INPUT = 1, 2
# Of an override: it takes Hydra seconds to understand one as long.
MOST_CHARACTERS = 50_000


def main(arguments: Sequence[str], train: Callable[["DictConfig"], Any] = train) -> None:
    """Run `train` on the config that a command line composes; exits with a code that says what became of it."""
    tracebacks = bool(os.environ.get("HYDRA_FULL_ERROR", "").strip() not in ("", "0"))
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that Hydra raises instead of printing; the user's wish is kept above
    config.register()
    configure_console()
    with _reported(tracebacks):
        given = extensions.load_given(arguments)
        if any(argument in ("-h", "--help") for argument in given):
            print("\n".join(_help([it for it in given if not it.startswith("-") and "=" not in it])))
            return
        parser, flags = _parsed(given)
        version.setbase("1.3")
        limit_files()
        _run_hydra(flags, parser, _task(train, tracebacks), CONF, "config")


def _help(keys: Sequence[str]) -> Iterator[str]:
    """All about some keys, or a line for each there is."""
    if not keys:
        yield from [str(__doc__).splitlines()[0], "", *schema_help(), "", FLAGS]
        yield from (f"  {COMPLETION.format(shell)}" for shell in ("bash", "fish", "zsh"))
    for key in keys:
        yield from key_help(key)


def _parsed(arguments: Sequence[str]) -> tuple[ArgumentParser, Namespace]:
    """Hydra's parser and what it makes of a command line, whose overrides may stand anywhere.

    Raises:
        UserError: for flags there are not.
    """

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message}; {command('train')} --help shows what there is")

    if too_long := [argument for argument in arguments if len(argument) > MOST_CHARACTERS]:
        refuse(f"{too_long[0][:80]}…: allowed are {MOST_CHARACTERS:,} characters")
    parser = get_args_parser()
    parser.error = refuse
    flags = parser.parse_intermixed_args(arguments)
    if flags.experimental_rerun is not None:  # it would run whatever code a pickle brings
        refuse(f"--experimental-rerun={flags.experimental_rerun}: reproduce=RUN_ID trains a recorded trial again")
    return parser, flags


@contextmanager
def _reported(tracebacks: bool) -> Iterator[None]:
    """End the process with the code and the short message of whatever the body raises."""
    try:
        yield
    except Interrupted as interruption:
        _say(f"interrupted by {interruption}: the same command goes on where this one was")
        sys.exit(interruption.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Stopped as stop:
        _say(f"{stop}; the same command goes on where this one was")
        sys.exit(0)
    except Exception as error:
        if tracebacks:
            raise
        _say(explain(error))
        if _is_bad_input(error):
            sys.exit(BAD_INPUT)
        if not isinstance(error, TrialError | TrialBusy | DeliveryError | SweepFailed):
            _say(" ".join([*getattr(error, "__notes__", ()), "HYDRA_FULL_ERROR=1 shows the traceback."]))
        sys.exit(FAILED)


def _is_bad_input(error: Exception) -> bool:
    """Whether it is of a kind that means so, or was raised before Hydra called any code of ours."""
    if isinstance(error, UserError | HydraException | OmegaConfBaseException):
        return True
    modules = {frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)}
    return not any(name.startswith(("recurrent_cells.", "hydra_plugins.")) for name in modules - {__name__})


def _task(train: Callable[["DictConfig"], Any], tracebacks: bool) -> Callable[["DictConfig"], Any]:
    def task(cfg: "DictConfig") -> Any:
        if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.RUN:
            return train(cfg)
        with _reported(tracebacks):  # here, because Hydra writes lines of its own about what passes through it
            check_own_keys(cfg.sweep)
            check_unplanned(cfg.sweep)
            if cfg.sweep.dry_run:
                return _show_plan(cfg)
            result = train(cfg)
            print_result(result)
        return result

    return task


def _show_plan(cfg: "DictConfig") -> None:
    """A dry run of one trial."""
    config = validated(cfg)
    if config.reproduce is not None:
        raise UserError(f"sweep.dry_run=true: reproduce={config.reproduce} has its plan from the run; leave one out")

    from recurrent_cells.sweeps.grid import Point, check_examples

    point = Point(tuple(HydraConfig.get().overrides.task), {}, config)
    check_examples([point])

    with uncollected():
        from recurrent_cells.sweeps.dry_run import outlook
        from recurrent_cells.sweeps.plan import plan_trial
    print(outlook([plan_trial(point)], config.tracking.experiment, "all"))


def print_result(result: dict[str, Any]) -> None:
    metric = result.get("metric", "acc")
    print(
        f"best val/{metric} {result[f'val/{metric}']:.4f}  test/{metric} {result[f'test/{metric}']:.4f}  "
        f"{result['n_params']:,} parameters  {result['seconds']:.1f} s  run {result['run_id']}"
    )
    if "reproduced" in result:
        print(result["reproduced"])
    print(f"See the curves: {command('ui')}")


def configure_console() -> None:
    """Messages of INFO and above on standard error, without decoration."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(lambda record: not getattr(record, "only_file", False))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    warnings.formatwarning = _only_the_message
    for advice_for_developers in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
        warnings.simplefilter("ignore", advice_for_developers)


def _only_the_message(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    return str(message).strip()


def _say(message: str) -> None:
    print(message, file=sys.stderr)
