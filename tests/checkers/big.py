"""Large plausible histories, made in columns: one writer per key, replicas that lag. For benchmarks and for speed work."""

from __future__ import annotations

import numpy as np

from harness.history import NEVER, Function, History, Seen, Status

US = 1_000
MS = 1_000_000


def big_history(
    n: int = 1_000_000,
    keys: int = 1_000,
    nodes: int = 3,
    seed: int = 0,
    *,
    sessions: int = 50,
    writes: float = 0.1,
    info: float = 1e-4,
    lag_ns: int = 2 * MS,
) -> History:
    """``n`` operations of ``sessions`` closed-loop sessions over zipf-skewed ``keys``.

    Node 0 takes the writes and answers in order; the others show what node 0 had ``lag_ns`` ago, each key at its own even pace,
    so that reads are stale but no node ever goes backwards. One write in ``1 / info`` times out and takes effect all the same.
    """
    rng = np.random.default_rng(seed)
    session = np.tile(np.arange(sessions), -(-n // sessions))[:n]
    turn = np.repeat(np.arange(-(-n // sessions)), sessions)[:n]
    pace = 200 * US
    call = turn * pace + rng.integers(0, pace // 4, n)
    service = rng.integers(pace // 8, pace // 2, n)
    order = np.argsort(call, kind="stable")
    call, session = call[order], session[order]
    returned = call + service

    weight = 1 / np.arange(1, keys + 1) ** 0.99
    key = np.searchsorted(np.cumsum(weight / weight.sum()), rng.random(n)).clip(0, keys - 1)
    wrote = rng.random(n) < writes
    # One writer per key, one write at a time: a write that would overlap the one before it on its key becomes a read.
    at = np.flatnonzero(wrote)
    at = at[np.lexsort((at, key[at]))]
    busy = np.zeros(len(at), bool)
    busy[1:] = (key[at][1:] == key[at][:-1]) & (call[at][1:] <= call[at][:-1] + pace)
    wrote[at[busy]] = False
    at = at[~busy]

    fresh_key = np.ones(len(at), bool)
    fresh_key[1:] = key[at][1:] != key[at][:-1]
    start = np.flatnonzero(fresh_key)
    version = np.arange(len(at)) - np.repeat(start, np.diff(np.append(start, len(at)))) + 1
    node = np.where(wrote, 0, rng.integers(0, nodes, n))

    # A read sees, in the middle of its service time, the last write whose own middle was a lag before.
    middle = call + service // 2
    axis = int(middle.max()) + 1 if n else 1
    seen_at = np.maximum(middle - np.where(node > 0, lag_ns, 0), -1)
    applied = key[at] * axis + middle[at]
    reads = np.flatnonzero(~wrote)
    place = np.searchsorted(applied, key[reads] * axis + np.maximum(seen_at[reads], 0), side="right") - 1
    found = (place >= 0) & (seen_at[reads] >= 0)
    found &= key[at][np.maximum(place, 0)] == key[reads] if len(at) else False

    op = np.arange(n)
    lost = np.zeros(n, bool)
    lost[at] = rng.random(len(at)) < info
    sent, seen_version, seen_op = np.full(n, -1), np.full(n, -1), np.full(n, -1)
    sent[at] = version
    seen = np.where(wrote, Seen.NOTHING, Seen.MISS)
    hit = reads[found]
    seen[hit] = Seen.HIT
    seen_version[hit] = version[place[found]]
    seen_op[hit] = op[at[place[found]]]
    columns = {
        "op": op,
        "group": np.full(n, -1),
        "workload": np.zeros(n, np.int16),
        "session": session.astype(np.int32),
        "process": _processes(session, lost, sessions),
        "node": node.astype(np.int16),
        "server": np.full(n, -1, np.int16),
        "epoch": node.astype(np.int32),
        "function": np.where(wrote, Function.WRITE, Function.READ).astype(np.int8),
        "key": key.astype(np.int32),
        "due_ns": call,
        "call_ns": call,
        "return_ns": np.where(lost, NEVER, returned),
        "status": np.where(lost, Status.INFO, Status.OK).astype(np.int8),
        "sent_version": sent,
        "seen": seen.astype(np.int8),
        "seen_key": np.where(seen == Seen.HIT, key, -1).astype(np.int32),
        "seen_version": seen_version,
        "seen_op": seen_op,
        "error": np.where(lost, 0, -1).astype(np.int16),
    }
    end = int(returned.max()) if n else 0
    return History(
        columns=columns,
        keys=tuple(f"k{index}" for index in range(keys)),
        nodes=("primary", *(f"replica-{index}" for index in range(1, nodes))),
        ordered=np.ones(keys, bool),
        errors=("timeout",),
        end_ns=end,
        settled_ns=end,
    )


def _processes(session: np.ndarray, lost: np.ndarray, sessions: int) -> np.ndarray:
    """A session's process: it goes on under a new one after each ``info``."""
    order = np.argsort(session, kind="stable")
    before = np.cumsum(lost[order]) - lost[order]
    first = np.searchsorted(session[order], session[order])
    lives = np.empty(len(session), np.int64)
    lives[order] = before - before[first]
    return (session + sessions * lives).astype(np.int32)
