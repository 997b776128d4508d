"""A process run under ptrace, which stops at each call that writes below a folder and may be killed or refused there.

`strace -e inject=…:when=N` counts each call of each thread by itself and knows no folder; here a point is one number.
"""

import ctypes
import os
import platform
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn, Protocol

GO, KILL = 0, -1  # what a watcher answers to a call; an errno is the error with which the call fails

# Calls on x86-64 that change a file or a folder, by number: what their arguments name, by position.
# `fd`: a descriptor; `path`: a path; `at`: the descriptor of a folder and a path; two of a kind: from and to.
CALLS = {
    1: ("write", "fd 0"),
    2: ("open", "path 0"),
    18: ("pwrite64", "fd 0"),
    20: ("writev", "fd 0"),
    40: ("sendfile", "fd 0"),
    74: ("fsync", "fd 0"),
    75: ("fdatasync", "fd 0"),
    76: ("truncate", "path 0"),
    77: ("ftruncate", "fd 0"),
    82: ("rename", "path 0 path 1"),
    83: ("mkdir", "path 0"),
    84: ("rmdir", "path 0"),
    85: ("creat", "path 0"),
    86: ("link", "path 0 path 1"),
    87: ("unlink", "path 0"),
    88: ("symlink", "path 1"),
    257: ("openat", "at 0"),
    258: ("mkdirat", "at 0"),
    263: ("unlinkat", "at 0"),
    264: ("renameat", "at 0 at 2"),
    265: ("linkat", "at 0 at 2"),
    266: ("symlinkat", "at 1"),
    285: ("fallocate", "fd 0"),
    296: ("pwritev", "fd 0"),
    316: ("renameat2", "at 0 at 2"),
    326: ("copy_file_range", "fd 2"),
    328: ("pwritev2", "fd 0"),
}
FLAGS_OF = {"open": 1, "openat": 2, "unlinkat": 2}  # the argument that holds flags
AT_REMOVEDIR = 0x200
LONGEST_PATH = 4096
SECONDS_TO_DIE = 10.0

ALL_CHILDREN = 0x40000000  # __WALL
TRACEME, CONT, GETREGS, SETREGS, SYSCALL, SETOPTIONS, GETEVENTMSG = 0, 7, 12, 13, 24, 0x4200, 0x4201
# A system call's end is told from a signal; follow fork, vfork and clone; stop at filtered calls; die with the tracer.
OPTIONS = 0x1 | 0x2 | 0x4 | 0x8 | 0x80 | 0x100000
SECCOMP_STOP = 7
NEW_TASK_STOPS = (1, 2, 3)  # after fork, vfork and clone
SYSCALL_STOP = signal.SIGTRAP | 0x80
NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER_MODE = 38, 22, 2
LOAD_NUMBER, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
TRACE_IT, ALLOW_IT = 0x7FF00000, 0x7FFF0000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Registers(ctypes.Structure):
    """`user_regs_struct` of x86-64."""

    _fields_ = [
        (name, ctypes.c_ulonglong)
        for name in (
            *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"),
            *("orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
        )
    ]

    def argument(self, place: int) -> int:
        return int(getattr(self, ("rdi", "rsi", "rdx", "r10", "r8", "r9")[place]))


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


@dataclass(frozen=True)
class Call:
    """A call that writes below the folder.

    Args:
        process: which made it.
        name: of the system call.
        path: what it changes, `target` what a rename or a link makes of it, both absolute.
        flags: of an open, or of an unlink.
        descriptor: under which the caller has the file open, for a call that names none -1.
    """

    process: int
    name: str
    path: Path
    target: Path | None = None
    flags: int = 0
    descriptor: int = -1

    @cached_property
    def creates(self) -> bool:
        """Whether it is an open that makes a new file."""
        return self.name == "creat" or (self._opens and bool(self.flags & os.O_CREAT) and not self.path.exists())

    @cached_property
    def empties(self) -> bool:
        """Whether it is an open that cuts a file off."""
        cuts = self._opens and bool(self.flags & os.O_TRUNC) and not self.creates
        return cuts and self.path.is_file() and self.path.stat().st_size > 0

    @property
    def removes_folder(self) -> bool:
        return self.name == "rmdir" or (self.name == "unlinkat" and bool(self.flags & AT_REMOVEDIR))

    @property
    def changes(self) -> bool:
        return self.creates or self.empties or not self._opens

    @property
    def _opens(self) -> bool:
        return self.name in ("open", "openat")

    def content(self) -> bytes:
        """What the open file holds now."""
        return Path(f"/proc/{self.process}/fd/{self.descriptor}").read_bytes()


class Watcher(Protocol):
    """Is asked before each call and told after each call that succeeded."""

    def before(self, call: Call) -> int: ...

    def after(self, call: Call) -> None: ...


def can_trace() -> bool:
    """Whether this machine lets a process be traced; only x86-64's registers are known here."""
    if platform.machine() != "x86_64" or sys.platform != "linux":
        return False
    pid = os.fork()
    if pid == 0:
        os._exit(int(libc.ptrace(TRACEME, 0, None, None) != 0))
    return os.waitpid(pid, 0)[1] == 0


def run_traced(body: Callable[[], int], folder: Path, watcher: Watcher, seconds: int = 300) -> int:
    """Run `body` in a forked process, whose exit code it gives, with all its threads and processes traced.

    Returns:
        the exit code; -N if signal N ended it. After KILL all traced processes are gone.

    Raises:
        TimeoutError: if it takes longer; it is killed then.
    """
    pid = os.fork()
    if pid == 0:
        _be_traced(body)
    os.waitpid(pid, ALL_CHILDREN)  # it stops itself
    _ptrace(SETOPTIONS, pid, OPTIONS)
    before = signal.signal(signal.SIGALRM, _too_late)
    signal.alarm(seconds)
    tracer = _Tracer(pid, folder, watcher)
    try:
        _ptrace(CONT, pid)
        return tracer.run()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        tracer.kill()


def _too_late(signum: int, frame: object) -> NoReturn:
    raise TimeoutError


def _be_traced(body: Callable[[], int]) -> NoReturn:
    def traced() -> int:
        libc.ptrace(TRACEME, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        _stop_at_calls()
        return body()

    run_and_exit(traced)


def run_and_exit(body: Callable[[], int]) -> NoReturn:
    """End a forked process with the code that the body returns, or with 70 after an exception."""
    code = 70
    try:
        code = body()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _stop_at_calls() -> None:
    """Have the kernel stop this process, and those it starts, at the calls of the table and no other."""
    matches = [(JUMP_IF_EQUAL, len(CALLS) - place, 0, number) for place, number in enumerate(CALLS)]
    matches[-1] = (JUMP_IF_EQUAL, 1, 0, list(CALLS)[-1])
    code = [(LOAD_NUMBER, 0, 0, 0), *matches, (RETURN, 0, 0, ALLOW_IT), (RETURN, 0, 0, TRACE_IT)]
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
    program = _Program(len(code), ctypes.addressof(instructions))
    if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(SET_SECCOMP, FILTER_MODE, ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), "the filter of system calls is refused")


def _ptrace(request: int, pid: int, data: object = None) -> None:
    value = ctypes.c_void_p(data) if isinstance(data, int) else data
    if libc.ptrace(request, pid, None, value) == -1:
        raise ProcessLookupError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class _Tracer:
    def __init__(self, root: int, folder: Path, watcher: Watcher) -> None:
        self._root, self._folder, self._watcher = root, folder, watcher
        self._alive = {root}
        self._unfinished: dict[int, Call] = {}
        self._process_of: dict[int, int] = {}

    def run(self) -> int:
        """Until the first process has ended and with it all others."""
        code = 0
        while self._alive:
            try:
                task, status = os.waitpid(-1, ALL_CHILDREN)
            except ChildProcessError:
                break
            if os.WIFSTOPPED(status):
                self._alive.add(task)
                with suppress(ProcessLookupError):  # killed meanwhile
                    self._stopped(task, status)
                continue
            self._alive.discard(task)
            self._process_of.pop(task, None)
            self._unfinished.pop(task, None)
            if task == self._root:
                code = os.waitstatus_to_exitcode(status)
        return code

    def kill(self) -> None:
        for task in self._alive:
            with suppress(ProcessLookupError):
                os.kill(task, signal.SIGKILL)
        deadline = time.monotonic() + SECONDS_TO_DIE
        while self._alive and time.monotonic() < deadline:  # a process ends after all its other threads
            self._alive = {task for task in self._alive if not _has_ended(task)}
            time.sleep(0.001)

    def _stopped(self, task: int, status: int) -> None:
        number, event = os.WSTOPSIG(status), status >> 16
        if event == SECCOMP_STOP:
            self._at_call(task)
        elif number == SYSCALL_STOP:
            call = self._unfinished.pop(task, None)
            if call is not None and ctypes.c_longlong(_registers(task).rax).value >= 0:
                self._watcher.after(call)
            _ptrace(CONT, task)
        elif event in NEW_TASK_STOPS:
            self._alive.add(_new_task(task))  # which a kill must not miss, though it has not stopped yet
            _ptrace(CONT, task)
        else:  # a new task begins with SIGSTOP, other signals are the task's own
            own = number not in (signal.SIGTRAP, signal.SIGSTOP) and not event
            _ptrace(CONT, task, number if own else 0)

    def _at_call(self, task: int) -> None:
        registers = _registers(task)
        call = self._call(task, registers)
        answer = self._watcher.before(call) if call is not None and call.changes else GO
        if answer == KILL:
            for other in self._alive:
                with suppress(ProcessLookupError):
                    os.kill(other, signal.SIGKILL)
        elif answer == GO:
            if call is not None and call.changes:
                self._unfinished[task] = call
                _ptrace(SYSCALL, task)
            else:
                _ptrace(CONT, task)
        else:
            registers.orig_rax, registers.rax = 2**64 - 1, 2**64 - answer
            _ptrace(SETREGS, task, ctypes.byref(registers))
            _ptrace(CONT, task)

    def _call(self, task: int, registers: Registers) -> Call | None:
        """The call that a task is about to make; None if it is not below the folder."""
        name, shape = CALLS[registers.orig_rax]
        paths = list(_paths(task, registers, shape))
        if not any(path is not None and path.is_relative_to(self._folder) for path in paths):
            return None
        flags = registers.argument(FLAGS_OF[name]) if name in FLAGS_OF else 0
        descriptor = registers.argument(int(shape.split()[1])) if shape.startswith("fd") else -1
        path, target = (*paths, None)[:2]
        if path is None:
            return None
        return Call(self._process(task), name, path, target, flags, descriptor)

    def _process(self, task: int) -> int:
        if task not in self._process_of:
            lines = Path(f"/proc/{task}/status").read_text().splitlines()
            self._process_of[task] = next(int(line.split()[1]) for line in lines if line.startswith("Tgid:"))
        return self._process_of[task]


def _has_ended(task: int) -> bool:
    try:
        ended, status = os.waitpid(task, ALL_CHILDREN | os.WNOHANG)
    except ChildProcessError:
        return True
    return ended != 0 and not os.WIFSTOPPED(status)


def _new_task(task: int) -> int:
    """The id of the task that a task has just made."""
    made = ctypes.c_ulong()
    _ptrace(GETEVENTMSG, task, ctypes.byref(made))
    return made.value


def _registers(task: int) -> Registers:
    registers = Registers()
    _ptrace(GETREGS, task, ctypes.byref(registers))
    return registers


def _paths(task: int, registers: Registers, shape: str) -> Iterator[Path | None]:
    """What the arguments of a call name; None for what is no file."""
    words = shape.split()
    for kind, place in zip(words[::2], map(int, words[1::2]), strict=True):
        if kind == "fd":
            yield _path_of(task, registers.argument(place))
            continue
        at = registers.argument(place) if kind == "at" else -100
        given = _text(task, registers.argument(place + (kind == "at")))
        folder = Path(f"/proc/{task}/cwd").readlink() if ctypes.c_int(at).value == -100 else _path_of(task, at)
        yield None if folder is None else Path(os.path.normpath(folder / given))


def _path_of(task: int, descriptor: int) -> Path | None:
    try:
        path = Path(f"/proc/{task}/fd/{descriptor}").readlink()
    except OSError:
        return None
    return path if path.is_absolute() else None


def _text(task: int, address: int) -> str:
    with Path(f"/proc/{task}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(LONGEST_PATH).partition(b"\0")[0].decode()
