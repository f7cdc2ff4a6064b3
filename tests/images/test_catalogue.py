"""Which image a node gets, and what is said where there is none."""

from __future__ import annotations

from importlib.resources import files

import pytest

from harness.errors import UnsupportedError, UsageError
from harness.images.catalogue import IMAGES, choose, find_image, full_reference, remedy
from harness.images.engine import missing

BOTH = {"redis:7.2", "anachron/redis:latest", "anachron/redis:7.0.15"}


def test_official_image_counts_before_ours() -> None:
    """Where both are there, a node runs what its makers publish."""
    assert choose("redis-server", "", BOTH) == "redis:7.2"


def test_ours_stands_in() -> None:
    """Without the official image, a node runs our newest build."""
    assert choose("redis-server", "", BOTH - {"redis:7.2"}) == "anachron/redis:latest"


def test_official_image_of_another_version_is_not_taken() -> None:
    """A plan that names no image never depends on which old ones happen to lie about."""
    assert choose("redis-server", "", {"redis:5", "anachron/redis:latest"}) == "anachron/redis:latest"


@pytest.mark.parametrize(
    "wanted", ["anachron/redis:7.0.15", "anachron/redis", "redis:7.2", "docker.io/library/redis:7.2", "docker.io/redis:7.2"]
)
def test_plan_has_its_way(wanted: str) -> None:
    """An image that the plan names is taken whenever it is there, by whichever of its names."""
    assert choose("redis-server", wanted, BOTH) == wanted


def test_image_by_digest() -> None:
    """A plan may pin its image down."""
    pinned = "redis@sha256:" + "0" * 64
    assert choose("redis-server", pinned, {pinned}) == pinned


def test_image_that_is_not_there_names_both_commands() -> None:
    """Where neither is there, the message has a command for machines with a registry and one for those without."""
    with pytest.raises(UnsupportedError) as caught:
        choose("valkey-sentinel", "", {"redis:7.2"})
    assert "docker pull valkey/valkey:8" in caught.value.fix
    assert "anachron images build valkey" in caught.value.fix


def test_agent_is_never_pulled() -> None:
    """Nobody publishes the agent, so nobody is sent to look for it; it can be asked for by its name."""
    assert choose("agent", "", {"anachron/agent:latest"}) == "anachron/agent:latest"
    with pytest.raises(UnsupportedError) as caught:
        choose("agent", "", ())
    assert "docker pull" not in caught.value.fix
    assert "anachron images build agent" in caught.value.fix


@pytest.mark.parametrize(
    ("wanted", "command"),
    [
        ("redis:8", "docker pull redis:8"),
        ("anachron/redis", "anachron images build redis"),
        ("anachron/redis:7.4.1", "name the version that it builds"),
        ("registry.example:5000/cache", "docker pull registry.example:5000/cache"),
    ],
)
def test_plan_whose_image_is_absent_is_refused(wanted: str, command: str) -> None:
    """Another image is never taken in the place of the one that the plan names; the message says how to get that one."""
    with pytest.raises(UnsupportedError) as caught:
        choose("redis-server", wanted, {"redis:7.2", "anachron/redis:7.0.15"})
    assert wanted in caught.value.what
    assert command in caught.value.fix


def test_unknown_program_needs_an_image() -> None:
    """For a program of the user's own, the plan has to name an image."""
    assert choose("my-cache", "mine:1", {"mine:1"}) == "mine:1"
    with pytest.raises(UnsupportedError, match="my-cache") as caught:
        choose("my-cache", "", BOTH)
    assert "image =" in caught.value.fix


@pytest.mark.parametrize(
    ("reference", "full"),
    [
        ("redis", "redis:latest"),
        ("redis:7.2", "redis:7.2"),
        ("library/redis:7.2", "redis:7.2"),
        ("valkey/valkey", "valkey/valkey:latest"),
        ("registry.example:5000/redis", "registry.example:5000/redis:latest"),
        ("registry.example:5000/redis:7", "registry.example:5000/redis:7"),
        ("redis@sha256:12", "redis@sha256:12"),
    ],
)
def test_references_are_compared_in_full(reference: str, full: str) -> None:
    """A port is no tag, and a registry that everybody means is no difference."""
    assert full_reference(reference) == full


def test_every_image_can_be_built() -> None:
    """Each Dockerfile, and each file of the package that it copies, is there; one for every image and none too many."""
    package = files("harness")
    for image in IMAGES:
        text = package.joinpath(image.dockerfile).read_text()
        assert "FROM ${BASE}" in text
        for place in image.files:
            assert package.joinpath(place).is_file()
            assert place.rpartition("/")[2] in text
    written = {entry.name for entry in package.joinpath("images/dockerfiles").iterdir() if entry.name.endswith(".Dockerfile")}
    assert written == {f"{image.name}.Dockerfile" for image in IMAGES}


def test_programs_belong_to_one_image() -> None:
    """A program leads to one image, and no image of ours bears an official name."""
    programs = [program for image in IMAGES for program in image.programs]
    assert len(programs) == len(set(programs))
    assert all(image.ours.startswith("anachron/") for image in IMAGES)


def test_missing_are_those_with_neither() -> None:
    """An image is missing only if neither the official one nor ours is there."""
    assert {i.name for i in missing({"redis:7.2", "anachron/valkey:latest", "memcached:1.5"})} == {
        "agent",
        "app",
        "memcached",
        "nginx",
        "postgres",
        "varnish",
    }


def test_mistyped_name_gets_a_suggestion() -> None:
    """A name that is almost right is put right."""
    with pytest.raises(UsageError) as caught:
        find_image("memcache")
    assert "memcached" in caught.value.fix


def test_remedies_have_commands() -> None:
    """What doctor and the list say about a missing image starts with a command."""
    assert remedy(find_image("nginx")).startswith("`docker pull nginx:1.27`")
    assert remedy(find_image("app")) == "`anachron images build app`"
