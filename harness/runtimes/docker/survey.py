"""What the engine at hand offers, looked at before anything starts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import docker

from harness.errors import AnachronError, HarnessError, UnsupportedError
from harness.images.catalogue import choose
from harness.images.engine import ENGINE_ERRORS, connect, references
from harness.runtimes.docker.engine import reason
from harness.runtimes.docker.network import POOL, UNREACHABLE, is_ours
from harness.runtimes.kernel.means import Means, found

_AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found; each ``lacks`` is empty where nothing is missing, else why it is and how to get it.

    Attributes:
        lacks: an engine whose containers can be reached from here.
        present: the references of the images that the engine has.
        agent: the image of the agent.
        lacks_agent: that image.
        kernel: what the kernel there does to packets, as far as that can be told without an agent.
        facts: for people.
    """

    lacks: str = ""
    present: frozenset[str] = frozenset()
    agent: str = ""
    lacks_agent: str = ""
    kernel: Means = field(default_factory=Means)
    facts: Mapping[str, str] | None = None


def survey() -> Survey:
    """Ask the engine; takes some tens of milliseconds, and raises nothing."""
    try:
        client = connect()
    except UnsupportedError as error:
        return Survey(_words(error))
    with contextlib.closing(client):
        try:
            present = references(client)
            facts, reachable = _facts(client)
        except HarnessError as error:
            return Survey(_words(error))
    lacks = "" if reachable else UNREACHABLE
    kernel = found(bridged=_bridged(), queue="ready", listing="") if reachable else Means()
    try:
        return Survey(lacks, present, agent=choose(_AGENT, "", present), kernel=kernel, facts=facts)
    except UnsupportedError as error:
        return Survey(lacks, present, lacks_agent=_words(error), kernel=kernel, facts=facts)


def _bridged() -> str:
    """Whether packets among containers are shown to the rules for IP: ``1``. The engine's machine is this one."""
    try:
        return Path("/proc/sys/net/bridge/bridge-nf-call-iptables").read_text()
    except OSError:
        return ""


def _facts(client: docker.DockerClient) -> tuple[Mapping[str, str], bool]:
    """What the engine is and where, in words, and whether its networks are this machine's."""
    api: Any = client.api
    try:
        version = api.version()
        bridge = api.networks(names=["bridge"])
    except ENGINE_ERRORS as error:
        raise HarnessError("the Docker engine does not say what it is", why=reason(error)) from error
    pools = [pool for one in bridge for pool in (one.get("IPAM") or {}).get("Config") or () if pool.get("Subnet")]
    gateways = [pool.get("Gateway") or str(ip_network(pool["Subnet"])[1]) for pool in pools]
    # Every engine's first bridge has the same address as a rule: that of another machine's engine may look like our own.
    reachable = version.get("KernelVersion", "") in ("", os.uname().release) and (not gateways or any(map(is_ours, gateways)))
    facts = {
        "engine": f"{version.get('Version', 'of an unknown version')}, interface {api.api_version}, "
        f"kernel {version.get('KernelVersion', 'unknown')}, at {os.environ.get('DOCKER_HOST') or 'the local socket'}",
        "nodes": f"containers on a network of the run's own, a block of {POOL}; "
        f"their addresses are {'reached directly' if reachable else 'out of reach from here'}",
    }
    return facts, reachable


def _words(error: AnachronError) -> str:
    """The whole error in a line."""
    why = f": {error.why}" if error.why else ""
    fix = f"; {error.fix}" if error.fix else ""
    return f"{error.what}{why}{fix}"
