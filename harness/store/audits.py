"""What the audit of the source of truth says of writes that were never answered (DEFINITIONS, "Versions")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.history import COLUMNS, Function, History, Status
from harness.store.logs import Audit

NEVER_COMMITTED = "never answered, and never committed as the audit shows"


def decide_unanswered(history: History, audits: Sequence[Audit]) -> History:
    """``history`` in which every write without answer is decided as far as ``audits`` go.

    One that an audit has was committed: it keeps its status, for its client never heard of it, and ``committed`` says by when.
    One that the sealed audit lacks is ``fail``, still without a return. An audit that lacks an acknowledged write has lost
    something (a database that came back without its data), and shows of no write that it never happened; ``audited`` says that
    it lacks none. Deletes carry no op id, so they stay undecided.
    """
    if not audits:
        return history
    unanswered = (history.function == Function.WRITE) & (history.status == Status.INFO)
    mine = set(history.op[unanswered].tolist())
    committed: dict[int, int] = {}
    for audit in sorted(audits):
        for op in mine.intersection(audit.ops):
            committed.setdefault(op, audit.known_ns)
    decided = replace(history, committed=committed)
    sealed = [audit for audit in audits if audit.sealed]
    if not sealed:
        return decided
    acknowledged = (history.function == Function.WRITE) & (history.status == Status.OK)
    has = np.isin(history.op, np.array(sealed[-1].ops, np.int64))
    if not has[acknowledged].all():
        return decided
    decided = replace(decided, audited=True)
    absent = unanswered & ~has & ~np.isin(history.op, np.fromiter(committed, np.int64))
    if not absent.any():
        return decided
    known = {"status": Status.FAIL, "error": len(history.errors)}
    columns = {name: np.where(absent, value, history.columns[name]).astype(COLUMNS[name]) for name, value in known.items()}
    return replace(decided, columns={**history.columns, **columns}, errors=(*history.errors, NEVER_COMMITTED))
