"""The format that writer and reader of a journal share."""

from __future__ import annotations

import mmap
from dataclasses import astuple, dataclass
from operator import add
from struct import Struct

import numpy as np

FORMAT = 1
HEADER_BYTES = mmap.PAGESIZE
CHUNK_RECORDS = 1 << 16
"""Space is claimed for so many records at a time."""

COUNTS = Struct("<qqqqq")
"""The live counts at the beginning of the header: the fields of ``Counts``."""

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
NODE = Struct("<h")
"""The node of a record; the one field that may change while an operation is in flight."""
NODE_OFFSET = 44
"""Where ``node`` stands in a record."""
END_OFFSET = 56
"""Where ``return_ns`` stands in a record."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many operations have ended, by status, and what a fault of the clients did to some.

    Attributes:
        ok, fail, info: by status.
        cancelled: those ``info`` that the driver was made to give up.
        diverted: those that were sent elsewhere, because their node had been left out of the pool.
    """

    ok: int = 0
    fail: int = 0
    info: int = 0
    cancelled: int = 0
    diverted: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*map(add, astuple(self), astuple(other)))


def ops_name(worker: int) -> str:
    """The file of a worker's records."""
    return f"worker-{worker}.ops"


def names_name(worker: int) -> str:
    """The file of a worker's lines."""
    return f"worker-{worker}.names"
