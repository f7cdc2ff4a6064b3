"""Marks on struck links: what partition and delay observe their effect with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from faults.base import UnprovenError
from harness.candidates.base import Cluster, Probe
from harness.durations import format_duration
from harness.runtimes.base import Way
from harness.topology import Link

Times = Mapping[Link, int | None]
"""How long the mark of each link took, in ns; None where it did not arrive in time."""

MARKS = 3
"""Marks that are timed to know how fast a link is."""

_AGAIN_S = 0.02
_LEAST_NS = 50_000_000


class Marks:
    """One probe per link, on connections that exist before the strike."""

    def __init__(self, cluster: Cluster, links: Sequence[Link], way: Way = Way.BOTH) -> None:
        self._cluster = cluster
        self._links = links
        self._way = way
        self._probes: dict[Link, Probe] = {}

    async def open(self) -> None:
        """Open all probes; raises ``OSError``."""
        try:
            for link in self._links:
                self._probes[link] = await self._cluster.candidate.probe(link)
        except OSError:
            await self.close()
            raise

    async def cross(self, within_ns: int) -> Times:
        """Send one mark over every link at once; raises ``OSError`` if an end of one does not serve."""
        links = list(self._probes)
        carrying = (self._probes[link].carry(within_ns, self._way) for link in links)
        # All of them end before one's failure is told: a probe carries one mark at a time.
        results = await asyncio.gather(*carrying, return_exceptions=True)
        times: dict[Link, int | None] = {}
        for link, result in zip(links, results, strict=True):
            if isinstance(result, BaseException):
                raise result
            times[link] = result
        return times

    async def fastest(self, within_ns: int) -> dict[Link, int]:
        """The fastest of three marks on every link: the one that stalls of the machine lengthened least.

        Raises ``UnprovenError`` if a link carried none of its marks within ``within_ns`` each.
        """
        rounds = [await self.cross(within_ns) for _ in range(MARKS)]
        times = {link: min((took for r in rounds if (took := r[link]) is not None), default=None) for link in self._links}
        missing = [link for link, took in times.items() if took is None]
        if missing:
            raise UnprovenError(f"no mark crossed {words(missing)} within {format_duration(within_ns)}")
        return {link: took for link, took in times.items() if took is not None}

    async def fastest_soon(self, within_ns: int, patience_ns: int) -> dict[Link, int]:
        """As ``fastest``, tried again for ``patience_ns``; opens the probes."""
        give_up = _now() + patience_ns / 1e9
        while True:
            try:
                if not self._probes:
                    await self.open()
                return await self.fastest(within_ns)
            except (UnprovenError, OSError):
                if _now() > give_up:
                    raise
                await asyncio.sleep(_AGAIN_S)

    async def confirm(self, within_ns: int) -> tuple[str, ...]:
        """Send marks until every link has carried one again, or the time is over."""
        if not self._probes:
            return ()
        begin = _now()
        carried: set[Link] = set()
        failure = ""
        while True:
            try:
                times = await self.cross(max(within_ns // 4, _LEAST_NS))
                carried |= {link for link, took_ns in times.items() if took_ns is not None}
            except OSError as error:
                failure = f" ({error})"
                await asyncio.sleep(_AGAIN_S)
            if len(carried) == len(self._links) or _now() - begin >= within_ns / 1e9:
                break
        waited = format_duration(round((_now() - begin) * 1e9))
        silent = [link for link in self._links if link not in carried]
        if silent:
            return (f"no mark crossed {words(silent)} for {waited}{failure}",)
        return (f"marks crossed {words(self._links)} again within {waited}",)

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
