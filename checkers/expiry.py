"""No value outlives its time to live.

**Rule.** Where the contract gives values a time to live, a write's clock starts when it takes effect: at f, the earlier of its
answer and of the first return of a read that found its value, at the latest. A read that finds the value and was called after
f + ttl + grace is an ``expired-read``.

**Example.** Expired 20 ms ago at least, for a contract that says ``ttl = { max = "50ms", grace = "10ms" }``::

    w x1 0-5;  r x1 30-31;  r x1 85-86;  r x~ 90-91

**Measures.** ``expired-reads``: their number, of all reads called so long after the latest answered write of their key that only
an expired value was left to find. ``early-misses``: reads that found nothing although that write was younger than ttl - grace to
the end, and no delete was under way. They are counted, no more: a cache may evict. Where the contract says that misses are
losses, ``lost-writes`` judges them.

**Cost.** O(n log n).

**Cannot see.** A clock that starts later than the write, as in a cache that fills itself from a store: there every refill renews
the value. Values that nobody asks for in time.

**Source.** DEFINITIONS, "Misses and expiry".
"""

from __future__ import annotations

import numpy as np

from checkers import wording
from checkers.base import Proof, findings, phases_at
from checkers.integrity import NOBODY, writers
from checkers.scans import NONE, greatest_until
from harness.durations import format_duration
from harness.history import NEVER, Column, Function, History, Seen, Status
from harness.plan import Contract, TimeToLive
from harness.results import Measure, Result, Severity

NAME = "expiry"


def check(history: History, contract: Contract) -> Result:
    """Values that were found after their time; nothing where the contract names no time to live."""
    ttl = contract.ttl
    if ttl is None:
        return Result(NAME)
    read, writer, shower = _found(history)
    over = history.call_ns[read] - history.return_ns[shower] - ttl.max - ttl.grace
    expired = over > 0
    read, writer, shower, over = read[expired], writer[expired], shower[expired], over[expired]
    could, early = _exposed(history, ttl)
    return Result(
        NAME,
        findings=findings(
            history,
            "expired-read",
            Severity.BOUND,
            phases=phases_at(history, contract, history.call_ns[read]),
            gravity=over,
            prove=lambda i: _proof(history, ttl, int(read[i]), int(writer[i]), int(shower[i])),
        ),
        measures=(
            Measure(
                "expired-reads",
                len(read),
                "count",
                n=max(could, len(read)),
                per="read",
                note="of the reads that came late enough to find an expired value",
            ),
            Measure("early-misses", early, "count", n=len(history), per="operation", note="no fault where a cache may evict"),
        ),
    )


def _found(history: History) -> tuple[Column, Column, Column]:
    """Reads that found a value, their writes, and what shows that the value's clock had begun: that write, or the first read."""
    hit = (history.seen == Seen.HIT) & (history.status == Status.OK)
    read = np.flatnonzero(hit & ((history.seen_key == history.key) | (history.seen_key < 0)))
    writer = writers(history, read)
    wrote = (writer != NOBODY) & (history.status[writer] != Status.FAIL)  # what was refused is integrity's to judge
    read, writer = read[wrote], writer[wrote]
    first_ns = np.where(history.status == Status.OK, history.return_ns, NEVER)
    np.minimum.at(first_ns, writer, history.return_ns[read])
    shower = np.arange(len(history))
    sooner = (history.return_ns[read] == first_ns[writer]) & (first_ns < history.return_ns)[writer]
    shower[writer[sooner]] = read[sooner]
    return read, writer, shower[writer]


def _exposed(history: History, ttl: TimeToLive) -> tuple[int, int]:
    """How many reads came when the latest answered write of their key had expired, and how many missed it before it could."""
    ok = history.status == Status.OK
    writes = np.flatnonzero((history.function != Function.READ) & ok)
    reads = np.flatnonzero((history.function == Function.READ) & ok & (history.seen != Seen.GARBAGE))
    latest = _before(history, writes, history.return_ns, reads, history.call_ns)
    reads, latest = reads[latest != NONE], writes[latest[latest != NONE]]
    lives = history.function[latest] == Function.WRITE
    reads, latest = reads[lives], latest[lives]
    could = history.call_ns[reads] > history.return_ns[latest] + ttl.max + ttl.grace

    missed = (history.seen[reads] != Seen.HIT) & (history.return_ns[reads] < history.call_ns[latest] + ttl.max - ttl.grace)
    reads, latest = reads[missed], latest[missed]
    deletes = np.flatnonzero((history.function == Function.DELETE) & (history.status != Status.FAIL))
    struck = _before(history, deletes, history.call_ns, reads, history.return_ns + 1)
    gone = struck != NONE
    gone[gone] = history.return_ns[deletes[struck[gone]]] >= history.call_ns[latest[gone]]
    return int(could.sum()), int((~gone).sum())


def _before(history: History, rows: Column, times_ns: Column, reads: Column, until_ns: Column) -> Column:
    """For each of the ``reads`` the index of that of ``rows`` on its key, timed before ``until_ns``, which returned last."""
    key = history.key.astype(np.int64)
    return greatest_until(key[rows], times_ns[rows], history.return_ns[rows], key[reads], until_ns[reads], strictly=True)


def _proof(history: History, ttl: TimeToLive, read: int, writer: int, shower: int) -> Proof:
    """That ``read`` found the value of ``writer`` too late, which ``shower`` (the write itself, or a read) shows."""
    key, where = wording.key(history, read), wording.node(history, read)
    age = wording.lapse(history.return_ns[shower], history.call_ns[read])
    allowed = format_duration(ttl.max) + (f", give or take {format_duration(ttl.grace)}" if ttl.grace else "")
    return Proof(
        claim=f"Node {where} answered {wording.answer(history, read)} of {key} at least {age} after it had been written; "
        f"the contract says that values live for {allowed}.",
        argument=(
            wording.wrote(history, writer),
            *((wording.read(history, shower),) if shower != writer else ()),
            wording.read(history, read),
            f"However, its time was over {age} after {wording.name(history, shower)} had returned: it lives for {allowed}.",
        ),
        rows=(read, writer, shower),
        key=key,
        nodes=wording.nodes(history, (read, writer)),
    )
