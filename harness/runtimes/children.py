"""Child processes that end with the harness: start, watch, pause and stop one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic

from harness.errors import HarnessError, StartupError
from harness.runtimes import leash, procfs

_EXEC_WITHIN_S = 20.0
_SIGNAL_WITHIN_S = 5.0
_POLL_S = 0.002


class Child:
    """A process of our own, in a session of its own: Ctrl-C in a terminal does not reach it.

    Polling is deliberate: a state such as ``T`` can only be asked for, and a wait here is a few milliseconds long.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self._process = process

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs (or is paused); reaps it if it ended."""
        return self._process.poll() is None

    @property
    def state(self) -> str:
        """The state letter; empty if it is gone."""
        return procfs.state(self.pid) if self.alive else ""

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        status = self._process.poll()
        if status is None:
            return "it still runs"
        return f"it was killed by {signal.Signals(-status).name}" if status < 0 else f"it ended with status {status}"

    async def ended(self, within_s: float, unless: Callable[[], bool] = lambda: False) -> bool:
        """Whether it ended in time; gives up early, with False, as soon as ``unless`` holds."""
        deadline = monotonic() + within_s
        while self.alive:
            if unless() or monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    async def pause(self) -> None:
        """SIGSTOP, to it and to the children it made, and wait until every thread stands still; nothing if it is gone."""
        await self._until(self._stops, "stop")

    async def resume(self) -> None:
        """SIGCONT, and wait until all of them go on; nothing if it is gone."""
        self._signal_all(signal.SIGCONT)
        await self._until(lambda: not procfs.family_states(self.pid) & {"T"}, "go on")

    async def kill(self) -> None:
        """SIGKILL, to it and to the children it made, and wait until it is gone; nothing if it is gone already."""
        self.kill_now()
        await self._until(lambda: False, "die")

    def kill_now(self) -> None:
        """SIGKILL without waiting."""
        self._signal_all(signal.SIGKILL)

    async def stop(self, within_s: float) -> None:
        """End it in good order if it does so in time, else kill it."""
        self._signal_all(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        if not await self.ended(within_s):
            await self.kill()

    def _stops(self) -> bool:
        """Whether every thread stands still; tells those again that do not: a child may have been made meanwhile."""
        if procfs.family_states(self.pid) <= {"T", "t"}:
            return True
        self._signal_all(signal.SIGSTOP)
        return False

    def _signal_all(self, number: int) -> None:
        if self.alive:
            for pid in procfs.family(self.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def _signal(self, number: int) -> None:
        if self.alive:
            self._process.send_signal(number)

    async def _until(self, seen: Callable[[], bool], what: str) -> None:
        """Wait until ``seen`` holds or the process is gone; raises ``HarnessError`` if neither happens in time."""
        if not await self.ended(_SIGNAL_WITHIN_S, unless=seen) and not seen():
            raise HarnessError(
                f"{self.name} did not {what} within {_SIGNAL_WITHIN_S:.0f} s",
                why=f"process {self.pid} is in state {self.state}",
                fix="look at what the process waits for; a hanging disk shows as state D",
            )


async def spawn(
    name: str,
    command: Sequence[str],
    *,
    directory: Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
    files: Sequence[int] = (),
) -> Child:
    """Run a program in ``directory``; returns when the program itself runs.

    Args:
        name: what messages call it.
        command: the program, by its absolute path, and its arguments.
        directory: where it works.
        log: where its output is appended.
        environment: of the process; the harness's own if not given.
        files: file descriptors that it inherits.

    Raises:
        StartupError: the program cannot be run. One that runs and then ends is the caller's to notice.
    """
    status, inherited = os.pipe()
    os.set_blocking(status, False)
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: ASYNC220  # a pool's thread must not be the parent: see leash
                [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), str(inherited), *command],
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(inherited, *files),
                start_new_session=True,
            )
    except OSError as error:
        os.close(status)
        raise StartupError(f"{name} cannot be started", why=str(error)) from error
    finally:
        os.close(inherited)
    child = Child(name, process)
    try:
        reason = await _status(status)
    except BaseException:
        child.kill_now()
        raise
    finally:
        os.close(status)
    if reason:
        await child.kill()
        raise StartupError(f"{name} cannot be started", where=command[0], why=reason)
    return child


async def _status(status: int) -> str:
    """What the leash said before it let go; empty if the program runs."""
    deadline = monotonic() + _EXEC_WITHIN_S
    while monotonic() < deadline:
        try:
            return os.read(status, 4096).decode(errors="replace")
        except BlockingIOError:
            await asyncio.sleep(_POLL_S)
    return f"it did not begin within {_EXEC_WITHIN_S:.0f} s"
