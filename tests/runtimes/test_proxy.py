"""The proxy process, each of its modes observed at the sockets on both sides of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from harness.errors import HarnessError
from harness.runtimes import addresses, procfs
from harness.runtimes.base import Endpoint, Way
from harness.runtimes.messages import Action, MessageRule
from harness.runtimes.proxies import Proxies, Route, Traffic
from harness.runtimes.shaping import HELD_MAX
from harness.topology import Link

LINK = Link("a", "b")
SILENCE_S = 0.12
PATIENCE_S = 15


@dataclass
class Peer:
    """One end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, content: bytes) -> None:
        self.writer.write(content)
        await self.writer.drain()

    async def receive(self, count: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(count), PATIENCE_S)

    async def hears_nothing(self) -> bool:
        """Neither bytes nor an end come for a while; what comes is not lost."""
        reading = asyncio.create_task(self.reader.read(1))
        done, _ = await asyncio.wait([reading], timeout=SILENCE_S)
        reading.cancel()
        return not done

    async def ended(self) -> bool:
        return await asyncio.wait_for(self.reader.read(1), PATIENCE_S) == b""

    async def was_reset(self) -> bool:
        try:
            await asyncio.wait_for(self.reader.read(1), PATIENCE_S)
        except ConnectionResetError:
            return True
        return False


@dataclass
class Rig:
    """A target that hands its connections to the test, and a proxied link to it."""

    proxies: Proxies
    route: Route
    arrived: asyncio.Queue[Peer] = field(default_factory=asyncio.Queue)
    peers: list[Peer] = field(default_factory=list)

    async def connect(self) -> Peer:
        near = Peer(*await asyncio.open_connection(*self.route.listen))
        self.peers.append(near)
        return near

    async def far(self) -> Peer:
        return await asyncio.wait_for(self.arrived.get(), PATIENCE_S)

    async def pair(self) -> tuple[Peer, Peer]:
        """Both ends of a new connection, open all the way."""
        near = await self.connect()
        return near, await self.far()

    async def traffic(self) -> Traffic:
        return (await self.proxies.traffic())[str(LINK)]

    async def until(self, seen: Callable[[Traffic], bool]) -> None:
        """Wait until the proxy has come so far; it may be slower than we are."""
        deadline = time.monotonic() + PATIENCE_S
        while not seen(await self.traffic()):
            assert time.monotonic() < deadline, f"it never came to this: {await self.traffic()}"
            await asyncio.sleep(0.005)

    async def until_forgotten(self) -> None:
        await self.until(lambda traffic: traffic.open == 0)


@pytest.fixture
def rig(tmp_path):
    @asynccontextmanager
    async def build(protocol: str = "") -> AsyncIterator[Rig]:
        block = addresses.Block(3)
        listen, target, source = block.endpoints
        proxies = await Proxies.start(tmp_path, tmp_path / "proxy.log")
        rig = Rig(proxies, Route(LINK, listen, target, source.host, protocol))

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer = Peer(reader, writer)
            rig.peers.append(peer)
            rig.arrived.put_nowait(peer)

        server = await asyncio.start_server(accept, *target, reuse_address=True)
        try:
            await proxies.open([rig.route])
            yield rig
        finally:
            for peer in rig.peers:
                peer.writer.close()
            server.close()
            proxies.hang_up()
            await proxies.child.stop(5)
            block.close()
            complaints = (tmp_path / "proxy.log").read_text()
            assert not complaints, complaints

    return build


def play(scenario) -> None:
    asyncio.run(asyncio.wait_for(scenario, 60))


def test_bytes_pass_unchanged_both_ways(rig):
    """Megabytes in odd chunks arrive as they were sent, in both directions at once, and are counted."""
    forth, back = random.Random(1).randbytes(3_000_000), random.Random(2).randbytes(2_500_000)

    async def push(peer: Peer, content: bytes) -> None:
        sizes, at = random.Random(len(content)), 0
        while at < len(content):
            size = sizes.randint(1, 200_000)
            await peer.send(content[at : at + size])
            at += size

    async def scenario():
        async with rig() as link:
            near, far = await link.pair()
            _, _, at_far, at_near = await asyncio.gather(
                push(near, forth), push(far, back), far.receive(len(forth)), near.receive(len(back))
            )
            assert (at_far, at_near) == (forth, back)
            assert await link.traffic() == Traffic(1, 1, len(forth), len(back), 0, 0)  # counted before they are passed on

    play(scenario())


def test_target_sees_the_source_address(rig):
    """A connection comes from the address of the source node, not of the proxy."""

    async def scenario():
        async with rig() as link:
            _, far = await link.pair()
            assert far.writer.get_extra_info("peername")[0] == link.route.source

    play(scenario())


def test_half_close_passes(rig):
    """A side that has finished sending still hears the other; the connection is forgotten when both have finished."""

    async def scenario():
        async with rig() as link:
            near, far = await link.pair()
            await near.send(b"question")
            near.writer.write_eof()
            assert await asyncio.wait_for(far.reader.read(), PATIENCE_S) == b"question"
            await far.send(b"answer")
            far.writer.write_eof()
            assert await asyncio.wait_for(near.reader.read(), PATIENCE_S) == b"answer"
            await link.until_forgotten()

    play(scenario())


def test_delayed_ends_are_forgotten_too(rig):
    """A connection whose ends come out of a delay is over when both have."""

    async def scenario():
        async with rig() as link:
            near, far = await link.pair()
            await link.proxies.delay([LINK], 30_000_000, 0)
            near.writer.write_eof()
            far.writer.write_eof()
            assert await asyncio.gather(near.ended(), far.ended()) == [True, True]
            await link.until_forgotten()

    play(scenario())


@pytest.mark.parametrize("which", ["near", "far"])
def test_reset_of_one_side_reaches_the_other(rig, which):
    """A peer that dies with a reset is a reset for its opposite."""

    async def scenario():
        async with rig() as link:
            near, far = await link.pair()
            dying, other = (near, far) if which == "near" else (far, near)
            _reset(dying)
            assert await other.was_reset()
            await link.until_forgotten()

    play(scenario())


def _reset(peer: Peer) -> None:
    peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.writer.transport.abort()


def test_black_hole_holds_both_directions_until_the_mend(rig):
    """On a cut link an open connection stays open and carries nothing; what was sent arrives, in order, after the mend."""

    async def scenario():
        async with rig() as link:
            near, far = await link.pair()
            await near.send(b"0")
            assert await far.receive(1) == b"0"
            await link.proxies.cut([LINK], Way.BOTH)
            await asyncio.gather(near.send(b"12"), far.send(b"ab"))
            assert all(await asyncio.gather(near.hears_nothing(), far.hears_nothing()))
            await near.send(b"3")
            assert await far.hears_nothing()
            await link.until(lambda traffic: traffic == Traffic(1, 1, 1, 0, 3, 2))
            await link.proxies.mend([LINK])
            assert await far.receive(3) == b"123"
            assert await near.receive(2) == b"ab"

    play(scenario())


@pytest.mark.parametrize("way", [Way.FORWARD, Way.BACKWARD])
def test_cut_of_one_direction_leaves_the_other(rig, way):
    """Bytes against the cut direction still pass at once."""

    async def scenario():
        async with rig() as link:
            near, far = await link.pair()
            sender, deaf = (near, far) if way is Way.FORWARD else (far, near)
            await link.proxies.cut([LINK], way)
            await sender.send(b"held")
            await deaf.send(b"free")
            assert await sender.receive(4) == b"free"
            assert await deaf.hears_nothing()
            await link.proxies.mend([LINK])
            assert await deaf.receive(4) == b"held"

    play(scenario())


@pytest.mark.parametrize("way", list(Way))
def test_new_connection_hangs_on_a_cut_link(rig, way):
    """A connection made during a cut reaches the target only after the mend, with what was sent meanwhile."""

    async def scenario():
        async with rig() as link:
            await link.proxies.cut([LINK], way)
            near = await link.connect()
            await near.send(b"hello")
            assert await near.hears_nothing()
            assert link.arrived.empty()
            await link.proxies.mend([LINK])
            far = await link.far()
            assert await far.receive(5) == b"hello"

    play(scenario())


def test_connection_given_up_during_a_cut_never_arrives(rig):
    """Who gives up while the link is cut is not delivered after the mend: its handshake could not have been completed."""

    async def scenario():
        async with rig() as link:
            await link.proxies.cut([LINK], Way.BOTH)
            near = await link.connect()
            await near.send(b"hello")
            assert await near.hears_nothing()
            await link.until(lambda traffic: traffic.open == 1)
            near.writer.close()
            await link.until_forgotten()
            await link.proxies.mend([LINK])
            _, far = await link.pair()
            await asyncio.sleep(SILENCE_S)
            assert link.arrived.empty()
            assert far.writer.get_extra_info("peername")

    play(scenario())


def test_end_of_a_connection_is_held_by_a_cut(rig):
    """Neither a close nor a reset crosses a cut link; both come, after the bytes before them, with the mend."""

    async def scenario():
        async with rig() as link:
            near, far = await link.pair()
            near_2, far_2 = await link.pair()
            await link.proxies.cut([LINK], Way.BOTH)
            await near.send(b"last words")
            near.writer.close()
            _reset(far_2)
            assert all(await asyncio.gather(far.hears_nothing(), near_2.hears_nothing()))
            await link.proxies.mend([LINK])
            assert await far.receive(10) == b"last words"
            assert await far.ended()
            assert await near_2.was_reset()

    play(scenario())


def test_mend_survives_owners_that_left(rig):
    """What a cut held for a peer that has gone meanwhile is dropped, and its connection forgotten."""

    async def scenario():
        async with rig() as link:
            near, far = await link.pair()
            await link.proxies.cut([LINK], Way.BACKWARD)
            await far.send(b"answer")
            far.writer.write_eof()
            near.writer.close()
            assert await far.ended()
            await link.until(lambda traffic: traffic.held_backward == 6)
            await link.proxies.mend([LINK])
            await link.until_forgotten()

    play(scenario())


def test_refusal_resets_and_refuses_until_the_mend(rig):
    """A refused link resets both ends of what is open and refuses what is new."""

    async def scenario():
        async with rig() as link:
            near, far = await link.pair()
            await link.proxies.refuse([LINK])
            assert await near.was_reset()
            assert await far.was_reset()
            with pytest.raises(ConnectionRefusedError):
                await link.connect()
            await link.proxies.mend([LINK])
            near, far = await link.pair()
            await near.send(b"again")
            assert await far.receive(5) == b"again"

    play(scenario())


def test_reset_strikes_open_connections_once(rig):
    """A reset ends what is open at both ends and leaves the link as it was."""

    async def scenario():
        async with rig() as link:
            pairs = [await link.pair() for _ in range(3)]
            await link.proxies.reset([LINK])
            for near, far in pairs:
                assert await near.was_reset()
                assert await far.was_reset()
            assert (await link.traffic()).open == 0
            near, far = await link.pair()
            await near.send(b"on")
            assert await far.receive(2) == b"on"

    play(scenario())


def test_dead_target_is_a_reset(rig):
    """Nobody listens at the target: the connection ends with a reset."""

    async def scenario():
        async with rig() as link:
            nowhere = addresses.Block(2)
            listen, target = nowhere.endpoints
            await link.proxies.open([Route(Link("a", "c"), listen, target, None)])
            with socket.create_connection(listen) as near, pytest.raises(ConnectionResetError):
                near.recv(1)
            nowhere.close()

    play(scenario())


def test_delay_shifts_the_round_trip_of_open_connections(rig):
    """The round trip grows by twice the delay, and falls back after the mend."""
    delay_ns = 40_000_000

    async def scenario():
        async with rig() as link:
            near, far = await link.pair()
            await _round_trip_ns(near, far)
            await link.proxies.delay([LINK], delay_ns, 0)
            shifted = min([await _round_trip_ns(near, far) for _ in range(4)])
            await link.proxies.mend([LINK])
            direct = min([await _round_trip_ns(near, far) for _ in range(20)])
            assert 2 * delay_ns <= shifted < 2 * delay_ns + 1_000_000_000
            assert direct < 2 * delay_ns

    play(scenario())


async def _round_trip_ns(near: Peer, far: Peer) -> int:
    begun_ns = time.monotonic_ns()
    await near.send(b"ping")
    await far.send(await far.receive(4))
    await near.receive(4)
    return time.monotonic_ns() - begun_ns


def test_mend_releases_what_a_delay_still_holds(rig):
    """Bytes under a long delay arrive at once when the delay goes."""

    async def scenario():
        async with rig() as link:
            near, far = await link.pair()
            await link.proxies.delay([LINK], 3_600_000_000_000, 0)
            await near.send(b"late")
            assert await far.hears_nothing()
            await link.proxies.mend([LINK])
            assert await far.receive(4) == b"late"

    play(scenario())


def test_order_is_kept_under_jitter(rig):
    """Chunks with very different delays arrive in the order in which they were sent, none before its least delay."""

    async def scenario():
        async with rig() as link:
            near, far = await link.pair()
            await link.proxies.delay([LINK], 50_000_000, 45_000_000)
            chunks = [b"%03d" % number for number in range(120)]
            begun_ns = time.monotonic_ns()
            for chunk in chunks:
                await near.send(chunk)
                await asyncio.sleep(0.001)
            assert await far.receive(3 * len(chunks)) == b"".join(chunks)
            assert time.monotonic_ns() - begun_ns >= 5_000_000

    play(scenario())


def test_throttle_limits_all_connections_together(rig):
    """Two connections share the rate; both directions have their own; the mend lets the rest go."""
    rate, size = 400_000, 60_000

    async def scenario():
        async with rig() as link:
            pairs = [await link.pair() for _ in range(2)]
            await link.proxies.throttle([LINK], rate)
            begun = time.monotonic()
            await asyncio.gather(*(near.send(bytes(size)) for near, _ in pairs), *(far.receive(size) for _, far in pairs))
            took = time.monotonic() - begun
            fastest = 2 * size / rate - 0.03  # the credit of an idle lane, and its first piece
            assert fastest <= took < PATIENCE_S
            await link.proxies.throttle([LINK], 10)
            near, far = pairs[0]
            await near.send(bytes(size))
            await link.until(lambda traffic: traffic.held_forward > size // 2)
            await link.proxies.mend([LINK])
            await far.receive(size)

    play(scenario())


def test_slow_reader_slows_the_sender(rig):
    """The proxy holds a bounded amount for a peer that does not read, and loses nothing of it."""
    size = 48 << 20

    async def scenario():
        async with rig() as link:
            near, far = await link.pair()
            far.reader._transport.pause_reading()
            sending = asyncio.create_task(near.send(bytes(size)))
            await asyncio.sleep(0.3)
            assert not sending.done()
            assert (await link.traffic()).held_forward <= HELD_MAX + (1 << 20)
            far.reader._transport.resume_reading()
            received = 0
            while received < size:
                received += len(await asyncio.wait_for(far.reader.read(1 << 20), PATIENCE_S))
            await sending
            assert received == size

    play(scenario())


def test_faults_strike_one_link_only(rig):
    """Another link of the same proxy goes on while one is cut."""

    async def scenario():
        async with rig() as link:
            extra = addresses.Block(1)
            other = Route(Link("c", "b"), extra.endpoints[0], link.route.target, None)
            await link.proxies.open([other])
            near, _ = await link.pair()
            await link.proxies.cut([LINK], Way.BOTH)
            await near.send(b"held")
            free = Peer(*await asyncio.open_connection(*other.listen))
            far = await link.far()
            await free.send(b"free")
            assert await far.receive(4) == b"free"
            free.writer.close()
            extra.close()

    play(scenario())


def test_dead_proxy_is_a_clear_error(tmp_path):
    """A command to a proxy that was killed says so instead of hanging."""

    async def scenario():
        proxies = await Proxies.start(tmp_path, tmp_path / "proxy.log")
        await proxies.traffic()
        os.kill(proxies.child.pid, signal.SIGKILL)
        with pytest.raises(HarnessError, match="SIGKILL"):
            await proxies.cut([], Way.BOTH)
        proxies.hang_up()
        await proxies.child.stop(5)

    play(scenario())


def test_cancelled_command_does_not_confuse_the_next(tmp_path):
    """The answer to a command whose sender was cancelled is not taken for the answer to the next one."""

    async def scenario():
        proxies = await Proxies.start(tmp_path, tmp_path / "proxy.log")
        os.kill(proxies.child.pid, signal.SIGSTOP)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(proxies.cut([], Way.BOTH), 0.05)
        os.kill(proxies.child.pid, signal.SIGCONT)
        assert await proxies.traffic() == {}
        proxies.hang_up()
        await proxies.child.stop(5)

    play(scenario())


def test_proxy_ends_with_its_control_socket(tmp_path):
    """Nobody needs to kill a proxy: it ends when nobody can command it."""

    async def scenario():
        proxies = await Proxies.start(tmp_path, tmp_path / "proxy.log")
        await proxies.traffic()
        proxies.hang_up()
        assert await proxies.child.ended(PATIENCE_S)
        assert procfs.state(proxies.child.pid) == ""
        assert proxies.child.ending == "it ended with status 0"

    play(scenario())


def test_listener_taken_is_an_error(tmp_path):
    """A link whose address is in use cannot be opened, and the message names the reason."""

    async def scenario():
        block = addresses.Block(1)
        server = await asyncio.start_server(lambda _reader, _writer: None, *block.endpoints[0], reuse_address=True)
        proxies = await Proxies.start(tmp_path, tmp_path / "proxy.log")
        with pytest.raises(HarnessError, match="in use"):
            await proxies.open([Route(LINK, block.endpoints[0], Endpoint("127.0.0.1", 1), None)])
        proxies.hang_up()
        await proxies.child.stop(5)
        server.close()
        block.close()

    play(scenario())


def put(key: str, size: int) -> bytes:
    return b"set %b 0 0 %d\r\n%b\r\n" % (key.encode(), size, b"v" * size)


def test_followed_bytes_pass_unchanged_while_rules_come_and_go(rig):
    """Messages of all sizes, in odd chunks, both ways at once; the rules match none of them."""
    requests = b"".join(put("k", random.Random(n).choice((0, 9, 5_000, 1_500_000))) + b"get k\r\n" for n in range(12))
    answers = b"".join(b"STORED\r\nVALUE k 0 4\r\nEND\r\r\nEND\r\n" for _ in range(9_000))

    async def push(peer: Peer, content: bytes) -> None:
        sizes, at = random.Random(len(content)), 0
        while at < len(content):
            size = sizes.randint(1, 30_000)
            await peer.send(content[at : at + size])
            at += size
            await asyncio.sleep(0)

    async def scenario():
        async with rig("memcached") as link:
            near, far = await link.pair()
            moving = asyncio.gather(
                push(near, requests), push(far, answers), far.receive(len(requests)), near.receive(len(answers))
            )
            while not moving.done():
                await link.proxies.meddle([LINK], MessageRule(Action.DROP, "touch"), Way.BOTH)
                await asyncio.sleep(0.002)
                await link.proxies.mend([LINK])
            _, _, at_far, at_near = await moving
            assert (at_far, at_near) == (requests, answers)
            assert (await link.traffic()).lost == 0

    play(scenario())


def test_end_of_a_connection_waits_behind_a_held_message(rig):
    """Who sends and goes away is heard of after the mend, in that order; what did not match went on before."""

    async def scenario():
        async with rig("memcached") as link:
            await link.proxies.meddle([LINK], MessageRule(Action.HOLD, "set"), Way.FORWARD)
            near, far = await link.pair()
            await near.send(put("k", 3) + b"get k\r\n" + b"half")
            assert await far.receive(7) == b"get k\r\n"
            near.writer.close()
            assert await far.hears_nothing()
            traffic = await link.traffic()
            assert (traffic.matched, traffic.meddled, traffic.held_forward) == (1, 1, len(put("k", 3)))
            await link.proxies.mend([LINK])
            assert await far.receive(len(put("k", 3))) == put("k", 3)
            assert await far.receive(4) == b"half"
            assert await far.ended()

    play(scenario())


def test_held_messages_stop_the_reading(rig):
    """What is held does not grow without bound: the rest stays with the sender, and all of it arrives after the mend."""
    each, count = put("k", 100_000), 200

    async def scenario():
        async with rig("memcached") as link:
            await link.proxies.meddle([LINK], MessageRule(Action.HOLD, "set"), Way.FORWARD)
            near, far = await link.pair()
            sending = asyncio.create_task(near.send(each * count))
            await link.until(lambda traffic: traffic.held_forward > HELD_MAX)
            assert await far.hears_nothing()
            assert (await link.traffic()).held_forward < HELD_MAX + (1 << 20)
            assert not sending.done()
            await link.proxies.mend([LINK])
            assert await far.receive(len(each) * count) == each * count
            await sending

    play(scenario())


def test_bytes_of_another_protocol_pass_and_are_counted(rig):
    """A rule for all messages strikes none of them; the count outlasts the connection."""

    async def scenario():
        async with rig("resp") as link:
            await link.proxies.meddle([LINK], MessageRule(Action.DROP), Way.BOTH)
            near, far = await link.pair()
            await near.send(b"\x16\x03\x01hello")
            await far.send(b"\x16\x03\x03hello you")
            assert await far.receive(8) == b"\x16\x03\x01hello"
            assert await near.receive(12) == b"\x16\x03\x03hello you"
            near.writer.close()
            far.writer.close()
            await link.until_forgotten()
            traffic = await link.traffic()
            assert (traffic.matched, traffic.meddled, traffic.lost) == (0, 0, 20)

    play(scenario())
