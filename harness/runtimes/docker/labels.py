"""Whose a container, a network or a volume is, written on it: so that what a killed run left can be found and removed.

Every resource carries the id of its run and the identity of the harness that made it. A run is an *orphan* when that harness is
gone. Only orphans are swept: never what has no such label, never a run that goes on. A harness on another machine (or in
a container, or before a reboot) cannot be asked for; its run is an orphan once none of its containers runs, for they end with
their harness, unless it may only just have begun.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import docker
from docker.errors import APIError, NotFound

from harness.errors import HarnessError, UnsupportedError
from harness.images.engine import ENGINE_ERRORS, connect
from harness.runtimes import procfs
from harness.runtimes.docker.engine import WITHIN_S, reason
from harness.runtimes.kernel.container import TABLE
from harness.runtimes.procfs import Identity

RUN = "anachron.run"
OWNER = "anachron.owner"

_RUNS_WITHIN_S = 600
"""How long a run whose harness cannot be asked for may take from the first thing it makes to a container that runs."""
_ATTEMPTS = 5
_AGAIN_S = 0.05
_GONE_WITHIN_S = 30.0
"""How long a removal that somebody else has begun may take."""
_AT_ONCE = 6
_AGENT_ENDS_WITHIN_S = 3


class Kind(StrEnum):
    """What it is, in the order in which things are removed: what somebody still uses cannot be."""

    CONTAINER = "container"
    NETWORK = "network"
    VOLUME = "volume"


@dataclass(frozen=True, slots=True)
class Resource:
    """Something of ours.

    Attributes:
        id, name: as the engine has them.
        run: the id of its run.
        owner: who made it; None if that cannot be read.
        kind: what it is.
        made_s: when it was made, by the engine's wall clock.
        running: whether it is a container that runs.
        agent: whether it is a container with rules on the engine's machine, which it takes away as it ends in order.
    """

    id: str
    name: str
    run: str
    owner: Identity | None
    kind: Kind
    made_s: float
    running: bool
    agent: bool

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def labels(run: str) -> dict[str, str]:
    """What to write on every resource of a run that this process makes."""
    own = procfs.identify(os.getpid())
    return {RUN: run, OWNER: " ".join(map(str, own)) if own else ""}


def orphans(client: docker.DockerClient) -> tuple[Resource, ...]:
    """What runs left whose harness is gone. Raises ``HarnessError`` if the engine does not tell."""
    resources = _resources(client, RUN)
    running = {resource.run for resource in resources if resource.running}
    return tuple(resource for resource in resources if not _owned(resource, running))


def sweep(client: docker.DockerClient, run: str) -> list[str]:
    """Remove everything of ``run``, whoever owns it; says what was removed. Raises ``HarnessError`` if something stays."""
    return _remove(client, _resources(client, f"{RUN}={run}"))


def sweep_orphans(client: docker.DockerClient) -> list[str]:
    """Remove what runs left whose harness is gone; says what was removed. Raises ``HarnessError`` if something stays."""
    return _remove(client, orphans(client))


def leftovers() -> list[str]:
    """The orphans on the engine at hand, in words; none where no engine answers."""
    try:
        with contextlib.closing(connect()) as client:
            return [str(resource) for resource in orphans(client)]
    except (HarnessError, UnsupportedError):
        return []


def clean() -> list[str]:
    """Remove the orphans on the engine at hand and say what was removed; nothing where no engine answers."""
    try:
        client = connect(WITHIN_S)
    except UnsupportedError:
        return []
    with contextlib.closing(client):
        return sweep_orphans(client)


def _owned(resource: Resource, running: set[str]) -> bool:
    """Whether the harness that made it may still need it; ``running`` are the runs with a container that runs."""
    owner = resource.owner
    if owner is None or owner.boot != procfs.boot_id():
        return resource.run in running or time.time() - resource.made_s < _RUNS_WITHIN_S
    return owner.alive


def _resources(client: docker.DockerClient, label: str) -> list[Resource]:
    api: Any = client.api  # the plain lists: the comfortable ones ask the engine about each entry again
    try:
        containers = api.containers(all=True, filters={"label": label})
        networks = api.networks(filters={"label": label})
        volumes = api.volumes(filters={"label": label})["Volumes"] or []
    except ENGINE_ERRORS as error:
        raise HarnessError("the Docker engine does not list what it has", why=reason(error)) from error
    return [
        *(_resource(Kind.CONTAINER, entry, entry["Id"], entry["Names"][0].lstrip("/")) for entry in containers),
        *(_resource(Kind.NETWORK, entry, entry["Id"], entry["Name"]) for entry in networks),
        *(_resource(Kind.VOLUME, entry, entry["Name"], entry["Name"]) for entry in volumes),
    ]


def _resource(kind: Kind, entry: Mapping[str, Any], identifier: str, name: str) -> Resource:
    written = entry["Labels"]
    return Resource(
        identifier,
        name,
        written[RUN],
        _identity(written.get(OWNER, "")),
        kind=kind,
        made_s=_seconds(entry.get("Created") or entry.get("CreatedAt") or 0),
        running=entry.get("State") == "running",
        agent=TABLE in written,
    )


def _seconds(made: float | str) -> float:
    """A time as engines write it: a number in lists of containers, a date elsewhere."""
    return datetime.fromisoformat(made).timestamp() if isinstance(made, str) else made


def _identity(owner: str) -> Identity | None:
    try:
        pid, started, boot = owner.split()
        return Identity(int(pid), int(started), boot)
    except ValueError:
        return None


def _remove(client: docker.DockerClient, resources: Iterable[Resource]) -> list[str]:
    """Containers first: a network with somebody in it cannot be removed."""
    removed: list[str] = []
    everything = list(resources)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for kind in Kind:
            some = [resource for resource in everything if resource.kind is kind]
            for resource, problem in zip(some, pool.map(lambda one: _remove_one(client, one), some), strict=True):
                if problem:
                    raise HarnessError(
                        f"the {resource} cannot be removed",
                        why=problem,
                        fix=f"remove it yourself: docker {resource.kind} rm {resource.name}",
                    )
                removed.append(str(resource))
    return removed


def _remove_one(client: docker.DockerClient, resource: Resource) -> str:
    """Why ``resource`` is still there; empty if it is gone. Somebody else may remove it at the same time."""
    api: Any = client.api
    give_up_s = time.monotonic() + _GONE_WITHIN_S
    attempts = _ATTEMPTS
    while True:
        try:
            if resource.kind is Kind.NETWORK:
                api.remove_network(resource.id)
            elif resource.kind is Kind.VOLUME:
                api.remove_volume(resource.id, force=True)
            else:
                if resource.agent:
                    api.stop(resource.id, timeout=_AGENT_ENDS_WITHIN_S)
                api.remove_container(resource.id, force=True, v=True)
        except NotFound:
            return ""
        except APIError as error:
            problem = reason(error)
            if "already in progress" not in problem:  # what the engine is about to remove only takes its time
                attempts -= 1
            if not attempts or time.monotonic() > give_up_s:
                return problem
            time.sleep(_AGAIN_S)
        except ENGINE_ERRORS as error:
            return reason(error)
        else:
            return ""
