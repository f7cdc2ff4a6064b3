"""What the kernel tells about a process in ``/proc``: its state, and who it is beyond a number that is used again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")


class Identity(NamedTuple):
    """A process for good: pids are used again, but not by a process that started at the same time of the same boot.

    Attributes:
        pid: the process id.
        started: clock ticks from boot to the start of the process.
        boot: see ``boot_id``.
    """

    pid: int
    started: int
    boot: str

    @property
    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not. One that cannot be looked at does if its id is in use."""
        if boot_id() != self.boot:
            return False
        fields = _stat(_PROC / str(self.pid) / "stat")
        if fields is None:
            return _is_there(self.pid)
        return fields.state not in "ZX" and fields.started == self.started


class _Stat(NamedTuple):
    state: str
    parent: int
    group: int
    started: int


def identify(pid: int) -> Identity | None:
    """Who ``pid`` is now; None if there is no such process."""
    fields = _stat(_PROC / str(pid) / "stat")
    return Identity(pid, fields.started, boot_id()) if fields else None


def state(pid: int) -> str:
    """The state letter of a process (``R``, ``S``, ``D``, ``T``); empty if it is gone or a zombie."""
    fields = _stat(_PROC / str(pid) / "stat")
    return fields.state if fields and fields.state not in "ZX" else ""


def thread_states(pid: int) -> frozenset[str]:
    """The state letters of all threads of a process; empty if it is gone."""
    try:
        threads = list((_PROC / str(pid) / "task").iterdir())
    except OSError:
        return frozenset()
    return frozenset(fields.state for thread in threads if (fields := _stat(thread / "stat")))


def group(number: int) -> tuple[int, ...]:
    """The processes of a process group that are not gone."""
    pids = (int(path.name) for path in _PROC.iterdir() if path.name.isdecimal())
    return tuple(
        pid
        for pid in pids
        if (fields := _stat(_PROC / str(pid) / "stat")) and fields.group == number and fields.state not in "ZX"
    )


def family(number: int) -> frozenset[int]:
    """The processes of a process group, and all that they made, in whichever group those are: PostgreSQL gives each its own."""
    stats = {int(path.name): _stat(path / "stat") for path in _PROC.iterdir() if path.name.isdecimal()}
    living = {pid: fields for pid, fields in stats.items() if fields and fields.state not in "ZX"}
    members = {pid for pid, fields in living.items() if fields.group == number}
    while more := {pid for pid, fields in living.items() if fields.parent in members} - members:
        members |= more
    return frozenset(members)


def family_states(number: int) -> frozenset[str]:
    """The state letters of all threads of all processes of a family."""
    return frozenset().union(*map(thread_states, family(number))) - {"Z", "X"}


def works_in(pid: int, directory: Path) -> bool:
    """Whether the working directory of a process is below ``directory``."""
    try:
        return (_PROC / str(pid) / "cwd").readlink().is_relative_to(directory.resolve())
    except OSError:
        return False


def boot_id() -> str:
    """Where process ids mean what they mean here: the kernel's names for the time since it booted and for the namespace of ids.

    Empty where there are none. Processes of another namespace, such as a container's, cannot be asked for by their ids.
    """
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _is_there(pid: int) -> bool:
    """Whether there is a process of this number, whoever may look at it: ``/proc`` can be mounted to hide those of others."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _stat(path: Path) -> _Stat | None:
    """Fields 3, 4, 5 and 22 of a stat file; the second field, a name in parentheses, may hold anything."""
    try:
        fields = path.read_bytes().rpartition(b")")[2].split()
        return _Stat(fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[19]))
    except (OSError, IndexError, ValueError):
        return None
