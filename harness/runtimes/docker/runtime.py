"""The ``docker`` runtime: nodes are containers on a network of the run's own, and the kernel bends what goes over it.

Each node has an address of its own, at which clients and the other nodes reach it directly, and a log::

    RUN/logs/<node>.log     RUN/processes.jsonl

It needs a user that may use the engine, and no root. Nothing outlives the harness: a node's shell ends with its attachment (see
``console``), a watchdog removes what is left (see ``watchdog``), and ``labels`` finds what slips through both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.images.catalogue import choose
from harness.images.engine import find
from harness.runtimes.base import Capability, ClockSkew, Endpoint, Limits, Server
from harness.runtimes.docker import clock, network
from harness.runtimes.docker.container import NodeContainer, prefer_ryuk
from harness.runtimes.docker.engine import Engine
from harness.runtimes.docker.on_engine import OnEngine, Places
from harness.topology import Topology


class DockerRuntime(OnEngine):
    """A ``Runtime`` whose nodes are containers of our own making.

    A server that is killed leaves its machine behind, with its network and its disk; ``kill_host`` takes the machine.

    Args:
        directory, client_proxies, node_proxies, messages: see ``OnEngine``.
    """

    name = "docker"

    def __init__(
        self, directory: Path, *, client_proxies: bool = False, node_proxies: bool = False, messages: bool = False
    ) -> None:
        super().__init__(directory, client_proxies=client_proxies, node_proxies=node_proxies, messages=messages)
        self._network: network.Network | None = None
        self._nodes: dict[str, NodeContainer] = {}
        self._found: dict[str, str] = {}
        self._shim: asyncio.Task[bytes | None] | None = None

    def facts(self) -> Mapping[str, str]:
        """What the run was made on, known once the nodes have started."""
        by_image = {
            words: ", ".join(name for name, node in self._nodes.items() if node.image == image)
            for image, words in self._found.items()
        }
        images = "; ".join(f"{nodes}: {words}" for words, nodes in by_image.items() if nodes)
        block = {"network": f"{self._network.block}, internal"} if self._network else {}
        return {**super().facts(), "images": images, **block}

    async def _settle(self, topology: Topology, engine: Engine, own: Mapping[str, str]) -> Places:
        """Make the network and give every node an address; starts no node."""
        prefer_ryuk(self._survey.present)
        if self._survey.agent:
            self._shim = asyncio.create_task(clock.fetch(engine, self._survey.agent, own))
        net = await engine.ask("make a network", lambda: network.make(engine.client, self._run, own))
        network.refuse_unreachable(net)
        self._network = net
        self._nodes = {
            node.name: NodeContainer(
                engine,
                node.name,
                endpoint=Endpoint(net.address(node.index), node.port),
                network=net,
                labels=own,
                log=self._log(node.name),
            )
            for node in topology.nodes
        }
        self._opened.callback(self._let_go)
        return Places({name: node.endpoint.host for name, node in self._nodes.items()}, net.gateway)

    def endpoint(self, node: str) -> Endpoint:
        """The node's own address: where it listens."""
        return self._node(node).endpoint

    async def prepare(self, servers: Sequence[Server]) -> None:
        """Start the containers of these servers, those that have none, side by side; starts no server."""
        shim = await self._shim if self._shim else None
        missing = [server for server in servers if not self._node(server.node).made]
        images = {server.node: await self._image(server.program, server.image) for server in missing}
        await asyncio.gather(*(self._node(node).make(image, shim) for node, image in images.items()))

    async def start(self, server: Server) -> None:
        """Start a node: its container, if it has none, and the server in it. Raises ``StartupError`` and ``UnsupportedError``."""
        await self.prepare([server])
        await self._node(server.node).launch(server)

    async def kill(self, node: str) -> None:
        """Kill everything that runs in the node's container with SIGKILL, and wait until it is gone."""
        await self._node(node).kill()

    async def restart(self, node: str, *, keep_data: bool) -> None:
        """Start a killed node again with the same arguments; without data if not ``keep_data``. Its machine comes back first."""
        stopped = self._node(node)
        if stopped.server is None:
            raise HarnessError(f"{node} was never started")
        if not keep_data and not await stopped.state():
            await stopped.wipe()
        await self._wires.appear([stopped.endpoint.host])
        await stopped.launch(stopped.server)

    async def pause(self, node: str) -> None:
        """SIGSTOP; returns when every thread of the node's processes stands still."""
        await self._node(node).pause()

    async def resume(self, node: str) -> None:
        """SIGCONT; returns when the processes go on."""
        await self._node(node).resume()

    async def state(self, node: str) -> str:
        """The state letter of the server's process, or an empty string if it is gone or was never started."""
        asked = self._node(node)
        try:
            return await asked.state() if asked.made else ""
        except HarnessError:
            if asked.lost:
                return ""  # the next pulse tells more
            raise

    def incarnation(self, node: str) -> int:
        """How often the node's server has been started."""
        return self._node(node).incarnation

    def log_end(self, node: str, lines: int = 20) -> str:
        """The end of the node's log; empty if there is none."""
        return self._node(node).log_end(lines)

    async def kill_host(self, node: str) -> None:
        """The node's machine vanishes from the network in one moment; then what ran there ends. Its disk stays.

        Its peers hear nothing: what they send is not acknowledged, and connections hang. After some seconds in which nobody
        answers for the address, new ones fail with "no route to host": within 3 s from another container, later from here.
        """
        dead = self._node(node)
        await (dead.kill() if await self._wires.vanish([dead.endpoint.host]) else dead.darken())

    async def limit(self, node: str, limits: Limits) -> None:
        """Let the node use no more than ``limits``; without any, as much as there is."""
        await self._node(node).limit(limits)

    async def limits(self, node: str) -> Limits:
        """What the node's control group says from within."""
        return await self._node(node).limits()

    async def room(self, node: str) -> int:
        """How many bytes are left on the node's disk."""
        return await self._node(node).room()

    async def fill_disk(self, node: str) -> None:
        """Leave no room where the node keeps its data."""
        await self._node(node).fill()

    async def free_disk(self, node: str) -> None:
        """Give back what ``fill_disk`` took."""
        await self._node(node).free()

    async def set_clock(self, node: str, skew: ClockSkew) -> None:
        """Bend the clocks of the node's server, from its next look at them on."""
        if self._shim is None or await self._shim is None:
            self._refuse(Capability.CLOCK)
        await self._node(node).set_clock(skew)

    async def replace(self, node: str, image: str) -> None:
        """Stop the node in order and start the same server from another image, with its data and its address."""
        old = self._node(node)
        await self._wires.appear([old.endpoint.host])
        program = old.server.program if old.server else ""
        await old.move(await self._image(program, image), await self._shim if self._shim else None)

    async def pulse(self) -> Sequence[tuple[int, int]]:
        """Windows in which the proxies stood still; raises ``HarnessError`` if a container or the network's means are gone."""
        for name, node in self._nodes.items():
            if node.lost:
                raise HarnessError(f"the container of {name} has ended", why="somebody removed it, or the engine is gone")
        return await super().pulse()

    async def _image(self, program: str, wanted: str) -> str:
        """The image for a server; its digest is looked up once."""
        engine, image = self._running, choose(program, wanted, self._survey.present)
        if image not in self._found:
            found = await engine.ask(f"look at the image {image}", lambda: find(engine.client, image))
            self._found[image] = f"{found.reference} ({found.digest})" if found else image
        return image

    def _let_go(self) -> None:
        for node in self._nodes.values():
            node.close()

    def _node(self, name: str) -> NodeContainer:
        if name not in self._nodes:
            raise HarnessError(f'there is no node "{name}"', fix="the candidate's topology must name every node")
        return self._nodes[name]
