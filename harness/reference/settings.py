"""How a reference fleet is set up: the times that its strategies and their bounds are made of."""

from __future__ import annotations

from dataclasses import dataclass

_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """Durations in ns. Every strategy uses some of them; its promise is computed from the same ones.

    Attributes:
        call_timeout_ns: how long a node waits for a reply.
        ttl_ns: how long an entry lives.
        check_ns: how long an entry is served before the source is asked whether it is still the newest.
        window_ns: how long after its life an entry may be served while it is fetched anew.
        heartbeat_ns: how often the bus, and the holder of an office, says that it is alive.
        silence_ns: after so long without a sign of life the other side is taken for lost.
        redelivery_ns: how often a connector that follows the source's commits looks for new ones.
        lease_ns: how long a right (to fill, to own a key) lasts.
        retry_ns: how long who lost a lease waits before trying again.
        forget_ns: how long a node remembers what it no longer has: floors, tombstones, old generations.
        replica_lag_ns: how far the origin's replica is behind.
        commit_ns: how long the origin takes to commit.
        load_ns: how long the origin takes to read.
        slow_load_ns: how much longer the answer takes now and then.
        slow_share: for which share of the reads it does.
    """

    call_timeout_ns: int = 500 * _MS
    ttl_ns: int = 1_000 * _MS
    check_ns: int = 100 * _MS
    window_ns: int = 500 * _MS
    heartbeat_ns: int = 100 * _MS
    silence_ns: int = 300 * _MS
    redelivery_ns: int = 100 * _MS
    lease_ns: int = 1_000 * _MS
    retry_ns: int = 5 * _MS
    forget_ns: int = 10_000 * _MS
    replica_lag_ns: int = 50 * _MS
    commit_ns: int = _MS // 2
    load_ns: int = _MS // 2
    slow_load_ns: int = 30 * _MS
    slow_share: float = 0.02
