"""What can be tested, one file per topology."""

from __future__ import annotations

from harness.candidates.base import Candidate, Cluster, Probe
from harness.registry import Registry

CANDIDATES: Registry[type[Candidate]] = Registry(
    "candidate",
    {
        "redis-single": "harness.candidates.redis_single:RedisSingle",
        "redis-replication": "harness.candidates.redis_replication:RedisReplication",
    },
)

__all__ = ["CANDIDATES", "Candidate", "Cluster", "Probe"]
