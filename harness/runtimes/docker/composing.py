"""The program that reads compose files, ``docker compose`` or ``docker-compose``: it is asked, and obeys; nothing of it stays.

It ends with the harness, whatever ends that, so that a killed run does not go on making containers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.errors import AnachronError, StartupError, UnsupportedError, UsageError
from harness.runtimes import leash

_WITHIN_S = 280
"""How long the services may take to come up, with their health checks."""
_ANSWERS_WITHIN_S = 30
_LAST_WORDS = 12
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_SOCKET = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Program:
    """What composes here.

    Attributes:
        command: how it is called.
        version: what it says of itself.
    """

    command: tuple[str, ...]
    version: str


def find() -> Program:
    """The program on this machine; raises ``UnsupportedError`` if there is none."""
    for words in (("docker", "compose"), ("docker-compose",)):
        path = shutil.which(words[0])
        if path is None:
            continue
        command = (path, *words[1:])
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            said = subprocess.run(
                [*command, "version", "--short"], capture_output=True, text=True, timeout=_ANSWERS_WITHIN_S, check=False
            )
            if said.returncode == 0:
                return Program(command, f"{' '.join(words)} {said.stdout.strip().removeprefix('v')}")
    raise UnsupportedError(
        "nothing here reads compose files",
        why="there is neither `docker compose` nor `docker-compose`",
        fix="install Docker's compose plugin (docker-compose-plugin, or docker-compose-v2)",
    )


class Composer:
    """A project in the hands of the program.

    Args:
        program: that one.
        file: the user's compose file.
        name: of the project, on the engine.
        log: gets what the program says.
    """

    def __init__(self, program: Program, file: Path, name: str, log: Path) -> None:
        self._program = program
        self._file = file.absolute()
        self._name = name
        self._log = log

    async def config(self) -> str:
        """What the program makes of the user's file; raises ``UsageError`` with its words if it makes nothing of it."""
        return await self._run(
            ["-f", str(self._file), "config"],
            error=UsageError("the compose file cannot be used", where=str(self._file)),
            within_s=_ANSWERS_WITHIN_S,
        )

    async def up(self, project: str, *services: str) -> None:
        """Start the services of ``project``, or some of them without those that they need. Raises ``StartupError``."""
        some = ["--no-deps", *services] if services else []
        # The file itself goes by the pipe: what is filled in there may be secret.
        await self._run(
            ["-p", self._name, "--project-directory", str(self._file.parent), "-f", "-", "up", "-d", "--no-build", *some],
            error=StartupError("the services of the compose file do not come up", where=str(self._file)),
            within_s=_WITHIN_S,
            project=project,
        )

    async def _run(self, words: list[str], *, error: AnachronError, within_s: float, project: str = "") -> str:
        """What the program says to ``words``; raises ``error`` with its last words where it fails."""
        status, inherited = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), str(inherited)),
                *(*self._program.command, *words),
                cwd=self._file.parent,
                # The engine must be the one that we use ourselves, whatever the program's own settings say.
                env={"DOCKER_HOST": _SOCKET, **os.environ, "COMPOSE_ANSI": "never"},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(inherited,),
                start_new_session=True,
            )
        except OSError as problem:
            error.why = str(problem)
            raise error from problem
        finally:
            os.close(status)
            os.close(inherited)
        try:
            async with asyncio.timeout(within_s):
                output, told = await process.communicate(project.encode())
        except TimeoutError:
            error.why = f"{self._program.version} did not finish within {within_s:g} s"
            raise error from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        said = _COLOURS.sub("", told.decode(errors="replace"))
        with self._log.open("a") as log:
            log.write(f"--- {self._program.version}: {words[-1] if 'up' not in words else 'up'}\n{said}")
        if process.returncode:
            error.why = _last_words(said) or f"{self._program.version} ended with status {process.returncode}"
            error.fix = error.fix or _way_out(error.why)
            raise error
        return output.decode(errors="replace")


def _last_words(said: str) -> str:
    """The end of what was said, on lines of their own."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return "\n        ".join(lines[-_LAST_WORDS:])


def _way_out(why: str) -> str:
    """What to do about the usual reasons; else to try by hand."""
    if "unhealthy" in why or "dependency failed" in why:
        return "a health check fails; the logs of the services are in the run's directory"
    return "`docker-compose config` (or `docker compose config`) beside the file shows the same without a run"
