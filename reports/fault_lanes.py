"""The fault lanes: per fault of the plan, when each episode was intended, applied, proven and healed."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from markupsafe import Markup

from checkers.recovery import Recovery, recoveries
from harness.durations import format_duration, parse_duration
from harness.history import DISPROVED, Episode, History
from harness.plan import Contract
from reports.chart import WIDE, Chart, Key, Tick, element, joined, wide
from reports.fresh_again import FreshAgain, fresh_again
from reports.means import means_of
from reports.time_charts import CLOSING, closing, load_end_ns, named, time_axis
from reports.words import clip, linked, plural

IN_TIME_NS = parse_duration("50ms")
"""A fault whose means are in place so soon after its intended time is in time."""

_LANE = 44
_SHORT = 240
"""Characters of evidence that are shown at once."""
_GIST = 110


@dataclass(frozen=True, slots=True)
class Strike:
    """One episode as a row of the table, in words; ``gist`` stands for evidence too long to be read at a glance, or is empty."""

    number: int
    kind: str
    targets: tuple[str, ...]
    means: str
    intended: str
    applied: str
    late: str
    proven: str
    healed: str
    fresh: FreshAgain
    evidence: tuple[str, ...]
    gist: str
    holds: bool
    from_share: float
    to_share: float


def strikes(history: History, contract: Contract, span: int) -> tuple[Strike, ...]:
    """All episodes, in the order of their intended beginnings."""
    known = zip(history.episodes, recoveries(history, contract), strict=True)
    ordered = sorted(known, key=lambda each: (each[0].intended_ns, each[0].fault))
    return tuple(_strike(number, episode, nodes, history, span) for number, (episode, nodes) in enumerate(ordered, start=1))


def _strike(number: int, episode: Episode, nodes: tuple[Recovery, ...], history: History, span: int) -> Strike:
    begin = episode.intended_ns if episode.applied_ns is None else episode.applied_ns
    end = episode.healed_ns or max(episode.intended_end_ns, begin)
    room = (end - begin) * 0.5
    return Strike(
        number=number,
        kind=episode.kind,
        targets=tuple(linked(target) for target in episode.targets),
        means=means_of(episode),
        intended=f"{_seconds(episode.intended_ns)} to {_seconds(episode.intended_end_ns)}",
        applied="never" if episode.applied_ns is None else _seconds(episode.applied_ns),
        late="" if episode.applied_ns is None else _late(episode),
        proven="not proven" if episode.proven_ns is None else _seconds(episode.proven_ns),
        healed="not before the end" if episode.healed_ns is None else _seconds(episode.healed_ns),
        fresh=fresh_again(history, episode, nodes),
        evidence=tuple(linked(line) for line in episode.evidence),
        gist=_gist(episode),
        holds=episode.proven,
        from_share=max(0.0, (begin - room) / span),
        to_share=min(1.0, (min(end, history.end_ns) + room) / span),
    )


def _gist(episode: Episode) -> str:
    """What speaks against the episode, else what it says first of its effect, cut short; empty if all of it is short."""
    if sum(map(len, episode.evidence)) <= _SHORT:
        return ""
    against = [line for line in episode.evidence if line.startswith(DISPROVED)]
    during = [line for line in episode.evidence if line.startswith("at its start")]
    return clip(linked((against or during or list(episode.evidence))[0]), _GIST)


def _late(episode: Episode) -> str:
    late_ns = (episode.applied_ns or 0) - episode.intended_ns
    return f"{format_duration(late_ns)} late" if late_ns > 0 else "on time"


def _seconds(time_ns: int) -> str:
    return f"{time_ns / 1e9:.3f}s"


def fault_lanes(history: History, span: int) -> tuple[Chart, ...]:
    """A chart with one lane per fault; none if the run had no faults."""
    if not history.episodes:
        return ()
    faults = sorted({(episode.fault, episode.kind) for episode in history.episodes})
    marks, ticks = [closing(history, span)], []
    lane = WIDE / len(faults)
    for row, (fault, kind) in enumerate(faults):
        ticks.append(Tick(1 - (row + 0.5) / len(faults), kind))
        marks.append(element("line", class_="grid", x1=0, x2=WIDE, y1=f"{(row + 1) * lane:.0f}", y2=f"{(row + 1) * lane:.0f}"))
        marks += [_episode(e, history, span, row * lane, lane) for e in history.episodes if (e.fault, e.kind) == (fault, kind)]
    proven = sum(episode.proven for episode in history.episodes)
    reading = f"{proven} of {plural(len(history.episodes), 'episode')} proved an effect at the target.{_punctuality(history)}"
    chart = Chart(
        name="fault-lanes",
        title="Fault episodes",
        reading=reading,
        described="One lane per fault. A thin outline is the time the schedule intended, a filled bar the time the fault was in "
        "place, and the dark foot of the bar begins where its effect was proven. " + reading,
        x_label="time since start",
        y_label="fault",
        x_ticks=time_axis(span),
        y_ticks=tuple(ticks),
        marks=joined(marks),
        keys=(
            Key("intended", "intended"),
            Key("applied", "applied until healed"),
            Key("proven", "effect proven from here on"),
            *(() if load_end_ns(history) is None else (CLOSING,)),
        ),
        in_time=True,
        height=_LANE * len(faults),
    )
    return (chart,)


def _punctuality(history: History) -> str:
    """How long after their intended times the plan's faults were in place, as a sentence; nothing if none was."""
    late = sorted(e.applied_ns - e.intended_ns for e in history.episodes if e.applied_ns is not None and e.fault >= 0)
    if not late:
        return ""
    slow = sum(late_ns > IN_TIME_NS for late_ns in late)
    beyond = f", {slow} of {len(late)} by more than {format_duration(IN_TIME_NS)}" if slow else ""
    typical, most = format_duration(round(median(late))), format_duration(late[-1])
    return f" The means were in place {typical} after their time (median), {most} at most{beyond}."


def _episode(episode: Episode, history: History, span: int, top: float, lane: float) -> Markup:
    def bar(style: str, begin: int, end: int, y: float, height: float) -> Markup:
        left, right = min(begin / span, 1.0), min(end / span, 1.0)
        return element(
            "rect", class_=style, x=wide(left), width=wide(right - left), y=f"{top + y * lane:.0f}", height=f"{height * lane:.0f}"
        )

    marks = [element("title", f"{named(episode)}: " + ("proven" if episode.proven else "not proven"))]
    if episode.applied_ns is not None:
        end = history.end_ns if episode.healed_ns is None else episode.healed_ns
        marks.append(bar("applied", episode.applied_ns, end, 0.28, 0.44))
        if episode.proven_ns is not None:
            marks.append(bar("proven", episode.proven_ns, max(end, episode.proven_ns), 0.56, 0.16))
    marks.append(bar("intended", episode.intended_ns, episode.intended_end_ns, 0.14, 0.72))
    return element("g", joined(marks))
