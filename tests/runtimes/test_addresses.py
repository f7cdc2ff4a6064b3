"""Loopback addresses: distinct, free, and held."""

from __future__ import annotations

import socket

import pytest

from harness.errors import HarnessError
from harness.runtimes import addresses
from harness.runtimes.addresses import Block, listening


@pytest.fixture
def block():
    block = Block(3)
    yield block
    block.close()


def test_endpoints_are_distinct_loopback_addresses():
    """Each endpoint of a block has an address of its own in one 127.x.y.0/24; more than fit share addresses, not ports."""
    small, large = Block(5), Block(600)
    hosts = [host for host, _ in small.endpoints]
    assert len(set(hosts)) == 5
    assert len({host.rpartition(".")[0] for host in hosts}) == 1
    assert all(host.startswith("127.") and not host.startswith("127.0.") for host in hosts)
    assert len(set(large.endpoints)) == 600
    small.close()
    large.close()


def test_reserved_endpoint_can_be_listened_at(block):
    """A server that shares addresses, as servers do, gets the endpoint; whether it listens is told without connecting."""
    endpoint = block.endpoints[0]
    assert not listening(endpoint)
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(endpoint)
        server.listen()
        assert listening(endpoint)
        socket.create_connection(endpoint, timeout=5).close()
    assert not listening(endpoint)


def test_reserved_endpoint_is_not_given_away(block):
    """Who asks for a free address does not get a reserved one, though nobody listens there; closing gives it back."""
    endpoint = block.endpoints[0]
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(endpoint)
    block.close()
    with socket.socket() as other:
        other.bind(endpoint)


def test_exhaustion_is_a_clear_error(monkeypatch):
    """Where every port is taken, by a listener on all addresses, the block gives up after bounded attempts."""
    with socket.socket() as wildcard:
        wildcard.bind(("0.0.0.0", 0))  # noqa: S104  # the neighbour that is in the way
        wildcard.listen()
        port = wildcard.getsockname()[1]
        monkeypatch.setattr(addresses, "_PORTS", range(port, port + 1))
        with pytest.raises(HarnessError, match="no 2 free loopback addresses"):
            Block(2)
