"""What a runtime cannot do, said once: the parent of runtimes that lack some of the means in ``Runtime``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from harness.errors import UnsupportedError
from harness.runtimes.base import Capability, ClockSkew, Cut, Disturbance, Limits, Way
from harness.runtimes.messages import MessageRule
from harness.topology import Link


class Unable:
    """Refuses everything that not every runtime has; a runtime overrides what it can do."""

    name: str

    def refusal(self, capability: Capability) -> str | None:
        """Why ``capability`` is not to be had here and how to get it; None if it is."""
        raise NotImplementedError

    def facts(self) -> Mapping[str, str]:
        """What the run was made on: nothing that the machine's own facts do not say."""
        return {}

    async def kill(self, node: str) -> None:  # noqa: ARG002
        """See ``Runtime``."""
        self._refuse(Capability.KILL)

    async def restart(self, node: str, *, keep_data: bool) -> None:  # noqa: ARG002
        """See ``Runtime``."""
        self._refuse(Capability.KILL)

    async def pause(self, node: str) -> None:  # noqa: ARG002
        """See ``Runtime``."""
        self._refuse(Capability.PAUSE)

    async def resume(self, node: str) -> None:  # noqa: ARG002
        """See ``Runtime``."""
        self._refuse(Capability.PAUSE)

    async def cut(self, links: Sequence[Link], how: Cut = Cut.BLACK_HOLE, way: Way = Way.BOTH) -> None:  # noqa: ARG002
        """See ``Runtime``."""
        self._refuse(Capability.CUT)

    async def delay(self, links: Sequence[Link], delay_ns: int, jitter_ns: int = 0) -> None:  # noqa: ARG002
        """See ``Runtime``."""
        self._refuse(Capability.DELAY)

    async def throttle(self, links: Sequence[Link], bytes_per_second: int) -> None:  # noqa: ARG002
        """See ``Runtime``."""
        self._refuse(Capability.THROTTLE)

    async def reset(self, links: Sequence[Link]) -> None:  # noqa: ARG002
        """See ``Runtime``."""
        self._refuse(Capability.RESET)

    async def disturb(self, links: Sequence[Link], disturbance: Disturbance) -> None:  # noqa: ARG002
        """See ``Runtime``."""
        self._refuse(Capability.DISTURB)

    async def meddle(self, links: Sequence[Link], rule: MessageRule, way: Way = Way.BOTH) -> None:  # noqa: ARG002
        """See ``Runtime``."""
        self._refuse(Capability.MESSAGES)

    async def meddled(self, links: Sequence[Link]) -> Mapping[Link, int]:  # noqa: ARG002
        """See ``Runtime``."""
        self._refuse(Capability.MESSAGES)

    async def kill_host(self, node: str) -> None:  # noqa: ARG002
        """See ``Runtime``."""
        self._refuse(Capability.KILL_HOST)

    async def limit(self, node: str, limits: Limits) -> None:  # noqa: ARG002
        """See ``Runtime``."""
        self._refuse(Capability.LIMIT)

    async def fill_disk(self, node: str) -> None:  # noqa: ARG002
        """See ``Runtime``."""
        self._refuse(Capability.FILL_DISK)

    async def free_disk(self, node: str) -> None:  # noqa: ARG002
        """See ``Runtime``."""
        self._refuse(Capability.FILL_DISK)

    async def set_clock(self, node: str, skew: ClockSkew) -> None:  # noqa: ARG002
        """See ``Runtime``."""
        self._refuse(Capability.CLOCK)

    async def replace(self, node: str, image: str) -> None:  # noqa: ARG002
        """See ``Runtime``."""
        self._refuse(Capability.REPLACE)

    def _refuse(self, capability: Capability) -> NoReturn:
        raise UnsupportedError(
            f'the runtime "{self.name}" cannot do "{capability}" here', why=self.refusal(capability) or "it has no means for it"
        )
