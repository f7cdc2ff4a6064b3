"""Where nodes live, by the names that plans use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness.registry import Registry

if TYPE_CHECKING:  # proxies start from this package, and should not wait for what only the harness needs
    from harness.runtimes.base import Runtime


class RuntimeFactory(Protocol):
    """A runtime's class."""

    def __call__(
        self, directory: Path, *, client_proxies: bool = False, node_proxies: bool = False, messages: bool = False
    ) -> Runtime:
        """A runtime for the run in ``directory``.

        Args:
            directory: of the run.
            client_proxies: put proxies on the links to clients.
            node_proxies: put proxies on the links among nodes.
            messages: let the proxies follow every message from the beginning, so that there can be rules on them.
        """


RUNTIMES: Registry[RuntimeFactory] = Registry(
    "runtime",
    {
        "attached": "harness.runtimes.attached:AttachedRuntime",
        "compose": "harness.runtimes.docker.compose:ComposeRuntime",
        "docker": "harness.runtimes.docker.runtime:DockerRuntime",
        "process": "harness.runtimes.process:ProcessRuntime",
        "simulated": "harness.runtimes.simulated:SimulatedRuntime",
    },
)
