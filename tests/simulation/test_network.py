"""The virtual network."""

from __future__ import annotations

from random import Random

import pytest

from harness.reference.rules import Rule
from harness.simulation.engine import Engine
from harness.simulation.network import Network, Pace

WAY = ("a", "b")


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def network(engine):
    return Network(engine, Random(1), Pace(100, 400))


def sent(engine: Engine, network: Network, count: int, every_ns: int = 10) -> list[tuple[int, int]]:
    """What arrives of so many messages, and when, in the order of arrival."""
    seen: list[tuple[int, int]] = []
    for number in range(count):
        network.send(WAY, lambda n: seen.append((n, engine.now_ns)), number, "Ping")
        engine.run(engine.now_ns + every_ns)
    engine.run(engine.now_ns + 1_000_000)
    return seen


def test_a_link_keeps_the_order_of_its_messages(engine, network):
    """And each takes no less than the least time."""
    seen = sent(engine, network, 200)
    assert [number for number, _ in seen] == list(range(200))
    assert all(at_ns >= 10 * number + 100 for number, at_ns in seen)


def test_messages_that_do_not_queue_take_no_more_than_the_longest_time(engine, network):
    """So that a promise can be computed from it."""
    assert all(100 <= at_ns - 1_000 * number <= 500 for number, at_ns in sent(engine, network, 200, every_ns=1_000))


def test_a_cut_loses_everything_until_it_is_mended(engine, network):
    """What was sent into it does not come later."""
    network.bend(WAY).cut = True
    assert sent(engine, network, 10) == []
    assert network.bends[WAY].struck == 10
    network.mend(WAY)
    assert len(sent(engine, network, 10)) == 10


def test_a_cut_one_way_leaves_the_other(engine, network):
    """Bends have a direction."""
    network.bend(("b", "a")).cut = True
    assert len(sent(engine, network, 10)) == 10


def test_losses_take_about_the_share_that_was_asked_for(engine, network):
    """300 of 1,000, give or take what chance does."""
    network.bend(WAY).drop = 0.3
    assert 240 <= 1_000 - len(sent(engine, network, 1_000)) <= 360


def test_what_is_held_back_is_overtaken(engine, network):
    """By messages that were sent after it; none is lost."""
    bend = network.bend(WAY)
    bend.reorder, bend.reorder_by_ns = 0.3, 50_000
    order = [number for number, _ in sent(engine, network, 200)]
    assert sorted(order) == list(range(200))
    assert order != sorted(order)


def test_a_double_arrives_after_its_original(engine, network):
    """Twice in all."""
    network.bend(WAY).duplicate = 1.0
    numbers = [number for number, _ in sent(engine, network, 50)]
    assert sorted(numbers) == sorted([*range(50), *range(50)])


def test_a_delay_comes_on_top(engine, network):
    """Give or take its jitter, and in order."""
    bend = network.bend(WAY)
    bend.delay_ns, bend.jitter_ns = 10_000, 5_000
    seen = sent(engine, network, 100)
    assert all(at_ns - 10 * number >= 5_100 for number, at_ns in seen)
    assert [number for number, _ in seen] == list(range(100))


@pytest.mark.parametrize(("act", "arrive"), [("lose", [2, 3, 4]), ("double", [0, 1, 2, 3, 4, 0, 1])])
def test_a_rule_strikes_the_next_messages_of_its_kind(engine, network, act, arrive):
    """Two of them here, and no other."""
    network.rules[WAY] = [Rule("Pong", act, 9), Rule("Ping", act, 2)]
    assert sorted(number for number, _ in sent(engine, network, 5)) == sorted(arrive)


def test_what_a_rule_holds_arrives_when_it_is_released_in_its_order(engine, network):
    """After what was sent later."""
    network.rules[WAY] = [Rule("Ping", "hold", 2)]
    seen: list[int] = []
    for number in range(4):
        network.send(WAY, seen.append, number, "Ping")
    engine.run(1_000)
    assert seen == [2, 3]
    network.release(WAY)
    engine.run(2_000)
    assert seen == [2, 3, 0, 1]
