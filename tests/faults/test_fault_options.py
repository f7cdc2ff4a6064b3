"""What a plan may ask of faults, and what it is told where it may not."""

from __future__ import annotations

import inspect
import re
import textwrap

import pytest

from faults import FAULTS, refuse_impossible
from harness.errors import PlanError, UnsupportedError
from harness.plan import parse_plan
from harness.runtimes.base import Capability
from harness.topology import Link, Node, Topology
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
        ("partition", {}, 'either "between" or "groups"'),
        ("partition", {"between": ("primary", "replicas"), "how": "hard"}, "'hard' should be 'black-hole' or 'refuse'"),
        ("partition", {"between": ("primary", "replicas"), "how": "refuse", "way": "forward"}, "cannot have way"),
        ("partition", {"between": ("primary", "replicas"), "target": "x"}, 'unknown key "target"'),
        ("partition", {"between": ("primary", ())}, "at least 1 item"),
        ("delay", {"between": ("primary", "replicas"), "delay": "5ms", "jitter_by": "5ms"}, "hides a delay"),
        ("delay", {"between": ("primary", "replicas"), "delay": "1s", "lasts": "2s"}, "too short to measure"),
        ("message", {"between": ("primary", "replicas"), "action": "lose"}, "'lose' should be 'drop'"),
        ("message", {"between": ("primary", "replicas"), "action": "delay"}, "delay"),
        ("message", {"between": ("primary", "replicas"), "action": "drop", "delay": "5ms"}, "no other action one"),
        ("message", {"between": ("primary", "replicas"), "action": "drop", "nth": 2, "every_nth": 2}, "cannot both choose"),
        ("pause", {"targets": ()}, "at least 1 item"),
        ("kill", {"targets": ("primary",), "keep_data": "no"}, "'no' should be a valid boolean"),
        ("kill", {"targets": ("primary",), "what": "rack"}, "'rack' is not possible here"),
        ("drop", {"between": ("primary", "replicas")}, 'either "probability" or "nth"'),
        ("drop", {"between": ("primary", "replicas"), "probability": 0.1, "nth": 4}, 'either "probability" or "nth"'),
        ("drop", {"between": ("primary", "replicas"), "probability": 1.0}, "less than 1"),
        ("duplicate", {"between": ("primary", "replicas")}, '"probability" is missing'),
        ("reorder", {"between": ("primary", "replicas"), "probability": 0.1, "by": "1ms"}, "so shortly"),
        ("throttle", {"between": ("primary", "replicas"), "bytes_per_second": 10}, "greater than or equal to 1000"),
        ("reset", {"between": ("primary", "replicas"), "targets": ("primary",)}, 'unknown key "targets"'),
        ("limit", {"targets": ("primary",)}, "nothing is limited"),
        ("limit", {"targets": ("primary",), "cpus": 0.0}, "0.01"),
        ("clock", {"targets": ("primary",)}, "neither jumps nor drifts"),
        ("clock", {"targets": ("primary",), "rate": 1.001}, "not to be seen"),
        ("clock", {"targets": ("primary",), "by": "1s", "way": "sideways"}, "'sideways' is not possible here"),
        ("expire-all", {"targets": ("primary",), "within": "200ms"}, "too late for an episode"),
        ("evict", {"targets": ("primary",), "share": 0.0}, "greater than 0"),
        ("evict", {"targets": ("primary",), "policy": "lru"}, "'lru' is not possible here"),
        ("client-kill", {"targets": ("primary",), "clients": "slow"}, "'slow' is not possible here"),
        ("client-pause", {"targets": ("primary",), "what": "reads"}, "'reads' is not possible here"),
        ("output-buffer", {"targets": ("primary",), "limit": 0}, "greater than or equal to 1"),
        ("fail-over", {"targets": ("primary",), "how": "gently"}, "'gently' is not possible here"),
        ("rolling-restart", {"targets": ("all",), "image": "x:1", "keep_data": False}, "an upgrade keeps the data"),
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
        ("message", {"between": ("primary", "replicas"), "action": "hold"}, {Capability.MESSAGES}),
        ("message", {"between": ("primary", "client"), "action": "drop"}, {Capability.CLIENT_MESSAGES}),
        ("kill", {"targets": ("all",)}, {Capability.KILL}),
        ("kill", {"targets": ("all",), "what": "host"}, {Capability.KILL_HOST}),
        ("drop", {"between": ("primary", "replicas"), "nth": 3}, {Capability.DISTURB}),
        ("duplicate", {"between": ("primary", "client"), "probability": 0.1}, {Capability.CUT_CLIENTS, Capability.DISTURB}),
        ("reorder", {"between": ("primary", "replicas"), "probability": 0.1, "by": "9ms"}, {Capability.DISTURB}),
        ("throttle", {"between": ("primary", "client"), "bytes_per_second": 9000}, {Capability.CUT_CLIENTS, Capability.THROTTLE}),
        ("reset", {"between": ("primary", "replicas")}, {Capability.RESET}),
        ("limit", {"targets": ("all",), "cpus": 0.1}, {Capability.LIMIT}),
        ("disk-full", {"targets": ("all",)}, {Capability.FILL_DISK}),
        ("clock", {"targets": ("all",), "by": "1s"}, {Capability.CLOCK}),
        ("flush", {"targets": ("all",)}, set()),
        ("rolling-restart", {"targets": ("all",)}, {Capability.KILL}),
        ("rolling-restart", {"targets": ("all",), "image": "x:1"}, {Capability.REPLACE}),
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


OTHERS = Topology(
    nodes=(Node(0, "cache-1", "cache", "memcached", 11211), Node(1, "front", "front", "http", 80), Node(2, "redis", "redis")),
    links=(Link("front", "cache-1"), Link("cache-1", "redis"), Link("client", "cache-1")),
    writable=(0,),
    readable=(0,),
)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("flush", {}),
        ("expire-all", {}),
        ("evict", {}),
        ("client-kill", {}),
        ("client-pause", {}),
        ("output-buffer", {}),
        ("fail-over", {}),
    ],
)
def test_commands_of_redis_are_for_servers_that_know_them(kind, options):
    """A memcached node is refused before the run, with what it speaks; a node that speaks RESP is not."""
    assert fault(kind, targets="redis", **options).targets(OTHERS)
    with pytest.raises(PlanError, match=f'"{kind}" cannot strike cache-1') as caught:
        fault(kind, targets=("redis", "cache"), **options).targets(OTHERS)
    assert "speaks memcached" in caught.value.why


@pytest.mark.parametrize(
    ("kind", "options", "why"),
    [
        ("clock", {"targets": "cache-1", "by": "60s"}, "set monotonic = true"),
        ("clock", {"targets": "cache-1", "by": "2s", "monotonic": True}, "whole seconds"),
        ("clock", {"targets": "front", "by": "60s"}, "tells nobody the time"),
        ("reset", {"between": ("front", "cache")}, "lists its connections to nobody"),
    ],
)
def test_what_nothing_would_show_is_refused(kind, options, why):
    """An episode that could never be proven is an error of the plan."""
    with pytest.raises(PlanError, match="nothing would show") as caught:
        fault(kind, **options).targets(OTHERS)
    assert why in caught.value.why


def test_clients_and_servers_that_list_them_can_be_reset():
    """A client sees its own reset; a server of RESP lists its connections."""
    assert fault("reset", between=("client", "cache")).targets(OTHERS) == (Link("client", "cache-1"),)
    assert fault("reset", between=("cache", "redis")).targets(OTHERS) == (Link("cache-1", "redis"),)


@pytest.mark.parametrize("kind", FAULTS.builtin)
def test_every_example_is_a_fault(kind):
    """The tables in a fault's explanation can be pasted into a plan."""
    doc = inspect.getmodule(FAULTS.load(kind)).__doc__
    tables = [textwrap.dedent(block) for block in re.findall(r"(?ms)^    \[\[faults\]\]\n.*?(?=^\S|\n\n)", doc)]
    assert tables
    for table in tables:
        (written,) = parse_plan(f'[candidate]\nkind = "x"\n[[workloads]]\nkind = "x"\n{table}').faults
        assert written.kind == kind
        FAULTS.load(kind)(written)
