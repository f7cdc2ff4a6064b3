"""A virtual machine: a host in virtual time on a virtual network. Its process can stop and die, its clocks can be bent."""

from __future__ import annotations

from typing import Any

from harness.reference.deadlines import Act
from harness.reference.effects import Unreachable
from harness.reference.gates import Gates
from harness.reference.host import Host, Make, Waiting
from harness.reference.rules import kind_of, kind_of_reply
from harness.reference.settings import Settings
from harness.simulation.engine import Engine
from harness.simulation.network import Network


class Machine(Host):
    """One place of a virtual fleet.

    Attributes:
        up: whether its process runs, paused or not.
        epochs: who it has been as a source of answers, since when and until when; None for until now.
        machines: all machines of the fleet, by name.
    """

    def __init__(
        self,
        name: str,
        make: Make,
        *,
        engine: Engine,
        network: Network,
        gates: Gates,
        peers: tuple[str, ...],
        settings: Settings,
        seed: str,
    ) -> None:
        self.up = True
        self.epochs: list[tuple[int, int | None, str]] = [(engine.now_ns, None, "life 1")]
        self.machines: dict[str, Machine] = {}
        self._make = make
        self._engine = engine
        self._network = network
        self._backlog: list[tuple[Act, Any]] = []
        self._rate = 1.0
        self._monotonic_base = (0, 0)
        self._wall_offset_ns = 0
        super().__init__(name, make, timer=engine, gates=gates, peers=peers, settings=settings, seed=seed)

    def start(self) -> None:
        """Let the actor begin what it does by itself."""
        self.actor.start()

    def monotonic_ns(self) -> int:
        """See ``harness.reference.node.Place``."""
        since_ns, at_ns = self._monotonic_base
        passed_ns = self._engine.now_ns - since_ns
        return at_ns + (passed_ns if self._rate == 1.0 else int(passed_ns * self._rate))

    def wall_ns(self) -> int:
        """See ``harness.reference.node.Place``."""
        return self.monotonic_ns() + self._wall_offset_ns

    def lasts_ns(self, ns: int) -> int:
        """As long as the machine's own clock takes for it."""
        return ns if self._rate == 1.0 else int(ns / self._rate)

    def send(self, to: str, message: Any) -> None:
        """See ``harness.reference.node.Place``."""
        network, name = self._network, self.name
        network.send((name, to), self.machines[to].heard, (name, message), kind_of(message) if network.rules else "")

    def ask(self, to: str, request: Any, waiting: Waiting) -> None:
        """See ``Host``."""
        network, name = self._network, self.name
        network.send((name, to), self.machines[to].asked, (name, request, waiting), kind_of(request) if network.rules else "")

    def asked(self, envelope: tuple[str, Any, Waiting]) -> None:
        """A request of another machine."""
        if not self.ready:
            self.put_off(self.asked, envelope)
            return
        source, request, waiting = envelope
        network, back = self._network, (self.name, source)

        def finished(reply: Any, error: Exception | None) -> None:
            # What did not reach whom it needed says nothing: whoever asked runs into the time-out, too.
            if not isinstance(error, Unreachable):
                kind = kind_of_reply(request) if network.rules else ""
                network.send(back, waiting.task.host.answered, (waiting, reply, error), kind)

        self.spawn(self.actor.serve(source, request), finished)

    def admit(self, work: tuple[Act, Any]) -> None:
        """Something of a client's: ``act(argument)`` happens once the process can see to it."""
        if self.ready:
            act, argument = work
            act(argument)
        else:
            self.put_off(self.admit, work)

    def put_off(self, act: Act, argument: Any) -> None:
        """Everything waits while the process is paused, and is lost while there is none."""
        if self.up:
            self._backlog.append((act, argument))

    def become(self, role: str) -> None:
        """A new epoch, with the process it has."""
        self._end_epoch()
        self._begin_epoch(role)

    def kill(self) -> None:
        """The process dies with all its flows; so its epoch is over."""
        self._end_epoch()
        self.up = self.ready = False
        self.life += 1
        self._backlog.clear()

    def restart(self, *, keep_data: bool) -> None:
        """The process begins again: with what it had on its disk, or without."""
        self.up = self.ready = True
        self._begin_epoch("")
        self.actor = self.actor.survivor() if keep_data else self._make(self)
        self.actor.start()

    def pause(self) -> None:
        """The process stands still; what comes for it waits."""
        self.ready = False

    def resume(self) -> None:
        """The process goes on, with what came meanwhile first."""
        self.ready = self.up
        backlog, self._backlog = self._backlog, []
        for act, argument in backlog:
            self._engine.at(self._engine.now_ns, act, argument)

    def bend_clock(self, *, wall_ns: int = 0, rate: float = 1.0, monotonic_ns: int = 0) -> None:
        """Let the clocks differ from the engine's: an offset of the wall clock, a rate, a jump of the monotonic clock forward."""
        self._monotonic_base = (self._engine.now_ns, self.monotonic_ns() + monotonic_ns)
        self._rate = rate
        self._wall_offset_ns = wall_ns

    def _begin_epoch(self, role: str) -> None:
        self.epochs.append((self._engine.now_ns, None, f"life {self.life} {role}".strip()))

    def _end_epoch(self) -> None:
        begin_ns, end_ns, identity = self.epochs[-1]
        if end_ns is None:
            self.epochs[-1] = (begin_ns, self._engine.now_ns, identity)
