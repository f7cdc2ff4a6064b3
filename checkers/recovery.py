"""How long after the heal of each fault each node was fresh again.

    recoveries(history, contract)    one tuple for each of ``history.episodes``: one record for each node that is read in the run

A node is behind while a read of it finds what had been superseded before the heal: newer writes do not make it late, for a copy
that follows its source is always a little behind it. What counts are the reads called from the heal until the next fault is
applied, as in ``checkers.convergence``; time in which the harness itself stood still is taken off.

Cost: O(n) beyond the read table. Cannot see: a node that nobody read after the heal; keys without a version order.
Source: DEFINITIONS, "Convergence".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.convergence import Spells, catching_up
from checkers.reads import reads
from harness.history import History
from harness.plan import Contract


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the reads of one node after one heal say.

    Attributes:
        node: its name.
        stale_until_ns: from the heal to the call of the last read that was behind; 0 if none was, None if there was no read.
        keys: how many keys were read there.
        behind: how many of them were found behind at least once.
        unseen: how many of those nobody saw fresh afterwards: the node was behind for ``stale_until_ns`` at least.
    """

    node: str
    stale_until_ns: int | None
    keys: int
    behind: int
    unseen: int


def recoveries(history: History, contract: Contract) -> tuple[tuple[Recovery, ...], ...]:
    """For each episode what its heal was followed by; nothing for one that was never applied or never healed."""
    found = reads(history, contract)
    asked = np.unique(found.node).tolist()
    spells = (catching_up(history, found, episode) for episode in history.episodes)
    return tuple(() if after is None else tuple(_recovery(history, after, node) for node in asked) for after in spells)


def _recovery(history: History, after: Spells, node: int) -> Recovery:
    here = after.node == node
    lasted = after.lasted_ns[here]
    return Recovery(
        node=history.nodes[node],
        stale_until_ns=int(lasted.max()) if len(lasted) else None,
        keys=len(lasted),
        behind=int((after.last[here] >= 0).sum()),
        unseen=int(after.censored[here].sum()),
    )
