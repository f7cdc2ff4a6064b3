"""How memcached nodes of our own let others in: a list of users, and TLS."""

from __future__ import annotations

from harness.candidates.access import CERTIFICATE, KEY, Entrance, secret_lines
from harness.runtimes.base import File

_USERS = "users"


def memcached_arguments(entrance: Entrance) -> tuple[str, ...]:
    """For whom a node listens. None of it is secret."""
    arguments: tuple[str, ...] = ()
    if entrance.access.tls:
        arguments += ("-Z", "-o", f"ssl_chain_cert={CERTIFICATE},ssl_key={KEY}")
    if entrance.access.password:
        arguments += ("-Y", _USERS)
    return arguments


def memcached_files(entrance: Entrance, node: str) -> tuple[File, ...]:
    """What a node reads when it starts."""
    access = entrance.access
    users = (secret_lines(_USERS, f"{access.name}:{access.password}"),) if access.password else ()
    return (*entrance.papers(node), *users)
