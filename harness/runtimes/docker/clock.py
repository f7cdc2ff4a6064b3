"""The page through which a node's clock is bent: see ``clock_shim.c``, which reads it."""

from __future__ import annotations

import io
import struct
import tarfile
import time
from collections.abc import Mapping

import docker
from docker.errors import NotFound

from harness.runtimes.base import ClockSkew
from harness.runtimes.docker.engine import Engine

SHIM = "/anachron/clock.so"
PAGE = "/anachron/clock.page"
"""Where both are in a node's container."""

_BUILT = "/usr/local/lib/anachron/clock.so"
"""Where the shim is in the agent's image, which is built for this engine's processors."""

_LAYOUT = struct.Struct("=qqqqdq")


def content(skew: ClockSkew, number: int) -> bytes:
    """The page that says ``skew``, from now on; ``number`` is another one than that of the page before, and not 0."""
    return _LAYOUT.pack(number, skew.wall_ns, skew.monotonic_ns, time.monotonic_ns(), skew.rate, number)


def script(page: bytes) -> str:
    """A shell script that writes ``page`` over the one that is there, in one piece."""
    escaped = "".join(f"\\{byte:03o}" for byte in page)
    return f"printf '{escaped}' 1<>{PAGE}"


EMPTY = bytes(_LAYOUT.size)
"""A page that changes nothing."""


async def fetch(engine: Engine, image: str, labels: Mapping[str, str]) -> bytes | None:
    """The shim out of the agent's image; None if there is none in it. Raises ``HarnessError``."""
    return await engine.ask("look into the agent's image", lambda: _fetch(engine.client, image, labels))


def _fetch(client: docker.DockerClient, image: str, labels: Mapping[str, str]) -> bytes | None:
    container = client.containers.create(image, labels=dict(labels))  # it is never started
    try:
        packed = b"".join(container.get_archive(_BUILT)[0])
    except NotFound:
        return None
    finally:
        container.remove(force=True)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        library = archive.extractfile(archive.getmembers()[0])
        return library.read() if library else None
