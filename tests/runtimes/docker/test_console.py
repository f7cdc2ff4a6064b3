"""A shell in a container that obeys within milliseconds, and what it can do with a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from docker.models.containers import Container

from harness.errors import HarnessError
from harness.runtimes.docker.console import Console

pytestmark = pytest.mark.docker

_REDIS = "server_start redis-server --port 6379 --save ''; server_settle 18EB 200"
_SECOND_NS = 1_000_000_000


@asynccontextmanager
async def attached(container: Container, log: bytearray | None = None) -> AsyncIterator[Console]:
    sink = bytearray() if log is None else log
    console = await Console.attach(container, "the container", sink.extend)
    try:
        yield console
    finally:
        console.close()


def test_reply_carries_status_and_all_output(container: Container) -> None:
    """A reply has the script's status and what it wrote to both streams, here-documents and empty lines included."""

    async def scenario() -> None:
        async with attached(container) as console:
            reply = await console.call("cat <<'END'\na 'b\"\n\n$c\nEND\necho wrong >&2\n(exit 3)")
            assert (reply.status, reply.output) == (3, "a 'b\"\n\n$c\nwrong\n")

    asyncio.run(scenario())


def test_replies_go_to_whom_they_belong(container: Container) -> None:
    """Calls that overlap are answered in their order, each with its own reply."""

    async def scenario() -> None:
        async with attached(container) as console:
            replies = await asyncio.gather(*(console.call(f"echo {number}") for number in range(50)))
            assert [reply.output for reply in replies] == [f"{number}\n" for number in range(50)]

    asyncio.run(scenario())


def test_shell_survives_faulty_scripts(container: Container) -> None:
    """A syntax error or a missing file is a status, and variables are still there after it."""

    async def scenario() -> None:
        async with attached(container) as console:
            await console.call("kept=yes")
            assert (await console.call("if")).status != 0
            assert (await console.call(": </nowhere")).status != 0
            assert (await console.call("nosuchprogram")).status == 127
            assert (await console.call("echo $kept")).output == "yes\n"

    asyncio.run(scenario())


def test_large_replies_and_requests_arrive_whole(container: Container) -> None:
    """Megabytes come back as they were written, and long scripts arrive."""

    async def scenario() -> None:
        async with attached(container) as console:
            assert len((await console.call("head -c 2000000 /dev/zero | tr '\\0' x")).output) == 2_000_000
            text = "y" * 100_000
            assert (await console.call(f"cat <<'END' | wc -c\n{text}\nEND")).output.strip() == "100001"

    asyncio.run(scenario())


def test_late_reply_is_nobody_elses(container: Container) -> None:
    """A script that takes too long is an error, and its reply is not taken for the next one's."""

    async def scenario() -> None:
        async with attached(container) as console:
            with pytest.raises(HarnessError, match=r"no answer within 0\.2 s"):
                await console.call("sleep 1; echo late", within_ns=_SECOND_NS // 5)
            assert (await console.call("echo next")).output == "next\n"

    asyncio.run(scenario())


def test_call_that_is_given_up_spoils_no_other(container: Container) -> None:
    """Who stops waiting while a long script is still being sent takes nothing from others: the shell stays, and answers them."""

    async def scenario() -> None:
        async with attached(container) as console:
            busy = asyncio.create_task(console.call("sleep 0.5"))
            long = asyncio.create_task(console.call(f": <<'END'\n{'y' * 600_000}\nEND"))
            await asyncio.sleep(0.2)
            assert not long.done()
            long.cancel()
            await asyncio.wait([long])
            assert (await console.call("echo next")).output == "next\n"
            await busy

    asyncio.run(scenario())


def test_calls_need_nothing_of_the_engine(container: Container) -> None:
    """All calls are answered by the one shell that is attached, none by a ``docker exec``, which takes many times as long."""

    async def scenario() -> None:
        async with attached(container) as console:
            assert {(await console.call("echo $$")).output for _ in range(20)} == {"1\n"}

    asyncio.run(scenario())
    container.reload()
    assert not container.attrs["ExecIDs"]


def test_detached_shell_ends(container: Container) -> None:
    """When the attachment ends, so does the container, with the server in it."""

    async def scenario() -> None:
        async with attached(container) as console:
            await console.call(_REDIS)
        assert console.gone
        with pytest.raises(HarnessError, match="does not answer"):
            await console.call("echo")

    asyncio.run(scenario())
    container.wait(timeout=10)


def test_calls_end_with_the_container(container: Container) -> None:
    """Whoever waits for a reply hears that the container is gone, at once."""

    async def scenario() -> None:
        async with attached(container) as console:
            waiting = asyncio.create_task(console.call("sleep 60", within_ns=60 * _SECOND_NS))
            await asyncio.sleep(0.1)
            await asyncio.to_thread(container.kill)
            with pytest.raises(HarnessError, match="its shell has ended"):
                await asyncio.wait_for(waiting, 10)
            assert console.gone

    asyncio.run(scenario())


def test_server_is_started_killed_and_started_again(container: Container) -> None:
    """A server runs, is gone after a kill with the status of SIGKILL, and runs again; its output is the container's."""

    async def scenario() -> None:
        log = bytearray()
        async with attached(container, log) as console:
            for start in (1, 2):
                assert (await console.call(_REDIS)).output in ("R", "S")
                async with asyncio.timeout(15):  # it says so a while after it listens, and by another way than replies come
                    while log.count(b"Ready to accept connections") < start:  # noqa: ASYNC110  # it can only be looked for
                        await asyncio.sleep(0.01)
                assert (await console.call("server_kill; echo $status")).output == "137\n"
                assert (await console.call("server_state")).output == ""
        assert log.count(b"Ready to accept connections") == 2

    asyncio.run(scenario())


def test_kill_spares_nothing_that_the_server_started(container: Container) -> None:
    """Children of the server die with it, even stopped ones in a session of their own."""

    async def scenario() -> None:
        async with attached(container) as console:
            await console.call("server_start sh -c 'setsid sleep 60 & setsid sleep 61 & kill -STOP $!; wait'")
            await console.call("sleep 0.2; server_kill")
            assert (await console.call("others_in '[!ZX]'")).status == 1

    asyncio.run(scenario())


def test_pause_stops_every_thread(container: Container) -> None:
    """After a pause every thread of the server is in state T, after resuming none is."""

    async def scenario() -> None:
        async with attached(container) as console:
            await console.call(_REDIS)
            threads = "for t in /proc/$server/task/*/stat; do read -r s <$t; s=${s##*) }; printf %s ${s%% *}; done"
            several = "for _ in $(seq 200); do set -- /proc/$server/task/*; [ $# -gt 1 ] && break; sleep 0.05; done"
            await console.call(several)  # Redis starts its background threads a while after its first
            await console.call("server_pause")
            states = (await console.call(threads)).output
            assert len(states) > 1
            assert set(states) == {"T"}
            await console.call("server_resume")
            assert "T" not in (await console.call(threads)).output

    asyncio.run(scenario())


def test_server_that_ends_leaves_its_status(container: Container) -> None:
    """A program that ends by itself, or is not there, is gone with its status, and is not waited for."""

    async def scenario() -> None:
        async with attached(container) as console:
            for program, status in (("sh -c 'exit 7'", 7), ("nosuchserver", 127)):
                reply = await console.call(f"server_start {program}; server_settle 18EB 500")
                assert reply.output == ""
                assert (await console.call("echo $status")).output == f"{status}\n"

    asyncio.run(scenario())


def test_a_server_that_never_listens_is_waited_for_by_the_clock(container: Container) -> None:
    """Where each look takes twenty times as long as it should, there are a twentieth as many."""

    async def scenario() -> None:
        async with attached(container) as console:
            await console.call("looks=0; sleep() { looks=$((looks + 1)); command sleep 0.2; }")
            assert (await console.call("server_start tail -f /dev/null; server_settle 18EB 50")).output
            assert int((await console.call("echo $looks")).output) <= 3

    asyncio.run(scenario())


def test_wipe_leaves_an_empty_directory(container: Container) -> None:
    """Files, hidden ones and directories are gone."""

    async def scenario() -> None:
        async with attached(container) as console:
            await console.call("mkdir -p /data/a/b; touch /data/a/b/c /data/.hidden /data/..odd")
            await console.call("data_wipe")
            assert (await console.call("ls -A /data")).output == ""

    asyncio.run(scenario())
