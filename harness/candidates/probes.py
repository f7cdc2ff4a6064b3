"""What a probe is: marks that real peers send over one link, to see whether it carries, in which direction, and how fast."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic_ns
from typing import Protocol, TypeVar, runtime_checkable

from harness.runtimes.base import Way

_FIRST_MARK_NS = 1_000_000_000
"""How long the first mark may take: connections are opened for it."""


class IdleLinkError(OSError):
    """Nothing runs on a link as things stand: there is nothing to cut there, and no mark that could show it."""


class Probe(Protocol):
    """A mark that real peers send over one link, on connections that already exist."""

    async def carry(self, within_ns: int, way: Way = Way.BOTH) -> int | None:
        """How long a fresh mark took to arrive, in ns; None if it did not arrive in time although both ends serve.

        Args:
            within_ns: how long to wait for it.
            way: which direction of the link the mark has to travel: ``BOTH`` leaves it to the protocol that runs on the link.

        Raises ``OSError`` if an end of the link does not serve: then its silence says nothing about the link; ``IdleLinkError``
        if nothing runs on it any more.
        """

    async def close(self) -> None:
        """Give the probe's connections back."""


@runtime_checkable
class LoadProbe(Protocol):
    """A probe that can put a load on its link, to see how much goes through."""

    async def carry_load(self, size: int, within_ns: int) -> int | None:
        """As ``Probe.carry``, of a mark behind so many bytes."""


@runtime_checkable
class HearingProbe(Protocol):
    """A probe that knows what the link's target hears of its source without being asked anything."""

    async def silence_ns(self) -> int | None:
        """For how long that has been nothing, in whole seconds; None if the target has given the link up."""


@runtime_checkable
class CoarseProbe(Protocol):
    """A probe whose marks go their way at times of their own: it tells that a link carries, but not how fast.

    Attributes:
        coarse_ns: how much longer than the way itself a mark may take.
    """

    coarse_ns: int


class OpenableProbe(Probe, Protocol):
    """A probe that was made, and is not open yet."""

    async def open(self) -> None:
        """Open its connections; raises ``OSError``."""


P = TypeVar("P", bound=OpenableProbe)


async def opened(probe: P) -> P:
    """``probe`` with its connections open; closed again if that fails, with ``OSError``."""
    try:
        await probe.open()
    except BaseException:
        await probe.close()
        raise
    return probe


class MarkProbe:
    """A probe whose mark is a question that crosses the link, and whose arrival is the answer.

    Args:
        cross: asks it, within the given ns; raises ``OSError`` if no answer came.
        serve: asks the link's ends, past all faults on links; raises ``OSError`` if one of them does not serve.
        close: gives the connections back.
    """

    def __init__(
        self, cross: Callable[[int], Awaitable[object]], serve: Callable[[], Awaitable[object]], close: Callable[[], object]
    ) -> None:
        self._cross = cross
        self._serve = serve
        self._close = close

    async def open(self) -> None:
        """Open the connections; raises ``OSError`` if an end does not serve, or the first mark does not cross."""
        await self._serve()
        await self._cross(_FIRST_MARK_NS)

    async def carry(self, within_ns: int, way: Way = Way.BOTH) -> int | None:  # noqa: ARG002 - an answer needs both ways
        """See ``Probe``."""
        begin_ns = monotonic_ns()
        try:
            await self._cross(within_ns)
        except OSError:  # a time-out, or a link that refuses: either way the mark did not come back
            await self._serve()
            return None
        return monotonic_ns() - begin_ns

    async def close(self) -> None:
        """See ``Probe``."""
        self._close()
