"""One run on a virtual fleet: workloads are played, faults strike, all heals, and the fleet is probed until it converges.

The same order of things as on real nodes (``harness.experiment``), in virtual time. The same seed gives the same history, to the
byte, on any machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count as numbers
from random import Random

from faults import Fault, PlannedEpisode
from harness.driver.arrivals import paced
from harness.driver.task import labels_of
from harness.durations import UNITS
from harness.history import Episode, History
from harness.plan import WorkloadSpec
from harness.reference.design import Design
from harness.reference.places import topology_of
from harness.reference.settings import Settings
from harness.simulation.clients import Client
from harness.simulation.engine import uncollected
from harness.simulation.fleet import Fleet
from harness.simulation.settling import settle
from harness.simulation.strikes import Strikes
from workloads import WORKLOADS
from workloads.base import Shard

BEGIN_NS = 100 * UNITS["ms"]
"""When the sessions begin: by then every node has found out where it stands."""

_LAST_NS = 100 * UNITS["ms"]
"""How long after the last fault is healed, or the last operation is over, the fleet is left to itself."""

_LOOK_NS = 100 * UNITS["ms"]

Look = Callable[[Fleet, Sequence[Episode]], None]


@uncollected()
def play(
    design: Design,
    *,
    count: int,
    settings: Settings,
    seed: int,
    workloads: Sequence[WorkloadSpec],
    duration_ns: int,
    settle_ns: int,
    timeout_ns: int,
    faults: Sequence[Fault] = (),
    planned: Sequence[PlannedEpisode] = (),
    look: Look | None = None,
) -> History:
    """The history of a run.

    Args:
        design: what runs where.
        count: how many cache nodes.
        settings: the times of its strategies.
        seed: of the fleet, the workloads and the arrivals.
        workloads: what its clients do.
        duration_ns: how long they are driven.
        settle_ns: how long the fleet is probed afterwards, at most.
        timeout_ns: how long an operation may take.
        faults: what strikes.
        planned: when and whom; times are since the sessions began.
        look: shown the fleet and the episodes that are over, ten times a virtual second while it is driven.
    """
    fleet = Fleet(design, count, settings, seed, timeout_ns)
    topology = topology_of(design, count)
    labels = labels_of(workloads)
    groups = numbers()
    clients: list[Client] = []
    for number, (spec, label) in enumerate(zip(workloads, labels, strict=True)):
        sessions = range(len(clients), len(clients) + spec.sessions)
        shard = Shard(label, sessions, seed, fleet.keyspace, groups)
        for session, steps in zip(sessions, WORKLOADS.load(spec.kind)(spec, topology).sessions(shard), strict=True):
            if spec.rate is not None:
                steps = paced(steps, spec.rate / spec.sessions, BEGIN_NS, Random(f"{seed}/arrivals/{session}"))  # noqa: PLW2901
            clients.append(Client(steps, number, session))
    fleet.clients.number(len(clients))
    strikes = Strikes(fleet, faults)
    strikes.plan(planned, BEGIN_NS)
    end_ns = BEGIN_NS + duration_ns
    fleet.clients.play(clients, BEGIN_NS, end_ns)
    last_ns = max([end_ns, *(BEGIN_NS + episode.intended_end_ns for episode in planned if not episode.skipped)])
    if look is not None:
        for at_ns in range(BEGIN_NS, last_ns, _LOOK_NS):
            fleet.engine.run(at_ns)
            look(fleet, strikes.over)
    fleet.engine.run(last_ns)
    fleet.engine.run(max(last_ns, end_ns + timeout_ns) + _LAST_NS)
    probes, settled_ns = settle(fleet, settle_ns, len(clients), workload=len(workloads))
    return fleet.history([*clients, *probes], (*labels, "settle"), strikes.over, settled_ns)
