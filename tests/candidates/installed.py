"""Which servers this machine has: tests of the others are skipped here, and fail in CI."""

from __future__ import annotations

import pytest

from harness.errors import StartupError
from harness.runtimes.programs import find_program


def needs(program: str) -> pytest.MarkDecorator:
    """Skips a test where ``program`` is not installed."""
    try:
        find_program(program)
    except StartupError as error:
        return pytest.mark.skipif(True, reason=str(error))
    return pytest.mark.skipif(False, reason="")
