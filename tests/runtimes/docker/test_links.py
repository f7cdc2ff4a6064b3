"""What links suffer, told as what happens to packets between addresses."""

from __future__ import annotations

from collections.abc import Mapping

from harness.runtimes.base import Cut, Disturbance, Way
from harness.runtimes.docker.links import Links
from harness.runtimes.kernel.bends import Bend, Pair
from harness.topology import Link

_LINK = Link("a", "b")
_WAY_BACK = Link("b", "a")


def _bends(links: Links) -> Mapping[Pair, Bend]:
    return links.bends({"a": "10.0.0.1", "b": "10.0.0.2"}.__getitem__)


def test_cut_strikes_the_ways_that_are_meant() -> None:
    """A cut forward is the packets from source to target, backward those from target to source, both are both."""
    there, back = ("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.1")
    for way, pairs in ((Way.FORWARD, {there}), (Way.BACKWARD, {back}), (Way.BOTH, {there, back})):
        links = Links()
        links.change([_LINK], lambda suffering, way=way: suffering.cut(Cut.BLACK_HOLE, way))  # type: ignore[misc]
        assert _bends(links) == dict.fromkeys(pairs, Bend(cut=True))


def test_refusal_is_both_ways() -> None:
    """A reset ends a connection for both of its ends, whatever way was named."""
    links = Links()
    links.change([_LINK], lambda suffering: suffering.cut(Cut.REFUSE, Way.FORWARD))
    assert set(_bends(links).values()) == {Bend(refuse=True)}
    assert len(_bends(links)) == 2


def test_faults_add_up_until_the_mend() -> None:
    """A delay and a disturbance hold together with a cut on one link; the mend takes all of it away."""
    links = Links()
    links.change([_LINK], lambda suffering: suffering.delay(5, 1).disturb(Disturbance(drop=0.5)).throttle(100))
    links.change([_LINK], lambda suffering: suffering.cut(Cut.BLACK_HOLE, Way.BOTH))
    whole = Bend(cut=True, delay_ns=5, jitter_ns=1, disturbance=Disturbance(drop=0.5), bytes_per_second=100)
    assert set(_bends(links).values()) == {whole}
    links.mend([_LINK])
    assert _bends(links) == {}


def test_links_between_the_same_nodes_share_the_worst() -> None:
    """Packets do not tell who opened their connection: each pair of addresses gets the worse of both links' faults."""
    links = Links()
    links.change([_LINK], lambda suffering: suffering.delay(7, 0).throttle(100))
    links.change([_WAY_BACK], lambda suffering: suffering.delay(3, 1).throttle(50).cut(Cut.BLACK_HOLE, Way.FORWARD))
    worse = Bend(delay_ns=7, bytes_per_second=50)
    assert _bends(links) == {
        ("10.0.0.1", "10.0.0.2"): worse,
        ("10.0.0.2", "10.0.0.1"): Bend(cut=True, delay_ns=7, bytes_per_second=50),
    }
    links.mend([_LINK])
    assert _bends(links)["10.0.0.1", "10.0.0.2"] == Bend(delay_ns=3, jitter_ns=1, bytes_per_second=50)
