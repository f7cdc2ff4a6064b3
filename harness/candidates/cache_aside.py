"""``cache-aside``: applications that read through a shared cache to PostgreSQL, the source of truth.

Every application node looks into the cache first, and fills it from the database where it finds nothing. The cache knows
nothing of the database: what keeps the two in step is the code path of a write, the *strategy*. A commit and a change of the
cache are two steps on two machines, and each of the classic orders of the two has its race:

* ``write-then-delete``, the default of most teams: a reader that missed and read before the commit may fill in after the delete.
  The old value stays until its time to live is over, or the next write.
* ``delete-then-write``: anyone who reads between the delete and the commit fills in what is about to be old.
* ``set-on-write``: a late fill, or a second writer, puts an older value over the newer one.
* ``double-delete``: the second delete comes ``second_delete`` later and repairs what was filled meanwhile. Reads are stale in
  between, and for good where a fill takes longer or the node dies first.
* ``lease``: each miss is filled by one reader at a time, and a delete voids its right to. No late fill gets in. It alone also
  invalidates after a commit that was not confirmed, as a system that claims to be right has to.

With ``lease`` and all links whole, a read is never older than the delete that follows each commit, and no node goes back. The
others promise no more than to be right in the end, and that only with a ``ttl``.

**Failures.** A write is refused where certainly nothing was committed. Once the commit was sent, an error leaves it unknown, also
where it is committed and the delete failed: then the delete is tried again until it succeeds or the node dies (``failed_delete =
"retry"``), or it is not (``"report"``), or the write is acknowledged as if nothing were wrong (``"ignore"``), as many
applications do. Where nobody knows whether it was committed, it may still be later: when a cut heals, or a lock is free. With
``lease`` and ``"retry"`` its key stays in doubt meanwhile: the node first ends the database session that may yet commit, then
deletes the entry, each again and again until it is done or the node dies; then no old value can stay. The classic orders leave
the entry as it is, as most applications do.

Where the cache is out of reach, reads go to the database, or are refused (``without_cache``): a node that has shown the newest
value from the database shows the cache's older one afterwards, so ``lease`` refuses unless told otherwise.

**The audit.** Every commit leaves a row, in the transaction itself. After the run the tables are sealed and the rows decide what
became of the writes that were never answered.

Nodes ``app-1`` and so on, ``cache``, ``db``. Options: ``apps = 2`` (1 to 10), ``cache = "redis" | "valkey" | "memcached"``,
``strategy``, ``ttl`` (off), ``lease = "2s"``, ``second_delete = "500ms"``, ``without_cache = "database" | "refuse"``,
``failed_delete``, ``cache_timeout = "100ms"``, ``database_timeout = "1s"``; ``fill_pause`` and ``fill_pause_share``: an
artificial pause of a share of all fills between the database and the cache, which makes a rare race likely; ``images``. Who is
let in, at the applications and by the servers: ``tls``, ``username``, ``password_env`` (the environment variable with the
password; PostgreSQL has one user, ``anachron``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from harness.candidates.access import AccessOptions
from harness.candidates.app_nodes import AppNodes, app_topology
from harness.candidates.asking import TIMEOUT_NS, UnusableAnswerError
from harness.candidates.backends import Backend, MemcachedBackend, PostgresBackend, RedisBackend
from harness.clients.memcached import unspeakable
from harness.durations import UNITS
from harness.plan import CandidateSpec, Duration, Record, Share
from harness.runtimes.base import Endpoint, Runtime
from harness.topology import Link, Node

_AUDIT_ROWS = 2_000
"""How many writes of the audit are asked for at a time."""
_MS = UNITS["ms"]
_S = UNITS["s"]


class AppImages(Record):
    """Container images by the part that they play; empty for the runtime's own choice."""

    app: str = ""
    cache: str = ""
    db: str = ""


class CacheAsideOptions(AccessOptions):
    """Options of ``cache-aside``."""

    apps: int = Field(default=2, ge=1, le=10)
    cache: Literal["redis", "valkey", "memcached"] = "redis"
    strategy: Literal["write-then-delete", "delete-then-write", "set-on-write", "double-delete", "lease"] = "write-then-delete"
    ttl: Duration = 0
    """How long an entry lives; without it, until it is deleted or evicted."""
    lease: Duration = Field(default=2 * _S, ge=_S)
    """How long one reader may have the right to fill an entry."""
    second_delete: Duration = 500 * _MS
    without_cache: Literal["database", "refuse"] | None = None
    """What becomes of a read when the cache is out of reach; by default ``refuse`` with leases, ``database`` otherwise."""
    failed_delete: Literal["retry", "report", "ignore"] = "retry"
    cache_timeout: Duration = Field(default=100 * _MS, ge=_MS)
    database_timeout: Duration = Field(default=_S, ge=_MS)
    fill_pause: Duration = 0
    fill_pause_share: Share = 0.0
    images: AppImages = AppImages()

    @model_validator(mode="after")
    def _possible(self) -> CacheAsideOptions:
        if self.cache == "memcached" and (refused := unspeakable(self.access)):
            raise ValueError(refused)
        if self.cache == "memcached" and (self.ttl % _S or self.lease % _S):
            raise ValueError("memcached counts in whole seconds: let ttl and lease be such")
        if 0 < self.ttl < _MS:
            raise ValueError("a ttl is at least 1ms; leave it out for entries that last")
        if bool(self.fill_pause) != bool(self.fill_pause_share):
            raise ValueError("fill_pause says how long, fill_pause_share how often: give both or neither")
        return self


class CacheAside(AppNodes):
    """See the module."""

    def __init__(self, spec: CandidateSpec) -> None:
        self._options = spec.read(CacheAsideOptions)
        memcached = self._options.cache == "memcached"
        cache = Node(0, "cache", "cache", *(("memcached", 11_211) if memcached else ("resp", 6_379)))
        topology = app_topology(self._options.apps, cache, Node(0, "db", "origin", "sql", 5_432))
        backends = {"cache": self._cache, "db": self._db}
        super().__init__(topology, "cache-aside", backends, self._told, options=self._options, image=self._options.images.app)

    async def audit(self, *, seal: bool) -> Sequence[bytes]:
        """See ``harness.candidates.abilities.Audited``; the applications ask the database for it."""
        values: list[bytes] = []
        place = "0"
        while True:
            words = ("AUDIT", place, str(_AUDIT_ROWS), *(("SEAL",) if seal else ()))
            answer = await self.ask_any(*words, within_ns=self._options.database_timeout + TIMEOUT_NS)
            try:
                rows = [line.split() for line in str(answer).splitlines()]
                values += [bytes.fromhex(value) for _, _, value in rows if value != "-"]
            except ValueError:
                raise UnusableAnswerError(f"the audit cannot be read: {answer!r:.80}") from None
            if not rows:
                return values
            place = rows[-1][0]

    def _cache(self, endpoint: Endpoint) -> Backend:
        kind, image = self._options.cache, self._options.images.cache
        if kind == "memcached":
            return MemcachedBackend("cache", image, endpoint, self._guard)
        return RedisBackend("cache", kind, image, endpoint, self._guard)

    def _db(self, endpoint: Endpoint) -> Backend:
        return PostgresBackend("db", self._options.images.db, endpoint, self._guard)

    def _told(self, runtime: Runtime, node: str) -> Mapping[str, Any]:
        options = self._options
        return {
            "database": runtime.via(Link(node, "db")),
            "cache_at": runtime.via(Link(node, "cache")),
            "cache": "memcached" if options.cache == "memcached" else "redis",
            "strategy": options.strategy,
            "without_cache": options.without_cache or ("refuse" if options.strategy == "lease" else "database"),
            "failed_delete": options.failed_delete,
            "ttl_ms": options.ttl // _MS,
            "lease_ms": options.lease // _MS,
            "second_delete_ms": options.second_delete // _MS,
            "fill_pause_ms": options.fill_pause // _MS,
            "fill_pause_share": options.fill_pause_share,
            "cache_timeout_ms": options.cache_timeout // _MS,
            "database_timeout_ms": options.database_timeout // _MS,
        }
