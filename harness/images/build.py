"""Build our own images, several at a time, and call them by the version that is really in them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic_ns

import docker
from docker.errors import APIError, ImageNotFound

from harness.errors import AnachronError, HarnessError
from harness.images.base import find_base
from harness.images.catalogue import IMAGES, Image
from harness.images.context import archive, recipe
from harness.images.engine import ENGINE_ERRORS, Found, connect, find, missing, references

_AT_ONCE = 2
"""Builds at a time: half of a build waits for packages, half unpacks them."""

_STEP_WITHIN_S = 600
"""How long a build may say nothing: a step that installs packages is quiet until it is done."""

_YOUNG_S = 2 * _STEP_WITHIN_S
_REASON_LINES = 15
_VERSION = re.compile(r"\d+(?:\.\d+)+")

Tell = Callable[[str, str], None]
"""Is called with the name of an image and a few words about it, from several threads."""


@dataclass(frozen=True, slots=True)
class Built:
    """How the build of one image ended.

    Attributes:
        image: which one.
        found: what the engine has now; None if the build failed.
        took_ns: how long it took; 0 if it was there already.
        error: why it failed.
    """

    image: Image
    found: Found | None
    took_ns: int = 0
    error: AnachronError | None = None


def build_images(wanted: Sequence[Image], tell: Tell, *, force: bool = False) -> list[Built]:
    """Build ``wanted``, or whatever neither an official image nor ours provides; what is up to date stays, unless ``force``.

    One failure does not keep the others from being built. Raises ``UnsupportedError`` where there is no engine or no base.
    """
    client = connect(_STEP_WITHIN_S)
    chosen = [image for image in IMAGES if image in wanted] or list(IMAGES if force else _lacking(client))
    standing = {} if force else {image: found for image in chosen if (found := _current(client, image))}
    if len(standing) == len(chosen):
        return [Built(image, found) for image, found in standing.items()]
    base = find_base(client, lambda words: tell("base", words))

    def build(image: Image) -> Built:
        if image in standing:
            return Built(image, standing[image])
        begin_ns = monotonic_ns()
        tell(image.name, f"building on {base}")
        try:
            found = build_image(image, base, force=force)
        except AnachronError as error:
            tell(image.name, "failed")
            return Built(image, None, monotonic_ns() - begin_ns, error)
        tell(image.name, f"is there as {found.reference}")
        return Built(image, found, monotonic_ns() - begin_ns)

    builders = ThreadPoolExecutor(_AT_ONCE)
    try:
        return list(builders.map(build, chosen))
    finally:
        builders.shutdown(cancel_futures=True)  # at Ctrl-C, what has not begun does not begin


def build_image(image: Image, base: str, *, force: bool = False) -> Found:
    """Build one image on ``base`` and tag it with its real version; with ``force`` without the engine's cache of layers.

    Raises ``UnsupportedError`` for what this machine lacks, ``HarnessError`` with the end of the log where the build fails.
    """
    client = connect(_STEP_WITHIN_S)
    try:
        before = find(client, image.ours)
        _build(client, image, base, force=force)
        version = _version(client, image)
        client.api.tag(image.ours, image.repository, version)
        _forget(client, image, before)
    except ENGINE_ERRORS as error:
        raise HarnessError(f"the engine did not build the image {image.name}", why=str(error)) from error
    found = find(client, image.ours)
    if found is None:
        raise HarnessError(f"the image {image.name} was removed as soon as it was built")
    return found


def _lacking(client: docker.DockerClient) -> Iterator[Image]:
    """What the engine has neither officially nor from us, and what it has from us, but from an old recipe."""
    present = references(client)
    absent = missing(present)
    for image in IMAGES:
        if image in absent or (image.ours in present and _current(client, image) is None):
            yield image


def _current(client: docker.DockerClient, image: Image) -> Found | None:
    """Our image, if it is what its recipe makes today."""
    found = find(client, image.ours)
    return found if found is not None and found.recipe == recipe(image) else None


def _build(client: docker.DockerClient, image: Image, base: str, *, force: bool) -> None:
    machine = str(client.info()["Architecture"])
    log: list[str] = []
    steps = client.api.build(
        fileobj=archive(image, machine),
        custom_context=True,
        tag=image.ours,
        buildargs={"BASE": base},
        labels={"anachron.image": image.name, "anachron.recipe": recipe(image)},
        nocache=force,
        rm=True,
        forcerm=True,
        decode=True,
        use_config_proxy=True,
    )
    for step in steps:
        log += str(step.get("stream", "")).splitlines()
        if "error" in step:
            end = [line.rstrip() for line in (*log, str(step["error"])) if line.strip()][-_REASON_LINES:]
            raise HarnessError(
                f"the image {image.name} could not be built",
                where=image.dockerfile,
                why="\n".join(("the end of the build's log:", *end)),
                fix=f"see that containers on {base} reach their package sources"
                + (f"; or `docker pull {image.official}`" if image.official else ""),
            )


def _version(client: docker.DockerClient, image: Image) -> str:
    """What the program in the image says of itself; of our own software, what it is part of."""
    if not image.version:
        return recipe(image)[:12]
    said: bytes = client.containers.run(
        image.ours,
        [*image.version],
        entrypoint=[image.programs[0]],
        network_mode="none",
        labels={"anachron.image": image.name},
        remove=True,
        stdout=True,
        stderr=True,
    )
    words = said.decode(errors="replace").strip()
    found = _VERSION.search(words)
    if found is None:
        raise HarnessError(f"{image.programs[0]} does not say its version", where=image.ours, why=words)
    return found.group()


def _forget(client: docker.DockerClient, image: Image, before: Found | None) -> None:
    """Remove builds of ``image`` that have lost their name to a newer one, unless a container uses them.

    Those are the one that was there ``before``, and what builds that ran side by side have left. A young one may be a layer of a
    build that goes on elsewhere.
    """
    nameless = client.api.images(filters={"dangling": True, "label": f"anachron.image={image.name}"})
    for one in nameless:
        old = time.time() - int(one["Created"]) > _YOUNG_S
        if old or (before is not None and one["Id"] == before.digest):
            with suppress(ImageNotFound, APIError):  # a container uses it, or somebody else has removed it
                client.images.remove(one["Id"])
