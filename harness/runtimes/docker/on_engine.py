"""What runtimes whose nodes are containers have in common: an engine, links that the kernel bends, and nothing left behind.

Who inherits gives the nodes their places. Nothing outlives the harness: a watchdog removes what is left (see ``watchdog``), and
``labels`` finds what slips through.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from harness.errors import AnachronError, HarnessError, StorageError, UnsupportedError
from harness.images.engine import connect
from harness.runtimes import addresses
from harness.runtimes.base import Capability, Cut, Disturbance, Endpoint, Packets, Way
from harness.runtimes.docker import network, watchdog
from harness.runtimes.docker.engine import WITHIN_S, Engine
from harness.runtimes.docker.labels import labels, sweep, sweep_orphans
from harness.runtimes.docker.survey import Survey, survey
from harness.runtimes.docker.wires import Wires
from harness.runtimes.kernel.agent import Agent
from harness.runtimes.ledger import Ledger
from harness.runtimes.messages import MessageRule
from harness.runtimes.process import CLIENT
from harness.runtimes.proxies import Proxies, Route
from harness.runtimes.unable import Unable
from harness.topology import Link, Topology

_PROXIES_END_WITHIN_S = 1.5
_BENT = (
    "nftables in the network namespace of the engine's machine, in tables of the run's own, by a container that may configure "
    "networks there (the agent); no rules in the nodes' own namespaces"
)
_NEEDS_AGENT = frozenset(
    {Capability.CUT, Capability.DELAY, Capability.THROTTLE, Capability.RESET, Capability.DISTURB, Capability.CLOCK}
)


class Places(NamedTuple):
    """Where the nodes of a run are.

    Attributes:
        addresses: of the nodes, by name.
        gateway: the machine's own address on their network.
    """

    addresses: Mapping[str, str]
    gateway: str


class OnEngine(Unable):
    """A ``Runtime`` on a Docker engine, without its nodes.

    Faults on links add up until ``mend``. On links with a proxy the proxy makes them, on all others the kernel does.

    Args:
        directory: of the run; made by ``open`` if it is not there.
        client_proxies: whether proxies stand on the links between clients and nodes. Without, nothing can be done to these links:
            the kernel cannot tell clients from the harness itself, which asks the nodes how they are from the same address.
        node_proxies: whether proxies stand on the links among nodes.
        messages: whether the proxies follow the messages that they carry.
    """

    means = "kernel"

    def __init__(
        self, directory: Path, *, client_proxies: bool = False, node_proxies: bool = False, messages: bool = False
    ) -> None:
        self._directory = directory.absolute()
        self._client_proxies = client_proxies
        self._node_proxies = node_proxies
        self._messages = messages
        if node_proxies:
            self.means = "proxy"
        elif client_proxies:
            self.means = "kernel; proxy to clients"
        self._run = secrets.token_hex(4)
        self._opened = AsyncExitStack()
        self._engine: Engine | None = None
        self._ledger: Ledger | None = None
        self._no_agent = ""
        self._wires = Wires({}, {}, self.refusal)

    @cached_property
    def _survey(self) -> Survey:
        return survey()

    def refusal(self, capability: Capability) -> str | None:
        """Why ``capability`` is not to be had here and how to get it; None if it is."""
        if self._survey.lacks:
            return self._survey.lacks
        if capability in (Capability.CUT_CLIENTS, Capability.CLIENT_MESSAGES) and not self._client_proxies:
            return "clients connect to the nodes directly; set client_proxies = true in [run] to put proxies in between"
        if capability is Capability.MESSAGES and not self._node_proxies:
            return "nodes connect to each other directly; set node_proxies = true in [run] to put proxies in between"
        if capability is Capability.DISTURB and self._node_proxies:
            return "the links among nodes go through proxies, which carry bytes, not packets; set node_proxies = false in [run]"
        if capability in _NEEDS_AGENT and self._survey.lacks_agent:
            return self._survey.lacks_agent
        if capability in _NEEDS_AGENT - {Capability.CLOCK} and self._no_agent:
            return self._no_agent
        return None if self._node_proxies else self._survey.kernel.refusal(capability)

    @staticmethod
    def describe() -> Mapping[str, str]:
        """What this machine offers the runtime, as facts for people."""
        found = survey()
        if found.facts is None:
            return {"engine": found.lacks}
        bent = "none: there is no run without the nodes' addresses" if found.lacks else found.lacks_agent or _BENT
        return {**found.facts, "network faults": bent}

    def facts(self) -> Mapping[str, str]:
        """What the run was made on."""
        bent = {"network faults": self._wires.agent.means.description} if self._wires.agent else {}
        return {"engine": (self._survey.facts or {}).get("engine", "unknown"), **bent}

    async def open(self, topology: Topology) -> None:
        """Give every node a place and every link its way; starts the agent and the proxies."""
        if self._engine:
            raise HarnessError("the runtime is open already")
        if self._survey.lacks:
            raise UnsupportedError(f'the runtime "{self.name}" does not work here', why=self._survey.lacks)
        try:
            (self._directory / "logs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError("the run's directory cannot be written", where=str(self._directory), why=str(error)) from error
        try:
            await self._open(topology)
        except BaseException:
            await self.close()
            raise

    async def _open(self, topology: Topology) -> None:
        self._ledger = Ledger(self._directory)
        self._opened.callback(self._ledger.close)
        engine = self._engine = Engine(await asyncio.to_thread(connect, WITHIN_S))
        self._opened.push_async_callback(self._remove, engine, watchdog.start(self._run))
        await engine.ask("remove what killed runs left", lambda: sweep_orphans(engine.client))
        own = labels(self._run)
        agent = asyncio.create_task(self._start_agent(engine, own)) if self._survey.agent else None
        if agent:
            self._opened.push_async_callback(_end_agent, agent)
        places = await self._settle(topology, engine, own)
        self._wires = Wires(places.addresses, self._routes(topology, places), self.refusal)
        if self._wires.routes:
            await self._start_proxies()
        if agent:
            try:
                self._wires.agent = await asyncio.shield(agent)
            except AnachronError as error:
                self._no_agent = str(error)

    async def _settle(self, topology: Topology, engine: Engine, own: Mapping[str, str]) -> Places:
        """Make the network and give every node its place there; all that is made has the labels ``own``."""
        raise NotImplementedError

    def endpoint(self, node: str) -> Endpoint:
        """The node's own address: where it listens."""
        raise NotImplementedError

    def via(self, link: Link) -> Endpoint:
        """Where ``link.source`` must connect to: the target itself, unless a proxy stands on the link."""
        route = self._wires.routes.get(link)
        return route.listen if route else self.endpoint(link.target)

    async def cut(self, links: Sequence[Link], how: Cut = Cut.BLACK_HOLE, way: Way = Way.BOTH) -> None:
        """Cut the links until ``mend``; a refusal works both ways whatever ``way`` is."""
        await self._wires.cut(links, how, way)

    async def delay(self, links: Sequence[Link], delay_ns: int, jitter_ns: int = 0) -> None:
        """Hold everything back by ``delay_ns`` each way, give or take ``jitter_ns``; order is kept."""
        await self._wires.delay(links, delay_ns, jitter_ns)

    async def throttle(self, links: Sequence[Link], bytes_per_second: int) -> None:
        """Let at most so many bytes a second through, each way."""
        await self._wires.throttle(links, bytes_per_second)

    async def reset(self, links: Sequence[Link]) -> None:
        """Reset the connections that are open on the links, once."""
        await self._wires.reset(links)

    async def disturb(self, links: Sequence[Link], disturbance: Disturbance) -> None:
        """Drop, duplicate or reorder packets on the links until ``mend``."""
        await self._wires.disturb(links, disturbance)

    async def meddle(self, links: Sequence[Link], rule: MessageRule, way: Way = Way.BOTH) -> None:
        """Strike whole messages on the links by ``rule``; they must go through proxies."""
        await self._wires.meddle(links, rule, way)

    async def meddled(self, links: Sequence[Link]) -> Mapping[Link, int]:
        """How many messages the rules on each of the links have struck so far."""
        return await self._wires.meddled(links)

    async def mend(self, links: Sequence[Link]) -> None:
        """Undo everything on the links."""
        await self._wires.mend(links)

    async def packets(self) -> Packets:
        """What the kernel's means did to packets so far."""
        return await self._wires.packets()

    async def pulse(self) -> Sequence[tuple[int, int]]:
        """Windows in which the proxies stood still; raises ``HarnessError`` if the network's means are gone."""
        return await self._wires.pulse()

    async def close(self) -> None:
        """Remove everything that the run has on the engine, whatever state it is in; logs stay."""
        opened, self._opened = self._opened, AsyncExitStack()
        await opened.aclose()

    async def _start_agent(self, engine: Engine, own: Mapping[str, str]) -> Agent:
        log = self._log("anachron-agent")

        def write(output: bytes) -> None:
            with log.open("ab") as file:
                file.write(output)

        return await Agent.start(engine.client, run=self._run, labels=own, image=self._survey.agent, output=write)

    async def _start_proxies(self) -> None:
        proxies = self._wires.proxies = await Proxies.start(self._directory, self._log("anachron-proxy"))
        self._opened.push_async_callback(_end_proxies, proxies)
        if self._ledger:
            self._ledger.add("the proxy", proxies.child.pid)
        await proxies.open(self._wires.routes.values())

    def _routes(self, topology: Topology, places: Places) -> dict[Link, Route]:
        """The links that go through a proxy. Clients reach theirs on a loopback address, nodes theirs on the gateway's."""
        links = [Link(CLIENT, node.name) for node in topology.nodes if self._client_proxies]
        block = addresses.Block(len(links))
        self._opened.callback(block.close)
        listens = list(block.endpoints)
        if self._node_proxies and not topology.direct:
            among_nodes = [link for link in topology.links if link.source != CLIENT]
            links += among_nodes
            listens += [Endpoint(places.gateway, port) for port in network.free_ports(places.gateway, len(among_nodes))]
        protocols = {node.name: node.protocol for node in topology.nodes if self._messages}
        return {
            link: Route(link, listen, self.endpoint(link.target), None, protocols.get(link.target, ""))
            for link, listen in zip(links, listens, strict=True)
        }

    async def _remove(self, engine: Engine, dog: subprocess.Popen[bytes]) -> None:
        """Remove what the run has on the engine; if that fails, the watchdog tries again."""
        await engine.settle()
        try:
            await asyncio.to_thread(sweep, engine.client, self._run)
        except BaseException:
            watchdog.abandon(dog)
            raise
        await asyncio.to_thread(watchdog.dismiss, dog)
        engine.client.close()
        self._engine = None

    def _log(self, name: str) -> Path:
        return self._directory / "logs" / f"{name}.log"

    @property
    def _running(self) -> Engine:
        if self._engine is None:
            raise HarnessError("the runtime is not open")
        return self._engine


async def _end_agent(starting: asyncio.Task[Agent]) -> None:
    """Heal and remove the agent, whenever it may come up."""
    with contextlib.suppress(AnachronError):  # it never came up; what there is of it is swept
        agent = await starting
        await agent.close()


async def _end_proxies(proxies: Proxies) -> None:
    proxies.hang_up()
    try:
        await proxies.child.stop(_PROXIES_END_WITHIN_S)
    finally:
        proxies.child.kill_now()
