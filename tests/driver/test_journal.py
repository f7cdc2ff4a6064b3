"""The journal: what was written is read back, whole or cut off anywhere."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers import check
from harness.clients.resp import Resp
from harness.driver.keys import Keys
from harness.errors import HistoryError, StorageError
from harness.history import COLUMNS, NEVER, Function, History, Seen, Stall, Status
from harness.journal import Counts, Journal, read_counts, read_journals, read_oddities, writer
from harness.journal.records import CHUNK_RECORDS, HEADER_BYTES, RECORD
from harness.journal.writer import MAX_ERRORS
from harness.plan import Contract
from harness.values import encode_value


def journal(directory: Path, worker: int = 0, workers: int = 1) -> Journal:
    return Journal(directory, worker, workers, ("primary", "replica"), ("register", "settle"))


def begin(of: Journal, call_ns: int, key: int = 0, version: int = -1, function: Function = Function.READ) -> int:
    return of.begin(call_ns - 1, call_ns, version, -1, 3, 4, key, 1, 0, function)


def test_an_operation_that_moved_has_the_node_that_was_asked_last(tmp_path: Path) -> None:
    """Also if the harness dies before it ends; the row is the same in all else."""
    written = Journal(tmp_path, 0, 1, ("primary", "replica"), ("register",), routed=True)
    written.note(key="k0", ordered=True)
    moved, stayed = begin(written, 100), begin(written, 200)
    written.moved(moved, 0)
    for closed in (False, True):
        if closed:
            written.end(moved, 150, Status.OK, Seen.MISS)
            written.close(300)
        history = read_journals(tmp_path)
        assert history.routed
        assert history.op.tolist() == [moved, stayed]
        assert history.node.tolist() == [0, 1]
        assert (history.session == 3).all()
        assert (history.workload == 0).all()
        assert (history.process == 4).all()


def test_operations_come_back_as_they_were_recorded(tmp_path: Path) -> None:
    """Every column of every kind of row, sorted by call."""
    written = journal(tmp_path)
    written.note(key="k0", ordered=True)
    written.note(key="k1", ordered=False)
    late = begin(written, 300, key=1)
    write = begin(written, 100, version=1, function=Function.WRITE)
    read = begin(written, 200)
    failed = begin(written, 400)
    pending = begin(written, 500, version=2, function=Function.WRITE)
    written.end(write, 150, Status.OK)
    written.end(read, 250, Status.OK, Seen.HIT, 0, 1, write)
    written.end(late, 0, Status.INFO, error=written.error("time-out"))
    written.end(failed, 410, Status.FAIL, error=written.error("connect: connection refused"))
    written.note(stall=(10, 60))
    written.note(settled=450)
    written.count(2, 1, 1)
    assert read_counts(tmp_path, 0) == Counts(2, 1, 1)
    written.close(600)

    history = read_journals(tmp_path)
    assert history.op.tolist() == [write, read, late, failed, pending]
    assert history.call_ns.tolist() == [100, 200, 300, 400, 500]
    assert history.due_ns.tolist() == [99, 199, 299, 399, 499]
    assert history.return_ns.tolist() == [150, 250, NEVER, 410, NEVER]
    assert history.status.tolist() == [Status.OK, Status.OK, Status.INFO, Status.FAIL, Status.INFO]
    assert history.function.tolist() == [1, 0, 0, 0, 1]
    assert history.key.tolist() == [0, 0, 1, 0, 0]
    assert history.sent_version.tolist() == [1, -1, -1, -1, 2]
    assert history.seen.tolist() == [0, Seen.HIT, 0, 0, 0]
    assert history.seen_key.tolist() == [-1, 0, -1, -1, -1]
    assert history.seen_version.tolist() == [-1, 1, -1, -1, -1]
    assert history.seen_op.tolist() == [-1, write, -1, -1, -1]
    assert [history.errors[code] if code >= 0 else "" for code in history.error] == [
        "",
        "",
        "time-out",
        "connect: connection refused",
        "",
    ]
    assert set(history.session.tolist()) == {3}
    assert set(history.process.tolist()) == {4}
    assert set(history.node.tolist()) == {1}
    assert set(history.server.tolist()) == {-1}
    assert history.keys == ("k0", "k1")
    assert history.ordered.tolist() == [True, False]
    assert history.nodes == ("primary", "replica")
    assert history.workloads == ("register", "settle")
    assert history.stalls == (Stall(10, 60, 0),)
    assert (history.end_ns, history.settled_ns, history.complete) == (600, 450, True)


def test_workers_are_merged_by_the_names_of_keys_and_errors(tmp_path: Path) -> None:
    """Each worker counts its keys from 0; op ids never meet; a key of the other worker's is known, one of nobody's is garbage."""
    first, second = journal(tmp_path, 0, 2), journal(tmp_path, 1, 2)
    keys = [Keys(Resp(), each, "run") for each in (first, second)]
    assert keys[0].add("mine") == keys[1].add("yours") == 0
    ops = [begin(first, 10), begin(first, 20), begin(second, 30), begin(second, 40)]
    first.end(ops[0], 11, Status.OK, *keys[0].understand(b"run:yours|4|9"))
    first.end(ops[1], 21, Status.OK, *keys[0].understand(b"run:nobodys|4|9"))
    second.error("only here")
    second.end(ops[2], 31, Status.FAIL, error=second.error("refused"))
    second.end(ops[3], 41, Status.OK, *keys[1].understand(b"run:yours|5|1"))
    first.close(50)
    second.close(60)

    history = read_journals(tmp_path)
    assert sorted(ops) == [0, 1, 2, 3]
    assert history.keys == ("mine", "yours")
    assert history.key.tolist() == [0, 0, 1, 1]
    assert history.seen.tolist() == [Seen.HIT, Seen.GARBAGE, Seen.NOTHING, Seen.HIT]
    assert history.seen_key.tolist() == [1, -1, -1, 1]
    assert history.seen_version.tolist() == [4, -1, -1, 5]
    assert history.errors[history.error[2]] == "refused"
    assert (history.end_ns, history.complete) == (60, True)


def test_a_worker_that_did_not_end_leaves_the_history_incomplete(tmp_path: Path) -> None:
    """So does a worker that left nothing at all."""
    first, second = journal(tmp_path, 0, 2), journal(tmp_path, 1, 2)
    first.close(50)
    assert not read_journals(tmp_path).complete
    second.close(50)
    assert read_journals(tmp_path).complete
    (tmp_path / "worker-1.names").write_bytes(b"")
    assert not read_journals(tmp_path).complete


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def history_of(content: dict[str, bytes]) -> History:
    with tempfile.TemporaryDirectory() as place:
        for name, data in content.items():
            (Path(place) / name).write_bytes(data)
        return read_journals(Path(place))


@cache
def steps() -> list[dict[str, bytes]]:
    """The files of a journal before and after each of its stores, past the end of a chunk."""
    found: list[dict[str, bytes]] = []
    note = Journal.note

    def noted(self: Journal, **fields: object) -> None:
        found.append(files(directory))
        note(self, **fields)
        found.append(files(directory))

    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        directory = Path(place)
        patch.setattr(writer, "CHUNK_RECORDS", 512)
        written = journal(directory)
        written.note(key="k", ordered=True)
        for call_ns in range(1, 509):
            written.end(begin(written, call_ns), call_ns + 5, Status.OK, Seen.MISS)
        patch.setattr(Journal, "note", noted)
        for call_ns in range(509, 517):
            written.note(key=f"k{call_ns}", ordered=True)
            op = begin(written, call_ns, key=call_ns - 508)
            found.append(files(directory))
            written.end(op, call_ns + 5, Status.FAIL, error=written.error(f"error {call_ns}"))
    return found


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_kill_between_any_two_stores_leaves_a_history(data: st.DataObject) -> None:
    """Whatever beginning of the next store is there, the history is that of the stores before, until the store is whole."""
    number = data.draw(st.integers(0, len(steps()) - 2))
    before, after = steps()[number : number + 2]
    changed = [name for name in before if before[name] != after[name]]
    torn = dict(before)
    for name in changed:
        # Stores go from the front to the back, over zeros or past the end.
        old, new = before[name], after[name]
        start = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(old))
        kept = start + data.draw(st.integers(0, RECORD.itemsize))
        torn[name] = new[:kept] + old[kept:]
    history = history_of(torn)
    assert len(changed) <= 1
    assert len(history) >= 508
    assert not history.complete
    assert rows(history) in (rows_after(number), rows_after(number + 1))


@cache
def rows_after(number: int) -> list[tuple[int, ...]]:
    """What is read back after so many stores."""
    return rows(history_of(steps()[number]))


def rows(history: History) -> list[tuple[int, ...]]:
    return list(zip(*(history.columns[name].tolist() for name in COLUMNS), strict=True))


@cache
def pair(end: str) -> dict[str, bytes]:
    """The journals of two workers that write and read 600 times each, and get the right answers."""
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        directory = Path(place)
        patch.setattr(writer, "CHUNK_RECORDS", 512)
        for worker in (0, 1):
            written = journal(directory, worker, 2)
            keys = Keys(Resp(), written, "run")
            for number in range(600):
                at_ns, version = number * 100, number % 50 + 1
                if version == 1:
                    key = keys.add(f"{worker}:{number}")
                write = written.begin(at_ns, at_ns, version, -1, worker, worker, key, 0, 0, Function.WRITE)
                written.end(write, at_ns + 10, Status.OK)
                seen = keys.understand(encode_value(keys.names[key], version, write))
                read = written.begin(at_ns + 20, at_ns + 20, -1, -1, worker, worker, key, 1, 0, Function.READ)
                written.end(read, at_ns + 30, Status.OK, *seen)
            if end == "closed":
                written.close(70_000)
        return files(directory)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["killed", "closed"]), st.data())
def test_no_damage_makes_a_finding(end: str, data: st.DataObject) -> None:
    """Files cut short or with pages of zeros, as a crash of the machine may leave them: refused, or nothing is found in them."""
    damaged = dict(pair(end))
    for name in data.draw(st.sets(st.sampled_from(sorted(damaged)), min_size=1)):
        content = bytearray(damaged[name])
        if data.draw(st.booleans()):
            del content[data.draw(st.integers(0, len(content))) :]
        else:
            page = 4096 * data.draw(st.integers(0, len(content) // 4096))
            content[page : page + 4096] = bytes(len(content[page : page + 4096]))
        damaged[name] = bytes(content)
    try:
        history = history_of(damaged)
    except HistoryError:
        return
    assert [finding for result in check(history, Contract()) for finding in result.findings] == []


@pytest.mark.parametrize("end", ["killed", "closed"])
@pytest.mark.parametrize("size", [-1, -RECORD.itemsize, HEADER_BYTES, 10])
def test_lost_records_are_damage(end: str, size: int) -> None:
    """A file of records that is shorter than the lines beside it say was cut by something else than a kill."""
    with pytest.raises(HistoryError, match="damaged"):
        history_of({**pair(end), "worker-1.ops": pair(end)["worker-1.ops"][:size]})


def test_a_journal_grows_past_its_first_chunk(tmp_path: Path) -> None:
    """Records on both sides of a chunk's end are read, and can be ended in any order."""
    written = journal(tmp_path)
    written.note(key="k", ordered=True)
    ops = [begin(written, call_ns) for call_ns in range(1, CHUNK_RECORDS + 11)]
    for op in reversed(ops):
        written.end(op, op + 100, Status.OK, Seen.MISS)
    written.close(1)
    history = read_journals(tmp_path)
    assert len(history) == CHUNK_RECORDS + 10
    assert (history.return_ns == history.op + 100).all()
    assert (tmp_path / "worker-0.ops").stat().st_size == HEADER_BYTES + len(history) * RECORD.itemsize


def test_reading_takes_no_loop_over_rows(tmp_path: Path) -> None:
    """A hundred thousand rows are read by a few hundred lines of Python, each executed a few times."""
    written = journal(tmp_path)
    written.note(key="k", ordered=True)
    written.note(space=100_000)
    records = np.zeros(100_000, dtype=RECORD)
    records["begun"], records["ended"] = 1, 1
    records["seen_key"], records["error"] = -1, -1
    records["call_ns"] = np.arange(len(records))[::-1]
    with (tmp_path / "worker-0.ops").open("wb") as file:
        file.write(bytes(HEADER_BYTES))
        records.tofile(file)
    lines = 0

    def counted(_frame: FrameType, event: str, _argument: object) -> object:
        nonlocal lines
        lines += event == "line"
        return counted

    before = sys.gettrace()
    sys.settrace(counted)
    try:
        history = read_journals(tmp_path)
    finally:
        sys.settrace(before)
    assert 100 < lines < 10_000
    assert len(history) == 100_000
    assert (np.diff(history.call_ns) == 1).all()


def test_error_texts_cannot_fill_the_table(tmp_path: Path) -> None:
    """A server that never says the same thing twice shares one last entry."""
    written = journal(tmp_path)
    codes = [written.error(f"error {number}") for number in range(MAX_ERRORS + 50)]
    assert codes[:MAX_ERRORS] == list(range(MAX_ERRORS))
    assert set(codes[MAX_ERRORS:]) == {MAX_ERRORS}
    assert written.error("error 3") == 3
    written.close(0)
    assert len(read_journals(tmp_path).errors) == MAX_ERRORS + 1


def test_oddities_name_node_and_key(tmp_path: Path) -> None:
    """What made no sense is kept word for word."""
    written = journal(tmp_path)
    written.note(key="k", ordered=True)
    written.note(oddity="not a value of this run: b'x'", node=1, key=0, at=5)
    written.note(oddity="unasked: b'hello'", node=0, key=-1, at=6)
    found = read_oddities(tmp_path)
    assert [(oddity.node, oddity.key, oddity.text, oddity.at_ns) for oddity in found] == [
        ("replica", "k", "not a value of this run: b'x'", 5),
        ("primary", "", "unasked: b'hello'", 6),
    ]
    assert [str(oddity) for oddity in found] == [
        "5ns into the run, replica, asked for k: not a value of this run: b'x'",
        "6ns into the run, primary: unasked: b'hello'",
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([{"journal": 99}], "format 99"),
        ([{"other": 1}], "damaged"),
        ([{"journal": 1, "worker": 0, "workers": 1, "nodes": ["a"], "workloads": ["r"]}, {"what": 1}], "damaged"),
        ([{"journal": 1, "worker": 0, "workers": 1, "nodes": ["a", "b"], "workloads": ["r"]}, {"space": 65536}], "does not name"),
        ([{"journal": 1, "worker": 0, "workers": 1, "nodes": ["a", "b"], "workloads": ["r"]}], "1 of them used, and speaks of 0"),
    ],
)
def test_a_damaged_journal_is_refused(tmp_path: Path, lines: list[dict[str, object]], message: str) -> None:
    """Damage that no kill can do is an error that says where it is."""
    begin(journal(tmp_path), 10)
    (tmp_path / "worker-0.names").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(HistoryError, match=message) as caught:
        read_journals(tmp_path)
    assert "worker-0.names" in str(caught.value)


def test_a_directory_without_journals_is_refused(tmp_path: Path) -> None:
    """Nothing recorded is not an empty history."""
    with pytest.raises(HistoryError, match="no journal"):
        read_journals(tmp_path)


def test_a_journal_is_never_written_over_another(tmp_path: Path) -> None:
    """Two runs cannot share a directory."""
    journal(tmp_path).close(0)
    with pytest.raises(StorageError, match="could not be journalled"):
        journal(tmp_path)


def test_a_full_disk_is_a_clean_error(tmp_path: Path) -> None:
    """Where no more space can be had the journal says so before it writes; what was recorded stays readable."""
    code = """
import resource, sys
from pathlib import Path
from types import FrameType
from harness.errors import StorageError
from harness.history import Function
from harness.journal import Journal
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
journal = Journal(Path(sys.argv[1]), 0, 1, ("n",), ("w",))
journal.note(key="k", ordered=True)
try:
    while True:
        journal.begin(1, 1, -1, -1, 0, 0, 0, 0, 0, Function.READ)
except StorageError as error:
    sys.exit(str(error))
"""
    limit = HEADER_BYTES + CHUNK_RECORDS * RECORD.itemsize + 1000
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(limit)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "could not be journalled" in done.stderr
    assert "do:" in done.stderr
    assert len(read_journals(tmp_path)) == CHUNK_RECORDS
