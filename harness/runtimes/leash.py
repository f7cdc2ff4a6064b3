"""Run a program that dies with the process that started it, whatever kills that one.

``python leash.py PARENT STATUS PROGRAM ARGUMENT...`` asks the kernel for SIGKILL on the parent's death (``PR_SET_PDEATHSIG``,
which survives exec) and becomes the program. Nothing is written to the file descriptor STATUS, which closes as the program takes
over, unless the program cannot be run: then it carries the reason. A program of its own rather than a ``preexec_fn``: Python must
not run between fork and exec of a process that may have threads.

Three rules of the kernel matter. A parent that died before the request never triggers it, so the parent is compared afterwards.
The signal comes when the *thread* that forked ends, so nodes are started from the thread of the event loop, never from a pool.
The request does not pass to grandchildren: a server's own children (a snapshot being written) end by themselves.

It imports nothing of the harness: it is run by its path, in a bare interpreter, and takes about 15 ms.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, status: int, command: list[str]) -> None:
    """Become ``command``, leashed to ``parent``; returns only if that is impossible."""
    os.set_inheritable(status, False)
    try:
        _die_with(parent)
        os.execv(command[0], command)  # noqa: S606  # to become the program is the point
    except OSError as error:
        os.write(status, str(error).encode())


def _die_with(parent: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_PDEATHSIG is not to be had")
    if os.getppid() != parent:
        raise ProcessLookupError("the harness is gone")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
    sys.exit(127)
