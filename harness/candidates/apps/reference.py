"""A place of a reference fleet: a cache node, the origin, the bus or the store, by the same code that the simulation runs.

Beside what every application node understands there is, for the harness, ``HOLD gate`` and ``RELEASE gate``; ``MEDDLE act count
kind place`` and ``DELIVER place``, which strike single messages to another place; ``HELD``, which is how many flows and messages
are held here; ``STATS``, which is what it has sent and served so far; ``PEERS``, which is with whom it is connected; and, at the
origin, ``AUDIT``.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from harness.reference.books import kept
from harness.reference.bus import Log
from harness.reference.design import Design
from harness.reference.effects import Flow, Refused, Unreachable
from harness.reference.messages import BUS, ORIGIN, Value
from harness.reference.node import Actor, Strategy
from harness.reference.origin import Origin
from harness.reference.rules import Rule
from harness.reference.settings import Settings as Times
from harness.reference.strategies.broadcast_update import OutboxOfRecords
from harness.reference.zoo import named_design
from harness.values import decode_value, encode_value

from .access import OPEN, Access
from .caches import RedisCache, redis_peer
from .connections import Connection
from .place import LivePlace
from .redis_bus import RedisBus
from .server import Probe, RefusedError, UnknownError
from .service import Service
from .wire import Reply

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """How the place is set up.

    Attributes:
        node: its name.
        listen: its address.
        strategy: as the candidate ``reference`` takes it: ``broadcast-alo+blind-refill``.
        nodes: the names of all cache nodes.
        peers: where this place reaches the others, by name.
        services: which of them are servers that play the part: ``postgres`` the origin's, ``redis`` the bus's.
        times: the fleet's settings.
    """

    node: str
    listen: tuple[str, int]
    strategy: str
    nodes: tuple[str, ...]
    peers: Mapping[str, tuple[str, int]]
    services: Mapping[str, str]
    times: Mapping[str, Any]
    access: Access = OPEN


@runtime_checkable
class Audited(Protocol):
    """A service that keeps a record of what was committed."""

    async def audit(self, *, seal: bool) -> list[Value]:
        """All values that are committed, in order; to seal is to let nothing be committed ever after."""


class Reference:
    """See the module."""

    def __init__(self, settings: Settings) -> None:
        design, _ = named_design(settings.strategy)
        role = _role(design, settings.node)
        times = Times(**settings.times)
        self._services = _services(settings, design, times)
        peers = {
            name: redis_peer(*where, settings.access) for name, where in settings.peers.items() if name not in settings.services
        }
        self._place = LivePlace(settings.node, role, dial=peers, services=self._services, nodes=settings.nodes, settings=times)
        timeout_s = times.call_timeout_ns / 1e9
        self.probes: Mapping[str, Probe] = {
            name: RedisCache(*where, access=settings.access, timeout_s=timeout_s, ttl_ms=0, lease_ms=0).probe
            for name, where in settings.peers.items()
            if name not in settings.services
        } | {name: service.probe for name, service in self._services.items()}

    @property
    def office(self) -> str:
        """See ``server.Application``."""
        return self._place.role

    async def open(self) -> None:
        """Connect with the other places, and begin."""
        await self._place.open()

    async def converse(self, name: str, connection: Connection) -> None:
        """See ``server.Peered``."""
        await self._place.converse(name, connection)

    async def read(self, key: bytes) -> bytes | None:
        """GET."""
        return _shown(await self._read(self._strategy.read(key.decode())))

    async def read_many(self, keys: list[bytes]) -> list[bytes | None]:
        """MGET."""
        return [_shown(value) for value in await self._read(self._strategy.read_many(tuple(key.decode() for key in keys)))]

    async def write(self, key: bytes, value: bytes) -> None:
        """SET, of a value that says what it is."""
        await self._write(self._strategy.write(_written(key, value)))

    async def write_many(self, items: list[tuple[bytes, bytes]]) -> None:
        """MSET, of such values."""
        await self._write(self._strategy.write_many(tuple(_written(key, value) for key, value in items)))

    async def delete(self, key: bytes) -> int:
        """DEL; how many keys there were is not known, so 1."""
        await self._write(self._strategy.write(_deleted(key)))
        return 1

    async def delete_many(self, keys: list[bytes]) -> int:
        """DEL; as of one."""
        await self._write(self._strategy.write_many(tuple(map(_deleted, keys))))
        return len(keys)

    async def _read(self, flow: Flow[T]) -> T:
        try:
            found: T = await self._place.run(flow)
        except (Refused, Unreachable) as error:
            raise RefusedError(str(error)) from None
        return found

    async def _write(self, flow: Flow[None]) -> None:
        try:
            await self._place.run(flow)
        except Refused as refused:
            raise RefusedError(str(refused)) from None
        except Unreachable as error:
            raise UnknownError(str(error)) from None

    @property
    def _strategy(self) -> Strategy:
        actor = self._place.actor
        if not isinstance(actor, Strategy):
            raise RefusedError("this is no cache node")
        return actor

    async def command(self, words: list[bytes]) -> Reply:
        """What other places and the harness say."""
        match words:
            case [b"HOLD", gate]:
                self._place.gates.shut(self._place.name, gate.decode())
                return "OK"
            case [b"RELEASE", gate]:
                self._place.gates.open(self._place.name, gate.decode())
                return "OK"
            case [b"HELD"]:
                return self._place.held
            case [b"STATS"]:
                return self._place.counts.document(kept(self._place.actor))
            case [b"PEERS"]:
                return " ".join(self._place.connected).encode()
            case [b"MEDDLE", act, count, kind, target]:
                rule = Rule(kind.decode(), act.decode(), int(count))  # type: ignore[arg-type] # the harness knows the three
                self._place.rules.setdefault(target.decode(), []).append(rule)
                return "OK"
            case [b"DELIVER", target]:
                self._place.deliver(target.decode())
                return "OK"
            case [b"AUDIT", *seal] if isinstance(self._place.actor, Origin):
                self._place.actor.sealed = seal == [b"SEAL"]
                return _listed(value for _, value in self._place.actor.audit if not value.gone)
            case [b"AUDIT", *seal] if isinstance(origin := self._services.get(ORIGIN), Audited):
                return _listed(await origin.audit(seal=seal == [b"SEAL"]))
        raise RefusedError(f"unknown command {words[:1]}")


def _role(design: Design, name: str) -> type[Actor]:
    """Who runs at the place called ``name``."""
    return design.shared.get(name, design.node)


def _services(settings: Settings, design: Design, times: Times) -> Mapping[str, Service]:
    """The servers that play a part, by the name of the place."""
    found: dict[str, Service] = {}
    bus: RedisBus | None = None
    if settings.services.get(BUS) == "redis":
        bus = found[BUS] = RedisBus(
            *settings.peers[BUS],
            access=settings.access,
            kept=design.bus is Log,
            heartbeat_s=times.heartbeat_ns / 1e9,
            timeout_s=times.call_timeout_ns / 1e9,
        )
    if settings.services.get(ORIGIN) == "postgres":
        from .postgres_origin import PostgresOrigin  # noqa: PLC0415 - only who has a database needs its library

        found[ORIGIN] = PostgresOrigin(
            *settings.peers[ORIGIN],
            access=settings.access,
            settings=times,
            publish=bus.publish if bus is not None and design.origin is not Origin else None,
            whole=design.origin is OutboxOfRecords,
        )
    return found


def _written(key: bytes, value: bytes) -> Value:
    written = decode_value(value)
    if written is None:
        raise RefusedError("only values of a run are taken")
    return Value(key.decode(), written.version, written.op)


def _deleted(key: bytes) -> Value:
    """A delete does not say which operation it is, so it gets a number here."""
    return Value(key.decode(), -1, -1 - secrets.randbits(60), gone=True)


def _shown(value: Value | None) -> bytes | None:
    return None if value is None or value.gone else encode_value(value.key.encode(), value.version, value.op)


def _listed(values: Iterable[Value]) -> bytes:
    """Values as clients wrote them, one a line."""
    return b"\n".join(encode_value(value.key.encode(), value.version, value.op) for value in values)
