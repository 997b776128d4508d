"""The socket of a command that serves on this machine."""

import socket

from recurrent_cells.errors import UserError
from recurrent_cells.paths import command

HOST = "127.0.0.1"
BACKLOG = 256


def listen(name: str, port: int) -> socket.socket:
    """A socket that listens for the command of that name; raises UserError if the port is taken."""
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # said, so that asyncio sends small answers at once
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(BACKLOG)  # from here on whoever comes is kept waiting, not refused
    except OSError as error:
        listener.close()
        raise UserError(f"port {port}: {error.strerror}; {command(name)} 0 takes one that is free") from None
    return listener
