"""A refresh makes an entry look new when it begins, and its result is thrown away if another one has begun since."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.strategies.swr import DESIGN, Entry, StaleWhileRevalidate


class RefreshDiscard(StaleWhileRevalidate):
    """Marks a refresh under way in the entry's own time."""

    def begin_refresh(self, key: str, entry: Entry) -> None:
        """The entry looks fresh from now on, so that no other read begins a refresh."""
        marked = self.entries[key] = entry._replace(asked_ns=self.place.monotonic_ns())
        self.place.spawn(self.refresh(key, marked))


BUG = Bug(
    name="refresh-discard",
    number=13,
    correct=DESIGN,
    broken=replace(DESIGN, node=RefreshDiscard),
    title="refreshes that take longer than their interval never land",
    mechanism=(
        "A read finds an entry due and begins a refresh; so that no other read does the same, the entry is given the present "
        "time. The source is slow: before the answer comes the entry is due again, a second refresh begins, and the answer of "
        "the first is thrown away, because the entry is not the one that it began with. So is that of the second, and so on. "
        "Every refresh that began has made the entry look new, so its time is never over."
    ),
    observed="While the source is slow, a key that is read often grows older and older, though it is refreshed all the time.",
    seen_in=("ben-manes/caffeine#175", "ben-manes/caffeine#714", "ben-manes/caffeine#1970"),
    fix=(
        "Count an entry's time from the load that brought its value, never from one that has only begun; one refresh of a key "
        "at a time; load time-outs shorter than the refresh interval."
    ),
    schedule="""
        A writes x at node-1
        B reads x at node-2                # node-2 keeps version 1
        A writes x at node-1
        hold refresh.before-put at node-2  # a slow source
        wait 120ms
        B reads x at node-2                # due: a refresh begins
        wait 120ms
        B reads x at node-2
        wait 120ms
        B reads x at node-2
        release refresh.before-put at node-2
    """,
    fires=frozenset({"stale-read"}),
    workloads=({"kind": "register", "keys": 10, "sessions": 40, "rate": 1200.0, "reads": 0.97},),
    faults=(
        {"kind": "delay", "between": (("node",), ("origin",)), "delay": "80ms", "every": "4s", "lasts": "2500ms", "after": "1s"},
    ),
)
