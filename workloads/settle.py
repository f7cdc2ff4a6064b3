"""Settling: after writing has stopped and all faults are healed, read every key at every node until each returns its final value.

Not a workload of plans: the driver plays it at the end of every run. It shows when the fleet has converged, and what never does:
entries stuck at an old version, acknowledged writes that are gone. What the source of truth has committed without telling anybody
must come to every node as well, so it counts as a final version.

Each session reads one node only, so that a node that does not answer cannot hold up the probes of the others. A node that has
returned the final version of a key, or a newer one, is not asked for it again. A miss does not settle: the value may yet return.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.durations import parse_duration
from harness.history import Function, Seen, Status
from harness.operations import Operation, Session
from workloads.base import Shard

FIRST_GAP_NS = parse_duration("100ms")
LAST_GAP_NS = parse_duration("1s")
SESSIONS = 8


def offsets(limit_ns: int) -> Iterator[int]:
    """When to probe, in ns after the start: at once, then at gaps that grow by half up to a second, and at the limit."""
    at_ns, gap_ns = 0, FIRST_GAP_NS
    while at_ns < limit_ns:
        yield at_ns
        at_ns += gap_ns
        gap_ns = min(gap_ns * 3 // 2, LAST_GAP_NS)
    yield limit_ns


class Settle:
    """Probes of ``finals`` (final version by key; 0 where any answer will do) at the ``readable`` nodes from ``begin_ns`` on."""

    def __init__(self, finals: Mapping[int, int], readable: Sequence[int], begin_ns: int, limit_ns: int) -> None:
        self.finals = finals
        self.readable = readable
        self.begin_ns = begin_ns
        self.limit_ns = limit_ns

    @property
    def sessions_wanted(self) -> int:
        """About ``SESSIONS``, and as many for each node."""
        return len(self.readable) * max(1, SESSIONS // len(self.readable))

    def sessions(self, shard: Shard) -> Sequence[Session]:
        """``sessions_wanted`` sessions; those that read the same key in the same round share a group."""
        groups: dict[tuple[int, int], int] = {}
        keys = list(self.finals)
        each = len(shard.sessions) // len(self.readable)
        return [
            self._session(shard, self.readable[index // each], keys[index % each :: each], groups)
            for index in range(len(shard.sessions))
        ]

    def _session(self, shard: Shard, node: int, keys: list[int], groups: dict[tuple[int, int], int]) -> Session:
        for offset_ns in offsets(self.limit_ns):
            unsettled = []
            for key in keys:
                group = groups.get((offset_ns, key))
                if group is None:
                    group = groups[offset_ns, key] = shard.group()
                outcome = yield Operation(Function.READ, key, node, due_ns=self.begin_ns + offset_ns, group=group)
                final = self.finals[key]
                if outcome.status is not Status.OK or (final > 0 and (outcome.seen is not Seen.HIT or outcome.version < final)):
                    unsettled.append(key)
            keys = unsettled
            if not keys:
                return
