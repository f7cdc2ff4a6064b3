"""What the kernel tells about a process in ``/proc``: its state, and who it is beyond a number that is used again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")


class Identity(NamedTuple):
    """A process for good: pids are used again, but not by a process that started at the same time of the same boot.

    Attributes:
        pid: the process id.
        started: clock ticks from boot to the start of the process.
        boot: the kernel's id of this boot.
    """

    pid: int
    started: int
    boot: str

    @property
    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        fields = _stat(_PROC / str(self.pid) / "stat")
        return fields is not None and fields.state not in "ZX" and fields.started == self.started and boot_id() == self.boot


class _Stat(NamedTuple):
    state: str
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


def boot_id() -> str:
    """The kernel's name for the time since it booted; empty where it has none."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _stat(path: Path) -> _Stat | None:
    """Fields 3 and 22 of a stat file; the second field, a name in parentheses, may hold anything."""
    try:
        fields = path.read_bytes().rpartition(b")")[2].split()
        return _Stat(fields[0].decode(), int(fields[19]))
    except (OSError, IndexError, ValueError):
        return None
