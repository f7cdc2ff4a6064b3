"""The agent leaves nothing behind, touches nothing of others, and tells when it can no longer do its part."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time

import pytest

from harness.errors import HarnessError, UnsupportedError
from harness.runtimes.base import Capability
from harness.runtimes.kernel.agent import IMAGE, Agent
from harness.runtimes.kernel.bends import Bend
from harness.runtimes.kernel.rules import set_up, table
from harness.runtimes.kernel.sweeping import clean, sweep_tables

pytestmark = pytest.mark.docker

LABELS = {"anachron.test": "agent"}
BENDS = {
    ("172.28.241.98", "172.28.241.99"): Bend(cut=True),
    ("172.28.241.99", "172.28.241.98"): Bend(refuse=True),
    ("172.28.241.97", "172.28.241.98"): Bend(delay_ns=1_000_000),
}


@pytest.fixture
def run():
    return f"test-{secrets.token_hex(4)}"


@pytest.fixture
def in_host(engine):
    """Run a command in the host's network, as somebody else."""
    container = engine.containers.create(
        IMAGE,
        ["sleep", "120"],
        network_mode="host",
        cap_drop=["ALL"],
        cap_add=["NET_ADMIN"],
        labels=LABELS,
        init=True,
    )
    container.start()
    try:
        yield lambda *command: container.exec_run(command, stderr=False).output.decode()
    finally:
        container.remove(force=True)


def agents(engine, run):
    return engine.api.containers(all=True, filters={"label": f"anachron.table={table(run)}"})


def gone_within(seconds, still_there):
    deadline = time.monotonic() + seconds
    while still_there():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_closing_leaves_no_table_and_no_container(engine, run, in_host):
    """The tables are there while the agent is, and neither is after it."""

    async def scenario():
        agent = await Agent.start(engine, run=run, labels=LABELS)
        await agent.apply(BENDS)
        assert in_host("nft", "list", "tables").count(table(run)) == 2
        await agent.close()
        await agent.close()

    asyncio.run(scenario())
    assert table(run) not in in_host("nft", "list", "tables")
    assert not agents(engine, run)


@pytest.mark.parametrize("other", ["anachronism", "anachron_notes"])
def test_rules_of_others_are_left_as_they_are(engine, run, in_host, other):
    """Our addresses appear in our own tables only, and tables of others with similar names survive run and sweep."""
    in_host("nft", f"add table ip {other} {{ chain c {{ type filter hook forward priority 0; ip saddr 198.51.100.1 drop; }}; }}")
    try:
        before = in_host("nft", "list", "table", "ip", other)
        assert "198.51.100.1" in before

        async def scenario():
            agent = await Agent.start(engine, run=run, labels=LABELS)
            try:
                await agent.apply(BENDS)
                tables = in_host("nft", "list", "ruleset").split("\ntable ")
                assert {text.split()[1] for text in tables if "172.28.241.98" in text} == {table(run)}
            finally:
                await agent.close()
            await sweep_tables(engine, image=IMAGE, labels=LABELS)

        asyncio.run(scenario())
        assert in_host("nft", "list", "table", "ip", other) == before
    finally:
        in_host("nft", f"delete table ip {other}")


def test_a_killed_harness_leaves_nothing(engine, run, in_host):
    """After SIGKILL of the process that holds the agent, its rules and its container go by themselves."""
    program = f"""
import asyncio, docker
from harness.runtimes.kernel.agent import Agent
from harness.runtimes.kernel.bends import Bend
async def main():
    agent = await Agent.start(docker.from_env(), run={run!r}, labels={LABELS!r})
    await agent.apply({{("172.28.241.98", "172.28.241.99"): Bend(cut=True, delay_ns=5)}})
    print("bent", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"bent\n"
        assert "172.28.241.98 . 172.28.241.99" in in_host("nft", "list", "table", "bridge", table(run))
        os.kill(child.pid, signal.SIGKILL)
    assert gone_within(5, lambda: table(run) in in_host("nft", "list", "tables"))
    assert gone_within(5, lambda: agents(engine, run))


def test_a_killed_agent_is_noticed_and_its_tables_are_swept(engine, run, in_host):
    """Who kills the agent itself leaves rules; the check fails, and a sweep removes them but not those of a living run."""

    async def scenario():
        agent = await Agent.start(engine, run=run, labels=LABELS)
        other = await Agent.start(engine, run=f"{run}-alive", labels=LABELS)
        try:
            await agent.check()
            await agent.apply(BENDS)
            agent._container.kill()
            with pytest.raises(HarnessError):
                await agent.check()
            with pytest.raises(HarnessError):
                await agent.apply({})
            assert table(run) in in_host("nft", "list", "tables")
            swept = await sweep_tables(engine, image=IMAGE, labels=LABELS)
            assert {f"table {family} {table(run)}" for family in ("bridge", "ip")} <= set(swept)
            assert not any("alive" in name for name in swept)
            left = in_host("nft", "list", "tables").split()
            assert table(run) not in left
            assert table(f"{run}-alive") in left
            await other.apply(BENDS)
        finally:
            await agent.close()
            await other.close()

    asyncio.run(scenario())
    assert table(run) not in in_host("nft", "list", "tables")


def test_clean_finds_tables_without_an_agent(run, in_host):
    """What nobody holds is removed without being told the run; a second look finds nothing of it."""
    in_host("nft", set_up(table(run), "bridge"))
    assert f"table bridge {table(run)}" in clean()
    assert table(run) not in in_host("nft", "list", "tables")
    assert f"table bridge {table(run)}" not in clean()


def test_the_next_agent_sweeps_tables_without_one(engine, run, in_host):
    """A network is never bent by rules of a run that is over: an agent that starts removes them."""
    in_host("nft", set_up(table(run), "ip"))

    async def scenario():
        agent = await Agent.start(engine, run=f"{run}-next", labels=LABELS)
        try:
            assert table(run) not in in_host("nft", "list", "tables").split()
        finally:
            await agent.close()

    asyncio.run(scenario())


def test_a_dead_queue_program_is_noticed(engine, run):
    """Without the program that is asked about packets, the check and the next change fail."""

    async def scenario():
        agent = await Agent.start(engine, run=run, labels=LABELS)
        try:
            await agent._console.call("kill -9 $!")
            with pytest.raises(HarnessError, match="agent"):
                await agent.check()
            with pytest.raises(HarnessError, match="agent"):
                await agent.apply(BENDS)
        finally:
            await agent.close()

    asyncio.run(scenario())


def test_what_the_kernel_cannot_do_is_refused_with_the_reason(engine, run):
    """An agent knows what it can do here."""

    async def scenario():
        agent = await Agent.start(engine, run=run, labels=LABELS)
        await agent.close()
        return agent.means

    means = asyncio.run(scenario())
    assert [means.refusal(capability) for capability in (Capability.CUT, Capability.RESET, Capability.DELAY)] == [None] * 3


def test_an_image_that_is_not_there_is_refused_with_the_remedy(engine, run):
    """Without the agent's image the error says how to get it."""
    with pytest.raises(UnsupportedError, match="anachron images build"):
        asyncio.run(Agent.start(engine, run=run, labels=LABELS, image="anachron/no-such-agent:1"))
