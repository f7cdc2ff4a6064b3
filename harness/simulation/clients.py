"""The virtual clients: sessions whose operations go to virtual nodes, with the same rules as ``harness.driver``.

An operation without an answer in time is ``info``, and its session goes on as a new process. An answer that comes later is
nobody's. A read that could not be served is ``fail``, and so is a write that was refused; a write of which the node itself does
not know what became of it is ``info``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from harness.history import NEVER, Function, Seen, Status
from harness.operations import Operation, Outcome, Session
from harness.reference.deadlines import Deadlines
from harness.reference.effects import Flow, Refused
from harness.reference.messages import Value
from harness.reference.node import Strategy
from harness.reference.places import CLIENT
from harness.simulation.engine import Engine
from harness.simulation.machine import Machine
from harness.simulation.network import Network
from harness.simulation.rows import Rows
from harness.topology import ROUTED

FAIL_PAUSE_NS = 10_000_000
"""How long a session rests after a ``fail``."""

NO_ANSWER = "no answer in time"
_NO_SIGHT = (Seen.NOTHING, -1, -1, -1)


class Client:
    """One session.

    Attributes:
        steps: the session's generator; None where somebody else invokes its operations.
        workload, session, process: as in the history.
        operation: the one in flight, with its id and call time; id -1 for none.
        until_ns: from then on it invokes nothing.
    """

    __slots__ = ("call_ns", "node", "op", "operation", "process", "session", "steps", "until_ns", "workload")

    def __init__(self, steps: Session | None, workload: int, session: int) -> None:
        self.steps = steps
        self.workload = workload
        self.session = session
        self.process = session
        self.operation: Operation | None = None
        self.op = -1
        self.call_ns = 0
        self.node = 0
        self.until_ns = NEVER


class Clients:
    """All sessions of a run.

    Args:
        engine, network: where they live.
        nodes: the cache nodes, by index.
        rows: what becomes of every operation.
        timeout_ns: how long an operation may take.

    Attributes:
        acknowledged: the highest acknowledged version, by key; nothing for none.
        in_flight: how many operations have not ended.
    """

    def __init__(self, engine: Engine, network: Network, nodes: Sequence[Machine], rows: Rows, timeout_ns: int) -> None:
        self._engine = engine
        self._network = network
        self._nodes = nodes
        self._rows = rows
        self._deadlines = Deadlines(engine, timeout_ns, _over, self._expire)
        self._ops = count()
        self._processes: Iterator[int] = count()
        self.acknowledged: dict[int, int] = {}
        self.in_flight = 0

    def number(self, first_process: int) -> None:
        """Let fresh process numbers begin at ``first_process``."""
        self._processes = count(first_process)

    def play(self, clients: Sequence[Client], begin_ns: int, until_ns: int) -> None:
        """Let every client invoke its operations from ``begin_ns`` on, none after ``until_ns``."""
        for client in clients:
            client.until_ns = until_ns
            if client.steps is not None and (operation := next(client.steps, None)) is not None:
                client.operation = operation
                self._engine.at(max(begin_ns, operation.due_ns), self._invoke, client)

    def invoke(self, client: Client, operation: Operation) -> None:
        """Call ``operation`` now, for a client that has none in flight."""
        client.operation = operation
        self._invoke(client)

    def abandon(self, clients: Sequence[Client]) -> None:
        """What is in flight has no answer when the run ends."""
        for client in clients:
            if client.op >= 0:
                self._end(client, Status.INFO, self._rows.error(NO_ANSWER))

    def _invoke(self, client: Client) -> None:
        now_ns = self._engine.now_ns
        if now_ns >= client.until_ns:
            return
        operation = client.operation
        assert operation is not None  # noqa: S101 - whoever plans this has set it
        node = operation.node if operation.node != ROUTED else operation.key % len(self._nodes)
        client.op = op = next(self._ops)
        for _ in operation.beside:
            next(self._ops)  # every key has a row, so a number of its own: those after the first one's
        client.call_ns = now_ns
        client.node = node
        self.in_flight += 1
        machine = self._nodes[node]
        work = (self._serve, (client, op, machine, operation))
        network = self._network
        network.send((CLIENT, machine.name), machine.admit, work, operation.function.name if network.rules else "")
        self._deadlines.begin((client, op))

    def _serve(self, envelope: tuple[Client, int, Machine, Operation]) -> None:
        client, op, machine, operation = envelope

        def finished(found: Any, error: Exception | None) -> None:
            self._network.send((machine.name, CLIENT), self._answered, (client, op, found, error))

        machine.spawn(self._flow(machine.actor, op, operation), finished)

    def _flow(self, strategy: Any, op: int, operation: Operation) -> Flow[Any]:
        node: Strategy = strategy
        names, gone = self._rows.keys, operation.function is Function.DELETE
        if operation.function is Function.READ:
            if operation.beside:
                return node.read_many(tuple(names[key] for key, _ in operation.items))
            return node.read(names[operation.key])
        if operation.beside:
            return node.write_many(
                tuple(Value(names[key], version, number, gone) for number, (key, version) in enumerate(operation.items, op))
            )
        return node.write(Value(names[operation.key], operation.version, op, gone))

    def _answered(self, answer: tuple[Client, int, Any, Exception | None]) -> None:
        client, op, found, error = answer
        if client.op != op:
            return  # too late: nobody waits for it any more
        operation = client.operation
        assert operation is not None  # noqa: S101 - it is in flight
        reads = operation.function is Function.READ
        if error is not None:
            certain = reads or isinstance(error, Refused)
            self._end(client, Status.FAIL if certain else Status.INFO, self._rows.error(str(error)))
        elif reads:
            self._end(client, Status.OK, found=found if operation.beside else (found,))
        else:
            for key, version in operation.items:
                if version > self.acknowledged.get(key, 0):
                    self.acknowledged[key] = version
            self._end(client, Status.OK)

    def _expire(self, wait: tuple[Client, int]) -> None:
        client, op = wait
        if client.op == op:
            self._end(client, Status.INFO, self._rows.error(NO_ANSWER))

    def _end(self, client: Client, status: Status, error: int = -1, found: tuple[Value | None, ...] = ()) -> None:
        """Write the operation down, with what a read has ``found`` of each key, and let the session go on."""
        now_ns = self._engine.now_ns
        operation = client.operation
        assert operation is not None  # noqa: S101 - it is in flight
        function, _, _, _, due_ns, group, _ = operation
        sights = [self._sight(value) for value in found] or [_NO_SIGHT] * (1 + len(operation.beside))
        for op, (key, version), sight in zip(count(client.op), operation.items, sights, strict=False):
            self._rows.ended.append((
                op, group, client.workload, client.session, client.process, client.node, function, key,
                due_ns or client.call_ns, client.call_ns, version, NEVER if status is Status.INFO else now_ns,
                status, *sight, error,
            ))  # fmt: skip
        client.op = -1
        client.operation = None
        self.in_flight -= 1
        if status is Status.INFO:
            client.process = next(self._processes)
        if client.steps is None or now_ns >= client.until_ns:
            return
        try:
            (seen, _, version, _), *others = sights
            beside = tuple((other, number) for other, _, number, _ in others)
            operation = client.steps.send(Outcome(status, client.call_ns, now_ns, seen, version, beside))
        except StopIteration:
            return
        client.operation = operation
        pause_ns = FAIL_PAUSE_NS if status is Status.FAIL else 0
        self._engine.at(max(now_ns + pause_ns, operation.due_ns), self._invoke, client)

    def _sight(self, value: Value | None) -> tuple[Seen, int, int, int]:
        """What a read has seen: what that is, and the key, the version and the operation in it."""
        if value is None or value.gone:
            return Seen.ABSENT, -1, -1, -1
        return Seen.HIT, self._rows.index.get(value.key, -1), value.version, value.op


def _over(wait: tuple[Client, int]) -> bool:
    client, op = wait
    return client.op != op
