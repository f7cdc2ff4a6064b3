"""The sessions that one worker plays: whose turn it is and when, and what becomes of the operation that each has in flight.

What an operation's end does to its session:

===================================  ===================  =========================================================
refused by the network or unsent     ``fail``             goes on after a short pause, lest it spin
answered                             as the codec says    goes on; after a ``fail`` with the same pause
time-out while connecting            ``fail``             goes on after the pause
time-out after sending               ``info``             goes on as a new process, on a new connection: a late answer
                                                          must never be taken for another operation's
connection lost after sending        ``info``             goes on as a new process, on a new connection
cancelled, because a fault says so   ``info``             as if the connection were lost: it is closed right after sending
===================================  ===================  =========================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

from harness.clients import Reply
from harness.driver.connection import IDLE, Client
from harness.driver.keys import Keys
from harness.driver.oddities import Oddities
from harness.driver.several import Several
from harness.history import NEVER, Function, Seen, Status
from harness.journal import Journal
from harness.operations import Outcome

FAIL_PAUSE_NS = 10_000_000
"""How long a session rests after a ``fail``: a refused connection answers in microseconds, and would be asked again at once."""

# To look up a member of an enum takes a tenth of a microsecond, and an operation needs several.
_READ, _OK, _HIT, _GARBAGE = Function.READ, Status.OK, Seen.HIT, Seen.GARBAGE


class Sessions:
    """Those of one worker.

    Args:
        journal, keys: the worker's.
        processes: fresh process numbers, unique over workers.
        oddities: where answers go that make no sense.
        several: for the further keys of requests of several.

    Attributes:
        clients: who plays them.
        later: whose operation is due when, as a heap.
        ready: whose operation is due.
        stopping: whether nothing more is to be invoked.
        ended: how many requests were ok, fail and info.
    """

    def __init__(self, journal: Journal, keys: Keys, processes: Iterable[int], oddities: Oddities, several: Several) -> None:
        self._journal = journal
        self._keys = keys
        self._processes = iter(processes)
        self._oddities = oddities
        self._several = several
        self.clients: Sequence[Client] = ()
        self.later: list[tuple[int, int, Client]] = []
        self.ready: list[Client] = []
        self.stopping = False
        self.ended = [0, 0, 0]

    def start(self, clients: Sequence[Client], begin_ns: int) -> None:
        """Let ``clients`` want their first operations, from ``begin_ns`` on."""
        self.clients = clients
        self.later = []
        self.stopping = False
        for client in clients:
            operation = next(client.steps, None)
            if operation is not None:
                client.operation = operation
                heappush(self.later, (max(begin_ns, operation.due_ns), client.session, client))

    @property
    def over(self) -> bool:
        """Whether nobody wants anything any more."""
        return not (self.later or self.ready or self.in_flight)

    @property
    def in_flight(self) -> bool:
        """Whether anybody waits for an answer or a connection."""
        return any(client.op != IDLE for client in self.clients)

    def wake(self, now_ns: int) -> None:
        """Whose operation is due by now is ready."""
        while self.later and self.later[0][0] <= now_ns:
            self.ready.append(heappop(self.later)[2])

    def invoke_no_more(self) -> None:
        """Forget what is wanted; what is in flight will end."""
        self.stopping = True
        self.later.clear()
        self.ready.clear()

    def begin(self, client: Client) -> None:
        """Journal the call that ``client`` makes at its ``call_ns``."""
        function, key, _, version, due_ns, group, beside = client.operation
        call_ns = client.call_ns
        client.op = self._journal.begin(
            due_ns or call_ns,
            call_ns,
            version,
            group,
            client.session,
            client.process,
            key,
            client.node,
            client.workload,
            function,
        )
        if beside:
            self._several.begin(client)

    def succeed(self, client: Client, at_ns: int, reply: Reply) -> None:
        """The operation in flight is ``ok``."""
        operation = client.operation
        seen = reply.seen
        seen_key = seen_version = seen_op = -1
        if seen is _HIT:
            seen, seen_key, seen_version, seen_op = self._keys.understand(reply.value)
            if seen is _GARBAGE:
                self._oddities.answered(client, client.node, "not a value of this run", reply.value, at_ns)
        elif operation[0] is not _READ and operation[3] > self._keys.acknowledged[operation[1]]:
            self._keys.acknowledged[operation[1]] = operation[3]
        self._journal.end(client.op, at_ns, _OK, seen, seen_key, seen_version, seen_op)
        beside = self._several.succeed(client, at_ns, reply) if operation[6] else ()
        client.op = IDLE
        self.ended[0] += 1
        self._resume(client, Outcome(_OK, client.call_ns, at_ns, seen, seen_version, beside), at_ns)

    def end(self, client: Client, at_ns: int, status: Status, error: str) -> None:
        """The operation in flight is ``fail`` or ``info``."""
        return_ns = at_ns if status is Status.FAIL else NEVER
        code = self._journal.error(error)
        self._journal.end(client.op, return_ns, status, error=code)
        beside = self._several.end(client, return_ns, status, code) if client.operation.beside else ()
        client.op = IDLE
        self.ended[status] += 1
        if status is Status.INFO:
            client.process = next(self._processes)
            pause_ns = 0
        else:
            pause_ns = FAIL_PAUSE_NS
        self._resume(client, Outcome(status, client.call_ns, at_ns, beside=beside), at_ns + pause_ns)

    def _resume(self, client: Client, outcome: Outcome, not_before_ns: int) -> None:
        """Hand ``outcome`` to the session and note when its next operation is due."""
        if self.stopping:
            return
        try:
            operation = client.steps.send(outcome)
        except StopIteration:
            return
        client.operation = operation
        due_ns = operation[4]
        if due_ns > outcome.return_ns or not_before_ns > outcome.return_ns:
            heappush(self.later, (max(due_ns, not_before_ns), client.session, client))
        else:
            self.ready.append(client)
