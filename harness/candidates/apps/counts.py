"""What a place has sent and served since it began, by kind."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping


class Counts:
    """Counts of one place.

    Attributes:
        sent: messages that went to other places, by their kind; requests and replies, too.
        served: requests of other places that were carried out, by their kind.
        beats: signs of life on connections, which have nothing to do with the strategy.
        bytes: of all that was sent, without these.
    """

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.served: Counter[str] = Counter()
        self.beats = 0
        self.bytes = 0

    def document(self, kept: Mapping[str, int]) -> bytes:
        """All of it as JSON, with how many records each table of the actor has."""
        told = {"sent": self.sent, "served": self.served, "beats": self.beats, "bytes": self.bytes, "kept": dict(kept)}
        return json.dumps(told).encode()
