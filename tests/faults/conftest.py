"""Containers that faults are tried on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.runtimes.base import Capability
from harness.runtimes.docker.runtime import DockerRuntime

MakeRuntime = Callable[..., DockerRuntime]


@pytest.fixture
def containers(tmp_path: Path) -> MakeRuntime:
    """Makes a runtime of containers, of a class of the test's own if it has one; skips where there is no engine."""
    if lacks := DockerRuntime(tmp_path).refusal(Capability.DISTURB):
        pytest.skip(lacks)
    return lambda kind=DockerRuntime: kind(tmp_path)
