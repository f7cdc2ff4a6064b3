"""Where nodes live, by the names that plans use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.registry import Registry

if TYPE_CHECKING:  # proxies start from this package, and should not wait for what only the harness needs
    from harness.runtimes.base import Runtime

RUNTIMES: Registry[Callable[[Path], Runtime]] = Registry("runtime", {"process": "harness.runtimes.process:ProcessRuntime"})
"""A runtime is made from the directory of its run."""
