"""Synthetic runs for the tests of reports: a primary, two replicas, partitions in which one lags, reads everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as ET

import numpy as np

from harness.history import NEVER, Episode, Epoch, Function, History, Seen, Stall, Status
from harness.plan import Plan, parse_plan
from harness.results import Clause, Curve, Evidence, Finding, Measure, Outcome, Result, Severity, Verdict
from reports.record import Report

MS = 1_000_000
SECOND = 1_000 * MS

PLAN_TEXT = """\
seed = 7
name = "replication"

[candidate]
kind = "redis-replication"
replicas = 2
read_from = "any"

[contract]
converges_within = "3s"
lost_writes = 0
sessions = { monotonic_reads = "same-node" }
staleness = { steady = "100ms", during = { partition = "fault + 500ms", delay = "500ms" }, after_heal = "500ms" }

[[workloads]]
kind = "register"
sessions = 20

[[faults]]
kind = "partition"
between = ["primary", "replicas"]
every = "10s"
lasts = "3s"
"""

NODES = ("primary", "replica-1", "replica-2")


def plan() -> Plan:
    """The plan of all synthetic runs."""
    return parse_plan(PLAN_TEXT)


def xml(text: str) -> ET.Element:
    """Our own output, parsed."""
    return ET.fromstring(text)  # noqa: S314  # nobody else wrote it


def history(operations: int = 20_000, seconds: int = 30, keys: int = 50, seed: int = 7, key_name: str = "k{}") -> History:
    """A run in which replica-2 lags through two partitions, and every read is stale by its node's true lag."""
    random = np.random.default_rng(seed)
    n = operations
    end = seconds * SECOND
    call = np.sort(random.integers(0, end - 50 * MS, n))
    service = (random.lognormal(0, 0.5, n) * 0.4 * MS).astype(np.int64) + 50_000
    function = np.where(random.random(n) < 0.1, Function.WRITE, Function.READ)
    key = np.minimum(random.zipf(1.4, n) - 1, keys - 1).astype(np.int64)
    node = np.where(function == Function.WRITE, 0, random.integers(0, 3, n))
    episodes = _episodes(end)
    lag = np.where(node == 0, 0, (random.lognormal(0, 0.6, n) * 1.5 * MS).astype(np.int64))
    for episode in episodes:
        if episode.kind == "partition" and episode.applied_ns is not None and episode.healed_ns is not None:
            cut = (node == 2) & (call >= episode.applied_ns) & (call <= episode.healed_ns)
            lag = np.where(cut, call - episode.applied_ns + 2 * MS, lag)
    status = np.full(n, Status.OK)
    silent = random.random(n) < np.where(node == 2, 0.004, 0.0002)
    status[silent] = Status.INFO
    status[random.random(n) < 0.0005] = Status.FAIL
    returned = np.where(status == Status.INFO, NEVER, call + service)

    sent = np.full(n, -1)
    seen_version = np.full(n, -1)
    seen_op = np.full(n, -1)
    for number in range(keys):
        rows = np.flatnonzero(key == number)
        writes = rows[function[rows] == Function.WRITE]
        reads = rows[function[rows] == Function.READ]
        sent[writes] = np.arange(1, len(writes) + 1)
        landed = writes[status[writes] == Status.OK]
        order = np.argsort(returned[landed], kind="stable")
        times, versions = returned[landed][order], np.maximum.accumulate(sent[landed][order]) if len(landed) else np.empty(0)
        at = np.searchsorted(times, call[reads] - lag[reads], side="right") - 1
        seen_version[reads] = np.where(at >= 0, versions[np.maximum(at, 0)] if len(landed) else 0, 0)
        writer = np.full(len(writes) + 1, -1)
        writer[1:] = writes
        seen_op[reads] = writer[seen_version[reads]]
    reads_ok = (function == Function.READ) & (status == Status.OK)
    hit = reads_ok & (seen_version > 0)
    session = random.integers(0, 20, n)
    columns = {
        "op": np.arange(n),
        "group": np.full(n, -1),
        "workload": np.zeros(n, np.int16),
        "session": session.astype(np.int32),
        "process": session.astype(np.int32),
        "node": node.astype(np.int16),
        "server": np.full(n, -1, np.int16),
        "epoch": node.astype(np.int32),
        "function": function.astype(np.int8),
        "key": key.astype(np.int32),
        "due_ns": call - random.integers(0, 20_000, n),
        "call_ns": call,
        "return_ns": returned,
        "status": status.astype(np.int8),
        "sent_version": sent,
        "seen": np.where(hit, Seen.HIT, np.where(reads_ok, Seen.ABSENT, Seen.NOTHING)).astype(np.int8),
        "seen_key": np.where(hit, key, -1).astype(np.int32),
        "seen_version": np.where(hit, seen_version, -1),
        "seen_op": np.where(hit, seen_op, -1),
        "error": np.where(status == Status.INFO, 0, np.where(status == Status.FAIL, 1, -1)).astype(np.int16),
    }
    return History(
        columns=columns,
        keys=tuple(key_name.format(number) for number in range(keys)),
        nodes=NODES,
        ordered=np.ones(keys, bool),
        workloads=("register",),
        errors=("timed out after 1s", "READONLY You can't write against a read only replica."),
        episodes=episodes,
        epochs=tuple(Epoch(number, name, 0, f"pid {1000 + number}") for number, name in enumerate(NODES)),
        stalls=(Stall(end - 2 * SECOND, end - 2 * SECOND + 120 * MS, 0),),
        end_ns=end,
        settled_ns=end - SECOND,
    )


def _episodes(end: int) -> tuple[Episode, ...]:
    """Two proven partitions, a proven delay, and a delay that was never proven."""
    link, other = ("primary->replica-2",), ("primary->replica-1",)

    def episode(fault: int, kind: str, targets: tuple[str, ...], begin: float, length: float, *, proven: bool = True) -> Episode:
        start, stop = int(end * begin), int(end * (begin + length))
        return Episode(
            fault=fault,
            kind=kind,
            targets=targets,
            nodes=(targets[0].partition("->")[2],),
            intended_ns=start,
            intended_end_ns=stop,
            applied_ns=start + 4 * MS,
            proven_ns=start + 160 * MS if proven else None,
            healed_ns=stop + 6 * MS,
            evidence=("a canary written by primary did not arrive within 150 ms", "nor did one near the end") if proven else (),
            means="proxy",
        )

    return (
        episode(0, "partition", link, 0.15, 0.1),
        episode(1, "delay", other, 0.35, 0.05),
        episode(0, "partition", link, 0.5, 0.1),
        episode(1, "delay", other, 0.7, 0.05, proven=False),
    )


def stale_read(run: History) -> Finding:
    """The certainly oldest read of replica-2 in the second partition, with the write it saw and the first it missed."""
    episode = run.episodes[2]
    assert episode.applied_ns is not None
    assert episode.healed_ns is not None
    inside = (run.node == 2) & (run.seen == Seen.HIT) & (run.call_ns > episode.applied_ns) & (run.call_ns < episode.healed_ns)
    read = int(np.flatnonzero(inside & (run.key == 0))[-1])
    saw = int(run.seen_version[read])
    write_of = {int(run.sent_version[row]): int(row) for row in np.flatnonzero((run.function == Function.WRITE) & (run.key == 0))}
    old, new = write_of[saw], write_of[saw + 1]
    fresh = int(
        np.flatnonzero((run.node == 0) & (run.key == 0) & (run.seen_version > saw) & (run.call_ns < run.call_ns[read]))[-1]
    )
    age = (int(run.call_ns[read]) - int(run.return_ns[new])) / MS
    return Finding(
        name="stale-read",
        severity=Severity.BOUND,
        phase="during partition",
        count=1234,
        claim=f"replica-2 returned version {saw} of k0 {age:.0f} ms after version {saw + 1} was acknowledged.",
        argument=(
            f"Session {run.session[new]} wrote version {saw + 1} of k0 at the primary, and the write was acknowledged.",
            f"{age:.0f} ms later session {run.session[read]} began to read k0 at replica-2.",
            f"It saw version {saw}, which had been superseded for certain.",
            "The contract allows 500 ms beyond the fault's length.",
        ),
        witness=(old, new, fresh, read),
        key=run.keys[0],
        nodes=("replica-2",),
        examples=((old, new, read), (new, read)),
    )


def regress(run: History) -> Finding:
    """Two reads of one node by one session, the later of an older version; drawn from whatever the history has."""
    reads = np.flatnonzero((run.node == 1) & (run.seen == Seen.HIT) & (run.key == 0))[10:13]
    return Finding(
        name="node-regress",
        severity=Severity.ORDER,
        phase="steady",
        count=3,
        scope="same-node",
        claim="replica-1 went from version 12 back to version 11 of k0 without a restart in between.",
        argument=("A read of replica-1 returned version 12.", "A later read returned version 11.", "The epoch was the same."),
        witness=tuple(int(row) for row in reads),
        key=run.keys[0],
        nodes=("replica-1",),
    )


def results(run: History) -> tuple[Result, ...]:
    """Findings, measures and curves as the checkers give them."""
    phases = ("steady", "during partition", "after partition", "during delay")
    availability = tuple(
        measure
        for number, phase in enumerate(phases)
        for measure in (
            Measure("success-rate", 0.9997 - number / 100, "ratio", 9000, "operation", 0.98, 0.9999, phase),
            Measure("latency-p50", 0.4 * MS, "ns", 9000, "operation", phase=phase),
            Measure("latency-p99", (2 + number) * MS, "ns", 9000, "operation", phase=phase),
            Measure("latency-p99.9", (4 + number) * MS, "ns", 9000, "operation", phase=phase),
        )
    )
    lag = tuple(
        Measure(
            "coherence-lag-p99", (number * 400 + 0.2) * MS, "ns", 800, "write-node", number * 300 * MS, None, "", node, 4, "x"
        )
        for number, node in enumerate(NODES)
    )
    x = np.geomspace(1 * MS, 3 * SECOND, 40)
    curves = tuple(
        Curve("coherence-lag-certain", node, tuple(x), tuple(np.exp(-x / (20 * MS * (1 + 30 * number)))), "ns", "ratio")
        for number, node in enumerate(NODES)
    )
    visible = Curve("t-visibility", "", tuple(x), tuple(1 - 0.4 * np.exp(-x / (200 * MS))), "ns", "ratio")
    return (
        Result("node-regress", findings=(regress(run),)),
        Result("staleness", findings=(stale_read(run),), measures=lag, curves=(*curves, visible)),
        Result("availability", measures=availability),
    )


def verdict(run: History, outcome: Outcome = Outcome.VIOLATED) -> Verdict:
    """A clause of every outcome, and evidence enough and not enough."""
    why = {
        Outcome.PASS: "All 5 promises were kept, and the run exercised what they need.",
        Outcome.VIOLATED: "A read during a partition was 2.4 s old; the contract allows the fault's length plus 500 ms.",
        Outcome.INCONCLUSIVE: "Nothing broke the contract, but one episode of delay was never proven.",
    }[outcome]
    bound = Outcome.VIOLATED if outcome is Outcome.VIOLATED else Outcome.PASS
    clauses = (
        Clause("staleness.during.partition", "no read older than fault + 500 ms during partition", "oldest 2.41 s", bound, 4210,
               "2.41 s to 2.47 s", "1 s, 97.2 % of pairs", "" if bound is Outcome.PASS else "4 reads were older",
               ("stale-read",)),
        Clause("staleness.steady", "no read older than 100 ms while nothing is broken", "oldest 14.2 ms", Outcome.PASS, 51_220,
               "12.9 ms to 15.4 ms", "1 s, 99.1 % of pairs"),
        Clause("node_monotonic", "one node, one epoch, never goes backwards", "3 regressions", Outcome.WAIVED, 60_112, "", "",
               "waived: known defect of the old refill path", ("node-regress",)),
        Clause("converges_within", "all nodes agree within 3 s of the last heal", "not seen for 2 of 150 entries",
               Outcome.INCONCLUSIVE, 150, "", "300 ms", "2 entries were never probed after the heal"),
        Clause("lost_writes", "no acknowledged write is lost", "none lost", Outcome.PASS, 5_120),
    )  # fmt: skip
    adequacy = (
        Evidence("operations", "1,000 reads that could have seen a violation", "51,220", enough=True),
        Evidence("episodes of delay", "1 proven episode", "1 of 2 proven", enough=False, why="the round trip did not shift"),
        Evidence("success rate outside faults", "95 %", "99.97 %", enough=True),
    )
    return Verdict(outcome, why, clauses, adequacy, excused=(regress(run),))


def report(run: History | None = None, outcome: Outcome = Outcome.VIOLATED, logs: Mapping[str, str] | None = None) -> Report:
    """A whole report of a synthetic run."""
    run = history() if run is None else run
    return Report(
        plan=plan(),
        plan_text=PLAN_TEXT,
        history=run,
        results=results(run),
        verdict=verdict(run, outcome),
        run="runs/replication-7-20260101-120000",
        environment={"candidate": "redis-replication, 1 primary and 2 replicas", "server": "Valkey 8.1.1", "means": "proxy",
                     "system": "Linux 6.1", "python": "3.11.9", "processor": "2 x Virtual CPU", "source": "0123456789ab"},
        logs={"primary": "# Server initialized\n# Ready to accept connections\n"} if logs is None else logs,
        oddities=("The harness itself stood still for 120 ms; operations in that window do not count.",),
    )  # fmt: skip
