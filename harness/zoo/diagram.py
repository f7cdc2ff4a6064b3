"""A schedule as a space-time diagram in text: lanes for sessions and places, time downwards, one step a line.

        A   B   node-1 node-2
     1  ├──────────▶      │    A writes x at node-1
     2  │   │      │      ■    hold fill.before-put at node-2
     3  │   ├─────────────▶    B reads x at node-2
     4  ⋮   ⋮      ⋮      ⋮    wait 20ms

``LEGEND`` says what the signs mean.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from harness.simulation.script import (
    EVERY,
    Answered,
    AtGate,
    Cut,
    Deliver,
    Invoke,
    Jump,
    Meddle,
    Pass,
    Process,
    Step,
    parse_script,
)

_CROSS = "\u2573"

LEGEND = f"""\
├──▶     an operation, or a message; back again, the answer to an operation that was held
■  ┃  □  a gate is closed, it stays closed, it is opened
├─{_CROSS}      a message will be lost;  ├─▌  it will be held back;  ├═▶  it will arrive twice
├{_CROSS}┤      no message passes either way;  ├─┤  they do again
●        a process is paused, resumed, killed or restarted;  ┆  it stands still; no lane: it is dead
◷        a wall clock is set
⋮        time passes"""
"""What the signs of a diagram mean."""

WIDTH = 99
_LEAST_TEXT = 30
_GAP = 3


def diagram(schedule: str, outcomes: Mapping[int, str] | None = None) -> str:
    """The diagram of ``schedule``, under 100 columns wide.

    Args:
        schedule: the steps, as in a bug; their comments stand below them.
        outcomes: what came of steps, by index.
    """
    steps = parse_script(schedule)
    canvas = _Canvas(steps)
    notes = [line.partition("#") for line in schedule.splitlines() if line.partition("#")[0].strip()]
    lines = [canvas.header()]
    for number, (step, (_, _, note)) in enumerate(zip(steps, notes, strict=True)):
        told = f"{step.text}: {outcomes[number]}" if outcomes and number in outcomes else step.text
        wrapped = [*_wrapped(told, canvas.room), *(_wrapped(f"({note.strip()})", canvas.room) if note.strip() else ())]
        drawn = [canvas.row(step), *(canvas.idle() for _ in wrapped[1:])]
        heads = [f"{number + 1:>2}", *[""] * len(wrapped)]
        lines += [f"{head:<3}{row}  {text}".rstrip() for head, row, text in zip(heads, drawn, wrapped, strict=False)]
    return "\n".join(lines)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ", break_long_words=False)


class _Canvas:
    """The lanes of a diagram, and the state that each is in."""

    def __init__(self, steps: Sequence[Step]) -> None:
        sessions = list(dict.fromkeys(name for step in steps for name in _sessions(step)))
        places = {name for step in steps for name in _places(step)}
        names = [*sorted(sessions), *sorted(places, key=lambda name: (not name.startswith("node-"), name))]
        self._nodes = [name for name in names if name.startswith("node-")]
        self._at: dict[str, int] = {}
        column = 1
        for name in names:
            column += len(name) // 2
            self._at[name] = column
            column += len(name) - len(name) // 2 + (_GAP if len(name) == 1 else 1)
        self._width = max(self._at.values(), default=0) + 3
        self._lane = dict.fromkeys(names, "│")
        self._asked: dict[str, str] = {}
        self.room = max(WIDTH - self._width - 5, _LEAST_TEXT)

    def header(self) -> str:
        """The names above their lanes."""
        line = ""
        for name, at in self._at.items():
            line = line.ljust(at - len(name) // 2) + name
        return "   " + line

    def idle(self) -> str:
        """The lanes while nothing happens."""
        return self._drawn({self._at[name]: lane for name, lane in self._lane.items()})

    def row(self, step: Step) -> str:
        """The lanes while ``step`` is taken; they are changed by it."""
        before = {self._at[name]: lane for name, lane in self._lane.items()}
        return self._drawn(before | dict(self._marks(step)))

    def _marks(self, step: Step) -> Iterator[tuple[int, str]]:
        match step:
            case Invoke(_, session, _, _, node):
                nodes = self._nodes if node == EVERY else [node]
                self._asked[session] = nodes[-1]
                yield from self._arrow(session, nodes[-1])
                yield from ((self._at[each], "▶") for each in nodes)
            case Answered(_, session):
                yield from self._arrow(self._asked[session], session)
            case Pass():
                yield from ((at, "⋮") for name, at in self._at.items() if self._lane[name] != " ")
            case AtGate(_, shut, _, place):
                self._lane[place] = "┃" if shut else "│"
                yield self._at[place], "■" if shut else "□"
            case Meddle(_, act, _, _, source, target):
                yield from self._arrow(
                    source, target, "═" if act == "double" else "─", {"lose": _CROSS, "hold": "▌"}.get(act, "")
                )
            case Deliver(_, source, target):
                yield from self._arrow(source, target)
            case Cut(_, cut, one, other):
                yield from self._arrow(one, other, head="┤")
                if cut:
                    yield (self._at[one] + self._at[other]) // 2, _CROSS
            case Process(_, act, place):
                self._lane[place] = {"pause": "┆", "kill": " "}.get(act, "│")
                yield self._at[place], "●"
            case Jump(_, place):
                yield self._at[place], "◷"

    def _arrow(self, source: str, target: str, line: str = "─", head: str = "") -> Iterator[tuple[int, str]]:
        """From lane to lane; ``head`` in place of an arrow's."""
        begin, end = self._at[source], self._at[target]
        right = begin < end
        yield from ((at, line) for at in range(min(begin, end), max(begin, end)))
        if head == "┤":
            yield from ((min(begin, end), "├"), (max(begin, end), "┤"))
            return
        yield begin, "├" if right else "┤"
        yield end, head or ("▶" if right else "◀")

    def _drawn(self, marks: Mapping[int, str]) -> str:
        return "".join(marks.get(at, " ") for at in range(self._width))


def _sessions(step: Step) -> tuple[str, ...]:
    match step:
        case Invoke(_, session) | Answered(_, session):
            return (session,)
    return ()


def _places(step: Step) -> tuple[str, ...]:
    match step:
        case Invoke(_, _, _, _, node):
            return (node,) if node != EVERY else ("node-1", "node-2", "node-3")
        case AtGate(_, _, _, place) | Process(_, _, place) | Jump(_, place):
            return (place,)
        case Meddle(_, _, _, _, source, target) | Deliver(_, source, target) | Cut(_, _, source, target):
            return (source, target)
    return ()
