"""Running the flows of an actor: the part that is the same in virtual time and in a real process.

A host has a clock and a way to other hosts, which its subclass knows. What comes to it (messages, requests, replies) it is told
by calls; nothing here waits, and nothing here knows whether the network is real.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from random import Random
from typing import Any

from harness.reference.deadlines import Act, Deadlines, Timer
from harness.reference.effects import Call, Calls, Flow, Gate, Open, Refused, Sleep, Unreachable, Wait
from harness.reference.gates import Gates
from harness.reference.node import Actor
from harness.reference.settings import Settings

Finished = Callable[[Any, Exception | None], None]
"""Told what a flow returned, or that it failed."""

Make = Callable[["Host"], Actor]


class Task:
    """A flow that runs on a host.

    Attributes:
        flow: the generator.
        host: where it runs.
        life: the host's, when it began: a flow dies with its process.
        finished: told how it ended; None where nobody asks.
    """

    __slots__ = ("finished", "flow", "host", "life")

    def __init__(self, host: Host, flow: Flow[Any], finished: Finished | None) -> None:
        self.host = host
        self.flow = flow
        self.life = host.life
        self.finished = finished


class Gathering:
    """The replies to requests that were sent together.

    Attributes:
        replies: one for each request, in their order; None where none has come.
        left: how many requests are still waiting.
    """

    __slots__ = ("left", "replies")

    def __init__(self, requests: int) -> None:
        self.replies: list[Any] = [None] * requests
        self.left = requests


class Waiting:
    """A request without a reply so far.

    Attributes:
        task: whose it is.
        over: whether there was a reply, or it is too late for one.
        gathering: what has come of all requests that were sent together, this one's is number ``place``; None for one sent alone.
    """

    __slots__ = ("gathering", "over", "place", "task")

    def __init__(self, task: Task, gathering: Gathering | None = None, place: int = 0) -> None:
        self.task = task
        self.over = False
        self.gathering = gathering
        self.place = place


class Host:
    """The place of one actor; the actor sees it as its ``Place``.

    Attributes:
        name, peers, settings, random: as in ``Place``.
        actor: who runs here.
        life: how often the process has been started.
        ready: whether the process sees at once to what comes.
    """

    ready = True

    def __init__(
        self, name: str, make: Make, *, timer: Timer, gates: Gates, peers: tuple[str, ...], settings: Settings, seed: str
    ) -> None:
        self.name = name
        self.peers = peers
        self.settings = settings
        self.random = Random(f"{seed}/{name}")
        self.life = 1
        self._timer = timer
        self._gates = gates
        self._deadlines = Deadlines(timer, settings.call_timeout_ns, attrgetter("over"), _expire)
        self.actor: Actor = make(self)

    # What a subclass knows.

    def monotonic_ns(self) -> int:
        """See ``Place``."""
        raise NotImplementedError

    def wall_ns(self) -> int:
        """See ``Place``."""
        raise NotImplementedError

    def send(self, to: str, message: Any) -> None:
        """See ``Place``."""
        raise NotImplementedError

    def become(self, role: str) -> None:
        """See ``Place``."""
        raise NotImplementedError

    def ask(self, to: str, request: Any, waiting: Waiting) -> None:
        """Send ``request`` on its way; its reply, if there is one, comes back to ``answered``."""
        raise NotImplementedError

    def lasts_ns(self, ns: int) -> int:
        """How long ``ns`` of the place's own monotonic clock last."""
        return ns

    def put_off(self, act: Act, argument: Any) -> None:
        """Something came while the process was not ready; if it can see to it later, it does ``act(argument)`` then."""
        raise NotImplementedError

    # What comes to a host.

    def spawn(self, flow: Flow[Any], finished: Finished | None = None) -> None:
        """Begin ``flow``; ``finished`` is told how it ends."""
        self._step(Task(self, flow, finished), None)

    def heard(self, envelope: tuple[str, Any]) -> None:
        """A message that wants no reply: who says it, and what."""
        if self.ready:
            self.actor.hear(*envelope)
        else:
            self.put_off(self.heard, envelope)

    def answered(self, envelope: tuple[Waiting, Any, Exception | None]) -> None:
        """The reply to a request of ours."""
        waiting, reply, error = envelope
        if waiting.over or waiting.task.life != self.life:
            return
        if self.ready:
            self._settle(waiting, reply, error)
        else:
            self.put_off(self.answered, envelope)

    def go_on(self, task: Task) -> None:
        """Let a flow go on that has slept, or was held at a gate."""
        if task.life != self.life:
            return
        if self.ready:
            self._step(task, None)
        else:
            self.put_off(self.go_on, task)

    # How flows run.

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
                self._ask(effect, Waiting(task))
                return
            if type(effect) is Gate:
                if self._gates.held and self._gates.holds(self.name, effect, task):
                    return
            elif type(effect) is Sleep:
                self._timer.at(self._timer.now_ns + self.lasts_ns(effect.ns), self.go_on, task)
                return
            elif type(effect) is Calls:
                if effect.calls:
                    gathering = Gathering(len(effect.calls))
                    for place, call in enumerate(effect.calls):
                        self._ask(call, Waiting(task, gathering, place))
                    return
                value = ()
            elif type(effect) is Wait:
                if not effect.latch.set_:
                    effect.latch.waiting.append(task)
                    return
                value = effect.latch.result
            elif type(effect) is Open:
                self._open(effect)

    def _ask(self, call: Call, waiting: Waiting) -> None:
        if call.within_ns:
            self._timer.at(self._timer.now_ns + call.within_ns, _expire, waiting)
        else:
            self._deadlines.begin(waiting)
        self.ask(call.to, call.request, waiting)

    def _open(self, effect: Open) -> None:
        latch = effect.latch
        latch.set_, latch.result = True, effect.result
        for task in latch.waiting:
            self._timer.at(self._timer.now_ns, self._tell, (task, effect.result))
        latch.waiting.clear()

    def _tell(self, told: tuple[Task, Any]) -> None:
        task, result = told
        if task.life != self.life:
            return
        if self.ready:
            self._step(task, result)
        else:
            self.put_off(self._tell, told)

    def _settle(self, waiting: Waiting, reply: Any, error: Exception | None) -> None:
        """A request has its reply, or will have none."""
        waiting.over = True
        gathering = waiting.gathering
        if gathering is None:
            self._step(waiting.task, reply, error)
            return
        if error is None:
            gathering.replies[waiting.place] = reply
        gathering.left -= 1
        if not gathering.left:
            self._step(waiting.task, tuple(gathering.replies))

    def expire(self, waiting: Waiting) -> None:
        """The time of a request is over."""
        if waiting.over or waiting.task.life != self.life:
            return
        if self.ready:
            self._settle(waiting, None, Unreachable("no reply in time"))
        else:
            self.put_off(self.expire, waiting)


def _expire(waiting: Waiting) -> None:
    waiting.task.host.expire(waiting)
