"""What faults have in common that administrators make by a command: nodes that speak RESP, told and watched one by one."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from faults.base import Target
from faults.marks import window
from faults.nodes import NodeOptions
from faults.patience import soon
from faults.targets import nodes_of
from harness.candidates.abilities import Administered
from harness.candidates.asking import UnusableAnswerError
from harness.candidates.base import Cluster
from harness.candidates.redis_admin import Admin
from harness.errors import UnsupportedError
from harness.plan import FaultSpec
from harness.runtimes.base import Capability
from harness.topology import Node, Topology

RESP = "resp"


class AdminFault:
    """The part of such a fault that the plan knows: its targets all speak RESP, and no runtime has to help."""

    needs: frozenset[Capability] = frozenset()
    spec: FaultSpec
    options: NodeOptions

    def targets(self, topology: Topology) -> tuple[Node, ...]:
        """The nodes that it may strike; raises ``PlanError`` for one that speaks another protocol."""
        nodes = nodes_of(self.spec, topology, self.options.targets)
        for node in nodes:
            if node.protocol != RESP:
                raise self.spec.error(
                    f'"{self.spec.kind}" cannot strike {node.name}',
                    key="targets",
                    why=f"it is done by a command of Redis and Valkey, and {node.name} speaks {node.protocol}",
                    fix="name only nodes that speak RESP",
                )
        return nodes


class AdminStrike:
    """One episode; see ``faults.base.Strike``. A kind adds what a node is told and what it then shows.

    A command that fails ends the step: the episode is unproven, and the nodes that were told are told to forget it.
    """

    means = "command"

    def __init__(self, cluster: Cluster, targets: Sequence[Target], lasts_ns: int) -> None:
        self.proof_ns = window(lasts_ns)
        self._nodes = [target for target in targets if isinstance(target, Node)]
        self._admins = {node: administered(cluster, node) for node in self._nodes}
        self._told: list[Node] = []

    @abstractmethod
    async def look(self, node: Node, admin: Admin) -> str:
        """How ``node`` is before; raises ``UnprovenError`` while there is nothing that the fault could change."""

    @abstractmethod
    async def tell(self, node: Node, admin: Admin) -> None:
        """Tell it."""

    @abstractmethod
    async def see(self, node: Node, admin: Admin) -> str:
        """What it did to ``node``; raises ``UnprovenError`` if that is nothing."""

    async def untell(self, node: Node, admin: Admin) -> None:
        """Tell it to forget; a kind whose effect ends by itself has nothing to say."""

    async def regard(self, node: Node, admin: Admin) -> str:
        """How ``node`` is after healing."""
        await admin.call("PING")
        return f"{node.name} answers"

    async def arm(self, within_ns: int) -> tuple[str, ...]:
        """See what there is to change, tried again for ``within_ns``."""
        return await self._each(lambda node, admin: soon(lambda: self.look(node, admin), within_ns))

    async def apply(self) -> None:
        """Tell all of them, one after the other."""
        for node, admin in self._admins.items():
            self._told.append(node)
            await self.tell(node, admin)

    async def prove(self) -> tuple[str, ...]:
        """See the effect at each of them."""
        return await self._each(self.see)

    async def heal(self) -> None:
        """Tell those to forget that were told."""
        while self._told:
            await self.untell(self._told[-1], self._admins[self._told[-1]])
            self._told.pop()

    async def confirm(self, within_ns: int) -> tuple[str, ...]:
        """See how each of them is."""
        return await self._each(lambda node, admin: soon(lambda: self.regard(node, admin), within_ns))

    async def close(self) -> None:
        """Close the connections."""
        for admin in self._admins.values():
            admin.close()

    async def _each(self, step: Callable[[Node, Admin], Awaitable[str]]) -> tuple[str, ...]:
        """The sentences of all nodes; the first failure once all have ended."""
        results = await asyncio.gather(*(step(node, admin) for node, admin in self._admins.items()), return_exceptions=True)
        sentences = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            sentences.append(result)
        return tuple(sentences)


def administered(cluster: Cluster, node: Node) -> Admin:
    """A connection for commands to ``node``; raises ``UnsupportedError`` if the candidate gives none."""
    if not isinstance(cluster.candidate, Administered):
        raise UnsupportedError(f"this candidate lets nobody give commands to {node.name}", fix="take the fault out of the plan")
    return cluster.candidate.admin(node.name)


async def number(admin: Admin, *words: str) -> int:
    """The whole number that a command answers with; raises ``OSError`` for anything else."""
    reply = await admin.call(*words)
    if not isinstance(reply, int):
        raise UnusableAnswerError(f"{words[0]} was answered with {reply!r:.80}")
    return reply


async def setting(admin: Admin, name: str) -> str:
    """A setting of the server, as CONFIG GET tells it; raises ``OSError``."""
    reply = await admin.call("CONFIG", "GET", name)
    match reply:
        case [str(), str(value)]:
            return value
    raise UnusableAnswerError(f"CONFIG GET {name} was answered with {reply!r:.80}")


async def counted(admin: Admin, section: str, field: str) -> int:
    """A counter of INFO; one that is not there yet stands at zero. Its line may hold several: ``calls=3,usec=17``."""
    text = (await admin.info(section)).get(field, "0")
    first = text.split(",")[0].rpartition("=")[2]
    return int(first) if first.isdecimal() else 0


async def client_ids(admin: Admin, kind: str) -> frozenset[str]:
    """Which connections of a type the server has, without the one that asks; raises ``OSError``."""
    own: Any = await admin.call("CLIENT", "ID")
    text = await admin.call("CLIENT", "LIST", "TYPE", kind)
    if not isinstance(text, str):
        raise UnusableAnswerError(f"CLIENT LIST was answered with {text!r:.80}")
    fields = (line.split() for line in text.splitlines())
    ids = {word.removeprefix("id=") for words in fields for word in words if word.startswith("id=")}
    return frozenset(ids - {str(own)})
