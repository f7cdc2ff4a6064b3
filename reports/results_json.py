"""``results.json``: everything a run has to say, for programs. Stable: names are only ever added within a format version.

===============  ======================================================================================================
format           ``anachron-results``; ``format_version`` is 1
run, replay      the run's name, and the command that runs its plan again
verdict          ``answer`` (pass, violated, inconclusive, error), ``outcome`` of the contract, ``why``, ``exit_status``,
                 ``failure`` of the harness (empty if none)
plan             ``name``, ``hash``, ``seed``, ``candidate``, ``runtime``, ``duration_ns``, and the ``text`` as it was written
history          counts: ``operations``, ``ok``, ``fail``, ``info``, ``keys``, ``sessions``; ``nodes``, ``end_ns``, ``complete``
clauses          the contract, promise by promise, in its order (``harness.results.Clause``)
adequacy         what a run must have exercised (``Evidence``)
findings         ``Finding``s, the ones that decided the verdict first (``Report.findings``), each with ``id`` (its anchor in
                 report.html), ``weight`` (what it means for the verdict), ``operations``: the rows of its witness
                 (``reports.rows.Row``), and ``log_lines``: what their nodes logged around them (``reports.excerpts.Line``)
measures         ``Measure``s with their ``checker``;  ``curves``: ``Curve``s
episodes         fault episodes (``harness.history.Episode``), each with ``recovery``: how long after its heal each node was fresh
                 again (``checkers.recovery.Recovery``; empty if it was never healed);  ``stalls``, ``epochs``: as recorded
environment      facts in words;  ``oddities``: what to know of how the run went
===============  ======================================================================================================

All times are integer ns since the start of the run. A number that is not finite is null.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import numpy as np

from checkers.recovery import recoveries
from harness.history import Status
from harness.results import Finding
from reports.ages import Ages, ages
from reports.excerpts import excerpt
from reports.record import Report
from reports.rows import rows


def render_json(report: Report) -> str:
    """The whole of ``results.json``; ASCII, one final newline."""
    return json.dumps(_finite(_document(report)), indent=1, allow_nan=False) + "\n"


def _document(report: Report) -> dict[str, Any]:
    history, plan = report.history, report.plan
    known = ages(history, plan.contract)
    counts = np.bincount(history.status, minlength=len(Status))
    return {
        "format": "anachron-results",
        "format_version": 1,
        "run": report.run,
        "replay": report.replay,
        "verdict": {
            "answer": report.answer,
            "outcome": report.verdict.outcome,
            "why": report.why,
            "exit_status": report.exit_status,
            "failure": report.failure,
        },
        "plan": {
            "name": plan.name,
            "hash": plan.hash,
            "seed": plan.seed,
            "candidate": plan.candidate.kind,
            "runtime": plan.run.runtime,
            "duration_ns": plan.run.duration,
            "text": report.plan_text,
        },
        "history": {
            "operations": len(history),
            **{status.name.lower(): int(counts[status]) for status in Status},
            "keys": len(history.keys),
            "sessions": len(np.unique(history.session)),
            "nodes": history.nodes,
            "end_ns": history.end_ns,
            "complete": history.complete,
        },
        "clauses": [asdict(clause) for clause in report.verdict.clauses],
        "adequacy": [asdict(evidence) for evidence in report.verdict.adequacy],
        "findings": [_finding(report, number, finding, known) for number, finding in enumerate(report.findings, start=1)],
        "measures": [{"checker": checker, **asdict(measure)} for checker, measure in report.measures],
        "curves": [asdict(curve) for curve in report.curves],
        "episodes": [
            {**asdict(episode), "recovery": [asdict(node) for node in nodes]}
            for episode, nodes in zip(history.episodes, recoveries(history, plan.contract), strict=True)
        ],
        "epochs": [asdict(epoch) for epoch in history.epochs],
        "stalls": [asdict(stall) for stall in history.stalls],
        "environment": dict(report.environment),
        "oddities": report.oddities,
    }


def _finding(report: Report, number: int, finding: Finding, known: Ages) -> dict[str, Any]:
    witness = rows(report.history, finding.witness, known)
    return {
        "id": f"finding-{number}",
        "weight": report.weight(finding),
        **asdict(finding),
        "severity": finding.severity.name.lower(),
        "operations": [asdict(row) for row in witness],
        "log_lines": [asdict(line) for line in excerpt(finding, witness, report.node_logs).lines],
    }


def _finite(value: Any) -> Any:
    """``value`` in JSON's own types, with None for numbers that JSON does not know."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
