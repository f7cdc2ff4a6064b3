"""Which reads count, against a reading of the definition operation by operation."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.contract.reads import NO_WRITE, judged_reads
from harness.history import Function, Seen, Status
from harness.plan import Contract
from tests.checkers.histories import MS, history

OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["r {key}1", "r {key}0", "r {key}-", "r {key}~", "w {key}1", "w {key}2", "d {key}3"]),
        st.sampled_from("xy"),
        st.sampled_from("ab"),
        st.integers(0, 2),
        st.integers(0, 8),
        st.integers(0, 4),
        st.sampled_from(["ok", "ok", "ok", "fail", "info"]),
    ),
    max_size=12,
)


@given(OPERATIONS, st.booleans())
def test_reads_are_matched_with_the_latest_acknowledged_write(
    operations: list[tuple[str, str, str, int, int, int, str]],
    misses_count: bool,  # noqa: FBT001 - hypothesis draws it
) -> None:
    """Each judged read comes after the write of its key that returned last before its call, and reveals by session or node."""
    lines = []
    for what, key, node, session, call, length, status in operations:
        shown = what.format(key=key) if status == "ok" or what[0] != "r" else f"r {key}"
        lines.append(f"{shown} @{node} s{session} {call}-{call + length} {status}")
    recorded = history("; ".join(lines), keys=["x"], nodes=["a"])
    found = judged_reads(recorded, Contract(misses="absent-is-a-value" if misses_count else "allowed"))
    says = {Seen.HIT, Seen.ABSENT, *([Seen.MISS] if misses_count else [])}
    rows = [
        row
        for row in range(len(recorded))
        if recorded.function[row] == Function.READ and recorded.status[row] == Status.OK and recorded.seen[row] in says
    ]
    assert found.rows.tolist() == rows
    for at, row in enumerate(rows):
        before = [
            other
            for other in range(len(recorded))
            if recorded.function[other] != Function.READ
            and recorded.status[other] == Status.OK
            and recorded.key[other] == recorded.key[row]
            and recorded.return_ns[other] < recorded.call_ns[row]
        ]
        if not before:
            assert (found.after[at], found.age_ns[at], found.revealing[at]) == (NO_WRITE, -1, False)
            continue
        latest = max(recorded.return_ns[other] for other in before)
        write = found.after[at]
        assert write in before
        assert recorded.return_ns[write] == latest
        assert found.age_ns[at] == recorded.call_ns[row] - latest
        elsewhere = recorded.session[write] != recorded.session[row] or recorded.node[write] != recorded.node[row]
        assert found.revealing[at] == elsewhere


def test_a_return_at_the_very_call_is_not_before_it() -> None:
    """Equal times are concurrent."""
    recorded = history("w x1 @a s0 0-5; r x1 @a s1 5-6; r x1 @a s1 7-8")
    found = judged_reads(recorded, Contract())
    assert found.after.tolist() == [NO_WRITE, 0]
    assert found.age_ns.tolist() == [-1, 2 * MS]
