"""What a run has started, on disk: so that what it left can be found and stopped after it was killed.

``processes.jsonl`` has a line for the harness that owns the run and one for each process that it started, written as each starts.
The kernel ends the processes of a killed harness by itself (see ``leash``); the ledger is for what slips through, and it never
takes a process for an older one that had the same number.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path

from harness.errors import HarnessError, StorageError
from harness.runtimes import procfs
from harness.runtimes.procfs import Identity

_FILE = "processes.jsonl"
_OWNER = "harness"
_GONE_WITHIN_S = 2.0


class Ledger:
    """The record of one run's processes, kept in its directory from ``__init__`` to ``close``.

    What a dead run left in the directory is stopped first; raises ``HarnessError`` if the run there is alive.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / _FILE
        sweep(directory)
        if self._path.exists():
            raise HarnessError(
                "another run uses this directory", where=str(directory), fix="give each run a directory of its own"
            )
        self.add(_OWNER, os.getpid())

    def add(self, name: str, pid: int) -> None:
        """Write down that the process ``pid`` was started as ``name``; raises ``StorageError``."""
        who = procfs.identify(pid)
        if who is None:
            return
        try:
            with self._path.open("a") as file:
                file.write(json.dumps({"name": name, **who._asdict()}) + "\n")
        except OSError as error:
            raise StorageError(
                "the record of started processes cannot be written", where=str(self._path), why=str(error)
            ) from error

    def close(self) -> None:
        """Everything is stopped; there is nothing left to find."""
        self._path.unlink(missing_ok=True)


def is_live(directory: Path) -> bool:
    """Whether the harness of the run in ``directory`` still has it in its hands."""
    return any(name == _OWNER and who.alive for name, who in _read(directory / _FILE))


def leftovers(directory: Path) -> list[str]:
    """What a killed run in ``directory`` left running, one entry a process; nothing while its harness is alive."""
    if is_live(directory):
        return []
    return [f"{name} (process {who.pid})" for name, who in _read(directory / _FILE) if name != _OWNER and who.alive]


def sweep(directory: Path) -> list[str]:
    """Stop what is left of the run in ``directory``; says what it stopped, one entry a process.

    A run whose harness is still alive is left alone. Blocks for at most a few seconds.
    """
    if is_live(directory):
        return []
    path = directory / _FILE
    entries = _read(path)
    stopped = [f"{name} (process {who.pid})" for name, who in entries if name != _OWNER and _stop(who)]
    path.unlink(missing_ok=True)
    return stopped


def _read(path: Path) -> list[tuple[str, Identity]]:
    """The entries of a ledger; a line cut short by a crash is no entry."""
    entries = []
    with contextlib.suppress(OSError):
        for line in path.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                entry = json.loads(line)
                entries.append((str(entry["name"]), Identity(int(entry["pid"]), int(entry["started"]), str(entry["boot"]))))
    return entries


def _stop(who: Identity) -> bool:
    """Kill exactly this process and wait until it is gone; whether there was anything to kill."""
    try:
        handle = os.pidfd_open(who.pid)  # holds on to the process, so that its number cannot change hands below
    except OSError:
        return False
    try:
        if not who.alive:
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(handle)
    deadline = time.monotonic() + _GONE_WITHIN_S
    while who.alive and time.monotonic() < deadline:
        time.sleep(0.005)
    return True
