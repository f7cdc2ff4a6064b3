"""Run directories: where one experiment keeps its plan, its history, and what was said about it."""

from harness.store.directory import ORIGIN, RunDirectory, list_runs
from harness.store.epochs import assign_epochs
from harness.store.logs import Audit, AuditLog, EpisodeLog, EpochLog, Sample, StallLog, read_episodes, read_samples, read_stalls
from harness.store.node_logs import LogLine, NodeLog
from harness.store.parquet import read_history, write_history

__all__ = [
    "ORIGIN",
    "Audit",
    "AuditLog",
    "EpisodeLog",
    "EpochLog",
    "LogLine",
    "NodeLog",
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
