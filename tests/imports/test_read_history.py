"""Histories from outside: what they say is kept, and what cannot be is refused with its place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers import fractured_reads
from harness.errors import HistoryError
from harness.history import NEVER, Function, History, Seen, Status
from harness.imports import read_history
from harness.plan import Contract

DATA = Path(__file__).parent.parent / "data" / "histories"
HEADER = "process,key,op,value,call_ns,return_ns\n"


def rows_of(history: History, *names: str) -> list[tuple[object, ...]]:
    return [tuple(int(history.columns[name][row]) for name in names) for row in range(len(history))]


def read_text(tmp_path: Path, text: str | bytes, name: str = "history.csv") -> History:
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_history(tmp_path / name)


def refusal(tmp_path: Path, text: str | bytes, name: str = "history.csv") -> str:
    with pytest.raises(HistoryError) as caught:
        read_text(tmp_path, text, name)
    return str(caught.value)


def test_values_become_versions_that_only_name_them() -> None:
    """Each value of a key gets a number in order of its first row, reads name their writer, and there is no order."""
    history = read_history(DATA / "stale.csv")
    names = ("function", "call_ns", "return_ns", "sent_version", "seen_version", "seen_op", "seen_key")
    assert rows_of(history, *names) == [
        (Function.WRITE, 0, 1000, 1, -1, -1, -1),
        (Function.READ, 1100, 1200, -1, 1, 0, 0),
        (Function.WRITE, 2000, 3000, 2, -1, -1, -1),
        (Function.READ, 3100, 3200, -1, 1, 0, 0),
    ]
    assert (history.keys, history.ordered.tolist(), history.end_ns, history.complete) == (("x",), [False], 3200, True)


def test_an_operation_without_return_is_indeterminate() -> None:
    """Its process goes on under a new identity, its session stays, and an empty read found the initial value."""
    history = read_history(DATA / "crashed.csv")
    assert rows_of(history, "status", "return_ns") == [
        (Status.INFO, NEVER),
        (Status.OK, 200),
        (Status.OK, 1200),
        (Status.OK, 8100),
    ]
    assert history.seen_version.tolist() == [-1, 0, 1, 1]
    assert history.session[0] == history.session[3]
    assert history.process[0] != history.process[3]


def test_values_that_are_numbers_name_themselves(tmp_path: Path) -> None:
    """A reader of the verdict finds the file's own values in it; a leading zero makes them texts."""
    assert read_text(tmp_path, HEADER + "0,x,w,70,1,2\n0,x,r,0,3,4\n1,y,r,70,5,6\n").seen_version.tolist() == [-1, 0, 70]
    assert read_text(tmp_path, HEADER + "0,x,w,07,1,2\n0,x,r,0,3,4\n1,y,r,7,5,6\n").seen_version.tolist() == [-1, 0, 1]


def test_a_version_column_gives_an_order() -> None:
    """Keys are ordered and versions are taken as they are."""
    history = read_history(DATA / "versions.jsonl")
    assert history.ordered.tolist() == [True]
    assert history.nodes == ("a", "b")
    assert rows_of(history, "sent_version", "seen_version", "seen_op") == [(1, -1, -1), (2, -1, -1), (-1, 2, 1), (-1, 1, 0)]


def test_jepsen_operations_are_put_together() -> None:
    """Nemesis and unknown reads are left out, what never completed is indeterminate, and times are Jepsen's."""
    history = read_history(DATA / "stale.edn")
    assert rows_of(history, "function", "call_ns", "return_ns", "status", "sent_version", "seen_version") == [
        (Function.WRITE, 0, 10, Status.OK, 1, -1),
        (Function.READ, 20, 30, Status.OK, -1, 0),
        (Function.WRITE, 25, NEVER, Status.INFO, 2, -1),
    ]


def test_jepsen_keys_tags_and_errors_are_understood() -> None:
    """Pairs of key and value are keys of their own; without times the order of events counts."""
    history = read_history(DATA / "independent.edn")
    assert history.keys == ("k", "j")
    assert rows_of(history, "key", "status", "call_ns", "error") == [
        (0, Status.OK, 0, -1),
        (1, Status.INFO, 1, 0),
        (0, Status.OK, 4, -1),
        (1, Status.FAIL, 6, 1),
    ]
    assert history.errors == ("[:timeout no answer\n]", ":refused")


def test_every_optional_column_is_kept(tmp_path: Path) -> None:
    """What a table says of nodes, epochs, schedules, groups, workloads, outcomes and errors is in the history."""
    text = (
        "process,session,key,op,value,call_ns,return_ns,due_ns,node,server,epoch,group,workload,status,error,seen,version\n"
        "1,s,x,write,v,10,20,5,a,b,3,7,hot,ok,,,1\n"
        "2,s,x,read,,30,40,30,b,,4,8,cold,ok,,miss,\n"
        "3,t,x,read,,50,60,50,b,,4,8,cold,fail,refused,,\n"
        "4,t,x,d,,70,80,70,b,,4,8,cold,info,timed out,,2\n"
        "5,t,x,r,,90,95,90,b,,4,8,cold,,,absent,\n"
    )
    history = read_text(tmp_path, text)
    assert (history.nodes, history.workloads, history.errors) == (("a", "b"), ("hot", "cold"), ("refused", "timed out"))
    names = (
        "session",
        "process",
        "node",
        "server",
        "epoch",
        "group",
        "workload",
        "status",
        "error",
        "seen",
        "due_ns",
        "return_ns",
    )
    assert rows_of(history, *names) == [
        (0, 0, 0, 1, 3, 7, 0, Status.OK, -1, Seen.NOTHING, -5, 10),
        (0, 1, 1, -1, 4, 8, 1, Status.OK, -1, Seen.MISS, 20, 30),
        (1, 2, 1, -1, 4, 8, 1, Status.FAIL, 0, Seen.NOTHING, 40, 50),
        (1, 3, 1, -1, 4, 8, 1, Status.INFO, 1, Seen.NOTHING, 60, NEVER),
        (1, 4, 1, -1, 4, 8, 1, Status.OK, -1, Seen.ABSENT, 80, 85),
    ]
    assert history.sent_version.tolist() == [1, -1, -1, 2, -1]


TORN = """process,key,op,version,call_ns,return_ns,group
0,x,w,1,0,5,1
0,y,w,1,0,5,1
0,x,w,2,10,,2
0,y,w,2,10,,2
0,x,r,2,20,25,3
0,y,r,1,20,25,3
"""


@pytest.mark.parametrize("name", ["history.csv", "history.jsonl", "history.parquet"])
def test_the_keys_of_one_request_do_not_overlap(tmp_path: Path, name: str) -> None:
    """They share group, call and return, and one process: also where nobody knows what became of it. What they show is judged."""
    header, *lines = (line.split(",") for line in TORN.splitlines())
    records = [
        {key: int(cell) if cell.isdigit() else cell or None for key, cell in zip(header, line, strict=True)} for line in lines
    ]
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist([{**record, "process": "p"} for record in records]), tmp_path / name)
        history = read_history(tmp_path / name)
    else:
        text = TORN if name.endswith("csv") else "".join(json.dumps(record) + "\n" for record in records)
        history = read_text(tmp_path, text, name)
    assert rows_of(history, "process", "group") == [(0, 1), (0, 1), (0, 2), (0, 2), (1, 3), (1, 3)]
    (finding,) = fractured_reads.check(history, Contract()).findings
    assert finding.witness == (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("old", "new"),
    [("0,y,w,1,0,5,1", "0,y,w,1,0,6,1"), ("0,y,w,1,0,5,1", "0,x,w,2,0,5,1"), ("0,y,w,1,0,5,1", "0,y,w,1,0,5,")],
    ids=["another return", "the same key", "another group"],
)
def test_what_is_no_request_of_several_keys_overlaps(tmp_path: Path, old: str, new: str) -> None:
    """A process asks for several keys at a time only where all that a request shares is the same."""
    assert "two operations of one process overlap" in refusal(tmp_path, TORN.replace(old, new))


def test_a_value_written_twice_has_no_one_writer(tmp_path: Path) -> None:
    """Both writes carry one version, and a read of it names neither."""
    history = read_text(tmp_path, HEADER + "0,x,w,a,1,2\n0,x,w,a,3,4\n1,x,r,a,5,6\n1,x,r,b,7,8\n")
    assert history.sent_version.tolist() == [1, 1, -1, -1]
    assert rows_of(history, "seen_version", "seen_op")[2:] == [(1, -1), (2, -1)]


def test_rows_may_stand_in_any_order(tmp_path: Path) -> None:
    """The history is sorted by call, op ids stay the numbers of the rows."""
    history = read_text(tmp_path, HEADER + "0,x,r,a,50,60\n0,x,w,a,10,20\n")
    assert history.op.tolist() == [1, 0]
    assert history.call_ns.tolist() == [0, 40]


OPERATIONS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from("xy"),
        st.sampled_from("rw"),
        st.integers(0, 4),
        st.integers(0, 3),
        st.integers(0, 3),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=50, deadline=None)
@given(OPERATIONS)
def test_all_formats_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[int, str, str, int, int, int, bool]]
) -> None:
    """One table as CSV, JSON lines (fast and line by line), Parquet and EDN gives one history; our own Parquet gives it again."""
    folder = tmp_path_factory.mktemp("formats")
    clock, table = 0, []
    for process, key, op, value, wait, length, ends in operations:
        begin = clock = clock + wait + 1
        end = clock = clock + length + 1
        known = ends or op == "r"
        table.append(
            {"process": process, "key": key, "op": op, "value": value, "call_ns": begin, "return_ns": end if known else None}
        )
    lines = [",".join("" if cell is None else str(cell) for cell in row.values()) for row in table]
    (folder / "a.csv").write_text(HEADER + "\n".join(lines) + "\n")
    (folder / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table))
    mixed = [{**row, "value": str(row["value"]) if index % 2 else row["value"]} for index, row in enumerate(table)]
    (folder / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in mixed))
    pq.write_table(pa.Table.from_pylist(table), folder / "d.parquet")
    events = []
    for row in table:
        function = "read" if row["op"] == "r" else "write"
        wrote = "nil" if row["op"] == "r" else row["value"]
        about = f":process {row['process']}, :f :{function}"
        events.append((row["call_ns"], f'{{{about}, :type :invoke, :value ["{row["key"]}" {wrote}], :time {row["call_ns"]}}}'))
        if row["return_ns"] is not None:
            events.append(
                (row["return_ns"], f'{{{about}, :type :ok, :value ["{row["key"]}" {row["value"]}], :time {row["return_ns"]}}}')
            )
        else:
            events.append((row["call_ns"], f'{{{about}, :type :info, :value ["{row["key"]}" {wrote}], :time {row["call_ns"]}}}'))
    (folder / "e.edn").write_text("\n".join(text for _, text in events))
    first = read_history(folder / "a.csv")
    for other in sorted(folder.glob("[b-e]*")):
        history = read_history(other)
        assert history.keys == first.keys
        for name, column in first.columns.items():
            np.testing.assert_array_equal(history.columns[name], column, err_msg=f"{other.name} {name}")


BAD_TABLES = {
    "an unknown column": (
        HEADER.replace("return_ns", "retrun_ns") + "0,x,r,1,1,2\n",
        ':1: unknown column "retrun_ns"',
        'mean "return_ns"',
    ),
    "a missing column": ("process,key,op,call_ns,return_ns\n0,x,r,1,2\n", ":1: the column value is missing", "a history needs"),
    "a column twice": (HEADER.replace("value", "key") + "0,x,r,1,1,2\n", "twice", ""),
    "a word for a number": (
        HEADER + "0,x,w,1,1,2\n\n0,x,r,1,soon,2\n",
        ":4: 'soon' in the column \"call_ns\" is no whole number",
        "",
    ),
    "a fraction": (HEADER + "0,x,w,1,1,2.5\n", ":2: '2.5'", ""),
    "half a line": (HEADER + "0,x,w,1,1,2\n0,x,r\n", ":3: the line has 3 of 6 values", ""),
    "too many values": (HEADER + "0,x,w,1,1,2,9\n", ":2: the line has too many values", ""),
    "a last line that may be cut": (HEADER + "0,x,w,1,1,2\n0,x,r,1,100,10", ":3: the last line has no end", "copy it again"),
    "reversed times": (HEADER + "0,x,w,1,1,2\n\n0,x,r,1,9,4\n", ":4: the operation returns before it is called", ""),
    "overlapping operations": (
        HEADER + "0,x,w,1,1,5\n1,x,r,1,1,9\n0,x,r,1,4,9\n",
        ":4: two operations of one process overlap",
        "line 2, returns at 5",
    ),
    "an unknown operation": (HEADER + "0,x,cas,1,1,5\n", ':2: "cas" is no op', "choose one of"),
    "an unknown status": (HEADER.strip() + ",status\n0,x,w,1,1,5,okay\n", '"okay" is no status', 'mean "ok"'),
    "nothing seen": (HEADER.strip() + ",seen\n0,x,r,1,1,5,hitt\n", ':2: "hitt" is no seen', 'mean "hit"'),
    "an ok without return": (
        HEADER.strip() + ",status\n0,x,w,1,1,,ok\n",
        ':2: an operation with status "ok" needs a return_ns',
        "",
    ),
    "a write of nothing": (HEADER + "0,x,w,,1,5\n", ":2: the write has no value", ""),
    "no call": (HEADER + "0,x,w,1,,5\n", ':2: "call_ns" is empty', ""),
    "no process": (HEADER + ",x,w,1,1,5\n", ':2: "process" is empty', ""),
    "a write without version": (HEADER.strip() + ",version\n0,x,w,1,1,5,\n", ":2: a write needs a version", ""),
    "a huge time": (HEADER + "0,x,w,1,1,9223372036854775000\n", ':2: the number in "return_ns" is too large', ""),
    "too many nodes": (
        HEADER.strip() + ",node\n" + "".join(f"0,x,r,1,{2 * i},{2 * i + 1},n{i}\n" for i in range(40_000)),
        'the column "node" holds more than a history can',
        "32,767",
    ),
    "an endless cell": (HEADER + "0,x,w,1,1,2\n0,x,w," + "9" * 200_000 + ",soon,2\n", ":3: the line cannot be read", ""),
    "only a header": (HEADER, "holds no operation", ""),
    "nothing": ("", "the file is empty", ""),
    "binary garbage": (b"\x00\x01\xff\xfe" * 100, "not a text file", ""),
    "other bytes": (b"process,key\n\xff\xfe\xfa\n", "not a text file", ""),
    "garbage further on": (HEADER.encode() + b"0,x,w,1,1,2\n" * 9000 + b"0,x,w,\xff\xfe,1,2\n", "not a text file", ""),
}


@pytest.mark.parametrize("problem", BAD_TABLES)
def test_a_bad_table_is_refused_with_its_line(tmp_path: Path, problem: str) -> None:
    """One clear message says what is wrong, on which line, and what to do."""
    text, what, advice = BAD_TABLES[problem]
    message = refusal(tmp_path, text)
    assert what in message
    assert advice in message
    assert "history.csv" in message


BAD_LINES = {
    "half a last line": (
        '{"process":0,"key":"x","op":"r","value":1,"call_ns":1,"return_ns":2}\n{"process":0,"ke',
        ":2: the last line is cut off",
    ),
    "no JSON": ("process: 1\n", ":1: this line is no JSON"),
    "no object": ("[1]\n", ":1: a line should be one JSON object"),
    "an unknown field": ('{"process":0,"key":"x","op":"r","vlaue":1,"call_ns":1,"return_ns":2}\n', 'unknown column "vlaue"'),
    "a word for a number": (
        '{"process":0,"key":"x","op":"r","value":1,"call_ns":1,"return_ns":"2"}\n',
        ':1: "2" in the column "return_ns"',
    ),
    "a late unknown field": (
        (
            '{"process":0,"key":"x","op":"r","value":1,"call_ns":1,"return_ns":2}\n'
            '{"process":0,"key":"x","op":"r","value":1,"call_ns":3,"return_ns":4,"nod":"a"}\n'
        ),
        ':2: unknown column "nod"',
    ),
    "a missing field": ('{"process":0,"key":"x","op":"r","value":1,"call_ns":1}\n', "the column return_ns is missing"),
    "deep nesting": ('{"value": ' + "[" * 100_000 + "\n", ":1: this line is no JSON"),
    "half a character": ('{"process":0,"key":"\\ud800","op":"r","value":1,"call_ns":1,"return_ns":2}\n', "no text"),
    "nothing but space": ("\n\n", "holds no operation"),
}


@pytest.mark.parametrize("problem", BAD_LINES)
def test_bad_json_lines_are_refused_with_their_line(tmp_path: Path, problem: str) -> None:
    """A file that is no history as JSON lines names the line and the field."""
    text, what = BAD_LINES[problem]
    assert what in refusal(tmp_path, text, "h.jsonl")


EVENT = "{:process 0, :type :%s, :f :%s, :value %s}\n"
BAD_EDN = {
    "compare-and-set": (EVENT % ("invoke", "cas", "[1 2]"), ":1: the operation :cas is not supported", "registers"),
    "a transaction": (EVENT % ("invoke", "txn", "[[:r 1 nil]]"), ":1: the operation :txn is not supported", "Elle"),
    "a second call": (EVENT % ("invoke", "read", "nil") * 2, ":2: process 0 calls while its operation of line 1", "overlap"),
    "no call": (EVENT % ("ok", "read", "1"), ":1: process 0 completes an operation that it never called", ""),
    "another completion": (
        EVENT % ("invoke", "read", "nil") + EVENT % ("ok", "write", "1"),
        ":2: process 0 completes a write",
        "",
    ),
    "a cut file": (
        "[" + EVENT % ("invoke", "write", "1") + "{:process 0, :ty",
        ":2: the text ends in the middle of a value",
        "copy it again",
    ),
    "no closing bracket": ("[" + EVENT % ("invoke", "write", "1"), "the text ends in the middle of a value", ""),
    "a wrong bracket": ("[{:process 0]", '"{" is closed by "]"', ""),
    "something after the end": ("[] 1", "stands after the end", ""),
    "no map": ("[1 2]", ":1: an event of a Jepsen history should be a map", ""),
    "an unknown type": ("{:process 0, :type :maybe, :f :read}", ":maybe is no type of event", ""),
    "some times": ("{:process 0, :type :invoke, :f :read, :time 5}{:process 0, :type :ok, :f :read}", "either all events", ""),
    "no client": ("{:process :nemesis, :type :info, :f :kill}", "no operation of a client", ""),
    "only unknown reads": (EVENT % ("invoke", "read", "nil") + EVENT % ("ok", "read", "nil"), "every read is unknown", ""),
    "an open string": ('{:process "abc', "cannot be read from here", ""),
    "reversed times": (
        "{:process 0, :type :invoke, :f :write, :value 1, :time 9}\n{:process 0, :type :ok, :f :write, :value 1, :time 4}\n",
        ":1: the operation returns before it is called",
        "",
    ),
    "deep nesting": ("[" * 500, "nested", ""),
    "a time of many digits": ("{:process 0, :type :invoke, :f :read, :time " + "9" * 5000 + "}", ":time in ns", ""),
    "bytes": (b"\xff\xfe\x00", "not a text file", ""),
}


@pytest.mark.parametrize("problem", BAD_EDN)
def test_a_bad_jepsen_history_is_refused_with_its_line(tmp_path: Path, problem: str) -> None:
    """What is no register history of Jepsen's says why, and where."""
    text, what, advice = BAD_EDN[problem]
    message = refusal(tmp_path, text, "history.edn")
    assert what in message
    assert advice in message


@pytest.mark.parametrize("path", ["nothing.csv", "history.txt", "history"])
def test_what_is_no_history_file_is_refused(tmp_path: Path, path: str) -> None:
    """A missing file, and one whose name does not tell its format, are errors of the user."""
    if path != "nothing.csv":
        (tmp_path / path).write_text("x")
    with pytest.raises(HistoryError, match="history"):
        read_history(tmp_path / path)


def test_a_directory_that_is_no_run_is_refused(tmp_path: Path) -> None:
    """A directory without a plan in it is no run."""
    with pytest.raises(HistoryError, match="no run"):
        read_history(tmp_path)


def test_a_parquet_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """A table of other columns names them, and a cut file is no Parquet file."""
    pq.write_table(pa.table({"colour": ["red"]}), tmp_path / "h.parquet")
    with pytest.raises(HistoryError, match='unknown column "colour"'):
        read_history(tmp_path / "h.parquet")
    (tmp_path / "h.parquet").write_bytes((tmp_path / "h.parquet").read_bytes()[:-9])
    with pytest.raises(HistoryError, match="no whole Parquet file"):
        read_history(tmp_path / "h.parquet")
