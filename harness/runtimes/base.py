"""What a runtime is: a place where nodes live, and the means to bend them.

A runtime knows processes and links, not caches: what a server's arguments mean is the candidate's business. It says up front what
it can do on this machine; a plan that needs more is refused before anything starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from harness.topology import Link, Topology


class Endpoint(NamedTuple):
    """Where something listens."""

    host: str
    port: int


class Capability(StrEnum):
    """One thing that a runtime may be able to do here; faults say which they need."""

    CUT = "cut"
    CUT_CLIENTS = "cut-clients"
    """Cuts (and delays) between clients and nodes."""
    DELAY = "delay"
    THROTTLE = "throttle"
    RESET = "reset"
    KILL = "kill"
    PAUSE = "pause"


class Cut(StrEnum):
    """How a link is cut."""

    BLACK_HOLE = "black-hole"
    """Bytes vanish; connections stay open and new ones hang."""
    REFUSE = "refuse"
    """Connections are reset and new ones are refused."""


class Way(StrEnum):
    """Which direction of a link is meant, seen from the one who opened it."""

    BOTH = "both"
    FORWARD = "forward"
    """From ``link.source`` to ``link.target``."""
    BACKWARD = "backward"


@dataclass(frozen=True, slots=True)
class Server:
    """What to run as a node: a program (``valkey-server``) and its arguments."""

    node: str
    program: str
    args: tuple[str, ...]


class Runtime(Protocol):
    """Start and stop nodes, bend nodes and links. Link methods act at once on open connections, too.

    Attributes:
        name: as in a plan: ``process``.
        means: how network faults are made, as the report says it: ``proxy``, ``kernel``.
    """

    name: str
    means: str

    def refusal(self, capability: Capability) -> str | None:
        """Why ``capability`` is not to be had here and how to get it; None if it is."""

    async def open(self, topology: Topology) -> None:
        """Give every node an address and every link its way, before any node starts."""

    def endpoint(self, node: str) -> Endpoint:
        """The node's own address: for the harness itself, past all faults on links."""

    def via(self, link: Link) -> Endpoint:
        """Where ``link.source`` must connect to in order to reach ``link.target``; links from ``client`` included."""

    async def start(self, server: Server) -> None:
        """Start a node; returns when its process runs, ready or not. Raises ``StartupError``."""

    async def kill(self, node: str) -> None:
        """Kill the node's process with SIGKILL and wait until it is gone."""

    async def restart(self, node: str, *, keep_data: bool) -> None:
        """Start a killed node again with the same arguments; without data if not ``keep_data``."""

    async def pause(self, node: str) -> None:
        """Stop the node's process (SIGSTOP); its sockets stay open."""

    async def resume(self, node: str) -> None:
        """Let a paused node go on."""

    def state(self, node: str) -> str:
        """The state letter of the node's process (``R``, ``S``, ``T``), or an empty string if it is gone."""

    def incarnation(self, node: str) -> int:
        """How often the node's process has been started."""

    def log_end(self, node: str, lines: int = 20) -> str:
        """The end of the node's log."""

    async def cut(self, links: Sequence[Link], how: Cut = Cut.BLACK_HOLE, way: Way = Way.BOTH) -> None:
        """Cut the links until ``mend``."""

    async def delay(self, links: Sequence[Link], delay_ns: int, jitter_ns: int = 0) -> None:
        """Hold every byte on the links back by ``delay_ns`` each way, give or take ``jitter_ns``; order is kept."""

    async def throttle(self, links: Sequence[Link], bytes_per_second: int) -> None:
        """Let at most so many bytes a second through, each way."""

    async def reset(self, links: Sequence[Link]) -> None:
        """Reset the connections that are open on the links, once."""

    async def mend(self, links: Sequence[Link]) -> None:
        """Undo cut, delay and throttle on the links."""

    async def pulse(self) -> Sequence[tuple[int, int]]:
        """Windows in which the runtime's own means stood still since the last pulse: begin and end, ns of the monotonic clock.

        Raises ``HarnessError`` once they can no longer do their part: from then on, what clients see is not the candidate's
        doing.
        """

    async def close(self) -> None:
        """Stop everything that ``open`` and ``start`` started; safe to call twice and after a failed start."""
