"""What a run has started, on disk: so that what it left can be found and stopped after it was killed.

``processes.jsonl`` has a line for the harness that owns the run and one for each process that it started, written as each starts.
The kernel ends the processes of a killed harness by itself (see ``leash``); the ledger is for what slips through, such as a
worker that was paused while its server was killed. It never takes a process for an older one that had the same number: what is in
the process group of a recorded process is ours only if it works in the run's directory.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
        if who is not None:
            self._write({"name": name, **who._asdict()})

    def add_secret(self, path: Path) -> None:
        """Write down that ``path``, in the run's directory, must not outlive the run; raises ``StorageError``."""
        self._write({"secret": str(path.relative_to(self._path.parent))})

    def _write(self, entry: Mapping[str, object]) -> None:
        try:
            with self._path.open("a") as file:
                file.write(json.dumps(entry) + "\n")
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
    return [f"{name} (process {who.pid})" for name, who in _started(directory) if who.alive]


def sweep(directory: Path) -> list[str]:
    """Stop what is left of the run in ``directory`` and remove its secrets; says what it stopped or removed, one entry each.

    A run whose harness is still alive is left alone. Blocks for at most a few seconds.
    """
    if is_live(directory):
        return []
    done = [f"stopped {name} (process {who.pid})" for name, who in _started(directory) if _stop(who)]
    for secret in _secrets(directory):
        with contextlib.suppress(FileNotFoundError):
            (directory / secret).unlink()
            done.append(f"removed {secret}")
    (directory / _FILE).unlink(missing_ok=True)
    return done


def _started(directory: Path) -> list[tuple[str, Identity]]:
    """What the run has started, and what that has started in its turn, as far as it is still there."""
    started = [(name, who) for name, who in _read(directory / _FILE) if name != _OWNER]
    made = [
        (name, who)
        for name, starter in started
        for pid in procfs.group(starter.pid)
        if pid != starter.pid and procfs.works_in(pid, directory) and (who := procfs.identify(pid))
    ]
    return started + made


def _read(path: Path) -> list[tuple[str, Identity]]:
    """The processes in a ledger."""
    found = []
    for entry in _entries(path):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            found.append((str(entry["name"]), Identity(int(entry["pid"]), int(entry["started"]), str(entry["boot"]))))
    return found


def _secrets(directory: Path) -> list[str]:
    """The secret files of the run in ``directory``."""
    return [str(entry["secret"]) for entry in _entries(directory / _FILE) if "secret" in entry]


def _entries(path: Path) -> list[dict[str, Any]]:
    """The entries of a ledger; a line cut short by a crash is no entry."""
    entries = []
    with contextlib.suppress(OSError):
        for line in path.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                entries.append(json.loads(line))
    return [entry for entry in entries if isinstance(entry, dict)]


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
