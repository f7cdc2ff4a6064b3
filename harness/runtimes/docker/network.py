"""The network of one run: a bridge of its own with a block of addresses of its own, and no way out of the machine."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from typing import Any

import docker
from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool

from harness.errors import HarnessError, UnsupportedError
from harness.images.engine import ENGINE_ERRORS
from harness.runtimes.docker.engine import reason

POOL = IPv4Network("172.28.0.0/16")
"""Where the networks of all runs are: a guard route for the whole of it keeps late packets from leaving the machine."""

_BLOCK_BITS = 24
_FIRST_NODE = 11
_ATTEMPTS = 20
_TAKEN = ("overlaps", "conflicts with network", "address space", "already exists")


@dataclass(frozen=True, slots=True)
class Network:
    """A network that exists.

    Attributes:
        name: as the engine calls it.
        bridge: the interface on the engine's machine; packets among the nodes pass it.
        block: its addresses.
    """

    name: str
    bridge: str
    block: IPv4Network

    @property
    def gateway(self) -> str:
        """The address of the machine itself on this network: what nodes see the harness and its clients as."""
        return str(self.block[1])

    def address(self, index: int) -> str:
        """The address of the node with this index."""
        return str(self.block[_FIRST_NODE + index])


def make(client: docker.DockerClient, run: str, labels: Mapping[str, str]) -> Network:
    """Make the network of the run with the id ``run``. Raises ``HarnessError`` and ``UnsupportedError``."""
    problem = ""
    for block in _free(client)[:_ATTEMPTS]:
        network = Network(f"anachron-{run}", f"ana{run}", block)
        try:
            client.networks.create(
                network.name,
                driver="bridge",
                internal=True,
                labels=dict(labels),
                options={"com.docker.network.bridge.name": network.bridge},
                ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=str(block), gateway=network.gateway)]),
            )
        except APIError as error:
            problem = reason(error)
            if not any(word in problem.lower() for word in _TAKEN):
                raise HarnessError("the Docker engine cannot make a network", why=problem) from error
        except ENGINE_ERRORS as error:
            raise HarnessError("the Docker engine cannot make a network", why=reason(error)) from error
        else:
            return network
    raise HarnessError(
        f"there is no free block of addresses in {POOL}",
        why=problem or "networks of the engine take all of it",
        fix="`docker network ls` shows them; `anachron clean` removes what killed runs left",
    )


def refuse_unreachable(network: Network) -> None:
    """Raise ``UnsupportedError`` where the engine is on another machine than we are: then its networks are out of reach."""
    if not is_ours(network.gateway):
        raise UnsupportedError("the containers cannot be reached from here", why=UNREACHABLE)


UNREACHABLE = (
    "the engine's networks are not this machine's: it runs on another one, in a virtual one (Docker Desktop), or in a network "
    "namespace of its own (rootless); run anachron where its networks are: on the engine's machine, or in a container there with "
    "network_mode host and the engine's socket"
)


def is_ours(address: str) -> bool:
    """Whether ``address`` is one of this very machine, in this network namespace: the way there begins and ends at it.

    Nothing is sent. That an address can be bound would prove nothing: ``ip_nonlocal_bind`` lets any be.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))
        except OSError:
            return False
        return bool(probe.getsockname()[0] == address)


def free_ports(address: str, count: int) -> list[int]:
    """So many ports of ``address`` that nobody listens on. Raises ``HarnessError``."""
    found: list[int] = []
    for port in range(10_000, 22_000):
        if len(found) == count:
            break
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
        found.append(port)
    if len(found) < count:
        raise HarnessError(f"there are no {count} free ports on {address}")
    return found


def _free(client: docker.DockerClient) -> list[IPv4Network]:
    """The blocks of the pool that no network of the engine has, in random order: runs start side by side."""
    api: Any = client.api
    try:
        taken = list(_subnets(api.networks()))
    except ENGINE_ERRORS as error:
        raise HarnessError("the Docker engine does not list its networks", why=reason(error)) from error
    free = [block for block in POOL.subnets(new_prefix=_BLOCK_BITS) if not any(block.overlaps(other) for other in taken)]
    random.SystemRandom().shuffle(free)
    return free


def _subnets(networks: Iterable[Mapping[str, Any]]) -> Iterable[IPv4Network]:
    for network in networks:
        for pool in (network.get("IPAM") or {}).get("Config") or ():
            subnet = ip_network(pool["Subnet"], strict=False) if pool.get("Subnet") else None
            if isinstance(subnet, IPv4Network):
                yield subnet
