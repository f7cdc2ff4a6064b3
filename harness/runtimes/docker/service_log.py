"""What a container of the user's writes, copied to a file of the run as it is written."""

from __future__ import annotations

import contextlib
import io
import threading
from pathlib import Path
from typing import Any

from harness.images.engine import ENGINE_ERRORS
from harness.runtimes import arrivals
from harness.runtimes.docker.engine import Engine

_END_BYTES = 64 << 10
_ENDS_WITHIN_S = 3.0


class ServiceLog:
    """One container's log, start by start.

    Args:
        engine: whose container it is.
        path: the file.
    """

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._path = path
        self._following: threading.Thread | None = None

    def follow(self, container: str, since: float | None = None) -> None:
        """Copy what ``container`` writes until it ends; from a time on, or all of it."""
        self.settle()  # what the last start wrote comes first
        self._following = threading.Thread(target=self._copy, args=(container, since), name=f"log {self._path.stem}", daemon=True)
        self._following.start()

    def settle(self) -> None:
        """Return when all that an ended container wrote has been copied."""
        if self._following:
            self._following.join(_ENDS_WITHIN_S)

    def end(self, lines: int) -> str:
        """The last lines; empty if there are none."""
        try:
            with self._path.open("rb") as log:
                log.seek(max(0, log.seek(0, io.SEEK_END) - _END_BYTES))
                text = log.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _copy(self, container: str, since: float | None) -> None:
        api: Any = self._engine.client.api
        with contextlib.suppress(*ENGINE_ERRORS):
            for piece in api.logs(container, stream=True, follow=True, since=since):
                arrivals.append(self._path, piece)
