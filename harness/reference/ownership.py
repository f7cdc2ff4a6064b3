"""A source that grants shares of the keys to owners, and fences off those who own them no more: ``strategies.owner``."""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.reference.effects import Flow, Gate, Refused, Sleep
from harness.reference.messages import Value
from harness.reference.node import Place
from harness.reference.origin import Origin


class Acquire(NamedTuple):
    """To the source: let me own ``share``, with ``token`` if I have it already; the reply is an ``Ownership``, whosever."""

    share: int
    token: int


class Ownership(NamedTuple):
    """Who owns a share, with which token, and until when on the source's monotonic clock."""

    owner: str
    token: int
    until_ns: int


class CommitFenced(NamedTuple):
    """To the source: make ``value`` the newest if ``token`` is the present one of ``share``; the reply is its stamp."""

    value: Value
    share: int
    token: int


class GrantingOrigin(Origin):
    """A source that says who owns what.

    Attributes:
        owners: of each share, now or last; on disk.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.owners: dict[int, Ownership] = {}

    def serve(self, source: str, request: Any) -> Flow[Any]:
        """Grants and fenced commits."""
        match request:
            case Acquire(share, token):
                return self.grant(source, share, token)
            case CommitFenced(value, share, token):
                yield Gate("origin.before-commit", value.key)
                yield Sleep(self.settings.commit_ns)
                if value.op in self.stamps:
                    return self.stamps[value.op]
                if self.fences_off(share, token):
                    raise Refused("somebody else owns this key by now")
                return self.commit(value)
        return (yield from super().serve(source, request))

    def grant(self, node: str, share: int, token: int) -> Ownership:
        """Who owns ``share``: ``node`` from now on, unless somebody else's lease is not over."""
        now_ns = self.place.monotonic_ns()
        last = self.owners.get(share, Ownership("", 0, -1))
        if last.owner != node and last.until_ns >= now_ns:
            return last
        if last.owner != node or last.token != token:
            token = last.token + 1
        self.owners[share] = Ownership(node, token, now_ns + self.settings.lease_ns)
        return self.owners[share]

    def fences_off(self, share: int, token: int) -> bool:
        """Whether ``token`` is not the present one."""
        return share not in self.owners or self.owners[share].token != token
