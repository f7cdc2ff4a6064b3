"""Live progress of a run on standard error: a bar where that is a terminal, a line every few seconds where it is a log."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from harness.conductor import Watcher
from harness.durations import UNITS, format_duration
from harness.history import CRASH, Episode

_EVERY_NS = 5 * UNITS["s"]


@contextmanager
def progress(*, quiet: bool) -> Generator[Watcher]:
    """A watcher that suits standard error, for the length of one run."""
    if quiet:
        yield Silence()
    elif sys.stderr.isatty():
        with Bar() as bar:
            yield bar
    else:
        yield Lines()


class Silence:
    """Shows nothing."""

    def stage(self, words: str) -> None:
        """Show nothing."""

    def counts(self, elapsed_ns: int, duration_ns: int, ok: int, fail: int, info: int) -> None:
        """Show nothing."""

    def episode(self, episode: Episode) -> None:
        """Show nothing."""


class Lines:
    """Plain lines: every stage, every episode, and the counts every few seconds."""

    def __init__(self) -> None:
        self._rate = _Rate()
        self._next_ns = 0
        self._unsaid = ""

    def stage(self, words: str) -> None:
        """Write the stage, after the last counts of the one before."""
        if self._unsaid:
            _write(self._unsaid)
            self._unsaid = ""
        _write(words)

    def counts(self, elapsed_ns: int, duration_ns: int, ok: int, fail: int, info: int) -> None:
        """Write the counts if the last ones are a few seconds old."""
        per_second = self._rate.of(elapsed_ns, ok + fail + info)
        self._unsaid = f"{_seconds(elapsed_ns)} of {_seconds(duration_ns)}: {_counted(ok, fail, info, per_second)}"
        if elapsed_ns >= self._next_ns:
            self._next_ns = elapsed_ns + _EVERY_NS
            _write(self._unsaid)
            self._unsaid = ""

    def episode(self, episode: Episode) -> None:
        """Write what became of the episode."""
        _write(told(episode))


class Bar:
    """A bar with the counts beside it; episodes scroll by above it."""

    def __init__(self) -> None:
        self._rate = _Rate()
        self._progress = Progress(
            TextColumn("{task.description:<20}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[words]}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        self.stage("preparing")
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def stage(self, words: str) -> None:
        """Name the stage; how long it takes is unknown until counts come."""
        # A new task, because a task that has had a total keeps it.
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(words, total=None, words="")

    def counts(self, elapsed_ns: int, duration_ns: int, ok: int, fail: int, info: int) -> None:
        """Move the bar."""
        per_second = self._rate.of(elapsed_ns, ok + fail + info)
        words = f"{_seconds(elapsed_ns)}/{_seconds(duration_ns)}  {_counted(ok, fail, info, per_second)}"
        if self._task is not None:
            self._progress.update(self._task, completed=min(elapsed_ns, duration_ns), total=duration_ns, words=words)

    def episode(self, episode: Episode) -> None:
        """Write what became of the episode above the bar."""
        style = None if episode.proven else "yellow"
        self._progress.console.print(told(episode), markup=False, highlight=False, style=style)


def told(episode: Episode) -> str:
    """One line on an episode that is over."""
    if episode.kind == CRASH:
        return f"! {', '.join(episode.targets)} ended by itself at {_seconds(episode.intended_ns)}"
    head = f"{episode.kind} {episode.struck} at {_seconds(episode.intended_ns)}"
    if episode.applied_ns is None:
        return f"x {head}: could not be applied"
    length = f" for {format_duration(episode.healed_ns - episode.applied_ns)}" if episode.healed_ns is not None else ""
    if episode.proven_ns is None:
        return f"x {head}{length}: NOT PROVEN"
    return f"+ {head}{length}: proven after {format_duration(episode.proven_ns - episode.applied_ns)}"


class _Rate:
    """Operations a second since the counts before; None until there are two."""

    def __init__(self) -> None:
        self._before = (0, 0)
        self._per_second: float | None = None

    def of(self, elapsed_ns: int, operations: int) -> float | None:
        then_ns, then = self._before
        if elapsed_ns - then_ns >= UNITS["s"] // 2:
            self._per_second = (operations - then) * UNITS["s"] / (elapsed_ns - then_ns)
            self._before = (elapsed_ns, operations)
        return self._per_second


def _counted(ok: int, fail: int, info: int, per_second: float | None) -> str:
    troubles = "".join(f", {count:,} {name}" for name, count in (("fail", fail), ("info", info)) if count)
    rate = f", {per_second:,.0f} op/s" if per_second is not None else ""
    return f"{ok:,} ok{troubles}{rate}"


def _seconds(time_ns: int) -> str:
    return f"{max(0, time_ns) / UNITS['s']:.1f}s"


def _write(text: str) -> None:
    with suppress(OSError):  # whoever read the progress has gone; the run goes on
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
