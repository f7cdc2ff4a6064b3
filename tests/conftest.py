"""What holds for all tests: hypothesis' settings, and no silence about what was not run where it must be."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

_CI = bool(os.environ.get("CI"))
_MUST_RUN_IN_CI = ("browser", "docker", "servers")

# A shared machine may stand still for longer than any deadline; a failure in CI must come again on the next try.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if _CI else "local")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI, a test that was skipped for want of a browser, a server or an engine has failed."""
    report = yield
    if _CI and report.skipped and any(item.get_closest_marker(name) for name in _MUST_RUN_IN_CI):
        report.outcome = "failed"
        report.longrepr = f"must not be skipped in CI: {report.longrepr}"
    return report
