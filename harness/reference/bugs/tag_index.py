"""A flush forgets an entry that was put in the index while it was under way."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import HOT, Bug
from harness.reference.effects import Flow, Gate
from harness.reference.store import Delete
from harness.reference.strategies.tags import DESIGN, Tags
from harness.reference.tags import DropTag, Tagged


class TagIndex(Tags):
    """Flushes step by step."""

    def purge(self, key: str, stamp: int) -> Flow[None]:
        """Read the index, delete what is in it, and then delete the index."""
        tag = self.tag(key)
        for tagged in (yield from self.ask(key, Tagged(tag))):
            yield from self.ask(tagged, Delete(tagged))
        yield Gate("flush.before-drop", key)
        yield from self.ask(key, DropTag(tag))


BUG = Bug(
    name="tag-index",
    number=31,
    correct=DESIGN,
    broken=replace(DESIGN, node=TagIndex),
    title="a flush loses an entry from the index of its tag",
    mechanism=(
        "A flush reads which keys have the tag, deletes them, and then deletes the index. In between another key is stored and "
        "put in the index, and goes out of it with the rest. It is stored now and in no index: no later flush will find it."
    ),
    observed=(
        "Nothing at first. From the next write on, every node answers with the old value until its time to live has run out."
    ),
    seen_in=("laravel/framework#61328, #61480", "lada-cache#124", "alternative-laravel-cache#50"),
    fix="Change index and entries in one atomic step (a script, a transaction), or name the tag's generation in the key.",
    schedule="""
        A writes page-a at node-1
        B writes page-b at node-1
        hold flush.before-drop at node-1
        A writes page-a at node-1        # flushes the tag "page-" up to its index
        C reads page-b at node-2         # stored, and in the index
        release flush.before-drop at node-1
        wait 5ms
        B writes page-b at node-3        # the index is empty
        C reads page-b at node-2
    """,
    fires=frozenset({"stale-read", "not-linearizable"}),
    consequences=frozenset({"slow-convergence", "read-your-writes"}),
    workloads=(HOT,),
)
