"""The compose runtime: a user's own file with real Redis servers, struck and mended, and gone without a trace."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.errors import HarnessError, StartupError, UnsupportedError, UsageError
from harness.runtimes import RUNTIMES
from harness.runtimes.arrivals import arrivals_of
from harness.runtimes.base import Capability, Limits, Runtime
from harness.runtimes.docker import composing, labels
from harness.runtimes.docker.compose import ComposeRuntime
from harness.runtimes.docker.labels import RUN
from tests.runtimes.docker.composed import LINK, NODES, PAIR, running, topology, written
from tests.runtimes.docker.fleet import call, info, left, until

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("image")]

_HOME = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _program(tmp_path):
    """Nothing here can be tried where nothing reads compose files."""
    if lacks := ComposeRuntime(tmp_path).refusal(Capability.CUT):
        pytest.skip(lacks)


@pytest.fixture
def file(tmp_path: Path, image: str) -> Path:
    return written(tmp_path / "project", image)


@pytest.fixture
def pair(tmp_path: Path, image: str) -> Path:
    """The smaller file, where it is enough: each service takes a while to start."""
    return written(tmp_path / "project", image, PAIR)


async def reads(runtime: Runtime, node: str, key: str, value: object) -> bool:
    return await call(runtime.endpoint(node), "GET", key) == value


def test_registry_knows_the_runtime(tmp_path):
    """A plan's runtime = "compose" leads to this class."""
    runtime: Runtime = RUNTIMES.load("compose")(tmp_path)
    assert isinstance(runtime, ComposeRuntime)
    assert (runtime.name, runtime.means) == ("compose", "kernel")


def test_a_users_file_runs_and_leaves_nothing(tmp_path, file, engine):
    """All services run on networks of the run's own, with no port on the machine; then there is nothing left but their logs."""

    async def scenario():
        async with running(tmp_path, file) as runtime:
            hosts = {runtime.endpoint(node).host for node in NODES}
            assert len(hosts) == 3
            assert all(host.startswith("172.28.") for host in hosts)
            await call(runtime.endpoint("redis-primary"), "SET", "k", "v")
            await until(lambda: reads(runtime, "redis-replica-2", "k", "v"))
            await until(lambda: visited(runtime))  # the application reaches the primary by its name
            containers = engine.api.containers(filters={"label": f"{RUN}={runtime._run}"})
            assert len(containers) == 5
            assert not any(port.get("PublicPort") for container in containers for port in container["Ports"])
            assert not any("the-only-one" in name for container in containers for name in container["Names"])
            assert [volume["Name"] for volume in volumes(engine, runtime)] == [f"anachron-{runtime._run}_data"]
            facts = runtime.facts()
            assert "redis-primary, redis-replica-1, redis-replica-2: " in facts["images"]
            assert "compose" in facts["composed by"]
            assert str(tmp_path) not in str(facts)
        assert left(engine, runtime._run) == []
        assert volumes(engine, runtime) == []
        logs = {path.stem: path.read_text() for path in (tmp_path / "run" / "logs").glob("*.log")}
        assert set(logs) >= {*NODES, "app", "anachron-compose"}
        assert "Ready to accept connections" in logs["redis-primary"]
        assert logs["app"].strip()
        assert arrivals_of(tmp_path / "run" / "logs" / "app.log")
        await runtime.close()  # once more does no harm

    async def visited(runtime):
        return await call(runtime.endpoint("redis-primary"), "GET", "visits")

    asyncio.run(scenario())


def volumes(engine, runtime):
    return engine.api.volumes(filters={"label": f"{RUN}={runtime._run}"})["Volumes"] or []


def test_two_runs_of_one_file_live_side_by_side(tmp_path, pair):
    """Neither ports nor names nor volumes nor addresses collide."""

    async def scenario():
        async with running(tmp_path / "1", pair, "redis-primary") as one, running(tmp_path / "2", pair, "redis-primary") as two:
            await call(one.endpoint("redis-primary"), "SET", "k", "one")
            await call(two.endpoint("redis-primary"), "SET", "k", "two")
            assert await reads(one, "redis-primary", "k", "one")
            assert await reads(two, "redis-primary", "k", "two")

    asyncio.run(scenario())


def test_a_cut_between_services_bites_and_heals(tmp_path, file):
    """What is written at the primary does not arrive while the link is cut, and does after that."""

    async def scenario():
        async with running(tmp_path, file) as runtime:
            await runtime.cut([LINK])
            await call(runtime.endpoint("redis-primary"), "SET", "k", "v")
            await until(lambda: reads(runtime, "redis-replica-2", "k", "v"))
            await asyncio.sleep(0.3)
            assert await reads(runtime, "redis-replica-1", "k", None)
            await runtime.mend([LINK])
            await until(lambda: reads(runtime, "redis-replica-1", "k", "v"))

    asyncio.run(scenario())


def test_a_paused_service_stands_still(tmp_path, pair):
    """Everything in it is frozen, in state T; a paused one can be told to pause or go on twice."""

    async def scenario():
        async with running(tmp_path, pair, "redis-primary") as runtime:
            at = runtime.endpoint("redis-primary")
            assert await runtime.state("redis-primary") == "S"
            await runtime.pause("redis-primary")
            await runtime.pause("redis-primary")
            assert await runtime.state("redis-primary") == "T"
            with pytest.raises(TimeoutError):
                await call(at, "PING")
            await runtime.resume("redis-primary")
            await runtime.resume("redis-primary")
            assert await call(at, "PING") == "PONG"

    asyncio.run(scenario())


def test_a_dead_host_is_silent_and_comes_back_at_its_address(tmp_path, pair):
    """Connections hear nothing; the node is back where it was, under its name, with its data, and with its log going on."""

    async def scenario():
        async with running(tmp_path, pair, "redis-primary", "redis-replica-1") as runtime:
            at = runtime.endpoint("redis-primary")
            await call(at, "SET", "k", "v")
            reader, writer = await asyncio.open_connection(*at)
            await runtime.pause("redis-primary")  # a paused one can die, too
            await runtime.kill_host("redis-primary")
            assert await runtime.state("redis-primary") == ""
            writer.write(b"PING\r\n")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.5)
            writer.transport.abort()
            await runtime.kill("redis-primary")  # as a healing fault does, to be sure
            await runtime.restart("redis-primary", keep_data=True)
            await until(lambda: reads(runtime, "redis-primary", "k", "v"))
            assert runtime.endpoint("redis-primary") == at
            assert runtime.incarnation("redis-primary") == 2
            await until(lambda: in_step(runtime))  # the replica finds it by its name
        log = (tmp_path / "run" / "logs" / "redis-primary.log").read_text()
        assert log.count("Ready to accept connections") == 2

    async def in_step(runtime):
        return (await info(runtime, "redis-replica-1", "replication"))["master_link_status"] == "up"

    asyncio.run(scenario())


def test_a_host_that_loses_its_data_is_made_anew(tmp_path, pair):
    """Its volume is empty afterwards, and its address the same; so it is where only the engine can take it off its network."""

    async def scenario():
        async with running(tmp_path, pair, "redis-primary") as runtime:
            at = runtime.endpoint("redis-primary")
            await call(at, "SET", "k", "v")
            await runtime.kill_host("redis-primary")
            await runtime.restart("redis-primary", keep_data=False)
            await until(lambda: reads(runtime, "redis-primary", "k", None))
            await call(at, "SET", "k", "v")
            runtime._wires.agent = None
            await runtime.kill_host("redis-primary")
            await runtime.restart("redis-primary", keep_data=True)
            await until(lambda: reads(runtime, "redis-primary", "k", "v"))
            assert runtime.endpoint("redis-primary") == at
            assert runtime.incarnation("redis-primary") == 3

    asyncio.run(scenario())


def test_limits_are_seen_from_within_and_given_back(tmp_path, image):
    """A limit holds until it is lifted; what the file itself allows is what is left then."""
    file = written(
        tmp_path, image, "services: {{only: {{image: {image}, command: redis-server --protected-mode no, cpus: 1.5}}}}"
    )

    async def scenario():
        async with running(tmp_path, file, "only") as runtime:
            assert await runtime.limits("only") == Limits(1.5, None)
            await runtime.limit("only", Limits(0.25, 64 << 20))
            assert await runtime.limits("only") == Limits(0.25, 64 << 20)
            await runtime.limit("only", Limits())
            assert await runtime.limits("only") == Limits(1.5, None)

    asyncio.run(scenario())


def test_what_would_have_to_be_done_inside_is_refused(tmp_path, pair):
    """The server alone is not killed, and the reason says what can be."""
    runtime = ComposeRuntime(tmp_path)
    assert 'what = "host"' in (runtime.refusal(Capability.KILL) or "")
    for capability in (Capability.MESSAGES, Capability.CLOCK, Capability.FILL_DISK, Capability.REPLACE, Capability.CUT_CLIENTS):
        assert runtime.refusal(capability)
    assert ComposeRuntime(tmp_path, client_proxies=True).refusal(Capability.CUT_CLIENTS) is None

    async def scenario():
        async with running(tmp_path, pair, "redis-primary") as alive:
            with pytest.raises(UnsupportedError, match="first process"):
                await alive.kill("redis-primary")
            with pytest.raises(HarnessError, match="runs already"):
                await alive.restart("redis-primary", keep_data=True)
            assert await call(alive.endpoint("redis-primary"), "PING") == "PONG"

    asyncio.run(scenario())


def opened(tmp_path: Path, file: Path, *nodes: str) -> None:
    """Try to open a run that cannot be."""
    runtime = ComposeRuntime(tmp_path / "run")
    try:
        asyncio.run(runtime.open(topology(file, *nodes)))
    finally:
        asyncio.run(runtime.close())
    raise AssertionError("it was opened")


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("services: [", UsageError, "cannot be used"),
        ("services: {{x: {{image: {image}, colour: red}}}}", UsageError, "colour"),
        ("services: {{x: {{image: anachron/never-built}}}}", UnsupportedError, "docker pull anachron/never-built"),
        ("services: {{x: {{build: .}}}}", UnsupportedError, "build x"),
        ("services: {{redis: {{image: {image}}}}}", UsageError, 'no service "x"'),
        ("services: {{x: {{image: {image}, command: no-such-program}}}}", StartupError, "no-such-program"),
    ],
)
def test_what_cannot_be_started_is_told_in_the_programs_words(tmp_path, image, engine, text, error, words):  # noqa: PLR0917
    """Each error names the file, the reason and what to do, and nothing is left of the attempt."""
    file = written(tmp_path, image, text)
    with pytest.raises(error, match=words) as raised:
        opened(tmp_path, file, "x")
    assert raised.value.where == str(file)
    assert raised.value.fix
    assert not [words for words in labels.leftovers() if "_x_1" in words]
    assert not engine.api.containers(all=True, filters={"label": ["com.docker.compose.service=x", RUN]})


def test_a_machine_without_a_program_says_what_to_install(tmp_path, monkeypatch):
    """Neither form of the program is there: every fault is refused, and doctor's facts say the same."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnsupportedError, match="nothing here reads compose files"):
        composing.find()
    assert "install Docker's compose plugin" in (ComposeRuntime(tmp_path).refusal(Capability.CUT) or "")
    assert "install Docker's compose plugin" in ComposeRuntime.describe()["program"]


def test_a_killed_harness_leaves_nothing_of_a_users_file(tmp_path, engine, image):
    """After SIGKILL the watchdog removes containers, networks and volumes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.runtimes.docker.composed", str(tmp_path), image],
        cwd=_HOME,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        run = process.stdout.readline().strip()
        assert run
        labelled = {"label": f"{RUN}={run}"}
        assert engine.api.volumes(filters=labelled)["Volumes"]
        process.kill()
    deadline = time.monotonic() + 30
    while left(engine, run) or engine.api.volumes(filters=labelled)["Volumes"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_harness_that_is_killed_while_services_start_leaves_nothing(tmp_path, engine, image):
    """The program that starts them dies with it; what it had made is swept."""
    slow = """services: {{a: {{image: {image}, command: redis-server --protected-mode no,
      healthcheck: {{test: "false", interval: 1s, retries: 60}}}},
      redis-primary: {{image: {image}, depends_on: {{a: {{condition: service_healthy}}}}}}}}"""
    written(tmp_path / "project", image, slow)
    code = (
        "import asyncio, sys; from pathlib import Path; from tests.runtimes.docker.composed import running\n"
        "async def main(at):\n"
        "    async with running(at, at / 'project' / 'docker-compose.yml', 'redis-primary'): pass\n"
        "asyncio.run(main(Path(sys.argv[1])))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=_HOME)
    mine = {"label": ["com.docker.compose.service=a", RUN]}
    try:
        deadline = time.monotonic() + 30
        while not engine.api.containers(filters=mine):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 30
    while engine.api.containers(all=True, filters=mine):
        assert time.monotonic() < deadline
        time.sleep(0.1)
