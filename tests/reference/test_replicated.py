"""The replicated store: who may become primary, what is acknowledged, and what is cut off."""

from __future__ import annotations

from harness.reference.effects import Open, Wait
from harness.reference.messages import Value
from harness.reference.places import topology_of
from harness.reference.replication import Append, Appended, Ballot, Entry, ReadThere, Vote, WriteThere
from harness.reference.strategies.replicated import DESIGN, Replicated
from tests.reference.workbench import Workbench, advance

ONE, TWO = Value("x", 1, 10), Value("x", 2, 11)


def a_node() -> tuple[Replicated, Workbench]:
    """A node of three."""
    bench = Workbench(DESIGN.settings)
    bench.peers = ("node-1", "node-2", "node-3")
    return Replicated(bench), bench


def a_primary() -> tuple[Replicated, Workbench]:
    """The primary of term 1, which has committed the beginning of its term."""
    node, bench = a_node()
    node.stand()
    node.hear("node-2", Vote(1, granted=True))
    node.hear("node-2", Appended(1, 1, matched=True, turn=0))
    assert node.committed == 1
    return node, bench


def votes(bench: Workbench) -> list[bool]:
    """What the node has answered to ballots."""
    return [message.granted for _, message in bench.sent if isinstance(message, Vote)]


def test_nobody_votes_twice_in_a_term() -> None:
    """The first candidate has the vote; it may ask again, another one may not."""
    node, bench = a_node()
    for candidate in ("node-2", "node-3", "node-2"):
        node.hear(candidate, Ballot(1, 0, 0))
    assert votes(bench) == [True, False, True]


def test_nobody_votes_for_a_log_that_lacks_something() -> None:
    """A candidate's last entry is of a later term, or of the same one in a log that is no shorter."""
    node, bench = a_node()
    node.disk.log = [Entry(1, ONE), Entry(2, TWO)]
    for term, (length, last_term) in enumerate(((5, 1), (1, 2), (2, 2), (1, 3)), 3):
        node.hear("node-2", Ballot(term, length, last_term))
    assert votes(bench) == [False, False, True, True]


def test_a_write_is_acknowledged_once_a_majority_has_it() -> None:
    """The primary alone is no majority of three; with one replica it is."""
    node, _ = a_primary()
    write = node.serve("node-3", WriteThere(ONE))
    assert isinstance(advance(write), Wait)
    assert "x" not in node.values
    node.hear("node-2", Appended(1, 2, matched=True, turn=1))
    assert node.values["x"] == ONE
    assert advance(write, True) is None


def test_a_read_waits_for_a_confirmation_that_was_asked_for_since() -> None:
    """An answer to an earlier turn says nothing about the time of the read."""
    node, bench = a_primary()
    advance(node.serve("node-3", WriteThere(ONE)))
    read = node.serve("node-3", ReadThere("x"))
    assert isinstance(advance(read), Wait)
    bench.spawned.clear()
    node.hear("node-2", Appended(1, 2, matched=True, turn=1))
    waiting = node.office.reads
    assert len(waiting) == 1
    node.hear("node-2", Appended(1, 2, matched=True, turn=2))
    opened = [advance(flow) for flow in bench.spawned]
    assert Open(waiting[0][2], True) in opened
    assert advance(read, True) == ONE


def test_a_primary_that_hears_of_a_later_term_resigns() -> None:
    """Whoever waits for it learns that it is primary no longer."""
    node, _ = a_primary()
    node.hear("node-3", Vote(2, granted=False))
    assert node.office is None
    assert node.disk.term == 2


def test_what_the_new_primary_does_not_have_is_cut_off() -> None:
    """An entry of an earlier term gives way to the primary's at the same place, and so does all that follows."""
    node, bench = a_node()
    node.disk.log = [Entry(1, None), Entry(1, ONE), Entry(1, TWO)]
    node.hear("node-2", Append(2, 1, 1, (Entry(2, None),), 0, 1))
    assert node.disk.log == [Entry(1, None), Entry(2, None)]
    assert bench.sent[-1] == ("node-2", Appended(2, 2, matched=True, turn=1))


def test_entries_are_not_taken_after_a_gap() -> None:
    """A node says how far its log may agree, and is sent the rest."""
    node, bench = a_node()
    node.hear("node-2", Append(1, 5, 1, (Entry(1, ONE),), 0, 1))
    assert node.disk.log == []
    assert bench.sent[-1] == ("node-2", Appended(1, 0, matched=False, turn=1))


def test_a_write_that_comes_twice_is_carried_out_once() -> None:
    """The second entry of an operation does not undo what was written between the two."""
    node, _ = a_node()
    node.disk.log = [Entry(1, ONE), Entry(1, TWO), Entry(1, ONE)]
    node.commit(3)
    assert node.values["x"] == TWO


def test_the_disk_outlives_the_process() -> None:
    """Term, vote and log are what a restarted node must not have forgotten."""
    node, _ = a_primary()
    again = node.survivor()
    assert again.disk is node.disk
    assert again.office is None
    assert again.values == {}


def test_the_nodes_are_the_store() -> None:
    """There is no source of truth beside the nodes, and they talk to each other."""
    topology = topology_of(DESIGN, 3)
    assert [node.role for node in topology.nodes] == ["node"] * 3
    assert len(topology.between("node", "node")) == 3
