"""``command``: whatever the owner's own commands do to a deployment that runs already.

    [[faults]]
    kind = "command"
    targets = ["replica-1"]             # whom it concerns; it is given to the commands, one strike for each
    apply = "systemctl --host $ANACHRON_ADDRESS stop redis"
    prove = "! redis-cli -h $ANACHRON_HOST -p $ANACHRON_PORT ping"
    heal = "systemctl --host $ANACHRON_ADDRESS start redis"
    every = "5min"
    lasts = "30s"

Commands are run by ``sh -c`` on this machine, with the target in ``ANACHRON_NODE``, ``ANACHRON_ROLE``, ``ANACHRON_HOST``,
``ANACHRON_PORT`` and ``ANACHRON_ADDRESS`` (host:port).

**What it does to a cache.** Ask whoever wrote the command. It is how a deployment that Anachron did not start can be broken: a
security group that is changed, a service that is stopped, a chaos tool that is called.

**How it is proven.** ``prove`` ends with status 0 while the effect is there, and with another one while it is not: before the
strike, at its start, near its end and after the heal. It should ask the target, not the tool that was to strike it.

**What it is not.** Safe against ``kill -9`` of the harness: then nobody heals. ``anachron clean`` says which episodes of a killed
run were applied and not healed, with the command that heals them.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from pydantic import Field

from faults.base import Target, UnprovenError
from faults.nodes import names
from faults.targets import Names, nodes_of
from harness.candidates.base import Cluster
from harness.durations import format_duration
from harness.errors import HarnessError
from harness.plan import Duration, FaultSpec, Record
from harness.runtimes.base import Capability
from harness.topology import Node, Topology

_OUTPUT_BYTES = 300
_AGAIN_S = 0.1


class CommandOptions(Record):
    """Options of ``command``."""

    targets: Names
    apply: str = Field(min_length=1)
    prove: str = Field(min_length=1)
    heal: str = Field(min_length=1)
    within: Duration = 2_000_000_000
    """How long one command may take."""


class Command:
    """Runs the owner's commands."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(CommandOptions)
        self.needs: frozenset[Capability] = frozenset()
        if spec.lasts < 3 * self.options.within:
            raise spec.error(
                f"an episode of {format_duration(spec.lasts)} is too short for commands that may take "
                f"{format_duration(self.options.within)} each",
                key="lasts",
                why="the effect is proven at its start and again near its end",
                fix=f"let it last {format_duration(3 * self.options.within)} or longer, or give the commands less time: within",
            )

    def targets(self, topology: Topology) -> tuple[Node, ...]:
        """The nodes that it may strike."""
        return nodes_of(self.spec, topology, self.options.targets)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> CommandStrike:
        """One run of the commands for some of them."""
        return CommandStrike(cluster, [t for t in targets if isinstance(t, Node)], self.options)


class Ending(NamedTuple):
    """How a command ended: its status, and the end of what it said."""

    status: int
    said: str

    def __str__(self) -> str:
        return f"status {self.status}" + (f" ({self.said})" if self.said else "")


class CommandStrike:
    """One strike; see ``faults.base.Strike``."""

    means = "the owner's commands"

    def __init__(self, cluster: Cluster, nodes: Sequence[Node], options: CommandOptions) -> None:
        self.proof_ns = options.within
        self._cluster = cluster
        self._nodes = nodes
        self._options = options
        self._begun: list[Node] = []

    async def arm(self, within_ns: int) -> tuple[str, ...]:
        """The proof fails while nothing is wrong."""
        for ending in await self._all(self._options.prove, self._nodes, min(within_ns, self._options.within)):
            if ending.status == 0:
                raise UnprovenError("the command that proves the effect succeeds before there is one, so it proves nothing")
        return (f"before the strike nothing was to be seen at {names(self._nodes)}",)

    async def apply(self) -> None:
        """Run ``apply`` for each target. Raises ``HarnessError`` if it fails."""
        self._begun += self._nodes
        await self._succeed(self._options.apply, self._nodes)

    async def prove(self) -> tuple[str, ...]:
        """The proof succeeds for every target."""
        endings = await self._all(self._options.prove, self._nodes, self._options.within)
        for node, ending in zip(self._nodes, endings, strict=True):
            if ending.status:
                raise UnprovenError(f"the strike did not bite: the command that proves it on {node.name} ended with {ending}")
        said = "; ".join(ending.said for ending in endings if ending.said)
        return (f"the owner's proof succeeded on {names(self._nodes)}" + (f": {said}" if said else ""),)

    async def heal(self) -> None:
        """Run ``heal`` for each target that was struck. Raises ``HarnessError`` if it fails."""
        if self._begun:
            await self._succeed(self._options.heal, self._begun)
            self._begun = []

    async def confirm(self, within_ns: int) -> tuple[str, ...]:
        """The proof fails again."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + within_ns / 1e9
        while True:
            endings = await self._all(self._options.prove, self._nodes, self._options.within)
            if all(ending.status for ending in endings):
                return (f"the effect was gone from {names(self._nodes)}",)
            if loop.time() > give_up:
                return (f"the effect was still to be seen {format_duration(within_ns)} after the heal",)
            await asyncio.sleep(_AGAIN_S)

    async def close(self) -> None:
        """Nothing is kept."""

    async def _succeed(self, command: str, nodes: Sequence[Node]) -> None:
        for node, ending in zip(nodes, await self._all(command, nodes, self._options.within), strict=True):
            if ending.status:
                raise HarnessError(f"the command for {node.name} ended with {ending}", where=command)

    async def _all(self, command: str, nodes: Sequence[Node], within_ns: int) -> list[Ending]:
        return list(await asyncio.gather(*(self._run(command, node, within_ns) for node in nodes)))

    async def _run(self, command: str, node: Node, within_ns: int) -> Ending:
        """Run ``command`` for ``node``; what it leaves running after its time is killed."""
        host, port = self._cluster.runtime.endpoint(node.name)
        about = {"NODE": node.name, "ROLE": node.role, "HOST": host, "PORT": str(port), "ADDRESS": f"{host}:{port}"}
        process = await asyncio.create_subprocess_exec(
            "sh",
            "-c",
            command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=os.environ | {f"ANACHRON_{key}": value for key, value in about.items()},
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(within_ns / 1e9):
                output, _ = await process.communicate()
        except TimeoutError:
            return Ending(-1, f"it took longer than {format_duration(within_ns)}")
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        said = " ".join(output[-_OUTPUT_BYTES:].decode(errors="replace").split())
        return Ending(process.returncode or 0, said)
