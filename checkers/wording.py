"""The sentences that findings are made of, in one voice: operations by name, moments to the microsecond, durations rounded.

w#12 wrote version 7 of k12 at primary and was acknowledged at 1.204311s.
r#40 was called at replica-1 at 1.207415s and found version 6 of k12, the value of w#9.
"""

from __future__ import annotations

from collections.abc import Iterable

from checkers.versions import versions
from harness.durations import format_duration
from harness.history import NEVER, Function, History, Seen, Status

LETTERS = {Function.READ: "r", Function.WRITE: "w", Function.DELETE: "d"}
FOUND_NONE = {Seen.MISS: "missed", Seen.ABSENT: "was told that there is no value", Seen.GARBAGE: "was answered with garbage"}


def name(history: History, row: int) -> str:
    """The operation's name: ``w#12``."""
    return f"{LETTERS[Function(history.function[row])]}#{history.op[row]}"


def moment(time_ns: int) -> str:
    """A point in the run's time."""
    return f"{time_ns / 1e9:.6f}s" if abs(time_ns) < NEVER // 2 else "no time"


def lapse(begin_ns: int, end_ns: int) -> str:
    """The time from one moment to another."""
    return format_duration(int(end_ns) - int(begin_ns))


def key(history: History, row: int) -> str:
    """The name of the key that the operation asked for."""
    asked: str = history.keys[history.key[row]]
    return asked


def node(history: History, row: int) -> str:
    """The name of the node that the operation asked."""
    asked: str = history.nodes[history.node[row]]
    return asked


def nodes(history: History, rows: Iterable[int]) -> tuple[str, ...]:
    """The names of the nodes that the operations asked, each once, in order."""
    return tuple(dict.fromkeys(node(history, row) for row in rows if row >= 0))


def wrote(history: History, row: int) -> str:
    """What a write did, and how it ended."""
    verb = "deleted" if history.function[row] == Function.DELETE else "wrote"
    what = f"{name(history, row)} {verb} {key(history, row)} as version {history.sent_version[row]} at {node(history, row)}"
    status = history.status[row]
    if status == Status.OK:
        return f"{what} and was acknowledged at {moment(history.return_ns[row])}."
    if status == Status.FAIL and history.return_ns[row] == NEVER:
        return (
            f"{what}, called at {moment(history.call_ns[row])}; it was never answered, and it did not happen: the audit lacks it."
        )
    if status == Status.FAIL:
        return f"{what} and was refused at {moment(history.return_ns[row])}: it did not happen."
    audited_ns = history.committed.get(int(history.op[row]))
    audited = "" if audited_ns is None else f", but at {moment(audited_ns)} the audit had it as committed"
    return f"{what}, called at {moment(history.call_ns[row])}; it was never answered{audited}."


def read(history: History, row: int) -> str:
    """What a read found, where and when."""
    asked = f"{name(history, row)} asked {node(history, row)} for {key(history, row)} at {moment(history.call_ns[row])}"
    return f"{asked} and at {moment(history.return_ns[row])} {found(history, row)}."


def found(history: History, row: int) -> str:
    """What a read found: ``found version 6, the value of w#9``."""
    seen = Seen(history.seen[row])
    if seen in FOUND_NONE:
        return FOUND_NONE[seen]
    other = history.seen_key[row]
    of_key = f" of {history.keys[other]}" if other >= 0 and other != history.key[row] else ""
    writer = history.rows_of(history.seen_op[row : row + 1])[0] if history.seen_op[row] >= 0 else -1
    by = f", the value of {name(history, int(writer))}" if writer >= 0 else ""
    return f"found {version(history.seen_version[row])}{of_key}{by}"


def version(number: int) -> str:
    """A version in words."""
    return "the initial value" if number == 0 else f"version {number}"


def place(history: History, at: int) -> str:
    """The version at a place of the version table, in words."""
    return version(int(history.derive(versions).version[at]))


def answer(history: History, row: int) -> str:
    """What a node answered, as the end of a claim: ``version 6``, ``nothing``."""
    return version(int(history.seen_version[row])) if history.seen[row] == Seen.HIT else "nothing"


def older(history: History, row: int, meant: int) -> str:
    """That a read found something older than it should have, where ``meant`` is the newest place it can have meant."""
    if history.seen[row] == Seen.HIT:
        return f"found {answer(history, row)}, which is older"
    return f"found nothing, which can mean no more than {place(history, meant)}"
