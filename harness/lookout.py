"""The look-out of a run: nodes whose process ends although no fault of the plan has them in its hands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Sequence

from faults import PlannedEpisode
from harness.candidates import Cluster
from harness.history import CRASH, Episode
from harness.topology import Node

_POLL_S = 0.05


async def look_out(
    cluster: Cluster,
    planned: Sequence[PlannedEpisode],
    over: Container[tuple[int, int]],
    clock: Callable[[], int],
    told: Callable[[Episode], None],
) -> None:
    """Note it, until cancelled, when a node's process ends by itself: as an episode of no fault. Once per incarnation.

    Args:
        cluster: whose nodes.
        planned: the episodes of the plan's faults.
        over: which of them are over by now: ``(fault, intended_ns)``.
        clock: in whose time they are planned.
        told: hears of the new ones.
    """
    noted: set[tuple[str, int]] = set()
    while True:
        for node in cluster.topology.nodes:
            struck = _struck(cluster, planned, over, clock())
            one = (node.name, cluster.runtime.incarnation(node.name))
            gone = not await cluster.runtime.state(node.name)
            # Asking takes a while: a fault may have come or gone meanwhile.
            if gone and node.name not in struck | _struck(cluster, planned, over, clock()) and one not in noted:
                noted.add(one)
                told(_crash(node.name, clock(), cluster.runtime.log_end(node.name, 3)))
        await asyncio.sleep(_POLL_S)


def _struck(cluster: Cluster, planned: Sequence[PlannedEpisode], over: Container[tuple[int, int]], now_ns: int) -> set[str]:
    """The nodes that a fault of the plan has in its hands now."""
    nodes = cluster.topology.nodes
    return {
        node.name
        for episode in planned
        if episode.intended_ns <= now_ns and (episode.fault, episode.intended_ns) not in over
        for target in episode.targets
        if isinstance(target, Node)
        for node in ((target,) if target in nodes else nodes)  # a target by its role may be any of them
    }


def _crash(node: str, now_ns: int, log_end: str) -> Episode:
    return Episode(
        fault=-1,
        kind=CRASH,
        targets=(node,),
        nodes=(node,),
        intended_ns=now_ns,
        intended_end_ns=now_ns,
        applied_ns=now_ns,
        proven_ns=now_ns,
        evidence=(f"the process of {node} ended by itself; the end of its log: {log_end.strip() or '(empty)'}",),
        means="the server itself",
    )
