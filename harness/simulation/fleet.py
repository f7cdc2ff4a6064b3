"""A reference fleet on a virtual network: its machines, its clients, and in the end its history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from harness.history import Episode, History, Status
from harness.operations import Keyspace
from harness.reference.design import Design
from harness.reference.gates import Gates
from harness.reference.messages import ORIGIN, Value
from harness.reference.node import Actor
from harness.reference.origin import Origin
from harness.reference.places import node_names
from harness.reference.settings import Settings
from harness.simulation.clients import Client, Clients
from harness.simulation.engine import Engine
from harness.simulation.machine import Machine
from harness.simulation.network import Network, Pace
from harness.simulation.rows import Rows
from harness.store.audits import decide_unanswered
from harness.store.epochs import assign_epochs
from harness.store.logs import Audit, Sample

PACE = Pace(least_ns=100_000, spread_ns=400_000)
"""How long a message takes within a data centre, give or take a busy switch."""


class Fleet:
    """A design brought to life with so many cache nodes.

    Args:
        design: what runs where.
        count: how many cache nodes.
        settings: the times of its strategies.
        seed: of everything random; the same seed gives the same history, to the byte.
        timeout_ns: how long a client waits.

    Attributes:
        engine, network, gates: the virtual world.
        machines: all places by name; the cache nodes come first.
        rows: what clients have seen.
        clients: who drives it.
    """

    def __init__(self, design: Design, count: int, settings: Settings, seed: int, timeout_ns: int) -> None:
        self.design = design
        self.engine = Engine()
        self.network = Network(self.engine, Random(f"{seed}/network"), PACE)
        self.gates = Gates()
        self.rows = Rows()
        self.names = node_names(count)
        roles: dict[str, type[Actor]] = {**dict.fromkeys(self.names, design.node), **design.shared}
        self.machines: dict[str, Machine] = {
            name: Machine(
                name,
                actor,
                engine=self.engine,
                network=self.network,
                gates=self.gates,
                peers=self.names,
                settings=settings,
                seed=str(seed),
            )
            for name, actor in roles.items()
        }
        for machine in self.machines.values():
            machine.machines = self.machines
        self.nodes = [self.machines[name] for name in self.names]
        self.clients = Clients(self.engine, self.network, self.nodes, self.rows, timeout_ns)
        for machine in self.machines.values():
            machine.start()

    @property
    def audit(self) -> Sequence[tuple[int, Value]] | None:
        """Every value that the source of truth has committed, and when; None where there is no such place."""
        if ORIGIN not in self.machines:
            return None
        actor = self.machines[ORIGIN].actor
        assert isinstance(actor, Origin)  # noqa: S101 - a design has no other
        return actor.audit

    @property
    def keyspace(self) -> Keyspace:
        """Where workloads add their keys."""
        return self.rows

    def finals(self) -> dict[int, int]:
        """What the source has of each key, and what was acknowledged: the version that every node must come to."""
        newest = dict(self.clients.acknowledged)
        for _, value in self.audit or ():
            key = self.rows.index[value.key]
            newest[key] = max(value.version, newest.get(key, 0))
        return newest

    def history(
        self,
        clients: Sequence[Client],
        workloads: Sequence[str],
        episodes: Sequence[Episode] = (),
        settled_ns: int | None = None,
    ) -> History:
        """All that happened until now; what is in flight has no answer."""
        end_ns = self.engine.now_ns
        self.clients.abandon(clients)
        history = self.rows.history(nodes=self.names, workloads=workloads, end_ns=end_ns, settled_ns=settled_ns)
        history = assign_epochs(history, self._identities(end_ns))
        times = {value.op: at_ns for at_ns, value in self.audit or ()}
        history = decide_unanswered(history, [] if self.audit is None else [Audit(end_ns, True, tuple(times))])
        open_ = set(history.op[history.status == Status.INFO].tolist())
        return replace(history, committed={op: times[op] for op in sorted(open_ & times.keys())}, episodes=tuple(episodes))

    def _identities(self, end_ns: int) -> Iterator[Sample]:
        """Who each node was, from when to when."""
        for machine in self.nodes:
            for begin_ns, until_ns, identity in machine.epochs:
                yield Sample(machine.name, begin_ns, begin_ns, identity)
                last_ns = end_ns if until_ns is None else until_ns
                yield Sample(machine.name, last_ns, last_ns, identity)
