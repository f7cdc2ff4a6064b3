"""The loop of the program: packets come in, wait for as long as their path says, and go on."""

from __future__ import annotations

import contextlib
import heapq
import os
import select
import socket
import sys
import time
from typing import NamedTuple

from .fates import Path, Treatment
from .netfilter import Packet, Queue, hook
from .segments import MARK, acknowledgement

_SO_MARK = 36
_LONGEST_S = 3600.0
_COPY = 0
"""The kernel numbers packets from 1."""
_SOURCE, _TARGET = slice(12, 16), slice(16, 20)
"""Where an IP header has the addresses."""


class _Held(NamedTuple):
    """A packet that waits; in a heap, the next one first, and those of the same time in the order of their coming.

    Attributes:
        due_ns: when it goes on.
        order: of its coming.
        number: in the queue; 0 for a copy, which is in none.
        content: of a copy.
        pair: its two addresses.
    """

    due_ns: int
    order: int
    number: int
    content: bytes
    pair: bytes


class _Program:
    def __init__(self, table: str) -> None:
        self.queue = Queue()
        hook(table, "queued", self.queue.number)
        self._raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._raw.setsockopt(socket.SOL_SOCKET, _SO_MARK, MARK)
        self._paths: dict[bytes, Path] = {}
        self._held: list[_Held] = []
        self._seen = self._lost = self._doubled = self._late = 0

    def run(self) -> None:
        """Serve until stdin ends."""
        typed = b""
        while True:
            ready, _, _ = select.select([0, self.queue.fileno()], [], [], self._wait_s())
            if 0 in ready:
                chunk = os.read(0, 1 << 16)
                if not chunk:
                    break
                *lines, typed = (typed + chunk).split(b"\n")
                for line in lines:
                    os.write(1, self._obey(line.decode()).encode() + b"\n")
            now_ns = time.monotonic_ns()
            for packet in self.queue.packets():
                self._take(packet, now_ns)
            while self._held and self._held[0].due_ns <= time.monotonic_ns():
                self._let_go(heapq.heappop(self._held))
        self._bend({})

    def _wait_s(self) -> float:
        if not self._held:
            return _LONGEST_S
        return max(0.0, (self._held[0].due_ns - time.monotonic_ns()) / 1e9)

    def _obey(self, line: str) -> str:
        command, _, rest = line.partition(" ")
        if command == "bends":
            treatments = {}
            for words in filter(None, (part.split() for part in rest.split(";"))):
                pair = socket.inet_aton(words[0]) + socket.inet_aton(words[1])
                treatments[pair] = Treatment.parse(words[2:])
            self._bend(treatments)
        elif command == "provoke":
            for words in map(str.split, rest.split(";")):
                end, end_port, other, other_port = words
                self._send(acknowledgement(other, int(other_port), end, int(end_port)))
        return f"{self._seen} {self._lost} {self._doubled} {self._late} {len(self._held)}"

    def _bend(self, treatments: dict[bytes, Treatment]) -> None:
        """Replace the state. What waits on a path that changes goes on at once, in order, or is lost where all is lost now."""
        kept = {pair: path for pair, path in self._paths.items() if treatments.get(pair) == path.treatment}
        self._paths = {pair: kept.get(pair) or Path(pair.hex(), treatment) for pair, treatment in treatments.items()}
        waiting = []
        for held in sorted(self._held):
            if held.pair in kept:
                waiting.append(held)
            elif held.pair in treatments and treatments[held.pair].lose:
                self._lose(held)
            else:
                self._let_go(held)
        self._held = waiting

    def _take(self, packet: Packet, now_ns: int) -> None:
        self._seen += 1
        pair = packet.content[_SOURCE] + packet.content[_TARGET]
        path = self._paths.get(pair)
        late_before = path.late if path else 0
        times = path.fate(now_ns, len(packet.content)) if path else (now_ns,)
        self._late += path.late - late_before if path else 0
        if not times:
            self._lost += 1
            self.queue.drop(packet.number)
            return
        heapq.heappush(self._held, _Held(times[0], self._seen, packet.number, b"", pair))
        for due_ns in times[1:]:
            heapq.heappush(self._held, _Held(due_ns, self._seen, _COPY, packet.content, pair))

    def _let_go(self, held: _Held) -> None:
        if held.number != _COPY:
            self.queue.accept(held.number)
        else:
            self._doubled += 1
            self._send(held.content)

    def _lose(self, held: _Held) -> None:
        self._lost += 1
        if held.number != _COPY:
            self.queue.drop(held.number)

    def _send(self, content: bytes) -> None:
        with contextlib.suppress(OSError):  # a target that is gone, a full buffer: like any packet, it may be lost
            self._raw.sendto(content, (socket.inet_ntoa(content[_TARGET]), 0))


def main() -> None:
    """Serve the queue of the table that the command line names; the first line of the answer says that it stands."""
    try:
        program = _Program(sys.argv[1])
    except OSError as error:
        os.write(1, f"failed {error}\n".encode())
        return
    os.write(1, b"ready\n")
    program.run()


if __name__ == "__main__":
    main()
