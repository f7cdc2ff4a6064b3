"""``results.json`` of the zoo: the matrix for programs. Additions keep the number of the format; anything else raises it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from harness.zoo.matrix import BugRow, DesignRow, Failure, Matrix, Rate

FORMAT = 1


def document(matrix: Matrix, facts: Mapping[str, str]) -> str:
    """The text of ``results.json``; the same matrix gives the same text but for ``facts``."""
    return json.dumps(
        {
            "format": FORMAT,
            "holds": matrix.holds,
            "complaints": list(matrix.complaints),
            "errors": list(matrix.errors),
            "bugs": [_bug(row) for row in matrix.bugs],
            "strategies": [_design(row) for row in matrix.designs],
            "checkers": {name: list(bugs) for name, bugs in matrix.needed.items()},
            "facts": dict(facts),
        },
        indent=2,
        ensure_ascii=False,
    )


def _bug(row: BugRow) -> dict[str, Any]:
    return {
        "name": row.bug.name,
        "number": row.bug.number,
        "strategy": row.bug.correct.name,
        "title": row.bug.title,
        "must_fire": sorted(row.bug.fires),
        "may_fire": sorted(row.bug.consequences),
        "fired": sorted(row.broken),
        "missed": sorted(row.missed),
        "unexpected": sorted(row.unexpected),
        "on_the_correct_strategy": sorted(row.spared),
        "claim": row.claim,
        "random": [_rate(rate) for rate in row.rates],
        "random_failures_of_the_correct_strategy": [_failure(each) for each in row.failures],
    }


def _rate(rate: Rate) -> dict[str, Any]:
    low, high = rate.interval
    return {
        "workload": rate.workload,
        "detected": rate.detected,
        "n": rate.n,
        "low": round(low, 4),
        "high": round(high, 4),
        "findings": dict(rate.findings),
    }


def _design(row: DesignRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "scenarios": row.scenarios,
        "runs": row.runs,
        "failures": [_failure(each) for each in row.failures],
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "scenario": failure.scenario,
        "seed": failure.seed,
        "fired": sorted(failure.broken),
        "claim": failure.claim,
    }
