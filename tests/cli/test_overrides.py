"""Options of the command line put into the text of a plan."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.overrides import override
from harness.durations import parse_duration
from harness.errors import PlanError
from harness.explain import annotated_plan
from harness.plan import parse_plan
from harness.shipped import shipped_plans, shipped_text

LEAST = '[candidate]\nkind = "x"\n[[workloads]]\nkind = "y"\n'


@given(
    name=st.sampled_from([*shipped_plans(), "annotated", "least"]),
    seed=st.none() | st.integers(0, 2**40),
    duration=st.none() | st.sampled_from(["1s", "90s", "1.5min"]),
    workers=st.none() | st.integers(1, 64),
)
def test_only_what_is_asked_for_changes_and_the_text_is_the_plan(name, seed, duration, workers):
    """The changed text reads as the plan with those keys changed, and as nothing else."""
    text = {"annotated": annotated_plan(), "least": LEAST}.get(name) or shipped_text(name)
    asked = {"seed": seed, "run.duration": duration, "run.workers": workers}
    plan, changed = override(text, {key: value for key, value in asked.items() if value is not None})
    before = parse_plan(text)
    assert parse_plan(changed).model_dump() == plan.model_dump()
    assert plan.seed == (before.seed if seed is None else seed)
    assert plan.run.duration == (before.run.duration if duration is None else parse_duration(duration))
    assert plan.run.workers == (before.run.workers if workers is None else workers)
    same = {
        "seed": before.seed,
        "run": plan.run.model_copy(update={"duration": before.run.duration, "workers": before.run.workers}),
    }
    assert plan.model_copy(update=same).model_dump() == before.model_dump()


def test_comments_stay():
    """A comment behind a changed key is kept."""
    _, text = override("seed = 1  # lucky\n" + LEAST, {"seed": 2})
    assert text.startswith("seed = 2  # lucky\n")


def test_a_key_of_another_table_is_not_touched():
    """`duration` is changed under [run] only, and `seed` at the top only."""
    given_text = LEAST + 'duration = "7s"\nseed = 9\n'
    plan, text = override(given_text, {"run.duration": "3s", "seed": 4})
    assert plan.workloads[0].options == {"duration": "7s", "seed": 9}
    assert (plan.run.duration, plan.seed) == (3_000_000_000, 4)
    assert given_text in text


def test_an_inline_run_table_is_refused_with_the_remedy():
    """What cannot be changed in place is said, not guessed."""
    with pytest.raises(PlanError, match="inline"):
        override('run = { duration = "5s" }\n' + LEAST, {"run.duration": "3s"})
