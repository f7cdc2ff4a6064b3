"""Every error a user can meet, and the exit status it ends with.

    AnachronError
    ├── UsageError           254   what the user gave cannot be used as it is
    │   ├── PlanError              a plan that cannot be read or contradicts itself
    │   ├── HistoryError           a history that cannot be read
    │   └── UnsupportedError       a plan that asks for what this machine cannot do
    └── HarnessError         255   the harness or its surroundings failed
        ├── StartupError           a node did not become ready
        ├── StorageError           a run directory could not be written
        ├── InterruptedRunError    the user ended a run before it was judged
        └── DriverError            a driver process died

An error answers four questions in one message: what is wrong, where, why, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

PASS = 0
VIOLATED = 1
INCONCLUSIVE = 2
USAGE = 254
FAILURE = 255


class AnachronError(Exception):
    """A failure with one clear message; ``str`` gives the whole of it.

    Args:
        what: the sentence that says what is wrong.
        where: file, line and key, as far as they are known.
        why: the reason, where it is not plain from ``what``.
        fix: what the user can do.
    """

    exit_status = FAILURE

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.why:
            lines.append(f"  why: {self.why}")
        if self.fix:
            lines.append(f"  do:  {self.fix}")
        return "\n".join(lines)


class UsageError(AnachronError):
    """What the user gave cannot be used as it is."""

    exit_status = USAGE


class PlanError(UsageError):
    """A plan that cannot be read, or that contradicts itself."""


class HistoryError(UsageError):
    """A history that cannot be read."""


class UnsupportedError(UsageError):
    """A plan asks for something that this runtime cannot do on this machine."""


class HarnessError(AnachronError):
    """The harness or its surroundings failed; never a statement about the candidate."""


class StartupError(HarnessError):
    """A node did not become ready; the message carries the end of its log."""


class StorageError(HarnessError):
    """A run directory could not be written or read."""


class InterruptedRunError(HarnessError):
    """The user ended a run before it was judged."""


class DriverError(HarnessError):
    """A driver process died or did not answer."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """The advice for an unknown ``word``: the nearest known one, or all of them.

    >>> suggestion("partion", ["partition", "delay"])
    'did you mean "partition"?'
    """
    known = sorted(known)
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f'did you mean "{near[0]}"?'
    return "choose one of: " + ", ".join(known) if known else ""
