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

What an operation's end does to its session stands in ``sessions``.

An operation that has to wait for its connection is due at once and called when it is sent. The journal hears of it then, or when
it turns out that it cannot be sent.

Where clients follow the topology by themselves, an operation may leave its node to the router (``ROUTED``). The journal has the
node that was really asked. One that sends the operation on to another node has proven that it did nothing itself: the operation
goes on there, within the same call and return, and the journal has the node that was asked last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from harness.clients import CodecFactory, ProtocolBreach, Reply
from harness.clients.access import OPEN, Access
from harness.driver.cancelling import Cancelling
from harness.driver.connection import IDLE, WAITING, Client, Connection, error_text
from harness.driver.following import Following
from harness.driver.keys import Keys
from harness.driver.oddities import Oddities
from harness.driver.sessions import Sessions
from harness.driver.several import Several
from harness.driver.sockets import Sockets
from harness.history import Function, Status
from harness.journal import Journal
from harness.routing import Informed, Pooled, Router
from harness.runtimes.base import Endpoint
from harness.values import encode_value

TICK_NS = 10_000_000
STALL_NS = 20_000_000
MAX_CONNECTING = 64
MAX_HOPS = 5
"""How often an operation is sent on to another node before it has failed."""

# To look up a member of an enum takes a tenth of a microsecond, and an operation needs several.
_READ, _OK = Function.READ, Status.OK


class Loop:
    """Plays sessions against the nodes.

    Args:
        codec: makes a connection's codec.
        endpoints: where each node is reached, by node index.
        timeout_ns: how long an operation may take.
        origin_ns: the run's start on the monotonic clock.
        journal, keys: the worker's.
        processes: fresh process numbers, unique over workers.
        router: where operations go that name no node; None if all do.
        access: what connections need to be let in.
        cancelling: which operations are given up in flight.
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
        cancelling: Cancelling,
        router: Router | None = None,
        access: Access = OPEN,
    ) -> None:
        self._timeout_ns = timeout_ns
        self._origin_ns = origin_ns
        self._journal = journal
        self._keys = keys
        self._oddities = Oddities(journal)
        self._several = Several(codec(), journal, keys, self._oddities)
        self._sessions = Sessions(journal, keys, processes, self._oddities, self._several)
        self._cancelling = cancelling
        self._encode = codec().request
        self._router = router
        self._pooled = router if isinstance(router, Pooled) else None
        self._sockets = Sockets(codec, endpoints, origin_ns, (router.greeting,) if router and router.greeting else (), access)
        self._following = Following(router, endpoints, self._sockets, self._complain) if isinstance(router, Informed) else None
        self._tick_ns = self._turn_ns = self.now_ns()

    def now_ns(self) -> int:
        """Time since the run's start."""
        return time.monotonic_ns() - self._origin_ns

    def watch(self, fd: int, readable: Callable[[], None]) -> None:
        """Call ``readable`` whenever ``fd`` has something to read."""
        self._sockets.watch(fd, readable)

    def stop(self) -> None:
        """Invoke nothing more; ``run`` returns once everything in flight has ended."""
        self._sessions.stopping = True

    def open(self, clients: Iterable[Client], nodes: Iterable[int], within_ns: int) -> None:
        """Connect every client to every node ahead of the start. What fails is tried again when it is needed."""
        wanted = [(client, node) for node in nodes for client in clients if client.connections[node] is None]
        end_ns = self.now_ns() + within_ns
        opening: list[Connection] = []
        while (wanted or opening) and self.now_ns() < end_ns and not self._sessions.stopping:
            while wanted and len(opening) < MAX_CONNECTING:
                try:
                    opening.append(self._sockets.connect(*wanted.pop()))
                except OSError:
                    continue
            self._turn(TICK_NS)
            opening = [each for each in opening if each.client.connections[each.node] is each and not each.open]

    def run(self, clients: list[Client], begin_ns: int, end_ns: int) -> int:
        """Play ``clients`` from ``begin_ns`` until ``end_ns``, ``stop`` or the end of all sessions; when the last one ended."""
        sessions = self._sessions
        sessions.start(clients, begin_ns)
        self._turn_ns = self.now_ns()
        while not sessions.stopping and not sessions.over:
            left_ns = end_ns - self.now_ns()
            if left_ns <= 0:
                break
            self._turn(min(left_ns, TICK_NS))
        sessions.invoke_no_more()
        while sessions.in_flight:
            self._turn(TICK_NS)
        for client in clients:
            client.steps.close()
        self._count()
        return self.now_ns()

    def close(self, clients: Iterable[Client]) -> None:
        """Close the connections of ``clients``."""
        for client in clients:
            for connection in client.connections:
                if connection is not None:
                    self._sockets.drop(connection)

    def _count(self) -> None:
        diverted = self._pooled.diverted if self._pooled else 0
        self._journal.count(*self._sessions.ended, cancelled=self._cancelling.count, diverted=diverted)

    def _turn(self, wait_ns: int) -> None:
        """One turn of the loop; see the module."""
        sessions = self._sessions
        punctual = False
        if sessions.ready:
            wait_ns = 0
        elif sessions.later:
            until_due_ns = sessions.later[0][0] - self.now_ns()
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
        if sessions.clients and woke_ns - self._turn_ns > wait_ns + STALL_NS:
            self._journal.note(stall=(self._turn_ns, woke_ns))
        self._turn_ns = woke_ns

        if sessions.later:
            sessions.wake(self.now_ns())
        if not sessions.stopping:
            for client in sessions.ready:
                self._invoke(client)
            sessions.ready.clear()

    def _invoke(self, client: Client) -> None:
        """Send what ``client`` wants next, or see to the connection that it needs for that."""
        node = client.operation[2]
        if node < 0:
            node = self._place(client)
        client.node = node
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

    def _place(self, client: Client) -> int:
        """Where the router sends the operation that names no node."""
        if self._router is None:
            raise RuntimeError("an operation names no node, and the candidate's clients have no routing")
        if client.operation.beside:
            raise RuntimeError("an operation for several keys names no node, and no node may have all of them")
        client.hops = 0
        name, function = self._keys.names[client.operation.key], client.operation.function
        return self._router.place(name, function, client.session, self.now_ns())

    def _send(self, client: Client, connection: Connection) -> None:
        """Call what ``client`` wants: stamp, journal, send."""
        client.call_ns = time.monotonic_ns() - self._origin_ns
        self._sessions.begin(client)
        if client.operation[2] < 0 and self._router is not None:
            ahead = self._router.ahead(client.node, client.session)
            if ahead:
                connection.ahead += (ahead,)
        self._transmit(client, connection, self._request(client))

    def _request(self, client: Client) -> bytes:
        """The bytes of the operation in flight."""
        function, key, _, version, _, _, beside = client.operation
        if beside:
            return self._several.request(client)
        if function is _READ:
            return self._keys.reads[key]
        name = self._keys.names[key]
        return self._encode(function, name, encode_value(name, version, client.op))

    def _transmit(self, client: Client, connection: Connection, request: bytes) -> None:
        if connection.ahead:
            connection.codec.sent_ahead(len(connection.ahead))
            request = b"".join((*connection.ahead, request))
            connection.ahead = ()
        try:
            sent = connection.send(request)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            # The kernel took nothing: whatever is wrong with the connection, this operation never left.
            self._sockets.drop(connection)
            self._sessions.end(client, self.now_ns(), Status.FAIL, f"not sent: {error_text(error.errno)}")
            return
        if sent < len(request):
            self._sockets.send_later(connection, request[sent:])
        if self._cancelling.active and self._cancelling.strikes(connection.node):
            self._sockets.drop(connection)
            self._sessions.end(client, self.now_ns(), Status.INFO, "cancelled")

    def _answer(self, connection: Connection, data: bytes, at_ns: int) -> None:
        """Take in bytes from a server; if they make the answer whole, its session goes on."""
        client = connection.client
        if client.op == IDLE or client.node != connection.node:
            self._oddities.answered(client, connection.node, "unasked", data, at_ns)
            self._sockets.drop(connection)
            return
        operation, codec = client.operation, connection.codec
        try:
            reply = self._several.feed(codec, data, client) if operation[6] else codec.feed(data, operation[0])
        except ProtocolBreach as breach:
            self._oddities.answered(client, connection.node, "no reply of this protocol", data, at_ns)
            self._lose(connection, f"protocol error: {breach}", at_ns)
            return
        if reply is None:
            return
        if connection.unsent or not codec.idle():
            # Answered before all was asked, or more than once: the next operation could not tell its own answer here.
            self._oddities.answered(client, connection.node, "out of step", data, at_ns)
            self._sockets.drop(connection)
        if reply.status is not _OK:
            if self._router is None or reply.status is not Status.FAIL or not self._sent_on(client, reply, at_ns):
                self._sessions.end(client, at_ns, reply.status, reply.error)
            return
        self._sessions.succeed(client, at_ns, reply)

    def _sent_on(self, client: Client, reply: Reply, at_ns: int) -> bool:
        """Whether the operation in flight, which its node refused, goes on at another one that the node named."""
        router, node, key = self._router, client.node, client.operation.key
        assert router is not None  # noqa: S101 - the caller has seen to it
        if not reply.redirect:
            router.refused(node, reply.error, at_ns)
            return False
        if client.operation.node >= 0 or client.hops == MAX_HOPS:
            return False
        redirect = router.redirected(self._keys.names[key], reply.redirect, node)
        if redirect is None:
            self._oddities.answered(client, node, "sends the client to a node that is none", reply.redirect.encode(), at_ns)
            return False
        client.hops += 1
        client.node = redirect.node
        self._journal.moved(client.op, redirect.node)
        connection = client.connections[redirect.node]
        if connection is None:
            try:
                connection = self._sockets.connect(client, redirect.node)
            except OSError as error:
                self._refuse(client, at_ns, f"connect: {error_text(error.errno)}")
                return True
        if redirect.ahead:
            connection.ahead += (redirect.ahead,)
        if connection.open:
            self._transmit(client, connection, self._request(client))
        else:
            client.sending_on = self._request(client)
        return True

    def _opened(self, connection: Connection) -> None:
        """The opening of a connection can go on, or has ended, one way or the other."""
        client = connection.client
        refusal = self._sockets.establish(connection)
        if refusal is None:
            return
        if refusal and self._router is not None:
            self._router.lost(connection.node, self.now_ns())
        if client.node != connection.node or not (client.op == WAITING or client.sending_on):
            return
        if refusal:
            self._refuse(client, self.now_ns(), refusal)
        elif client.sending_on:
            request, client.sending_on = client.sending_on, b""
            self._transmit(client, connection, request)
        elif self._sessions.stopping:
            # Too late to call it.
            client.op = IDLE
        else:
            self._send(client, connection)

    def _refuse(self, client: Client, at_ns: int, error: str) -> None:
        """What waited for its connection in vain is ``fail``."""
        if self._router is not None:
            self._router.lost(client.node, at_ns)
        if client.op == WAITING:
            self._sessions.begin(client)
        client.sending_on = b""
        self._sessions.end(client, at_ns, Status.FAIL, error)

    def _lose(self, connection: Connection, reason: str, at_ns: int) -> None:
        """A connection that was open is of no more use."""
        client = connection.client
        self._sockets.drop(connection)
        if self._router is not None:
            self._router.lost(connection.node, at_ns)
        if client.op != IDLE and client.node == connection.node:
            self._sessions.end(client, at_ns, Status.INFO, reason)

    def _tick(self, now_ns: int) -> None:
        """Time-outs and live counts. One scan of all clients each ``TICK_NS`` costs less than a timer for each operation."""
        self._tick_ns = now_ns + TICK_NS
        self._count()
        if self._following is not None:
            self._following.tick(now_ns)
        # Overdue before this turn received: what came while the harness stood still has been taken in by now.
        latest_ns = self._turn_ns - self._timeout_ns
        for client in self._sessions.clients:
            if client.op != IDLE and client.call_ns <= latest_ns:
                connection = client.connections[client.node]
                if connection is None:
                    continue
                if client.op != WAITING and not client.sending_on:
                    self._lose(connection, "time-out", now_ns)
                else:
                    self._sockets.drop(connection)
                    self._refuse(client, now_ns, "connect: time-out")

    def _complain(self, node: int, what: str) -> None:
        """A node that tells of the topology made no sense."""
        self._oddities.note(node, -1, what, self.now_ns())
