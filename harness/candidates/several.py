"""Which candidates take requests of several keys: those with one place that has them all, and a protocol that can say it."""

from __future__ import annotations

from harness.candidates.abilities import OneByOne, Tuned
from harness.candidates.base import Candidate
from harness.clients import CODECS, ManyKeys
from harness.plan import WorkloadSpec
from harness.topology import ROUTED
from workloads import Several, Workload


def refuse_several(spec: WorkloadSpec, workload: Workload, candidate: Candidate) -> None:
    """Raise ``PlanError`` if ``workload`` asks for several keys at once, and ``candidate`` takes one at a time."""
    if not isinstance(workload, Several):
        return
    why, fix = _one_by_one(candidate)
    if why:
        raise spec.error(
            f'the workload "{spec.kind}" asks for {workload.keys_at_once} keys in one request, and this candidate takes one',
            key="kind",
            why=why,
            fix=fix,
        )


def _one_by_one(candidate: Candidate) -> tuple[str, str]:
    """Why ``candidate`` takes no requests of several keys, and what to do about it; empty if it does."""
    elsewhere = "leave the workload out, or choose a candidate with MGET and MSET: redis-single, redis-replication, reference"
    if isinstance(candidate, OneByOne):
        return candidate.one_by_one, elsewhere
    if ROUTED in (*candidate.topology.writable, *candidate.topology.readable):
        return "its clients look for the node of each key by themselves, and one request may be for keys of several", elsewhere
    codec = CODECS.load(candidate.protocol)(**dict(candidate.codec_options if isinstance(candidate, Tuned) else ()))
    if not isinstance(codec, ManyKeys):
        return f"the protocol {candidate.protocol} does not write several keys at once", elsewhere
    return codec.one_by_one, 'ttl = "0s" under [candidate], or leave the workload out'
