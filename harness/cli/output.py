"""Where words go: results to standard output, progress and complaints to standard error."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """Write ``text`` to standard output. A reader that has gone away (``| head``) changes no exit status."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Point the descriptor elsewhere, so that the interpreter's own flush at exit has nothing to complain about.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(text: str) -> None:
    """Write a message to standard error; silent where that is closed."""
    try:
        sys.stderr.write(f"anachron: {text}\n")
        sys.stderr.flush()
    except OSError:
        pass
