"""A runtime and a candidate without servers: what the protocols promise, in memory. Beside them, ones that break the promise."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic_ns

from harness.candidates.base import Cluster
from harness.errors import StartupError
from harness.plan import FaultSpec
from harness.runtimes.base import Capability, Cut, Endpoint, Server, Way
from harness.runtimes.messages import Message, MessageRule
from harness.topology import Link, Node, Topology

FLEET = Topology(
    nodes=(Node(0, "primary", "primary"), Node(1, "replica-1", "replica"), Node(2, "replica-2", "replica")),
    links=(
        Link("replica-1", "primary"),
        Link("replica-2", "primary"),
        Link("client", "primary"),
        Link("client", "replica-1"),
        Link("client", "replica-2"),
    ),
    writable=(0,),
    readable=(0, 1, 2),
)

MS = 1_000_000


def spec(kind: str, **options: object) -> FaultSpec:
    """A fault's spec as a plan would give it, with a beat of its own unless told."""
    return FaultSpec.model_validate({"kind": kind, "every": "60s", "lasts": "300ms", "after": "20ms", **options})


class FakeRuntime:
    """Nodes are letters, links are sets; every action is noted in ``done``."""

    name = "fake"
    means = "pretence"

    def __init__(self, lacks: Sequence[Capability] = ()) -> None:
        self.lacks = lacks
        self.states = {node.name: "S" for node in FLEET.nodes}
        self.starts = {node.name: 1 for node in FLEET.nodes}
        self.cuts: set[Link] = set()
        self.delays: dict[Link, int] = {}
        self.rules: dict[Link, MessageRule] = {}
        self.struck: dict[Link, int] = {}
        self.done: list[str] = []

    def refusal(self, capability: Capability) -> str | None:
        return f"no {capability} here; buy some" if capability in self.lacks else None

    async def open(self, topology: Topology) -> None:
        """Nothing to do."""

    def endpoint(self, node: str) -> Endpoint:
        return Endpoint(node, 1)

    def via(self, link: Link) -> Endpoint:
        return Endpoint(link.target, 1)

    async def start(self, server: Server) -> None:
        self.states[server.node] = "S"

    async def kill(self, node: str) -> None:
        self.done.append(f"kill {node}")
        self.states[node] = ""

    async def restart(self, node: str, *, keep_data: bool) -> None:
        self.done.append(f"restart {node} {'with' if keep_data else 'without'} data")
        self.states[node] = "S"
        self.starts[node] += 1

    async def pause(self, node: str) -> None:
        self.done.append(f"pause {node}")
        self.states[node] = "T"

    async def resume(self, node: str) -> None:
        self.done.append(f"resume {node}")
        self.states[node] = "S"

    async def state(self, node: str) -> str:
        return self.states[node]

    def incarnation(self, node: str) -> int:
        return self.starts[node]

    def log_end(self, node: str, lines: int = 20) -> str:
        return f"{lines} lines of {node}"

    async def cut(self, links: Sequence[Link], how: Cut = Cut.BLACK_HOLE, way: Way = Way.BOTH) -> None:
        self.done.append(f"cut {how} {way}")
        self.cuts |= set(links)

    async def delay(self, links: Sequence[Link], delay_ns: int, jitter_ns: int = 0) -> None:
        self.done.append(f"delay {delay_ns} {jitter_ns}")
        self.delays |= dict.fromkeys(links, delay_ns)

    async def throttle(self, links: Sequence[Link], bytes_per_second: int) -> None:
        """Not needed by these tests."""

    async def reset(self, links: Sequence[Link]) -> None:
        """Not needed by these tests."""

    async def meddle(self, links: Sequence[Link], rule: MessageRule, way: Way = Way.BOTH) -> None:
        self.done.append(f"meddle {rule.action} {way}")
        self.rules |= dict.fromkeys(links, rule)

    async def meddled(self, links: Sequence[Link]) -> Mapping[Link, int]:
        return {link: self.struck.get(link, 0) for link in links}

    def send(self, link: Link, message: Message) -> bool:
        """Whether a message on ``link`` arrives; rules drop what they match."""
        rule = self.rules.get(link)
        if rule is None or not rule.matches(message):
            return True
        self.struck[link] = self.struck.get(link, 0) + 1
        return False

    async def mend(self, links: Sequence[Link]) -> None:
        self.done.append("mend")
        self.cuts -= set(links)
        for link in links:
            self.delays.pop(link, None)
            self.rules.pop(link, None)
            self.struck.pop(link, None)

    async def pulse(self) -> Sequence[tuple[int, int]]:
        return ()

    async def close(self) -> None:
        """Nothing to do."""

    @property
    def whole(self) -> bool:
        """Whether nothing is broken."""
        return not self.cuts and not self.delays and not self.rules and set(self.states.values()) == {"S"}


class ToothlessRuntime(FakeRuntime):
    """Says yes to everything, and strikes nothing."""

    async def kill(self, node: str) -> None:
        self.done.append(f"kill {node}")

    async def restart(self, node: str, *, keep_data: bool) -> None:
        """A node that was not killed is not started."""

    async def pause(self, node: str) -> None:
        self.done.append(f"pause {node}")

    async def cut(self, *_: object) -> None:
        self.done.append("cut")

    async def delay(self, *_: object) -> None:
        self.done.append("delay")

    async def meddle(self, *_: object) -> None:
        self.done.append("meddle")


class FakeCandidate:
    """Answers as the runtime's state has it."""

    protocol = "none"
    product = "Fake 1"
    topology = FLEET

    def __init__(self, runtime: FakeRuntime) -> None:
        self.runtime = runtime
        self.open_probes = 0

    async def start(self, runtime: FakeRuntime) -> None:
        """Nothing to do."""

    async def ready(self, node: str) -> None:
        if self.runtime.states[node] != "S":
            raise StartupError(f"{node} does not serve")

    async def identity(self, node: str) -> str:
        if self.runtime.states[node] == "T":
            await asyncio.sleep(10)
        if not self.runtime.states[node]:
            raise ConnectionRefusedError(f"{node} refuses")
        return f"{node} number {self.runtime.starts[node]}"

    async def probe(self, link: Link) -> FakeProbe:
        self.open_probes += 1
        return FakeProbe(self, link)

    async def close(self) -> None:
        """Nothing to do."""


class FakeProbe:
    """Marks that need a millisecond, and the delay."""

    def __init__(self, candidate: FakeCandidate, link: Link) -> None:
        self.candidate = candidate
        self.link = link
        self.carrying = False

    async def carry(self, within_ns: int, way: Way = Way.BOTH) -> int | None:
        del way
        assert not self.carrying, "a probe carries one mark at a time"
        self.carrying = True
        try:
            return await self._carry(within_ns)
        finally:
            self.carrying = False

    async def _carry(self, within_ns: int) -> int | None:
        runtime = self.candidate.runtime
        begin_ns = monotonic_ns()
        if any(runtime.states.get(end) == "" for end in (self.link.source, self.link.target)):
            raise ConnectionRefusedError(f"an end of {self.link} is gone")
        canary = Message(b"", "SET", (f"anachron:canary:{self.link}".encode(),))
        if self.link in runtime.cuts or not runtime.send(self.link, canary):
            await asyncio.sleep(within_ns / 1e9)
            return None
        await asyncio.sleep((MS + runtime.delays.get(self.link, 0)) / 1e9)
        return monotonic_ns() - begin_ns

    async def close(self) -> None:
        self.candidate.open_probes -= 1


def fake_cluster(runtime: FakeRuntime) -> Cluster:
    """The fake candidate on ``runtime``."""
    return Cluster(FakeCandidate(runtime), runtime)
