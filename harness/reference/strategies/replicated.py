"""The cache servers are the store: one primary, replicas, and a fail-over that loses nothing. A replicated log, as in Raft.

Every node has the log of all writes on its disk. The primary of a *term* appends a write, sends it to the others, and
acknowledges it once a majority has it. A node that has heard of no primary for a while begins a new term and asks for votes. It
becomes primary if a majority votes for it; nobody votes twice in a term, nor for a log that lacks something its own log has. So a
term has one primary, its log has everything that was ever acknowledged, and the old primary is *fenced*: it finds no majority any
more. What it appended in vain is cut off when it hears of the new one.

Any node takes requests and passes them on to the primary, which answers a read only after a majority has confirmed, since the
read began, that it still is the primary: no clock has to be right. A write that comes twice is carried out once.

Promise: linearizable, and no acknowledged write is lost. Without a majority there is no answer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from harness.plan import Contract
from harness.reference.design import Design, exact
from harness.reference.effects import Call, Flow, Gate, Latch, Open, Refused, Sleep, Unreachable, Wait
from harness.reference.messages import Value
from harness.reference.node import Actor, Place, Strategy
from harness.reference.replication import Append, Appended, Ballot, Disk, Entry, Office, ReadThere, Vote, WriteThere
from harness.reference.settings import Settings


class Replicated(Strategy):
    """One node.

    Attributes:
        disk: what it has written down.
        office: what it knows as the primary; None while it is none.
        primary: who is, as far as it has heard; empty if nobody.
        values: the state that the committed entries make.
        committed: how many entries of the log that is.
        done: the operations that have been carried out.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.disk = Disk()
        self.office: Office | None = None
        self.primary = ""
        self.values: dict[str, Value] = {}
        self.committed = 0
        self.done: set[int] = set()
        self._others = tuple(peer for peer in place.peers if peer != place.name)
        self._votes: set[str] = set()
        self._heard_ns = place.monotonic_ns()
        self._writes: list[tuple[int, Latch]] = []

    def survivor(self) -> Actor:
        """Somebody who knows what is on the disk."""
        again = type(self)(self.place)
        again.disk = self.disk
        return again

    def start(self) -> None:
        """Watch for a primary; the first node of a new fleet stands for it at once."""
        self.place.spawn(self._watch())
        if self.disk.term == 0 and self.place.name == self.place.peers[0]:
            self.stand()

    def quorum(self) -> int:
        """How many nodes must agree to anything."""
        return len(self.place.peers) // 2 + 1

    # What clients want.

    def read(self, key: str) -> Flow[Value | None]:
        """At the primary."""
        value: Value | None = yield from self._at_primary(ReadThere(key))
        return value

    def write(self, value: Value) -> Flow[None]:
        """At the primary."""
        yield from self._at_primary(WriteThere(value))

    def _at_primary(self, request: ReadThere | WriteThere) -> Flow[Any]:
        """Carry ``request`` out at whoever is primary, or wait until somebody is."""
        until_ns = self.place.monotonic_ns() + self.settings.call_timeout_ns
        while True:
            try:
                if self.office is None and self.primary:
                    return (yield Call(self.primary, request))
                return (yield from self.serve(self.place.name, request))
            except Refused:
                if self.place.monotonic_ns() >= until_ns:
                    raise
                yield Sleep(self.settings.retry_ns)

    def serve(self, source: str, request: Any) -> Flow[Any]:
        """Carry a request out as the primary."""
        if self.office is None:
            raise Refused("this node is not the primary")
        match request:
            case ReadThere(key):
                yield from self.confirm(self.office)
                return self.values.get(key)
            case WriteThere(value):
                self.disk.log.append(Entry(self.disk.term, value))
                self.tell_all(self.office)
                yield from self.replicate(len(self.disk.log))
                yield Gate("write.after-commit", value.key)
                return None
        return (yield from super().serve(source, request))

    def confirm(self, office: Office) -> Flow[None]:
        """Wait until a majority has said, since now, that this node is the primary, and it has all that was ever acknowledged."""
        latch = Latch()
        office.reads.append((office.turn + 1, self.place.monotonic_ns(), latch))
        self.tell_all(office)
        if not (yield Wait(latch)):
            raise Refused("this node is no longer the primary")
        yield from self.replicate(office.begun)
        yield Gate("read.after-confirm")

    def replicate(self, length: int) -> Flow[None]:
        """Wait until a majority has the first ``length`` entries of the log."""
        if self.committed < length:
            latch = Latch()
            self._writes.append((length, latch))
            if not (yield Wait(latch)):
                raise Unreachable("this node is no longer the primary")

    # Who is primary.

    def _watch(self) -> Flow[None]:
        """Stand for primary whenever nothing has been heard of one for a while: not all nodes at the same time."""
        while True:
            patience_ns = round(self.settings.silence_ns * (1 + self.place.random.random()))
            while (left_ns := self._heard_ns + patience_ns - self.place.monotonic_ns()) > 0:
                yield Sleep(left_ns)
            if self.office is None:
                self.stand()
            self._heard_ns = self.place.monotonic_ns()

    def stand(self) -> None:
        """Begin a term, and ask for votes."""
        self.disk.term += 1
        self.disk.voted, self._votes, self.primary = self.place.name, {self.place.name}, ""
        log = self.disk.log
        for other in self._others:
            self.place.send(other, Ballot(self.disk.term, len(log), log[-1].term if log else 0))
        self._count()

    def deserves(self, ballot: Ballot) -> bool:
        """Whether the candidate's log lacks nothing that this node's log has."""
        log = self.disk.log
        return (ballot.last_term, ballot.length) >= (log[-1].term if log else 0, len(log))

    def _count(self) -> None:
        if self.office is None and len(self._votes) >= self.quorum():
            log = self.disk.log
            self.office = Office(len(log) + 1, dict.fromkeys(self._others, len(log)))
            log.append(Entry(self.disk.term, None))
            self.primary = self.place.name
            self.place.become(f"primary of term {self.disk.term}")
            self.place.spawn(self._reign(self.office))

    def _reign(self, office: Office) -> Flow[None]:
        """Say so now and then; give up if reads wait in vain for a majority."""
        while self.office is office:
            self.tell_all(office)
            yield Sleep(self.settings.heartbeat_ns)
            if office.reads and self.place.monotonic_ns() - office.reads[0][1] > self.settings.silence_ns:
                self.resign()

    def resign(self) -> None:
        """Be primary no longer: what waits for a majority will not have it from here."""
        if self.office is not None:
            self.place.become("replica")
            waiting = [latch for _, _, latch in self.office.reads] + [latch for _, latch in self._writes]
            self.office, self.primary, self._writes = None, "", []
            self._open(waiting, result=False)

    # What nodes tell each other.

    def hear(self, source: str, message: Any) -> None:
        """Ballots and votes, entries and confirmations."""
        if message.term > self.disk.term:
            self.disk.term, self.disk.voted, self.primary = message.term, "", ""
            self.resign()
        match message:
            case Ballot(term):
                granted = term == self.disk.term and self.disk.voted in ("", source) and self.deserves(message)
                if granted:
                    self.disk.voted, self._heard_ns = source, self.place.monotonic_ns()
                self.place.send(source, Vote(self.disk.term, granted))
            case Vote(term, granted):
                if granted and term == self.disk.term and self.disk.voted == self.place.name:
                    self._votes.add(source)
                    self._count()
            case Append():
                self._follow(source, message)
            case Appended(term) if self.office is not None and term == self.disk.term:
                self._note(self.office, source, message)

    def tell_all(self, office: Office) -> None:
        """Send everybody what it may lack."""
        office.turn += 1
        for other in self._others:
            self._tell(office, other)
        self._weigh(office)

    def _tell(self, office: Office, other: str) -> None:
        log, after = self.disk.log, office.sent[other]
        before = log[after - 1].term if after else 0
        self.place.send(other, Append(self.disk.term, after, before, tuple(log[after:]), self.committed, office.turn))
        office.sent[other] = len(log)

    def _follow(self, source: str, told: Append) -> None:
        """Take over what the primary has."""
        log, after = self.disk.log, told.after
        if told.term < self.disk.term:
            self.place.send(source, Appended(self.disk.term, 0, False, told.turn))
            return
        self.primary, self._heard_ns = source, self.place.monotonic_ns()
        if after > len(log) or (after and log[after - 1].term != told.after_term):
            self.place.send(source, Appended(told.term, min(len(log), after - 1), False, told.turn))
            return
        for at, entry in enumerate(told.entries, after):
            if at < len(log) and log[at].term != entry.term:
                self.cut_off(at)
            if at >= len(log):
                log.append(entry)
        self.commit(min(told.committed, after + len(told.entries)))
        self.place.send(source, Appended(told.term, after + len(told.entries), True, told.turn))

    def _note(self, office: Office, source: str, reply: Appended) -> None:
        """What a follower has, and that it follows."""
        if reply.matched:
            office.matched[source] = max(reply.length, office.matched.get(source, 0))
        elif office.sent[source] > reply.length:
            office.sent[source] = reply.length
            self._tell(office, source)
        office.answered[source] = max(reply.turn, office.answered.get(source, 0))
        self._weigh(office)

    def _weigh(self, office: Office) -> None:
        """Commit what a majority has, and let the reads go on that a majority has confirmed."""
        length = self._reached(office.matched.values(), len(self.disk.log))
        # What an earlier term has appended is only safe under something of this term.
        if length > self.committed and self.disk.log[length - 1].term == self.disk.term:
            self.commit(length)
        turn = self._reached(office.answered.values(), office.turn)
        confirmed = [latch for since, _, latch in office.reads if since <= turn]
        office.reads = office.reads[len(confirmed) :]
        self._open(confirmed, result=True)

    def _reached(self, others: Collection[int], own: int) -> int:
        """What a majority has reached."""
        quorum = self.quorum()
        return sorted((*others, own), reverse=True)[quorum - 1] if len(others) + 1 >= quorum else 0

    # The log.

    def commit(self, length: int) -> None:
        """Carry out the first ``length`` entries of the log: they cannot be lost any more."""
        for entry in self.disk.log[self.committed : length]:
            if entry.value is not None and entry.value.op not in self.done:
                self.values[entry.value.key] = entry.value
                self.done.add(entry.value.op)
        self.committed = max(length, self.committed)
        served = [latch for wanted, latch in self._writes if wanted <= self.committed]
        self._writes = [write for write in self._writes if write[0] > self.committed]
        self._open(served, result=True)

    def cut_off(self, length: int) -> None:
        """Forget all entries but the first ``length``, and what they did."""
        del self.disk.log[length:]
        if length < self.committed:
            self.values, self.done, self.committed = {}, set(), 0
            self.commit(length)

    def _open(self, latches: Sequence[Latch], *, result: bool) -> None:
        if latches:
            self.place.spawn(_tell_waiting(latches, result=result))


def _tell_waiting(latches: Sequence[Latch], *, result: bool) -> Flow[None]:
    for latch in latches:
        yield Open(latch, result)


def promise(_settings: Settings, _hop_ns: int) -> Contract:
    """The majorities of two terms have a node in common: nothing that was acknowledged is ever unknown to a primary."""
    return exact()


DESIGN = Design("replicated", Replicated, promise, origin=None, talks=True)
