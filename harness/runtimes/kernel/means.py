"""What the kernel of the engine's machine can do to packets, found out once by trying: pure."""

from __future__ import annotations

from dataclasses import dataclass

from harness.runtimes.base import Capability
from harness.runtimes.kernel.bends import Bends
from harness.runtimes.kernel.rules import treatments

_BRIDGED = "load it there: modprobe br_netfilter && sysctl -w net.bridge.bridge-nf-call-iptables=1"
_THROUGH_IP = frozenset({Capability.RESET, Capability.DELAY, Capability.THROTTLE, Capability.DISTURB})
_QUEUED = frozenset({Capability.DELAY, Capability.THROTTLE, Capability.DISTURB})


@dataclass(frozen=True, slots=True)
class Means:
    """Why something is not to be had; each empty if it is.

    Attributes:
        no_bridged: packets between containers do not come by the rules of family ip.
        no_queue: packets cannot be queued to a program.
        no_listing: the connections that are open cannot be listed.
    """

    no_bridged: str = ""
    no_queue: str = ""
    no_listing: str = ""

    def refusal(self, capability: Capability) -> str | None:
        """Why this fault on the network is not to be had and how to get it; None if it is. Black holes always are."""
        if capability in _THROUGH_IP and self.no_bridged:
            return self.no_bridged
        if capability in _QUEUED and self.no_queue:
            return self.no_queue
        if capability is Capability.RESET and (self.no_listing or self.no_queue):
            return self.no_listing or self.no_queue
        return None

    def lacks(self, bends: Bends) -> str:
        """Why one of ``bends`` is not to be had; empty if all are."""
        if treatments(bends):
            return self.no_bridged or self.no_queue
        return self.no_bridged if any(bend.refuse for bend in bends.values()) else ""

    @property
    def description(self) -> str:
        """The means in a line, for people."""
        cuts = "cuts by nftables on the bridge"
        if self.no_bridged:
            return f"{cuts}; nothing else: {self.no_bridged}"
        resets = self.no_listing or "resets by nftables"
        return f"{cuts}; {resets}; {self.no_queue or 'delay, loss, order and rate by a program of ours (NFQUEUE)'}"


def found(bridged: str, queue: str, listing: str) -> Means:
    """The means, from what came of looking at ``bridge-nf-call-iptables``, starting the queue program and listing connections.

    Each as it was answered; ``listing`` is empty if it went well.
    """
    said = queue.strip()
    return Means(
        no_bridged="" if bridged.strip() == "1" else f"packets between containers are not shown to the rules for IP; {_BRIDGED}",
        no_queue=""
        if said == "ready"
        else f"packets cannot be queued to a program there: {said.removeprefix('failed ') or 'it ended'}",
        no_listing=f"the kernel does not list its connections: {listing.strip()}" if listing else "",
    )
