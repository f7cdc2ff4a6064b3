"""The kernel's faults, seen from real peers in containers, over connections that exist."""

from __future__ import annotations

import asyncio
import itertools
import socket

import pytest

from harness.runtimes.base import Disturbance
from harness.runtimes.kernel.agent import Agent
from harness.runtimes.kernel.bends import Bend, Bends

pytestmark = pytest.mark.docker

MS = 1_000_000
GATEWAY = "172.28.241.1"
CUT = Bend(cut=True)
REFUSE = Bend(refuse=True)


def both(a: str, b: str, bend: Bend) -> Bends:
    return {(a, b): bend, (b, a): bend}


def test_a_cut_holds_on_open_connections_and_what_was_sent_arrives_after_it(peers, bending):
    """A cut stops the data of an open connection both ways, spares other pairs and clients, and delays rather than loses."""
    one, two, three = peers

    async def scenario(agent):
        cut, spared, client = one.talk_to(two), one.talk_to(three), two.call()
        cut.echoes()
        await agent.apply(both(one.address, two.address, CUT))
        assert cut.silent()
        with pytest.raises(ConnectionError, match="TimeoutError"):
            one.talk_to(two)
        with pytest.raises(ConnectionError, match="TimeoutError"):
            two.talk_to(one)
        spared.echoes()
        client.echoes()
        await agent.apply({})
        assert cut.receive(10) == b"?"
        cut.echoes()

    bending(scenario)


def test_a_cut_one_way_lets_packets_through_the_other_way(peers, bending):
    """Where only answers are cut, requests get there; where requests are cut, none does."""
    one, two, _ = peers

    async def scenario(agent):
        before = two.heard()
        await agent.apply({(two.address, one.address): CUT})
        assert one.datagrams_to(two, 20) == []
        assert two.heard() == before + 20
        await agent.apply({(one.address, two.address): CUT})
        assert one.datagrams_to(two, 20) == []
        assert two.heard() == before + 20

    bending(scenario)


@pytest.mark.parametrize("way", ["to", "from"])
def test_a_client_can_be_cut_from_one_node(peers, bending, way):
    """The packets of clients on the host go by the gateway's address, and either direction of them can be cut."""
    one, two, _ = peers
    pair = (GATEWAY, one.address) if way == "to" else (one.address, GATEWAY)

    async def scenario(agent):
        cut, spared = one.call(), two.call()
        cut.echoes()
        await agent.apply({pair: CUT})
        assert cut.silent()
        spared.echoes()
        with pytest.raises(TimeoutError):
            one.call()
        await agent.apply({})
        assert cut.receive(10) == b"?"

    bending(scenario)


def test_a_client_s_cut_leaves_the_nodes_links_alone(peers, bending):
    """Cutting every client from a node does not cut the node from its peers."""
    one, two, _ = peers

    async def scenario(agent):
        line = two.talk_to(one)
        await agent.apply(both(GATEWAY, one.address, CUT))
        line.echoes()

    bending(scenario)


def test_who_has_vanished_neither_answers_nor_refuses(peers, bending):
    """Nobody hears of it over old connections or new ones, clients on the host neither; others are spared, and it can be back."""
    one, two, three = peers

    async def scenario(agent):
        cut, client, spared = two.talk_to(one), one.call(), two.talk_to(three)
        cut.echoes()
        client.echoes()
        await agent.apply({}, [one.address])
        assert cut.silent()
        assert client.silent()
        with pytest.raises(ConnectionError, match="TimeoutError"):
            two.talk_to(one)
        spared.echoes()
        await agent.apply({})
        assert cut.receive(10) == b"?"
        one.call().echoes()

    bending(scenario)


def test_refusing_resets_idle_connections_and_refuses_new_ones(peers, bending):
    """An idle connection is reset at both ends at once, new ones are refused until the link is mended."""
    one, two, three = peers

    async def scenario(agent):
        line, spared, client = one.talk_to(two), one.talk_to(three), two.call()
        line.echoes()
        client.echoes()
        await agent.apply({**both(one.address, two.address, REFUSE), **both(GATEWAY, three.address, REFUSE)})
        assert line.is_reset()
        with pytest.raises(ConnectionError, match="ConnectionRefusedError"):
            one.talk_to(two)
        with pytest.raises(ConnectionRefusedError):
            three.call()
        spared.echoes()
        client.echoes()
        await agent.apply({})
        one.talk_to(two).echoes()
        three.call().echoes()

    bending(scenario)


def test_a_reset_ends_what_is_open_and_nothing_else(peers, bending):
    """A reset ends idle connections among nodes and of clients, whoever opened them; new ones are not even delayed."""
    one, two, three = peers

    async def scenario(agent):
        lines = [one.talk_to(two), two.talk_to(one), one.talk_to(two)]
        client, spared = two.call(), one.talk_to(three)
        for line in (*lines, client, spared):
            line.echoes()
        assert await agent.reset([(one.address, two.address), (GATEWAY, two.address)]) >= 4
        assert all(line.is_reset() for line in (*lines, client))
        spared.echoes()
        one.talk_to(two).echoes()
        two.call().echoes()

    bending(scenario)


def test_a_reset_of_nothing_is_none(bending):
    """Where no connection is open, none is reset."""

    async def scenario(agent):
        assert await agent.reset([("172.28.241.98", "172.28.241.99")]) == 0

    bending(scenario)


def test_a_delay_is_what_was_asked_for_each_way(peers, bending):
    """An echo takes the sum of both ways' delays more, on an open connection, and no other pair's does."""
    one, two, three = peers

    async def scenario(agent):
        line, spared = one.talk_to(two), one.talk_to(three)
        await agent.apply(
            {(one.address, two.address): Bend(delay_ns=60 * MS), (two.address, one.address): Bend(delay_ns=20 * MS)}
        )
        times = sorted(line.echoes() for _ in range(5))
        assert 0.079 < times[0] < 0.2
        assert min(spared.echoes() for _ in range(5)) < 0.079
        await agent.apply({})
        assert min(line.echoes() for _ in range(5)) < 0.079

    bending(scenario)


def test_a_delay_holds_for_clients_too(peers, bending):
    """A client's request and its answer are each held back."""
    one, _, _ = peers

    async def scenario(agent):
        line = one.call()
        await agent.apply(both(GATEWAY, one.address, Bend(delay_ns=30 * MS)))
        assert 0.059 < min(line.echoes() for _ in range(5)) < 0.15

    bending(scenario)


def test_jitter_spreads_arrivals_and_keeps_their_order(peers, bending):
    """With jitter no datagram overtakes another, and none is lost."""
    one, two, _ = peers

    async def scenario(agent):
        await agent.apply({(one.address, two.address): Bend(delay_ns=20 * MS, jitter_ns=15 * MS)})
        assert one.datagrams_to(two, 200) == list(range(200))

    bending(scenario)


def test_every_nth_packet_is_lost(peers, bending):
    """Of two hundred datagrams every fourth is missing, exactly."""
    one, two, _ = peers

    async def scenario(agent):
        await agent.apply({(one.address, two.address): Bend(disturbance=Disturbance(drop_every=4))})
        assert one.datagrams_to(two, 200) == [number for number in range(200) if number % 4 != 3]

    bending(scenario)


def test_a_share_of_the_packets_is_lost_and_a_connection_survives_it(peers, bending):
    """About the asked share of datagrams is lost, the same ones for the same seed; a stream arrives whole."""
    one, two, _ = peers
    bends = {(one.address, two.address): Bend(disturbance=Disturbance(drop=0.3, seed=5))}

    async def scenario(agent):
        line = one.talk_to(two)
        await agent.apply(bends)
        first = one.datagrams_to(two, 400)
        assert 200 < len(first) < 340
        await agent.apply({})
        await agent.apply(bends)
        assert one.datagrams_to(two, 400) == first
        assert line.echoes(b"x" * 20_000, within_s=20) > 0

    bending(scenario)


def test_packets_are_doubled(peers, bending):
    """About the asked share of datagrams comes twice, and none is lost; those from clients on the host, too."""
    one, two, _ = peers

    async def scenario(agent):
        await agent.apply({(one.address, two.address): Bend(disturbance=Disturbance(duplicate=0.3, seed=1))})
        back = one.datagrams_to(two, 200)
        assert set(back) == set(range(200))
        assert 30 < len(back) - 200 < 95
        assert (await agent.counts()).doubled == len(back) - 200

    bending(scenario)


def test_packets_to_and_from_the_host_are_doubled(peers, bending):
    """Doubles reach a node from the host and the host from a node."""
    one, _, _ = peers

    async def scenario(agent):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.5)
            for pair in ((GATEWAY, one.address), (one.address, GATEWAY)):
                await agent.apply({pair: Bend(disturbance=Disturbance(duplicate=1.0))})
                client.sendto(b"1", (one.address, 7001))
                assert [client.recv(10), client.recv(10)] == [b"1", b"1"], pair

    bending(scenario)


def test_packets_are_overtaken(peers, bending):
    """Some datagrams come after later ones; none is lost or doubled."""
    one, two, _ = peers

    async def scenario(agent):
        await agent.apply({(one.address, two.address): Bend(disturbance=Disturbance(reorder=0.2, reorder_by_ns=30 * MS))})
        back = one.datagrams_to(two, 200)
        assert sorted(back) == list(range(200))
        assert sum(later < earlier for earlier, later in itertools.pairwise(back)) > 15
        assert 15 < (await agent.counts()).late < 80

    bending(scenario)


def test_a_rate_is_kept_by_a_stream(peers, bending):
    """A stream takes no less than its rate says; without the limit it takes less."""
    one, two, _ = peers

    async def scenario(agent):
        line = one.talk_to(two)
        await agent.apply({(one.address, two.address): Bend(bytes_per_second=200_000)})
        assert line.echoes(b"x" * 300_000, within_s=10) > 1.2
        await agent.apply({})
        assert line.echoes(b"x" * 300_000) < 1.2

    bending(scenario)


def test_what_waits_is_lost_by_a_cut_and_arrives_early_after_healing(peers, bending):
    """Healing lets go of what a delay still holds; a cut loses it."""
    one, two, _ = peers

    async def scenario(agent):
        slow = both(one.address, two.address, Bend(delay_ns=30_000 * MS))
        line = one.talk_to(two)
        await agent.apply(slow)
        line.send(b"hello")
        await asyncio.sleep(0.1)
        assert (await agent.counts()).held > 0
        await agent.apply(both(one.address, two.address, CUT))
        counts = await agent.counts()
        assert counts.held == 0
        assert counts.lost > 0
        await agent.apply(slow)
        line.send(b" again")
        await asyncio.sleep(0.3)
        await agent.apply({})
        assert line.receive(within_s=20).startswith(b"hello")

    bending(scenario)


def test_packets_pass_where_the_program_that_holds_them_is_dead(peers, bending):
    """A dead queue program is no partition: its packets pass."""
    one, two, _ = peers

    async def scenario(agent):
        line = one.talk_to(two)
        await agent.apply(both(one.address, two.address, Bend(delay_ns=100 * MS)))
        assert line.echoes() > 0.19
        await agent._console.call("kill -9 $!")
        await asyncio.sleep(0.1)
        assert min(line.echoes() for _ in range(5)) < 0.19

    bending(scenario)


def test_two_runs_bend_the_same_machine_without_meeting(engine, peers, bending):
    """The agents of two runs each keep their own state, and the end of one leaves the other's."""
    one, two, three = peers

    async def scenario(agent):
        first, second = one.talk_to(two), one.talk_to(three)
        other = await Agent.start(engine, run="test-other", labels={"anachron.test": "agent"})
        try:
            await agent.apply({(one.address, two.address): Bend(delay_ns=60 * MS)})
            await other.apply({(one.address, three.address): Bend(delay_ns=120 * MS)})
            assert 0.059 < min(first.echoes() for _ in range(5)) < 0.119
            assert min(second.echoes() for _ in range(5)) > 0.119
        finally:
            await other.close()
        assert min(second.echoes() for _ in range(5)) < 0.119
        assert min(first.echoes() for _ in range(3)) > 0.059

    bending(scenario)


def test_a_whole_fleet_is_bent_at_once(bending):
    """Thirty directed pairs are cut by one script, and healed by one: each replaces the kernel's rules in one transaction."""
    addresses = [f"172.28.241.{number}" for number in range(11, 17)]
    bends = {(source, target): CUT for source in addresses for target in addresses if source != target}

    async def scenario(agent):
        scripts, call = [], agent._console.call
        agent._console.call = lambda script, **how: scripts.append(script) or call(script, **how)
        await agent.apply(bends)
        await agent.apply({})
        assert [script.count("nft -f") for script in scripts] == [1, 1]
        assert all(address in scripts[0] for address in addresses)
        assert not any(address in scripts[1] for address in addresses)

    bending(scenario)
