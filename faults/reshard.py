"""``reshard``: slots and their keys move from one primary of a cluster to another, one after the other, while clients go on.

    [[faults]]
    kind = "reshard"
    targets = ["primaries"]             # whose slots move away: nodes or roles; all primaries if it is not given
    slots = 100                         # how many an episode
    every = "20s"
    lasts = "5s"

**What it does to a cache.** What growing or shrinking a cluster does. While a slot moves, its keys are in two places, some here,
some there, and clients are sent on: for one key by ``ASK``, for the whole slot by ``MOVED`` once it is over. Nothing of this may
fail an operation, lose a write or show an older value; a client that takes ``ASK`` for ``MOVED``, or a replica that is read while
its primary imports, does show it.

**How it is proven.** The new owner says that it owns slots that the old one owned before, at the start at least one, near the end
more. Their keys are counted as they go.

**What it is not.** A fail-over: nobody dies, and who is a primary stays one. A slot that is on its way when the episode ends is
handed over to the end; those that have moved stay where they are, and the next episode takes from whoever has most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from pydantic import Field

from faults.base import Target, UnprovenError
from faults.marks import window
from faults.targets import Names, nodes_of
from harness.candidates.abilities import Sharded
from harness.candidates.base import Cluster
from harness.plan import FaultSpec, Record
from harness.runtimes.base import Capability
from harness.topology import Node, Topology

PRIMARY = "primary"
_AGAIN_S = 0.01

Owners = Mapping[str, tuple[tuple[int, int], ...]]
"""The ranges of slots that each node owns."""


class ReshardOptions(Record):
    """Options of ``reshard``."""

    targets: Names = ("primaries",)
    slots: int = Field(default=100, ge=1, le=5_000)


class Reshard:
    """Moves slots between primaries."""

    needs: frozenset[Capability] = frozenset()

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(ReshardOptions)

    def targets(self, topology: Topology) -> tuple[Node, ...]:
        """The nodes whose slots may move; raises ``PlanError`` for a topology in which nobody else could take them."""
        if sum(node.role == PRIMARY for node in topology.nodes) < 2:  # noqa: PLR2004 - one gives, one takes
            raise self.spec.error(
                '"reshard" needs two primaries, between which slots can move',
                fix='give the plan a candidate of the kind "redis-cluster", or take the fault out of it',
            )
        return nodes_of(self.spec, topology, self.options.targets)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> ReshardStrike:
        """The move of some slots of one of them."""
        wanted = [target.name for target in targets if isinstance(target, Node)]
        return ReshardStrike(cluster, wanted, self.options.slots, self.spec.lasts)


class ReshardStrike:
    """One move; see ``faults.base.Strike``."""

    means = "command"

    def __init__(self, cluster: Cluster, wanted: Sequence[str], slots: int, lasts_ns: int) -> None:
        self.proof_ns = window(lasts_ns)
        self._candidate = cluster.candidate
        self._wanted = wanted
        self._gap_s = lasts_ns / 1e9 / slots
        self._count = slots
        self._source = self._target = ""
        self._left: list[int] = []
        self._moved: list[int] = []
        self._keys = 0
        self._seen = 0
        self._moving: asyncio.Task[None] | None = None
        self._over = asyncio.Event()

    async def arm(self, within_ns: int) -> tuple[str, ...]:  # noqa: ARG002 - one look is enough
        """Choose who gives and who takes."""
        owners = await self._sharded.owners()
        sizes = {name: sum(last - first + 1 for first, last in ranges) for name, ranges in owners.items()}
        giving = [name for name in self._wanted if sizes.get(name, 0) > self._count] or [max(sizes, key=sizes.__getitem__)]
        self._source = giving[0]
        others = {name: size for name, size in sizes.items() if name != self._source}
        if not others:
            raise UnprovenError("only one node owns slots, and nobody is there to take them")
        self._target = min(others, key=others.__getitem__)
        self._left = [slot for slot, _ in zip(_slots(owners[self._source]), range(self._count), strict=False)]
        return (f"{self._source} owns {sizes[self._source]} slots, {self._target} owns {others[self._target]}",)

    async def apply(self) -> None:
        """Begin to move them."""
        if self._left:
            self._moving = asyncio.create_task(self._move())

    async def _move(self) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for number, slot in enumerate(tuple(self._left)):
            if self._over.is_set():
                return
            self._keys += await self._sharded.move(slot, self._source, self._target)
            self._left.remove(slot)
            self._moved.append(slot)
            pause = begin + (number + 1) * self._gap_s - loop.time()
            if pause > 0:
                await asyncio.sleep(pause)

    async def prove(self) -> tuple[str, ...]:
        """More slots than before have another owner."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self.proof_ns / 1e9
        while (here := await self._arrived()) <= self._seen and (self._left or not here):
            self._raise_failure()
            if loop.time() > give_up:
                raise UnprovenError(f"no slot of {self._source} has moved to {self._target}")
            await asyncio.sleep(_AGAIN_S)
        self._seen = here
        return (f"{here} slots with {self._keys} keys have moved from {self._source} to {self._target}",)

    async def heal(self) -> None:
        """Hand over the slot that is on its way, and begin no other."""
        self._over.set()
        moving, self._moving = self._moving, None
        if moving is None:
            return
        try:
            await moving
        except OSError:
            # One may be open, its keys in two places: from here on it is done again until it is through.
            self._moving = moving
            await self._sharded.move(self._left[0], self._source, self._target)
            self._moving = None

    async def confirm(self, within_ns: int) -> tuple[str, ...]:  # noqa: ARG002 - one look is enough
        """What has moved belongs to its new owner."""
        here = await self._arrived()
        if here < len(self._moved):
            raise UnprovenError(f"only {here} of {len(self._moved)} moved slots belong to {self._target}")
        return (f"{here} slots with {self._keys} keys belong to {self._target}",)

    async def close(self) -> None:
        """Nothing is left to move."""
        if self._moving is not None:
            self._moving.cancel()

    async def _arrived(self) -> int:
        owned = set(_slots((await self._sharded.owners()).get(self._target, ())))
        return sum(slot in owned for slot in self._moved)

    def _raise_failure(self) -> None:
        """Tell why the move has ended, if it failed."""
        if self._moving is not None and self._moving.done() and (error := self._moving.exception()):
            raise error

    @property
    def _sharded(self) -> Sharded:
        if not isinstance(self._candidate, Sharded):
            raise UnprovenError("this candidate has no slots that could move")
        return self._candidate


def _slots(ranges: Sequence[tuple[int, int]]) -> Iterator[int]:
    return (slot for first, last in ranges for slot in range(first, last + 1))
