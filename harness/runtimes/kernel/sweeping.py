"""What stays behind when an agent itself is killed: its tables, found and removed.

``clean`` looks for them, and so does every agent that starts: addresses are used again, and rules that nobody holds any more
would bend the network of a later run.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Mapping

from docker import DockerClient

from harness.errors import HarnessError, UnsupportedError
from harness.images.catalogue import choose
from harness.images.engine import ENGINE_ERRORS, connect, references
from harness.runtimes.docker import labels
from harness.runtimes.docker.console import Console
from harness.runtimes.docker.engine import WITHIN_S, reason
from harness.runtimes.kernel import container, rules


def clean() -> list[str]:
    """Remove the tables that nobody holds any more on the engine at hand; says which. Nothing without engine or agent's image."""
    with contextlib.suppress(UnsupportedError), contextlib.closing(connect(WITHIN_S)) as client:
        image = choose("agent", "", references(client))
        return asyncio.run(sweep_tables(client, image=image, labels=labels.labels(secrets.token_hex(4))))
    return []


async def sweep_tables(client: DockerClient, *, image: str, labels: Mapping[str, str]) -> list[str]:
    """Remove the tables whose agent is gone; says which. Those of agents that live, and of others, are left alone.

    Args:
        client: of the engine whose machine is swept.
        image: of the agent.
        labels: of the container that does it.
    """
    sweeper, shell = await container.launch(client, image, table="", labels=labels, output=lambda _: None)
    try:
        return await sweep_with(shell, client)
    finally:
        shell.close()
        await container.remove(sweeper)


async def sweep_with(shell: Console, client: DockerClient) -> list[str]:
    """Remove the tables whose agent is gone, by the shell of an agent that runs; says which. Raises ``HarnessError``."""
    listing = await shell.call("nft list ruleset")
    held = await asyncio.to_thread(_held, client)  # after the listing: an agent is there before its tables are
    orphans = [(family, name) for family, name in rules.ours(listing.output) if name not in held]
    for family, name in orphans:
        await shell.call(container.nft(rules.take_down(name, (family,))))
    return [f"table {family} {name}" for family, name in orphans]


def _held(client: DockerClient) -> frozenset[str]:
    try:
        running = client.api.containers(filters={"label": container.TABLE})
    except ENGINE_ERRORS as error:
        raise HarnessError("the Docker engine does not list its containers", why=reason(error)) from error
    return frozenset(entry["Labels"][container.TABLE] for entry in running)
