"""Where nodes live, by the names that plans use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness.registry import Registry

if TYPE_CHECKING:  # proxies start from this package, and should not wait for what only the harness needs
    from harness.runtimes.base import Runtime


class RuntimeFactory(Protocol):
    """A runtime's class."""

    def __call__(self, directory: Path, *, client_proxies: bool = False) -> Runtime:
        """A runtime for the run in ``directory``, with proxies before the clients where they are wanted."""


RUNTIMES: Registry[RuntimeFactory] = Registry("runtime", {"process": "harness.runtimes.process:ProcessRuntime"})
