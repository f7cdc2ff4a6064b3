"""How long after a fault's heal the fleet and each node were fresh again, in words."""

from __future__ import annotations

from dataclasses import dataclass

from checkers.recovery import Recovery
from harness.durations import format_duration
from harness.history import Episode, History
from reports.words import count, plural

NO_READ = "no read saw"


@dataclass(frozen=True, slots=True)
class FreshAgain:
    """``fleet``: when the last of the nodes was; ``share``: of how much data; ``nodes``: each node in a sentence."""

    fleet: str
    share: str = ""
    nodes: tuple[str, ...] = ()


def fresh_again(history: History, episode: Episode, nodes: tuple[Recovery, ...]) -> FreshAgain:
    """What is known of the time after ``episode``, of which ``nodes`` tells node by node."""
    if not nodes:
        return FreshAgain("-")
    fleet = _fleet(nodes)
    if fleet == NO_READ:
        return FreshAgain(fleet)
    on = sorted({other.kind for other in history.episodes if _outlasts(other, episode)})
    meanwhile = f", {' and '.join(on)} still on" if on else ""
    behind, keys = sum(node.behind for node in nodes), sum(node.keys for node in nodes)
    return FreshAgain(
        fleet + meanwhile, f"{count(behind)} of {count(keys)} keys at nodes were behind", tuple(_node(node) for node in nodes)
    )


def _fleet(nodes: tuple[Recovery, ...]) -> str:
    """The last node, or the worst of those that nobody saw fresh again; what was not read is named where something was."""
    read = [(node.stale_until_ns, node) for node in nodes if node.stale_until_ns is not None]
    if not read:
        return NO_READ
    unread = [node.node for node in nodes if node.stale_until_ns is None]
    unknown = f"; no read of {', '.join(unread)}" if unread else ""
    behind = [node for _, node in read if node.unseen]
    if behind:
        stale_ns = max(stale_ns for stale_ns, node in read if node.unseen)
        return f"still stale after {format_duration(stale_ns)}: {', '.join(node.node for node in behind)}{unknown}"
    last_ns, last = max(read, key=lambda each: each[0])
    if last_ns == 0:
        return f"at once{unknown}"
    return f"after {format_duration(last_ns)}{f'; {last.node} the last' if len(read) > 1 else ''}{unknown}"


def _node(node: Recovery) -> str:
    if node.stale_until_ns is None:
        return f"{node.node}: {NO_READ}"
    if not node.behind:
        return f"{node.node}: at once, {plural(node.keys, 'key')} read"
    share = f"{count(node.behind)} of {plural(node.keys, 'key')} behind"
    lasted = format_duration(node.stale_until_ns)
    if node.unseen:
        return f"{node.node}: still stale after {lasted}, {share}, {count(node.unseen)} never seen fresh"
    return f"{node.node}: after {lasted}, {share}"


def _outlasts(other: Episode, episode: Episode) -> bool:
    """Whether ``other`` was on when ``episode`` was healed."""
    if other is episode or other.applied_ns is None or episode.healed_ns is None:
        return False
    return other.applied_ns <= episode.healed_ns and (other.healed_ns is None or other.healed_ns > episode.healed_ns)
