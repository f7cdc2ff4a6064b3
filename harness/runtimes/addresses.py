"""Loopback addresses of a run's own: a random block 127.x.y.0/24, and one port that is free on all of it.

Every node and every link listens on an address of its own. An address is reserved by a socket that is bound and never listens: it
was bound exclusively first, which proves that nobody has the address or the port (a listener on 0.0.0.0 included), and is then
opened to sharing, so that the node itself can listen there. While the socket is held, nobody gets the address by chance, not even
while its node is dead. The ports lie below those that the kernel gives to outgoing connections.
"""

from __future__ import annotations

import contextlib
import errno
import random
import socket
from collections.abc import Iterator

from harness.errors import HarnessError
from harness.runtimes.base import Endpoint

_PORTS = range(10_000, 22_000)
"""A server may use its port plus 10000 as well (a cluster bus): both stay below the first ephemeral port, 32768."""
_HOSTS = 250
_ATTEMPTS = 50


class Block:
    """``count`` endpoints, reserved until ``close``; raises ``HarnessError`` if none are to be had."""

    def __init__(self, count: int) -> None:
        self._held: list[socket.socket] = []
        reason: OSError | None = None
        for _ in range(_ATTEMPTS):
            try:
                self.endpoints = tuple(self._reserve(endpoint) for endpoint in _candidates(count))
            except OSError as error:
                self.close()
                reason = error
            else:
                return
        raise HarnessError(
            f"no {count} free loopback addresses after {_ATTEMPTS} attempts",
            why=str(reason),
            fix="every address in 127.0.0.0/8 must be usable, as it is on Linux",
        )

    def _reserve(self, endpoint: Endpoint) -> Endpoint:
        holder = socket.socket()
        self._held.append(holder)
        holder.bind(endpoint)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return endpoint

    def close(self) -> None:
        """Give the endpoints back."""
        for holder in self._held:
            holder.close()
        self._held.clear()


def listening(endpoint: Endpoint) -> bool:
    """Whether somebody listens at a reserved ``endpoint``; told without connecting to it."""
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(endpoint)
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _candidates(count: int) -> Iterator[Endpoint]:
    chance = random.SystemRandom()  # a seed fixes what happens in a run, not where: runs of one seed may go side by side
    block, first = f"127.{chance.randint(1, 254)}.{chance.randint(0, 255)}", chance.choice(_PORTS)
    return (Endpoint(f"{block}.{1 + index % _HOSTS}", first + index // _HOSTS) for index in range(count))
