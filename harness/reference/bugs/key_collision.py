"""The name of the entry leaves out what the answer depends on."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.strategies.lease import DESIGN, LeaseFill


class KeyCollision(LeaseFill):
    """Keys end with the user. The entries do not."""

    def entry(self, key: str) -> str:
        """The name of the page, for whoever reads it."""
        return key[:-1]


BUG = Bug(
    name="key-collision",
    number=58,
    correct=DESIGN,
    broken=replace(DESIGN, node=KeyCollision),
    title="the cache key omits a dimension",
    mechanism=(
        "An answer depends on more than its entry's name says: the user, the language, a header that should be in Vary. Here the"
        " last letter of the key is the user, and entries are stored under the key without it. Whoever fills the entry first "
        "fills it for all."
    ),
    observed="A read of one key is answered with the value of another: another user's page.",
    seen_in=("Steam, 25 December 2015",),
    fix="Name everything in the key that the answer depends on; do not cache what has no such name.",
    schedule="""
        A writes page-a at node-1
        B writes page-b at node-1
        A reads page-a at node-1         # fills the entry "page-"
        B reads page-b at node-2
    """,
    fires=frozenset({"wrong-key"}),
)
