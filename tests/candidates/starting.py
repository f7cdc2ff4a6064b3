"""Candidates that are started for a test, and gone after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from harness.candidates import Candidate, Cluster
from harness.runtimes.base import Runtime


@asynccontextmanager
async def started(candidate: Candidate, runtime: Runtime) -> AsyncIterator[Cluster]:
    """``candidate`` on ``runtime``, while it serves."""
    try:
        await runtime.open(candidate.topology)
        await candidate.start(runtime)
        yield Cluster(candidate, runtime)
    finally:
        await candidate.close()
        await runtime.close()
