"""What a dead run left is found and stopped, and nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from harness.errors import HarnessError
from harness.runtimes import procfs
from harness.runtimes.ledger import Ledger, sweep

SLEEPER = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]


@contextmanager
def sleeping():
    with subprocess.Popen(SLEEPER) as process:
        try:
            yield process
        finally:
            process.kill()


def leave(directory, *, owner, **processes):
    """The ledger of a run whose harness was ``owner``."""
    ledger = Ledger(directory)
    for name, pid in processes.items():
        ledger.add(name, pid)
    path = directory / "processes.jsonl"
    own, *rest = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(own), **owner}), *rest, '{"name": "cut sho']) + "\n")


DEAD = {"pid": 2**22 + 1}


def test_sweep_stops_what_a_dead_run_left(tmp_path):
    """Recorded processes of a harness that is gone are killed and named; the second sweep finds nothing."""
    with sleeping() as left:
        leave(tmp_path, owner=DEAD, cache=left.pid)
        assert sweep(tmp_path) == [f"cache (process {left.pid})"]
        assert left.wait(10) == -9
        assert sweep(tmp_path) == []
        assert not (tmp_path / "processes.jsonl").exists()


def test_sweep_spares_a_living_run(tmp_path):
    """The processes of a harness that still runs are left alone, and so is its record."""
    with sleeping() as node:
        leave(tmp_path, owner={}, cache=node.pid)
        assert sweep(tmp_path) == []
        assert node.poll() is None
        assert (tmp_path / "processes.jsonl").exists()
        with pytest.raises(HarnessError, match="another run"):
            Ledger(tmp_path)


@pytest.mark.parametrize("change", [{"started": 1}, {"boot": "another boot"}])
def test_sweep_never_takes_a_process_for_another(tmp_path, change):
    """A pid that belongs to another process now, by start time or boot, is not touched."""
    with sleeping() as innocent:
        leave(tmp_path, owner=DEAD, cache=innocent.pid)
        path = tmp_path / "processes.jsonl"
        owner, entry, *rest = path.read_text().splitlines()
        path.write_text("\n".join([owner, json.dumps({**json.loads(entry), **change}), *rest]))
        assert sweep(tmp_path) == []
        assert innocent.poll() is None


def test_sweep_of_anything_else_does_nothing(tmp_path):
    """A directory without a record, or with garbage in its place, is no error."""
    assert sweep(tmp_path) == []
    (tmp_path / "processes.jsonl").write_bytes(b'\xff\x00\n[]\n{"name": 1}\n7\n')
    assert sweep(tmp_path) == []


def test_identity_ends_with_its_process():
    """A process is alive until it is killed, even before it is reaped."""
    assert procfs.identify(2**22 + 1) is None
    ourselves = procfs.identify(os.getpid())
    assert ourselves
    assert ourselves.alive
    with sleeping() as process:
        who = procfs.identify(process.pid)
        assert who
        assert who.alive
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not who.alive
        assert procfs.state(process.pid) == ""
