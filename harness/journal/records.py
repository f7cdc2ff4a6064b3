"""The format that writer and reader of a journal share."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from struct import Struct

import numpy as np

FORMAT = 1
HEADER_BYTES = mmap.PAGESIZE
CHUNK_RECORDS = 1 << 16
"""Space is claimed for so many records at a time."""

COUNTS = Struct("<qqq")
"""The live counts at the beginning of the header: ok, fail, info."""

RECORD = np.dtype(
    [
        ("due_ns", "<i8"),
        ("call_ns", "<i8"),
        ("sent_version", "<i8"),
        ("group", "<i8"),
        ("session", "<i4"),
        ("process", "<i4"),
        ("key", "<i4"),
        ("node", "<i2"),
        ("workload", "<i2"),
        ("function", "u1"),
        ("begun", "u1"),  # 1 once the fields above are whole
        ("spare", "V6"),
        ("return_ns", "<i8"),
        ("seen_version", "<i8"),
        ("seen_op", "<i8"),
        ("seen_key", "<i4"),
        ("error", "<i2"),
        ("seen", "u1"),
        ("ended", "u1"),  # 1 + status once the fields above are whole, 0 before
    ]
)
BEGIN = Struct("<qqqqiiihhBB")
"""A record up to ``begun``."""
END = Struct("<qqqihBB")
"""A record from ``return_ns`` on."""
END_OFFSET = 56
"""Where ``return_ns`` stands in a record."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many operations have ended, by status."""

    ok: int = 0
    fail: int = 0
    info: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.ok + other.ok, self.fail + other.fail, self.info + other.info)


def ops_name(worker: int) -> str:
    """The file of a worker's records."""
    return f"worker-{worker}.ops"


def names_name(worker: int) -> str:
    """The file of a worker's lines."""
    return f"worker-{worker}.names"
