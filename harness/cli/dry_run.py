"""``run --dry-run``: what a run would do, told before it does anything."""

from __future__ import annotations

from collections.abc import Iterator

from harness.durations import format_duration
from harness.experiment import Experiment
from harness.plan import Plan, WorkloadSpec
from harness.runtimes.simulated import SIMULATED
from harness.topology import ROUTED, Node, Topology

_MOST_EPISODES = 40


def tell(experiment: Experiment) -> str:
    """Every node, session and episode of a run, in words; nothing is started or connected to."""
    return "\n".join(_lines(experiment))


def _lines(experiment: Experiment) -> Iterator[str]:
    plan, topology = experiment.plan, experiment.candidate.topology
    name = plan.name or plan.candidate.kind
    yield f"{name}: would run for {format_duration(plan.run.duration)} on the runtime {plan.run.runtime}, seed {plan.seed}"
    yield ""
    yield f"nodes ({plan.candidate.kind})"
    made = "simulated" if plan.run.runtime == SIMULATED else "started"
    for node in topology.nodes:
        where = f"  {node.host}:{node.port}, runs already" if node.host else f"  would be {made}"
        does = [word for word, able in (("written", topology.writable), ("read", topology.readable)) if node.index in able]
        clients = f"; {' and '.join(does)} by clients" if does else ""
        yield f"  {node.name:<14}{node.role:<10}{where}{clients}"
    if ROUTED in topology.writable:
        yield "  clients find their way among these by themselves"
    yield ""
    yield "sessions"
    for spec in plan.workloads:
        yield f"  {spec.kind:<14}{_load(spec)}"
    if plan.run.runtime != SIMULATED:
        yield from _connections(plan, topology)
    yield ""
    episodes = [episode for episode in experiment.planned if not episode.skipped]
    yield f"faults: {len(episodes) or 'none'}"
    for episode in episodes[:_MOST_EPISODES]:
        lasts = format_duration(episode.intended_end_ns - episode.intended_ns)
        targets = ", ".join(target.name if isinstance(target, Node) else str(target) for target in episode.targets)
        yield f"  at {format_duration(episode.intended_ns):<8} {episode.kind:<14} for {lasts:<8} on {targets}"
    if len(episodes) > _MOST_EPISODES:
        yield f"  and {len(episodes) - _MOST_EPISODES} more"


def _connections(plan: Plan, topology: Topology) -> Iterator[str]:
    sessions = sum(spec.sessions for spec in plan.workloads)
    places = {*topology.writable, *topology.readable}
    asked = len(topology.nodes) if ROUTED in places else len(places)
    yield f"  together up to {sessions * asked} connections, from {plan.run.workers} driver process(es)"
    yield "  every key's name begins with the run's own token; no other key is read or written"
    yield "  beside them, every node is asked who it is 20 times a second"


def _load(spec: WorkloadSpec) -> str:
    pace = "as fast as they are answered" if spec.rate is None else f"{spec.rate:g} operations a second together"
    return f"{spec.sessions} sessions, {pace}"
