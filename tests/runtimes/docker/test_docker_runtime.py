"""The docker runtime with real Redis servers in containers."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import re
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import HarnessError, StartupError, UnsupportedError
from harness.runtimes import RUNTIMES
from harness.runtimes.base import Capability, ClockSkew, Cut, File, Limits, Runtime, Server, Way
from harness.runtimes.docker.network import is_ours
from harness.runtimes.docker.runtime import DockerRuntime
from harness.topology import Link
from tests.runtimes.docker.fleet import (
    LINK,
    call,
    containers,
    info,
    interfaces,
    left,
    opened,
    running,
    server,
    serves,
    topology,
    until,
)

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("image")]

_DISK = ("--appendonly", "yes", "--appendfsync", "always")


def test_registry_knows_the_runtime(tmp_path):
    """A plan's runtime = "docker" leads to this class, and the class is a Runtime."""
    runtime: Runtime = RUNTIMES.load("docker")(tmp_path)
    assert isinstance(runtime, DockerRuntime)
    assert (runtime.name, runtime.means) == ("docker", "kernel")


def test_three_nodes_replicate_and_leave_nothing(tmp_path, engine):
    """A write at the primary arrives at both replicas over addresses of the run's own; afterwards no trace is left."""

    async def scenario():
        async with running(tmp_path, nodes=3) as runtime:
            endpoints = {node: runtime.endpoint(node) for node in ("primary", "replica-1", "replica-2")}
            assert len({endpoint.host for endpoint in endpoints.values()}) == 3
            assert all(endpoint.host.startswith("172.28.") for endpoint in endpoints.values())
            assert runtime.via(LINK) == endpoints["primary"] == runtime.via(Link("client", "primary"))
            await call(endpoints["primary"], "SET", "k", "v")
            for node in ("replica-1", "replica-2"):
                await until(lambda at=endpoints[node]: reads(at, "v"))
            assert "primary, replica-1, replica-2: " in runtime.facts()["images"]
            assert "sha256:" in runtime.facts()["images"]
            assert len(left(engine, runtime._run)) >= 4
            assert f"ana{runtime._run}" in interfaces()
        assert left(engine, runtime._run) == []
        assert f"ana{runtime._run}" not in interfaces()
        await runtime.close()  # once more does no harm

    asyncio.run(scenario())


def test_two_runs_live_side_by_side(tmp_path, engine):
    """Two runs have networks of their own, and the end of one leaves the other alone."""

    async def scenario():
        async with running(tmp_path / "one") as one:
            async with running(tmp_path / "two") as two:
                await call(one.endpoint("primary"), "SET", "k", "one")
                await call(two.endpoint("primary"), "SET", "k", "two")
                assert await call(one.endpoint("primary"), "GET", "k") == "one"
            assert left(engine, two._run) == []
            assert await call(one.endpoint("primary"), "GET", "k") == "one"
        assert left(engine, one._run) == []

    asyncio.run(scenario())


def test_killed_node_is_back_with_or_without_its_data(tmp_path):
    """A kill ends the clients' connections at once; a restart keeps what was on disk, or not, and counts incarnations."""

    async def scenario():
        async with running(tmp_path, *_DISK) as runtime:
            at = runtime.endpoint("primary")
            await call(at, "SET", "k", "v")
            reader, writer = await asyncio.open_connection(*at)
            await runtime.kill("primary")
            assert await runtime.state("primary") == ""
            assert await ending(reader) in ("end", "reset")
            writer.close()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*at)
            await runtime.restart("primary", keep_data=True)
            await until(lambda: reads(at, "v"))
            await runtime.kill("primary")
            await runtime.restart("primary", keep_data=False)
            await until(lambda: reads(at, None))
            assert runtime.incarnation("primary") == 3

    async def ending(reader):
        try:
            return "data" if await asyncio.wait_for(reader.read(1), 2) else "end"
        except ConnectionResetError:
            return "reset"

    asyncio.run(scenario())


def test_killed_node_is_back_without_a_new_container(tmp_path, engine):
    """Five kills, each with the restart, happen in the container that has run since the start: no engine is waited for."""

    async def scenario():
        async with running(tmp_path) as runtime:
            before = [(found.id, found.attrs["State"]["StartedAt"]) for found in containers(engine, runtime)]
            for _ in range(5):
                await runtime.kill("primary")
                await runtime.restart("primary", keep_data=True)
                await until(lambda: serves(runtime, "primary"))
            assert runtime.incarnation("primary") == 6
            assert [(found.id, found.attrs["State"]["StartedAt"]) for found in containers(engine, runtime)] == before

    asyncio.run(scenario())


def test_paused_node_stands_still(tmp_path):
    """A paused server is in state T, accepts connections and answers nothing; resumed it answers."""

    async def scenario():
        async with running(tmp_path) as runtime:
            at = runtime.endpoint("primary")
            await runtime.pause("primary")
            assert await runtime.state("primary") == "T"
            with pytest.raises(TimeoutError):
                await call(at, "PING")
            await runtime.resume("primary")
            assert await runtime.state("primary") in ("R", "S")
            assert await call(at, "PING") == "PONG"
            await runtime.pause("primary")
            await runtime.kill("primary")  # a paused one can be killed, too
            assert await runtime.state("primary") == ""

    asyncio.run(scenario())


def test_dead_machine_is_silent_and_comes_back_at_its_address(tmp_path):
    """Connections to a dead machine hear neither a reset nor an end; a restart brings address and data back. No agent needed."""

    async def scenario():
        async with running(tmp_path, *_DISK) as runtime:
            at = runtime.endpoint("primary")
            await call(at, "SET", "k", "v")
            reader, writer = await asyncio.open_connection(*at)
            await runtime.kill_host("primary")
            assert await runtime.state("primary") == ""
            writer.write(b"PING\r\n")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 1)
            writer.transport.abort()
            with pytest.raises(OSError) as refused:  # noqa: PT011  # which one it is, is the point of the next line
                await asyncio.wait_for(asyncio.open_connection(*at), 1)
            assert isinstance(refused.value, TimeoutError) or refused.value.errno == errno.EHOSTUNREACH
            await runtime.restart("primary", keep_data=True)
            assert runtime.endpoint("primary") == at
            await until(lambda: reads(at, "v"))
            runtime._wires.agent = None
            await runtime.kill_host("primary")
            with pytest.raises(OSError):  # noqa: PT011  # whichever it is: it is no answer
                await call(at, "PING")
            await runtime.restart("primary", keep_data=False)
            await until(lambda: reads(at, None))

    asyncio.run(scenario())


def test_limits_are_seen_from_within(tmp_path):
    """The container sees its limits on processor and memory, and sees them gone."""

    async def scenario():
        async with running(tmp_path) as runtime:
            assert await runtime.limits("primary") == Limits()
            await runtime.limit("primary", Limits(cpus=0.25, memory_bytes=128 << 20))
            assert await runtime.limits("primary") == Limits(cpus=0.25, memory_bytes=128 << 20)
            await runtime.limit("primary", Limits())
            assert await runtime.limits("primary") == Limits()

    asyncio.run(scenario())


def test_limited_processor_slows_the_server(tmp_path, engine):
    """With a twentieth of a processor, the kernel has the server wait while it computes; without a limit it never does."""

    async def scenario():
        async with running(tmp_path) as runtime:
            (node,) = (found for found in containers(engine, runtime) if found.name.endswith("primary"))

            async def had_to_wait():
                with contextlib.suppress(TimeoutError):  # it goes on computing all the same
                    await call(runtime.endpoint("primary"), "EVAL", "for i = 1, 3000000 do end", "0")
                _, output = node.exec_run(["sh", "-c", "cat /sys/fs/cgroup/cpu.stat || cat /sys/fs/cgroup/cpu/cpu.stat"])
                return int(re.search(rb"nr_throttled (\d+)", output)[1]) > 0

            assert not await had_to_wait()
            await runtime.limit("primary", Limits(cpus=0.05))
            await until(had_to_wait)

    asyncio.run(scenario())


def test_full_disk_refuses_writes_until_it_is_freed(tmp_path):
    """With no room left, a server that must log every write ends; freed, it starts again with its data."""

    async def scenario():
        async with running(tmp_path, *_DISK) as runtime:
            at = runtime.endpoint("primary")
            await call(at, "SET", "k", "v")
            await runtime.fill_disk("primary")
            assert await runtime.room("primary") == 0
            with pytest.raises(OSError):  # noqa: PT011  # an error for a reply or the end of the server, as the version has it
                await call(at, "SET", "big", "x" * 100_000)
            await runtime.free_disk("primary")
            assert await runtime.room("primary") > 100 << 20
            await runtime.kill("primary")
            await runtime.restart("primary", keep_data=True)
            await until(lambda: reads(at, "v"))

    asyncio.run(scenario())


def test_wiped_disk_stays_full(tmp_path):
    """A node that loses its data while its disk is full finds it full again."""

    async def scenario():
        async with running(tmp_path) as runtime:
            await runtime.fill_disk("primary")
            await runtime.kill("primary")
            await runtime.restart("primary", keep_data=False)
            assert await runtime.room("primary") == 0

    asyncio.run(scenario())


def test_bent_clock_ends_a_lease(tmp_path):
    """A key of a minute is gone when the node's clock jumps by two; the machine's own clock goes on as ever."""

    async def scenario():
        async with running(tmp_path) as runtime:
            reason = runtime.refusal(Capability.CLOCK)
            assert reason is None, reason
            at = runtime.endpoint("primary")
            await call(at, "SET", "k", "v", "EX", "60")
            await runtime.set_clock("primary", ClockSkew(wall_ns=120 * 10**9))
            ahead = int((await call(at, "TIME"))[0]) - time.time()
            assert 119 < ahead < 125
            assert await call(at, "GET", "k") is None
            await runtime.set_clock("primary", ClockSkew())
            assert abs(int((await call(at, "TIME"))[0]) - time.time()) < 5

    asyncio.run(scenario())


def test_bent_clock_runs_faster(tmp_path):
    """At a hundred times the rate, a key of a minute is gone after a minute of the node's clock, which is soon."""

    async def scenario():
        async with running(tmp_path) as runtime:
            at = runtime.endpoint("primary")
            await runtime.set_clock("primary", ClockSkew(rate=100.0))
            begin = time.monotonic()
            await call(at, "SET", "k", "v", "PX", "60000")
            await until(lambda: reads(at, None), within_s=30)
            assert time.monotonic() - begin > 0.5

    asyncio.run(scenario())


def test_replaced_image_keeps_address_and_data(tmp_path, engine, image):
    """Another image in a node's place serves the same data at the same address."""
    other = "anachron-test/another-redis:1"
    engine.images.get(image).tag("anachron-test/another-redis", "1")
    try:

        async def scenario():
            async with running(tmp_path, *_DISK) as runtime:
                at = runtime.endpoint("primary")
                await call(at, "SET", "k", "v")
                await runtime.replace("primary", other)
                await until(lambda: reads(at, "v"))
                assert runtime.incarnation("primary") == 2
                names = [one for one in engine.containers.list() if one.name.endswith(f"{runtime._run}-primary")]
                assert [one.attrs["Config"]["Image"] for one in names] == [other]
                with pytest.raises(UnsupportedError, match="no-such-image"):
                    await runtime.replace("primary", "no-such-image:1")
                assert await call(at, "GET", "k") == "v"  # what cannot be replaced goes on

        asyncio.run(scenario())
    finally:
        engine.images.remove(other)


def test_files_and_variables_reach_the_server(tmp_path, image):
    """Files are in the working directory before each start, one-time files only where there are none; variables are set."""

    async def scenario():
        async with opened(tmp_path) as runtime:
            files = (File("sub dir/it's.txt", b"\x00\xff'\n" * 3), File("once", b"first", once=True))
            script = "cat 'sub dir/it'\"'\"'s.txt' | wc -c; cat once; echo; echo \"$WORD\"; echo second >once; exec sleep 60"
            server = Server("primary", "sh", ("-c", script), image=image, files=files, environment=(("WORD", "a 'b' $c"),))
            await runtime.start(server)
            await until(lambda: logged(tmp_path / "logs" / "primary.log", "12\nfirst\na 'b' $c\n"))
            await runtime.kill("primary")
            await runtime.restart("primary", keep_data=True)
            await until(lambda: logged(tmp_path / "logs" / "primary.log", "second\n"))

    asyncio.run(scenario())


def test_a_large_file_reaches_the_server_whole(tmp_path, image):
    """Every byte of it, in a directory that is made for it; what the server has made of a one-time file stays."""
    content = bytes(range(256)) * 1_000

    async def scenario():
        async with opened(tmp_path) as runtime:
            files = (File("sub dir/large", content), File("once", content, once=True))
            script = "cat 'sub dir/large' once | md5sum; echo second >once; exec sleep 60"
            await runtime.start(Server("primary", "sh", ("-c", script), image=image, files=files))
            for once in (content, b"second\n"):
                told = hashlib.md5(content + once, usedforsecurity=False).hexdigest()
                await until(lambda told=told: logged(tmp_path / "logs" / "primary.log", told))
                await runtime.kill("primary")
                await runtime.restart("primary", keep_data=True)

    asyncio.run(scenario())


def test_logs_land_while_the_run_goes_on(tmp_path):
    """What a server writes is in the run's directory at once, each start under a heading."""

    async def scenario():
        async with running(tmp_path) as runtime:
            log = tmp_path / "logs" / "primary.log"
            await until(lambda: logged(log, "Ready to accept connections"))
            assert log.read_text().startswith("--- start 1 of primary: redis-server --port 6379")
            assert "Ready to accept connections" in runtime.log_end("primary")

    asyncio.run(scenario())


def test_server_that_ends_at_once_is_a_startup_error(tmp_path, engine):
    """The error says which node and how it ended, with the end of its log; the node can be started again."""

    async def scenario():
        async with opened(tmp_path) as runtime:
            with pytest.raises(StartupError, match="primary did not start: it ended with status 1") as failed:
                await runtime.start(server(runtime, "primary", "--no-such-option", "1"))
            assert "no-such-option" in str(failed.value)
            assert await runtime.state("primary") == ""
            await runtime.start(server(runtime))
            with pytest.raises(HarnessError, match="runs already"):
                await runtime.start(server(runtime))
        assert left(engine, runtime._run) == []

    asyncio.run(scenario())


def test_missing_image_is_refused_with_the_remedy(tmp_path):
    """A plan's image that the engine does not have is named, with the command that brings it."""

    async def scenario():
        async with opened(tmp_path) as runtime:
            with pytest.raises(UnsupportedError, match=r"docker pull redis:0\.0"):
                await runtime.start(replace(server(runtime), image="redis:0.0"))

    asyncio.run(scenario())


def test_interrupted_start_leaves_nothing(tmp_path, engine):
    """Who is cancelled while containers start still removes all of them."""

    async def scenario():
        async with opened(tmp_path, 3) as runtime:
            starts = [asyncio.create_task(runtime.start(server(runtime, node))) for node in ("primary", "replica-1", "replica-2")]
            await asyncio.sleep(0.15)
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
        assert left(engine, runtime._run) == []

    asyncio.run(scenario())


def test_interrupted_opening_leaves_nothing(tmp_path, engine):
    """Who is cancelled while the network and the agent are made still removes both."""

    async def scenario(after_s):
        runtime = DockerRuntime(tmp_path / str(after_s))
        opening = asyncio.create_task(runtime.open(topology(1)))
        await asyncio.sleep(after_s)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        assert left(engine, runtime._run) == []

    for after_s in (0.05, 0.15, 0.3):
        asyncio.run(scenario(after_s))


def test_lost_container_is_told(tmp_path, engine):
    """When somebody removes a node's container, the node is gone and the next pulse says so."""

    async def scenario():
        async with running(tmp_path) as runtime:
            assert await runtime.pulse() == ()
            engine.containers.get(f"anachron-{runtime._run}-primary").remove(force=True)
            await until(lambda: gone(runtime))
            with pytest.raises(HarnessError, match="the container of primary has ended"):
                await runtime.pulse()

    async def gone(runtime):
        return await runtime.state("primary") == ""

    asyncio.run(scenario())


@pytest.mark.parametrize("how", Cut)
def test_cut_link_keeps_writes_from_the_replica(tmp_path, how):
    """A cut between two containers keeps a write from the replica while both are read from here; the mend lets it arrive."""

    async def scenario():
        async with running(tmp_path, nodes=2) as runtime:
            at = runtime.endpoint("replica-1")
            await call(runtime.endpoint("primary"), "SET", "k", "old")
            await until(lambda: reads(at, "old"))
            await runtime.cut([LINK], how)
            await call(runtime.endpoint("primary"), "SET", "k", "new")
            await asyncio.sleep(0.5)
            assert await call(at, "GET", "k") == "old"
            await runtime.mend([LINK])
            await until(lambda: reads(at, "new"))

    asyncio.run(scenario())


def test_delayed_link_holds_writes_back(tmp_path):
    """A delay of 200 ms each way keeps a write from the replica for as long."""

    async def scenario():
        async with running(tmp_path, nodes=2) as runtime:
            await runtime.delay([LINK], 200_000_000)
            await asyncio.sleep(0.5)
            begin = time.monotonic()
            await call(runtime.endpoint("primary"), "SET", "k", "v")
            await until(lambda: reads(runtime.endpoint("replica-1"), "v"))
            assert time.monotonic() - begin > 0.19
            await runtime.mend([LINK])

    asyncio.run(scenario())


def test_reset_link_is_connected_anew(tmp_path):
    """After a reset the replica has a new connection to its primary, and follows it."""

    async def scenario():
        async with running(tmp_path, nodes=2) as runtime:
            before = int((await info(runtime, "primary", "stats"))["sync_partial_ok"])
            await runtime.reset([LINK])
            await until(lambda: anew(runtime, before))
            await until(lambda: logged(tmp_path / "logs" / "replica-1.log", "Connection with master lost"))

    async def anew(runtime, before):
        return int((await info(runtime, "primary", "stats"))["sync_partial_ok"]) > before

    asyncio.run(scenario())


def test_links_to_clients_go_through_proxies_if_wanted(tmp_path):
    """A cut between clients and a node is the proxy's: the client hears nothing while the harness reads the node."""

    async def scenario():
        async with running(tmp_path, client_proxies=True) as runtime:
            link = Link("client", "primary")
            assert runtime.via(link).host.startswith("127.")
            assert await call(runtime.via(link), "PING") == "PONG"
            await runtime.cut([link])
            with pytest.raises(TimeoutError):
                await call(runtime.via(link), "PING")
            assert await call(runtime.endpoint("primary"), "PING") == "PONG"
            await runtime.mend([link])
            assert await call(runtime.via(link), "PING") == "PONG"

    asyncio.run(scenario())


def test_links_among_nodes_go_through_proxies_if_wanted(tmp_path):
    """The replica reaches its primary through the machine's own address on the run's network, and nowhere else it listens."""

    async def scenario():
        async with running(tmp_path, nodes=2, node_proxies=True) as runtime:
            via = runtime.via(LINK)
            assert via.host.endswith(".1")
            assert (await info(runtime, "replica-1", "replication"))["master_host"] == via.host
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", via.port), timeout=1)
            await runtime.cut([LINK], way=Way.BACKWARD)
            await call(runtime.endpoint("primary"), "SET", "k", "v")
            await asyncio.sleep(0.3)
            assert await call(runtime.endpoint("replica-1"), "GET", "k") is None
            await runtime.mend([LINK])
            await until(lambda: reads(runtime.endpoint("replica-1"), "v"))

    asyncio.run(scenario())


def test_links_without_proxies_to_clients_are_refused(tmp_path):
    """Nothing can be done to links with clients unless proxies stand there, and the reason says how to get them."""

    async def scenario():
        async with running(tmp_path) as runtime:
            assert "client_proxies = true" in (runtime.refusal(Capability.CUT_CLIENTS) or "")
            with pytest.raises(UnsupportedError, match="client_proxies = true"):
                await runtime.cut([Link("client", "primary")])

    asyncio.run(scenario())


def test_without_an_engine_everything_is_refused(tmp_path, monkeypatch):
    """Where no engine answers, every capability is refused with what to do, and opening says the same."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    runtime = DockerRuntime(tmp_path)
    for capability in Capability:
        assert "start Docker" in (runtime.refusal(capability) or "")
    assert "start Docker" in DockerRuntime.describe()["engine"]
    with pytest.raises(UnsupportedError, match="start Docker"):
        asyncio.run(runtime.open(None))


def test_addresses_that_are_ours_are_told_from_others():
    """The engine's own end of a bridge is ours; an address of another machine is not."""
    assert is_ours("127.0.0.1")
    assert not is_ours("198.51.100.1")


def test_an_engine_out_of_reach_is_refused(tmp_path, monkeypatch):
    """Where the engine's networks are not this machine's, the runtime says so and where to run it, and starts nothing."""
    monkeypatch.setattr("harness.runtimes.docker.survey.is_ours", lambda _: False)
    runtime = DockerRuntime(tmp_path)
    for capability in Capability:
        assert "run anachron where its networks are" in (runtime.refusal(capability) or "")
    told = DockerRuntime.describe()
    assert "out of reach" in told["nodes"]
    assert told["network faults"].startswith("none")
    with pytest.raises(UnsupportedError, match="run anachron where its networks are"):
        asyncio.run(runtime.open(topology(1)))


async def reads(at, value):
    return await call(at, "GET", "k") == value


async def logged(log: Path, words: str) -> bool:
    return words in await asyncio.to_thread(log.read_text)
