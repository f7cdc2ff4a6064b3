"""Looking for failures of a design with Hypothesis: random schedules and random plans, shrunk to the smallest that still fail.

    steps = find(scripts(design), lambda steps: breaks(design, steps))
    case = find(cases(design), lambda case: run_case(design, case).broken)

Hypothesis is no dependency of Anachron itself; ``pip install anachron[search]`` brings it. Everything is drawn so that a smaller
case is a simpler one: fewer steps, then earlier sessions, keys and nodes; fewer faults, nodes and sessions, a shorter run.

A script does as it likes with links, messages and processes, and no fault episode tells of it. So it is held to no staleness
bound, only to what must hold whatever happens: integrity, order, sessions, and that the fleet converges once all is healed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from inspect import getsource
from typing import Any

from hypothesis import strategies as st

from harness.durations import UNITS
from harness.plan import Contract, StalenessPromise
from harness.reference.design import Design
from harness.reference.messages import BUS, ORIGIN, STORE
from harness.reference.places import node_names
from harness.simulation.fleet import PACE
from harness.simulation.script import AtGate, Cut, Meddle, Process, Step, parse_script
from harness.zoo.scenarios import scenarios
from harness.zoo.trials import Trial, random, scripted

NODES = 3
MOST_STEPS, MOST_WAYS = 16, 3

_SESSIONS, _KEYS = ("A", "B", "C"), ("x", "y")
_WAITS = ("wait 5ms", "wait 50ms", "wait 300ms", "wait 1200ms")
_EVENTS = ("Invalidate", "Update", "Flush")
_ASKED = ("Fetch", "Commit", "Stamp", "FetchNewer")
_GATE = re.compile(r'Gate\("([\w.-]+)"')
_BEGIN, _REST = parse_script("wait 100ms"), parse_script("wait 1500ms")
"""Before the first step, until every node has found out where it stands; and after healing: by then every operation is over, and
whoever waited for a reply has given up.
"""


@st.composite
def scripts(draw: st.DrawFn, design: Design, nodes: int = NODES) -> list[str]:
    """Schedules of up to ``MOST_STEPS`` steps, each a line as in ``harness.simulation.script``.

    A script meddles in few ways, which are drawn first, and does so again and again between its operations: races need both ends.
    """
    operations, *meddling = vocabulary(design, nodes)
    ways = draw(st.lists(st.one_of([st.sampled_from(lines) for lines in meddling if lines]), max_size=MOST_WAYS))
    undone = dict.fromkeys(_undoing(parse_script("\n".join(ways))))
    step = st.sampled_from(operations) | st.sampled_from((*dict.fromkeys(ways), *undone, *_WAITS))
    return draw(st.lists(step, max_size=MOST_STEPS))


@cache
def vocabulary(design: Design, nodes: int = NODES) -> tuple[tuple[str, ...], ...]:
    """The operations that sessions can make on a fleet of ``design``, and then all that can be done to it, by sort."""
    names = node_names(nodes)
    shared = tuple(place for place, there in ((ORIGIN, True), (BUS, design.bus), (STORE, design.store)) if there)
    links = [(name, place) for name in names for place in shared]
    links += [(ORIGIN, place) for place in shared if place != ORIGIN]
    links += [(one, other) for at, one in enumerate(names) for other in names[at + 1 :]] if design.talks else []
    places = (*names, *shared)
    invoked = [(does, key, who) for does in ("reads", "writes") for key in _KEYS for who in _SESSIONS]
    messages = [(act, way) for act in ("hold", "lose", "double") for way in _messages(design, names)]
    return (
        tuple(f"{who} {does} {key} at {name}" for does, key, who in invoked for name in names),
        tuple(f"hold {gate} at {place}" for place in places for gate in gates(design, place)),
        tuple(f"{act} 1 {kind} from {source} to {target}" for act, (kind, source, target) in messages),
        tuple(f"cut {one} from {other}" for one, other in links),
        tuple(f"{act} {place}" for act in ("pause", "kill") for place in places),
    )


def gates(design: Design, place: str) -> tuple[str, ...]:
    """The gates that flows of ``design`` come to at ``place``, as they stand in the code."""
    return tuple(dict.fromkeys(_GATE.findall(_code(design, place))))


def healed(lines: Sequence[str]) -> tuple[Step, ...]:
    """The steps of ``lines``, and then those that undo whatever they left broken or held."""
    steps = parse_script("\n".join(lines))
    return (*_BEGIN, *steps, *parse_script("\n".join(dict.fromkeys(_undoing(steps)))), *_REST)


def promised(design: Design) -> Contract:
    """What ``design`` promises whatever happens."""
    contract = design.promise(design.settings, PACE.most_ns)
    return contract.model_copy(update={"staleness": StalenessPromise(), "rates": ()})


def play_script(design: Design, contract: Contract, lines: Sequence[str], nodes: int = NODES) -> Trial:
    """The steps of ``lines`` on ``design``, all healed at the end; steps that cannot be taken are left out."""
    return scripted(design, contract, healed(lines), nodes=nodes)


@dataclass(frozen=True)
class Case:
    """A random run: the arguments of ``harness.zoo.trials.random``."""

    seed: int
    nodes: int
    workloads: tuple[Mapping[str, Any], ...]
    faults: tuple[Mapping[str, Any], ...]
    duration_ms: int


def cases(design: Design) -> st.SearchStrategy[Case]:
    """Random runs: seed, size of the fleet, workloads, and faults out of all that a fleet of ``design`` must bear."""
    faults = st.sampled_from([fault for scenario in scenarios(design).values() for fault in scenario])
    paced = st.builds(
        lambda fault, every, lasts: {**fault, "every": f"{every}ms", "after": f"{every // 4}ms", "lasts": f"{lasts}ms"},
        faults,
        st.integers(1_000, 3_000),
        st.integers(100, 900),
    )
    hot = st.fixed_dictionaries(
        {
            "kind": st.just("register"),
            "keys": st.integers(1, 20),
            "sessions": st.integers(1, 10),
            "rate": st.integers(1, 6).map(lambda hundreds: 100.0 * hundreds),
        }
    )
    cold = st.fixed_dictionaries({"kind": st.just("cold-register"), "sessions": st.integers(1, 6), "scale": st.just(0.2)})
    return st.builds(
        Case,
        seed=st.integers(0, 99),
        nodes=st.integers(1, 5),
        workloads=st.lists(hot | cold, min_size=1, max_size=2).map(tuple),
        faults=st.lists(paced, max_size=2).map(tuple),
        duration_ms=st.integers(1, 40).map(lambda hundreds: 100 * hundreds),
    )


def run_case(design: Design, contract: Contract, case: Case) -> Trial:
    """The run of ``case`` on ``design``, held to ``contract``."""
    return random(
        design,
        contract,
        seed=case.seed,
        nodes=case.nodes,
        workloads=case.workloads,
        faults=case.faults,
        duration_ns=case.duration_ms * UNITS["ms"],
    )


def _messages(design: Design, names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """The messages that a schedule may pick out: kind, source and target."""
    every = "".join(_code(design, place) for place in (names[0], ORIGIN, BUS))
    events = [kind for kind in _EVENTS if f"{kind}(" in every]
    for name in names:
        for kind in _ASKED:
            if f"{kind}(" in _code(design, name):
                yield kind, name, ORIGIN
                yield f"{kind}Reply", ORIGIN, name
        if design.bus:
            yield from ((kind, BUS, name) for kind in (*events, "Beat"))
            yield from ((kind, name, BUS) for kind in events)
    if design.bus:
        yield from ((kind, ORIGIN, BUS) for kind in events)


@cache
def _code(design: Design, place: str) -> str:
    """The source of what runs at ``place``."""
    kind = {ORIGIN: design.origin, BUS: design.bus, STORE: design.store}.get(place, design.node)
    ours = [base for base in (kind.__mro__ if kind else ()) if base.__module__.startswith("harness.reference")]
    return "\n".join(map(getsource, ours))


def _undoing(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        match step:
            case AtGate(shut=True):
                yield f"release {step.gate} at {step.place}"
            case Meddle():
                yield f"deliver from {step.source} to {step.target}"
            case Cut(cut=True):
                yield f"mend {step.one} and {step.other}"
            case Process(act="pause"):
                yield f"resume {step.place}"
            case Process(act="kill"):
                yield f"restart {step.place}"
