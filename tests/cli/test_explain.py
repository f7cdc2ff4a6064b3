"""Explanations: everything that can be named is explained, from the code as it is."""

from __future__ import annotations

import ast
import textwrap
import tomllib
from pathlib import Path

import pytest

import checkers
from harness.conductor import prepare
from harness.errors import UsageError
from harness.explain import annotated_plan, explain, overview, pages
from harness.explain.docs import all_keys, options_of
from harness.explain.names import REFERENCE, REGISTRIES, plan_keys
from harness.findings import FINDINGS
from harness.plan import Contract, Plan, parse_plan
from harness.reference.zoo import all_bugs
from harness.shipped import shipped_plans

NAMED = [
    *(name for registry in REGISTRIES.values() for name in registry.names),
    *(name for _, lines, _ in REFERENCE.values() for name in lines()),
]


def test_overview_says_a_sentence_on_everything():
    """Every built-in thing is listed, loads, and has a sentence."""
    text = overview()
    assert "cannot be loaded" not in text
    assert all(f"\n  {name} " in text for name in (*NAMED, *shipped_plans()))


@pytest.mark.parametrize("name", NAMED)
def test_every_thing_is_explained(name):
    """A thing's explanation is its docstring, not a line."""
    assert len(explain(name)) > 300


@pytest.mark.parametrize("name", FINDINGS)
def test_every_finding_is_explained_and_its_checker_exists(name):
    """A finding says what it means, what causes it, what to do, and who finds it."""
    text = explain(name)
    assert f"{name}: a finding" in text
    assert "What to do: " in text
    assert FINDINGS[name].checker in checkers.CHECKERS.names


def test_the_findings_that_checkers_name_are_the_ones_that_are_explained():
    """Every name that a checker gives to a finding is in the glossary, and the glossary has none that no checker knows."""
    strings, named = set(), set()
    for path in Path(checkers.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Constant(value=str(text)):
                    strings.add(text)
                case ast.Call(func=ast.Name(id="findings"), args=[_, ast.Constant(value=str(name)), *_]):
                    named.add(name)
                case ast.Call(func=ast.Name(id="fatal"), args=[ast.Constant(value=str(name)), *_]):
                    named.add(name)
    assert len(named) > 5
    assert named <= set(FINDINGS) <= strings


@pytest.mark.parametrize("key", [key.path for key in plan_keys()])
def test_every_key_of_a_plan_is_explained(key):
    """Each key says what may stand there."""
    assert f"{key}: " in explain(key)


def test_a_short_key_finds_the_whole_path():
    """The end of a path is enough."""
    assert "contract.staleness.steady: a key of a plan" in explain("steady")
    assert "redis-replication.replicas" in explain("replicas")


def test_the_annotated_plan_is_a_plan_and_names_every_key():
    """`explain plan` misses no key that the harness knows, and every line of it is valid, commented out or not."""
    text = annotated_plan()
    assert prepare(parse_plan(text)).plan.name == "replication"
    missing = [
        key.path for key in all_keys(Plan) if key.name != "kind" and f"{key.name} = " not in text and f"{key.path}]" not in text
    ]
    assert missing == []
    everything = "\n".join(
        line[2:] if line.startswith("# ") and (" = " in line.split("#")[1] or line.startswith("# [")) else line
        for line in text.splitlines()
    )
    plan = parse_plan(everything)
    assert plan.contract.ttl is not None
    assert plan.contract.staleness.versions == 50
    assert plan.contract.waive[0].finding == "lost-write"


def test_the_defaults_that_the_annotated_plan_states_are_the_defaults():
    """[adequacy] and what else claims to be a default is one."""
    plan = parse_plan(annotated_plan())
    assert plan.adequacy == type(plan.adequacy)()
    assert plan.run.timeout == type(plan.run)().timeout


def test_options_are_found_for_everything_that_has_them():
    """Each candidate, workload and fault brings a record of options."""
    for sort in ("candidates", "workloads", "faults"):
        for name in REGISTRIES[sort].names:
            assert options_of(REGISTRIES[sort].load(name)) is not None, name


def test_a_bug_is_explained_by_its_schedule_really_carried_out():
    """Mechanism, steps with what came of them, findings, a proof, public cases, the remedy, and a plan for it."""
    text = explain("blind-refill")
    assert "7  │   ◀─────────────────┤    B is answered: version 1" in text
    assert "What is found: stale-read, stuck." in text
    assert "The proof (stuck): " in text
    assert "still answered version 1 of x, not version 2" in text
    assert "In public: Facebook's leases" in text
    assert "What prevents it: " in text
    assert 'strategy = "broadcast-alo+blind-refill"' in text
    assert max(map(len, text.splitlines())) < 120


def test_a_strategy_is_explained_with_its_promise_and_its_bugs():
    """The contract that theory gives is a contract of a plan."""
    text = explain("broadcast-alo")
    promise = text.partition("  [contract]")[2].partition("\n\nIts bugs:")[0]
    table = tomllib.loads("[contract]" + textwrap.dedent(promise))
    assert Contract.model_validate(table["contract"]).lost_writes == 0
    assert "\n  blind-refill " in text


def test_schedules_are_explained_with_every_step_and_sign():
    """The grammar of steps and the signs of diagrams."""
    text = explain("schedules")
    assert "  hold fill.before-put at node-2  " in text
    assert "a gate is closed" in text
    assert "``" not in text


def test_an_unknown_name_is_refused_with_the_near_one():
    """A typo is met with what was meant."""
    with pytest.raises(UsageError, match="stale-read"):
        explain("stale-raed")


def test_pages_hold_what_is_explained():
    """The reference pages cover every sort, all findings and the plan."""
    written = pages()
    assert set(written) == {*(f"{sort}.md" for sort in (*REGISTRIES, *REFERENCE)), "findings.md", "plan.md", "schedules.md"}
    assert all(f"## {name}\n" in written["bugs.md"] for name in all_bugs())
    assert all(f"## {name}\n" in written["findings.md"] for name in FINDINGS)
    assert "| `contract.staleness.steady` |" in written["plan.md"]


def test_pages_are_written_by_the_command(anachron, tmp_path):
    """`explain --pages DIR` writes every page and names it."""
    answer = anachron("explain", "--pages", "reference")
    assert answer.status == 0
    assert sorted(path.name for path in (tmp_path / "reference").iterdir()) == sorted(pages())
    assert len(answer.out.splitlines()) == len(pages())
