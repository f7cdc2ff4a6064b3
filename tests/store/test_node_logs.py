"""The nodes' logs in the times of the run: by arrival where somebody kept it, by the lines' own stamps where not."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from harness import conductor
from harness.plan import parse_plan
from harness.runtimes import arrivals
from harness.runtimes.arrivals import Arrival
from harness.store import ORIGIN, LogLine, NodeLog, RunDirectory
from harness.store.node_logs import Origin, arrived, read_node_logs, read_origin, stamp_ns, stamped
from tests.watching import Silent

SECOND = 1_000_000_000
FIVE = int(datetime(2026, 11, 23, 5, 57, 12, tzinfo=UTC).timestamp()) * SECOND
"""05:57:12 in UTC, in ns since 1970."""
EAST = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("line", "expected_ns"),
    [
        ("1:M 23 Nov 2026 05:57:12.345 * Ready to accept connections tcp", FIVE + 345_000_000),
        ("23415:X 23 Nov 2026 05:57:12.000 # +switch-master m 10.0.0.1 1 10.0.0.2 1", FIVE),
        ("2026-11-23 05:57:12.345 UTC [17] LOG:  checkpoint starting", FIVE + 345_000_000),
        ("2026-11-23 06:57:12.345+01 [17] LOG:  checkpoint starting", FIVE + 345_000_000),
        ("2026/11/23 05:57:12 [error] 8#8: *1 connect() failed", FIVE),
        ("2026-11-23T05:57:12.345678Z ready", FIVE + 345_678_000),
        ("[2026-11-23 05:57:12,345] INFO ready", FIVE + 345_000_000),
    ],
)
def test_a_line_tells_its_time(line: str, expected_ns: int) -> None:
    """The stamps of the servers that Anachron ships with are read, to their own resolution."""
    assert stamp_ns(line, UTC) == expected_ns


def test_a_stamp_without_a_zone_is_in_the_zone_of_the_run() -> None:
    """Where a process says no zone its machine's zone holds; where it says one, that."""
    assert stamp_ns("1:M 23 Nov 2026 07:57:12.000 * Ready", EAST) == FIVE
    assert stamp_ns("2026-11-23 05:57:12 UTC [17] LOG: ready", EAST) == FIVE


@pytest.mark.parametrize(
    "line",
    ["", "slab class 1: chunk size 96", "1:M 31 Feb 2026 05:57:12.345 * x", "1:M 23 Foo 2026 05:57:12.345 * x",
     "2026-13-23 05:57:12 x", "2026-11-23 25:57:12 x", "99:99:99", "9999:Q \x00\xff", "2026-11-23 05:57:12+99:99 x"],
)  # fmt: skip
def test_a_line_without_a_time_has_none(line: str) -> None:
    """Garbage, and moments that no calendar has, are no times."""
    assert stamp_ns(line, UTC) is None


def test_lines_without_a_time_belong_to_their_neighbours() -> None:
    """A line goes with the one before it; what a new incarnation writes first goes with what it writes next."""
    lines = [
        "--- start 1 of primary: valkey-server",
        "1:M 23 Nov 2026 05:57:12.000 * Ready",
        "  a stack trace",
        "--- start 2 of primary: valkey-server",
        "a word before the first stamp",
        "1:M 23 Nov 2026 05:57:20.000 * Ready",
    ]
    assert [line.at_ns - FIVE for line in stamped(lines, UTC)] == [0, 0, 0, 8 * SECOND, 8 * SECOND, 8 * SECOND]
    assert [line.text for line in stamped(lines, UTC)] == lines
    assert list(stamped(["no time", "anywhere"], UTC)) == []


def test_lines_arrive_with_the_piece_that_holds_their_first_byte() -> None:
    """A line that comes in two pieces has the time of the first; several in one piece have one time."""
    data = b"one\ntwo\nthr" + b"ee\n\xff\r\nfive"
    lines = list(arrived(data, [Arrival(0, 100), Arrival(11, 200)]))
    assert lines == [
        LogLine(100, "one"),
        LogLine(100, "two"),
        LogLine(100, "three"),
        LogLine(200, "\ufffd"),
        LogLine(200, "five"),
    ]


def test_what_is_appended_is_kept_byte_by_byte_with_its_time(tmp_path: Path) -> None:
    """The log holds nothing but what arrived; beside it stands when. Half a line of that, as a kill leaves it, is left out."""
    log = tmp_path / "a.log"
    before = time.time_ns()
    arrivals.append(log, b"one\nt")
    arrivals.append(log, b"wo\n")
    after = time.time_ns()
    assert log.read_bytes() == b"one\ntwo\n"
    with (tmp_path / "a.arrivals").open("a") as file:
        file.write("8 \n17")
    first, second = arrivals.arrivals_of(log)
    assert (first.offset, second.offset) == (0, 5)
    assert before <= first.wall_ns <= second.wall_ns <= after


def test_arrivals_outrank_the_stamps_of_a_bent_clock(tmp_path: Path) -> None:
    """A container whose clock is an hour ahead is shown at the time its line came; a log without arrivals by its stamps."""
    (tmp_path / "bent.log").write_text("1:M 23 Nov 2026 06:57:12.000 * an hour ahead\n")
    (tmp_path / "bent.arrivals").write_text(f"0 {FIVE + 3 * SECOND}\n")
    (tmp_path / "own.log").write_text("1:M 23 Nov 2026 05:57:14.000 * right\n\n")
    (tmp_path / "mute.log").write_text("no time at all\n")
    logs = read_node_logs(tmp_path, Origin(FIVE, UTC))
    everything = (-(10**18), 10**18)
    assert [line.at_ns for line in logs["bent"].between(*everything)] == [3 * SECOND]
    assert [line.at_ns for line in logs["own"].between(*everything)] == [2 * SECOND]
    assert list(logs["mute"].between(*everything)) == []


def test_a_window_holds_its_edges_and_nothing_else() -> None:
    """Lines from the first to the last moment asked for, in the order of their times, ties in the order of the log."""
    log = NodeLog([LogLine(5, "e"), LogLine(1, "a"), LogLine(3, "c"), LogLine(3, "d"), LogLine(9, "z")])
    assert "".join(line.text for line in log.between(3, 5)) == "cde"
    assert list(log.between(6, 8)) == []


def test_a_run_that_does_not_know_its_origin_shows_no_lines(tmp_path: Path) -> None:
    """Runs of earlier versions say nothing of it, and an odd word is no origin."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_text("1:M 23 Nov 2026 05:57:14.000 * right\n")
    directory = RunDirectory(tmp_path)
    assert directory.load_node_logs() == {}
    for word in ("yesterday", "2026-11-23T05:57:12", ""):
        (tmp_path / "environment.json").write_text(json.dumps({ORIGIN: word}))
        assert directory.load_node_logs() == {}
    (tmp_path / "environment.json").write_text(json.dumps({ORIGIN: "2026-11-23T05:57:12+00:00"}))
    assert list(directory.load_node_logs()["a"].between(2 * SECOND, 2 * SECOND)) != []
    assert read_origin("2026-11-23T07:57:12.000001+02:00") == Origin(FIVE + 1_000, EAST)


PLAN = """\
seed = 3
name = "logged"

[candidate]
kind = "redis-replication"
replicas = 1

[contract]
node_monotonic = false

[[workloads]]
kind = "register"
keys = 20
sessions = 4
rate = 200

[[faults]]
kind = "kill"
targets = ["replicas"]
every = "3s"
lasts = "400ms"
after = "500ms"
at_most = 1

[run]
duration = "2s"
runtime = "{}"
"""


@pytest.mark.parametrize(
    "runtime", [pytest.param("process", marks=pytest.mark.servers), pytest.param("docker", marks=pytest.mark.docker)]
)
def test_a_restart_is_logged_when_the_history_says_that_it_was(runtime: str, tmp_path: Path) -> None:
    """A replica that a fault kills begins its second log between the fault's beginning and its heal, as a stored run tells it."""
    text = PLAN.format(runtime)
    finished = conductor.run(parse_plan(text), text, tmp_path, Silent())
    (kill,) = (episode for episode in finished.report.history.episodes if episode.kind == "kill")
    assert kill.applied_ns is not None
    assert kill.healed_ns is not None
    stored = conductor.evaluate(RunDirectory.open(finished.directory.path))
    around = stored.node_logs["replica-1"].between(kill.applied_ns, kill.healed_ns)
    assert [line.text[:11] for line in around if line.text.startswith("--- start")] == ["--- start 2"]
    assert not any(line.text.startswith("--- start 1") for line in around)
