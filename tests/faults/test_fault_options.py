"""What a plan may ask of faults, and what it is told where it may not."""

from __future__ import annotations

import pytest

from faults import FAULTS, refuse_impossible
from harness.errors import PlanError, UnsupportedError
from harness.plan import parse_plan
from harness.runtimes.base import Capability
from harness.topology import Link
from tests.faults.fake_cluster import FLEET, FakeRuntime, spec


def fault(kind: str, **options: object):
    return FAULTS.load(kind)(spec(kind, **options))


def test_targets_are_roles_names_and_lists_of_them():
    """What a plan names is found in the topology, each once and in its order."""
    one, two = Link("replica-1", "primary"), Link("replica-2", "primary")
    assert fault("partition", between=("primary", "replicas")).targets(FLEET) == (one, two)
    assert fault("partition", between=(("replica-2", "replicas"), "primary")).targets(FLEET) == (one, two)
    assert fault("partition", between=("replica-2", "all")).targets(FLEET) == (two,)
    assert fault("partition", between=("client", "primary")).targets(FLEET) == (Link("client", "primary"),)
    assert [n.name for n in fault("pause", targets=("replicas", "primary")).targets(FLEET)] == [
        "primary",
        "replica-1",
        "replica-2",
    ]


@pytest.mark.parametrize(
    ("kind", "options", "what", "fix"),
    [
        ("partition", {"between": ("primary", "replics")}, 'no node or role "replics"', '"replica"'),
        ("partition", {"between": ("replicas", "replicas")}, "no link between replicas and replicas", "replica-1->primary"),
        ("delay", {"between": ("origin", "primary"), "delay": "5ms"}, 'no node or role "origin"', "choose one of"),
        ("pause", {"targets": ("client",)}, 'no node or role "client"', "primary"),
        ("kill", {"targets": ("replica-3",)}, 'no node or role "replica-3"', '"replica-'),
    ],
)
def test_an_impossible_target_is_an_error_that_names_what_exists(kind, options, what, fix):
    """A typing error in a target must not become a fault that strikes nothing."""
    with pytest.raises(PlanError, match=what) as caught:
        fault(kind, **options).targets(FLEET)
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("kind", "options", "what"),
    [
        ("partition", {}, '"between" is missing'),
        ("partition", {"between": ("primary", "replicas"), "how": "hard"}, "'hard' should be 'black-hole' or 'refuse'"),
        ("partition", {"between": ("primary", "replicas"), "how": "refuse", "way": "forward"}, "cannot have way"),
        ("partition", {"between": ("primary", "replicas"), "target": "x"}, 'unknown key "target"'),
        ("partition", {"between": ("primary", ())}, "at least 1 item"),
        ("delay", {"between": ("primary", "replicas"), "delay": "5ms", "jitter_by": "5ms"}, "hides a delay"),
        ("delay", {"between": ("primary", "replicas"), "delay": "1s", "lasts": "2s"}, "too short to measure"),
        ("pause", {"targets": ()}, "at least 1 item"),
        ("kill", {"targets": ("primary",), "keep_data": "no"}, "'no' should be a valid boolean"),
    ],
)
def test_options_are_checked_when_the_plan_is_read(kind, options, what):
    """A wrong option is refused with words, before anything starts."""
    with pytest.raises(PlanError, match=what):
        fault(kind, **options)


def test_errors_point_into_the_plan():
    """File, line and key of the option that is wrong."""
    text = """
        [candidate]
        kind = "x"
        [[workloads]]
        kind = "x"
        [[faults]]
        kind = "pause"
        every = "9s"
        lasts = "1s"
        targets = "x"
    """
    plan = parse_plan(text, "plan.toml")
    with pytest.raises(PlanError) as caught:
        FAULTS.load("pause")(plan.faults[0]).targets(FLEET)
    assert caught.value.where.startswith("plan.toml:10: faults[0].targets")


@pytest.mark.parametrize(
    ("kind", "options", "needs"),
    [
        ("partition", {"between": ("primary", "replicas")}, {Capability.CUT}),
        ("partition", {"between": ("client", "replicas")}, {Capability.CUT_CLIENTS}),
        ("partition", {"between": ("primary", ("client", "replicas"))}, {Capability.CUT, Capability.CUT_CLIENTS}),
        ("delay", {"between": ("primary", "client"), "delay": "5ms"}, {Capability.DELAY, Capability.CUT_CLIENTS}),
        ("pause", {"targets": ("all",)}, {Capability.PAUSE}),
        ("kill", {"targets": ("all",)}, {Capability.KILL}),
    ],
)
def test_a_fault_that_the_runtime_cannot_do_is_refused(kind, options, needs):
    """Every capability that a fault needs is asked for; a missing one refuses the plan with reason and remedy."""
    struck = fault(kind, **options)
    refuse_impossible([struck], FakeRuntime(lacks=tuple(set(Capability) - needs)))
    for capability in needs:
        with pytest.raises(UnsupportedError, match=f'"{kind}" needs "{capability}"') as caught:
            refuse_impossible([struck], FakeRuntime(lacks=(capability,)))
        assert caught.value.why == f"no {capability} here; buy some"
