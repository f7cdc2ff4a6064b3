"""A store whose entries have tags: all entries of one tag can be flushed at once, whatever their keys."""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.reference.effects import Flow
from harness.reference.node import Place
from harness.reference.store import Store


class LeaseTagged(NamedTuple):
    """As ``Lease``; whatever is stored with the right to fill has the tag ``tag`` from now on."""

    key: str
    lease_ns: int
    tag: str


class FlushTag(NamedTuple):
    """Delete every entry with the tag ``tag``, and the rights to fill them; the reply tells how many there were."""

    tag: str


class Tagged(NamedTuple):
    """The keys with the tag ``tag``."""

    tag: str


class DropTag(NamedTuple):
    """Forget which keys have the tag ``tag``; the reply tells how many had."""

    tag: str


class TagStore(Store):
    """A store with an index. A key is in it from the moment in which somebody may fill it, and until it is flushed.

    Attributes:
        index: the keys of each tag.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.index: dict[str, set[str]] = {}

    def serve(self, source: str, request: Any) -> Flow[Any]:
        """Entries and index change in one moment."""
        match request:
            case LeaseTagged(key, lease_ns, tag):
                self.index.setdefault(tag, set()).add(key)
                return self.lease(key, lease_ns)
            case FlushTag(tag):
                return len([self.items.pop(key, None) for key in self.index.pop(tag, ())])
            case Tagged(tag):
                return tuple(sorted(self.index.get(tag, ())))
            case DropTag(tag):
                return len(self.index.pop(tag, ()))
        return (yield from super().serve(source, request))
