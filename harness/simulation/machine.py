"""A virtual machine: a place where one actor runs its flows, with a process that can stop and die and clocks that can be bent."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from harness.reference.effects import Call, Calls, Flow, Gate, Latch, Open, Refused, Sleep, Unreachable, Wait
from harness.reference.messages import Delivery, Publish
from harness.reference.node import Actor
from harness.reference.settings import Settings
from harness.simulation.engine import Act, Deadlines, Engine
from harness.simulation.gates import Gates
from harness.simulation.network import Network

Finished = Callable[[Any, Exception | None], None]
"""Told what a flow returned, or that it failed."""

_LOST = Unreachable("no reply in time")


class Task:
    """A flow that runs on a machine.

    Attributes:
        flow: the generator.
        machine: where it runs.
        life: the machine's, when it began: a flow dies with its process.
        finished: told how it ended; None where nobody asks.
    """

    __slots__ = ("finished", "flow", "life", "machine")

    def __init__(self, machine: Machine, flow: Flow[Any], finished: Finished | None) -> None:
        self.machine = machine
        self.flow = flow
        self.life = machine.life
        self.finished = finished


class _Waiting:
    """A request without a reply so far; ``gathering`` has the replies of the others that were sent with it."""

    __slots__ = ("gathering", "over", "place", "task")

    def __init__(self, task: Task, gathering: list[Any] | None = None, place: int = 0) -> None:
        self.task = task
        self.over = False
        self.gathering = gathering
        self.place = place


class Machine:
    """One place of the fleet; an actor sees it as its ``Place``.

    Attributes:
        name, peers, settings, random: as in ``Place``.
        actor: who runs here.
        life: how often the process has been started.
        up: whether it runs, paused or not.
        epochs: who it has been as a source of answers, and since when; the last entry holds until now, or until it died.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[Machine], Actor],
        *,
        engine: Engine,
        network: Network,
        gates: Gates,
        peers: tuple[str, ...],
        settings: Settings,
        seed: str,
    ) -> None:
        self.name = name
        self.peers = peers
        self.settings = settings
        self.random = Random(f"{seed}/{name}")
        self.life = 1
        self.up = True
        self.machines: dict[str, Machine] = {}
        """All machines of the fleet, by name."""
        self._make = make
        self._engine = engine
        self._network = network
        self._gates = gates
        self._deadlines = Deadlines(engine, settings.call_timeout_ns, _expire)
        self._paused = False
        self._backlog: list[tuple[Act, Any]] = []
        self._rate = 1.0
        self._monotonic_base = (0, 0)
        self._wall_offset_ns = 0
        self.epochs: list[list[Any]] = []
        self._begin_epoch("")
        self.actor: Actor = make(self)

    def start(self) -> None:
        """Let the actor begin what it does by itself."""
        self.actor.start()

    # What an actor can do: see Place.

    def monotonic_ns(self) -> int:
        """The place's own monotonic clock."""
        if self._rate == 1.0:
            return self._engine.now_ns + self._monotonic_base[1] - self._monotonic_base[0]
        since_ns, at_ns = self._monotonic_base
        return at_ns + int((self._engine.now_ns - since_ns) * self._rate)

    def wall_ns(self) -> int:
        """The place's own wall clock."""
        return self.monotonic_ns() + self._wall_offset_ns

    def send(self, to: str, message: Any) -> None:
        """Say ``message`` to another place."""
        self._network.send((self.name, to), self.machines[to].heard, (self.name, message), _kind(message))

    def spawn(self, flow: Flow[Any], finished: Finished | None = None) -> None:
        """Begin ``flow``; ``finished`` is told how it ends."""
        self._step(Task(self, flow, finished), None)

    def become(self, role: str) -> None:
        """From now on the place answers as someone else: a new primary, a replica of another one."""
        self._end_epoch()
        self._begin_epoch(role)

    # What happens to a machine.

    def kill(self) -> None:
        """The process dies with all its flows; so its epoch is over."""
        self._end_epoch()
        self.up = False
        self.life += 1
        self._backlog.clear()
        self._paused = False

    def restart(self, *, keep_data: bool) -> None:
        """The process begins again: with what it had on its disk, or without."""
        self.up = True
        self._begin_epoch("")
        self.actor = self.actor.survivor() if keep_data else self._make(self)
        self.actor.start()

    def pause(self) -> None:
        """The process stands still; what comes for it waits."""
        self._paused = True

    def resume(self) -> None:
        """The process goes on, with what came meanwhile first."""
        self._paused = False
        backlog, self._backlog = self._backlog, []
        for act, argument in backlog:
            self._engine.at(self._engine.now_ns, act, argument)

    def bend_clock(self, *, wall_ns: int = 0, rate: float = 1.0, monotonic_ns: int = 0) -> None:
        """Let the clocks differ from the engine's: an offset of the wall clock, a rate, a jump of the monotonic clock forward."""
        now_ns = self._engine.now_ns
        self._monotonic_base = (now_ns, self.monotonic_ns() + monotonic_ns)
        self._rate = rate
        self._wall_offset_ns = wall_ns

    # What comes to a machine. All of it waits while the process is paused and is lost while there is none.

    def heard(self, envelope: tuple[str, Any]) -> None:
        """A message that wants no reply."""
        if self._here(self.heard, envelope):
            self.actor.hear(*envelope)

    def asked(self, envelope: tuple[str, _Waiting, Any]) -> None:
        """A request of another place."""
        if self._here(self.asked, envelope):
            source, waiting, request = envelope
            back = (self.name, source)

            def finished(reply: Any, error: Exception | None) -> None:
                # What did not reach whom it needed says nothing: whoever asked runs into the time-out, too.
                if not isinstance(error, Unreachable):
                    self._network.send(
                        back, waiting.task.machine.answered, (waiting, reply, error), type(request).__name__ + "Reply"
                    )

            self.spawn(self.actor.serve(source, request), finished)

    def admit(self, work: tuple[Act, Any]) -> None:
        """Something of a client's: ``act(argument)`` happens once the process can see to it."""
        if self._here(self.admit, work):
            act, argument = work
            act(argument)

    def answered(self, envelope: tuple[_Waiting, Any, Exception | None]) -> None:
        """The reply to a request of ours."""
        waiting, reply, error = envelope
        if waiting.over or waiting.task.life != self.life:
            return
        if self._here(self.answered, envelope):
            _settle(waiting, reply, error)

    def _begin_epoch(self, role: str) -> None:
        self.epochs.append([self._engine.now_ns, None, f"life {self.life} {role}".strip()])

    def _end_epoch(self) -> None:
        if self.epochs[-1][1] is None:
            self.epochs[-1][1] = self._engine.now_ns

    def _here(self, act: Act, argument: Any) -> bool:
        if self._paused:
            self._backlog.append((act, argument))
            return False
        return self.up

    # How flows run.

    def _wake(self, task: Task) -> None:
        if task.life == self.life and self._here(self._wake, task):
            self._step(task, None)

    def go_on(self, task: Task) -> None:
        """Let a flow go on that was held at a gate."""
        self._wake(task)

    def _step(self, task: Task, value: Any, error: Exception | None = None) -> None:
        """Run a flow up to its next wait."""
        flow = task.flow
        while True:
            try:
                effect = flow.send(value) if error is None else flow.throw(error)
            except StopIteration as stop:
                if task.finished is not None:
                    task.finished(stop.value, None)
                return
            except (Unreachable, Refused) as failure:
                if task.finished is not None:
                    task.finished(None, failure)
                return
            value = error = None
            if type(effect) is Call:
                self._ask(effect, _Waiting(task))
                return
            if type(effect) is Gate:
                if self._gates.held and self._gates.holds(self.name, effect, task):
                    return
            elif type(effect) is Sleep:
                self._engine.at(self._engine.now_ns + int(effect.ns / self._rate), self._wake, task)
                return
            elif type(effect) is Calls:
                if effect.calls:
                    replies: list[Any] = [_LOST] * len(effect.calls)
                    for place, call in enumerate(effect.calls):
                        self._ask(call, _Waiting(task, replies, place))
                    return
                value = ()
            elif type(effect) is Wait:
                if not effect.latch.set_:
                    effect.latch.waiting.append(task)
                    return
                value = effect.latch.result
            elif type(effect) is Open:
                self._open(effect)

    def _open(self, effect: Open) -> None:
        latch: Latch = effect.latch
        latch.set_, latch.result = True, effect.result
        for task in latch.waiting:
            self._engine.at(self._engine.now_ns, self._tell, (task, effect.result))
        latch.waiting.clear()

    def _tell(self, told: tuple[Task, Any]) -> None:
        task, result = told
        if task.life == self.life and self._here(self._tell, told):
            self._step(task, result)

    def _ask(self, call: Call, waiting: _Waiting) -> None:
        if call.within_ns:
            self._engine.at(self._engine.now_ns + call.within_ns, _expire, waiting)
        else:
            self._deadlines.begin(waiting)
        target = self.machines[call.to]
        self._network.send((self.name, call.to), target.asked, (self.name, waiting, call.request), _kind(call.request))

    def resume_with(self, task: Task, value: Any, error: Exception | None) -> None:
        """Let a flow go on with the reply it waited for."""
        self._step(task, value, error)


def _settle(waiting: _Waiting, reply: Any, error: Exception | None) -> None:
    """A request has its reply, or will have none."""
    waiting.over = True
    task = waiting.task
    gathering = waiting.gathering
    if gathering is None:
        task.machine.resume_with(task, reply, error)
        return
    gathering[waiting.place] = None if error is not None else (reply,)
    if _LOST not in gathering:
        task.machine.resume_with(task, tuple(found[0] if found is not None else None for found in gathering), None)


def _expire(waiting: _Waiting) -> None:
    if waiting.over:
        return
    task = waiting.task
    machine = task.machine
    if task.life != machine.life:
        return
    if machine._here(_expire, waiting):  # noqa: SLF001 - the other half of this class
        _settle(waiting, None, _LOST)


def _kind(message: Any) -> str:
    """What a schedule calls a message: an event by its own name, wherever the bus carries it."""
    if isinstance(message, Delivery | Publish):
        message = message.event
    return type(message).__name__
