"""What a dead run left is found and stopped, and nothing else is."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from harness.errors import HarnessError
from harness.runtimes import procfs
from harness.runtimes.ledger import Ledger, leftovers, sweep

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
        assert sweep(tmp_path) == [f"stopped cache (process {left.pid})"]
        assert left.wait(10) == -9
        assert sweep(tmp_path) == []
        assert not (tmp_path / "processes.jsonl").exists()


def test_sweep_removes_the_secrets_of_a_dead_run(tmp_path):
    """A password that a killed run had put beside its node is gone after the sweep; other files stay."""
    secret, other = tmp_path / "users.acl", tmp_path / "dump.rdb"
    secret.touch()
    other.touch()
    Ledger(tmp_path).add_secret(secret)
    assert sweep(tmp_path) == []
    assert secret.exists()
    own, *rest = (tmp_path / "processes.jsonl").read_text().splitlines()
    (tmp_path / "processes.jsonl").write_text("\n".join([json.dumps({**json.loads(own), **DEAD}), *rest]) + "\n")
    assert sweep(tmp_path) == ["removed users.acl"]
    assert not secret.exists()
    assert other.exists()


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


@pytest.mark.parametrize("ours", [True, False])
def test_sweep_stops_what_a_dead_process_had_made(tmp_path, ours):
    """A child in the group of a recorded process outlives it while it is stopped; one that works elsewhere is not ours."""
    run = tmp_path / "run"
    run.mkdir()
    script = "sleep 60 & echo $!; wait"
    where = run if ours else tmp_path
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True, cwd=where) as leader:
        child = int(leader.stdout.readline())
        leave(run, owner=DEAD, cache=leader.pid)
        os.kill(child, signal.SIGSTOP)
        leader.kill()
    try:
        assert leftovers(run) == ([f"cache (process {child})"] if ours else [])
        assert sweep(run) == ([f"stopped cache (process {child})"] if ours else [])
        assert bool(procfs.state(child)) is not ours
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


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


def test_identity_of_another_namespace_is_not_taken_for_ours():
    """A process id from a container says nothing here: whoever has that number on this machine is somebody else."""
    program = "import os; from harness.runtimes import procfs; print(*procfs.identify(os.getpid()))"
    command = ["unshare", "--map-root-user", "--pid", "--fork", "--mount-proc", sys.executable, "-c", program]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode:
        pytest.skip(f"no namespaces of process ids can be made here: {told.stderr.strip()}")
    pid, started, boot = told.stdout.split()
    assert boot != procfs.boot_id()
    assert not procfs.Identity(int(pid), int(started), boot).alive


def test_a_harness_that_does_not_show_itself_is_alive(monkeypatch):
    """Where ``/proc`` hides the processes of others, or cannot be read, it is enough that there is one: its run is not swept."""
    with sleeping() as other:
        identity = procfs.identify(other.pid)
        monkeypatch.setattr(procfs, "_stat", lambda _: None)
        assert identity.alive
    assert not identity.alive
