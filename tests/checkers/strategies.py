"""Random small histories for hypothesis, and readings of the definitions that are too simple to be wrong.

Times are few, so that ties abound; versions repeat; writes fail and time out; reads find anything at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from hypothesis import strategies as st

from harness.history import NEVER, Function, History, Seen, Status
from harness.plan import Contract, TimeToLive
from tests.checkers.histories import history

CONTRACTS = st.sampled_from(
    [
        Contract(),
        Contract(misses="absent-is-a-value"),
        Contract(misses="loss"),
        Contract(misses="loss", ttl=TimeToLive(max="6ns", grace="1ns")),
    ]
)


@st.composite
def histories(draw: st.DrawFn, *, most: int = 16, settle: bool = False, keys: str = "xy", versions: int = 4) -> History:
    """A history of a few operations in a few nanoseconds; with ``settle``, a settle phase may begin somewhere in it.

    Hypothesis chooses how many there are and how wild they are, and shrinks that; the rest is even chance, because anomalies take
    several operations that fit, and a search that prefers small numbers seldom finds them.
    """
    count = draw(st.integers(1, most))
    wild = draw(st.sampled_from([0.0, 0.1, 0.3]))
    nodes, sessions = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    rng = Random(draw(st.integers(0, 2**32)))
    written: dict[str, list[int]] = {key: [] for key in keys}
    lines, time = [], 0
    for _ in range(count):
        time += rng.choice([0, 1, 1, 2, 3])
        where = f"@n{rng.randrange(nodes)} e{_epoch(rng, wild)} s{rng.randrange(sessions)} {time}-{time + rng.randrange(4)}"
        lines.append(f"{_deed(rng, wild, written, versions)} {where} {_status(rng, wild)}")
    settled = rng.choice([None, time // 2, 3 * time // 4]) if settle else None
    unordered = ("y",) if "y" in keys and rng.random() < wild else ()
    return history(*lines, unit_ns=1, keys=tuple(keys), nodes=("n0", "n1"), unordered=unordered, settled=settled, end=time + 4)


def _deed(rng: Random, wild: float, written: dict[str, list[int]], versions: int) -> str:
    """What an operation does: mostly the next version is written, and one of those written so far is read."""
    key = rng.choice(list(written))
    if rng.random() < 0.45:
        version = rng.randint(1, versions) if rng.random() < wild + 0.1 else len(written[key]) + 1
        written[key].append(version)
        return f"{'d' if rng.random() < 0.15 else 'w'} {key}{version}"
    if rng.random() < 0.2:
        return f"r {key}{rng.choice('0-~')}"
    version = rng.randint(1, versions) if rng.random() < wild or not written[key] else rng.choice(written[key])
    if rng.random() >= wild:
        return f"r {key}{version}"
    return "r " + rng.choice([f"{key}?", f"{key}={rng.choice(list(written))}{version}", f"{key}{version}#{rng.randrange(9)}"])


def _epoch(rng: Random, wild: float) -> int:
    return rng.choice([-1, 1]) if rng.random() < wild + 0.1 else 0


def _status(rng: Random, wild: float) -> str:
    return rng.choice(["fail", "info", "info"]) if rng.random() < wild + 0.1 else "ok"


@dataclass(frozen=True)
class Op:
    """One row of a history, as plain values."""

    row: int
    op: int
    session: int
    node: int
    epoch: int
    function: int
    key: int
    call: int
    ret: int
    status: int
    sent: int
    seen: int
    seen_key: int
    seen_version: int
    seen_op: int

    @property
    def write(self) -> bool:
        return self.function != Function.READ

    @property
    def acked(self) -> bool:
        return self.write and self.status == Status.OK


class Reading:
    """The definitions of checkers/DEFINITIONS.md, one operation at a time."""

    def __init__(self, h: History, contract: Contract) -> None:
        names = ("op", "session", "node", "epoch", "function", "key", "call_ns", "return_ns", "status")
        names += ("sent_version", "seen", "seen_key", "seen_version", "seen_op")
        self.ops = [Op(row, *(int(getattr(h, name)[row]) for name in names)) for row in range(len(h))]
        self.h, self.contract = h, contract
        self.reads = [o for o in self.ops if not o.write and o.status == Status.OK]
        self.writes = [o for o in self.ops if o.write and o.status != Status.FAIL and h.ordered[o.key]]

    def of(self, key: int, version: int) -> list[Op]:
        """The writes of one version."""
        return [w for w in self.writes if (w.key, w.sent) == (key, version)]

    def found(self, r: Op) -> int | None:
        """The version that a read found, None if it found none of its key's order."""
        if r.seen != Seen.HIT or r.seen_key != r.key or not self.h.ordered[r.key]:
            return None
        if r.seen_version == 0:
            return 0 if r.seen_op < 0 else None
        writers = [w for w in self.of(r.key, r.seen_version) if r.seen_op in (-1, w.op)]
        return r.seen_version if writers else None

    def meant(self, r: Op) -> int | None:
        """The newest version that a read can have meant."""
        if r.seen == Seen.HIT:
            return self.found(r)
        if not self.h.ordered[r.key] or not (
            r.seen == Seen.ABSENT or (r.seen == Seen.MISS and self.contract.misses != "allowed")
        ):
            return None
        gone = [0]
        for w in (w for w in self.writes if w.key == r.key):
            # A version that several writes share is a delete if its acknowledged (else its first called) one is.
            twins = sorted(self.of(w.key, w.sent), key=lambda t: (t.ret if t.acked else NEVER, t.row))
            call = min(t.call for t in twins)
            if twins[0].function == Function.DELETE and call <= r.ret:
                gone.append(w.sent)
            if self.contract.ttl and call + self.contract.ttl.max - self.contract.ttl.grace <= r.ret:
                gone.append(w.sent)
        return max(gone)

    def newest(self, r: Op) -> int | None:
        """As ``meant``, but unanswered writes may take effect late: until they were seen, or what they explain returned."""
        version = self.meant(r)
        if version is None:
            return None
        until = -1
        if r.seen == Seen.HIT and version and not any(w.acked for w in self.of(r.key, version)):
            until = self.known(r.key, version)
        deletes = [w for w in self.writes if (w.key, w.function, w.status) == (r.key, Function.DELETE, Status.INFO)]
        if r.seen != Seen.HIT and any(w.call <= r.ret for w in deletes):
            until = r.ret
        return max([version, *(w.sent for w in self.writes if w.key == r.key and w.call <= until)])

    def ack(self, key: int, version: int) -> int:
        """When a version was acknowledged."""
        return min((w.ret for w in self.of(key, version) if w.acked), default=NEVER)

    def known(self, key: int, version: int) -> int:
        """From when a version was certainly in effect."""
        return min([self.ack(key, version), *(r.ret for r in self.reads if r.key == key and self.found(r) == version)])

    def sup(self, key: int, version: int) -> int:
        """From when a version had superseded older ones."""
        ack = self.ack(key, version)
        return ack if ack < NEVER else self.known(key, version)

    def steps_back(self) -> Iterator[tuple[Op, Op]]:
        """All pairs of reads at one node in one epoch that go backwards."""
        for first in self.reads:
            for then in self.reads:
                same = (first.key, first.node, first.epoch) == (then.key, then.node, then.epoch) and first.epoch >= 0
                newer, older = self.found(first), self.meant(then)
                if same and first.ret < then.call and newer is not None and older is not None and older < newer:
                    yield first, then
