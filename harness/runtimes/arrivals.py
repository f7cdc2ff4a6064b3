"""When the pieces of a log reached the harness, in a file beside the log.

    RUN/logs/<node>.log          what the node wrote, byte by byte
    RUN/logs/<node>.arrivals     per piece of it: the offset of its first byte, and the wall-clock time in ns at which it came

Not every server stamps its lines, and one whose clock was bent stamps them wrong. The harness's own clock is the one that the
history has its times from.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Arrival(NamedTuple):
    """A piece of a log came at ``wall_ns`` and begins at ``offset``."""

    offset: int
    wall_ns: int


def append(log: Path, piece: bytes) -> None:
    """Put a piece that has just arrived at the end of ``log``."""
    wall_ns = time.time_ns()
    with log.open("ab") as file:
        offset = file.tell()
        file.write(piece)
    with _beside(log).open("a") as arrivals:
        arrivals.write(f"{offset} {wall_ns}\n")


def arrivals_of(log: Path) -> Sequence[Arrival]:
    """All arrivals in ``log``, first to last; none if nobody kept them. What cannot be read, as half a line, is left out."""
    found: list[Arrival] = []
    with suppress(FileNotFoundError):
        for line in _beside(log).read_text(errors="replace").splitlines():
            with suppress(ValueError):
                offset, wall_ns = map(int, line.split())
                found.append(Arrival(offset, wall_ns))
    return found


def _beside(log: Path) -> Path:
    return log.with_suffix(".arrivals")
