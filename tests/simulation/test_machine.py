"""Virtual machines: how flows run, stop, and die with their process."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from harness.reference.effects import Call, Calls, Flow, Gate, Latch, Open, Refused, Sleep, Unreachable, Wait
from harness.reference.gates import Gates
from harness.reference.node import Actor
from harness.reference.settings import Settings
from harness.simulation.engine import Engine
from harness.simulation.machine import Machine
from harness.simulation.network import Network, Pace

MS = 1_000_000


class Echo(Actor):
    """Replies what it is asked, refuses "no", and keeps what it hears."""

    def __init__(self, place) -> None:
        super().__init__(place)
        self.heard: list[Any] = []

    def hear(self, source, message) -> None:
        self.heard.append((source, message))

    def serve(self, source, request) -> Flow[Any]:  # noqa: ARG002 - it answers everybody alike
        if request == "no":
            raise Refused("no")
        yield Sleep(request * MS if isinstance(request, int) else 0)
        return request


class World:
    """Two machines, a and b."""

    def __init__(self) -> None:
        self.engine, self.gates = Engine(), Gates()
        self.network = Network(self.engine, Random(1), Pace(1, 1))
        settings = Settings(call_timeout_ns=100 * MS)
        machines = {
            name: Machine(
                name,
                Echo,
                engine=self.engine,
                network=self.network,
                gates=self.gates,
                peers=("a", "b"),
                settings=settings,
                seed="1",
            )
            for name in ("a", "b")
        }
        for machine in machines.values():
            machine.machines = machines
        self.a, self.b = machines["a"], machines["b"]

    def result(self, flow, within_ms=1_000) -> Any:
        """What a flow on a returns, its error, or "nothing yet"."""
        ends: list[Any] = []
        self.a.spawn(flow, lambda value, error: ends.append(error or value))
        self.engine.run(self.engine.now_ns + within_ms * MS)
        return ends[0] if ends else "nothing yet"


@pytest.fixture
def world():
    return World()


def one(effect) -> Flow[Any]:
    """A flow that waits for one thing, and returns what it is sent."""
    return (yield effect)


def test_a_call_is_sent_its_reply(world):
    """Across the network and back."""
    assert world.result(one(Call("b", "hello"))) == "hello"


def test_a_refusal_is_raised_where_the_call_was_made(world):
    """With its reason."""
    assert repr(world.result(one(Call("b", "no")))) == repr(Refused("no"))


@pytest.mark.parametrize("trouble", ["cut there", "cut back", "dead", "paused", "slow"])
def test_a_call_without_a_reply_is_unreachable_after_its_time(world, trouble):
    """Whatever the trouble is, at the same moment."""
    match trouble:
        case "cut there":
            world.network.bend(("a", "b")).cut = True
        case "cut back":
            world.network.bend(("b", "a")).cut = True
        case "dead":
            world.b.kill()
        case "paused":
            world.b.pause()
    request = 200 if trouble == "slow" else 1
    assert world.result(one(Call("b", request)), within_ms=99) == "nothing yet"
    assert isinstance(world.result(one(Call("b", request)), within_ms=101), Unreachable)


def test_a_call_may_have_a_time_of_its_own(world):
    """Shorter or longer than the fleet's."""
    assert isinstance(world.result(one(Call("b", 20, within_ns=10 * MS)), within_ms=11), Unreachable)
    assert world.result(one(Call("b", 150, within_ns=200 * MS))) == 150


def test_replies_of_several_calls_come_in_the_order_of_the_calls(world):
    """None stands for each that got none; one silent place does not hide the others."""
    calls = Calls((Call("b", 30), Call("b", "no"), Call("b", 10), Call("b", 500)))
    assert world.result(one(calls)) == (30, None, 10, None)
    assert world.result(one(Calls(()))) == ()


def test_a_late_reply_is_nobodys(world):
    """The flow that has given up is not woken again by it."""

    def patient() -> Flow[Any]:
        try:
            yield Call("b", 150)
        except Unreachable:
            yield Sleep(100 * MS)
        return "once"

    assert world.result(patient()) == "once"


def test_flows_that_wait_for_a_latch_go_on_with_its_result(world):
    """Those that come before it is set, and those that come after."""
    latch = Latch()
    ends: list[Any] = []
    for _ in range(2):
        world.a.spawn(one(Wait(latch)), lambda value, _: ends.append(value))
    world.engine.run(MS)
    assert ends == []
    world.result(one(Open(latch, "found")))
    assert ends == ["found", "found"]
    assert world.result(one(Wait(latch))) == "found"


def test_a_shut_gate_holds_flows_until_it_opens(world):
    """At that machine only, and at that gate."""
    world.gates.shut("a", "door")
    ends: list[Any] = []
    world.a.spawn(one(Gate("door", "x")), lambda *_: ends.append("door"))
    world.a.spawn(one(Gate("window", "x")), lambda *_: ends.append("window"))
    world.b.spawn(one(Gate("door", "x")), lambda *_: ends.append("elsewhere"))
    world.engine.run(MS)
    assert ends == ["window", "elsewhere"]
    assert world.gates.crowd() == 1
    world.gates.open("a", "door")
    assert ends[-1] == "door"


def test_a_paused_process_takes_in_afterwards_what_came_meanwhile(world):
    """In its order, and its own sleeps end late."""
    ends: list[int] = []
    world.b.spawn(one(Sleep(5 * MS)), lambda *_: ends.append(world.engine.now_ns))
    world.b.pause()
    for number in (1, 2, 3):
        world.a.send("b", number)
    world.engine.run(50 * MS)
    assert world.b.actor.heard == []
    world.b.resume()
    world.engine.run(51 * MS)
    assert world.b.actor.heard == [("a", 1), ("a", 2), ("a", 3)]
    assert ends == [50 * MS]


def test_flows_die_with_their_process_and_the_next_life_knows_nothing(world):
    """Nothing of the old life wakes up in the new one."""
    ends: list[Any] = []
    world.b.spawn(one(Sleep(5 * MS)), lambda *_: ends.append("alive"))
    world.b.spawn(one(Call("a", 3)), lambda *_: ends.append("answered"))
    world.a.send("b", "before")
    world.engine.run(MS)
    world.b.kill()
    world.a.send("b", "lost")
    world.engine.run(2 * MS)
    world.b.restart(keep_data=True)
    world.a.send("b", "after")
    world.engine.run(500 * MS)
    assert ends == []
    assert world.b.actor.heard == [("a", "after")]
    assert [identity for _, _, identity in world.b.epochs] == ["life 1", "life 2"]


def test_an_unknown_message_is_an_error_of_ours(world):
    """It is never swallowed: a strategy that does not listen is a mistake, not a fault."""
    with pytest.raises(TypeError, match="does not understand 'what' of b"):
        Actor(world.a).hear("b", "what")


def test_a_slow_clock_makes_sleeps_longer_and_shows_less_time(world):
    """At half the rate 10 ms take 20, and are 10 on the place's own clock."""
    world.a.bend_clock(rate=0.5)
    ends: list[tuple[int, int]] = []
    world.a.spawn(one(Sleep(10 * MS)), lambda *_: ends.append((world.engine.now_ns, world.a.monotonic_ns())))
    world.engine.run(100 * MS)
    assert ends == [(20 * MS, 10 * MS)]


def test_a_wall_clock_that_is_set_moves_no_monotonic_one(world):
    """Nor does it stay set once it is right again."""
    world.engine.run(10 * MS)
    world.a.bend_clock(wall_ns=-5 * MS)
    assert (world.a.monotonic_ns(), world.a.wall_ns()) == (10 * MS, 5 * MS)
    world.a.bend_clock()
    assert world.a.wall_ns() == 10 * MS


def test_who_takes_an_office_is_in_a_new_epoch(world):
    """From that moment on."""
    world.engine.run(7)
    world.a.become("primary")
    assert world.a.epochs == [(0, 7, "life 1"), (7, None, "life 1 primary")]
