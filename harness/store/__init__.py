"""Run directories: where one experiment keeps its plan, its history, and what was said about it."""

from harness.store.directory import RunDirectory, list_runs
from harness.store.epochs import assign_epochs
from harness.store.logs import EpisodeLog, EpochLog, Sample, StallLog, read_episodes, read_samples, read_stalls
from harness.store.parquet import read_history, write_history

__all__ = [
    "EpisodeLog",
    "EpochLog",
    "RunDirectory",
    "Sample",
    "StallLog",
    "assign_epochs",
    "list_runs",
    "read_episodes",
    "read_history",
    "read_samples",
    "read_stalls",
    "write_history",
]
