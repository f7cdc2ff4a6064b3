"""Carrying episodes out: armed before their time, applied on time, proven twice, always healed, confirmed.

    begin - LEAD    begin            begin + proof        end - proof     end
        arm ──────── apply · prove ───────────────────── prove again ──── heal · confirm

``Episode.applied_ns`` is taken when the means are in place, ``proven_ns`` when the first proof was complete, ``healed_ns`` when
the means are gone. An episode counts as proven only if the second proof and the confirmation bear the first one out; one that is
cut short by a cancellation has the first only.

Whatever happens between apply and heal (a server that talks nonsense, a runtime that fails, Ctrl-C), healing follows. Nothing
that a server does makes these functions raise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from faults.base import Fault, Strike, Target, UnprovenError
from faults.offices import filled, is_office
from faults.schedule import PlannedEpisode, clash
from faults.targets import CLIENT
from harness.candidates.base import Cluster
from harness.errors import AnachronError
from harness.history import DISPROVED, Episode
from harness.topology import Link

Clock = Callable[[], int]
"""Nanoseconds since the start of the run."""

Watcher = Callable[[Episode], None]
"""Told whenever more is known of an episode; what it hears last is the whole. ``(fault, intended_ns)`` tells episodes apart."""

LEAD_NS = 500_000_000
"""How long before its time an episode is armed."""

CONFIRM_NS = 5_000_000_000
"""How long a healed target is watched for its return, unless the next episode comes first."""

_SLACK_NS = 20_000_000
_LOOK_NS = 500_000_000
"""How long before an episode is armed it is looked up who has a role, and how long that may take."""

_HEAD_START_NS = 100_000_000
"""What of the lead is left for the last try to arm."""
_GRACE_NS = 1_000_000_000
"""How long a step may take beyond its time: no node's silence may keep a fault from its begin or its end for longer."""

_HEAL_NS = 60_000_000_000


async def run_schedule(
    planned: Sequence[PlannedEpisode], faults: Sequence[Fault], cluster: Cluster, clock: Clock, on_episode: Watcher
) -> tuple[Episode, ...]:
    """Carry out all episodes that are not left out, side by side where they overlap; by the time they were intended.

    When it is cancelled, every episode that was going on is healed and told to ``on_episode`` before the cancellation goes on; so
    it is when ``on_episode`` raises.
    """
    tasks: list[asyncio.Task[Episode]] = []
    try:
        async with asyncio.TaskGroup() as group:
            for at, episode in enumerate(planned):
                if not episode.skipped:
                    over_ns = _confirmed_by(episode, planned, at + 1)
                    work = _carry_out(episode, faults[episode.fault], cluster, over_ns, clock=clock, on_episode=on_episode)
                    tasks.append(group.create_task(work))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return tuple(task.result() for task in tasks)


async def _carry_out(
    planned: PlannedEpisode, fault: Fault, cluster: Cluster, over_ns: int, *, clock: Clock, on_episode: Watcher
) -> Episode:
    """Find out whom the episode strikes, if that shows only then, and strike."""
    if any(map(is_office, planned.targets)):
        holders: list[Target] = []

        async def look() -> tuple[str, ...]:
            holders.extend(await filled(cluster, planned.targets))
            return ()

        log = _Log(planned, "", on_episode)
        await _until(planned.intended_ns - LEAD_NS - _LOOK_NS, clock)
        if not await log.attempt("before", look(), _LOOK_NS):
            log.now(log.episode)
            return log.episode
        planned = replace(planned, targets=tuple(holders))
    return await run_episode(planned, fault.strike(cluster, planned.targets), clock, on_episode, over_ns)


def _confirmed_by(episode: PlannedEpisode, planned: Sequence[PlannedEpisode], first_later: int) -> int:
    """Until when the targets of ``episode`` are its own to watch."""
    over_ns = episode.intended_end_ns + CONFIRM_NS
    for later in islice(planned, first_later, None):
        if later.intended_ns >= over_ns:
            break
        if clash(episode, later):
            return later.intended_ns
    return over_ns


async def run_episode(planned: PlannedEpisode, strike: Strike, clock: Clock, on_episode: Watcher, over_ns: int) -> Episode:
    """Carry out one episode; ``over_ns`` is the time until which its targets are watched after the heal, if need be."""
    log = _Log(planned, strike.means, on_episode)
    give_up_ns = planned.intended_end_ns + _GRACE_NS
    await _until(planned.intended_ns - LEAD_NS, clock)
    try:
        armed = await log.attempt("before", strike.arm(LEAD_NS - _HEAD_START_NS), LEAD_NS + _GRACE_NS)
        await _until(planned.intended_ns, clock)
        try:
            if await log.attempt("when applied", _silent(strike.apply()), strike.proof_ns + _GRACE_NS):
                log.now(replace(log.episode, applied_ns=clock()))
                if armed and await log.attempt("at its start", strike.prove(), give_up_ns - clock()):
                    log.now(replace(log.episode, proven_ns=clock()))
                    await _until(planned.intended_end_ns - strike.proof_ns - _SLACK_NS, clock)
                    await log.attempt("near its end", strike.prove(), give_up_ns - clock())
                await _until(planned.intended_end_ns, clock)
        finally:
            await _unstoppable(_heal(strike, log, clock))
        left_ns = max(0, over_ns - clock())
        await log.attempt("after healing", strike.confirm(left_ns), left_ns + _GRACE_NS, proof=False)
        log.now(log.episode)
    finally:
        await _unstoppable(strike.close())
    return log.episode


async def _heal(strike: Strike, log: _Log, clock: Clock) -> None:
    if await log.attempt("when healed", _silent(strike.heal()), _HEAL_NS, proof=False):
        log.now(replace(log.episode, healed_ns=clock()))
    else:
        log.now(log.episode)


class _Log:
    """What is known of one episode so far, and who wants to know."""

    def __init__(self, planned: PlannedEpisode, means: str, on_episode: Watcher) -> None:
        struck = [
            name
            for t in planned.targets
            for name in ((t.source, t.target) if isinstance(t, Link) else (t.name,))
            if name != CLIENT
        ]
        self.episode = Episode(
            fault=planned.fault,
            kind=planned.kind,
            targets=tuple(str(t) if isinstance(t, Link) else t.name for t in planned.targets),
            nodes=tuple(dict.fromkeys(struck)),
            intended_ns=planned.intended_ns,
            intended_end_ns=planned.intended_end_ns,
            means=means,
        )
        self._on_episode = on_episode

    def now(self, episode: Episode) -> None:
        """Keep what is known, and tell the watcher."""
        self.episode = episode
        self._on_episode(episode)

    async def attempt(self, step: str, work: Awaitable[tuple[str, ...]], within_ns: int, *, proof: bool = True) -> bool:
        """Take one step and keep what it says as evidence; whether it was done in time.

        Args:
            step: when it is, for the evidence.
            work: what to do.
            within_ns: how long it may take.
            proof: whether the episode is unproven if it fails; if it raises ``UnprovenError`` it is in any case.
        """
        try:
            async with asyncio.timeout(within_ns / 1e9):
                sentences = await work
        except (UnprovenError, OSError, AnachronError) as error:
            what = error.what if isinstance(error, AnachronError) else str(error) or "no end of it within the time for it"
            disproves = proof or isinstance(error, UnprovenError)
            self.episode = replace(
                self.episode,
                proven_ns=None if disproves else self.episode.proven_ns,
                evidence=(*self.episode.evidence, f"{DISPROVED if disproves else ''}{step}: {what}"),
            )
            return False
        self.episode = replace(self.episode, evidence=(*self.episode.evidence, *(f"{step}: {s}" for s in sentences)))
        return True


async def _silent(work: Awaitable[None]) -> tuple[str, ...]:
    """A step without evidence of its own."""
    await work
    return ()


async def _until(time_ns: int, clock: Clock) -> None:
    while (left_ns := time_ns - clock()) > 0:  # noqa: ASYNC110 - there is no event: time is all that is waited for
        await asyncio.sleep(left_ns / 1e9)


async def _unstoppable(work: Coroutine[Any, Any, None]) -> None:
    """Do ``work`` to its end, however often this is cancelled meanwhile; the cancellation follows."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()
