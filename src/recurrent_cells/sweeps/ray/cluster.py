"""The Ray cluster: one of this machine's own for the length of a sweep, or one that is there."""

import logging
import os
import signal
import socket
from typing import Any

from recurrent_cells.errors import UserError
from recurrent_cells.interrupts import SIGNALS
from recurrent_cells.paths import HOME, HOME_VARIABLE, PACKAGE

# Trials hand over nothing but what became of them; Ray would set aside a third of the memory.
OBJECT_STORE_BYTES = 100 * 2**20
SECONDS_TO_ANSWER = 5.0


def connect(address: str | None) -> None:
    """Start Ray on 127.0.0.1, or connect to the cluster at an address; once per process.

    Raises:
        UserError: if there is no cluster there.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"address": address}
    if address is None:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # its way to say 127.0.0.1
        options = {"address": "local", "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    elif address != "auto":
        _check_answers(address)
    import ray

    if ray.is_initialized():
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    handlers = {signum: signal.getsignal(signum) for signum in SIGNALS}
    # Of the code nodes need the package alone: trials come to them with their configs composed.
    environment = {"py_modules": [str(PACKAGE)], "env_vars": {HOME_VARIABLE: str(HOME)}}
    try:
        ray.init(**options, runtime_env=environment, configure_logging=False, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _unusable(address, str(error).splitlines()[0]) from None
    finally:
        for signum, handler in handlers.items():  # Ray sets its own
            signal.signal(signum, handler)


def _check_answers(address: str) -> None:
    """Knock: Ray itself would wait for minutes, deaf to signals."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise _unusable(address, "that is no HOST:PORT")
    try:
        socket.create_connection((host, int(port)), SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise _unusable(address, f"nothing answers there ({error})") from None


def _unusable(address: str | None, reason: str) -> UserError:
    return UserError(
        f"hydra.launcher.address={address or 'null'}: {reason};\n"
        "allowed are HOST:PORT of a cluster that this machine is a node of, auto to find it, or null to start Ray here"
    )


def places(num_cpus: float, num_gpus: float) -> int:
    """How many trials the nodes alive can hold at once."""
    import ray

    return sum(_places(node["Resources"], num_cpus, num_gpus) for node in ray.nodes() if node["Alive"])


def _places(resources: dict[str, float], num_cpus: float, num_gpus: float) -> int:
    taken = {"CPU": num_cpus, "GPU": num_gpus}
    return min(int(resources.get(name, 0) / amount) for name, amount in taken.items() if amount)


def has_gpus() -> bool:
    import ray

    return bool(ray.cluster_resources().get("GPU", 0) >= 1)


def other_hosts() -> list[str]:
    """The addresses of nodes alive that are not this machine."""
    import ray

    addresses = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    return sorted(addresses - {ray.util.get_node_ip_address(), "127.0.0.1"})
