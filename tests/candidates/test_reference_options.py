"""The options of the reference fleet, and what it promises."""

from __future__ import annotations

from dataclasses import fields

import pytest

from harness.candidates import CANDIDATES
from harness.candidates.reference import ReferenceOptions
from harness.errors import PlanError
from harness.explain.docs import keys
from harness.plan import CandidateSpec
from harness.reference.settings import Settings
from harness.reference.zoo import all_bugs, designs
from harness.simulation.fleet import PACE


def reference(**options):
    """The candidate with these options."""
    spec = CandidateSpec.model_validate({"kind": "reference", "strategy": "broadcast-alo", **options})
    return CANDIDATES.load("reference")(spec)


@pytest.mark.parametrize("name", designs())
def test_every_strategy_is_a_candidate_with_a_promise(name):
    """Clients may ask each of its cache nodes, and its contract is a valid one."""
    candidate = reference(strategy=name, nodes=4)
    assert [candidate.topology.nodes[index].name for index in candidate.topology.readable] == [f"node-{n}" for n in range(1, 5)]
    assert candidate.topology.writable == candidate.topology.readable
    assert candidate.promise(PACE.most_ns) == designs()[name].promise(designs()[name].settings, PACE.most_ns)


@pytest.mark.parametrize("name", all_bugs())
def test_every_bug_is_held_to_what_the_correct_strategy_promises(name):
    """The mistake changes what runs, not what is promised."""
    bug = all_bugs()[name]
    candidate = reference(strategy=bug.full_name)
    assert candidate.design is bug.broken
    assert candidate.promise(PACE.most_ns) == bug.correct.promise(bug.correct.settings, PACE.most_ns)


def test_every_setting_is_an_option_that_is_explained():
    """What a strategy's times are, a plan can say; what it does not say stays as the strategy wants it."""
    documented = {key.name: key.doc for key in keys(ReferenceOptions)}
    for field in fields(Settings):
        assert documented[field.name.removesuffix("_ns")], field.name
    candidate = reference(ttl="3s", slow_share=0.5)
    assert (candidate.settings.ttl_ns, candidate.settings.slow_share) == (3_000_000_000, 0.5)
    assert candidate.settings.load_ns == designs()["broadcast-alo"].settings.load_ns


def test_settings_change_what_is_promised():
    """The theory is computed from the plan's times."""
    slow = reference(strategy="ttl", ttl="7s").promise(PACE.most_ns).staleness.steady
    fast = reference(strategy="ttl").promise(PACE.most_ns).staleness.steady
    assert slow is not None
    assert fast is not None
    assert slow - fast == 7_000_000_000 - designs()["ttl"].settings.ttl_ns


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"strategy": "broadcast-al"}, 'did you mean "broadcast-alo"'),
        ({"strategy": "broadcast-alo+blind-refil"}, 'did you mean "blind-refill"'),
        ({"strategy": "ttl+blind-refill"}, 'has no bug "blind-refill"'),
        ({"nodes": 2}, "nodes"),
        ({"nodes": 10_001}, "nodes"),
        ({"ttl": "1us"}, "shorter than a message takes"),
        ({"slow_share": 1.5}, "slow_share"),
        ({"ttk": "1s"}, 'unknown key "ttk"'),
    ],
)
def test_what_makes_no_fleet_is_refused(options, words):
    """Unknown names are met with the near one; times that would let virtual time stand still are not taken."""
    with pytest.raises(PlanError) as refused:
        reference(**options)
    assert words in str(refused.value)
