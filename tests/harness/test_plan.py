from __future__ import annotations

from importlib.resources import files

import pytest

from harness.durations import Bound
from harness.errors import PlanError
from harness.plan import Record, load_plan, parse_plan

PLAN = """\
seed = 7

[candidate]
kind = "redis-replication"
replicas = 2

[contract]
sessions = { monotonic_reads = "same-node" }
converges_within = "3s"

[contract.staleness]
steady = "100ms"
during = { partition = "fault + 500ms" }
after_heal = "2s"

[[workloads]]
kind = "register"
keys = 200

[[workloads]]
kind = "cold-register"

[[faults]]
kind = "partition"
between = ["primary", "replicas"]
every = "10s"
lasts = "3s"

[run]
duration = "60s"
"""


class Options(Record):
    """What some candidate may be told."""

    replicas: int = 1


def message(text):
    """The error that a plan's text ends in."""
    with pytest.raises(PlanError) as caught:
        parse_plan(text, "my.toml")
    return str(caught.value)


def test_a_plan_becomes_frozen_records_with_nanoseconds():
    """Times are integers inside, whatever unit the file uses."""
    plan = parse_plan(PLAN)
    assert plan.contract.staleness.steady == 100_000_000
    assert plan.contract.staleness.during == {"partition": Bound(500_000_000, plus_fault=True)}
    assert plan.faults[0].lasts == 3_000_000_000
    with pytest.raises(ValueError, match="frozen"):
        plan.seed = 8


def test_options_belong_to_their_kind():
    """A candidate reads its own options out of its spec."""
    assert parse_plan(PLAN).candidate.read(Options).replicas == 2


def test_an_unknown_option_points_into_the_file_and_suggests_the_near_one():
    """A kind's options are checked as strictly as the plan's own keys."""
    with pytest.raises(PlanError) as caught:
        parse_plan(PLAN.replace("replicas = 2", "replica = 2"), "my.toml").candidate.read(Options)
    assert str(caught.value) == 'my.toml:5: candidate.replica: unknown key "replica"\n  do:  did you mean "replicas"?'


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("monotonic_reads", "monotonic_read", ["my.toml:8", 'unknown key "monotonic_read"', 'did you mean "monotonic_reads"?']),
        ('"same-node"', '"same_node"', ["my.toml:8", 'did you mean "same-node"?']),
        ('every = "10s"', "every = 10", ["my.toml:26: faults[0].every", "has no unit", '"10s"']),
        ('every = "10s"', 'every = "3s"', ["my.toml:23: faults[0]", "impossible schedule"]),
        ("seed = 7", 'seed = "x"', ["my.toml:1: seed", "valid integer"]),
        ("[run]", "[runn]", ["my.toml:29", 'did you mean "run"?']),
        ('steady = "100ms"\n', "", ["staleness.during needs staleness.steady"]),
        ("[contract]", "[contract]\nlinearizable = true", ["contradicts itself", "100ms"]),
        ('"fault + 500ms"', '"50ms"', ["contradicts itself", "stricter"]),
        ('kind = "redis-replication"\n', "", ['the key "kind" is missing']),
        ("seed = 7", "seed = ", ["my.toml", "not TOML"]),
        ('"3s"\n\n[contract', "3\n\n[contract", ["my.toml:9: contract.converges_within", "has no unit"]),
    ],
)
def test_a_bad_plan_gets_one_message_with_line_key_and_remedy(old, new, expected):
    """Whatever is wrong, the message says where it stands and what to write."""
    assert old in PLAN
    text = message(PLAN.replace(old, new, 1))
    for part in expected:
        assert part in text


def test_a_waiver_cannot_excuse_an_integrity_finding():
    """Integrity is always promised."""
    waiver = '\n[[contract.waive]]\nfinding = "thin-air"\nreason = "we like it"\n'
    assert "cannot be waived" in message(PLAN + waiver)


def test_a_waiver_of_what_no_checker_finds_is_refused_where_it_stands():
    """A typing error would excuse nothing; the message has the line and the near name."""
    waiver = '\n[[contract.waive]]\nfinding = "lost-writes"\nreason = "we like it"\n'
    line = (PLAN + waiver).splitlines().index('finding = "lost-writes"') + 1
    told = message(PLAN + waiver)
    assert f":{line}: contract.waive[0].finding" in told
    assert 'did you mean "lost-write"?' in told


def test_a_missing_file_and_a_binary_file_are_plan_errors(tmp_path):
    """Nothing that a path can name ends in a traceback."""
    with pytest.raises(PlanError, match="no such plan"):
        load_plan(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(PlanError, match="not a text file"):
        load_plan(tmp_path / "binary.toml")
    with pytest.raises(PlanError, match="cannot be read"):
        load_plan(tmp_path)


def test_the_hash_names_the_experiment_not_its_layout():
    """Comments and spacing do not change the hash; a changed bound does."""
    plan = parse_plan(PLAN)
    assert plan.hash == parse_plan("# a comment\n" + PLAN.replace("seed = 7", "seed   =  7")).hash
    assert plan.hash != parse_plan(PLAN.replace('"100ms"', '"101ms"')).hash


@pytest.mark.parametrize("path", sorted(files("harness").joinpath("plans").iterdir(), key=str), ids=lambda path: path.name)
def test_every_shipped_plan_parses_and_is_named_after_its_file(path):
    """A shipped plan is valid, and `anachron run NAME` finds it by its own name."""
    assert load_plan(path).name == path.name.removesuffix(".toml")
