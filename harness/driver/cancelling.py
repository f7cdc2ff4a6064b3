"""Which operations are given up as soon as they have been sent, while a fault wants that."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random


class Cancelling:
    """Chooses by chance, node by node.

    Attributes:
        active: whether any operation may be given up now.
        count: how many have been so far.
    """

    def __init__(self, random: Random) -> None:
        self.active = False
        self.count = 0
        self._random = random
        self._shares: dict[int, float] = {}

    def set(self, share: float, nodes: Iterable[int]) -> None:
        """From now on, give up this share of the operations at ``nodes``; 0 for none."""
        self._shares |= dict.fromkeys(nodes, share)
        self.active = any(self._shares.values())

    def strikes(self, node: int) -> bool:
        """Whether the operation that has just been sent to ``node`` is given up."""
        share = self._shares.get(node)
        if not share or self._random.random() >= share:
            return False
        self.count += 1
        return True
