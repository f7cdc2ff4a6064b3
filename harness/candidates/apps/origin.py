"""The source of truth behind HTTP caches: versioned objects in memory, and purges of the caches in front of it.

    python3 origin.py SETTINGS.json

Objects are written with PUT and DELETE and read with GET, each at the path of its own. A write is committed when it has its place
in the order of all writes (the header ``Version``); then every cache is told to forget the object, before the write is
acknowledged (``"sync"``), after it (``"async"``), or never (``"none"``). A cache that does not answer in time is given up: the
write is acknowledged all the same, as applications do it. Objects do not survive the process.

Answers carry ``Source: origin``, an ``ETag``, and for how long caches may keep them; an absence may be kept as long as a value.

Where it is told a password, it answers nobody without (``Authorization: Basic``), and says it to the caches itself. With TLS it
finds its certificate and key, and the certificate of whom it trusts, beside it.

What the harness asks, below ``/-/``: ``/-/identity``: who is this? ``/-/mark/CACHE``: does that cache answer, over a connection
of the purges?

It imports nothing but the standard library, for it runs alone on a node.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import secrets
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

RUN = secrets.token_hex(6)
MAX_HEAD = 16_384
MAX_BODY = 8 << 20
MAX_PURGES = 32
"""Connections to one cache at most; more purges at once wait for one."""


@dataclass(frozen=True)
class Object:
    """What one write left behind: its place in the order of writes, and the value; None for a delete."""

    version: int
    value: bytes | None


@dataclass(frozen=True)
class Request:
    """One request. ``headers`` are by names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class BadRequestError(Exception):
    """What came is no request that this server takes; the status to say so with."""


async def receive(reader: asyncio.StreamReader) -> Request:
    """The next request; raises ``BadRequestError``, or ``EOFError`` at the end of the connection."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.LimitOverrunError:
        raise BadRequestError("431 Request Header Fields Too Large") from None
    line, *fields = head[:-4].split("\r\n")
    words = line.split(" ")
    if len(words) != 3 or not words[1].startswith("/") or words[2] not in ("HTTP/1.0", "HTTP/1.1"):  # noqa: PLR2004
        raise BadRequestError("400 Bad Request")
    pairs = [field.partition(":") for field in fields]
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    size = headers.get("content-length", "0")
    if "transfer-encoding" in headers:
        raise BadRequestError("411 Length Required")
    if not size.isdecimal() or len(size) > len(str(MAX_BODY)) or int(size) > MAX_BODY:
        raise BadRequestError("413 Content Too Large")
    return Request(words[0], words[1], headers, await reader.readexactly(int(size)))


def answer(status: str, headers: Mapping[str, object] | None = None, body: bytes = b"", *, head_only: bool = False) -> bytes:
    """The bytes of an answer; ``head_only`` for one that tells of a body and has none."""
    fields = {"Source": "origin", **(headers or {})}
    if not status.startswith(("204", "304")):
        fields["Content-Length"] = len(body)
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + (b"" if head_only else body)


class Cache:
    """One cache, and the connections over which it is told what to forget.

    Attributes:
        name: of its node.
    """

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.name: str = told["name"]
        self._address: tuple[str, int] = (told["host"], told["port"])
        self._purge: str = told["purge"]
        self._mark: str = told["mark"]
        self._tls = _trusting() if told["tls"] else None
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._room = asyncio.Semaphore(MAX_PURGES)

    async def purge(self, path: str, within_s: float) -> None:
        """Tell it to forget what is at ``path``; raises ``OSError`` if it does not say in time that it has."""
        await self._ask(self._purge.format(path=path), within_s)

    async def mark(self, within_s: float) -> None:
        """Ask it who it is; raises ``OSError`` if it does not say so in time."""
        await self._ask(self._mark, within_s)

    async def _ask(self, request: str, within_s: float) -> None:
        async with asyncio.timeout(within_s), self._room:
            streams = self._connected() or await asyncio.open_connection(*self._address, ssl=self._tls)
            reader, writer = streams
            kept = False
            try:
                writer.write(request.encode())
                kept = await self._answered(reader)
            except EOFError:
                raise ConnectionResetError(f"{self.name} closed the connection") from None
            finally:
                if kept:
                    self._idle.append(streams)
                else:  # a late answer would pass for that to the next request
                    writer.transport.abort()

    def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection that is there, as far as this side knows; None if there is none."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and reader.exception() is None:
                return reader, writer
            writer.transport.abort()
        return None

    async def _answered(self, reader: asyncio.StreamReader) -> bool:
        """Take in the answer; whether the connection goes on. Raises ``OSError`` if it is none that says that it was done."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            size = next((line[15:].strip() for line in head.split("\r\n") if line.startswith("content-length:")), "")
            if size:
                await reader.readexactly(int(size))
        except (asyncio.LimitOverrunError, ValueError):
            raise OSError(f"{self.name} answered garbage") from None
        # A cache that has fetched the object anew may have learnt that it is gone.
        if head[9:12] not in ("200", "204", "404"):
            raise OSError(f"{self.name} answered {head[9:12]}")
        return bool(size) and "connection: close" not in head


class Origin:
    """The objects, and the order of writes."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._caches = [Cache(cache) for cache in told["caches"]]
        self._purge: str = told["purge"]
        self._authorization: bytes = told["authorization"].encode()
        self._purge_within_s: float = told["purge_within_ms"] / 1e3
        self._answers_after_s: float = told["answers_after_ms"] / 1e3
        self._keep = f"max-age={told['max_age_s']}, stale-while-revalidate={told['stale_s']}, stale-if-error={told['stale_s']}"
        self._objects: dict[str, Object] = {}
        self._versions = count(1)
        self._purging: set[asyncio.Task[None]] = set()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it is gone."""
        try:
            while True:
                request = await receive(reader)
                writer.write(await self._handle(request))
                await writer.drain()
        except BadRequestError as bad:
            writer.write(answer(str(bad), {"Connection": "close"}))
        except (EOFError, OSError):
            pass
        finally:
            writer.close()

    async def _handle(self, request: Request) -> bytes:
        if self._authorization and not hmac.compare_digest(
            request.headers.get("authorization", "").encode(), self._authorization
        ):
            return answer("401 Unauthorized", {"WWW-Authenticate": 'Basic realm="anachron"', "Cache-Control": "no-store"})
        if request.path.startswith("/-/"):
            return await self._tell(request.path)
        match request.method:
            case "GET" | "HEAD":
                return await self._read(request)
            case "PUT":
                return await self._write(request.path, request.body)
            case "DELETE":
                return await self._write(request.path, None)
        return answer("405 Method Not Allowed", {"Allow": "GET, HEAD, PUT, DELETE"})

    async def _read(self, request: Request) -> bytes:
        found = self._objects.get(request.path, Object(0, None))
        if self._answers_after_s:
            await asyncio.sleep(self._answers_after_s)
        headers = {"Cache-Control": self._keep, "ETag": f'"{found.version}"', "Version": found.version}
        if found.value is None:
            return answer("404 Not Found", headers, head_only=request.method == "HEAD")
        if request.headers.get("if-none-match") == headers["ETag"]:
            return answer("304 Not Modified", headers)
        return answer("200 OK", headers, found.value, head_only=request.method == "HEAD")

    async def _write(self, path: str, value: bytes | None) -> bytes:
        version = next(self._versions)
        self._objects[path] = Object(version, value)
        if self._purge == "sync":
            await asyncio.gather(*(self._forget(cache, path) for cache in self._caches))
        elif self._purge == "async":
            for cache in self._caches:
                purging = asyncio.create_task(self._forget(cache, path))
                self._purging.add(purging)  # a task that nobody holds may be collected
                purging.add_done_callback(self._purging.discard)
        return answer("204 No Content", {"Version": version})

    async def _forget(self, cache: Cache, path: str) -> None:
        try:
            await cache.purge(path, self._purge_within_s)
        except OSError as error:
            print(f"{cache.name} was not purged of {path}: {error or 'time-out'}", flush=True)  # noqa: T201 - the node's log

    async def _tell(self, path: str) -> bytes:
        if path == "/-/identity":
            return answer("200 OK", {"Cache-Control": "no-store"}, f"process {os.getpid()}, run {RUN}".encode())
        for cache in self._caches:
            if path == f"/-/mark/{cache.name}":
                try:
                    await cache.mark(self._purge_within_s)
                except OSError as error:
                    return answer("504 Gateway Timeout", {"Cache-Control": "no-store"}, str(error or "time-out").encode())
                return answer("200 OK", {"Cache-Control": "no-store"})
        return answer("404 Not Found", {"Cache-Control": "no-store"})


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile="authority.crt")
    context.check_hostname = False  # caches are reached at many addresses, and the authority vouches for nobody else
    return context


def _trusted() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("node.crt", "node.key")
    return context


async def serve(told: Mapping[str, Any]) -> None:
    """Answer clients for ever."""
    origin = Origin(told)
    tls = _trusted() if told["tls"] else None
    server = await asyncio.start_server(origin.converse, told["host"], told["port"], limit=MAX_HEAD, backlog=1024, ssl=tls)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text())))
