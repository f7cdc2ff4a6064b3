"""A node's place on this machine: its address, directory and log, and its process if it has one."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from harness.errors import StartupError
from harness.runtimes.addresses import listening
from harness.runtimes.base import Endpoint, Server
from harness.runtimes.children import Child

_FREE_WITHIN_S = 1.0
_LOG_END_BYTES = 64 << 10


class Place:
    """That of one node.

    Attributes:
        name: the node's.
        endpoint: its address.
        data, log: its directory, and its log.
        server: what was started there last.
        child: its process, if it has one.
        incarnation: how often it has been started.
    """

    def __init__(self, name: str, endpoint: Endpoint, data: Path, log: Path) -> None:
        self.name = name
        self.endpoint = endpoint
        self.data = data
        self.log = log
        self.server: Server | None = None
        self.child: Child | None = None
        self.incarnation = 0

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.child is not None and self.child.alive

    def forget_secrets(self) -> None:
        """Remove the files that no stored run may show."""
        for file in self.server.files if self.server else ():
            if file.secret:
                with suppress(OSError):  # the folder went with the data
                    (self.data / file.name).unlink()

    def log_end(self, lines: int) -> str:
        """The last ``lines`` of the log; empty if there is none."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_END_BYTES))
                text = log.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    async def until_free(self) -> None:
        """Wait until nobody listens at the address; raises ``StartupError`` if somebody keeps it."""
        for _ in range(20):
            if not listening(self.endpoint):
                return
            await asyncio.sleep(_FREE_WITHIN_S / 20)
        host, port = self.endpoint
        raise StartupError(
            f"{self.name} cannot be started", why=f"another process listens on {host}:{port}", fix="start the run again"
        )
