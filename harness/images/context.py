"""What a build is given: a Dockerfile, and the files that it copies, packed into an archive for the engine.

Some of them are not in the package: binaries from an installed wheel, and Python packages that pip fetches on this machine, with
its own settings. So a build asks the network for Debian's packages only, and those come the way the base image knows.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path

from harness.errors import UnsupportedError
from harness.images.catalogue import Image

_PYTHON = "3.11"
"""The Python of the Debian release that our images are built on."""

_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
"""An engine's word for its processor, and that of Python's wheels."""

_FETCHED_WITHIN_S = 120
_REASON_LINES = 6


def recipe(image: Image) -> str:
    """The digest of what ``image`` is built from: another recipe makes another image. The base is not part of it."""
    seen = hashlib.sha256()
    for name, content in (*_own_files(image), *_wheel_files(image)):
        seen.update(f"{name} {len(content)}\n".encode() + content)
    seen.update(repr(image.packages).encode())
    return seen.hexdigest()


def archive(image: Image, machine: str) -> io.BytesIO:
    """Everything that a build of ``image`` needs on an engine of ``machine``, as the tar file that the engine takes.

    Raises ``UnsupportedError`` for what this machine does not have.
    """
    if image.wheel and _MACHINES.get(machine) != "x86_64":
        raise UnsupportedError(
            f"the image {image.name} cannot be built for {machine}",
            why=f"the wheel {image.wheel}, which carries the program, is for x86_64",
            fix=f"`docker pull {image.official}`",
        )
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in (*_own_files(image), *_wheel_files(image)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755 if _is_program(content) else 0o644
            tar.addfile(entry, io.BytesIO(content))
        if image.packages:
            with tempfile.TemporaryDirectory(prefix="anachron-packages-") as directory:
                _fetch(image, machine, directory)
                tar.add(directory, "site-packages", filter=_of_nobody)
    packed.seek(0)
    return packed


def _own_files(image: Image) -> Iterator[tuple[str, bytes]]:
    package = files("harness")
    yield "Dockerfile", package.joinpath(image.dockerfile).read_bytes()
    for place in image.files:
        yield place.rpartition("/")[2], package.joinpath(place).read_bytes()


def _wheel_files(image: Image) -> Iterator[tuple[str, bytes]]:
    if not image.wheel:
        return
    try:
        installed = distribution(image.wheel)
    except PackageNotFoundError:
        raise UnsupportedError(
            f"the image {image.name} cannot be built here",
            why=f"the wheel {image.wheel}, which carries the program, is not installed",
            fix=f"pip install {image.wheel}, or `docker pull {image.official}`",
        ) from None
    for place in image.wheel_files:
        yield place.rpartition("/")[2], Path(str(installed.locate_file(place))).read_bytes()


def _is_program(content: bytes) -> bool:
    return content.startswith((b"\x7fELF", b"#!"))


def _of_nobody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the name of the user who built it, and readable by everybody: pip's folder is its owner's alone."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry


def _fetch(image: Image, machine: str, directory: str) -> None:
    """Unpack the image's Python packages into ``directory``, as they are for the engine's processor, not for this machine."""
    wheels = _MACHINES.get(machine, machine)
    platforms = [f"--platform=manylinux{tag}_{wheels}" for tag in ("2014", "_2_17", "_2_28")]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile"]
    chosen = ["--target", directory, "--only-binary=:all:", f"--python-version={_PYTHON}", *platforms, *image.packages]
    try:
        subprocess.run([*pip, *chosen], capture_output=True, check=True, stdin=subprocess.DEVNULL, timeout=_FETCHED_WITHIN_S)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        without_pip = any("No module named pip" in line for line in said)
        raise UnsupportedError(
            f"the Python packages of the image {image.name} cannot be fetched",
            why="\n".join(said[-_REASON_LINES:]),
            fix=f"{sys.executable} -m ensurepip" if without_pip else "see that pip reaches a package index from here",
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnsupportedError(f"the Python packages of the image {image.name} cannot be fetched", why=str(error)) from error
