"""PostgreSQL as the source of truth, with an audit of every committed write.

``entries`` has one row a key. A trigger writes every change of it into ``audit`` within the same transaction, after the row's
lock was taken: so of one key's writes the audit's order is the order of their commits, whoever made them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg

from .access import OPEN, Access
from .connections import OpenEndedError, UnreachableError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (key bytea PRIMARY KEY, value bytea NOT NULL);
CREATE TABLE IF NOT EXISTS audit (place bigserial PRIMARY KEY, key bytea NOT NULL, value bytea);
CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO audit (key) VALUES (OLD.key);
  ELSE
    INSERT INTO audit (key, value) VALUES (NEW.key, NEW.value);
  END IF;
  RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON entries FOR EACH ROW EXECUTE FUNCTION note();
"""
_PUT = "INSERT INTO entries VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_END = "SELECT bool_and(pg_terminate_backend(pid, $2)) FROM pg_stat_activity WHERE application_name = $1"
_SEAL = "ALTER TABLE IF EXISTS entries RENAME TO sealed"
_ONE_AT_A_TIME = 4_711
"""The advisory lock under which application nodes make the tables."""


class Database:
    """Autocommit statements over a pool of connections. A connection on which anything went wrong is not used again.

    That ends nothing at the server: it may not hear of it for long, and what was sent before may wait on the way, or for a lock.
    So every connection's session has a name of its own there, by which it can be ended over another connection.

    Args:
        access: how one is let in; the user is always the one who owns the database.
        timeout_s: how long it may take to connect, and how long a statement.
        connections: how many there are at most.
        schema: what is made when the database is opened.
    """

    def __init__(
        self, host: str, port: int, *, access: Access = OPEN, timeout_s: float, connections: int = 16, schema: str = _SCHEMA
    ) -> None:
        self._host, self._port = host, port
        self._password = access.password
        self._tls = access.to_servers()
        self._timeout_s = timeout_s
        self._schema = schema
        self._room = asyncio.Semaphore(connections)
        self._idle: list[asyncpg.Connection] = []
        self._marks: asyncpg.Connection | None = None

    async def open(self) -> None:
        """Make the tables if they are not there; raises ``OSError`` while the database does not serve."""
        async with self.use() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1::bigint)", _ONE_AT_A_TIME)
            await connection.execute(self._schema)

    async def get(self, key: bytes) -> bytes | None:
        """The value of a key; raises ``OSError``."""
        async with self.use() as connection:
            value: bytes | None = await connection.fetchval("SELECT value FROM entries WHERE key = $1", key)
        return value

    async def put(self, key: bytes, value: bytes) -> None:
        """Write a value; committed on return.

        Raises ``UnreachableError`` where it is certainly not written, and ``OpenEndedError`` where it may be, now or later.
        """
        async with self._write() as connection:
            await connection.execute(_PUT, key, value)

    async def delete(self, key: bytes) -> int:
        """Delete a key; how many there were. Raises as ``put`` does."""
        async with self._write() as connection:
            done = await connection.execute("DELETE FROM entries WHERE key = $1", key)
        return int(done.rpartition(" ")[2])

    async def end(self, session: str) -> None:
        """Nothing is committed in ``session`` any more when this returns; raises ``OSError`` where that is not known yet."""
        async with self.use() as connection:
            # Its server process is waited for: what it did not commit while it lived, it never will.
            ended = await connection.fetchval(_END, session, max(1, int(self._timeout_s * 1e3 / 2)))
        if ended is False:
            raise TimeoutError(f"session {session} has not ended yet")

    async def audit(self, after: int, limit: int, *, seal: bool) -> list[tuple[int, bytes, bytes | None]]:
        """Place, key and value (None for a delete) of committed writes, in order, from the first one past place ``after`` on.

        To seal is to let nothing be written ever again: what is on its way now either gets there before the audit is read, or
        never.
        """
        async with self.use() as connection:
            if seal:
                await connection.execute(_SEAL)
            rows = await connection.fetch(
                "SELECT place, key, value FROM audit WHERE place > $1 ORDER BY place LIMIT $2", after, limit
            )
        return [(row["place"], row["key"], row["value"]) for row in rows]

    async def probe(self, mark: bytes) -> None:
        """Send a mark over a connection of its own, return when it is answered; raises ``OSError``.

        The protocol has no way to go on with a connection on which an answer is owed: after a lost mark the next one connects.
        """
        connection, self._marks = self._marks, None
        if connection is None or connection.is_closed():
            connection = await self._connect()
        try:
            with _as_os_error():
                await connection.fetchval("SELECT $1::text", mark.decode())
        except BaseException:
            connection.terminate()
            raise
        self._marks = connection

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[asyncpg.Connection]:
        session = ""
        try:
            async with self.use() as connection:
                session = connection.get_settings().application_name
                yield connection
        except UnreachableError:
            raise
        except OSError as error:
            raise OpenEndedError(session, error) from None

    @asynccontextmanager
    async def use(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection for some statements; raises ``OSError``, ``UnreachableError`` where nothing was sent."""
        async with self._room:
            connection = await self._take()
            try:
                with _as_os_error():
                    async with asyncio.timeout(self._timeout_s):
                        yield connection
            except BaseException:
                connection.terminate()
                raise
            self._idle.append(connection)

    async def _take(self) -> asyncpg.Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        try:
            return await self._connect()
        except OSError as error:
            raise UnreachableError(f"no connection: {type(error).__name__}") from None

    async def _connect(self) -> asyncpg.Connection:
        with _as_os_error():
            return await asyncpg.connect(
                host=self._host,
                port=self._port,
                user="anachron",
                password=self._password,
                database="postgres",
                ssl=self._tls or False,
                timeout=self._timeout_s,
                server_settings={"application_name": f"anachron-{secrets.token_hex(8)}"},
            )


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Everything that a server or the way to it can do wrong as an ``OSError``."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise ConnectionError(f"{type(error).__name__}: {error}") from None
