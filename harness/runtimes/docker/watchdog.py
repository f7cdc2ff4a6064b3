"""``python -m harness.runtimes.docker.watchdog RUN``: removes what a run left when the harness is gone, whatever ended it.

Its stdin is a pipe that only the harness holds: it closes with the harness, be it by SIGKILL. The harness says when it has
removed everything itself; then there is nothing to do. It does not listen to the signals by which people end a harness.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import harness

DONE = b"done\n"
_LATE_S = 3
"""How long after the harness died the engine may still be making something for it: that is removed, too."""
_HOME = str(Path(harness.__path__[0]).parent)
"""This very harness, wherever the process finds others."""


def start(run: str) -> subprocess.Popen[bytes]:
    """The watchdog of the run with the id ``run``, in a session of its own. Raises ``OSError``."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, run],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (_HOME, os.environ.get("PYTHONPATH"))))},
    )


def dismiss(dog: subprocess.Popen[bytes]) -> None:
    """Everything is removed."""
    with contextlib.suppress(OSError):  # somebody has killed it
        dog.communicate(DONE, timeout=5)


def abandon(dog: subprocess.Popen[bytes]) -> None:
    """It is the watchdog's turn, although the harness is still there."""
    if dog.stdin:
        dog.stdin.close()


def main(run: str) -> None:
    """Wait for the end of the harness, then remove everything of ``run``."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() == DONE:
        return
    # Only now: while all goes well, a watchdog should cost nothing.
    from harness.errors import AnachronError  # noqa: PLC0415
    from harness.images.engine import connect  # noqa: PLC0415
    from harness.runtimes.docker.engine import WITHIN_S  # noqa: PLC0415
    from harness.runtimes.docker.labels import sweep  # noqa: PLC0415

    for pause_s in (0, _LATE_S):
        time.sleep(pause_s)
        with contextlib.suppress(AnachronError), contextlib.closing(connect(WITHIN_S)) as client:
            sweep(client, run)


if __name__ == "__main__":
    main(sys.argv[1])
