"""Marks on struck links: what partition and delay observe their effect with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from faults.base import UnprovenError
from faults.patience import soon
from harness.candidates.base import Cluster
from harness.candidates.probes import CoarseProbe, HearingProbe, IdleLinkError, LoadProbe, Probe
from harness.durations import format_duration
from harness.runtimes.base import Way
from harness.topology import Link

P = TypeVar("P")

Times = Mapping[Link, int | None]
"""How long the mark of each link took, in ns; None where it did not arrive in time."""

MARKS = 3
"""Marks that are timed to know how fast a link is."""

_AGAIN_S = 0.02
_LEAST_NS = 50_000_000


class Marks:
    """One probe per link that anything runs on, on connections that exist before the strike."""

    def __init__(self, cluster: Cluster, links: Sequence[Link], way: Way = Way.BOTH) -> None:
        self._cluster = cluster
        self._links = links
        self._way = way
        self._probes: dict[Link, Probe] = {}

    async def open(self) -> None:
        """Open all probes; raises ``OSError``, and ``IdleLinkError`` if nothing runs on any of the links as things stand."""
        idle: list[IdleLinkError] = []
        try:
            for link in self._links:
                try:
                    self._probes[link] = await self._cluster.candidate.probe(link)
                except IdleLinkError as error:
                    idle.append(error)
        except OSError:
            await self.close()
            raise
        if idle and not self._probes:
            raise idle[0]

    async def cross(self, within_ns: int) -> Times:
        """Send one mark over every link at once on which anything runs; raises ``OSError`` if an end of one does not serve."""
        return await self._together(lambda probe: probe.carry(within_ns, self._way), self._probes)

    async def cross_behind(self, size: int, within_ns: int) -> Times:
        """As ``cross``, each mark behind so many bytes; raises ``UnprovenError`` for a link that none can be sent over."""
        loads = {link: probe for link, probe in self._probes.items() if isinstance(probe, LoadProbe)}
        if unable := [link for link in self._probes if link not in loads]:
            raise UnprovenError(f"no load can be sent over {words(unable)}")
        return await self._together(lambda probe: probe.carry_load(size, within_ns), loads)

    async def silences(self) -> Times:
        """How long nothing has been heard over each link whose target knows; None where it has given the link up."""
        hearing = {link: probe for link, probe in self._probes.items() if isinstance(probe, HearingProbe)}
        return await self._together(lambda probe: probe.silence_ns(), hearing)

    async def _together(self, ask: Callable[[P], Awaitable[int | None]], probes: Mapping[Link, P]) -> Times:
        links = list(probes)
        carrying = (ask(probes[link]) for link in links)
        # All of them end before one's failure is told: a probe carries one mark at a time.
        results = await asyncio.gather(*carrying, return_exceptions=True)
        times: dict[Link, int | None] = {}
        idle: list[IdleLinkError] = []
        for link, result in zip(links, results, strict=True):
            if isinstance(result, IdleLinkError):
                idle.append(result)
            elif isinstance(result, BaseException):
                raise result
            else:
                times[link] = result
        if idle and not times:
            raise idle[0]
        return times

    async def fastest(self, within_ns: int) -> dict[Link, int]:
        """The fastest of three marks on every link: the one that stalls of the machine lengthened least.

        Raises ``UnprovenError`` if a link carried none of its marks within ``within_ns`` each.
        """
        rounds = [await self.cross(within_ns) for _ in range(MARKS)]
        times = {link: min((took for r in rounds if (took := r.get(link)) is not None), default=None) for link in self._probes}
        missing = [link for link, took in times.items() if took is None]
        if missing:
            raise UnprovenError(f"no mark crossed {words(missing)} within {format_duration(within_ns)}")
        return {link: took for link, took in times.items() if took is not None}

    def timed(self) -> None:
        """Raise ``UnprovenError`` if there are links whose marks cannot tell how fast they are."""
        coarse = [link for link, probe in self._probes.items() if isinstance(probe, CoarseProbe)]
        if coarse:
            raise UnprovenError(f"how fast {words(coarse)} is cannot be told: what runs there goes at times of its own")

    async def fastest_soon(self, within_ns: int, patience_ns: int) -> dict[Link, int]:
        """As ``fastest``, tried again for ``patience_ns``; opens the probes."""

        async def opened() -> dict[Link, int]:
            if not self._probes:
                await self.open()
            return await self.fastest(within_ns)

        return await soon(opened, patience_ns)

    async def confirm(self, within_ns: int) -> tuple[str, ...]:
        """Send marks until every link has carried one again, or the time is over."""
        if not self._probes:
            return ()
        begin = _now()
        links, carried = set(self._probes), set[Link]()
        failure = ""
        while True:
            try:
                times = await self.cross(max(within_ns // 4, _LEAST_NS))
                links, carried = set(times), carried | {link for link, took_ns in times.items() if took_ns is not None}
            except IdleLinkError as error:
                return (str(error),)
            except OSError as error:
                failure = f" ({error})"
                await asyncio.sleep(_AGAIN_S)
            if links <= carried or _now() - begin >= within_ns / 1e9:
                break
        waited = format_duration(round((_now() - begin) * 1e9))
        silent = [link for link in self._probes if link in links - carried]
        if silent:
            return (f"no mark crossed {words(silent)} for {waited}{failure}",)
        return (f"marks crossed {words([link for link in self._probes if link in carried])} again within {waited}",)

    async def close(self) -> None:
        """Give the connections back."""
        for probe in self._probes.values():
            await probe.close()
        self._probes.clear()


def _now() -> float:
    return asyncio.get_running_loop().time()


def words(links: Sequence[Link]) -> str:
    """The links in words."""
    return " and ".join(str(link) for link in links)


def times_in_words(times: Times) -> str:
    """``a->b in 1.2ms, a->c in 1.3ms``."""
    return ", ".join(f"{link} in {format_duration(took)}" for link, took in times.items() if took is not None)


def window(lasts_ns: int) -> int:
    """How long to wait for an answer in an episode of that length: short against it, long against a loopback's milliseconds."""
    return min(250_000_000, lasts_ns // 4)
