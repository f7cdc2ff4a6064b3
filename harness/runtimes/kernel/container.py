"""The container of an agent: what it may do, what runs in it, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from importlib.resources import files

from docker import DockerClient
from docker.errors import ImageNotFound
from docker.models.containers import Container

from harness.errors import StartupError, UnsupportedError
from harness.images.engine import ENGINE_ERRORS
from harness.runtimes.docker.console import Console, first_process
from harness.runtimes.docker.engine import reason
from harness.runtimes.kernel import queueing, rules

TABLE = "anachron.table"
"""The label that says which tables are in this agent's hands; empty if none are."""

_CAPABILITIES = ("NET_ADMIN", "NET_RAW")
_HOME = "/run/anachron"
_END = "ANACHRON_END"


async def launch(
    client: DockerClient, image: str, *, table: str, labels: Mapping[str, str], output: Callable[[bytes], object]
) -> tuple[Container, Console]:
    """Start an agent's container and attach to its shell; whatever ends the shell removes the tables called ``table`` first.

    Raises ``UnsupportedError`` without the image, else ``StartupError``.
    """
    container = await asyncio.to_thread(_create, client, image, table, labels)
    try:
        await asyncio.to_thread(container.start)
        return container, await Console.attach(container, "the agent", output)
    except BaseException as error:
        await remove(container)
        if isinstance(error, ENGINE_ERRORS):
            raise StartupError("the agent's container does not start", why=reason(error)) from error
        raise


async def remove(container: Container) -> None:
    """Remove the container, unless the engine has done so: it does once the shell has ended."""

    def call() -> None:
        with contextlib.suppress(*ENGINE_ERRORS):
            container.remove(force=True)

    await asyncio.to_thread(call)


def nft(script: str) -> str:
    """The shell's words for an nftables script: one transaction."""
    return f"nft -f - <<'{_END}'\n{script}{_END}"


def ask(command: str) -> str:
    """The shell's words for a command to the queue program: its answer is the output."""
    return f"""printf '%s\\n' '{command}' >&7 && read -r answer <&8 && printf '%s\\n' "$answer\""""


def start_queueing(table: str) -> str:
    """The shell's words that bring the queue program into the container and start it; the output is its first line."""
    sources = [part for part in files(queueing).iterdir() if part.name.endswith(".py")]
    return "\n".join(
        (
            f"mkdir -p {_HOME}/queueing && cd {_HOME} && mkfifo to from",
            *(f"cat > queueing/{source.name} <<'{_END}'\n{source.read_text()}{_END}" for source in sources),
            f"python3 -B -m queueing {table} <to >from 2>&3 &",
            "exec 7>to 8<from",
            'read -r answer <&8 && printf "%s" "$answer"',
        )
    )


def _create(client: DockerClient, image: str, table: str, labels: Mapping[str, str]) -> Container:
    try:
        return client.containers.create(
            image,
            **first_process(_functions(table)),
            network_mode="host",
            userns_mode="host",  # else an engine that maps users would not share the host's network
            cap_drop=["ALL"],
            cap_add=list(_CAPABILITIES),
            security_opt=["no-new-privileges"],
            read_only=True,
            tmpfs={"/run": ""},
            auto_remove=True,
            labels={**labels, TABLE: table},
        )
    except ImageNotFound as error:
        raise UnsupportedError(
            f"the agent's image {image} is not there", why=reason(error), fix="build it: anachron images build agent"
        ) from error
    except ENGINE_ERRORS as error:
        raise StartupError("the agent's container cannot be made", why=reason(error)) from error


def _functions(table: str) -> str:
    """What the agent's shell knows from the start: how to heal, and to do so whatever ends it."""
    tables = nft(rules.take_down(table)) if table else ":"
    # The program that holds packets back lets them go once nobody can ask it any more.
    return f"heal() {{\nexec 7>&-\n{tables}\n}}\ntrap heal EXIT\ntrap 'exit 0' TERM INT HUP\ntrap '' PIPE\n"
