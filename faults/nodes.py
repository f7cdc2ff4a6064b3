"""What faults on nodes have in common: nodes as targets, whether they answer, and how they are brought back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from faults.patience import soon
from faults.targets import Names
from harness.candidates.base import Cluster
from harness.durations import format_duration
from harness.plan import Record
from harness.topology import Node


class NodeOptions(Record):
    """Options of faults that strike nodes."""

    targets: Names


async def identity(cluster: Cluster, node: Node, within_ns: int) -> str:
    """Who ``node`` is; raises ``OSError`` if it does not answer within ``within_ns``."""
    try:
        async with asyncio.timeout(within_ns / 1e9):
            return await cluster.candidate.identity(node.name)
    except TimeoutError:
        raise TimeoutError(f"{node.name} did not answer within {format_duration(within_ns)}") from None


async def answers(cluster: Cluster, node: Node, within_ns: int) -> bool:
    """Whether ``node`` answers within ``within_ns``."""
    try:
        await identity(cluster, node, within_ns)
    except OSError:
        return False
    return True


async def identity_soon(cluster: Cluster, node: Node, within_ns: int, patience_ns: int) -> str:
    """As ``identity``, tried again for ``patience_ns``."""
    return await soon(partial(identity, cluster, node, within_ns), patience_ns)


async def revive(cluster: Cluster, nodes: Sequence[Node]) -> None:
    """Start again, with their data, those of ``nodes`` whose processes have ended."""
    for node in nodes:
        if not await cluster.runtime.state(node.name):
            await cluster.runtime.restart(node.name, keep_data=True)


def names(nodes: Sequence[Node]) -> str:
    """The nodes in words."""
    return " and ".join(node.name for node in nodes)
