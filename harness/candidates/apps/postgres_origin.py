"""PostgreSQL as the origin of a reference fleet: records, their stamps, an audit of every commit, and an outbox.

One function commits: it locks the key's row, compares, counts the stamp up, and writes audit and outbox in the same transaction.
The lagging replica is the past of the audit. Every node empties the outbox onto the bus, whoever is first.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from harness.reference.effects import Refused
from harness.reference.messages import Commit, Conflict, Fetch, FetchNewer, Invalidate, Record, Stamp, Update, Value
from harness.reference.settings import Settings

from .access import Access
from .connections import UnreachableError
from .database import Database
from .server import describe
from .service import Hear

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (key text PRIMARY KEY, version bigint, op bigint, gone boolean, stamp bigint NOT NULL);
CREATE TABLE IF NOT EXISTS commits (
  place bigserial PRIMARY KEY, key text NOT NULL, version bigint, op bigint, gone boolean, stamp bigint NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX IF NOT EXISTS commits_of_a_key ON commits (key, stamp);
CREATE UNIQUE INDEX IF NOT EXISTS commits_of_an_operation ON commits (key, op);
CREATE TABLE IF NOT EXISTS outbox (place bigserial PRIMARY KEY, key text NOT NULL, stamp bigint NOT NULL);
CREATE TABLE IF NOT EXISTS seal (sealed boolean);
CREATE OR REPLACE FUNCTION make_newest(k text, v bigint, o bigint, g boolean, after bigint, told boolean) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE newest bigint; known bigint;
BEGIN
  IF EXISTS (SELECT FROM seal) THEN RETURN NULL; END IF;
  INSERT INTO records (key, stamp) VALUES (k, 0) ON CONFLICT DO NOTHING;
  SELECT stamp INTO newest FROM records WHERE key = k FOR UPDATE;
  SELECT stamp INTO known FROM commits WHERE key = k AND op = o;
  IF FOUND THEN RETURN known; END IF;
  IF newest <> after THEN RETURN -1 - newest; END IF;
  newest := newest + 1;
  UPDATE records SET version = v, op = o, gone = g, stamp = newest WHERE key = k;
  INSERT INTO commits (key, version, op, gone, stamp) VALUES (k, v, o, g, newest);
  IF told THEN INSERT INTO outbox (key, stamp) VALUES (k, newest); END IF;
  RETURN newest;
END $$;
"""
_MAKE_NEWEST = "SELECT make_newest($1, $2, $3, $4, $5, $6)"
_FETCH = "SELECT key, version, op, gone, stamp FROM records WHERE key = $1 AND stamp > 0"
_LAGGING = (
    "SELECT key, version, op, gone, stamp FROM commits"
    " WHERE key = $1 AND at <= clock_timestamp() - $2 * interval '1 second' ORDER BY stamp DESC LIMIT 1"
)
_AUDIT = "SELECT key, version, op FROM commits WHERE NOT gone ORDER BY place"
_WAITING = "SELECT place, key, stamp FROM outbox ORDER BY place LIMIT 100 FOR UPDATE SKIP LOCKED"
_TOLD = "DELETE FROM outbox WHERE place = ANY($1::bigint[])"
_SEAL = "INSERT INTO seal VALUES (true)"
_EMPTY_S = 0.005
"""How long the outbox is left alone once it is empty."""

Publish = Callable[[Any], Awaitable[Any]]


class PostgresOrigin:
    """See ``service.Service``.

    Args:
        settings: the fleet's.
        publish: hands an event to the bus; None where commits are told to nobody.
        whole: whether events carry the whole record.
    """

    def __init__(self, host: str, port: int, *, access: Access, settings: Settings, publish: Publish | None, whole: bool) -> None:
        self._database = Database(host, port, access=access, timeout_s=settings.call_timeout_ns / 1e9, schema=_SCHEMA)
        self._settings = settings
        self._publish = publish
        self._whole = whole
        self._relay: asyncio.Task[None] | None = None
        self._random = random.Random()

    async def open(self, hear: Hear) -> None:  # noqa: ARG002 - a database says nothing of its own accord
        """Make the tables, and begin to empty the outbox."""
        await self._database.open()
        if self._relay is None and self._publish is not None:
            self._relay = asyncio.create_task(self._empty(self._publish))

    async def ask(self, request: Any) -> Any:
        """Reads and commits."""
        try:
            match request:
                case Fetch(key, replica):
                    record = await (self._lagging(key) if replica else self._record(key))
                    await self._tarry()
                    return record
                case FetchNewer(key, stamp):
                    record = await self._record(key)
                    await self._tarry()
                    return record if record.stamp > stamp else None
                case Stamp(key):
                    return (await self._record(key)).stamp
                case Commit(value, after):
                    return await self._commit(value, after)
        except UnreachableError as error:
            raise Refused(f"origin: {describe(error)}") from None
        raise TypeError(f"an origin does not understand {request!r}")

    async def tell(self, message: Any) -> None:
        """An origin is told nothing."""
        raise TypeError(f"an origin does not understand {message!r}")

    async def probe(self, mark: bytes) -> None:
        """See ``service.Service``."""
        await self._database.probe(mark)

    async def audit(self, *, seal: bool) -> list[Value]:
        """All values that are committed, in order; to seal is to let nothing be committed ever after."""
        async with self._database.use() as connection:
            if seal:
                await connection.execute(_SEAL)
            rows = await connection.fetch(_AUDIT)
        return [Value(row["key"], row["version"], row["op"]) for row in rows]

    async def _commit(self, value: Value, after: int | None) -> int | Conflict:
        told = self._publish is not None
        async with self._database.use() as connection:
            stamp = await connection.fetchval(_MAKE_NEWEST, value.key, value.version, value.op, value.gone, after, told)
        if stamp is None:
            raise Refused("the origin is sealed")
        return stamp if stamp > 0 else Conflict(-1 - stamp)

    async def _record(self, key: str) -> Record:
        async with self._database.use() as connection:
            row = await connection.fetchrow(_FETCH, key)
        return _record(row)

    async def _lagging(self, key: str) -> Record:
        async with self._database.use() as connection:
            row = await connection.fetchrow(_LAGGING, key, self._settings.replica_lag_ns / 1e9)
        return _record(row)

    async def _tarry(self) -> None:
        """As the simulated origin does: now and then an answer takes long."""
        if self._random.random() < self._settings.slow_share:
            await asyncio.sleep(self._settings.slow_load_ns / 1e9)

    async def _empty(self, publish: Publish) -> None:
        """Hand what is in the outbox to the bus, and take it out once the bus has it; an event may be told twice."""
        while True:
            told = 0
            try:
                async with self._database.use() as connection, connection.transaction():
                    rows = await connection.fetch(_WAITING)
                    for row in rows:
                        await publish(await self._event(row["key"], row["stamp"]))
                    told = len(rows)
                    await connection.execute(_TOLD, [row["place"] for row in rows])
            except OSError as error:
                print(f"the outbox waits: {describe(error)}", flush=True)  # noqa: T201 - the node's log
                await asyncio.sleep(self._settings.retry_ns / 1e9)
            if not told:
                await asyncio.sleep(_EMPTY_S)

    async def _event(self, key: str, stamp: int) -> Any:
        if not self._whole:
            return Invalidate(key, stamp)
        record = await self._record(key)
        return Update(key, record)


def _record(row: Any) -> Record:
    if row is None:
        return Record(None, 0)
    return Record(Value(row["key"], row["version"], row["op"], row["gone"]), row["stamp"])
