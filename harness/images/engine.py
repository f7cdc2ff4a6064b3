"""What a Docker engine says about its images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import docker
from docker.errors import DockerException, ImageNotFound
from requests.exceptions import RequestException

from harness.errors import HarnessError, UnsupportedError
from harness.images.catalogue import IMAGES, Image

ENGINE_ERRORS = (DockerException, RequestException, OSError)
"""What a call to an engine may raise, whatever is wrong with the engine or with the way to it."""

_ANSWERS_WITHIN_S = 5


@dataclass(frozen=True, slots=True)
class Found:
    """An image that the engine has.

    Attributes:
        reference: its name, with the real version as its tag where we know it.
        digest: what pins it down: the registry's digest, or the id of one that was built here.
        size_bytes: with all layers, as ``docker images`` counts.
        recipe: the digest of what it was built from; empty for images that are not ours.
    """

    reference: str
    digest: str
    size_bytes: int
    recipe: str = ""


def connect(timeout_s: int = _ANSWERS_WITHIN_S) -> docker.DockerClient:
    """A client of the engine that ``DOCKER_HOST`` names, or of the local one; raises ``UnsupportedError`` if none answers."""
    try:
        client = docker.from_env(timeout=_ANSWERS_WITHIN_S)
        client.ping()
    except ENGINE_ERRORS as error:
        raise UnsupportedError(
            "no Docker engine answers",
            why=str(error),
            fix="start Docker, and see that your user may use it (group docker); DOCKER_HOST names another engine",
        ) from error
    client.api.timeout = timeout_s
    return client


def references(client: docker.DockerClient) -> frozenset[str]:
    """Every name that an image of the engine can be asked for by: tags and digests. Raises ``HarnessError``."""
    return frozenset(name for _, names in _listed(client) for name in names)


def digest(client: docker.DockerClient, reference: str) -> str:
    """What pins ``reference`` down: the registry's digest, or the id where it was built here. Raises ``HarnessError``."""
    try:
        return _digest(client.images.get(reference).attrs)
    except ImageNotFound:
        raise HarnessError(f'the engine no longer has the image "{reference}"') from None
    except ENGINE_ERRORS as error:
        raise HarnessError(f'the engine says nothing about the image "{reference}"', why=str(error)) from error


def find(client: docker.DockerClient, reference: str) -> Found | None:
    """The image called ``reference``, by its most telling name; None if the engine does not have it. Raises ``HarnessError``."""
    try:
        attributes = client.images.get(reference).attrs
    except ImageNotFound:
        return None
    except ENGINE_ERRORS as error:
        raise HarnessError(f'the engine says nothing about the image "{reference}"', why=str(error)) from error
    repository = reference.partition(":")[0]
    tags = [tag for tag in attributes.get("RepoTags") or () if tag.partition(":")[0] == repository and tag != reference]
    labels = (attributes.get("Config") or {}).get("Labels") or {}
    name = max(tags) if tags and "anachron.image" in labels else reference
    return Found(name, _digest(attributes), int(attributes["Size"]), labels.get("anachron.recipe", ""))


def missing(present: Iterable[str]) -> list[Image]:
    """The images of which the engine has neither the official one nor ours."""
    names = frozenset(present)
    return [image for image in IMAGES if not names & {image.official, image.ours}]


def _listed(client: docker.DockerClient) -> list[tuple[str, list[str]]]:
    try:
        # The plain list: the comfortable one asks the engine about each image again.
        images = client.api.images()
    except ENGINE_ERRORS as error:
        raise HarnessError("the engine does not list its images", why=str(error)) from error
    return [(str(image["Id"]), [*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ())]) for image in images]


def _digest(attributes: dict[str, object]) -> str:
    digests = attributes.get("RepoDigests")
    return str(digests[0]) if isinstance(digests, list) and digests else str(attributes["Id"])
