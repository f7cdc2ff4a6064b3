"""A node's container: the machine that a server runs on, with a disk, a clock and limits of its own.

The container outlives its servers. Killing and starting the server, stopping it, and all that happens to its disk and clock goes
over the console and takes milliseconds; only what concerns the machine itself (limits, its place on the network) is the engine's.

``/data`` is the server's working directory: memory that looks like a disk of a fixed size, so that it can be full. It lasts as
long as the container does. Therefore a machine that dies keeps its container: it loses its network, and then everything that runs
there. To its peers that is the same, in one moment: no reset, no refusal, silence.
"""

from __future__ import annotations

import asyncio
import base64
import io
import logging
import shlex
import tarfile
from collections.abc import Collection, Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker.types import EndpointConfig

from harness.errors import HarnessError, StartupError
from harness.runtimes import arrivals
from harness.runtimes.base import ClockSkew, Endpoint, File, Limits, Server
from harness.runtimes.docker import clock
from harness.runtimes.docker.console import Console, Reply, first_process
from harness.runtimes.docker.engine import Engine
from harness.runtimes.docker.network import Network

if TYPE_CHECKING:
    from docker.models.containers import Container

DISK_BYTES = 256 << 20
"""The size of a node's disk."""

_DATA = f"size={DISK_BYTES},mode=1777,exec"
_MOVING = "/anachron/moving"
_COMING = "coming"
_LARGE_BYTES = 16 << 10
_LIVES_FOR_S = 0.2
"""A node that neither ends nor listens within this time is taken for started."""
_SAID_WITHIN_S = 0.5
"""What a server that has ended wrote is here by then: it comes by another way than the reply that says so."""
_WITHIN_NS = 10_000_000_000
_STARTS_WITHIN_NS = 3 * _WITHIN_NS
_STOPS_WITHIN_S = 10
_CPU_PERIOD_US = 100_000
_NO_LIMIT_BYTES = 1 << 50
"""More than any machine has: the engine knows no word for taking a limit away."""
_LOG_END_BYTES = 64 << 10
_API = "1.41"
"""The version of the engine's interface that all of this was made for."""


def prefer_ryuk(present: Collection[str]) -> None:
    """Let testcontainers' own reaper watch over its containers, too, where the engine has the image of it."""
    from testcontainers.core.config import testcontainers_config  # noqa: PLC0415  # see ``NodeContainer._start``

    testcontainers_config.ryuk_disabled = testcontainers_config.ryuk_image not in present
    logging.getLogger("testcontainers").setLevel(logging.WARNING)


class NodeContainer:
    """One node's place, and its container once it has one.

    Args:
        engine: whose container it is.
        name: of the node, and of the container on the network.
        endpoint: where its server listens.
        network: of the run.
        labels: of the container.
        log: gets what the server writes, as it writes it.
    """

    def __init__(
        self, engine: Engine, name: str, *, endpoint: Endpoint, network: Network, labels: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.endpoint = endpoint
        self.log = log
        self.server: Server | None = None
        self.image = ""
        self.incarnation = 0
        self._engine = engine
        self._network = network
        self._labels = labels
        self._container: Container | None = None
        self._console: Console | None = None
        self._dark = False
        self._pages = 0
        self._has_shim = False

    @property
    def made(self) -> bool:
        """Whether there is a container."""
        return self._console is not None

    @property
    def lost(self) -> bool:
        """Whether there was a container and something has ended it."""
        return self._console is not None and self._console.gone

    async def make(self, image: str, shim: bytes | None) -> None:
        """Start the container, in which nothing runs yet. Raises ``HarnessError``.

        Args:
            image: to make it from.
            shim: the library that bends clocks, for this engine's processors; None if there is none.
        """
        self._container = await self._engine.ask(f"start the container of {self.name}", lambda: self._start(image, shim))
        self._console = await Console.attach(self._container, self.name, self._write)
        self.image = image
        self._has_shim = shim is not None
        await self._do(f"mkdir -p /anachron; : >{clock.PAGE}; {clock.script(clock.EMPTY)}", "be prepared")

    async def launch(self, server: Server) -> None:
        """Start a server; raises ``StartupError`` if it ends at once, with the end of its log."""
        self.server = server
        if await self.state():
            raise HarnessError(f"{self.name} runs already", fix="kill it first")
        if self._dark:
            await self._lighten()
        for file in server.files:
            await self._get(file)
        environment = dict(server.environment)
        if self._has_shim:
            environment["LD_PRELOAD"] = clock.SHIM
        words = shlex.join(("env", *(f"{name}={value}" for name, value in environment.items()), server.program, *server.args))
        self.incarnation += 1
        await asyncio.to_thread(
            self._write, f"--- start {self.incarnation} of {self.name}: {shlex.join((server.program, *server.args))}\n".encode()
        )
        begun = self.log.stat().st_size
        script = f"server_start {words}; server_settle {self.endpoint.port:04X} {int(_LIVES_FOR_S * 100)}"
        state = (await self._do(script, "start", within_ns=_STARTS_WITHIN_NS)).output
        if not state:
            status = (await self._do("echo $status", "tell its status")).output.strip()
            await self._said(begun)
            raise StartupError(
                f"{self.name} did not start: it ended with status {status}",
                where=str(self.log),
                why=f"its log ends with\n{self.log_end(20)}",
            )

    async def _get(self, file: File) -> None:
        """Write a file into the working directory; a large one comes by the engine, for a shell reads byte by byte."""
        script = _written(file)
        if len(file.content) > _LARGE_BYTES:
            await self._engine.ask(
                f"bring {file.name} to {self.name}", lambda: self._made.put_archive("/anachron", _packed(file))
            )
            script = _written(file, f"/anachron/{_COMING}")
        await self._do(script, f"get its file {file.name}")

    async def _said(self, before: int) -> None:
        """Wait a little for a log of ``before`` bytes to become longer."""
        for _ in range(int(_SAID_WITHIN_S * 100)):
            if self.log.stat().st_size > before:
                return
            await asyncio.sleep(0.01)

    async def state(self) -> str:
        """The state letter of the server's process; empty if it is gone."""
        return (await self._do("server_state", "tell its state")).output

    async def kill(self) -> None:
        """SIGKILL to the server and to all that it has started; returns when they are gone."""
        await self._do("server_kill", "die")

    async def pause(self) -> None:
        """SIGSTOP; returns when every thread stands still."""
        await self._do("server_pause", "stop")

    async def resume(self) -> None:
        """SIGCONT; returns when nothing stands still."""
        await self._do("server_resume", "go on")

    async def wipe(self) -> None:
        """Empty the disk."""
        await self._do("data_wipe", "lose its data")

    async def darken(self) -> None:
        """The machine dies: the engine takes it off the network in one moment, and then everything ends."""
        api: Any = self._engine.client.api
        await self._engine.ask(
            f"take {self.name} off the network",
            lambda: api.disconnect_container_from_network(self._made.id, self._network.name, force=True),
        )
        self._dark = True
        await self.kill()

    async def _lighten(self) -> None:
        """The machine is back, at its old address."""
        api: Any = self._engine.client.api
        await self._engine.ask(
            f"put {self.name} back on the network",
            lambda: api.connect_container_to_network(
                self._made.id, self._network.name, ipv4_address=self.endpoint.host, aliases=[self.name]
            ),
        )
        self._dark = False

    async def limit(self, limits: Limits) -> None:
        """Let the container use no more than this."""
        quota = -1 if limits.cpus is None else int(limits.cpus * _CPU_PERIOD_US)
        memory = _NO_LIMIT_BYTES if limits.memory_bytes is None else limits.memory_bytes
        await self._engine.ask(
            f"limit {self.name}",
            lambda: self._made.update(cpu_period=_CPU_PERIOD_US, cpu_quota=quota, mem_limit=memory, memswap_limit=memory),
        )

    async def limits(self) -> Limits:
        """What the control group of the container says, as the container itself sees it."""
        words = (await self._do("machine_limits", "tell its limits")).output.split()
        if len(words) != len(("quota", "period", "memory")):
            raise HarnessError(f"{self.name} does not tell its limits", why=f"its shell says {' '.join(words)!r}")
        quota, period, memory = (int(word) if word.isdecimal() else None for word in words)
        return Limits(
            cpus=None if quota is None or not period else quota / period,
            memory_bytes=None if memory is None or memory >= _NO_LIMIT_BYTES else memory,
        )

    async def room(self) -> int:
        """How many bytes are left on the disk."""
        return int((await self._do("data_room", "tell the room on its disk")).output) << 10

    async def fill(self) -> None:
        """Leave no room on the disk."""
        await self._do("data_fill", "fill its disk")

    async def free(self) -> None:
        """Give back what ``fill`` took."""
        await self._do("data_free", "free its disk")

    async def set_clock(self, skew: ClockSkew) -> None:
        """Bend the clocks of the server, and of those that are started after it."""
        self._pages += 1
        await self._do(clock.script(clock.content(skew, self._pages)), "take another clock")

    async def move(self, image: str, shim: bytes | None) -> None:
        """Stop the server in order and go on from another image: same address, same data, same server."""
        server = self.server
        if server is None:
            raise HarnessError(f"{self.name} was never started")
        await self._do(f"server_stop {_STOPS_WITHIN_S}", "stop", within_ns=2 * _STOPS_WITHIN_S * 1_000_000_000)
        await self._do(f"data_free; rm -rf {_MOVING}; cp -a /data {_MOVING}", "pack its data")
        data = await self._engine.ask(f"fetch the data of {self.name}", lambda: b"".join(self._made.get_archive(_MOVING)[0]))
        self.close()
        await self._engine.ask(f"remove the old container of {self.name}", lambda: self._made.remove(force=True, v=True))
        self._dark = False
        await self.make(image, shim)
        await self._engine.ask(f"bring the data of {self.name}", lambda: self._made.put_archive("/anachron", data))
        await self._do(f"cp -a {_MOVING}/. /data/ && rm -rf {_MOVING}", "unpack its data")
        await self.launch(server)

    def log_end(self, lines: int) -> str:
        """The end of the log; empty if there is none."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, io.SEEK_END) - _LOG_END_BYTES))
                text = log.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def close(self) -> None:
        """Let go of the container, which ends it; removing it is left to whoever sweeps the run."""
        if self._console:
            self._console.close()

    def _start(self, image: str, shim: bytes | None) -> Container:
        # Only now, for it takes a while: who does not use containers should not wait for it.
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415

        options = dict(first_process(files(__package__).joinpath("supervisor.sh").read_text()))
        place = EndpointConfig(_API, ipv4_address=self.endpoint.host, aliases=[self.name])
        wrapper = (
            DockerContainer(image)
            .with_name(f"{self._network.name}-{self.name}")
            .with_command(options.pop("command"))
            .with_tmpfs_mount("/data", _DATA)
            .with_kwargs(
                **options,
                user="0",
                hostname=self.name,
                labels=dict(self._labels),
                network=self._network.name,
                networking_config={self._network.name: place},
            )
        )
        if shim is not None:
            wrapper = wrapper.with_copy_into_container(shim, clock.SHIM)
        try:
            made = wrapper.start().get_container_id()
        finally:
            wrapper.get_docker_client().client.close()
        return self._engine.client.containers.get(made)

    async def _do(self, script: str, what: str, within_ns: int = _WITHIN_NS) -> Reply:
        """Carry out a script; raises ``HarnessError`` that says the node did not do ``what``."""
        if self._console is None:
            raise HarnessError(f"{self.name} cannot {what}: it was never started")
        reply = await self._console.call(script, within_ns)
        if reply.status:
            raise HarnessError(f"{self.name} did not {what}", why=reply.output.strip() or f"its shell says status {reply.status}")
        return reply

    def _write(self, output: bytes) -> None:
        arrivals.append(self.log, output)

    @property
    def _made(self) -> Container:
        if self._container is None:
            raise HarnessError(f"{self.name} has no container: it was never started")
        return self._container


def _written(file: File, source: str = "") -> str:
    """A script that writes a file into the working directory, from ``source`` if it is in the container already."""
    path = shlex.quote(f"/data/{file.name}")
    unless = f"[ -e {path} ] || " if file.once else ""
    place = f'{unless}{{ mkdir -p "$(dirname {path})" && '
    if source:
        return f"{place}cp {source} {path}; }}"
    return f"{place}base64 -d >{path}; }} <<'END'\n{base64.encodebytes(file.content).decode()}END"


def _packed(file: File) -> bytes:
    """An archive of the file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(_COMING)
        member.size, member.mode = len(file.content), 0o644
        archive.addfile(member, io.BytesIO(file.content))
    return buffer.getvalue()
