"""Adequacy: what a run must have exercised before its silence means anything. Judged apart from the promises.

Each piece of evidence says what was needed and what was seen. One that is not enough makes the run inconclusive, whatever the
clauses say, unless one of them is violated: a counterexample needs no sample. What explains the rest comes first.

==================  ==========================================================================================================
``complete``        the run came to its own end
``crashes``         no node's process ended by itself
``reads``           enough reads that could have seen a violation (``JudgedReads.revealing``)
``success-rate``    operations outside of faults mostly succeed: what fails shows nothing
``fault <kind>``    one for each fault of the plan: enough episodes, every one of them proven, with operations under way in them
``coverage``        (key, node) pairs read after an acknowledged write of the key, over keys written and nodes read from; and,
                    for the reader, how many of the (key, node, age) cells: the age since that write, in decades
``settled``         writing stopped, all faults were healed, and the fleet was probed: where the contract promises what only
                    that shows, convergence and lost writes
``stalls``          the harness itself stood still for a small part of the run only
==================  ==========================================================================================================
"""

from __future__ import annotations

import numpy as np

from checkers.phases import STEADY, phase_labels, phase_of, stalled
from harness.contract.reads import AGES_NS, JudgedReads
from harness.durations import format_duration
from harness.history import CRASH, DISPROVED, NEVER, Episode, Function, History, Status
from harness.plan import Plan
from harness.results import Evidence

READS = "reads"
"""The name of the evidence that counts what could have shown a violation."""

_SHOWN_EPISODES = 3
_SHOWN_CHARACTERS = 160


def adequacy(plan: Plan, history: History, reads: JudgedReads) -> tuple[Evidence, ...]:
    """All evidence that a verdict on ``history`` needs."""
    evidence = [_complete(history), _crashes(history), _reads(plan, reads), _success_rate(plan, history)]
    evidence += [_fault(plan, index, history) for index in range(len(plan.faults))]
    evidence.append(_coverage(plan, history, reads))
    contract = plan.contract
    if contract.converges_within is not None or contract.lost_writes is not None or contract.misses == "loss":
        evidence.append(_settled(history))
    return (*evidence, _stalls(plan, history))


def _reads(plan: Plan, reads: JudgedReads) -> Evidence:
    needed, seen = plan.adequacy.operations, int(reads.revealing.sum())
    return Evidence(
        READS,
        needed=f"at least {needed:,} reads that could have seen a violation",
        seen=f"{seen:,} of {len(reads):,} judged reads",
        enough=seen >= needed,
        why="" if seen >= needed else f"only {seen:,} reads could have seen a violation; {needed:,} are needed",
    )


def _success_rate(plan: Plan, history: History) -> Evidence:
    needed = plan.adequacy.success_rate
    steady = phase_of(history, plan.contract, history.call_ns) == phase_labels(history).index(STEADY)
    counted = steady & ~stalled(history)
    n, ok = int(counted.sum()), int((counted & (history.status == Status.OK)).sum())
    enough = n > 0 and ok >= needed * n
    why = ""
    if not enough:
        why = (
            f"only {ok / n:.1%} of the operations outside of faults succeeded" if n else "no operation was made outside of faults"
        )
    return Evidence(
        "success-rate",
        needed=f"{needed:.0%} of operations outside of faults",
        seen=f"{ok / n:.2%} of {n:,}" if n else "no operation outside of faults",
        enough=enough,
        why=why,
    )


def _fault(plan: Plan, index: int, history: History) -> Evidence:
    kind, needed = plan.faults[index].kind, plan.adequacy.episodes
    same = [number for number, fault in enumerate(plan.faults) if fault.kind == kind]
    name = f"fault {kind}" if len(same) == 1 else f"fault {kind} {same.index(index) + 1}"
    mine = [episode for episode in history.episodes if episode.fault == index]
    unproven = [episode for episode in mine if not episode.proven]
    proven = len(mine) - len(unproven)
    idle = sum(not _met(history, episode) for episode in mine if episode.proven)
    why = ""
    if unproven:
        shown = "; ".join(_unproven(episode) for episode in unproven[:_SHOWN_EPISODES])
        more = len(unproven) - _SHOWN_EPISODES
        why = shown + (f"; and {more} more" if more > 0 else "")
    elif proven < needed:
        why = (
            f"{name} struck {proven} of {needed} times" if mine else f"{name} never struck: the run was too short for an episode"
        )
    elif proven - idle < needed:
        why = f"no operation was under way in {idle} of {proven} episodes of {name}, so nothing shows what it did"
    return Evidence(
        name,
        needed=f"at least {needed} proven episode{'' if needed == 1 else 's'}, and none unproven",
        seen=f"{proven} of {len(mine)} episodes proven" + (f", {idle} of them without any operation" if idle else ""),
        enough=not why,
        why=why,
    )


def _met(history: History, episode: Episode) -> bool:
    """Whether any operation was under way while the episode was on."""
    begin_ns = episode.applied_ns or 0
    end_ns = history.end_ns if episode.healed_ns is None else episode.healed_ns
    last_ns = np.where(history.return_ns < NEVER, history.return_ns, history.call_ns)
    return bool(((history.call_ns <= end_ns) & (last_ns >= begin_ns)).any())


def _unproven(episode: Episode) -> str:
    state = "was never applied" if episode.applied_ns is None else "was applied, but its effect was not seen"
    return f"the {episode.kind} of {episode.struck} at {format_duration(episode.intended_ns)} {state}{_reason(episode)}"


def _reason(episode: Episode) -> str:
    """What disproved it, where the evidence says which of it that is. It may tell of every link: the report has all of it."""
    against = [line.removeprefix(DISPROVED) for line in episode.evidence if line.startswith(DISPROVED)]
    told = "; ".join(against or episode.evidence)
    short = told if len(told) <= _SHOWN_CHARACTERS else f"{told[:_SHOWN_CHARACTERS].rsplit(' ', 1)[0]} …"
    return f" ({short})" if told else ""


def _crashes(history: History) -> Evidence:
    crashes = [episode for episode in history.episodes if episode.kind == CRASH]
    shown = [f"{', '.join(episode.nodes)} at {format_duration(episode.intended_ns)}" for episode in crashes[:_SHOWN_EPISODES]]
    return Evidence(
        "crashes",
        needed="every node runs until a fault or the end of the run stops it",
        seen=f"{len(crashes)} ended by themselves" if crashes else "all did",
        enough=not crashes,
        why=f"a node's process ended by itself, so this is not the run that was planned: {'; '.join(shown)}" if crashes else "",
    )


def _coverage(plan: Plan, history: History, reads: JudgedReads) -> Evidence:
    written = np.unique(history.key[(history.function != Function.READ) & (history.status == Status.OK)])
    asked = np.unique(history.node[history.function == Function.READ])
    after = reads.age_ns >= 0
    rows = reads.rows[after]
    # Where clients find their way by themselves, a key is looked at in one place only: where they find it.
    places = 1 if history.routed else len(asked)
    pair = history.key[rows].astype(np.int64) * len(history.nodes) + (0 if history.routed else history.node[rows])
    age = np.searchsorted(np.asarray(AGES_NS), reads.age_ns[after], side="right") - 1
    pairs, visited = len(np.unique(pair)), len(np.unique(pair * len(AGES_NS) + age))
    possible = len(written) * places
    cells = possible * len(AGES_NS)
    needed = plan.adequacy.coverage
    enough = possible > 0 and pairs >= needed * possible
    return Evidence(
        "coverage",
        needed=f"{needed:.0%} of (key, node) pairs read after a write",
        seen=f"{pairs:,} of {possible:,} pairs at {len(asked)} of {len(history.nodes)} nodes; "
        f"{visited:,} of {cells:,} (key, node, age) cells"
        if possible
        else "nothing was written",
        enough=enough,
        why="" if enough else f"only {pairs:,} of {possible:,} (key, node) pairs were read after an acknowledged write",
    )


def _settled(history: History) -> Evidence:
    settled = history.settled_ns
    return Evidence(
        "settled",
        needed="writes stop, faults heal, every key is probed at every node",
        seen="never" if settled is None else f"from {format_duration(settled)} on",
        enough=settled is not None,
        why=""
        if settled is not None
        else "the run ended before the fleet could settle, so nothing is known of convergence and lost writes",
    )


def _complete(history: History) -> Evidence:
    return Evidence(
        "complete",
        needed="the run comes to its own end",
        seen="yes" if history.complete else "cut off",
        enough=history.complete,
        why="" if history.complete else "the run was cut off, so what it did not see may still have been to come",
    )


def _stalls(plan: Plan, history: History) -> Evidence:
    still = _union_ns([(stall.begin_ns, stall.end_ns) for stall in history.stalls])
    share = still / max(1, history.end_ns)
    allowed = plan.adequacy.stalled
    enough = share <= allowed
    return Evidence(
        "stalls",
        needed=f"the harness stands still for at most {allowed:.0%} of the run",
        seen=f"{format_duration(still)} in {len(history.stalls)} stalls ({share:.1%})" if history.stalls else "none",
        enough=enough,
        why=""
        if enough
        else f"the harness itself stood still for {share:.0%} of the run: this machine is too busy for this plan",
    )


def _union_ns(windows: list[tuple[int, int]]) -> int:
    """How long the union of the windows is."""
    total, reached = 0, 0
    for begin, end in sorted(windows):
        total += max(0, end - max(begin, reached))
        reached = max(reached, end)
    return total
