"""The TCP proxy on the links: a process of its own, so that the work of the harness never delays a link, nor a link the harness.

    python -m harness.runtimes.proxy CONTROL

CONTROL is the file descriptor of a stream socket. Commands come in as one JSON object a line and are answered in order, each
after it is in force. The process ends when the socket is closed, and with the harness (see ``leash``).

Each link has one listener. What it accepts is connected to the target, from the address of the source node, so that the target
sees who is there; both directions then go through the lanes of ``shaping``. What the settings of a link mean:

* **black hole**: nothing passes, in one direction or both. Connections stay open; the end of one is held like its bytes. What was
  sent arrives after the mend, as TCP would send it again; what exceeds the buffers stays with the sender. A new connection is
  accepted and hears nothing; it is connected to its target at the mend, unless its owner has given up by then. One direction cut
  is enough for that: a handshake needs both.
* **refuse**: open connections are reset at both ends, and new ones are refused. It has no direction.
* **delay, jitter, throttle, reset**: on all connections, the open ones included.
* **meddle**: a rule on whole messages, see ``messages``; on links that were opened with a protocol, for that takes a look at
  every byte from the first one on.

A proxy's cut differs from a kernel's. There is no retransmission back-off: what was held arrives at once after the mend, where a
kernel lets up to about a third of the cut's length pass. Buffers answer: the proxy's kernel acknowledges what a broken wire would
not, up to a few megabytes. What had left for the target when the cut came is not taken back. One direction cut alone loses no
acknowledgements of the other. A connection to a dead node is accepted first and reset then. Handshakes are not delayed. Timers
are exact to about 1 ms.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
from collections.abc import Iterable
from time import monotonic_ns
from typing import Any, Protocol

from harness.runtimes.gate import Gate
from harness.runtimes.messages import CONVERSATIONS, Action, Message, MessageRule, Relay, Tally
from harness.runtimes.shaping import Flow, Lane, Mark, reset

_LINE_MAX = 16 << 20
_NAP_NS = 10_000_000
_STALL_NS = 20_000_000
"""As for the driver: what is shorter is the jitter of any machine."""
_BACKLOG = 1024


class Entry(Protocol):
    """Where what a side reads begins its way: a flow, or the gate before it."""

    def feed(self, content: bytes | Mark) -> None:
        """Take in bytes, or the end of them."""


class Side(asyncio.Protocol):
    """One end of a proxied connection: what it reads goes by ``entry`` to ``outward``, what it writes comes from ``inward``."""

    def __init__(self, connection: Connection, entry: Entry, outward: Flow, inward: Flow) -> None:
        self.connection = connection
        self.transport: asyncio.Transport | None = None
        self._entry = entry
        self._outward = outward
        self._inward = inward

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open; asyncio has set TCP_NODELAY on it."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # for the type checker
        self.transport = transport
        transport.set_write_buffer_limits(0)  # what the kernel does not take at once stays in the flow, where a cut can hold it
        self._outward.read_from(transport)
        self._inward.write_to(transport)
        self.connection.made(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        self._entry.feed(data)

    def eof_received(self) -> bool:
        """The peer has finished sending; it may still listen."""
        self._entry.feed(Mark.END)
        self.connection.settle()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection broke (``exc``), or was closed by us."""
        self.transport = None
        self._inward.stop()
        if exc is not None:
            self._entry.feed(Mark.RESET)
        self.connection.settle()

    def pause_writing(self) -> None:
        """The kernel takes no more for now."""
        self._inward.set_writable(False)

    def resume_writing(self) -> None:
        """The kernel takes bytes again."""
        self._inward.set_writable(True)


class Connection:
    """One proxied connection, from its acceptance to its end at both sides."""

    def __init__(self, link: Link) -> None:
        self.forward = Flow(link.forward, self.settle)
        self.backward = Flow(link.backward, self.settle)
        self.gates = self._gates(link)
        entries: tuple[Entry, ...] = self.gates or (self.forward, self.backward)
        self.near = Side(self, entries[0], self.forward, self.backward)
        self.far = Side(self, entries[1], self.backward, self.forward)
        self._link = link
        self._dialling: asyncio.Task[None] | None = None

    def _gates(self, link: Link) -> tuple[Gate, ...]:
        """The gates of both directions, if the protocol is known."""
        if not link.protocol:
            return ()
        requests, answers, ask = CONVERSATIONS[link.protocol]()
        forward = Relay(requests, link.rules["forward"], ask)
        backward = Relay(answers, link.rules["backward"], _nothing)
        return Gate(self.forward, forward), Gate(self.backward, backward)

    def made(self, side: Side) -> None:
        """A side is connected; the far one is sought once the near one is there."""
        if side is self.far:
            if self not in self._link.connections and side.transport:  # all was over before the target was reached
                reset(side.transport)
            return
        self._link.connections.add(self)
        self._link.accepted += 1
        if self._link.refusing:  # it was in the queue of the listener when that was closed
            self.reset()
        else:
            self.dial()

    def dial(self) -> None:
        """Connect to the target, unless that was begun already or the link is cut."""
        if self._dialling is None and not self._link.cut:
            self._dialling = asyncio.create_task(self._dial())

    async def _dial(self) -> None:
        link = self._link
        source = (link.source, 0) if link.source else None
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.far, *link.target, local_addr=source)
        except OSError:
            self.reset()

    def settle(self) -> None:
        """Look whether the connection is over: both directions have ended, or its owner left before it was let through."""
        given_up = self._dialling is None
        if given_up or (self.forward.ended and self.backward.ended):
            self.close()

    def close(self) -> None:
        """Close both sides, in good order."""
        self._leave()
        for side in (self.near, self.far):
            if side.transport:
                side.transport.close()

    def reset(self) -> None:
        """Reset both sides."""
        self._leave()
        for side in (self.near, self.far):
            if side.transport:
                reset(side.transport)

    def _leave(self) -> None:
        if self in self._link.connections:  # it is said more than once that a connection is over
            self._link.connections.remove(self)
            self._link.lost += sum(gate.relay.lost for gate in self.gates)
        for flow in (self.forward, self.backward):
            flow.stop()
        for gate in self.gates:
            gate.stop()


def _nothing(message: Message) -> None:
    """Nobody has to know of answers that have gone on."""


class Link:
    """One proxied link: its listener, its lanes, its connections, and the rules on its messages if it has a ``protocol``."""

    def __init__(
        self, name: str, listen: tuple[str, int], target: tuple[str, int], source: str | None, protocol: str = ""
    ) -> None:
        self.name = name
        self.target = target
        self.source = source
        self.protocol = protocol
        self.rules: dict[str, list[Tally]] = {"forward": [], "backward": []}
        self.lost = 0
        """Bytes that were not understood, on the connections that have ended."""
        self.forward = Lane(chance=random.Random(f"{name} forward"))
        self.backward = Lane(chance=random.Random(f"{name} backward"))
        self.connections: set[Connection] = set()
        self.accepted = 0
        self._listen = listen
        self._server: asyncio.Server | None = None

    @property
    def cut(self) -> bool:
        """Whether anything is cut, so that no handshake could be completed."""
        return self.forward.cut or self.backward.cut

    @property
    def refusing(self) -> bool:
        """Whether connections are refused."""
        return self._server is None

    async def listen(self) -> None:
        """Accept connections, if that is not so already."""
        if self._server is None:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: Connection(self).near, *self._listen, family=socket.AF_INET, reuse_address=True, backlog=_BACKLOG
            )

    def lanes(self, ways: Iterable[str]) -> tuple[Lane, ...]:
        """The lanes that ``forward`` and ``backward`` name."""
        return tuple({"forward": self.forward, "backward": self.backward}[way] for way in ways)

    def apply(self) -> None:
        """Let changed settings act on the open connections."""
        for connection in tuple(self.connections):
            connection.dial()
            connection.forward.pump()
            connection.backward.pump()

    def meddle(self, rule: MessageRule, ways: Iterable[str]) -> None:
        """Put a rule on the messages of all connections."""
        tally = Tally(rule)
        for way in ways:
            self.rules[way].append(tally)

    def refuse(self) -> None:
        """Refuse connections, and reset the open ones."""
        if self._server:
            self._server.close()
            self._server = None
        self.reset()

    def reset(self) -> None:
        """Reset the open connections."""
        for connection in tuple(self.connections):
            connection.reset()

    async def mend(self) -> None:
        """Undo everything."""
        self.forward.mend()
        self.backward.mend()
        for rules in self.rules.values():
            rules.clear()
        for connection in tuple(self.connections):
            for gate in connection.gates:
                gate.release()
        await self.listen()
        self.apply()

    def traffic(self) -> dict[str, int]:
        """The counters."""
        tallies = {id(tally): tally for rules in self.rules.values() for tally in rules}.values()
        gates = [gate for connection in self.connections for gate in connection.gates]
        return {
            "accepted": self.accepted,
            "open": len(self.connections),
            "forward": self.forward.passed,
            "backward": self.backward.passed,
            "held_forward": sum(connection.forward.held + connection.forward.kept for connection in self.connections),
            "held_backward": sum(connection.backward.held + connection.backward.kept for connection in self.connections),
            "matched": sum(tally.matched for tally in tallies),
            "meddled": sum(tally.hits for tally in tallies),
            "lost": self.lost + sum(gate.relay.lost for gate in gates),
        }


class Stalls:
    """Windows in which this process stood still: it was stopped, or got no processor. What it carries stood still, too."""

    def __init__(self) -> None:
        self._seen: list[tuple[int, int]] = []

    async def watch(self) -> None:
        """Notice when a short sleep takes much longer than asked for."""
        while True:
            asleep_ns = monotonic_ns()
            await asyncio.sleep(_NAP_NS / 1e9)
            awake_ns = monotonic_ns()
            if awake_ns - asleep_ns > _NAP_NS + _STALL_NS:
                self._seen.append((asleep_ns, awake_ns))

    def taken(self) -> list[tuple[int, int]]:
        """The windows that were not taken before."""
        seen, self._seen = self._seen, []
        return seen


class Control:
    """The commands, as they come over the control socket."""

    def __init__(self, stalls: Stalls) -> None:
        self._links: dict[str, Link] = {}
        self._stalls = stalls

    async def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out one command and return the answer to it."""
        links = [self._links[name] for name in command.get("links", ())]
        match command["do"]:
            case "open":
                listen, target = tuple(command["listen"]), tuple(command["target"])
                link = Link(command["name"], listen, target, command["source"], command["protocol"])
                await link.listen()
                self._links[link.name] = link
            case "cut":
                for link in links:
                    for lane in link.lanes(command["ways"]):
                        lane.cut = True
            case "delay":
                for link in links:
                    for lane in link.lanes(("forward", "backward")):
                        lane.delay_ns, lane.jitter_ns = command["delay_ns"], command["jitter_ns"]
                    link.apply()
            case "throttle":
                for link in links:
                    for lane in link.lanes(("forward", "backward")):
                        lane.throttle(command["bytes_per_second"])
                    link.apply()
            case "meddle":
                rule = command["rule"]
                for link in links:
                    link.meddle(MessageRule(**{**rule, "action": Action(rule["action"])}), command["ways"])
            case "refuse":
                for link in links:
                    link.refuse()
            case "reset":
                for link in links:
                    link.reset()
            case "mend":
                for link in links:
                    await link.mend()
            case "pulse":
                return {"stalls": self._stalls.taken()}
            case "traffic":
                return {"traffic": {name: link.traffic() for name, link in self._links.items()}}
            case unknown:
                return {"error": f"there is no command {unknown!r}"}
        return {}


async def serve(control: socket.socket) -> None:
    """Obey until the control socket is closed."""
    reader, writer = await asyncio.open_unix_connection(sock=control, limit=_LINE_MAX)
    stalls = Stalls()
    watching = asyncio.create_task(stalls.watch())
    commands = Control(stalls)
    while line := await reader.readline():
        command = json.loads(line)
        try:
            answer = await commands.obey(command)
        except OSError as error:
            answer = {"error": str(error)}
        writer.write(json.dumps({"id": command["id"], **answer}).encode() + b"\n")
        await writer.drain()
    watching.cancel()


if __name__ == "__main__":
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1]))))
