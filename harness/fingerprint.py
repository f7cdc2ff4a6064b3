"""The fingerprint of a history: two histories have the same one exactly if they say the same.

SHA-256 over everything that a history holds, in a fixed order and byte order, so that it does not depend on the machine, on the
version of numpy or on how the history was stored.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

import numpy as np

from harness.history import COLUMNS, History


def fingerprint(history: History) -> str:
    """64 hex digits."""
    digest = hashlib.sha256()
    for name, kind in COLUMNS.items():
        column = np.ascontiguousarray(history.columns[name], np.dtype(kind).newbyteorder("<"))
        digest.update(f"{name} {len(column)}\n".encode())
        digest.update(column.tobytes())
    digest.update(json.dumps(_words(history), sort_keys=True).encode())
    return digest.hexdigest()


def _words(history: History) -> dict[str, object]:
    """All that is not in columns; ``json`` writes it in one way only."""
    return {
        "keys": history.keys,
        "nodes": history.nodes,
        "ordered": history.ordered.tolist(),
        "workloads": history.workloads,
        "errors": history.errors,
        "episodes": [asdict(episode) for episode in history.episodes],
        "epochs": [asdict(epoch) for epoch in history.epochs],
        "stalls": [asdict(stall) for stall in history.stalls],
        "end_ns": history.end_ns,
        "settled_ns": history.settled_ns,
        "complete": history.complete,
        "committed": sorted(history.committed.items()),
        "audited": history.audited,
        "routed": history.routed,
    }
