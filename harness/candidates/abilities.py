"""What some candidates can do or have beside what every candidate does, each a protocol of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from harness.candidates.redis_admin import Admin
from harness.clients.access import Access
from harness.routing import Routing


@runtime_checkable
class Administered(Protocol):
    """A candidate with nodes that speak RESP, and may be told what an administrator tells them."""

    def admin(self, node: str) -> Admin:
        """A connection of the caller's own to ``node``, past all faults on links; not opened yet, to be closed by the caller."""


@runtime_checkable
class Audited(Protocol):
    """A candidate whose source of truth keeps a record of every committed write."""

    async def audit(self, *, seal: bool) -> Sequence[bytes]:
        """The values of all writes that are committed, each key's in the order of their commits. Raises ``OSError``.

        To ``seal`` is to let nothing be committed ever after: then what is not among them never happened.
        """


@runtime_checkable
class Routed(Protocol):
    """A candidate whose clients find their way by themselves: its topology has ``ROUTED`` places to write to or read from."""

    @property
    def routing(self) -> Routing:
        """What the clients of the started candidate know when they begin."""


@runtime_checkable
class Sharded(Protocol):
    """A candidate whose keys lie in slots, which nodes own and hand over."""

    async def owners(self) -> Mapping[str, tuple[tuple[int, int], ...]]:
        """The ranges of slots, first and last, that each node owns. Raises ``OSError`` if nobody answers."""

    async def move(self, slot: int, source: str, target: str) -> int:
        """Hand ``slot`` with its keys over while clients go on; how many keys that were. Raises ``OSError``."""


@runtime_checkable
class Roles(Protocol):
    """A candidate whose nodes change roles."""

    async def current(self, role: str) -> tuple[str, ...]:
        """The nodes that have ``role`` now, ``primary`` or ``replica``, by their own word; the right one first, if known."""


@runtime_checkable
class FailsOver(Roles, Protocol):
    """A candidate in which a node can be told to take over from another.

    Attributes:
        failovers: how: ``orderly``, so that nothing is lost; by ``force``; by ``takeover``, asking nobody.
    """

    failovers: frozenset[str]

    async def fail_over(self, node: str, how: str) -> str:
        """Give the word that another node take over from the one that is primary now where ``node`` belongs; who that is.

        Whether and when it happens, the nodes decide. Raises ``OSError``.
        """

    async def fall_back(self) -> None:
        """Give the roles back where clients do not follow them; elsewhere nothing. Raises ``OSError``."""


@runtime_checkable
class Tuned(Protocol):
    """A candidate whose clients speak its protocol in a way of their own.

    Attributes:
        codec_options: what the protocol's codec takes beside its defaults.
    """

    codec_options: tuple[tuple[str, Any], ...]


@runtime_checkable
class OneByOne(Protocol):
    """A candidate that takes no request of several keys, though its protocol has some.

    Attributes:
        one_by_one: why.
    """

    one_by_one: str


@runtime_checkable
class Guarded(Protocol):
    """A candidate that does not let everybody in.

    Attributes:
        access: what the clients of the started candidate need.
    """

    @property
    def access(self) -> Access:
        """As it is once the candidate has started."""


@runtime_checkable
class Capped(Protocol):
    """A candidate that other people use, too.

    Attributes:
        load_cap: how many operations a second all sessions together may make, the probes after the run included.
    """

    load_cap: float
