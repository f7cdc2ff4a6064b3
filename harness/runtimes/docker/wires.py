"""The links of a run, and who bends each: the proxy where one stands on it, else the kernel that carries its packets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from harness.errors import HarnessError, UnsupportedError
from harness.runtimes.base import Capability, Cut, Disturbance, Packets, Way
from harness.runtimes.docker.links import Links, Suffering
from harness.runtimes.kernel.agent import Agent
from harness.runtimes.messages import CONVERSATIONS, MessageRule
from harness.runtimes.proxies import Proxies, Route
from harness.topology import Link


class Wires:
    """All links of one run.

    Args:
        addresses: of the nodes, by name.
        routes: of the links that go through a proxy.
        refusal: why something cannot be done to a link, before the agent is asked.
    """

    def __init__(
        self,
        addresses: Mapping[str, str],
        routes: Mapping[Link, Route],
        refusal: Callable[[Capability], str | None],
    ) -> None:
        self.routes = routes
        self.proxies: Proxies | None = None
        self.agent: Agent | None = None
        self._addresses = addresses
        self._refusal = refusal
        self._links = Links()
        self._vanished: set[str] = set()

    async def cut(self, links: Sequence[Link], how: Cut, way: Way) -> None:
        """See ``Runtime``."""
        proxied, bare = self._sorted(links, Capability.CUT)
        if proxied:
            proxies = self._proxies
            await (proxies.refuse(proxied) if how is Cut.REFUSE else proxies.cut(proxied, way))
        await self._bend(bare, lambda suffering: suffering.cut(how, way))

    async def delay(self, links: Sequence[Link], delay_ns: int, jitter_ns: int) -> None:
        """See ``Runtime``."""
        proxied, bare = self._sorted(links, Capability.DELAY)
        if proxied:
            await self._proxies.delay(proxied, delay_ns, jitter_ns)
        await self._bend(bare, lambda suffering: suffering.delay(delay_ns, jitter_ns))

    async def throttle(self, links: Sequence[Link], bytes_per_second: int) -> None:
        """See ``Runtime``."""
        if bytes_per_second < 1:
            raise HarnessError(f"a link cannot be throttled to {bytes_per_second} bytes a second", fix="cut it instead")
        proxied, bare = self._sorted(links, Capability.THROTTLE)
        if proxied:
            await self._proxies.throttle(proxied, bytes_per_second)
        await self._bend(bare, lambda suffering: suffering.throttle(bytes_per_second))

    async def disturb(self, links: Sequence[Link], disturbance: Disturbance) -> None:
        """See ``Runtime``."""
        proxied, bare = self._sorted(links, Capability.DISTURB)
        if proxied:
            raise UnsupportedError(f"the packets of the link {proxied[0]} cannot be disturbed", why="a proxy stands on it")
        await self._bend(bare, lambda suffering: suffering.disturb(disturbance))

    async def reset(self, links: Sequence[Link]) -> None:
        """See ``Runtime``."""
        proxied, bare = self._sorted(links, Capability.RESET)
        if proxied:
            await self._proxies.reset(proxied)
        if bare:
            pairs = {(self._addresses[link.source], self._addresses[link.target]) for link in bare}
            await self._agent.reset(pairs | {(target, source) for source, target in pairs})

    async def meddle(self, links: Sequence[Link], rule: MessageRule, way: Way) -> None:
        """See ``Runtime``."""
        for link in links:
            if link not in self.routes or self.routes[link].protocol not in CONVERSATIONS:
                raise UnsupportedError(
                    f"messages on the link {link} cannot be told apart",
                    why="nobody followed them from the beginning",
                    fix=f"only the protocols {' and '.join(CONVERSATIONS)} are known, and only where a proxy stands on the link",
                )
        await self._proxies.meddle(links, rule, way)

    async def meddled(self, links: Sequence[Link]) -> Mapping[Link, int]:
        """See ``Runtime``."""
        counters = await self._proxies.traffic()
        return {link: counters[str(link)].meddled for link in links}

    async def mend(self, links: Sequence[Link]) -> None:
        """See ``Runtime``."""
        proxied = [link for link in links if link in self.routes]
        if proxied:
            await self._proxies.mend(proxied)
        if len(proxied) < len(links) and self.agent:
            self._links.mend(links)
            await self._apply(self.agent)

    async def vanish(self, addresses: Collection[str]) -> bool:
        """Let nothing through to or from these addresses until they ``appear``; whether there is an agent to do it."""
        if self.agent is None:
            return False
        self._vanished.update(addresses)
        await self._apply(self.agent)
        return True

    async def appear(self, addresses: Collection[str]) -> None:
        """Undo ``vanish``; nothing for those that are there."""
        if self.agent and not self._vanished.isdisjoint(addresses):
            self._vanished.difference_update(addresses)
            await self._apply(self.agent)

    async def packets(self) -> Packets:
        """What the kernel's means did to packets so far."""
        if self.agent is None:
            return Packets(0, 0, 0, 0)
        counts = await self.agent.counts()
        return Packets(counts.seen, counts.lost, counts.doubled, counts.late)

    async def pulse(self) -> Sequence[tuple[int, int]]:
        """See ``Runtime``."""
        if self.agent:
            await self.agent.check()
        return await self.proxies.pulse() if self.proxies else ()

    async def _bend(self, links: Sequence[Link], change: Callable[[Suffering], Suffering]) -> None:
        if links:
            self._links.change(links, change)
            await self._apply(self._agent)

    async def _apply(self, agent: Agent) -> None:
        await agent.apply(self._links.bends(self._addresses.__getitem__), frozenset(self._vanished))

    def _sorted(self, links: Sequence[Link], capability: Capability) -> tuple[list[Link], list[Link]]:
        """The links with a proxy, and those without; raises ``UnsupportedError`` if one of them cannot be bent so."""
        proxied = [link for link in links if link in self.routes]
        bare = [link for link in links if link not in self.routes]
        for link in bare:
            if link.source not in self._addresses:
                raise _unbendable(link, self._refusal(Capability.CUT_CLIENTS))
            lacks = self.agent.means.refusal(capability) if self.agent else self._refusal(capability)
            if lacks:
                raise _unbendable(link, lacks)
        return proxied, bare

    @property
    def _proxies(self) -> Proxies:
        if self.proxies is None:
            raise HarnessError("links cannot be bent: the runtime is not open, or has no proxies")
        return self.proxies

    @property
    def _agent(self) -> Agent:
        if self.agent is None:
            raise HarnessError("links cannot be bent: the runtime is not open")
        return self.agent


def _unbendable(link: Link, why: str | None) -> UnsupportedError:
    return UnsupportedError(f"the link {link} cannot be bent so", why=why or "there is no such node")
