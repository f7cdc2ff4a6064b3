"""What can be tested, one file per topology."""

from __future__ import annotations

from harness.candidates.abilities import Audited, Capped, Guarded, Routed, Tuned
from harness.candidates.base import Candidate, Cluster
from harness.candidates.probes import Probe
from harness.registry import Registry

CANDIDATES: Registry[type[Candidate]] = Registry(
    "candidate",
    {
        "attached": "harness.candidates.attached:Attached",
        "cache-aside": "harness.candidates.cache_aside:CacheAside",
        "client-side-cache": "harness.candidates.client_side_cache:ClientSideCache",
        "compose": "harness.candidates.compose:compose",
        "http-caches": "harness.candidates.http_caches:HttpCaches",
        "invalidation-bus": "harness.candidates.invalidation_bus:InvalidationBus",
        "memcached-pool": "harness.candidates.memcached_pool:MemcachedPool",
        "redis-cluster": "harness.candidates.redis_cluster:RedisCluster",
        "redis-sentinel": "harness.candidates.redis_sentinel:RedisSentinel",
        "redis-single": "harness.candidates.redis_single:RedisSingle",
        "redis-replication": "harness.candidates.redis_replication:RedisReplication",
        "reference": "harness.candidates.reference:Reference",
    },
)

__all__ = ["CANDIDATES", "Audited", "Candidate", "Capped", "Cluster", "Guarded", "Probe", "Routed", "Tuned"]
