"""The closed forms: what theory says of each strategy, for a fleet of any size.

Reads and writes come at random times, evenly over keys and nodes, and entries never have to make room. What a write *induces*
(nodes that fetch the key again) is counted to the write. What goes on without any write (heartbeats, leases) is not counted as
messages of a write, but as load of the origin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.cost.case import Case, S
from harness.reference.clocks import SLOWEST_CLOCK

Form = Callable[[Case], float]

_FOREVER_NS = 10**9 * S


@dataclass(frozen=True, slots=True)
class Forms:
    """What one strategy costs.

    Attributes:
        write_ns: how long a write takes on average, from the node's having it to the node's answer.
        messages: how many messages between places a write brings about.
        origin: requests a second at the source of truth.
        metadata: what each node keeps beside values, in records: floors, times, generations, or its part of what others keep.
        cut_reads: the share of reads at a node that are answered while it is cut off from everything but its clients.
        others_wait_ns: for how long after the beginning of that cut writes at other nodes wait or fail because of it.
    """

    write_ns: Form
    messages: Form
    origin: Form
    metadata: Form
    cut_reads: Form
    others_wait_ns: Form = lambda _: 0.0


def _commit(case: Case) -> float:
    """A request to the source and its answer."""
    return 2 * case.hop_ns + case.settings.commit_ns


def _and_then(round_trips: float) -> Form:
    """A commit, and then so many round trips more before the answer."""
    return lambda case: _commit(case) + 2 * round_trips * case.hop_ns


def _all(case: Case) -> int:
    """Entries in the whole fleet, if every node had every key."""
    return case.nodes * case.load.keys


def _served_for(case: Case, share: float, seconds: float) -> float:
    """The share of reads that are answered in a cut if ``share`` of the entries is there, and is served for so long."""
    return share * min(1.0, max(0.0, seconds) * S / case.cut_ns)


def _no_cache() -> Forms:
    return Forms(
        write_ns=_commit,
        messages=lambda _: 2,
        origin=lambda case: case.load.writes + case.nodes * case.load.reads,
        metadata=lambda _: 0,
        cut_reads=lambda _: 0,
    )


def _versioned_keys() -> Forms:
    def kept(case: Case) -> float:
        # An entry that is not wanted any more goes with the second sweep after its last read.
        old = case.write_rate * case.reread * 1.5 * case.settings.forget_ns / S
        return case.load.keys * (1 + old)

    return Forms(
        write_ns=_commit,
        messages=lambda case: 2 + 2 * case.nodes * case.reread,
        origin=lambda case: case.load.writes + case.nodes * case.load.reads + _all(case) * case.loads(_FOREVER_NS),
        metadata=kept,
        cut_reads=lambda _: 0,
    )


def _by_time(life: Callable[[Case], int]) -> Forms:
    """An entry is served for ``life``, then fetched or checked by the next read."""
    return Forms(
        write_ns=_commit,
        messages=lambda _: 2,
        origin=lambda case: case.load.writes + _all(case) * case.loads(life(case), writes=0),
        metadata=lambda case: case.load.keys,
        cut_reads=lambda case: _served_for(case, case.present(life(case), writes=0), life(case) / 2 / S),
    )


def _stale_while_revalidate() -> Forms:
    def reloads(case: Case) -> float:
        """A write purges the entry of the node that it goes through."""
        ttl_ns = case.settings.ttl_ns
        return _all(case) * (case.loads(ttl_ns, writes=1 / case.nodes) - case.loads(ttl_ns, writes=0)) / case.load.writes

    return Forms(
        write_ns=_commit,
        messages=lambda case: 2 + 2 * reloads(case),
        origin=lambda case: case.load.writes + _all(case) * case.loads(case.settings.ttl_ns, writes=1 / case.nodes),
        metadata=lambda case: case.load.keys,
        cut_reads=lambda case: _served_for(case, 1.0, (case.settings.ttl_ns / 2 + case.settings.window_ns) / S),
    )


def _broadcast_at_most_once() -> Forms:
    def reloads(case: Case) -> float:
        ttl_ns = case.settings.ttl_ns
        return _all(case) * (case.loads(ttl_ns) - case.loads(ttl_ns, writes=0)) / case.load.writes

    return Forms(
        write_ns=_and_then(1),
        messages=lambda case: 4 + case.nodes + 2 * reloads(case),
        origin=lambda case: case.load.writes + _all(case) * case.loads(case.settings.ttl_ns),
        metadata=lambda case: case.load.keys * case.present(_FOREVER_NS),
        cut_reads=lambda case: _served_for(
            case,
            case.present(case.settings.ttl_ns),
            (case.settings.silence_ns - case.settings.heartbeat_ns / 2) / S,
        ),
    )


def _broadcast_at_least_once() -> Forms:
    return Forms(
        write_ns=_commit,
        messages=lambda case: 4 + case.nodes + 2 * case.nodes * case.reread,
        origin=lambda case: case.load.writes + _all(case) * case.loads(_FOREVER_NS),
        metadata=_floors,
        cut_reads=lambda case: case.present(_FOREVER_NS),
    )


def _broadcast_update() -> Forms:
    return Forms(
        write_ns=_commit,
        messages=lambda case: 4 + case.nodes,
        origin=lambda case: case.load.writes,
        metadata=_floors,
        cut_reads=lambda _: 1,
    )


def _floors(case: Case) -> float:
    """Keys that were written within the time of forgetting."""
    return case.load.keys * (1 - math.exp(-case.write_rate * case.settings.forget_ns / S))


def _refresh_ahead() -> Forms:
    def reloads(case: Case) -> float:
        check_ns = case.settings.check_ns
        return _all(case) * (case.loads(check_ns) - case.loads(check_ns, writes=0)) / case.load.writes

    return Forms(
        write_ns=_commit,
        messages=lambda case: 4 + case.nodes + 2 * reloads(case),
        origin=lambda case: case.load.writes + _all(case) * case.loads(case.settings.check_ns),
        metadata=lambda case: case.load.keys * case.present(_FOREVER_NS),
        cut_reads=lambda case: _served_for(
            case, case.present(case.settings.ttl_ns), (case.settings.ttl_ns - case.settings.check_ns / 2) / S
        ),
    )


def _lease() -> Forms:
    def filled(case: Case, *, writes: float = 1.0) -> float:
        return case.load.keys * case.loads(case.settings.ttl_ns, writes=writes, readers=case.nodes)

    return Forms(
        write_ns=_and_then(1),
        messages=lambda case: 4 + 4 * (filled(case) - filled(case, writes=0)) / case.load.writes,
        origin=lambda case: case.load.writes + filled(case),
        metadata=lambda case: case.load.keys / case.nodes,
        cut_reads=lambda _: 0,
    )


def _two_tier() -> Forms:
    def copied(case: Case, *, writes: float = 1.0) -> float:
        return _all(case) * case.loads(case.settings.ttl_ns, writes=writes)

    def filled(case: Case, *, writes: float = 1.0) -> float:
        readers = copied(case, writes=writes) / case.load.keys / case.read_rate
        return case.load.keys * case.loads(case.settings.ttl_ns, writes=writes, readers=readers)

    def induced(case: Case) -> float:
        copies = 2 * (copied(case) - copied(case, writes=0))
        return (copies + 4 * (filled(case) - filled(case, writes=0))) / case.load.writes

    return Forms(
        write_ns=_and_then(2),
        messages=lambda case: 6 + case.nodes + induced(case),
        origin=lambda case: case.load.writes + filled(case),
        metadata=lambda case: case.load.keys * case.present(_FOREVER_NS),
        cut_reads=lambda case: _served_for(case, case.present(case.settings.ttl_ns), case.settings.ttl_ns / 2 / S),
    )


def _sync_invalidation() -> Forms:
    def lasts_s(case: Case) -> float:
        return (case.settings.lease_ns * SLOWEST_CLOCK - case.settings.heartbeat_ns / 2) / S

    return Forms(
        write_ns=lambda case: _commit(case) + case.slowest_round_trip_ns(),
        messages=lambda case: 2 + 2 * case.nodes + 2 * case.nodes * case.reread,
        origin=lambda case: case.load.writes + _all(case) * case.loads(_FOREVER_NS) + case.nodes * S / case.settings.heartbeat_ns,
        metadata=lambda _: 1,
        cut_reads=lambda case: _served_for(case, case.present(_FOREVER_NS), lasts_s(case)),
        others_wait_ns=lambda case: case.settings.lease_ns,
    )


def _tracking() -> Forms:
    return Forms(
        write_ns=_commit,
        messages=lambda case: 2 + 3 * case.nodes * case.reread,
        origin=lambda case: case.load.writes + _all(case) * case.loads(_FOREVER_NS),
        metadata=lambda case: case.load.keys * case.present(_FOREVER_NS),
        cut_reads=lambda case: _served_for(
            case, case.present(_FOREVER_NS), (case.settings.silence_ns - case.settings.heartbeat_ns / 2) / S
        ),
    )


def _owner() -> Forms:
    def away(case: Case) -> float:
        """The share of keys that another node owns."""
        return (case.nodes - 1) / case.nodes

    def lasts_s(case: Case) -> float:
        return (case.settings.lease_ns * SLOWEST_CLOCK - case.settings.heartbeat_ns / 2) / S

    return Forms(
        write_ns=lambda case: _commit(case) + 2 * case.hop_ns * away(case),
        messages=lambda case: 2 + 2 * away(case),
        origin=lambda case: case.load.writes + case.nodes * S / case.settings.heartbeat_ns,
        metadata=lambda _: 1,
        cut_reads=lambda case: _served_for(case, 1 / case.nodes, lasts_s(case)),
        # Each node asks the owner that it knows once in vain, and then until the lease is over.
        others_wait_ns=lambda case: case.settings.lease_ns + case.settings.call_timeout_ns,
    )


FORMS: Mapping[str, Forms] = {
    "no-cache": _no_cache(),
    "versioned-keys": _versioned_keys(),
    "sync-invalidation": _sync_invalidation(),
    "owner": _owner(),
    "lease": _lease(),
    "tracking": _tracking(),
    "broadcast-alo": _broadcast_at_least_once(),
    "broadcast-update": _broadcast_update(),
    "broadcast-amo": _broadcast_at_most_once(),
    "two-tier": _two_tier(),
    "refresh-ahead": _refresh_ahead(),
    "ttl-check": _by_time(lambda case: case.settings.check_ns),
    "swr": _stale_while_revalidate(),
    "ttl": _by_time(lambda case: case.settings.ttl_ns),
}
"""By strategy, the exact ones first."""
