"""Images are really built, called by the version that is in them, and a build that fails says why."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from harness.cli.images import build, list_images
from harness.doctor import examine
from harness.errors import FAILURE, PASS, HarnessError, UnsupportedError
from harness.images.build import build_image, build_images
from harness.images.catalogue import Image, choose, find_image
from harness.images.engine import connect, digest, find, references

pytestmark = pytest.mark.docker


class Trial(Image):
    """Valkey under a name of this test's own: whatever happens here, nobody else's image changes."""

    __slots__ = ()

    @property
    def dockerfile(self) -> str:
        return "images/dockerfiles/valkey.Dockerfile"


def trial() -> Trial:
    valkey = find_image("valkey")
    return Trial(f"trial-{os.getpid()}", valkey.programs, wheel=valkey.wheel, wheel_files=valkey.wheel_files)


@pytest.fixture
def ours(engine):
    """A trial image, removed afterwards with all its names."""
    image = trial()
    yield image
    for name in references(engine):
        if name.startswith(f"{image.repository}:"):
            engine.images.remove(name)


def test_image_is_built_and_called_by_its_version(engine, base: str, ours: Trial) -> None:
    """The Dockerfile makes an image that runs; its second name is the version that the program in it tells."""
    found = build_image(ours, base)
    said = engine.containers.run(found.reference, ["valkey-server", "--version"], network_mode="none", remove=True).decode()
    version = found.reference.partition(":")[2]
    assert f"v={version} " in said
    assert find(engine, ours.ours) == found
    assert digest(engine, found.reference) == found.digest == digest(engine, ours.ours)
    assert choose("valkey-server", found.reference, references(engine)) == found.reference


def test_build_that_is_replaced_is_removed(engine, base: str, ours: Trial) -> None:
    """Building again from another recipe leaves no nameless image behind."""
    first = build_image(ours, base)
    changed = replace(ours, files=("images/dockerfiles/docker-entrypoint.sh",))
    second = build_image(changed, base)
    assert second.digest != first.digest
    assert second.reference == first.reference
    assert find(engine, first.digest) is None


def test_nameless_builds_are_removed_once_they_are_old(engine, base: str, ours: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two builds at once leave one without a name. It goes with a later build, but not while it may be part of one."""
    lost = build_image(ours, base).digest
    for name in references(engine):
        if name.startswith(f"{ours.repository}:"):
            engine.api.tag(base, *name.split(":"))  # somebody else's build has taken the name
    build_image(replace(ours, files=("images/dockerfiles/docker-entrypoint.sh",)), base)
    assert find(engine, lost) is not None
    monkeypatch.setattr("harness.images.build._YOUNG_S", -1)
    build_image(replace(ours, files=("images/dockerfiles/nginx.Dockerfile",)), base)
    assert find(engine, lost) is None


def test_build_that_is_in_use_stays(engine, base: str, ours: Trial) -> None:
    """A container keeps the image that it was made of, whatever is built meanwhile."""
    first = build_image(ours, base)
    container = engine.containers.create(first.digest, ["sleep", "60"], network_mode="none")
    try:
        build_image(replace(ours, files=("images/dockerfiles/docker-entrypoint.sh",)), base)
        assert find(engine, first.digest) is not None
    finally:
        container.remove(force=True)
        engine.images.remove(first.digest)


def test_build_that_fails_shows_the_end_of_its_log(base: str) -> None:
    """A missing file stops the build; the message quotes the builder and names the Dockerfile."""
    broken = replace(find_image("agent"), files=())
    with pytest.raises(HarnessError, match="agent could not be built") as caught:
        build_image(broken, base)
    assert "clock_shim.c" in caught.value.why
    assert caught.value.where.endswith("agent.Dockerfile")


def test_one_failure_does_not_keep_the_others_from_being_built(
    base: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ours: Trial
) -> None:
    """The table has both, the failure's reason comes after it, and the exit status says that something is missing."""
    assert base
    images = {"agent": replace(find_image("agent"), files=()), "fine": ours}
    monkeypatch.setattr("harness.cli.images.find_image", images.__getitem__)
    monkeypatch.setattr("harness.images.build.IMAGES", tuple(images.values()))
    assert build(["agent", "fine"], force=False) == FAILURE
    out, err = capsys.readouterr()
    table = {line.split()[0]: line.split()[1] for line in out.splitlines()[1:]}
    assert table["agent"] == "failed"
    assert table[ours.name].startswith(f"{ours.repository}:8.")
    assert "the image agent could not be built" in err


def test_image_of_todays_recipe_is_not_built_again(base: str, ours: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is up to date is left alone; what an older recipe made is built."""
    monkeypatch.setattr("harness.images.build.IMAGES", (ours,))
    said: list[str] = []
    (built,) = build_images([ours], lambda *words: said.append(": ".join(words)))
    assert built.took_ns > 0
    assert said[0] == f"{ours.name}: building on {base}"
    (again,) = build_images([ours], lambda *words: said.append(": ".join(words)))
    assert (again.took_ns, again.found) == (0, built.found)
    changed = replace(ours, files=("images/dockerfiles/docker-entrypoint.sh",))
    monkeypatch.setattr("harness.images.build.IMAGES", (changed,))
    (third,) = build_images([changed], lambda *words: said.append(": ".join(words)))
    assert third.took_ns > 0


def test_list_shows_each_image(engine, capsys: pytest.CaptureFixture[str]) -> None:
    """Each image that is there stands in the list with its digest; for each that is not there stands a command."""
    assert list_images() == PASS
    out = capsys.readouterr().out
    present = references(engine)
    for name in ("redis", "agent"):
        image = find_image(name)
        found = find(engine, image.ours)
        if found is not None:
            assert found.digest.removeprefix("sha256:")[:12] in out
        elif image.official not in present:
            assert f"{name}: `" in out


def test_silent_engine_is_told_calmly(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an engine, commands on images say what to do; doctor only says that it does not know."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(UnsupportedError, match="no Docker engine answers") as caught:
        connect()
    assert "DOCKER_HOST" in caught.value.fix
    (symptom,) = [symptom for symptom in examine(tmp_path).symptoms if symptom.name == "images"]
    assert symptom.found == "unknown: no Docker engine answers"
    assert not symptom.remedy
