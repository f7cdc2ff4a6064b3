"""What the source's audit makes of writes that were never answered, and what checkers make of that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checkers import convergence, integrity
from checkers.versions import versions
from harness.errors import HistoryError
from harness.history import NEVER, Status
from harness.plan import Contract
from harness.store import Audit, AuditLog, read_history, write_history
from harness.store.audits import NEVER_COMMITTED, decide_unanswered
from harness.store.logs import read_audits
from tests.checkers.histories import MS, history


def unanswered():
    """Version 1 of x is acknowledged, versions 2 of x and 1 of y are not answered; x is then read as it was before."""
    return history("w x1 0-1; w x2 s1 2- info; w y1 s2 2- info", "r x1 s3 50-51", settled=20, end=60)


def test_an_audit_decides_both_ways():
    """The write that it has keeps its status and gets a time; the one that the sealed audit lacks did not happen."""
    decided = decide_unanswered(unanswered(), [Audit(21 * MS, False, (0, 1)), Audit(40 * MS, True, (0, 1))])
    assert decided.committed == {1: 21 * MS}
    assert decided.status[decided.rows_of([1, 2])].tolist() == [Status.INFO, Status.FAIL]
    (failed,) = decided.rows_of([2])
    assert decided.return_ns[failed] == NEVER
    assert decided.errors[decided.error[failed]] == NEVER_COMMITTED
    assert decided.audited
    assert not decided.until(30 * MS).audited


@pytest.mark.parametrize("audits", [[], [Audit(21, False, (0,))], [Audit(21, True, (1,))]])
def test_an_audit_that_cannot_know_decides_no_absence(audits):
    """None, one that was not the last word, and one that lacks an acknowledged write, show of no write that it did not happen."""
    decided = decide_unanswered(unanswered(), audits)
    assert (decided.status == unanswered().status).all()
    assert not decided.audited


def test_a_committed_write_supersedes_from_its_audit_on():
    """A node that still shows the version before is stuck, although the write's client never heard of it."""
    contract = Contract(converges_within="10ms")
    assert convergence.check(unanswered(), contract).findings == ()
    decided = decide_unanswered(unanswered(), [Audit(21 * MS, False, (0, 1))])
    table = decided.derive(versions)
    assert table.sup_ns[table.place[decided.rows_of([1])[0]]] == 21 * MS
    (stuck,) = convergence.check(decided, contract).findings
    assert stuck.name == "stuck"
    assert any("the audit had it as committed" in sentence for sentence in stuck.argument)
    assert decided.until(20 * MS).committed == {}


def test_the_value_of_a_write_that_never_happened_is_a_dirty_read():
    """It was read, and the audit shows that it was never committed."""
    seen = history("w x1 0-1; w x2 s1 2- info", "r x2 s3 50-51")
    assert integrity.check(seen, Contract()).findings == ()
    (dirty,) = integrity.check(decide_unanswered(seen, [Audit(60 * MS, True, (0,))]), Contract()).findings
    assert dirty.name == "dirty-read"
    assert "never committed" in dirty.claim
    assert any("the audit lacks it" in sentence for sentence in dirty.argument)


def test_what_was_decided_is_stored(tmp_path):
    """Answers come back from their log, and decisions from the history's file."""
    audits = (Audit(21, False, (0, 1)), Audit(40, True, ()))
    with AuditLog(tmp_path / "audits.jsonl") as log:
        for audit in audits:
            log.append(audit)
    assert read_audits(tmp_path / "audits.jsonl") == audits
    assert read_audits(tmp_path / "none.jsonl") == ()
    write_history(replace(unanswered(), committed={1: 21}, audited=True), tmp_path / "history.parquet")
    assert read_history(tmp_path / "history.parquet").committed == {1: 21}
    assert read_history(tmp_path / "history.parquet").audited


def test_a_line_that_is_no_audit_is_an_error(tmp_path):
    """A damaged log is not guessed at."""
    (tmp_path / "audits.jsonl").write_text('{"known_ns": 1, "sealed": 2, "ops": []}\n')
    with pytest.raises(HistoryError, match=r"no audit[^$]*audits.jsonl:1|audits.jsonl:1[^$]*no audit"):
        read_audits(tmp_path / "audits.jsonl")
