"""The ``compose`` runtime: the services of the user's own compose file, on networks of the run's own that the kernel bends.

    [candidate]
    kind = "compose"
    file = "docker-compose.yml"

    [run]
    runtime = "compose"

The file is not changed. What ``docker compose config`` (or ``docker-compose config``) says of it is started as a project of its
own, called after the run, so that several can go on side by side, and beside the user's own. In it, the file's networks are
blocks of 172.28.0.0/16 without a way out of the machine, volumes belong to the run and go with it, no port is published on the
machine, and nothing is built, pulled, or started again by anybody but the run. External networks and volumes, and directories of
the machine, are used as they are, and neither changed nor removed.

Links among nodes are cut, delayed and disturbed by the kernel; those of clients by proxies, with ``client_proxies = true``. A
pause freezes everything in a container. A dead host loses its networks in one moment, and comes back at its addresses; without
its data, it is made anew. What would have to be done inside a container is refused: its programs are the user's own. To kill the
server alone is among that: it is the first process there, and takes the container with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, StartupError, UnsupportedError
from harness.images.engine import ENGINE_ERRORS, find
from harness.runtimes.base import Capability, Endpoint, Limits, Server
from harness.runtimes.docker import composing, network
from harness.runtimes.docker.composing import Composer
from harness.runtimes.docker.engine import Engine
from harness.runtimes.docker.labels import RUN
from harness.runtimes.docker.on_engine import OnEngine, Places
from harness.runtimes.docker.project import Project
from harness.runtimes.docker.service import Service
from harness.runtimes.docker.service_log import ServiceLog
from harness.topology import Topology

_SERVICE, _NUMBER = "com.docker.compose.service", "com.docker.compose.container-number"
_FIRST_NODE = 100
"""Nodes' addresses are behind those that the engine gives to everybody else."""
_REFUSED: Mapping[Capability, str] = {
    Capability.KILL: 'the server is the first process of its container, which ends with it; set what = "host" in the fault',
    Capability.MESSAGES: "services reach each other by their names, and no proxy can stand between them",
    Capability.CLOCK: "the programs in the containers start as your file says, without a clock of ours",
    Capability.FILL_DISK: "the disks of the containers are those that your file names, and may be the machine's own",
    Capability.REPLACE: "the images are those that your file names",
}


class ComposeRuntime(OnEngine):
    """A ``Runtime`` whose nodes are the services of a compose file.

    Args:
        directory, client_proxies, messages: see ``OnEngine``.
        node_proxies: of no effect: see ``refusal``.
    """

    name = "compose"

    def __init__(
        self,
        directory: Path,
        *,
        client_proxies: bool = False,
        node_proxies: bool = False,  # noqa: ARG002
        messages: bool = False,
    ) -> None:
        super().__init__(directory, client_proxies=client_proxies, messages=messages)
        self._program: composing.Program | None = None
        self._composer: Composer | None = None
        self._project: Project | None = None
        self._text = ""
        self._images: dict[str, str] = {}
        self._services: dict[str, Service] = {}
        self._logs: list[ServiceLog] = []
        self._deaths: dict[str, asyncio.Task[None]] = {}

    def refusal(self, capability: Capability) -> str | None:
        """Why ``capability`` is not to be had here and how to get it; None if it is."""
        if capability in _REFUSED:
            return _REFUSED[capability]
        try:
            self._program = self._program or composing.find()
        except UnsupportedError as error:
            return f"{error.why}; {error.fix}"
        return super().refusal(capability)

    @staticmethod
    def describe() -> Mapping[str, str]:
        """What this machine offers the runtime, as facts for people."""
        try:
            return {"program": composing.find().version}
        except UnsupportedError as error:
            return {"program": f"{error.why}; {error.fix}"}

    def facts(self) -> Mapping[str, str]:
        """What the run was made on."""
        project = self._project
        kept = {"used as they are": "; ".join(project.kept)} if project and project.kept else {}
        by_image = {words: [name for name in self._images if self._images[name] == words] for words in self._images.values()}
        images = "; ".join(f"{', '.join(services)}: {words}" for words, services in by_image.items())
        return {
            **super().facts(),
            "compose file": Path(project.file).name if project else "none",
            "composed by": self._program.version if self._program else "nothing",
            "images": images,
            **kept,
        }

    async def _settle(self, topology: Topology, engine: Engine, own: Mapping[str, str]) -> Places:
        """Start all services of the file; the nodes among them have addresses of their own."""
        if not topology.deployment:
            raise UnsupportedError(
                "nothing says which compose file to start",
                why=f'the runtime "{self.name}" makes no nodes itself',
                fix='choose candidate.kind = "compose", which names one, or run.runtime = "docker"',
            )
        if self._program is None:
            self._program = await asyncio.to_thread(composing.find)
        file = Path(topology.deployment)
        composer = self._composer = Composer(self._program, file, f"anachron-{self._run}", self._log("anachron-compose"))
        project = self._project = Project.read(
            await composer.config(),
            str(file),
            [node.name for node in topology.nodes],
            profiles=os.environ.get("COMPOSE_PROFILES", "").split(","),
        )
        references = await self._found(project, engine)
        made: dict[str, network.Network] = {}
        for index, name in enumerate(project.networks):
            made[name] = await engine.ask("make a network", partial(network.make, engine.client, f"{self._run}-{index}", own))
        net = made[project.common]
        network.refuse_unreachable(net)
        addresses = {node.name: net.address(_FIRST_NODE + node.index) for node in topology.nodes}
        self._services = {
            node.name: Service(engine, node.name, Endpoint(addresses[node.name], node.port), self._log(node.name))
            for node in topology.nodes
        }
        self._text = project.for_run(
            labels=own,
            networks={key: value.name for key, value in made.items()},
            addresses=addresses,
            images=references,
        )
        self._opened.push_async_callback(self._end, engine)
        try:
            await composer.up(self._text)
        except StartupError:
            await self._adopt(engine)  # their logs say more
            raise
        await self._adopt(engine)
        return Places(addresses, net.gateway)

    def endpoint(self, node: str) -> Endpoint:
        """The node's own address."""
        return self._service(node).endpoint

    async def start(self, server: Server) -> None:
        """Nothing to do: ``open`` has started what the file describes."""

    async def kill(self, node: str) -> None:
        """Bring to its end what ``kill_host`` has begun; the server alone cannot be killed."""
        if not self._service(node).dark:
            self._refuse(Capability.KILL)
        await self._dead(node)
        await self._service(node).kill()

    async def kill_host(self, node: str) -> None:
        """The node's machine vanishes from its networks in one moment; what ran there ends as soon as the engine has done it.

        Returns when nothing is heard of it any more; whoever asks for its ``state`` waits for its end.
        """
        service = self._service(node)
        if not await self._wires.vanish(service.addresses):
            await service.darken()
            return
        service.dark = True
        self._deaths[node] = asyncio.create_task(self._die(service))

    async def restart(self, node: str, *, keep_data: bool) -> None:
        """Start an ended container again at its address; without ``keep_data`` it is made anew, with empty volumes."""
        service = self._service(node)
        if await self.state(node):
            raise HarnessError(f"{node} runs already", fix="kill its host first")
        if keep_data:
            await service.start()
            return
        engine, composer = self._running, self._composer
        if composer is None:
            raise HarnessError("the runtime is not open")
        await service.discard()
        await composer.up(self._text, node)
        for container in await self._containers(engine):
            if container["Labels"].get(_SERVICE) == node:
                await service.adopt(container["Id"])

    async def pause(self, node: str) -> None:
        """Freeze everything in the node's container."""
        await self._service(node).pause()

    async def resume(self, node: str) -> None:
        """Let a paused node go on."""
        await self._service(node).resume()

    async def state(self, node: str) -> str:
        """``S`` while the node's container runs, ``T`` while it is frozen, or an empty string if it has ended."""
        await self._dead(node)
        return await self._service(node).state()

    def incarnation(self, node: str) -> int:
        """How often the node's container has been started."""
        return self._service(node).incarnation

    def log_end(self, node: str, lines: int = 20) -> str:
        """The end of the node's log."""
        return self._service(node).log.end(lines)

    async def limit(self, node: str, limits: Limits) -> None:
        """Let the node use no more than ``limits``; without any, as much as the file lets it."""
        await self._service(node).limit(limits)

    async def limits(self, node: str) -> Limits:
        """What the node's control group says from within."""
        return await self._service(node).limits()

    async def room(self, node: str) -> int:  # noqa: ARG002
        """See ``Inspecting``: the disk may be the machine's own."""
        self._refuse(Capability.FILL_DISK)

    async def _die(self, service: Service) -> None:
        """End a container that nobody hears any more. Then it has no addresses, and somebody else may get them."""
        try:
            await service.kill()
        finally:
            await self._wires.appear(service.addresses)

    async def _dead(self, node: str) -> None:
        """Wait for the end of a death that is under way."""
        if node in self._deaths:
            await asyncio.shield(self._deaths[node])

    async def _adopt(self, engine: Engine) -> None:
        """Take what was started: nodes as such, of everybody else the log."""
        for container in await self._containers(engine):
            name, number = container["Labels"].get(_SERVICE, ""), container["Labels"].get(_NUMBER, "1")
            if name in self._services:
                await self._services[name].adopt(container["Id"])
                self._logs.append(self._services[name].log)
            elif name:
                log = ServiceLog(engine, self._log(name if number == "1" else f"{name}-{number}"))
                log.follow(container["Id"])
                self._logs.append(log)

    async def _containers(self, engine: Engine) -> list[dict[str, Any]]:
        """The containers of the run, the agent's among them."""
        api: Any = engine.client.api
        return await engine.ask("list the containers", lambda: api.containers(all=True, filters={"label": f"{RUN}={self._run}"}))

    async def _end(self, engine: Engine) -> None:
        """Kill all services and keep what they last wrote; they are removed after that."""
        await asyncio.gather(*self._deaths.values(), return_exceptions=True)
        api: Any = engine.client.api

        def kill(container: str) -> None:
            with contextlib.suppress(*ENGINE_ERRORS):  # it has ended already, or somebody has removed it
                api.kill(container)

        await asyncio.gather(
            *(asyncio.to_thread(kill, one["Id"]) for one in await self._containers(engine) if one["Labels"].get(_SERVICE))
        )
        await asyncio.gather(*(asyncio.to_thread(log.settle) for log in self._logs))

    async def _found(self, project: Project, engine: Engine) -> dict[str, str]:
        """The image of every service, as the engine calls it. Raises ``UnsupportedError`` if one is missing."""
        references = {}
        for service in project.services:
            for reference in _possible(project, service):
                found = await engine.ask(f"look at the image {reference}", partial(find, engine.client, reference))
                if found:
                    references[service] = reference
                    self._images[service] = f"{found.reference} ({found.digest})"
                    break
            else:
                raise _missing(project, service)
        return references

    def _service(self, node: str) -> Service:
        if node not in self._services:
            raise HarnessError(f'there is no node "{node}"', fix="the candidate's topology must name every node")
        return self._services[node]


def _possible(project: Project, service: str) -> Iterator[str]:
    """The names that the image of ``service`` may have: the one in the file, or those under which it would have been built."""
    named = project.image(service)
    if named:
        yield named
        return
    directory = os.environ.get("COMPOSE_PROJECT_NAME") or project.content.get("name") or Path(project.file).absolute().parent.name
    name = re.sub(r"[^-_a-z0-9]", "", directory.lower())
    yield f"{name}-{service}"
    yield f"{name}_{service}"


def _missing(project: Project, service: str) -> UnsupportedError:
    image = project.image(service)
    if project.services[service].get("build"):
        return UnsupportedError(
            f'the image of the service "{service}" has not been built',
            where=project.file,
            why="a run builds nothing",
            fix=f"`docker-compose -f {project.file} build {service}`, or with `docker compose`",
        )
    return UnsupportedError(
        f'the engine does not have the image "{image}" of the service "{service}"',
        where=project.file,
        why="a run fetches nothing",
        fix=f"`docker pull {image}`",
    )
