"""Carrying a schedule out on a virtual fleet: one history in which its race has happened."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count as numbers

from harness.durations import UNITS
from harness.errors import HarnessError
from harness.history import Function, History
from harness.operations import Operation
from harness.reference.design import Design
from harness.reference.rules import Rule
from harness.reference.settings import Settings
from harness.simulation.clients import Client
from harness.simulation.fleet import Fleet
from harness.simulation.script import EVERY, Answered, AtGate, Cut, Deliver, Invoke, Jump, Meddle, Pass, Process, Step
from harness.simulation.settling import settle

TIMEOUT_NS = 1_000 * UNITS["ms"]
_WORKLOAD = "schedule"


def force(
    design: Design,
    steps: Sequence[Step],
    *,
    count: int,
    settings: Settings,
    settle_ns: int,
    seed: int = 0,
    lenient: bool = False,
) -> History:
    """The history of ``steps`` on a fleet of ``design``, with convergence probes for ``settle_ns`` at its end.

    Raises ``HarnessError`` for a step that cannot be taken: a place that is not there, an answer that does not come. ``lenient``
    leaves it out; and a write of a key of whose last write nobody knows what became of it, as the driver's sessions do: the older
    one may still come.
    """
    stage = _Stage(Fleet(design, count, settings, seed, TIMEOUT_NS), careful=lenient)
    for step in steps:
        try:
            stage.take(step)
        except HarnessError:
            if not lenient:
                raise
    return stage.finish(settle_ns)


class _Stage:
    def __init__(self, fleet: Fleet, *, careful: bool) -> None:
        self._fleet = fleet
        self._careful = careful
        self._sessions: dict[str, Client] = {}
        self._versions: dict[str, int] = {}
        self._writers: dict[str, tuple[Client, int]] = {}
        self._groups = numbers()
        fleet.clients.number(1_000)

    def take(self, step: Step) -> None:
        """Take one step."""
        fleet = self._fleet
        match step:
            case Invoke(_, session, function, keys, node):
                for name in fleet.names if node == EVERY else (node,):
                    self._invoke(step, session, function, keys, name)
            case Answered(_, session):
                client = self._sessions.get(session)
                if client is None:
                    raise _no(step, f"{session} has done nothing so far")
                self._run(client, whatever=True)
                if client.op >= 0:
                    raise _no(step, "no answer comes")
            case Pass(_, ns):
                fleet.engine.run(fleet.engine.now_ns + ns)
            case AtGate(_, shut, gate, place):
                self._check(step, place)
                (fleet.gates.shut if shut else fleet.gates.open)(place, gate)
            case Meddle(_, act, count, kind, source, target):
                self._check(step, source, target)
                fleet.network.rules.setdefault((source, target), []).append(Rule(kind, act, count))
            case Deliver(_, source, target):
                fleet.network.release((source, target))
            case Cut(_, cut, one, other):
                self._check(step, one, other)
                for ends in ((one, other), (other, one)):
                    if cut:
                        fleet.network.bend(ends).cut = True
                    else:
                        fleet.network.mend(ends)
            case Process(_, act, place, keep_data):
                self._check(step, place)
                if fleet.machines[place].up == (act == "restart"):
                    raise _no(step, f"{place} {'runs' if act == 'restart' else 'does not run'}")
                match act:
                    case "pause":
                        fleet.machines[place].pause()
                    case "resume":
                        fleet.machines[place].resume()
                    case "kill":
                        fleet.machines[place].kill()
                    case _:
                        fleet.machines[place].restart(keep_data=keep_data)
            case Jump(_, place, ns):
                self._check(step, place)
                fleet.machines[place].bend_clock(wall_ns=ns)

    def finish(self, settle_ns: int) -> History:
        """Probe until the fleet has converged, and collect what was seen."""
        clients, settled_ns = settle(self._fleet, settle_ns, len(self._sessions), workload=1)
        return self._fleet.history([*self._sessions.values(), *clients], (_WORKLOAD, "settle"), settled_ns=settled_ns)

    def _invoke(self, step: Step, session: str, function: Function, keys: tuple[str, ...], node: str) -> None:
        fleet = self._fleet
        if node not in fleet.names:
            raise _no(step, f"there is no {node} among {', '.join(fleet.names)}")
        client = self._sessions.get(session)
        if client is None:
            client = self._sessions[session] = Client(None, 0, len(self._sessions))
        if client.op >= 0:
            raise _no(step, f"{session} still waits for an answer")
        (index, version), *beside = [self._item(step, client, function, key) for key in keys]
        group = next(self._groups) if beside else -1
        # What is called at the very time at which something else returns counts as concurrent with it.
        fleet.engine.run(fleet.engine.now_ns + 1)
        operation = Operation(function, index, fleet.names.index(node), version, group=group, beside=tuple(beside))
        fleet.clients.invoke(client, operation)
        self._run(client)

    def _item(self, step: Step, client: Client, function: Function, key: str) -> tuple[int, int]:
        """The index of ``key``, and the version to write."""
        index = self._fleet.rows.index.get(key)
        if index is None:
            index = self._fleet.rows.add(key)
        if function is Function.READ:
            return index, -1
        writer, process = self._writers.get(key, (client, client.process))
        if self._careful and writer.process != process:
            raise _no(step, f"nobody knows what became of the last write of {key}")
        self._writers[key] = (client, client.process)
        self._versions[key] = self._versions.get(key, 0) + 1
        return index, self._versions[key]

    def _run(self, client: Client, *, whatever: bool = False) -> None:
        """Let things happen until the operation of ``client`` is over, or something is held that was not."""
        engine = self._fleet.engine
        before = self._held()
        engine.run_while(lambda: client.op >= 0 and (whatever or self._held() == before), engine.now_ns + TIMEOUT_NS)

    def _held(self) -> int:
        network = self._fleet.network
        return self._fleet.gates.crowd() + sum(len(rule.held) for rules in network.rules.values() for rule in rules)

    def _check(self, step: Step, *places: str) -> None:
        for place in places:
            if place not in self._fleet.machines and place != "client":
                raise _no(step, f"there is no {place} among {', '.join(self._fleet.machines)}")


def _no(step: Step, why: str) -> HarnessError:
    return HarnessError(f'the step "{step.text}" cannot be taken', why=why)
