"""The process runtime with real Valkey servers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import HarnessError, PlanError, StartupError, StorageError, UnsupportedError
from harness.runtimes import RUNTIMES, addresses, procfs
from harness.runtimes.base import Capability, Cut, Endpoint, File, Runtime, Server
from harness.runtimes.process import ProcessRuntime
from harness.topology import Link

pytestmark = pytest.mark.servers


def test_registry_knows_the_runtime(tmp_path):
    """A plan's runtime = "process" leads to this class, and the class is a Runtime."""
    runtime: Runtime = RUNTIMES.load("process")(tmp_path)
    assert isinstance(runtime, ProcessRuntime)
    assert (runtime.name, runtime.means) == ("process", "proxy")
    with pytest.raises(PlanError, match="process"):
        RUNTIMES.load("proces")


def test_replication_goes_through_the_link(tmp_path, kit):
    """A cut link keeps a write from the replica while the harness reads both nodes; the mend lets it arrive."""

    async def scenario():
        async with kit.opened(tmp_path) as runtime:
            await kit.replicating(runtime)
            primary, replica = runtime.endpoint("primary"), runtime.endpoint("replica-1")
            kit.ask(primary, "SET", "k", "1")
            await kit.until(lambda: kit.ask(replica, "GET", "k") == "1")
            await runtime.cut([kit.link])
            kit.ask(primary, "SET", "k", "2")
            await asyncio.sleep(0.15)
            assert kit.ask(primary, "GET", "k") == "2"
            assert kit.ask(replica, "GET", "k") == "1"
            async with asyncio.timeout(15):
                while not (await runtime.traffic())[kit.link].held_backward:  # noqa: ASYNC110  # it can only be asked for
                    await asyncio.sleep(0.005)
            assert kit.ask(replica, "GET", "k") == "1"
            await runtime.mend([kit.link])
            await kit.until(lambda: kit.ask(replica, "GET", "k") == "2")
            assert (await runtime.traffic())[kit.link].accepted == 1, "the mend must not need a new connection"

    asyncio.run(scenario())


def test_primary_sees_the_replica_at_its_own_address(tmp_path, kit):
    """The proxy connects from the source node's address, so servers tell their peers apart."""

    async def scenario():
        async with kit.opened(tmp_path) as runtime:
            await kit.replicating(runtime)
            host, port = runtime.endpoint("replica-1")
            assert f"ip={host},port={port}" in kit.ask(runtime.endpoint("primary"), "INFO", "replication")

    asyncio.run(scenario())


def test_refused_link_comes_back(tmp_path, kit):
    """A replica whose link is refused loses it, and follows again after the mend."""

    async def scenario():
        async with kit.opened(tmp_path) as runtime:
            await kit.replicating(runtime)
            replica = runtime.endpoint("replica-1")
            await runtime.cut([kit.link], Cut.REFUSE)
            await kit.until(lambda: "master_link_status:down" in kit.ask(replica, "INFO", "replication"))
            kit.ask(runtime.endpoint("primary"), "SET", "k", "2")
            await runtime.mend([kit.link])
            await kit.until(lambda: kit.ask(replica, "GET", "k") == "2")

    asyncio.run(scenario())


def test_client_links_are_direct_unless_proxies_are_asked_for(tmp_path, kit):
    """Clients reach a node at its own address, or through a link of their own that can be cut."""
    link = Link("client", "primary")

    async def direct():
        async with kit.opened(tmp_path / "direct") as runtime:
            assert runtime.via(link) == runtime.endpoint("primary")
            assert "client_proxies" in runtime.refusal(Capability.CUT_CLIENTS)
            with pytest.raises(UnsupportedError, match="client_proxies"):
                await runtime.cut([link])

    async def proxied():
        async with kit.opened(tmp_path / "proxied", client_proxies=True) as runtime:
            assert runtime.refusal(Capability.CUT_CLIENTS) is None
            await runtime.start(kit.server(runtime, "primary"))
            await kit.serving(runtime.via(link))
            await runtime.cut([link], Cut.REFUSE)
            with pytest.raises(ConnectionRefusedError):
                kit.ask(runtime.via(link), "PING")
            assert kit.ask(runtime.endpoint("primary"), "PING") == "+PONG"

    asyncio.run(direct())
    asyncio.run(proxied())


def test_paused_node_is_stopped_and_goes_on(tmp_path, kit):
    """A pause is over before the call returns: state T, no answers; after the resume what was sent meanwhile is answered."""

    async def scenario():
        async with kit.opened(tmp_path) as runtime:
            await runtime.start(kit.server(runtime, "primary"))
            await kit.serving(runtime.endpoint("primary"))
            await runtime.pause("primary")
            assert await runtime.state("primary") == "T"
            with socket.create_connection(runtime.endpoint("primary")) as connection:
                connection.sendall(b"PING\r\n")
                connection.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    connection.recv(100)
                await runtime.resume("primary")
                assert await runtime.state("primary") in set("RSD")
                connection.settimeout(10)
                assert connection.recv(100) == b"+PONG\r\n"

    asyncio.run(scenario())


@pytest.mark.parametrize("keep_data", [True, False])
def test_restart_with_and_without_data(tmp_path, kit, keep_data):
    """A killed node is gone at once, starts as a new incarnation, and has its data exactly if it was to keep it."""

    async def scenario():
        async with kit.opened(tmp_path) as runtime:
            node = runtime.endpoint("primary")
            await runtime.start(kit.server(runtime, "primary"))
            await kit.serving(node)
            kit.ask(node, "SET", "k", "1")
            assert kit.ask(node, "SAVE") == "+OK"
            assert (tmp_path / "nodes" / "primary" / "dump.rdb").exists()
            await runtime.kill("primary")
            assert (await runtime.state("primary"), runtime.incarnation("primary")) == ("", 1)
            await runtime.restart("primary", keep_data=keep_data)
            await kit.serving(node)
            assert runtime.incarnation("primary") == 2
            assert kit.ask(node, "GET", "k") == ("1" if keep_data else "$-1")

    asyncio.run(scenario())


def test_a_server_finds_its_files_and_variables_at_every_start(tmp_path, kit):
    """Files stand in the working directory for nobody else to read, also after a restart that forgot all data."""
    script = 'ls -l note | cut -c 1-10; cat note; echo " $SAID"; rm note; sleep 60'

    async def scenario():
        async with kit.opened(tmp_path) as runtime:
            note = File("note", b"written", secret=True)
            await runtime.start(Server("primary", "sh", ("-c", script), files=(note,), environment=(("SAID", "aloud"),)))
            await kit.until(lambda: runtime.log_end("primary").count("written aloud") == 1)
            await runtime.kill("primary")
            await runtime.restart("primary", keep_data=False)
            await kit.until(lambda: runtime.log_end("primary").count("written aloud") == 2)
            assert runtime.log_end("primary").count("\n-rw-------\n") == 2

    asyncio.run(scenario())


def test_start_failure_shows_the_end_of_the_log(tmp_path, kit):
    """A server that ends at once is reported with its own words, and the runtime still works for the next one."""

    async def scenario():
        async with kit.opened(tmp_path) as runtime:
            with pytest.raises(StartupError) as raised:
                await runtime.start(kit.server(runtime, "primary", "--no-such-setting", "1"))
            assert "no-such-setting" in str(raised.value)
            assert "status 1" in str(raised.value)
            assert "no-such-setting" in runtime.log_end("primary")
            await runtime.start(kit.server(runtime, "primary"))
            await kit.serving(runtime.endpoint("primary"))

    asyncio.run(scenario())


def test_missing_program_is_named_with_its_remedy(tmp_path, kit):
    """A program that is not installed is a start-up failure that says what to install."""

    async def scenario():
        async with kit.opened(tmp_path) as runtime:
            with pytest.raises(StartupError, match="no-such-server is not installed"):
                await runtime.start(Server("primary", "no-such-server", ()))
            with pytest.raises(StartupError, match="cannot be started"):
                await runtime.start(Server("primary", str(_not_a_program(tmp_path)), ()))

    asyncio.run(scenario())


def _not_a_program(directory: Path) -> Path:
    path = directory / "garbage"
    path.write_bytes(b"\x00\x01\x02")
    path.chmod(0o755)
    return path


def test_node_that_dies_by_itself_breaks_nothing(tmp_path, kit):
    """After a crash the state says so, the other calls go on, and a restart brings the node back."""

    async def scenario():
        async with kit.opened(tmp_path) as runtime:
            await runtime.start(kit.server(runtime, "primary"))
            await kit.serving(runtime.endpoint("primary"))
            kit.ask(runtime.endpoint("primary"), "SHUTDOWN", "NOSAVE")
            while await runtime.state("primary"):  # noqa: ASYNC110 - there is nothing to be told by
                await asyncio.sleep(0.005)
            await runtime.pause("primary")
            await runtime.resume("primary")
            await runtime.kill("primary")
            assert await runtime.state("primary") == ""
            assert "bye bye" in runtime.log_end("primary")
            await runtime.restart("primary", keep_data=True)
            await kit.serving(runtime.endpoint("primary"))

    asyncio.run(scenario())


def test_address_taken_for_a_moment_is_waited_for(tmp_path, kit):
    """A node whose address somebody else holds for a moment starts when it is free, and is an error if it stays taken."""

    async def scenario():
        async with kit.opened(tmp_path) as runtime:
            with _listener(runtime.endpoint("primary")) as intruder:
                asyncio.get_running_loop().call_later(0.2, intruder.close)
                await runtime.start(kit.server(runtime, "primary"))
            await kit.serving(runtime.endpoint("primary"))
            with _listener(runtime.endpoint("replica-1")), pytest.raises(StartupError, match="another process listens"):
                await runtime.start(kit.server(runtime, "replica-1"))

    asyncio.run(scenario())


def _listener(endpoint: Endpoint) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(endpoint)
    listener.listen()
    return listener


def test_runs_side_by_side_and_beside_a_wildcard_listener(tmp_path, kit, monkeypatch):
    """Two runs and a server on 0.0.0.0 with a port from the same range do not meet."""
    with _listener(Endpoint("0.0.0.0", 0)) as wildcard:  # noqa: S104  # the neighbour that must not be in the way
        taken = wildcard.getsockname()[1]
        monkeypatch.setattr(addresses, "_PORTS", range(taken, taken + 3))

        async def scenario():
            async with kit.opened(tmp_path / "one") as one, kit.opened(tmp_path / "two") as two:
                await asyncio.gather(kit.replicating(one), kit.replicating(two))
                kit.ask(one.endpoint("primary"), "SET", "k", "1")
                await kit.until(lambda: kit.ask(one.endpoint("replica-1"), "GET", "k") == "1")
                assert kit.ask(two.endpoint("primary"), "GET", "k") == "$-1"
                ends = [run.endpoint(node) for run in (one, two) for node in ("primary", "replica-1")]
                assert len({host for host, _ in ends}) == 4
                assert taken not in {port for _, port in ends}

        asyncio.run(scenario())


def test_directory_of_a_living_run_is_refused(tmp_path, kit):
    """A second runtime in the directory of a run that is alive does not start, and does not disturb it."""

    async def scenario():
        async with kit.opened(tmp_path) as runtime:
            await runtime.start(kit.server(runtime, "primary"))
            with pytest.raises(HarnessError, match="another run"):
                await ProcessRuntime(tmp_path).open(kit.topology)
            with pytest.raises(HarnessError, match="runs already"):
                await runtime.start(kit.server(runtime, "primary", "--maxclients", "7"))
            await kit.serving(runtime.endpoint("primary"))
            await runtime.kill("primary")
            await runtime.restart("primary", keep_data=True)
            await kit.serving(runtime.endpoint("primary"))
            clients = kit.ask(runtime.endpoint("primary"), "INFO", "clients")
            assert "maxclients:" in clients, "the refused start must not change what a restart does"
            assert "maxclients:7\r" not in clients

    asyncio.run(scenario())


def test_close_stops_everything_even_what_is_paused(tmp_path, kit):
    """After a close, which may be repeated, no process and no record is left; logs and states can still be read."""

    async def scenario():
        async with kit.opened(tmp_path) as runtime:
            await kit.replicating(runtime)
            pids = _recorded(tmp_path)
            assert len(pids) == 4, "the harness, the proxy, two nodes"
            await runtime.pause("replica-1")
            await runtime.close()
            assert not any(procfs.state(pid) for pid in pids if pid != os.getpid())
            assert not (tmp_path / "processes.jsonl").exists()
            assert await runtime.state("primary") == ""
            assert runtime.log_end("primary")
            with pytest.raises(HarnessError, match="not open"):
                await runtime.restart("primary", keep_data=True)

    asyncio.run(scenario())


def test_close_kills_what_does_not_listen_to_reason(tmp_path, kit):
    """A node that ignores SIGTERM is killed after a short wait."""
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('armed', flush=True); time.sleep(600)"

    async def scenario():
        async with kit.opened(tmp_path) as runtime:
            await runtime.start(Server("primary", sys.executable, ("-S", "-c", stubborn)))
            await kit.until(lambda: "armed" in runtime.log_end("primary", 1))
            await runtime.close()
            assert await runtime.state("primary") == ""

    asyncio.run(scenario())


HARNESS = """
import asyncio, sys
from pathlib import Path
from harness.runtimes.base import Server
from harness.runtimes.process import ProcessRuntime
from harness.topology import Link, Node, Topology

async def main():
    runtime = ProcessRuntime(Path(sys.argv[1]))
    await runtime.open(Topology((Node(0, "a", "cache"), Node(1, "b", "cache")), (Link("a", "b"),), (0,), (0,)))
    for node in ("a", "b"):
        host, port = runtime.endpoint(node)
        await runtime.start(Server(node, "valkey-server", ("--bind", host, "--port", str(port))))
    await runtime.pause("b")
    print("ready", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def test_nothing_outlives_a_killed_harness(tmp_path, kit):
    """kill -9 of the harness ends its nodes, running or paused, and its proxy; without any help."""
    with subprocess.Popen([sys.executable, "-c", HARNESS, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path.cwd()) as harness:
        try:
            assert harness.stdout
            assert harness.stdout.readline() == b"ready\n"
            pids = [pid for pid in _recorded(tmp_path) if pid != harness.pid]
            assert len(pids) == 3
            assert all(procfs.state(pid) for pid in pids)
        finally:
            os.kill(harness.pid, signal.SIGKILL)
    asyncio.run(kit.until(lambda: not any(procfs.state(pid) for pid in pids)))


def _recorded(directory: Path) -> list[int]:
    return [json.loads(line)["pid"] for line in (directory / "processes.jsonl").read_text().splitlines()]


def test_everything_is_refused_on_another_system(tmp_path, kit, monkeypatch):
    """Off Linux each capability is refused with reason and remedy, and nothing is started."""
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    runtime = ProcessRuntime(tmp_path / "run")
    for capability in Capability:
        refusal = runtime.refusal(capability)
        assert refusal
        assert "PR_SET_PDEATHSIG" in refusal
        assert "container" in refusal
    with pytest.raises(UnsupportedError, match="Darwin"):
        asyncio.run(runtime.open(kit.topology))
    assert not (tmp_path / "run").exists()
    assert "Darwin" in ProcessRuntime.describe()["nodes"]


def test_linux_can_do_everything_that_processes_and_proxies_can_with_proxies_on_all_links(tmp_path, kit):
    """With client proxies nothing is refused but what takes packets or machines, and that names the runtime that has them."""

    async def scenario():
        async with kit.opened(tmp_path, client_proxies=True) as runtime:
            refusals = {capability: runtime.refusal(capability) for capability in Capability}
            able = {"cut", "cut-clients", "delay", "throttle", "reset", "messages", "client-messages", "kill", "pause"}
            assert {capability for capability, why in refusals.items() if why is None} == able
            assert all('runtime = "docker"' in why for why in refusals.values() if why)

    asyncio.run(scenario())


def test_description_names_the_server_found():
    """The facts for the doctor hold the version that the program itself tells."""
    facts = ProcessRuntime.describe()
    assert "v=" in facts["valkey-server"]
    assert "Linux" in facts["platform"]


def test_unknown_names_are_errors(tmp_path, kit):
    """A node or a link that the topology does not name is a clear error."""

    async def scenario():
        async with kit.opened(tmp_path) as runtime:
            with pytest.raises(HarnessError, match='no node "x"'):
                runtime.endpoint("x")
            with pytest.raises(HarnessError, match="no link primary->replica-1"):
                runtime.via(Link("primary", "replica-1"))
            with pytest.raises(HarnessError, match="never started"):
                await runtime.restart("primary", keep_data=True)

    asyncio.run(scenario())


def test_unwritable_directory_is_a_storage_error(tmp_path, kit):
    """A run directory that cannot be made is reported as such, before anything starts."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        asyncio.run(ProcessRuntime(tmp_path / "file" / "run").open(kit.topology))
