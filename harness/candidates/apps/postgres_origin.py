"""PostgreSQL as the origin of a reference fleet: records, their stamps, an audit of every commit, and an outbox.

One function commits: it locks the rows of its keys, in the same order for everybody, so that no two wait for each other; it
compares, counts the stamps up, and writes audit and outbox in the same transaction. The lagging replica is the past of the audit.
Every node empties the outbox onto the bus, whoever is first.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from harness.reference.effects import Refused
from harness.reference.messages import (
    Commit,
    CommitMany,
    Conflict,
    Conflicts,
    Fetch,
    FetchMany,
    FetchNewer,
    Invalidate,
    Record,
    Stamp,
    Update,
    Value,
)
from harness.reference.origin import NOTHING
from harness.reference.settings import Settings

from .access import Access
from .connections import UnreachableError
from .database import Database
from .server import describe
from .service import Hear

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
  key text PRIMARY KEY, version bigint, op bigint, gone boolean, stamp bigint NOT NULL,
  along text[], along_stamps bigint[] -- what was committed together; null for one alone
);
CREATE TABLE IF NOT EXISTS commits (
  place bigserial PRIMARY KEY, key text NOT NULL, version bigint, op bigint, gone boolean, stamp bigint NOT NULL,
  along text[], along_stamps bigint[], at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX IF NOT EXISTS commits_of_a_key ON commits (key, stamp);
CREATE UNIQUE INDEX IF NOT EXISTS commits_of_an_operation ON commits (key, op);
CREATE TABLE IF NOT EXISTS outbox (place bigserial PRIMARY KEY, key text NOT NULL, stamp bigint NOT NULL);
CREATE TABLE IF NOT EXISTS seal (sealed boolean);
CREATE OR REPLACE FUNCTION make_newest(
  ks text[], vs bigint[], os bigint[], gs boolean[], afters bigint[], told boolean, OUT done boolean, OUT stamps bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
  k text; known bigint[];
  together text[] := CASE WHEN cardinality(ks) > 1 THEN ks END;
  their_stamps bigint[];
BEGIN
  IF EXISTS (SELECT FROM seal) THEN RETURN; END IF;
  FOR k IN SELECT unnest(ks) ORDER BY 1 LOOP
    INSERT INTO records (key, stamp) VALUES (k, 0) ON CONFLICT DO NOTHING;
    PERFORM FROM records WHERE key = k FOR UPDATE;
  END LOOP;
  FOR n IN 1 .. cardinality(ks) LOOP
    known[n] := (SELECT stamp FROM commits WHERE key = ks[n] AND op = os[n]);
    stamps[n] := (SELECT stamp FROM records WHERE key = ks[n]);
  END LOOP;
  done := known[1] IS NOT NULL OR afters IS NULL OR stamps = afters;
  IF known[1] IS NOT NULL THEN stamps := known; RETURN; END IF;
  IF NOT done THEN RETURN; END IF;
  FOR n IN 1 .. cardinality(ks) LOOP stamps[n] := stamps[n] + 1; END LOOP;
  IF cardinality(ks) > 1 THEN their_stamps := stamps; END IF;
  FOR n IN 1 .. cardinality(ks) LOOP
    UPDATE records SET version = vs[n], op = os[n], gone = gs[n], stamp = stamps[n], along = together, along_stamps = their_stamps
      WHERE key = ks[n];
    INSERT INTO commits (key, version, op, gone, stamp, along, along_stamps)
      VALUES (ks[n], vs[n], os[n], gs[n], stamps[n], together, their_stamps);
    IF told THEN INSERT INTO outbox (key, stamp) VALUES (ks[n], stamps[n]); END IF;
  END LOOP;
END $$;
"""
_MAKE_NEWEST = "SELECT done, stamps FROM make_newest($1, $2, $3, $4, $5, $6)"
_FETCH = "SELECT * FROM records WHERE key = ANY($1::text[]) AND stamp > 0"
_LAGGING = (
    "SELECT * FROM commits WHERE key = $1 AND at <= clock_timestamp() - $2 * interval '1 second' ORDER BY stamp DESC LIMIT 1"
)
_AUDIT = "SELECT key, version, op FROM commits WHERE NOT gone ORDER BY place"
_WAITING = "SELECT place, key, stamp FROM outbox ORDER BY place LIMIT 100 FOR UPDATE SKIP LOCKED"
_TOLD = "DELETE FROM outbox WHERE place = ANY($1::bigint[])"
_SEAL = ("LOCK TABLE seal IN ACCESS EXCLUSIVE MODE", "INSERT INTO seal VALUES (true)")
"""Whoever commits has looked at the table and holds it until the end: the lock waits for all who found it empty."""
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
                case FetchMany(keys):
                    records = await self._records(keys)
                    await self._tarry()
                    return records
                case Stamp(key):
                    return (await self._record(key)).stamp
                case Commit(value, after):
                    done, (stamp,) = await self._commit((value,), None if after is None else (after,))
                    return stamp if done else Conflict(stamp)
                case CommitMany(values, afters):
                    done, stamps = await self._commit(values, afters)
                    return stamps if done else Conflicts(stamps)
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
                async with connection.transaction():
                    for statement in _SEAL:
                        await connection.execute(statement)
            rows = await connection.fetch(_AUDIT)
        return [Value(row["key"], row["version"], row["op"]) for row in rows]

    async def _commit(self, values: tuple[Value, ...], after: tuple[int, ...] | None) -> tuple[bool, tuple[int, ...]]:
        """Whether they are committed, and their stamps: else the newest there are."""
        columns = zip(*values, strict=True)
        async with self._database.use() as connection:
            row = await connection.fetchrow(_MAKE_NEWEST, *columns, after, self._publish is not None)
        if row["done"] is None:
            raise Refused("the origin is sealed")
        return row["done"], tuple(row["stamps"])

    async def _record(self, key: str) -> Record:
        (record,) = await self._records((key,))
        return record

    async def _records(self, keys: tuple[str, ...]) -> tuple[Record, ...]:
        """All as of one moment: one statement sees one."""
        async with self._database.use() as connection:
            rows = await connection.fetch(_FETCH, keys)
        found = {row["key"]: _record(row) for row in rows}
        return tuple(found.get(key, NOTHING) for key in keys)

    async def _lagging(self, key: str) -> Record:
        async with self._database.use() as connection:
            row = await connection.fetchrow(_LAGGING, key, self._settings.replica_lag_ns / 1e9)
        return NOTHING if row is None else _record(row)

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
    value = Value(row["key"], row["version"], row["op"], row["gone"])
    return Record(value, row["stamp"], tuple(zip(row["along"] or (), row["along_stamps"] or (), strict=True)))
