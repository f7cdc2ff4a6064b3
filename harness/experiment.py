"""The live part of a run: from nodes that start to a recorded history. The only place where sessions, faults and clocks meet.

    origin ── workers connect ── begin ──────── sessions drive, faults strike ──────── end ── all healed ── probes ── stop
              └────────── every 50 ms: every node is asked who it is, the runtime is asked whether it is well ─────────┘

All times are ns since the origin. Sessions stop first, then faults heal, then the candidate's own connections close, then the
nodes stop: no client ever retries an address that is no longer ours.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from faults import Fault, PlannedEpisode, run_schedule
from harness.candidates import Audited, Candidate, Capped, Cluster, Guarded, Routed, Tuned
from harness.clients.access import OPEN
from harness.driver import DriverPool, Task
from harness.durations import UNITS
from harness.environment import wall_clock
from harness.errors import AnachronError, DriverError, HarnessError, HistoryError, InterruptedRunError, StartupError
from harness.history import CRASH, NO_WORKER, Episode, History, Stall
from harness.lookout import look_out
from harness.plan import Plan
from harness.runtimes.base import Runtime
from harness.store import ORIGIN, Audit, AuditLog, EpisodeLog, EpochLog, RunDirectory, StallLog
from harness.topology import Link
from harness.values import decode_value

_OPENING_NS = 500 * UNITS["ms"]
"""From the making of the workers to the origin: as a rule they have connected by then."""
_WORD_NS = 100 * UNITS["ms"]
"""From the word to start to the start: every worker has heard it by then."""
_POLL_S = 0.05
"""How often every node is asked who it is (DEFINITIONS, "Epoch")."""
_COUNT_S = 0.2
_START_WITHIN_S = 300.0
"""How long a candidate may take to start all of its nodes."""
_LATE_S = 30.0
"""How long after their last time-out the sessions are waited for. A worker that is still not done stands still."""
_AUDIT_WITHIN_S = 30.0
"""How long the source of truth may take to tell what it has."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PAST_BOUND_NS = 1 * UNITS["s"]
"""How long a fleet is probed past its time to converge in: only a stale read after the bound proves that an entry is stuck."""


class Watcher(Protocol):
    """Live progress, for whoever looks on."""

    def stage(self, words: str) -> None:
        """A new part of the run has begun."""

    def counts(self, elapsed_ns: int, duration_ns: int, ok: int, fail: int, info: int) -> None:
        """How many operations have ended so far; about five times a second."""

    def episode(self, episode: Episode) -> None:
        """A fault episode was healed, or could not be applied."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A plan with everything it names loaded and checked.

    Attributes:
        plan: the plan.
        candidate: the deployment, not started.
        faults: the plan's faults, by their index in the plan.
        planned: their episodes, in ns since the sessions begin.
    """

    plan: Plan
    candidate: Candidate
    faults: tuple[Fault, ...]
    planned: tuple[PlannedEpisode, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """What is left of the live part.

    Attributes:
        history: all operations, episodes and epochs.
        failure: why the harness could not go on; None if it did.
    """

    history: History
    failure: AnachronError | None = None


async def conduct(experiment: Experiment, runtime: Runtime, directory: RunDirectory, watch: Watcher) -> Recording:
    """Carry the experiment out and put its history together.

    A failure after the sessions began is part of the recording: what was recorded until then can still prove a violation.
    Before that there is nothing to judge and it is raised: any ``HarnessError``, or ``UnsupportedError``.
    """
    live = _Live(experiment, runtime, directory, watch)
    try:
        with _first_error():
            await live.run()
    except AnachronError as error:
        if not live.driving:
            raise
        return Recording(live.history(), error)
    except asyncio.CancelledError:
        raise InterruptedRunError(
            "the run was interrupted before there was anything to judge" if not live.driving else "the run was interrupted twice",
            where=str(directory.path),
            fix="`anachron check` judges what was recorded" if live.driving else "",
        ) from None
    return Recording(live.history())


def settling_ns(plan: Plan) -> int:
    """For how long a fleet is probed, once nothing is written or broken any more, until it has converged; in ns."""
    promised_ns = plan.contract.converges_within
    return plan.run.settle if promised_ns is None else promised_ns + _PAST_BOUND_NS


class _Live:
    """One run while it goes on."""

    def __init__(self, experiment: Experiment, runtime: Runtime, directory: RunDirectory, watch: Watcher) -> None:
        self._plan = experiment.plan
        self._experiment = experiment
        self._runtime = runtime
        self._directory = directory
        self._watch = watch
        self._origin_ns = 0
        self._stopped = False
        self._on_stop: Callable[[], object] = lambda: None
        self._settled_ns: int | None = None
        self._complete = False
        self._over: set[tuple[int, int]] = set()
        self._all_over = asyncio.Event()
        self._well_ns: int | None = None
        self._lost = False
        self.driving = False

    def clock(self) -> int:
        """Now, in ns since the origin."""
        return time.monotonic_ns() - self._origin_ns

    def history(self) -> History:
        """What was recorded; where the runtime failed, up to the last time at which it was known to be well.

        What clients see past a dead proxy is not the candidate's doing, and must never be held against it. Raises
        ``HarnessError`` if it cannot be read.
        """
        try:
            recorded = self._directory.assemble_history()
        except HistoryError as error:
            raise HarnessError("what was recorded cannot be put together", where=error.where, why=str(error)) from error
        history = replace(recorded, settled_ns=self._settled_ns, complete=self._complete)
        return history.until(self._well_ns or 0) if self._lost else history

    async def run(self) -> None:
        """All of it; whatever happens, everything that was started is stopped when this returns or raises."""
        candidate, runtime = self._experiment.candidate, self._runtime
        async with AsyncExitStack() as stack:
            stack.enter_context(self._signals())
            episodes = stack.enter_context(EpisodeLog(self._directory.episode_log))
            epochs = stack.enter_context(EpochLog(self._directory.epoch_log))
            stalls = stack.enter_context(StallLog(self._directory.stall_log))
            audits = stack.enter_context(AuditLog(self._directory.audit_log))
            stack.push_async_callback(runtime.close)
            stack.push_async_callback(candidate.close)
            count = len(candidate.topology.nodes)
            self._watch.stage(f"starting {count} {'node' if count == 1 else 'nodes'}")
            await runtime.open(candidate.topology)
            await self._start(candidate)
            self._origin_ns = time.monotonic_ns() + _OPENING_NS
            self._directory.add_environment({ORIGIN: wall_clock(_OPENING_NS)})
            pool = DriverPool(self._task())
            stack.push_async_callback(pool.close)
            group = await stack.enter_async_context(asyncio.TaskGroup())
            watches = [group.create_task(self._poll(node.name, epochs)) for node in candidate.topology.nodes]
            watches.append(group.create_task(self._watch_runtime(stalls)))
            await pool.open()
            await self._drive(pool, group, episodes, audits)
            await self._feel_pulse(stalls)  # what it sees now was so during the last answers, too
            for watching in watches:
                watching.cancel()

    async def _start(self, candidate: Candidate) -> None:
        try:
            async with asyncio.timeout(_START_WITHIN_S):
                await candidate.start(self._runtime)
        except TimeoutError:
            raise StartupError(f"the candidate did not start within {_START_WITHIN_S:.0f} s") from None
        product = {"candidate": f"{self._plan.candidate.kind}: {candidate.product}"}
        self._directory.add_environment({**product, **self._runtime.facts()})

    async def _drive(self, pool: DriverPool, group: asyncio.TaskGroup, log: EpisodeLog, audits: AuditLog) -> None:
        """Sessions and faults side by side, then the probes."""
        begin_ns = max(0, self.clock() + _WORD_NS)
        planned = [_shifted(episode, begin_ns) for episode in self._experiment.planned]
        told = self._teller(log, planned)
        cluster = Cluster(self._experiment.candidate, self._runtime, pool)
        strikes = group.create_task(run_schedule(planned, self._experiment.faults, cluster, self.clock, told))
        counting = group.create_task(self._count(pool, begin_ns))
        healed = group.create_task(self._all_over.wait())
        looking_out = group.create_task(look_out(cluster, planned, self._over, self.clock, told))

        def stop() -> None:
            pool.stop()
            strikes.cancel()

        self._on_stop = stop
        self._watch.stage("driving")
        self.driving = True
        pool.start(begin_ns, begin_ns + self._plan.run.duration)
        await self._in_time(pool.finished(), self._plan.run.duration)
        counting.cancel()
        self._watch.stage("healing")
        # Confirmations may take longer; the fleet is left to itself as soon as the last fault is gone.
        await asyncio.wait([strikes, healed], return_when=asyncio.FIRST_COMPLETED)
        if self._all_over.is_set() and not self._stopped:
            self._watch.stage("settling")
            limit_ns = settling_ns(self._plan)
            # What the source has by now must come to every node as well, whether or not anybody was told that it was committed.
            # So it is asked first: the probes go on until they have seen that, too.
            committed = await self._audit(audits, seal=False)
            if not self._stopped:
                self._settled_ns = self.clock()
                await self._in_time(pool.settle(limit_ns, committed), limit_ns)
            # The last answers count only if their nodes were then still who they had been: one more look at each.
            await asyncio.sleep(3 * _POLL_S)
            await self._audit(audits, seal=True)
        healed.cancel()
        await asyncio.wait([strikes])
        self._complete = not self._stopped
        looking_out.cancel()

    async def _audit(self, log: AuditLog, *, seal: bool) -> Mapping[str, int]:
        """Ask the source of truth what was committed, where it knows; without an answer, unanswered writes stay undecided.

        Returns the newest version by its key's name on the wire, of what the source has.
        """
        candidate = self._experiment.candidate
        if not isinstance(candidate, Audited):
            return {}
        try:
            async with asyncio.timeout(_AUDIT_WITHIN_S):
                values = await candidate.audit(seal=seal)
        except OSError as error:
            self._watch.stage(f"there is no audit: {str(error) or 'the source did not answer in time'}")
            return {}
        written = [value for value in map(decode_value, values) if value is not None]
        log.append(Audit(self.clock(), seal, tuple(value.op for value in written)))
        newest: dict[str, int] = {}
        for key, version, _ in written:
            name = key.decode(errors="replace")  # ours are text
            newest[name] = max(version, newest.get(name, 0))
        return newest

    async def _in_time(self, sessions: Coroutine[Any, Any, int], lasts_ns: int) -> None:
        """Wait for ``sessions``, which take ``lasts_ns``; raises ``DriverError`` if they are not over long after that."""
        try:
            async with asyncio.timeout((lasts_ns + self._plan.run.timeout) / 1e9 + _LATE_S):
                await sessions
        except TimeoutError:
            raise DriverError(
                f"the sessions were not over {_LATE_S:.0f} s after their time", why="a driver worker stands still"
            ) from None

    def _task(self) -> Task:
        """What the driver's workers are told."""
        candidate = self._experiment.candidate
        return Task(
            workloads=self._plan.workloads,
            seed=self._plan.seed,
            topology=candidate.topology,
            endpoints=tuple(self._runtime.via(Link("client", node.name)) for node in candidate.topology.nodes),
            protocol=candidate.protocol,
            timeout_ns=self._plan.run.timeout,
            origin_ns=self._origin_ns,
            directory=self._directory.journals,
            workers=self._plan.run.workers,
            load_cap=candidate.load_cap if isinstance(candidate, Capped) else None,
            codec_options=candidate.codec_options if isinstance(candidate, Tuned) else (),
            routing=candidate.routing if isinstance(candidate, Routed) else None,
            access=candidate.access if isinstance(candidate, Guarded) else OPEN,
        )

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """On the first Ctrl-C or SIGTERM do what ``_on_stop`` says at that time; on the next one cancel everything."""
        loop, me = asyncio.get_running_loop(), asyncio.current_task()
        assert me is not None  # noqa: S101 - a coroutine runs in a task
        self._on_stop = me.cancel

        def interrupted() -> None:
            if self._stopped:
                me.cancel()
                return
            self._stopped = True
            self._watch.stage("stopping; once more leaves the judging to `anachron check`")
            self._on_stop()

        for number in _SIGNALS:
            loop.add_signal_handler(number, interrupted)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    def _teller(self, log: EpisodeLog, planned: list[PlannedEpisode]) -> Callable[[Episode], None]:
        """A listener that writes every episode down as it becomes known, and shows it when it is over."""
        expected = {(episode.fault, episode.intended_ns) for episode in planned if not episode.skipped}
        if not expected:
            self._all_over.set()

        def told(episode: Episode) -> None:
            log.append(episode)
            name = (episode.fault, episode.intended_ns)
            if name not in self._over and (episode.applied_ns is None or episode.healed_ns is not None or episode.kind == CRASH):
                self._over.add(name)
                self._watch.episode(episode)
                if expected <= self._over:
                    self._all_over.set()

        return told

    async def _poll(self, node: str, epochs: EpochLog) -> None:
        """Ask ``node`` who it is, again and again; silence is no answer."""
        while True:
            asked_ns = self.clock()
            with suppress(OSError):
                identity = await self._experiment.candidate.identity(node)
                epochs.append(node, asked_ns, self.clock(), identity)
            await asyncio.sleep(_POLL_S)

    async def _count(self, pool: DriverPool, begin_ns: int) -> None:
        """Show how many operations have ended."""
        while True:
            counts = pool.counts()
            self._watch.counts(self.clock() - begin_ns, self._plan.run.duration, counts.ok, counts.fail, counts.info)
            await asyncio.sleep(_COUNT_S)

    async def _watch_runtime(self, log: StallLog) -> None:
        while True:
            await self._feel_pulse(log)
            await asyncio.sleep(_POLL_S)

    async def _feel_pulse(self, log: StallLog) -> None:
        """Write down when the runtime's means stood still; raises ``HarnessError`` when they can no longer do their part."""
        asked_ns = self.clock()
        try:
            stalls = await self._runtime.pulse()
        except AnachronError:
            self._lost = True
            raise
        for begin_ns, end_ns in stalls:
            log.append(Stall(begin_ns - self._origin_ns, end_ns - self._origin_ns, NO_WORKER))
        self._well_ns = asked_ns


def _shifted(episode: PlannedEpisode, by_ns: int) -> PlannedEpisode:
    return replace(episode, intended_ns=episode.intended_ns + by_ns, intended_end_ns=episode.intended_end_ns + by_ns)


@contextmanager
def _first_error() -> Iterator[None]:
    """The first error of a task group as itself."""
    try:
        yield
    except BaseExceptionGroup as group:
        leaf: BaseException = group
        while isinstance(leaf, BaseExceptionGroup):
            leaf = leaf.exceptions[0]
        raise leaf from None
