"""What a runtime is: a place where nodes live, and the means to bend them.

A runtime knows processes and links, not caches: what a server's arguments mean is the candidate's business. It says up front what
it can do on this machine; a plan that needs more is refused before anything starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

from harness.runtimes.messages import MessageRule
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
    DISTURB = "disturb"
    """Packets that are dropped, duplicated, or overtake each other."""
    MESSAGES = "messages"
    """Whole messages among nodes that are dropped, held, duplicated, or overtake each other."""
    CLIENT_MESSAGES = "client-messages"
    """The same between clients and nodes."""
    KILL = "kill"
    PAUSE = "pause"
    KILL_HOST = "kill-host"
    LIMIT = "limit"
    FILL_DISK = "fill-disk"
    CLOCK = "clock"
    REPLACE = "replace"
    """Another image in a node's place."""


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
class File:
    """A file that a server finds in its working directory.

    Attributes:
        name: its name there.
        content: what stands in it.
        secret: no report, log or stored run may show it.
        once: it is part of the node's data: written where there is none yet, and else left as the server has rewritten it.
    """

    name: str
    content: bytes
    secret: bool = False
    once: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """What to run as a node.

    Attributes:
        node: its name in the topology.
        program: what is executed: ``valkey-server``.
        args: its arguments; never a secret, for anybody may read them.
        image: the container image that has the program; empty for the runtime's own choice. Only containers have one.
        files: written into the working directory before each start.
        environment: variables beside those that the runtime sets.
    """

    node: str
    program: str
    args: tuple[str, ...]
    image: str = ""
    files: tuple[File, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What happens to the packets of a link, each way; the connections' own protocol repairs it, at the price of time.

    Attributes:
        drop: the share of packets that is lost.
        drop_every: every so many-th packet is lost; 0 for none.
        duplicate: the share that arrives twice.
        reorder: the share that is held back by ``reorder_by_ns`` and so overtaken.
        seed: of the random choices, where the means can be seeded.
    """

    drop: float = 0.0
    drop_every: int = 0
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_by_ns: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a node may use of its machine; None for no limit."""

    cpus: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """How a node's clocks differ from the machine's: an offset of the wall clock, a rate, an offset of the monotonic clock."""

    wall_ns: int = 0
    rate: float = 1.0
    monotonic_ns: int = 0


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

    async def state(self, node: str) -> str:
        """The state letter of the node's process (``R``, ``S``, ``T``), or an empty string if it is gone."""

    def facts(self) -> Mapping[str, str]:
        """What the run was made on, for people; complete once all nodes have been started."""

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

    async def disturb(self, links: Sequence[Link], disturbance: Disturbance) -> None:
        """Drop, duplicate or reorder packets on the links until ``mend``."""

    async def meddle(self, links: Sequence[Link], rule: MessageRule, way: Way = Way.BOTH) -> None:
        """Strike whole messages on the links by ``rule`` until ``mend``, which also lets go on what was kept back."""

    async def meddled(self, links: Sequence[Link]) -> Mapping[Link, int]:
        """How many messages the rules that are in force on each of the links have struck so far."""

    async def mend(self, links: Sequence[Link]) -> None:
        """Undo cut, delay, throttle, disturbance and rules on the links."""

    async def kill_host(self, node: str) -> None:
        """The node's whole machine is gone: no reset, no refusal, connections hang. ``restart`` brings it back."""

    async def limit(self, node: str, limits: Limits) -> None:
        """Let the node use no more than ``limits``; without any, as much as there is."""

    async def fill_disk(self, node: str) -> None:
        """Leave no room where the node keeps its data."""

    async def free_disk(self, node: str) -> None:
        """Give back what ``fill_disk`` took."""

    async def set_clock(self, node: str, skew: ClockSkew) -> None:
        """Bend the node's clocks, from its next look at them on; the machine's own clock is never touched."""

    async def replace(self, node: str, image: str) -> None:
        """Stop the node in order and start the same server from another image, with its data."""

    async def pulse(self) -> Sequence[tuple[int, int]]:
        """Windows in which the runtime's own means stood still since the last pulse: begin and end, ns of the monotonic clock.

        Raises ``HarnessError`` once they can no longer do their part: from then on, what clients see is not the candidate's
        doing.
        """

    async def close(self) -> None:
        """Stop everything that ``open`` and ``start`` started; safe to call twice and after a failed start."""


class Packets(NamedTuple):
    """What a runtime's means did to packets so far, on all links."""

    seen: int
    lost: int
    doubled: int
    late: int
    """Held back, so that others may overtake them."""


@runtime_checkable
class Counting(Protocol):
    """A runtime that counts what it does to packets: what is repaired before anybody notices can be proven no other way."""

    async def packets(self) -> Packets:
        """The counts since the run began."""


@runtime_checkable
class Preparing(Protocol):
    """A runtime whose nodes need a machine before a server can start: that takes a while, and goes faster side by side."""

    async def prepare(self, servers: Sequence[Server]) -> None:
        """Make the machines of these servers, so that ``start`` takes no time; starts no server."""


@runtime_checkable
class Inspecting(Protocol):
    """A runtime that can look at a node's machine from within: what a server does not say of it."""

    async def limits(self, node: str) -> Limits:
        """What the node's machine says that may be used of it."""

    async def room(self, node: str) -> int:
        """How many bytes are left where the node keeps its data."""
