"""Costs on real processes, and what is told where they differ from the model."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from harness.cli.cost import refused
from harness.cost import study
from harness.cost.case import S
from harness.cost.compare import differences
from harness.cost.page import Answers, document, page
from harness.cost.real import count_real
from harness.cost.records import Measured, Real
from harness.cost.study import REAL, Question, Row, case_of, lived, row_of
from harness.errors import StartupError


def counted(row: Row, **real: float) -> Row:
    """``row`` as if everything had been counted just as theory says, but for what is given."""
    measured = Measured(row.write_ns, row.messages, row.origin, row.metadata, None, None, 30.0, 0, 1)
    lived = Real(
        250, 1.0, 0, 2_000_000, 9_000_000, 1_000_000, row.messages, row.origin, row.metadata, 30.0, 600, 60, {"Drop": 9.0}
    )
    return replace(row, measured=measured, real=replace(lived, **real))


@pytest.mark.servers
@pytest.mark.parametrize("name", ["broadcast-alo", "sync-invalidation"])
def test_processes_send_what_theory_says(tmp_path, name):
    """Three nodes, a hundred writes: messages of a write, and what the source is asked."""
    case, _ = case_of(REAL.question, name, 3)
    row, real = row_of(REAL.question, name, 3), count_real(name, case, tmp_path, counted_ns=2 * S)
    assert real.writes > 60
    assert real.messages == pytest.approx(row.messages, rel=0.25)
    assert real.origin == pytest.approx(row.origin, rel=0.25)
    assert 0 < real.write_ns <= real.write_p99_ns
    assert sum(real.kinds.values()) == pytest.approx(real.messages)


def test_a_fleet_that_does_not_start_is_told(monkeypatch, tmp_path):
    """Its row says why, and the others go on."""

    def failing(*_):
        raise StartupError("node-1 does not serve")

    monkeypatch.setattr(study, "count_real", failing)
    row = lived((REAL.question, row_of(REAL.question, "ttl", 3), tmp_path))
    assert row.real is None
    assert "node-1 does not serve" in row.trouble


def test_real_processes_that_differ_are_told_with_what_is_known():
    """Messages, and what goes on without writes; times are not compared, for the networks differ."""
    row = row_of(REAL.question, "sync-invalidation", 3)
    assert differences([counted(row)]) == ()
    more, idle = differences([counted(row, messages=2 * row.messages, idle=90.0, borne=0.5, unanswered=3)])
    assert (more.quantity, more.real, idle.quantity) == ("messages", True, "idle")
    assert "the machine bore 50% of the load; 3 operations had no answer; most are Drop 9.0; a renewal is" in str(more)
    assert str(idle).startswith("sync-invalidation, 3 real nodes, idle: model 30, counted 90")


def test_page_and_document_have_all_three_words():
    """Theory, virtual and real; a fleet that could not be counted has its reason in its place."""
    rows = [row_of(Question(), name, 3) for name in ("sync-invalidation", "broadcast-alo", "versioned-keys", "ttl", "no-cache")]
    small = [
        counted(row_of(REAL.question, "ttl", 3), origin=123.0),
        replace(row_of(REAL.question, "owner", 3), trouble="no room"),
    ]
    answers = Answers(rows, small=small)
    told = json.loads(document(answers, Question(), {}))["real"]
    assert told["rows"][1]["real"]["origin"] == 123.0
    text = page(answers, Question(), 3, {})
    assert "<b>123</b>" in text
    assert "no room" in text


@pytest.mark.parametrize(
    ("check", "real", "said"), [(False, True, "--no-check"), (True, False, "--no-real"), (True, True, "only Linux")]
)
def test_no_real_fleet_has_its_reason(monkeypatch, check, real, said):
    """What the user wanted, or what this machine lacks."""
    monkeypatch.setattr("harness.cli.cost.refusal", lambda: "only Linux has it")
    assert said in refused(check=check, real=real)
