"""The real command in a process of its own, the way people and workflows run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    """What the command ended with, and said."""

    status: int
    out: str
    err: str


@pytest.fixture
def anachron(tmp_path: Path) -> Callable[..., Answer]:
    """Run ``anachron`` with arguments in an empty directory."""

    def run(*arguments: str | Path, timeout: float = 60) -> Answer:
        done = subprocess.run(
            [sys.executable, "-m", "harness.cli", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(_ROOT), "TMPDIR": str(tmp_path), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    return run
