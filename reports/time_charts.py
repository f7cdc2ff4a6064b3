"""The run over time: staleness, throughput, failures and latency under the fault episodes, on one axis that zooms together."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from markupsafe import Markup

from checkers.phases import bound_of
from harness.durations import format_duration
from harness.history import NEVER, Episode, History, Status
from harness.plan import Contract
from reports.ages import Ages
from reports.chart import Chart, Key, Scale, Tick, element, grid, joined, log_scale, staircase, steps, wide, zero_scale
from reports.series import Series, quantile_rank
from reports.words import count, linked, moment, plural

_LEAST_AGE_NS = 1e5
_LEAST_RESPONSE_NS = 1e4
CLOSING = Key("closing", "load over: closing probes only")
"""What marks the end of a run, in which nothing but probes of what nodes still hold is called."""
_UNSUCCESSFUL = " Operations without success have no response time; they are counted above."


def span_ns(history: History, binned: Series) -> int:
    """The length of the time axis."""
    return int(binned.edges_ns[-1]) or history.end_ns or 1


def time_axis(span: int) -> tuple[Tick, ...]:
    """The ticks of a time axis from the run's start."""
    return tuple(Tick(value / span, format_duration(value) if value else "0s") for value in steps(0.0, float(span), 9))


def load_end_ns(history: History) -> int | None:
    """When the last operation of the load was called; None where no closing probes followed it."""
    if history.settled_ns is None:
        return None
    load = int(np.searchsorted(history.call_ns, history.settled_ns))
    return int(history.call_ns[load - 1]) if load else history.settled_ns


def closing(history: History, span: int) -> Markup:
    """The end of the run, in which there was no load, behind the marks; nothing if there was none."""
    begin = load_end_ns(history)
    if begin is None:
        return Markup("")
    at = wide(min(begin / span, 1.0))
    edge = element("line", class_="closing-edge", x1=at, x2=at, y1=0, y2=10_000)
    return joined([_window("closing", begin / span, history.end_ns / span, CLOSING.label), edge])


def bands(history: History, span: int) -> Markup:
    """What the marks stand on: the windows of the episodes, from applied to healed, of the harness's own stalls, and the end."""
    marks = [closing(history, span)]
    for episode in history.episodes:
        if episode.applied_ns is None:
            continue
        begin, end = episode.applied_ns, history.end_ns if episode.healed_ns is None else episode.healed_ns
        marks.append(_window("band", begin / span, end / span, named(episode)))
        marks += [
            element("line", class_="band-edge", x1=wide(t / span), x2=wide(t / span), y1=0, y2=10_000) for t in (begin, end)
        ]
    marks += [_window("stall", s.begin_ns / span, s.end_ns / span, "the harness stood still") for s in history.stalls]
    return joined(marks)


def _window(style: str, begin: float, end: float, title: str) -> Markup:
    begin, end = min(begin, 1.0), min(end, 1.0)
    return element("rect", element("title", title), class_=style, x=wide(begin), width=wide(end - begin), y=0, height=10_000)


def named(episode: Episode) -> str:
    """An episode in a few words."""
    return f"{episode.kind} of {linked(episode.struck)}"


def time_charts(history: History, contract: Contract, known: Ages, binned: Series) -> tuple[Chart, ...]:
    """All charts over time, top to bottom."""
    span = span_ns(history, binned)
    charts = [_staleness(history, contract, known, binned, span)] if known.known.any() else []
    charts.append(_throughput(history, binned, span))
    if binned.rate["fail"].any() or binned.rate["info"].any():
        charts.append(_failures(history, binned, span))
    charts.append(_latency(history, binned, span))
    return tuple(charts)


def _chart(
    history: History, span: int, scale: Scale, lines: Iterable[Markup], keys: tuple[Key, ...] = (), **parts: object
) -> Chart:
    x_ticks, y_ticks = time_axis(span), scale.ticks()
    marks = joined([grid(y_ticks), bands(history, span), *lines])
    keys += () if load_end_ns(history) is None else (CLOSING,)
    return Chart(x_label="time since start", x_ticks=x_ticks, y_ticks=y_ticks, marks=marks, keys=keys, in_time=True, **parts)  # type: ignore[arg-type]  # the named parts of a Chart


def _staleness(history: History, contract: Contract, known: Ages, binned: Series, span: int) -> Chart:
    edges = binned.edges_ns / span
    promised = bound_of(history, contract, binned.middle_ns.astype(np.int64), binned.middle_ns.astype(np.int64)).astype(float)
    promised[promised >= NEVER] = np.nan
    scale = log_scale([binned.hi_ns["max"], promised], "ns", least=_LEAST_AGE_NS, zero=True)
    stale = int((known.lo > 0).sum())
    ordered = np.sort(known.lo)
    p99, worst = ordered[quantile_rank(len(ordered), 0.99)], ordered[-1]
    if worst == 0:
        reading = f"None of {plural(len(ordered), 'read')} returned a value that had certainly been superseded before it began."
    else:
        reading = (
            f"99% of reads were {'certainly fresh or ' if p99 == 0 else ''}at most {format_duration(p99)} old for certain; "
            f"{count(stale)} of {plural(len(ordered), 'read')} were stale, the oldest by {format_duration(worst)}."
        )
    keys = [
        Key("lo-max", "certain age: oldest read"),
        Key("heat heat-90", "oldest 10%"),
        Key("heat heat-50", "oldest half"),
        Key("hi-max", "possible age: oldest read"),
    ]
    if np.isfinite(promised).any():
        keys.append(Key("promise", "promised bound"))
    return _chart(
        history,
        span,
        scale,
        [
            staircase(edges, scale.at(binned.lo_ns["max"]), "heat heat-max", filled=True),
            staircase(edges, scale.at(binned.lo_ns["p90"]), "heat heat-90", filled=True),
            staircase(edges, scale.at(binned.lo_ns["p50"]), "heat heat-50", filled=True),
            staircase(edges, scale.at(binned.hi_ns["max"]), "line hi-max"),
            staircase(edges, scale.at(binned.lo_ns["max"]), "line lo-max"),
            staircase(edges, scale.at(promised), "line promise"),
        ],
        name="staleness",
        title="Staleness of reads",
        reading=reading,
        described="Age of what reads saw, per time bin: the oldest certain age and, as darker ground, its 90th percentile and "
        "median, and the oldest possible age, with the promised bound as a stepped line. " + reading,
        y_label="age of the value read",
        keys=tuple(keys),
        height=240,
    )


def _throughput(history: History, binned: Series, span: int) -> Chart:
    edges, rate = binned.edges_ns / span, binned.rate["ok"]
    scale = zero_scale([rate], "count")
    seconds = max(history.end_ns, 1) / 1e9
    average = count(len(history) / seconds)
    reading = f"{plural(len(history), 'operation')} in {format_duration(history.end_ns)}: {average} a second on average."
    over = load_end_ns(history)
    if over is not None:
        reading += f" The load ended at {moment(over)}; all that was called later are closing probes."
    return _chart(
        history,
        span,
        scale,
        [staircase(edges, scale.at(rate), "fill ok", filled=True), staircase(edges, scale.at(rate), "line ok")],
        name="throughput",
        title="Throughput",
        reading=reading,
        described="Successful operations per second, per time bin. " + reading,
        y_label="ok operations per second",
        height=130,
    )


def _failures(history: History, binned: Series, span: int) -> Chart:
    edges = binned.edges_ns / span
    fail, both = binned.rate["fail"], binned.rate["fail"] + binned.rate["info"]
    scale = zero_scale([both], "count")
    failed, unknown = (int((history.status == status).sum()) for status in (Status.FAIL, Status.INFO))
    reading = f"{plural(failed, 'operation')} certainly failed; of {count(unknown)} nobody knows whether they took effect."
    # Stacked: info stands on fail, and is drawn behind it.
    lines = [
        staircase(edges, np.where(binned.rate["info"] > 0, scale.at(both), np.nan), "bar info", filled=True),
        staircase(edges, np.where(fail > 0, scale.at(fail), np.nan), "bar fail", filled=True),
    ]
    return _chart(
        history,
        span,
        scale,
        lines,
        name="failures",
        title="Operations without success",
        reading=reading,
        described="Failed and unanswered operations per second, per time bin, by the time of their call. " + reading,
        y_label="operations per second",
        keys=(Key("bar fail", "fail: did not happen"), Key("bar info", "info: no answer in time")),
        height=110,
    )


def _latency(history: History, binned: Series, span: int) -> Chart:
    edges = binned.edges_ns / span
    scale = log_scale(binned.response_ns.values(), "ns", least=_LEAST_RESPONSE_NS)
    ok = np.sort((history.return_ns - history.due_ns)[history.status == Status.OK])
    if len(ok):
        at = {share: format_duration(ok[quantile_rank(len(ok), share)]) for share in (0.5, 0.99, 0.999)}
        reading = f"Half of the ok answers came within {at[0.5]}, 99% within {at[0.99]}, 99.9% within {at[0.999]}."
    else:
        reading = "No operation was ok."
    styles = {"p50": "low", "p99": "mid", "p99.9": "high"}
    return _chart(
        history,
        span,
        scale,
        [staircase(edges, scale.at(binned.response_ns[name]), f"line {style}") for name, style in styles.items()],
        name="latency",
        title="Response time",
        reading=reading + (_UNSUCCESSFUL if binned.rate["fail"].any() or binned.rate["info"].any() else ""),
        described="Response time of ok operations from the time they were due, per time bin: median, 99th and 99.9th "
        "percentile. " + reading,
        y_label="response time",
        keys=tuple(Key(style, name) for name, style in styles.items()),
        height=180,
    )
