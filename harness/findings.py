"""What each finding means, what usually causes it in a cache, and what to do about it.

A finding's name is a guarantee that did not hold. Checkers say what happened in one run; here is what it means in any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.results import Finding


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a finding stands for.

    Attributes:
        checker: who finds it.
        meaning: what was seen, in general.
        causes: what usually brings it about, likely ones first.
        advice: where to look, and what the ways out are.
    """

    checker: str
    meaning: str
    causes: str
    advice: str


FINDINGS: Mapping[str, Meaning] = {
    "wrong-key": Meaning(
        "integrity",
        "A read returned a value that was written to another key. Always fatal.",
        "answers matched to the wrong requests on a shared connection (a cancelled or timed-out request leaves its answer "
        "behind for the next), colliding key hashes or truncated keys, a buffer that is used again too early.",
        "Look at connection pools and at what happens to a connection after a time-out: it must be closed, not given back.",
    ),
    "thin-air": Meaning(
        "integrity",
        "A read returned a value that no operation of the run wrote. Always fatal.",
        "data of an earlier run or of another client in the same key space, corruption, a broken serialiser.",
        "Make sure that nothing else writes to the deployment under test; then suspect the codec and the storage.",
    ),
    "future-read": Meaning(
        "integrity",
        "A read returned before the write of its value was called. Always fatal.",
        "a clock that is not shared by all drivers, or a value that was made up or left over from an earlier run.",
        "Check that all operations are timed by one monotonic clock; a sound clock makes this a thin-air value.",
    ),
    "dirty-read": Meaning(
        "integrity",
        "A read returned the value of a write that certainly did not happen. Always fatal.",
        "a server that answers a write with an error after it has taken effect, or a cache filled before its source commits.",
        "Look at the write's error: if the server may have applied it, the client must not take it for a failure.",
    ),
    "split-brain": Meaning(
        "integrity",
        "Two nodes acknowledged different writes as the same version of a key at overlapping times. Always fatal.",
        "two primaries at once: a fail-over while the old primary still served clients.",
        "Fence the old primary: make it refuse writes without enough replicas, and let clients follow one source of topology.",
    ),
    "lost-write": Meaning(
        "lost-writes",
        "An acknowledged write is gone: the fleet settled on an older value.",
        "a primary that was killed or cut off before its write was replicated, a restart without data, an evicted only copy.",
        "Acknowledge only what is replicated or on disk; or waive it, with the reason, where a cache may forget.",
    ),
    "late-write": Meaning(
        "integrity",
        "The value of a write whose end nobody knew appeared after newer values of the key had been read.",
        "a request that outlived its time-out in a queue or a socket buffer, and was carried out after newer ones.",
        "Make writes conditional on the version they replace; a time-out alone stops no request.",
    ),
    "node-regress": Meaning(
        "node-regress",
        "One node, without having been restarted or replaced, returned an older value after a newer one.",
        "a refill race (a slow reader puts what it read before an invalidation), updates applied by order of arrival and not "
        "of version, a refill from a replica that lags, invalidation before commit.",
        "Carry the version in the value and in the event, and let no older one replace a newer one (compare and set, leases).",
    ),
    "monotonic-reads": Meaning(
        "sessions",
        "A session read a value and later an older one of the same key.",
        "on one node: as for node-regress. Across nodes: the session moved to a node that lags.",
        "Keep a session on one node, or let it carry the newest version it has seen and wait or go elsewhere for it.",
    ),
    "read-your-writes": Meaning(
        "sessions",
        "A session wrote a value, had it acknowledged, and later read an older one.",
        "reads from a replica or a near cache that has not heard of the write yet.",
        "Read at the primary for a while after a write, or wait for the replica to reach the version written.",
    ),
    "monotonic-writes": Meaning(
        "sessions",
        "A node showed the later write of a session, and then a state from before its earlier one.",
        "writes that travel on several connections or partitions of a bus and overtake each other.",
        "Send a session's writes down one ordered channel, or order them by version where they arrive.",
    ),
    "writes-follow-reads": Meaning(
        "sessions",
        "A session read a value and then wrote; a node showed that write, and then a state from before the value read.",
        "causality that is not carried across keys: each key is replicated or invalidated on its own.",
        "Carry dependencies with the write, or do not promise this guarantee.",
    ),
    "fractured-read": Meaning(
        "fractured-reads",
        "One request wrote several keys; a request that read them found the new value of one and an old value of another.",
        "keys that are written together and invalidated, replicated or evicted one by one; keys on several shards, of which one "
        "lags; a read of several keys that finds some in the cache and fetches the others later.",
        "Let each entry carry the versions that its siblings were written with, compare what one request found, and read again "
        "what is too old (RAMP); or keep in one entry what must be seen together.",
    ),
    "not-linearizable": Meaning(
        "linearizable-register",
        "The operations on a key fit no order that respects real time: the key did not behave like one register.",
        "any read from a copy that lags, any lost or rolled back write.",
        "See how far away it is (Δ, Γ): milliseconds mean lag, more means loss. A staleness bound may be what you can keep.",
    ),
    "stuck": Meaning(
        "convergence",
        "After all faults had healed and writing had stopped, a node returned an old value later than the contract allows, and "
        "was never seen to return the newest.",
        "a lost invalidation with nothing to repair it: an at-most-once bus without a flush on reconnect, a swallowed delete.",
        "Repair by time: a time to live, a version check, or a flush after every loss of the invalidation channel.",
    ),
    "slow-convergence": Meaning(
        "convergence",
        "After all faults had healed and writing had stopped, a node got to the newest value later than the contract allows.",
        "reconnecting with back-off, a full copy of the data after a fault, a time to live as the only repair.",
        "Look at what the node waited for (its log); shorten that, or promise a longer time.",
    ),
    "stale-read": Meaning(
        "staleness",
        "A read returned a value that had certainly been superseded for longer than the contract allows.",
        "replication or invalidation lag, a lost invalidation, a refill from a lagging source, a time to live that is too long.",
        "Look at the phase: during a fault the bound may be too tight; in steady state look for lost or late invalidations.",
    ),
    "stale-versions": Meaning(
        "staleness",
        "A read returned a value that was more versions behind than the contract allows.",
        "as for stale-read; a burst of writes makes many versions in little time, so look at the time, too.",
        "If the read was not old in time, the bound in versions may be too tight for the rate of writes.",
    ),
    "expired-read": Meaning(
        "expiry",
        "A read returned a value that had outlived the time to live which the contract gives it.",
        "a write that lost its time to live on the way (an update without one, a copy that starts the clock anew), a node whose "
        "clock stands still or was set back, values that are only dropped by a sweep.",
        "Look at what each write sends as its time to live, and at how the node that answered tells the time.",
    ),
}
"""Every finding, gravest class first, and within a class the most telling first: what was lost before what came in a wrong order,
and what names the anomaly before ``not-linearizable``, which only says that no order fits."""

_PLACE = {name: place for place, name in enumerate(FINDINGS)}


def telling(finding: Finding) -> tuple[int, int, int, str, str]:
    """The key that sorts findings for people, the most telling first: by severity, then as in ``FINDINGS``, then by count.

    Verdict and reports all go by it; what decided a verdict is told before the rest (``reports.record``).
    """
    place = _PLACE.get(finding.name, len(_PLACE))
    return (finding.severity, place, -finding.count, finding.scope, finding.phase)
