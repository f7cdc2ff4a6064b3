"""The one container that bends a run's network: it shares the host's network, and has no other right than to configure it.

Its first process is a shell that obeys within milliseconds (see ``console``); beside it runs the program that the kernel asks
about packets (see ``queueing``). The harness's user needs no right but that to use the engine.

Whatever ends the harness ends the shell, too, which takes the rules with it: a network heals by itself. Only who kills the agent
itself leaves rules behind; ``clean`` or the next agent removes those (see ``sweeping``).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, Self

from docker import DockerClient
from docker.models.containers import Container

from harness.errors import HarnessError, UnsupportedError
from harness.runtimes.docker.console import Console
from harness.runtimes.kernel import connections, rules
from harness.runtimes.kernel.bends import Bends, Pair
from harness.runtimes.kernel.connections import Connection
from harness.runtimes.kernel.container import ask, launch, nft, remove, start_queueing
from harness.runtimes.kernel.means import Means, found
from harness.runtimes.kernel.sweeping import sweep_with

IMAGE = "anachron/agent:latest"

_STARTS_WITHIN_NS = 20_000_000_000
_TOLD_WITHIN_NS = 1_000_000_000
_PROVOKE_EVERY_NS = 100_000_000
_LOOK_EVERY_S = 0.005


class Counts(NamedTuple):
    """Packets that the queue program has seen, lost, doubled and made late so far, and those that it holds at this moment."""

    seen: int
    lost: int
    doubled: int
    late: int
    held: int


class Agent:
    """The agent of one run, from ``start`` to ``close``.

    Attributes:
        means: what it can do on this kernel.
    """

    def __init__(self, table: str, container: Container, console: Console) -> None:
        self.means = Means()
        self._table = table
        self._container = container
        self._console = console
        self._bends: Bends = {}
        self._changes = asyncio.Lock()

    @classmethod
    async def start(
        cls,
        client: DockerClient,
        *,
        run: str,
        labels: Mapping[str, str],
        image: str = IMAGE,
        output: Callable[[bytes], object] = lambda _: None,
    ) -> Self:
        """Start an agent container; it bends nothing yet. Takes about half a second.

        Args:
            client: of the engine whose containers are to be bent.
            run: the run's identity; its tables are called after it.
            labels: of the container.
            image: of the agent.
            output: gets what goes wrong in the container's programs, in a thread of its own.
        """
        table = rules.table(run)
        container, console = await launch(client, image, table=table, labels=labels, output=output)
        agent = cls(table, container, console)
        try:
            await agent._prepare(client)
        except BaseException:
            await agent.close()
            raise
        return agent

    async def apply(self, bends: Bends, vanished: Collection[str] = ()) -> None:
        """Make ``bends`` the state of the whole network, at once, for open connections, too.

        Addresses that have ``vanished`` hear nothing and are not heard, by nobody: as if their machines were gone.
        Raises ``UnsupportedError`` if this kernel cannot do one of them, and then changes nothing.
        """
        lacks = self.means.lacks(bends)
        if lacks:
            raise UnsupportedError("the network cannot be bent so", why=lacks)
        async with self._changes:
            newly_refused = _refused(bends) - _refused(self._bends)
            script = nft(rules.fill(self._table, bends, vanished))
            if rules.treatments(bends) or rules.treatments(self._bends):
                treatments = {**rules.treatments(bends), **rules.losses(bends)}
                script = f"{ask(f'bends {_listed(treatments)}')} && {script}"
            await self._call(script)
            self._bends = dict(bends)
            if newly_refused:
                await self._provoke(_ends(await self._established(newly_refused)))

    async def reset(self, pairs: Collection[Pair]) -> int:
        """Reset the connections between these addresses that are established now, both ends; new ones are let be.

        Returns how many connections that were. One that lies on a cut link is let be: no reset could get there.
        """
        async with self._changes:
            cut = {pair for pair, bend in self._bends.items() if bend.cut}
            targets = await self._established([pair for pair in pairs if not {pair, pair[::-1]} & cut])
            if not targets:
                return 0
            await self._call(nft(rules.start_resets(self._table, targets)))
            try:
                await self._until_told(_ends(targets))
            finally:
                await self._call(nft(rules.stop_resets(self._table)))
            return len(targets)

    async def check(self) -> None:
        """Raise ``HarnessError`` if the agent can no longer do its part."""
        await self._call(":" if self.means.no_queue else ask("counts"))

    async def counts(self) -> Counts:
        """What the queue program has done so far."""
        if self.means.no_queue:
            return Counts(0, 0, 0, 0, 0)
        return Counts(*map(int, (await self._call(ask("counts"))).split()))

    async def close(self) -> None:
        """Heal everything and remove the agent; safe to call twice."""
        with contextlib.suppress(HarnessError):  # a shell that is gone has healed the network, or cannot any more
            if not self._console.gone:
                await self._console.call("heal")
        self._console.close()
        await remove(self._container)

    async def _prepare(self, client: DockerClient) -> None:
        for family in rules.FAMILIES:
            reply = await self._console.call(nft(rules.set_up(self._table, family)))
            if reply.status:
                raise UnsupportedError(
                    "network faults cannot be made here",
                    why=f"the kernel of the engine's machine has no nftables for family {family}: {reply.output.strip()}",
                    fix="load it there: modprobe nf_tables",
                )
        await sweep_with(self._console, client)
        bridged = await self._console.call("cat /proc/sys/net/bridge/bridge-nf-call-iptables")
        queue = await self._console.call(start_queueing(self._table), within_ns=_STARTS_WITHIN_NS)
        listing = await self._console.call(connections.LIST)
        self.means = found(bridged=bridged.output, queue=queue.output, listing=listing.output if listing.status else "")

    async def _until_told(self, missing: set[Connection]) -> None:
        """Wait until all these ends were sent a reset. One that is gone already never will be, so there is a limit."""
        begin_ns = time.monotonic_ns()
        provoked_ns = 0
        while missing and time.monotonic_ns() - begin_ns < _TOLD_WITHIN_NS:
            if time.monotonic_ns() - provoked_ns > _PROVOKE_EVERY_NS:
                await self._provoke(missing)
                provoked_ns = time.monotonic_ns()
            else:
                await asyncio.sleep(_LOOK_EVERY_S)
            missing -= connections.told(await self._call(f"nft list set ip {self._table} told"))

    async def _established(self, pairs: Collection[Pair]) -> frozenset[Connection]:
        if self.means.no_listing:
            return frozenset()
        return connections.among(await self._call(connections.LIST), pairs)

    async def _provoke(self, ends: Collection[Connection]) -> None:
        """Make these ends of idle connections say something, so that the rules can answer with a reset."""
        if ends and not self.means.no_queue:
            await self._call(ask(f"provoke {';'.join(map(str, ends))}"))

    async def _call(self, script: str) -> str:
        reply = await self._console.call(script)
        if reply.status:
            raise HarnessError(
                "the agent that makes network faults failed",
                why=reply.output.strip() or "its program for packets has ended",
                fix="see its log; from then on, what clients saw may not be the candidate's doing",
            )
        return reply.output


def _ends(found: Collection[Connection]) -> set[Connection]:
    return {end for connection in found for end in (connection, connection.reverse)}


def _listed(treatments: Mapping[Pair, object]) -> str:
    return ";".join(f"{source} {target} {treatment}" for (source, target), treatment in treatments.items())


def _refused(bends: Bends) -> frozenset[Pair]:
    return frozenset(pair for pair, bend in bends.items() if bend.refuse)
