"""The loop of one worker: one thread that plays sessions, every time taken at the socket.

Each turn, in this order:

1. wait for sockets, at most until the next operation is due;
2. receive from every ready socket, and stamp each at once: nothing else may delay a return time;
3. parse the answers, journal the completions, let their sessions say what they want next;
4. now and then: time-outs, live counts;
5. invoke what is due: stamp, journal, send.

So completions are polled strictly before new invocations, which keeps operations that did not overlap from looking as if they
had. A turn that took much longer than it asked for is a stall of the harness itself, and is recorded as one; nor does a stall
make time-outs: an answer that came meanwhile is received before its time is called.

What an operation's end does to its session:

===================================  ===================  =========================================================
refused by the network or unsent     ``fail``             goes on after a short pause, lest it spin
answered                             as the codec says    goes on; after a ``fail`` with the same pause
time-out while connecting            ``fail``             goes on after the pause
time-out after sending               ``info``             goes on as a new process, on a new connection: a late answer
                                                          must never be taken for another operation's
connection lost after sending        ``info``             goes on as a new process, on a new connection
===================================  ===================  =========================================================

An operation that has to wait for its connection is due at once and called when it is sent. The journal hears of it then, or when
it turns out that it cannot be sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush

from harness.clients import CodecFactory, ProtocolBreach, Reply
from harness.clients.values import encode_value
from harness.driver.connection import IDLE, WAITING, Client, Connection, error_text
from harness.driver.keys import Keys
from harness.driver.sockets import Sockets
from harness.history import NEVER, Function, Seen, Status
from harness.journal import Journal
from harness.operations import Outcome
from harness.runtimes.base import Endpoint

TICK_NS = 10_000_000
STALL_NS = 20_000_000
FAIL_PAUSE_NS = 10_000_000
"""How long a session rests after a ``fail``: a refused connection answers in microseconds, and would be asked again at once."""

MAX_CONNECTING = 64
MAX_ODDITIES = 20

# To look up a member of an enum takes a tenth of a microsecond, and an operation needs several.
_READ, _OK, _HIT, _GARBAGE = Function.READ, Status.OK, Seen.HIT, Seen.GARBAGE


class Loop:
    """Plays sessions against the nodes.

    Args:
        codec: makes a connection's codec.
        endpoints: where each node is reached, by node index.
        timeout_ns: how long an operation may take.
        origin_ns: the run's start on the monotonic clock.
        journal, keys: the worker's.
        processes: fresh process numbers, unique over workers.
    """

    def __init__(
        self,
        *,
        codec: CodecFactory,
        endpoints: Sequence[Endpoint],
        timeout_ns: int,
        origin_ns: int,
        journal: Journal,
        keys: Keys,
        processes: Iterable[int],
    ) -> None:
        self._timeout_ns = timeout_ns
        self._origin_ns = origin_ns
        self._journal = journal
        self._keys = keys
        self._processes = iter(processes)
        self._encode = codec().request
        self._sockets = Sockets(codec, endpoints, origin_ns)
        self._clients: list[Client] = []
        self._later: list[tuple[int, int, Client]] = []
        self._ready: list[Client] = []
        self._stopping = False
        self._oddities = 0
        self._ended = [0, 0, 0]
        self._tick_ns = self._turn_ns = self.now_ns()

    def now_ns(self) -> int:
        """Time since the run's start."""
        return time.monotonic_ns() - self._origin_ns

    def watch(self, fd: int, readable: Callable[[], None]) -> None:
        """Call ``readable`` whenever ``fd`` has something to read."""
        self._sockets.watch(fd, readable)

    def stop(self) -> None:
        """Invoke nothing more; ``run`` returns once everything in flight has ended."""
        self._stopping = True

    def open(self, clients: Iterable[Client], nodes: Iterable[int], within_ns: int) -> None:
        """Connect every client to every node ahead of the start. What fails is tried again when it is needed."""
        wanted = [(client, node) for node in nodes for client in clients if client.connections[node] is None]
        end_ns = self.now_ns() + within_ns
        opening: list[Connection] = []
        while (wanted or opening) and self.now_ns() < end_ns and not self._stopping:
            while wanted and len(opening) < MAX_CONNECTING:
                try:
                    opening.append(self._sockets.connect(*wanted.pop()))
                except OSError:
                    continue
            self._turn(TICK_NS)
            opening = [each for each in opening if each.client.connections[each.node] is each and not each.open]

    def run(self, clients: list[Client], begin_ns: int, end_ns: int) -> int:
        """Play ``clients`` from ``begin_ns`` until ``end_ns``, ``stop`` or the end of all sessions; when the last one ended."""
        self._clients = clients
        self._later = []
        self._stopping = False
        for client in clients:
            operation = next(client.steps, None)
            if operation is not None:
                client.operation = operation
                heappush(self._later, (max(begin_ns, operation.due_ns), client.session, client))
        self._turn_ns = self.now_ns()
        while not self._stopping and (self._later or self._ready or self._in_flight()):
            left_ns = end_ns - self.now_ns()
            if left_ns <= 0:
                break
            self._turn(min(left_ns, TICK_NS))
        self._stopping = True
        self._later.clear()
        self._ready.clear()
        while self._in_flight():
            self._turn(TICK_NS)
        for client in clients:
            client.steps.close()
        self._journal.count(*self._ended)
        return self.now_ns()

    def close(self, clients: Iterable[Client]) -> None:
        """Close the connections of ``clients``."""
        for client in clients:
            for connection in client.connections:
                if connection is not None:
                    self._sockets.drop(connection)

    def _in_flight(self) -> bool:
        return any(client.op != IDLE for client in self._clients)

    def _turn(self, wait_ns: int) -> None:
        """One turn of the loop; see the module."""
        punctual = False
        if self._ready:
            wait_ns = 0
        elif self._later:
            until_due_ns = self._later[0][0] - self.now_ns()
            if until_due_ns < wait_ns:
                punctual, wait_ns = True, max(0, until_due_ns)
        woke_ns, answers, lost, opened = self._sockets.receive(wait_ns, punctual=punctual)
        for connection, data, at_ns in answers:
            self._answer(connection, data, at_ns)
        for connection, reason, at_ns in lost:
            self._lose(connection, reason, at_ns)
        for connection in opened:
            self._opened(connection)

        if woke_ns >= self._tick_ns:
            self._tick(woke_ns)
        if self._clients and woke_ns - self._turn_ns > wait_ns + STALL_NS:
            self._journal.note(stall=(self._turn_ns, woke_ns))
        self._turn_ns = woke_ns

        ready = self._ready
        if self._later:
            now_ns = self.now_ns()
            while self._later and self._later[0][0] <= now_ns:
                ready.append(heappop(self._later)[2])
        if not self._stopping:
            for client in ready:
                self._invoke(client)
            ready.clear()

    def _invoke(self, client: Client) -> None:
        """Send what ``client`` wants next, or see to the connection that it needs for that."""
        node = client.operation[2]
        connection = client.connections[node]
        if connection is not None and connection.open:
            self._send(client, connection)
            return
        now_ns = self.now_ns()
        client.op = WAITING
        client.call_ns = now_ns
        if not client.operation.due_ns:
            # The wait for the connection is part of the response time.
            client.operation = client.operation._replace(due_ns=now_ns)
        if connection is None:
            try:
                self._sockets.connect(client, node)
            except OSError as error:
                self._refuse(client, now_ns, f"connect: {error_text(error.errno)}")

    def _begin(self, client: Client) -> None:
        """Journal the call that ``client`` makes at its ``call_ns``."""
        function, key, node, version, due_ns, group = client.operation
        call_ns = client.call_ns
        client.op = self._journal.begin(
            due_ns or call_ns, call_ns, version, group, client.session, client.process, key, node, client.workload, function
        )

    def _send(self, client: Client, connection: Connection) -> None:
        """Call what ``client`` wants: stamp, journal, send."""
        client.call_ns = time.monotonic_ns() - self._origin_ns
        self._begin(client)
        function, key, _, version, _, _ = client.operation
        if function is _READ:
            request = self._keys.reads[key]
        else:
            name = self._keys.names[key]
            request = self._encode(function, name, encode_value(name, version, client.op))
        try:
            sent = connection.send(request)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            # The kernel took nothing: whatever is wrong with the connection, this operation never left.
            self._sockets.drop(connection)
            self._end(client, self.now_ns(), Status.FAIL, f"not sent: {error_text(error.errno)}")
            return
        if sent < len(request):
            self._sockets.send_later(connection, request[sent:])

    def _answer(self, connection: Connection, data: bytes, at_ns: int) -> None:
        """Take in bytes from a server; if they make the answer whole, its session goes on."""
        client = connection.client
        operation = client.operation
        if client.op == IDLE or operation[2] != connection.node:
            self._odd(client, connection.node, "unasked", data, at_ns)
            self._sockets.drop(connection)
            return
        function = operation[0]
        try:
            reply = connection.codec.feed(data, function)
        except ProtocolBreach as breach:
            self._odd(client, connection.node, "no reply of this protocol", data, at_ns)
            self._lose(connection, f"protocol error: {breach}", at_ns)
            return
        if reply is None:
            return
        if connection.unsent or not connection.codec.idle():
            # Answered before all was asked, or more than once: the next operation could not tell its own answer here.
            self._odd(client, connection.node, "out of step", data, at_ns)
            self._sockets.drop(connection)
        if reply.status is not _OK:
            self._end(client, at_ns, reply.status, reply.error)
            return
        self._succeed(client, at_ns, reply)

    def _succeed(self, client: Client, at_ns: int, reply: Reply) -> None:
        """The operation in flight is ``ok``."""
        function, key, _, version, _, _ = client.operation
        seen = reply.seen
        seen_key = seen_version = seen_op = -1
        if seen is _HIT:
            seen, seen_key, seen_version, seen_op = self._keys.understand(reply.value)
            if seen is _GARBAGE:
                self._odd(client, client.operation.node, "not a value of this run", reply.value, at_ns)
        elif function is not _READ and version > self._keys.acknowledged[key]:
            self._keys.acknowledged[key] = version
        self._journal.end(client.op, at_ns, _OK, seen, seen_key, seen_version, seen_op)
        client.op = IDLE
        self._ended[0] += 1
        self._resume(client, Outcome(_OK, client.call_ns, at_ns, seen, seen_version), at_ns)

    def _end(self, client: Client, at_ns: int, status: Status, error: str) -> None:
        """The operation in flight is ``fail`` or ``info``."""
        return_ns = at_ns if status is Status.FAIL else NEVER
        self._journal.end(client.op, return_ns, status, error=self._journal.error(error))
        client.op = IDLE
        self._ended[status] += 1
        if status is Status.INFO:
            client.process = next(self._processes)
            pause_ns = 0
        else:
            pause_ns = FAIL_PAUSE_NS
        self._resume(client, Outcome(status, client.call_ns, at_ns), at_ns + pause_ns)

    def _resume(self, client: Client, outcome: Outcome, not_before_ns: int) -> None:
        """Hand ``outcome`` to the session and note when its next operation is due."""
        if self._stopping:
            return
        try:
            operation = client.steps.send(outcome)
        except StopIteration:
            return
        client.operation = operation
        due_ns = operation[4]
        if due_ns > outcome.return_ns or not_before_ns > outcome.return_ns:
            heappush(self._later, (max(due_ns, not_before_ns), client.session, client))
        else:
            self._ready.append(client)

    def _opened(self, connection: Connection) -> None:
        """An attempt to connect has ended, one way or the other."""
        client = connection.client
        refusal = self._sockets.establish(connection)
        if client.op != WAITING or client.operation.node != connection.node:
            return
        if refusal:
            self._refuse(client, self.now_ns(), refusal)
        elif self._stopping:
            # Too late to call it.
            client.op = IDLE
        else:
            self._send(client, connection)

    def _refuse(self, client: Client, at_ns: int, error: str) -> None:
        """What waited for its connection in vain is ``fail``."""
        self._begin(client)
        self._end(client, at_ns, Status.FAIL, error)

    def _lose(self, connection: Connection, reason: str, at_ns: int) -> None:
        """A connection that was open is of no more use."""
        client = connection.client
        self._sockets.drop(connection)
        if client.op != IDLE and client.operation.node == connection.node:
            self._end(client, at_ns, Status.INFO, reason)

    def _tick(self, now_ns: int) -> None:
        """Time-outs and live counts. One scan of all clients each ``TICK_NS`` costs less than a timer for each operation."""
        self._tick_ns = now_ns + TICK_NS
        self._journal.count(*self._ended)
        # Overdue before this turn received: what came while the harness stood still has been taken in by now.
        latest_ns = self._turn_ns - self._timeout_ns
        for client in self._clients:
            if client.op != IDLE and client.call_ns <= latest_ns:
                connection = client.connections[client.operation.node]
                if connection is None:
                    continue
                if client.op != WAITING:
                    self._lose(connection, "time-out", now_ns)
                else:
                    self._sockets.drop(connection)
                    self._refuse(client, now_ns, "connect: time-out")

    def _odd(self, client: Client, node: int, what: str, data: bytes, at_ns: int) -> None:
        """Keep the first few answers that make no sense, word for word."""
        if self._oddities < MAX_ODDITIES:
            self._oddities += 1
            self._journal.note(oddity=f"{what}: {data[:200]!r}", node=node, key=client.operation.key, at=at_ns)
