"""What faults have in common that clients make: the drivers are told to behave in another way, and count when they do."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Sequence

from faults.base import UnprovenError
from faults.nodes import names
from harness.candidates.base import Clients, Cluster
from harness.errors import HarnessError
from harness.topology import Node

_POLL_S = 0.02
_MARGIN_NS = 60_000_000
"""Of an episode: what is left after the last look for an operation that shows it."""


class ClientStrike:
    """One episode; see ``faults.base.Strike``. A kind adds what clients are told, and what they count.

    Attributes:
        done: what becomes of operations, in words: ``given up in flight``.
    """

    means = "clients"
    proof_ns = 0
    done: str

    def __init__(self, cluster: Cluster, nodes: Sequence[Node], lasts_ns: int) -> None:
        self._cluster = cluster
        self._nodes = nodes
        self._patience_ns = lasts_ns - _MARGIN_NS
        self._before = 0
        self._shown = 0

    @abstractmethod
    def count(self) -> int:
        """Of how many operations that has become so far."""

    async def arm(self, within_ns: int) -> tuple[str, ...]:  # noqa: ARG002 - there is nothing to wait for
        """It becomes of none yet."""
        self._before = self.count()
        if await self._goes_on():
            raise UnprovenError(f"operations are {self.done} already")
        return (f"no operation was {self.done}",)

    async def prove(self) -> tuple[str, ...]:
        """It became of some, which are waited for; the second time, of more than the first time."""
        give_up = asyncio.get_running_loop().time() + self._patience_ns / 1e9
        self._patience_ns = 0
        while (count := self.count() - self._before) <= self._shown:
            if asyncio.get_running_loop().time() >= give_up:
                since = f" after the first {self._shown}" if self._shown else ""
                raise UnprovenError(f"no operation for {names(self._nodes)} was {self.done}{since}")
            await asyncio.sleep(_POLL_S)
        self._shown = count
        return (f"{count} operations for {names(self._nodes)} were {self.done}",)

    async def confirm(self, within_ns: int) -> tuple[str, ...]:  # noqa: ARG002 - it is over at once
        """It becomes of none any more."""
        await asyncio.sleep(_POLL_S)
        left = ", and there is no end to it" if await self._goes_on() else ""
        return (f"in all, {self.count() - self._before} operations were {self.done}{left}",)

    async def close(self) -> None:
        """Nothing to give back."""

    async def _goes_on(self) -> bool:
        """Whether it becomes of any right now."""
        before = self.count()
        await asyncio.sleep(_POLL_S)
        return self.count() != before

    @property
    def _clients(self) -> Clients:
        if self._cluster.clients is None:
            raise HarnessError(f"no operation can be {self.done}: nobody drives the candidate")
        return self._cluster.clients
