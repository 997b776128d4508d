import os
import signal
import subprocess
import sys

import pytest

from recurrent_cells.errors import Interrupted
from recurrent_cells.interrupts import SIGNALS, handled
from tests.sweeps.processes import is_alive, wait_until


def ask(signum=signal.SIGTERM):
    os.kill(os.getpid(), signum)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_raises_at_once(signum, code):
    with pytest.raises(Interrupted) as caught, handled():
        ask(signum)
    assert caught.value.exit_code == code


def test_a_first_signal_waits_where_it_is_deferred():
    with handled() as interruption:
        with interruption.deferred():
            assert interruption.take() is None
            ask()
            assert interruption.asked
            assert [interruption.take(), interruption.take()] == [signal.SIGTERM, None]
        with pytest.raises(Interrupted, match="SIGTERM"):
            interruption.raise_if_asked()


def test_a_second_signal_waits_for_nothing():
    with handled() as interruption, interruption.deferred():
        ask()
        with pytest.raises(Interrupted, match="SIGINT"):
            ask(signal.SIGINT)


def test_no_signal_raises_nothing_and_the_handlers_before_come_back():
    before = [signal.getsignal(signum) for signum in SIGNALS]
    with handled() as interruption:
        interruption.raise_if_asked()
        assert not interruption.asked
        assert [signal.getsignal(signum) for signum in SIGNALS] == [interruption] * len(SIGNALS)
    assert [signal.getsignal(signum) for signum in SIGNALS] == before


STARTER = """
import subprocess
from recurrent_cells.interrupts import dying_with_this

command = ["-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"]
subprocess.Popen(dying_with_this(command), start_new_session=True).wait()
"""


def test_a_command_ends_with_the_process_that_started_it():
    with subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        command = int(starter.stdout.readline())
        assert is_alive(command)
        starter.kill()
    wait_until(lambda: not is_alive(command))
