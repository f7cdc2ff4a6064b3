"""One driver worker: a process that plays its part of a run. Started by ``DriverPool`` as ``python -m harness.driver.worker``.

It is told what to do on its standard input and reports on its standard output, one JSON line each.
When its input ends, the harness is gone and the worker stops.

    told     {"task": pickle}   {"run": [begin_ns, end_ns]}   {"stop": true}   {"settle": [limit_ns, committed]}
             {"close": true}
             {"cancel": [share, nodes]}, which holds at once and until the next one for the same nodes
             {"leave_out": [nodes, every]}, which holds at once and until the next one
    reports  {"ready": true}   {"finished": end_ns}   {"error": [kind, what, where, why, fix]}
"""

from __future__ import annotations

import base64
import ctypes
import gc
import json
import os
import pickle
import resource
import signal
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from itertools import count
from random import Random
from typing import Any

from harness import errors
from harness.clients import CODECS, Codec
from harness.clients.access import Signing
from harness.driver.arrivals import paced
from harness.driver.cancelling import Cancelling
from harness.driver.connection import Client
from harness.driver.keys import Keys
from harness.driver.loop import Loop
from harness.driver.task import Task
from harness.journal import Journal
from harness.routing import Pooled
from harness.topology import ROUTED
from workloads import WORKLOADS, Shard
from workloads.settle import Settle

OPEN_WITHIN_NS = 5_000_000_000
_PR_SET_PDEATHSIG = 1
_PR_SET_TIMERSLACK = 29
_SPARE_FILES = 64
_WHIMS = {"cancel", "leave_out"}
"""Orders that change how sessions behave from the moment they are given."""


class Control:
    """The line to the harness: orders come in, reports go out."""

    def __init__(self) -> None:
        self._in = os.dup(0)
        self._out = os.dup(1)
        # Whatever a workload prints must not be taken for a report.
        os.dup2(2, 1)
        self._rest = b""
        self._orders: deque[dict[str, Any]] = deque()

    def told(self) -> dict[str, Any]:
        """The next order; to close, once the harness is gone."""
        while not self._orders:
            self.receive()
        return self._orders.popleft()

    def receive(self) -> None:
        """Take in the orders that have arrived, and wait for one if there are none."""
        data = os.read(self._in, 1 << 16)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._orders += map(json.loads, lines)
        if not data and not self.interrupting():
            self._orders.append({"close": True})

    def whims(self) -> list[dict[str, Any]]:
        """The orders that wait and hold at once, whatever is being played."""
        found = [order for order in self._orders if _WHIMS & order.keys()]
        self._orders = deque(order for order in self._orders if not _WHIMS & order.keys())
        return found

    def interrupting(self) -> bool:
        """Whether an order waits that ends what is being played."""
        return any("stop" in order or "close" in order for order in self._orders)

    def report(self, **fields: Any) -> None:
        """Tell the harness."""
        os.write(self._out, json.dumps(fields).encode() + b"\n")

    def fileno(self) -> int:
        """For ``Loop.watch``."""
        return self._in


class Worker:
    """A worker with its journal, its loop and its sessions."""

    def __init__(self, task: Task, index: int) -> None:
        codec = partial(_codec, task)
        self.router = task.routing.router() if task.routing else None
        self.task = task
        self.index = index
        nodes = tuple(node.name for node in task.topology.nodes)
        workloads = (*task.labels, "settle")
        routed = ROUTED in task.topology.readable
        self.journal = Journal(task.directory, index, task.workers, nodes, workloads, routed=routed)
        self.keys = Keys(codec(), self.journal, task.token)
        # Sessions begin as processes of their own number; later processes, and the sessions that settle, take what follows.
        self.numbers = count(sum(spec.sessions for spec in task.workloads) + index, task.workers)
        self.groups = count(index, task.workers)
        self.cancelling = Cancelling(Random(f"{task.seed}/cancelling/{index}"))
        self.loop = Loop(
            codec=codec,
            endpoints=task.endpoints,
            timeout_ns=task.timeout_ns,
            origin_ns=task.origin_ns,
            journal=self.journal,
            keys=self.keys,
            processes=self.numbers,
            cancelling=self.cancelling,
            router=self.router,
            access=task.access,
        )
        self.clients = self._clients()
        self.end_ns = 0

    def open(self) -> None:
        """Connect ahead of the start."""
        nodes = sorted({*self.task.topology.writable, *self.task.topology.readable, *(self.router.nodes if self.router else ())})
        nodes = [node for node in nodes if node != ROUTED]
        _allow_files(len(self.clients) * len(nodes) + _SPARE_FILES)
        self.loop.open(self.clients, nodes, OPEN_WITHIN_NS)

    def run(self, begin_ns: int, end_ns: int) -> None:
        """Play the workloads."""
        for client in self.clients:
            spec = self.task.workloads[client.workload]
            if spec.rate is not None:
                random = Random(f"{self.task.seed}/arrivals/{client.session}")
                client.steps = paced(client.steps, spec.rate / spec.sessions, begin_ns, random)
        self._play(self.clients, begin_ns, end_ns)

    def settle(self, limit_ns: int, committed: Mapping[str, int]) -> None:
        """Play the convergence probes; ``committed`` is as ``Keys.finals`` wants it."""
        begin_ns = self.loop.now_ns()
        self.journal.note(settled=begin_ns)
        probes = Settle(self.keys.finals(committed), self.task.topology.readable, begin_ns, limit_ns)
        sessions = [next(self.numbers) for _ in range(probes.sessions_wanted)]
        shard = Shard("settle", sessions, self.task.seed, self.keys, self.groups)
        steps = probes.sessions(shard)
        if self.task.load_cap is not None:
            rate = self.task.load_cap / self.task.workers / len(sessions)
            steps = [
                paced(one, rate, begin_ns, Random(f"{self.task.seed}/settling/{session}"))
                for one, session in zip(steps, sessions, strict=True)
            ]
        clients = [
            Client(one, session, len(self.task.workloads), len(self.task.endpoints))
            for one, session in zip(steps, sessions, strict=True)
        ]
        self._play(clients, begin_ns, begin_ns + limit_ns + self.task.timeout_ns)

    def humour(self, order: dict[str, Any]) -> None:
        """Do as an order says that holds at once."""
        match order:
            case {"cancel": [share, nodes]}:
                self.cancelling.set(share, nodes)
            case {"leave_out": [nodes, every]} if isinstance(self.router, Pooled):
                self.router.leave_out(nodes, every=every)

    def close(self) -> None:
        """End the journal in order."""
        self.journal.close(self.end_ns)

    def _play(self, clients: list[Client], begin_ns: int, end_ns: int) -> None:
        gc.collect()
        gc.freeze()
        gc.disable()
        self.end_ns = self.loop.run(clients, begin_ns, end_ns)
        gc.enable()
        self.loop.close(clients)

    def _clients(self) -> list[Client]:
        """The sessions of this worker: of each workload, those whose place in it falls to this worker."""
        clients = []
        first = 0
        for number, (spec, label) in enumerate(zip(self.task.workloads, self.task.labels, strict=True)):
            parts = min(self.task.workers, spec.sessions)
            sessions = range(first + self.index, first + spec.sessions, parts) if self.index < parts else range(0)
            first += spec.sessions
            workload = WORKLOADS.load(spec.kind)(spec, self.task.topology)
            if sessions:
                shard = Shard(label, sessions, self.task.seed, self.keys, self.groups, self.index, parts)
                steps = workload.sessions(shard)
                clients += [
                    Client(one, session, number, len(self.task.endpoints)) for one, session in zip(steps, sessions, strict=True)
                ]
        return clients


def main() -> None:
    """Serve one harness until it says ``close`` or is gone."""
    _die_with_parent()
    control = Control()
    try:
        order = control.told()
        if "task" in order:
            task, index = pickle.loads(base64.b64decode(order["task"]))  # noqa: S301 - from the pool that started this process
            _let_servers_finish(task)
            _serve(control, Worker(task, index))
    except errors.AnachronError as error:
        control.report(error=[type(error).__name__, error.what, error.where, error.why, error.fix])
        sys.exit(1)


def _codec(task: Task) -> Codec:
    """The conversation on a new connection."""
    codec = CODECS.load(task.protocol)(**dict(task.codec_options))
    return codec.signed(task.access) if task.access.password and isinstance(codec, Signing) else codec


def _serve(control: Control, worker: Worker) -> None:
    def arrived() -> None:
        control.receive()
        for order in control.whims():
            worker.humour(order)
        if control.interrupting():
            worker.loop.stop()

    worker.loop.watch(control.fileno(), arrived)
    worker.open()
    control.report(ready=True)
    while True:
        match control.told():
            case {"run": [begin_ns, end_ns]}:
                worker.run(begin_ns, begin_ns if control.interrupting() else end_ns)
                control.report(finished=worker.end_ns)
            case {"settle": [limit_ns, committed]}:
                worker.settle(0 if control.interrupting() else limit_ns, committed)
                control.report(finished=worker.end_ns)
            case {"close": _}:
                worker.close()
                return
            case order:
                worker.humour(order)


def _die_with_parent() -> None:
    """Leave Ctrl-C to the harness, and do not outlive it. Wake up on time, too: timers are late by 50 us otherwise."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(_PR_SET_TIMERSLACK, 1)


def _let_servers_finish(task: Task) -> None:
    """Do not preempt a server with each answer that it sends, where several workers play at full speed.

    A worker that wakes up on the server's core at the first answer of a batch finds one or two answers and sleeps again: on two
    cores, two workers did 0.84 of one's operations so, and about 1.0 with 20 and 1.05 with 50 sessions without. Median and p99 of
    the latency fell with it (216 to 185 us, 567 to 322 us); one in a thousand waited longer (0.7 to 1.7 ms).
    Sessions at a rate have appointments to keep, for which preemption is needed; one worker gains nothing, and loses to other
    work on the machine.
    """
    if task.workers > 1 and all(spec.rate is None for spec in task.workloads):
        with suppress(PermissionError):  # a sandbox may forbid it: then the second worker costs more, and nothing else
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _allow_files(wanted: int) -> None:
    """Raise the limit of open files to ``wanted``; raises ``UnsupportedError`` where the machine does not allow that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise errors.UnsupportedError(
                f"the sessions of one worker need {wanted} open files, and this machine allows {hard}",
                fix="fewer sessions, more workers, or a higher `ulimit -n`",
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    main()
