"""Servers behind application nodes: how each is started, when it serves, and who it says it is.

The harness asks them over connections of its own, past the links; what it wants to know takes a few bytes of their protocols.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Protocol

from harness.candidates.access import CERTIFICATE, KEY, Entrance, secret_lines
from harness.candidates.asking import UnusableAnswerError
from harness.candidates.memcached_access import memcached_arguments, memcached_files
from harness.candidates.memcached_admin import MemcachedAdmin
from harness.candidates.postgres_wire import Postgres
from harness.candidates.redis_access import Guard
from harness.candidates.redis_admin import Admin
from harness.runtimes.base import Endpoint, File, Runtime, Server

START_POSTGRES = "start-postgres.sh"
_POSTGRES_USER = "anachron"
_ENTER_POSTGRES = "enter-postgres.sh"
_PASSWORD, _RULES, _OWN_KEY = "postgres.password", "pg_hba.conf", "postgres.key"


class Backend(Protocol):
    """One server, as the harness sees it. Methods that ask it raise ``OSError`` while it does not serve."""

    def server(self, runtime: Runtime) -> Server:
        """What to run."""

    async def identity(self) -> str:
        """Who it is as a source of answers."""

    async def product(self) -> str:
        """The software with its version."""

    def close(self) -> None:
        """Give the harness's connections back."""


class RedisBackend:
    """A Redis or Valkey server without persistence."""

    def __init__(self, node: str, kind: str, image: str, endpoint: Endpoint, guard: Guard) -> None:
        self._node, self._kind, self._image = node, kind, image
        self._endpoint = endpoint
        self._guard = guard
        self._admin = Admin(endpoint, guard.access)

    def server(self, runtime: Runtime) -> Server:  # noqa: ARG002 - it is the same everywhere
        """See ``Backend``."""
        arguments = (
            *self._guard.arguments(self._endpoint),
            *("--protected-mode", "no"),  # nobody but the run's own nodes reaches the address
            *("--save", "", "--appendonly", "no"),  # a cache, and a bus, forget
        )
        return Server(self._node, f"{self._kind}-server", arguments, image=self._image, files=self._guard.files(self._node))

    async def identity(self) -> str:
        """See ``Backend``."""
        server = await self._admin.info("server")
        if "run_id" not in server:
            raise UnusableAnswerError(f"{self._node} does not say its run_id")
        return f"run {server['run_id'][:12]}"

    async def product(self) -> str:
        """See ``Backend``."""
        server = await self._admin.info("server")
        if "valkey_version" in server:
            return f"Valkey {server['valkey_version']}"
        return f"Redis {server.get('redis_version', 'of unknown version')}"

    def close(self) -> None:
        """See ``Backend``."""
        self._admin.close()


class MemcachedBackend:
    """A memcached server."""

    def __init__(self, node: str, image: str, endpoint: Endpoint, entrance: Entrance) -> None:
        self._node, self._image = node, image
        self._endpoint = endpoint
        self._entrance = entrance
        self._admin = MemcachedAdmin(endpoint, entrance.access)

    def server(self, runtime: Runtime) -> Server:  # noqa: ARG002 - it is the same everywhere
        """See ``Backend``."""
        host, port = self._endpoint
        # It refuses to be root unless it is told which user to be; in a container it is root of nothing else.
        arguments = ("-l", host, "-p", str(port), "-U", "0", "-m", "64", "-u", "root", *memcached_arguments(self._entrance))
        return Server(self._node, "memcached", arguments, image=self._image, files=memcached_files(self._entrance, self._node))

    async def identity(self) -> str:
        """See ``Backend``."""
        return await self._admin.birth()

    async def product(self) -> str:
        """See ``Backend``."""
        return f"memcached {await self._admin.version()}"

    def close(self) -> None:
        """See ``Backend``."""
        self._admin.close()


class PostgresBackend:
    """A PostgreSQL server that makes its database when it starts without one.

    Nothing is flushed to the disk: a killed process loses no committed write all the same, only a crash of the machine would.
    """

    def __init__(self, node: str, image: str, endpoint: Endpoint, entrance: Entrance) -> None:
        self._node, self._image = node, image
        self._endpoint = endpoint
        self._entrance = entrance
        self._postgres = Postgres(endpoint, _POSTGRES_USER, entrance.access)

    def server(self, runtime: Runtime) -> Server:
        """See ``Backend``. Images have an entry point that makes the database; a child process brings its own script."""
        host, port = self._endpoint
        own = runtime.name == "process"
        settings = {
            "listen_addresses": host,
            "port": str(port),
            "hba_file": _RULES,
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "16MB",
            "max_connections": "300",
        }
        if own:
            settings["unix_socket_directories"] = ""  # an image's entry point makes the database over one
        if self._entrance.access.tls:
            # As seen from the directory of the data. In an image the server is a user of its own, who has the key copied.
            settings |= {"ssl": "on", "ssl_cert_file": f"../{CERTIFICATE}", "ssl_key_file": f"../{KEY if own else _OWN_KEY}"}
        arguments = ("postgres", *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")))
        script = File(name := START_POSTGRES if own else _ENTER_POSTGRES, _script(name))
        if own:
            return Server(self._node, "sh", (name, _POSTGRES_USER, *arguments), files=(script, *self._files()))
        environment = (
            ("PGDATA", "/data/postgres"),
            ("POSTGRES_DB", "postgres"),
            ("POSTGRES_HOST_AUTH_METHOD", self._method),
            ("POSTGRES_USER", _POSTGRES_USER),
        )
        return Server(
            self._node,
            "docker-entrypoint.sh",  # which runs whatever it is told
            ("sh", name, *arguments),
            image=self._image,
            files=(script, *self._files()),
            environment=environment,
        )

    def _files(self) -> tuple[File, ...]:
        access = self._entrance.access
        # Nobody but the run's own nodes reaches the address.
        rules = f"local all all {self._method}\n{'hostssl' if access.tls else 'host'} all all samenet {self._method}\n"
        password = (secret_lines(_PASSWORD, access.password),) if access.password else ()
        return (File(_RULES, rules.encode()), *self._entrance.papers(self._node), *password)

    @property
    def _method(self) -> str:
        return "scram-sha-256" if self._entrance.access.password else "trust"

    async def identity(self) -> str:
        """See ``Backend``. PostgreSQL tells strangers no name of its own; who is let in knows at least that it serves."""
        await self._postgres.visit()
        return "in service"

    async def product(self) -> str:
        """See ``Backend``."""
        told = await self._postgres.visit()
        return f"PostgreSQL {told.get('server_version', '').partition(' ')[0]}".strip()

    def close(self) -> None:
        """Nothing is kept open."""


def _script(name: str) -> bytes:
    return (files("harness.candidates") / name).read_bytes()
