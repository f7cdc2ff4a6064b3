"""A service of the user's project as a node: a container that somebody else has described, with a first process of its own.

Nothing of ours runs in it. What is done to it is therefore done to the whole machine: it is frozen, taken off its networks,
killed, started again at the address that it had, or made anew without what it had written.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from docker.errors import APIError, NotFound

from harness.errors import HarnessError
from harness.runtimes.base import Endpoint, Limits
from harness.runtimes.docker.engine import Engine, reason
from harness.runtimes.docker.labels import RUN
from harness.runtimes.docker.service_log import ServiceLog

_CPU_PERIOD_US = 100_000
_NO_LIMIT_BYTES = 1 << 50
"""More than any machine has: the engine knows no word for taking a limit away."""
_LIMITS = (
    "cd /sys/fs/cgroup && if [ -e cpu.max ]; then cat cpu.max memory.max; "
    "else cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us memory/memory.limit_in_bytes; fi"
)
_STATES = {"running": "S", "paused": "T", "restarting": "S"}


class Service:
    """One node's container.

    Args:
        engine: whose container it is.
        name: of the service, and of the node.
        endpoint: where it listens.
        log: the file for what it writes.

    Attributes:
        incarnation: how often it has been started.
        dark: whether its machine is dead, by our doing.
    """

    def __init__(self, engine: Engine, name: str, endpoint: Endpoint, log: Path) -> None:
        self.name = name
        self.endpoint = endpoint
        self.log = ServiceLog(engine, log)
        self.incarnation = 0
        self.dark = False
        self._unplugged = False
        self._engine = engine
        self._api: Any = engine.client.api
        self._container = ""
        self._places: dict[str, Any] = {}
        self._given: dict[str, Any] = {}

    async def adopt(self, container: str) -> None:
        """Take the container with this id, which has just been started."""
        self._container, self.dark, self._unplugged = container, False, False
        found = await self._inspected()
        self._given, self._places = found["HostConfig"], found["NetworkSettings"]["Networks"]
        self.incarnation += 1
        await asyncio.to_thread(self.log.follow, container)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it is on its networks."""
        return tuple(place["IPAddress"] for place in self._places.values() if place.get("IPAddress"))

    async def state(self) -> str:
        """The state letter of its first process; empty if the container does not run, or is not there."""
        if not self._container:
            return ""
        try:
            status = (await self._engine.ask(f"look at {self.name}", self._look))["State"]["Status"]
        except HarnessError as error:
            if isinstance(error.__cause__, NotFound):
                return ""
            raise
        return _STATES.get(status, "")

    async def pause(self) -> None:
        """Freeze everything in the container; returns when it stands still."""
        await self._engine.ask(f"pause {self.name}", lambda: self._unless_so(self._api.pause))

    async def resume(self) -> None:
        """Let it go on."""
        await self._engine.ask(f"let {self.name} go on", lambda: self._unless_so(self._api.unpause))

    async def darken(self) -> None:
        """The machine dies: the engine takes it off its networks in one moment, and then everything ends."""
        self.dark = self._unplugged = True
        await asyncio.gather(
            *(self._engine.ask(f"take {self.name} off the network", partial(self._disconnect, each)) for each in self._places)
        )
        await self.kill()

    async def kill(self) -> None:
        """SIGKILL to everything in the container; returns when it is gone."""
        await self._engine.ask(f"kill {self.name}", self._kill)

    async def start(self) -> None:
        """Start an ended container again: with its data, at its addresses."""
        if self._unplugged:
            for network, place in self._places.items():
                await self._engine.ask(f"put {self.name} back on the network", partial(self._connect, network, place))
        self.dark = self._unplugged = False
        ended = (await self._inspected())["State"]["FinishedAt"]
        await self._engine.ask(f"start {self.name}", lambda: self._api.start(self._container))
        self.incarnation += 1
        await asyncio.to_thread(self.log.follow, self._container, datetime.fromisoformat(ended).timestamp())

    async def discard(self) -> None:
        """Remove the ended container with everything that it alone had written."""
        mounts = (await self._inspected())["Mounts"]
        await self._engine.ask(f"remove {self.name}", lambda: self._api.remove_container(self._container, force=True, v=True))
        self._container = ""
        for mount in mounts:
            if mount.get("Type") == "volume":
                await self._engine.ask(f"empty {mount['Name']}", partial(self._remove_volume, mount["Name"]))

    async def limit(self, limits: Limits) -> None:
        """Let the container use no more than this; without any, as much as the user's file lets it."""
        period = self._given.get("CpuPeriod") or _CPU_PERIOD_US
        quota = self._given.get("CpuQuota") or -1
        memory = self._given.get("Memory") or _NO_LIMIT_BYTES
        swap = self._given.get("MemorySwap") or _NO_LIMIT_BYTES
        if limits.cpus is not None:
            period, quota = _CPU_PERIOD_US, int(limits.cpus * _CPU_PERIOD_US)
        if limits.memory_bytes is not None:
            memory = swap = limits.memory_bytes
        await self._engine.ask(
            f"limit {self.name}",
            lambda: self._api.update_container(
                self._container, cpu_period=period, cpu_quota=quota, mem_limit=memory, memswap_limit=swap
            ),
        )

    async def limits(self) -> Limits:
        """What the control group of the container says, as the container itself sees it; its image must have a shell."""
        status, output = await self._engine.ask(f"look into {self.name}", self._control_group)
        words = output.decode(errors="replace").split()
        if status or len(words) != len(("quota", "period", "memory")):
            raise HarnessError(
                f"{self.name} does not tell its limits",
                why=f"what was asked in it said {' '.join(words)!r}",
                fix="its image needs `sh` and `cat`",
            )
        quota, period, memory = (int(word) if word.isdecimal() else None for word in words)
        return Limits(
            cpus=None if quota is None or not period else quota / period,
            memory_bytes=None if memory is None or memory >= _NO_LIMIT_BYTES else memory,
        )

    async def _inspected(self) -> dict[str, Any]:
        return await self._engine.ask(f"look at {self.name}", self._look)

    def _look(self) -> dict[str, Any]:
        found: dict[str, Any] = self._api.inspect_container(self._container)
        return found

    def _unless_so(self, change: Callable[[str], object]) -> None:
        """Pause or unpause; one that is paused or not already, or has ended, is let be."""
        try:
            change(self._container)
        except APIError as error:
            said = reason(error)
            if "already paused" not in said and "is not paused" not in said and "is not running" not in said:
                raise

    def _kill(self) -> None:
        try:
            self._api.kill(self._container)
        except APIError as error:
            if "is not running" not in reason(error):
                raise
        self._api.wait(self._container)

    def _disconnect(self, network: str) -> None:
        try:
            self._api.disconnect_container_from_network(self._container, network, force=True)
        except APIError as error:
            if "is not connected" not in reason(error):
                raise

    def _connect(self, network: str, place: dict[str, Any]) -> None:
        address = (place.get("IPAMConfig") or {}).get("IPv4Address") or place.get("IPAddress") or None
        try:
            self._api.connect_container_to_network(
                self._container, network, ipv4_address=address, aliases=place.get("Aliases"), links=place.get("Links")
            )
        except APIError as error:
            if "already exists in network" not in reason(error):
                raise

    def _remove_volume(self, name: str) -> None:
        with contextlib.suppress(NotFound):  # it had no name of its own, and went with the container
            volume = self._api.inspect_volume(name)
            if RUN not in (volume.get("Labels") or {}):
                return  # external: not ours
            try:
                self._api.remove_volume(name)
            except APIError as error:
                if "in use" not in reason(error):  # shared with another service, which keeps it
                    raise

    def _control_group(self) -> tuple[int, bytes]:
        made = self._api.exec_create(self._container, ["sh", "-c", _LIMITS])["Id"]
        output: bytes = self._api.exec_start(made)
        return int(self._api.exec_inspect(made)["ExitCode"] or 0), output
