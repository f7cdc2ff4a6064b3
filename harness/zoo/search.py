"""Looking for failures of a design with Hypothesis: random schedules and random plans, shrunk to the smallest that still fail.

    smallest_script(design, contract)    the smallest schedule that breaks the contract; None if none was found
    smallest_case(design, contract)      the same for random runs: seed, fleet, workloads, faults
    scripts(design), cases(design)       what these are drawn from, for tests of one's own

Hypothesis is no dependency of Anachron itself; ``pip install anachron[search]`` brings it. Everything is drawn so that a smaller
case is a simpler one: fewer steps, then earlier operations and nodes; fewer faults, nodes and sessions, a shorter run.

A script does as it likes with links, messages and processes, and no fault episode tells of it. So it is held to no staleness
bound, only to what must hold whatever happens: integrity, order, sessions, and that the fleet converges once all is healed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from inspect import getsource
from itertools import permutations, product
from random import Random
from typing import Any, TypeVar

from hypothesis import HealthCheck, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from harness.durations import UNITS
from harness.plan import Contract, StalenessPromise
from harness.reference.design import Design
from harness.reference.messages import BUS, ORIGIN
from harness.reference.places import CLIENT, node_names, topology_of
from harness.simulation.fleet import PACE
from harness.simulation.script import AtGate, Cut, Meddle, Process, Step, parse_script
from harness.zoo.scenarios import scenarios
from harness.zoo.trials import Trial, random, scripted

T = TypeVar("T")

NODES = 3
EXAMPLES = 2_000
MOST_STEPS, MOST_WAYS = 16, 3

_OPERATIONS = (
    ("A", "writes", "x"),
    ("B", "reads", "x"),
    ("A", "writes", "x"),
    ("C", "reads", "x"),
    ("B", "reads", "x"),
    ("A", "reads", "x"),
    ("C", "writes", "y"),
    ("B", "reads", "y"),
)
"""One writer a key, one write at a time: else nobody knows the order of versions. What comes twice is drawn twice as often."""
_WAITS = ("wait 300ms", "wait 1200ms")
_WEIGHTS = (6, 3, 1, 1)
"""How often a schedule holds gates, picks out messages, cuts links, and stops processes."""
_EVENTS = ("Invalidate", "Update", "Flush")
_ASKED = ("Fetch", "Commit", "Stamp", "FetchNewer")
_GATE = re.compile(r'Gate\("([\w.-]+)"')
_ARRIVE = parse_script("wait 5ms")
_BEGIN, _REST = parse_script("wait 100ms"), parse_script("wait 1500ms")
"""Before the first step, until every node has found out where it stands; and after healing: by then every operation is over, and
whoever waited for a reply has given up.
"""


@st.composite
def scripts(draw: st.DrawFn, design: Design, nodes: int = NODES, about: str = "") -> list[str]:
    """Schedules of up to ``MOST_STEPS`` steps, each a line as in ``harness.simulation.script``.

    A script meddles in few ways, which are drawn first, and does so again and again between its operations: races need both ends.
    With ``about`` it only does what that word occurs in: ``fill.before-put``, ``Invalidate``, ``bus``.
    """
    operations, *meddling = vocabulary(design, nodes)
    chosen = [tuple(line for line in lines if about in line) for lines in meddling]
    sorts = [lines for lines, weight in zip(chosen, _WEIGHTS, strict=True) for _ in range(weight) if lines]
    ways = draw(st.lists(st.sampled_from(sorts).flatmap(st.sampled_from), min_size=1, max_size=MOST_WAYS))
    undone = dict.fromkeys(_undoing(parse_script("\n".join(ways))))
    step = st.sampled_from(operations) | st.sampled_from((*2 * ways, *undone, *_WAITS))
    # Lists are short on average, and short scripts show little: so the length is fixed, and a step may be none.
    return [line for line in draw(st.lists(st.none() | step, min_size=MOST_STEPS, max_size=MOST_STEPS)) if line is not None]


@cache
def vocabulary(design: Design, nodes: int = NODES) -> tuple[tuple[str, ...], ...]:
    """The operations that sessions can make on a fleet of ``design``, and then all that can be done to it, by sort."""
    topology = topology_of(design, nodes)
    names, places = node_names(nodes), tuple(node.name for node in topology.nodes)
    links = [(link.source, link.target) for link in topology.links if link.source != CLIENT]
    messages = [(act, way) for act in ("hold", "lose", "double") for way in _messages(design, names)]
    return (
        tuple(f"{who} {does} {key} at {name}" for who, does, key in _OPERATIONS for name in names),
        tuple(f"hold {gate} at {place}" for place in places for gate in gates(design, place)),
        tuple(f"{act} 1 {kind} from {source} to {target}" for act, (kind, source, target) in messages),
        tuple(f"cut {one} from {other}" for one, other in links),
        tuple(f"{act} {place}" for act in ("pause", "kill") for place in places),
    )


def gates(design: Design, place: str) -> tuple[str, ...]:
    """The gates that flows of ``design`` come to at ``place``, as they stand in the code."""
    return tuple(dict.fromkeys(_GATE.findall(_code(design, place))))


def healed(lines: Sequence[str]) -> tuple[Step, ...]:
    """The steps of ``lines``, and then those that undo whatever they left broken or held.

    After each step what is on its way arrives, unless something holds it up.
    """
    steps = parse_script("\n".join(lines))
    undone = parse_script("\n".join(dict.fromkeys(_undoing(steps))))
    return (*_BEGIN, *(each for step in (*steps, *undone) for each in (step, *_ARRIVE)), *_REST)


def promised(design: Design) -> Contract:
    """What ``design`` promises whatever happens."""
    contract = design.promise(design.settings, PACE.most_ns)
    return contract.model_copy(update={"staleness": StalenessPromise(), "rates": ()})


def play_script(design: Design, contract: Contract, lines: Sequence[str], nodes: int = NODES) -> Trial:
    """The steps of ``lines`` on ``design``, all healed at the end; steps that cannot be taken are left out."""
    return scripted(design, contract, healed(lines), nodes=nodes)


def smallest_script(
    design: Design, contract: Contract, *, nodes: int = NODES, about: str = "", examples: int = EXAMPLES, seed: int = 0
) -> list[str] | None:
    """The smallest schedule that was found to break ``contract``; None if none was.

    What Hypothesis has shrunk is made plainer still: it changes one choice at a time, and a node or a session stands in several.

    Args:
        design: whose failure is looked for.
        contract: what it is held to; ``promised`` of a correct design.
        nodes: how many cache nodes.
        about: as for ``scripts``.
        examples: after so many schedules without a failure there is none.
        seed: of the search.
    """

    def breaks(lines: list[str]) -> bool:
        return bool(play_script(design, contract, lines, nodes).findings)

    found = _find(scripts(design, nodes, about), breaks, examples, seed)
    operations = vocabulary(design, nodes)[0]
    while found and (plainer := next(filter(breaks, _plainer(found, operations)), None)) is not None:
        found = plainer
    return found


def smallest_case(design: Design, contract: Contract, *, examples: int = EXAMPLES, seed: int = 0) -> Case | None:
    """The smallest random run that was found to break ``contract``; arguments as for ``smallest_script``."""
    return _find(cases(design), lambda case: bool(run_case(design, contract, case).findings), examples, seed)


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
        st.integers(2_000, 3_000),
        st.integers(1_100, 1_500),
    )
    hot = st.fixed_dictionaries(
        {
            "kind": st.just("register"),
            "keys": st.integers(1, 8),
            "sessions": st.integers(1, 6),
            "rate": st.integers(1, 4).map(lambda hundreds: 100.0 * hundreds),
        }
    )
    cold = st.fixed_dictionaries({"kind": st.just("cold-register"), "sessions": st.integers(1, 3), "scale": st.just(0.2)})
    return st.builds(
        Case,
        seed=st.integers(0, 99),
        nodes=st.integers(1, 5),
        workloads=st.lists(hot | cold, min_size=1, max_size=2).map(tuple),
        faults=st.lists(paced, max_size=1).map(tuple),
        duration_ms=st.integers(1, 25).map(lambda hundreds: 100 * hundreds),
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


def _find(drawn: st.SearchStrategy[T], fails: Callable[[T], bool], examples: int, seed: int) -> T | None:
    tries = settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    try:
        return find(drawn, fails, settings=tries, random=Random(seed))
    except NoSuchExample:
        return None


def _plainer(lines: list[str], operations: Sequence[str]) -> Iterator[list[str]]:
    """Schedules that are plainer in one thing: a step fewer, other names, an operation that comes earlier in the alphabet."""
    for at in range(len(lines)):
        yield lines[:at] + lines[at + 1 :]
    yield from sorted(renamed for renamed in _renamed(lines) if renamed < lines)
    for at, line in enumerate(lines):
        if line in operations:
            yield from ([*lines[:at], other, *lines[at + 1 :]] for other in sorted(set(operations)) if other < line)


def _renamed(lines: list[str]) -> Iterator[list[str]]:
    """The same schedule with nodes, readers, or keys and their writers called otherwise."""
    names = sorted({word for line in lines for word in line.split() if word.startswith("node-")})
    for places, people in product(permutations(names), ({}, {"B": "C", "C": "B"}, {"x": "y", "y": "x", "A": "C", "C": "A"})):
        name = people | dict(zip(names, places, strict=True))
        yield [" ".join(name.get(word, word) for word in line.split()) for line in lines]


def _messages(design: Design, names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """The messages that a schedule may pick out: kind, source and target."""
    every = "".join(_code(design, place) for place in (names[0], ORIGIN, BUS))
    events = [kind for kind in _EVENTS if f"{kind}(" in every]
    for name in names:
        for kind in _ASKED:
            if design.origin and f"{kind}(" in _code(design, name):
                yield kind, name, ORIGIN
                yield f"{kind}Reply", ORIGIN, name
        if design.bus:
            yield from ((kind, BUS, name) for kind in (*events, "Beat"))
            yield from ((kind, name, BUS) for kind in events)
    if design.bus and design.origin:
        yield from ((kind, ORIGIN, BUS) for kind in events)


@cache
def _code(design: Design, place: str) -> str:
    """The source of what runs at ``place``."""
    kind = design.shared.get(place, design.node)
    ours = [base for base in kind.__mro__ if base.__module__.startswith("harness.reference")]
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
