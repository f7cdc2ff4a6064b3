"""Settings that hold for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# A shared machine may stand still for longer than any deadline; a failure in CI must come again on the next try.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
