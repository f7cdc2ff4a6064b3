"""The command, the way people and workflows run it: ``shell`` in a process of its own, ``anachron`` without the wait for one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.cli import main

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    """What the command ended with, and said."""

    status: int
    out: str
    err: str


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., Answer]:
    """Run ``anachron`` with arguments in an empty directory, in a process of its own."""

    def run(*arguments: str | Path) -> Answer:
        done = subprocess.run(
            [sys.executable, "-m", "harness.cli", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(_ROOT), "TMPDIR": str(tmp_path), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def anachron(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run ``anachron`` with arguments in an empty directory, from its entry point on, in this process."""

    def run(*arguments: str | Path) -> Answer:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["anachron", *map(str, arguments)])
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err, err
        return Answer(int(ended.value.code or 0), out, err)

    return run
