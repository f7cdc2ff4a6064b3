"""Whole runs against servers that answer garbage, or never: judged, and no crash."""

from __future__ import annotations

import os
import sys

import pytest

from harness import conductor
from harness.plan import parse_plan
from harness.results import Outcome
from harness.runtimes.ledger import leftovers
from tests.watching import Silent

pytestmark = pytest.mark.servers

PLAN = """\
seed = 3
[candidate]
kind = "redis-single"
server = "redis"
[contract]
converges_within = "200ms"
[[workloads]]
kind = "register"
keys = 5
sessions = 4
rate = 400
[adequacy]
operations = 1
stalled = 1.0
[run]
duration = "500ms"
timeout = "200ms"
"""

SERVER = """\
#!{python}
import asyncio, os, sys

if {once}:  # whoever is started in its place ends at once, on a busy machine, too
    with open("next", "w") as file:
        file.write("#!/bin/sh\\necho there is no second life\\nexit 1\\n")
    os.chmod("next", 0o755)
    os.replace("next", sys.argv[0])
PLAIN = {{b"PING": b"+PONG\\r\\n", b"SET": b"+OK\\r\\n"}}
INFO = f"redis_version:7.9.9\\r\\nprocess_id:{{os.getpid()}}\\r\\nrun_id:odd\\r\\nmaster_replid:odd\\r\\nrole:master\\r\\n"

async def serve(reader, writer):
    while line := await reader.readline():
        words = []
        for _ in range(int(line[1:])):
            size = int((await reader.readline())[1:])
            words.append((await reader.readexactly(size + 2))[:-2])
        name = words[0].upper()
        if name == b"INFO":
            writer.write(b"$%d\\r\\n%s\\r\\n" % (len(INFO), INFO.encode()))
        elif name in {odd!r}:
            writer.write({answer!r})
        else:
            writer.write(PLAIN.get(name, b"-ERR unknown command\\r\\n"))

async def main():
    option = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    async with await asyncio.start_server(serve, option["--bind"], int(option["--port"])) as server:
        await server.serve_forever()

asyncio.run(main())
"""


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """Run the plan against a server that gives ``answer`` to the commands ``odd``; the report."""

    def run(answer, odd=(b"GET",), *, once=False, faults=""):
        program = tmp_path / "redis-server"
        program.write_text(SERVER.format(python=sys.executable, answer=answer, odd=odd, once=once))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        finished = conductor.run(parse_plan(PLAN + faults), PLAN + faults, tmp_path / "runs", Silent())
        assert finished.report.environment["candidate"] == "redis-single: Redis 7.9.9"
        assert finished.report.failure == ""
        assert set(finished.paths) == {"report.html", "results.json", "junit.xml", "summary.md"}
        assert leftovers(finished.directory.path) == []
        assert conductor.evaluate(finished.directory).verdict == finished.report.verdict
        return finished.report

    return run


def test_values_that_nobody_wrote_are_found(judged):
    """A server that makes values up is violated by the integrity of its answers, which are shown word for word."""
    report = judged(b"$5\r\nhello\r\n")
    assert report.verdict.outcome is Outcome.VIOLATED
    assert report.findings[0].name == "thin-air"
    assert any("hello" in oddity for oddity in report.oddities)


@pytest.mark.parametrize("answer", [b"what?\r\n", b"*1000000000\r\n", b"\xff\x00" * 40_000])
def test_answers_that_are_no_values_prove_nothing(judged, answer):
    """What cannot be read is no value: such a run is inconclusive, however little sense or however much of it there is."""
    report = judged(answer)
    assert report.verdict.outcome is Outcome.INCONCLUSIVE
    assert "success-rate" in {item.name for item in report.verdict.adequacy if not item.enough}
    assert not report.findings


def test_a_server_that_never_answers_is_inconclusive(judged):
    """Commands that are accepted and never answered time out, each, and the run ends in its time."""
    report = judged(b"", (b"GET", b"SET"))
    assert report.verdict.outcome is Outcome.INCONCLUSIVE
    assert "success-rate" in {item.name for item in report.verdict.adequacy if not item.enough}


KILL = """
[[faults]]
kind = "kill"
targets = ["primary"]
every = "10s"
lasts = "100ms"
after = "200ms"
"""


def test_a_server_that_does_not_come_back_was_not_healed(judged):
    """A restart that fails leaves the fault in place: the fleet is not probed as if all were well, and the log says why."""
    report = judged(b"$-1\r\n", once=True, faults=KILL)
    assert report.verdict.outcome is Outcome.INCONCLUSIVE
    (episode,) = report.history.episodes
    assert episode.healed_ns is None
    assert any(sentence.startswith("when healed: primary did not start") for sentence in episode.evidence)
    assert report.history.settled_ns is None
    assert "settled" in {item.name for item in report.verdict.adequacy if not item.enough}
    assert "there is no second life" in report.logs["primary"]
