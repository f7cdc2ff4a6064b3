"""The ``simulated`` runtime: virtual time and a virtual network. For the reference fleet only; it runs no servers.

An hour of a fleet takes seconds, and the same seed gives the same history, to the byte, on any machine. Every link can be cut,
delayed, and made to lose, double and reorder messages; every place can be paused and killed, and its clocks can be bent. What a
fault does here happens at once and is known exactly, so every episode is proven.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.runtimes.base import Capability

SIMULATED = "simulated"

_CAN = frozenset(
    {
        Capability.CUT,
        Capability.CUT_CLIENTS,
        Capability.DELAY,
        Capability.DISTURB,
        Capability.KILL,
        Capability.PAUSE,
        Capability.CLOCK,
    }
)


class SimulatedRuntime:
    """What can be done to a virtual fleet; it is done by ``harness.simulation``.

    Args:
        directory, client_proxies, node_proxies, messages: of no effect: nothing is started, and no link needs a proxy.
    """

    name = SIMULATED
    means = "simulation"

    def __init__(
        self, directory: Path, *, client_proxies: bool = False, node_proxies: bool = False, messages: bool = False
    ) -> None:
        del directory, client_proxies, node_proxies, messages

    def refusal(self, capability: Capability) -> str | None:
        """Why ``capability`` is not to be had here and how to get it; None if it is."""
        if capability in _CAN:
            return None
        return "a virtual fleet has links, processes and clocks, but no server software; run it on processes or in containers"

    @staticmethod
    def describe() -> Mapping[str, str]:
        """What this machine offers the runtime, as facts for people."""
        return {"nodes": "the reference fleet, in virtual time"}
