"""The ``attached`` runtime: nodes that run already and are not ours. It starts nothing, stops nothing and breaks nothing.

What goes wrong with them is what the owner's own commands do: the fault ``command``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import HarnessError, UnsupportedError
from harness.runtimes.base import Capability, Endpoint, Server
from harness.runtimes.unable import Unable
from harness.topology import Link, Topology

_RUNS = "R"


class AttachedRuntime(Unable):
    """A ``Runtime`` of nodes that somebody else runs; whether they live, only their answers tell.

    Args:
        directory: of the run; nothing is kept there.
        client_proxies, node_proxies, messages: of no effect: nothing is put before somebody else's nodes.
    """

    name = "attached"
    means = "the owner's commands"

    def __init__(
        self, directory: Path, *, client_proxies: bool = False, node_proxies: bool = False, messages: bool = False
    ) -> None:
        del directory, client_proxies, node_proxies, messages
        self._nodes: dict[str, Endpoint] = {}

    def refusal(self, capability: Capability) -> str | None:  # noqa: ARG002 - it can do none of them
        """Why ``capability`` is not to be had here and how to get it."""
        return 'the nodes are not ours to break; the fault "command" runs your own apply and heal commands'

    @staticmethod
    def describe() -> Mapping[str, str]:
        """What this machine offers the runtime, as facts for people."""
        return {"nodes": "endpoints that run already; faults are your own commands"}

    async def open(self, topology: Topology) -> None:
        """Take the nodes' addresses from the candidate."""
        homeless = [node.name for node in topology.nodes if not node.host]
        if homeless:
            raise UnsupportedError(
                f"nobody says where {', '.join(homeless)} can be reached",
                why="the attached runtime starts no nodes",
                fix='choose candidate.kind = "attached", which names their addresses, or another run.runtime',
            )
        self._nodes = {node.name: Endpoint(node.host, node.port) for node in topology.nodes}

    def endpoint(self, node: str) -> Endpoint:
        """The node's address."""
        if node not in self._nodes:
            raise HarnessError(f'there is no node "{node}"', fix="the candidate's topology must name every node")
        return self._nodes[node]

    def via(self, link: Link) -> Endpoint:
        """The address of the link's target."""
        return self.endpoint(link.target)

    async def start(self, server: Server) -> None:
        """Nothing to do: it runs."""

    async def state(self, node: str) -> str:  # noqa: ARG002 - nobody knows more of any of them
        """``R``: nobody sees the process from here."""
        return _RUNS

    def incarnation(self, node: str) -> int:  # noqa: ARG002
        """1: nobody sees restarts from here but by the node's own word, which the candidate asks for."""
        return 1

    def log_end(self, node: str, lines: int = 20) -> str:  # noqa: ARG002
        """Nothing: the log is elsewhere."""
        return ""

    async def mend(self, links: Sequence[Link]) -> None:
        """Nothing to do: nothing was bent."""

    async def pulse(self) -> Sequence[tuple[int, int]]:
        """Nothing of ours stands between clients and nodes."""
        await asyncio.sleep(0)
        return ()

    async def close(self) -> None:
        """Nothing to do: nothing was started."""
