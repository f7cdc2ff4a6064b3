"""What a run makes of a user's compose file: the same services, on networks of the run's own, with nothing left behind. Pure.

It takes what ``docker-compose config`` says of the file, in which everything is merged, filled in and checked, and changes:

- networks become the run's own, without a way out of the machine; volumes belong to the run, and go with it;
- nodes get addresses that they keep; no port is published on the machine, for the run reaches the services directly;
- nothing is built or pulled, has a name that another run might want, or is started again by anybody but the run.

What is external stays what it is: it is joined and used, and neither changed nor removed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypeAlias

import yaml

from harness.errors import UsageError, suggestion

Table: TypeAlias = dict[str, Any]

_DEFAULT = "default"
_CPU_PERIOD_US = 100_000
_OURS = ("build", "container_name", "ports", "pull_policy", "scale")
"""Keys of a service that say what the run decides itself."""


@dataclass(frozen=True, slots=True)
class Project:
    """A compose file as a run takes it.

    Attributes:
        file: where it is; for messages.
        content: what the program makes of it.
        nodes: the services that are nodes.
        common: the network on which the nodes see each other.
    """

    file: str
    content: Table
    nodes: tuple[str, ...]
    common: str

    @classmethod
    def read(cls, text: str, file: str, nodes: Sequence[str], profiles: Sequence[str] = ()) -> Project:
        """The project in ``text``, as the program prints it; raises ``UsageError`` if a run cannot take it as it is.

        Args:
            text: YAML.
            file: where it is from.
            nodes: the services that are nodes; they run whatever their profiles are.
            profiles: those that are switched on; a service with others only does not run.
        """
        content = yaml.safe_load(text)
        services: Table = {
            name: {key: value for key, value in service.items() if key != "profiles"}
            for name, service in (content.get("services") or {}).items()
            if not service.get("profiles") or name in nodes or set(service["profiles"]) & set(profiles)
        }
        content = {**content, "services": services}
        for node in nodes:
            if node not in services:
                raise UsageError(f'there is no service "{node}"', where=file, fix=suggestion(node, services))
        for name, service in services.items():
            _refuse(file, name, service, is_node=name in nodes)
        joined = {node: tuple(_networks(services[node])) for node in nodes}
        return cls(file, content, tuple(nodes), _common(file, joined, _own(content.get("networks"), services)))

    @property
    def services(self) -> Table:
        """All services by name."""
        services: Table = self.content["services"]
        return services

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks that the run makes, by their names in the file."""
        return _own(self.content.get("networks"), self.services)

    @property
    def kept(self) -> tuple[str, ...]:
        """What is not the run's, and is used all the same, in words."""
        external = [
            f"the external {sort[:-1]} {name}"
            for sort in ("networks", "volumes")
            for name, settings in (self.content.get(sort) or {}).items()
            if _external(settings)
        ]
        return (*external, *(f"{source} of this machine" for source in sorted(self._bound())))

    def _bound(self) -> set[str]:
        """The names of the directories and files of the machine that services see."""
        bound = set()
        for service in self.services.values():
            for volume in service.get("volumes") or ():
                source = volume.get("source", "") if isinstance(volume, dict) else volume.partition(":")[0]
                if source.startswith(("/", "~", ".")) and (isinstance(volume, dict) or ":" in volume):
                    bound.add(PurePath(source).name)
        return bound

    def image(self, service: str) -> str:
        """The image that the file names for ``service``; empty if it is to be built and has no name."""
        return str(self.services[service].get("image") or "")

    def for_run(
        self,
        *,
        labels: Mapping[str, str],
        networks: Mapping[str, str],
        addresses: Mapping[str, str],
        images: Mapping[str, str],
    ) -> str:
        """The file to start, as JSON, which is YAML.

        Args:
            labels: written on every container and volume.
            networks: the names of the networks that were made for those of the file.
            addresses: of the nodes, on the network that they have in common.
            images: of all services.
        """
        services = {
            name: self._service(service, labels, addresses.get(name, ""), images[name]) for name, service in self.services.items()
        }
        made = {key: {"external": True, "name": name} for key, name in networks.items()}
        volumes = {
            key: settings if _external(settings) else {**_without(settings, "name"), "labels": _merged(settings, labels)}
            for key, settings in (self.content.get("volumes") or {}).items()
        }
        written = {sort: _nameless(self.content[sort]) for sort in ("configs", "secrets") if self.content.get(sort)}
        theirs = {key: value for key, value in (self.content.get("networks") or {}).items() if key not in made}
        return json.dumps({"services": services, "networks": {**theirs, **made}, "volumes": volumes, **written})

    def _service(self, service: Table, labels: Mapping[str, str], address: str, image: str) -> Table:
        changed = {key: value for key, value in service.items() if key not in _OURS}
        changed |= {
            "image": image,
            "labels": _merged(service, labels),
            "logging": {"driver": "json-file"},  # the one that can be read back wherever the engine is
            "restart": "no",
        }
        if not service.get("network_mode"):
            changed["networks"] = {key: dict(place or {}) for key, place in _networks(service).items()}
            if address:
                changed["networks"][self.common]["ipv4_address"] = address
        deploy = dict(service.get("deploy") or {})
        deploy.pop("restart_policy", None)
        limits = dict((deploy.get("resources") or {}).get("limits") or {})
        cpus = changed.pop("cpus", None) or limits.pop("cpus", None)
        if cpus:  # said as a quota, which can be changed while the service runs
            changed |= {"cpu_period": _CPU_PERIOD_US, "cpu_quota": int(float(cpus) * _CPU_PERIOD_US)}
        if "resources" in deploy:
            deploy["resources"] = {**deploy["resources"], "limits": limits}
        if "scale" in service:
            deploy["replicas"] = service["scale"]
        if deploy:
            changed["deploy"] = deploy
        return changed


def _refuse(file: str, name: str, service: Table, *, is_node: bool) -> None:
    """Raise ``UsageError`` for a service that a run cannot start without leaving the machine, or strike without lying."""
    mode = str(service.get("network_mode") or "")
    if mode.startswith(("host", "bridge", "container:")) or (is_node and mode):
        raise UsageError(
            f'the service "{name}" has network_mode = "{mode}", which leads past the networks of the run',
            where=file,
            fix="leave network_mode out; services reach each other by their names",
        )
    for network, place in _networks(service).items():
        fixed = [place[key] for key in ("ipv4_address", "ipv6_address") if (place or {}).get(key)]
        if fixed:
            raise UsageError(
                f'the service "{name}" has the fixed address {fixed[0]} on the network "{network}"',
                where=file,
                why="every run has networks of its own, so that several can go on side by side",
                fix="leave the address out, and call the service by its name",
            )
    copies = service.get("scale", (service.get("deploy") or {}).get("replicas", 1))
    if is_node and copies != 1:
        raise UsageError(
            f'the service "{name}" is {copies} containers, and a node is one',
            where=file,
            fix="give each node a service of its own",
        )


def _common(file: str, joined: Mapping[str, Sequence[str]], own: Sequence[str]) -> str:
    """The one network that nodes share; raises ``UsageError`` if there is none, or a second way around it."""
    shared = [network for network in own if all(network in networks for networks in joined.values())]
    if not shared:
        raise UsageError(
            f"the nodes {', '.join(joined)} have no network in common that is the project's own",
            where=file,
            fix="put them on one network, or leave `networks` out",
        )
    common, *_ = shared
    everywhere = [network for networks in joined.values() for network in networks]
    around = sorted({network for network in everywhere if network != common and everywhere.count(network) > 1})
    if around:
        raise UsageError(
            f'nodes share the network "{common}" and the network "{around[0]}", too',
            where=file,
            why="what is done to one of them, their connections may pass by on the other",
            fix="leave them one network in common",
        )
    return common


def _own(networks: Table | None, services: Table) -> tuple[str, ...]:
    """The networks of the file that are not external, as far as a service is on them."""
    used = dict.fromkeys(key for service in services.values() for key in _networks(service))
    return tuple(key for key in used if not _external((networks or {}).get(key)))


def _networks(service: Table) -> Table:
    """The networks of a service, each with its place there."""
    if service.get("network_mode"):
        return {}
    joined = service.get("networks") or (_DEFAULT,)
    return dict(joined) if isinstance(joined, dict) else dict.fromkeys(joined)


def _external(settings: Any) -> bool:
    return bool((settings or {}).get("external"))


def _merged(settings: Table | None, labels: Mapping[str, str]) -> Table:
    """The labels that are there, and ours."""
    there = (settings or {}).get("labels") or {}
    if isinstance(there, list):
        there = {key: value for key, _, value in (label.partition("=") for label in there)}
    return {**there, **labels}


def _without(settings: Table | None, key: str) -> Table:
    return {name: value for name, value in (settings or {}).items() if name != key}


def _nameless(section: Table) -> Table:
    """Configs or secrets without the names that the program has given them."""
    return {key: settings if _external(settings) else _without(settings, "name") for key, settings in section.items()}
