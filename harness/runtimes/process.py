"""The ``process`` runtime: nodes are processes of this machine, links go through a proxy; no root, no containers.

Each node has a loopback address, a directory (in which it works: its data) and a log of its own::

    RUN/nodes/<node>/     RUN/logs/<node>.log     RUN/processes.jsonl

Nothing outlives the harness: see ``leash`` for how, and ``ledger`` for the sweep after it. Linux only.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.errors import AnachronError, HarnessError, StartupError, StorageError, UnsupportedError
from harness.runtimes import addresses, children, procfs
from harness.runtimes.base import Capability, Cut, Endpoint, Server, Way
from harness.runtimes.ledger import Ledger
from harness.runtimes.messages import CONVERSATIONS, MessageRule
from harness.runtimes.places import Place
from harness.runtimes.programs import find_program
from harness.runtimes.proxies import Proxies, Route, Traffic
from harness.runtimes.unable import Unable
from harness.topology import Link, Topology

CLIENT = "client"
"""The source of the links between clients and nodes."""

_LIVES_FOR_S = 0.2
"""A node that neither ends nor listens within this time is taken for started."""
_STOPS_WITHIN_S = 1.5
_PROGRAMS = ("valkey-server", "redis-server")
_DOCKER = 'choose runtime = "docker"'
_LACKS = {
    Capability.DISTURB: f"its proxies carry bytes, not packets; {_DOCKER}",
    Capability.KILL_HOST: f"all nodes live on this one machine; {_DOCKER}",
    Capability.LIMIT: f"child processes share what the machine has; {_DOCKER}",
    Capability.FILL_DISK: f"nodes share the disk of this machine; {_DOCKER}",
    Capability.CLOCK: f"nodes share the clock of this machine; {_DOCKER}",
    Capability.REPLACE: f"nodes are processes and have no image; {_DOCKER}",
}


class ProcessRuntime(Unable):
    """A ``Runtime`` whose nodes are child processes.

    The methods that act on a node do nothing to one that has ended by itself: ``state`` tells. Faults on links add up until
    ``mend``. The thread that runs the event loop must last as long as the run: nodes end with the thread that started them.

    Args:
        directory: of the run; made by ``open`` if it is not there.
        client_proxies: whether proxies stand on the links between clients and nodes, too.
        node_proxies: of no effect: they always stand on the links among nodes.
        messages: whether the proxies follow the messages that they carry, which takes a third of their speed, and more of
            it where requests are pipelined.
    """

    name = "process"
    means = "proxy"

    def __init__(
        self,
        directory: Path,
        *,
        client_proxies: bool = False,
        node_proxies: bool = True,  # noqa: ARG002
        messages: bool = False,
    ) -> None:
        self._directory = directory.absolute()
        self._nodes: dict[str, Place] = {}
        self._routes: dict[Link, Route] = {}
        self._direct = ""
        self._client_proxies = client_proxies
        self._messages = messages
        self._block: addresses.Block | None = None
        self._ledger: Ledger | None = None
        self._proxies: Proxies | None = None

    def refusal(self, capability: Capability) -> str | None:
        """Why ``capability`` is not to be had here and how to get it; None if it is."""
        missing = _platform_lacks()
        if missing:
            return missing
        if capability in (Capability.CUT_CLIENTS, Capability.CLIENT_MESSAGES) and not self._client_proxies:
            return "clients connect to the nodes directly; set client_proxies = true in [run] to put proxies in between"
        return _LACKS.get(capability)

    @staticmethod
    def describe() -> Mapping[str, str]:
        """What this machine offers the runtime, as facts for people. Runs each program once to ask its version."""
        facts = {
            "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
            "nodes": _platform_lacks() or "child processes on loopback addresses; they end with the harness, whatever kills it",
            "network faults": "a TCP proxy in user space (asyncio, no uvloop): cut, delay, jitter, throttle, reset",
        }
        for name in _PROGRAMS:
            try:
                program = find_program(name)
                facts[name] = f"{program.version()} ({program.path}, from {program.origin})"
            except AnachronError as error:
                facts[name] = f"{error.what}; {error.fix}" if error.fix else f"{error.what}: {error.why}"
        return facts

    async def open(self, topology: Topology) -> None:
        """Give every node an address and every link its way; starts the proxies, and no node."""
        missing = _platform_lacks()
        if missing:
            raise UnsupportedError("the process runtime does not work here", why=missing)
        if self._ledger:
            raise HarnessError("the runtime is open already")
        names = [node.name for node in topology.nodes]
        self._direct = topology.direct
        among_nodes = tuple(link for link in topology.links if link.source != CLIENT and not topology.direct)
        links = (*among_nodes, *(Link(CLIENT, name) for name in names if self._client_proxies))
        with _writing(self._directory):
            for folder in ("nodes", "logs"):
                (self._directory / folder).mkdir(parents=True, exist_ok=True)
        self._ledger = Ledger(self._directory)
        try:
            self._block = addresses.Block(len(names) + len(links))
            self._nodes = {
                name: Place(name, self._block.endpoints[index], self._directory / "nodes" / name, self._log(name))
                for index, name in enumerate(names)
            }
            protocols = {node.name: node.protocol for node in topology.nodes if self._messages}
            self._routes = {
                link: self._route(link, listen, protocols.get(link.target, ""))
                for link, listen in zip(links, self._block.endpoints[len(names) :], strict=True)
            }
            if links:
                log = self._log("anachron-proxy")
                self._proxies = await Proxies.start(self._directory, log)
                self._ledger.add("the proxy", self._proxies.child.pid)
                await self._proxies.open(self._routes.values())
        except BaseException:
            await self.close()
            raise

    def endpoint(self, node: str) -> Endpoint:
        """The node's own address, past the proxies."""
        return self._node(node).endpoint

    def via(self, link: Link) -> Endpoint:
        """Where ``link.source`` must connect to; the node itself for clients without proxies, and for nodes that need it so."""
        if link in self._routes:
            return self._routes[link].listen
        if link.source == CLIENT or self._direct:
            return self.endpoint(link.target)
        raise HarnessError(f"there is no link {link}", fix="the candidate's topology must name every link")

    async def start(self, server: Server) -> None:
        """Start a node; raises ``StartupError`` if it ends at once, with the end of its log."""
        await self._launch(self._node(server.node), server)

    async def kill(self, node: str) -> None:
        """Kill the node's process with SIGKILL and wait until it is gone."""
        child = self._node(node).child
        if child:
            await child.kill()

    async def restart(self, node: str, *, keep_data: bool) -> None:
        """Start a killed node again with the same arguments; without data if not ``keep_data``."""
        stopped = self._node(node)
        if stopped.server is None:
            raise HarnessError(f"{node} was never started")
        if not keep_data and not stopped.alive and stopped.data.exists():
            await asyncio.to_thread(shutil.rmtree, stopped.data)
        await self._launch(stopped, stopped.server)

    async def pause(self, node: str) -> None:
        """SIGSTOP; returns when every thread of the process stands still."""
        child = self._node(node).child
        if child:
            await child.pause()

    async def resume(self, node: str) -> None:
        """SIGCONT; returns when the process goes on."""
        child = self._node(node).child
        if child:
            await child.resume()

    async def state(self, node: str) -> str:
        """The state letter of the node's process, or an empty string if it is gone or was never started."""
        child = self._node(node).child
        return child.state if child else ""

    def incarnation(self, node: str) -> int:
        """How often the node's process has been started."""
        return self._node(node).incarnation

    def log_end(self, node: str, lines: int = 20) -> str:
        """The end of the node's log; empty if there is none."""
        return self._node(node).log_end(lines)

    async def cut(self, links: Sequence[Link], how: Cut = Cut.BLACK_HOLE, way: Way = Way.BOTH) -> None:
        """Cut the links until ``mend``; a refusal works both ways whatever ``way`` is: a reset ends a connection for both."""
        proxies = self._bend(links)
        if how is Cut.REFUSE:
            await proxies.refuse(links)
        else:
            await proxies.cut(links, way)

    async def delay(self, links: Sequence[Link], delay_ns: int, jitter_ns: int = 0) -> None:
        """Hold every byte back by ``delay_ns`` each way, give or take ``jitter_ns``; order is kept."""
        await self._bend(links).delay(links, delay_ns, jitter_ns)

    async def throttle(self, links: Sequence[Link], bytes_per_second: int) -> None:
        """Let at most so many bytes a second through, each way, over all connections of a link."""
        if bytes_per_second < 1:
            raise HarnessError(f"a link cannot be throttled to {bytes_per_second} bytes a second", fix="cut it instead")
        await self._bend(links).throttle(links, bytes_per_second)

    async def reset(self, links: Sequence[Link]) -> None:
        """Reset the connections that are open on the links, once."""
        await self._bend(links).reset(links)

    async def meddle(self, links: Sequence[Link], rule: MessageRule, way: Way = Way.BOTH) -> None:
        """Strike whole messages on the links by ``rule``; the links must have been opened with ``messages``."""
        proxies = self._bend(links)
        for link in links:
            if self._routes[link].protocol not in CONVERSATIONS:
                raise UnsupportedError(
                    f"messages on the link {link} cannot be told apart",
                    why="nobody followed them from the beginning",
                    fix=f"only the protocols {' and '.join(CONVERSATIONS)} are known, and only where messages were asked for",
                )
        await proxies.meddle(links, rule, way)

    async def meddled(self, links: Sequence[Link]) -> Mapping[Link, int]:
        """How many messages the rules on each of the links have struck so far."""
        counters = await self._bend(links).traffic()
        return {link: counters[str(link)].meddled for link in links}

    async def mend(self, links: Sequence[Link]) -> None:
        """Undo cut, delay, throttle and rules on the links; what was held arrives."""
        await self._bend(links).mend(links)

    async def traffic(self) -> Mapping[Link, Traffic]:
        """What went over each proxied link so far."""
        if self._proxies is None:
            return {}
        counters = await self._proxies.traffic()
        return {link: counters[str(link)] for link in self._routes}

    async def pulse(self) -> Sequence[tuple[int, int]]:
        """Windows in which the proxies stood still since the last pulse; raises ``HarnessError`` if they are gone or silent."""
        return await self._proxies.pulse() if self._proxies else ()

    async def close(self) -> None:
        """Stop all nodes and the proxies, give the addresses back. Logs and data stay."""
        running = [node.child for node in self._nodes.values() if node.child]
        if self._proxies:
            running.append(self._proxies.child)
            self._proxies.hang_up()
        try:
            failures = await asyncio.gather(*(child.stop(_STOPS_WITHIN_S) for child in running), return_exceptions=True)
        finally:  # even if we are interrupted
            for child in running:
                child.kill_now()
            for node in self._nodes.values():
                node.forget_secrets()
            self._proxies = None
            if self._block:
                self._block.close()
                self._block = None
            if self._ledger:
                self._ledger.close()
                self._ledger = None
        for failure in failures:
            if failure:
                raise failure

    async def _launch(self, node: Place, server: Server) -> None:
        if self._ledger is None:
            raise HarnessError(f"{node.name} cannot be started: the runtime is not open")
        if node.alive:
            raise HarnessError(f"{node.name} runs already", fix="kill it first")
        program = find_program(server.program)
        node.server = server
        await node.until_free()
        with _writing(node.log):
            node.data.mkdir(parents=True, exist_ok=True)
            with node.log.open("a") as log:
                log.write(f"--- start {node.incarnation + 1} of {node.name}: {program.path} {' '.join(server.args)}\n")
            for file in server.files:
                place = node.data / file.name
                if file.once and place.exists():
                    continue
                if file.secret:
                    self._ledger.add_secret(place)
                place.touch(mode=0o600)
                place.write_bytes(file.content)
        node.child = await children.spawn(
            node.name,
            (str(program.path), *server.args),
            directory=node.data,
            log=node.log,
            environment={**os.environ, **dict(server.environment)} if server.environment else None,
        )
        self._ledger.add(node.name, node.child.pid)
        node.incarnation += 1
        if await node.child.ended(_LIVES_FOR_S, unless=lambda: addresses.listening(node.endpoint)):
            raise StartupError(
                f"{node.name} did not start: {node.child.ending}",
                where=str(node.log),
                why=f"its log ends with\n{node.log_end(20)}",
            )

    def _route(self, link: Link, listen: Endpoint, protocol: str) -> Route:
        source = None if link.source == CLIENT else self.endpoint(link.source).host
        return Route(link, listen, self.endpoint(link.target), source, protocol)

    def _bend(self, links: Iterable[Link]) -> Proxies:
        """The proxies, if all ``links`` go through them."""
        for link in links:
            if link not in self._routes:
                if link.source == CLIENT:
                    why = self.refusal(Capability.CUT_CLIENTS)
                else:
                    why = self._direct or "the candidate's topology does not name it"
                raise UnsupportedError(f"the link {link} cannot be bent", why=why or "it does not go through a proxy")
        if self._proxies is None:
            raise HarnessError("links cannot be bent: the runtime is not open")
        return self._proxies

    def _node(self, name: str) -> Place:
        if name not in self._nodes:
            raise HarnessError(f'there is no node "{name}"', fix="the candidate's topology must name every node")
        return self._nodes[name]

    def _log(self, name: str) -> Path:
        return self._directory / "logs" / f"{name}.log"


@contextmanager
def _writing(where: Path) -> Iterator[None]:
    """Turn what the file system refuses into a ``StorageError``."""
    try:
        yield
    except OSError as error:
        raise StorageError("the run's directory cannot be written", where=str(where), why=str(error)) from error


def _platform_lacks() -> str | None:
    """What this system lacks for the runtime and how to get it; None on Linux."""
    if sys.platform != "linux":
        return (
            f"{platform.system()} has no addresses 127.x.y.z without set-up, no way to end nodes with a killed harness "
            "(PR_SET_PDEATHSIG) and no /proc; run it on Linux: in a container, a virtual machine or WSL 2"
        )
    if not procfs.state(os.getpid()):
        return "/proc is not mounted; mount it (mount -t proc proc /proc)"
    return None
