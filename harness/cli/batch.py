"""Work of many parts: its progress, how it is ended early, and the report at its end."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from harness.cli.output import say
from harness.store.files import storage_error, write_text

_EVERY_S = 5.0

T = TypeVar("T")


def shown(answers: Iterable[T], what: str, total: int, *, quiet: bool) -> Iterator[T]:
    """The answers, with progress on standard error: a bar where that is a terminal, a line now and then where it is a log."""
    if quiet:
        return iter(answers)
    if sys.stderr.isatty():
        return iter(track(answers, what, total=total, console=Console(stderr=True), transient=True))
    return _lines(answers, total)


def _lines(answers: Iterable[T], total: int) -> Generator[T]:
    next_s = time.monotonic() + _EVERY_S
    for number, answer in enumerate(answers, 1):
        if time.monotonic() >= next_s or number == total:
            sys.stderr.write(f"{number:,} of {total:,} runs\n")
            next_s = time.monotonic() + _EVERY_S
        yield answer


def write_report(directory: Path, texts: dict[str, str]) -> None:
    """Write the files of a report, by name, and say where the last of them is. Raises ``StorageError``."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, directory) from None
    for name, text in texts.items():
        write_text(directory / name, text)
    say(str(directory / [*texts][-1]))


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends the work as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
