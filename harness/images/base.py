"""The image that ours are built on: Debian's own slim one, or its equivalent made on this machine.

Where no registry answers, mmdebstrap makes a minimal Debian from the package sources that this machine uses itself. It carries
the machine's settings for reaching them, so that a build on it finds its packages the same way.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import docker

from harness.errors import HarnessError, UnsupportedError
from harness.images.catalogue import OFFICIAL_BASE, OUR_BASE
from harness.images.engine import ENGINE_ERRORS, references

_RELEASE = "bookworm"
_PULLED_WITHIN_S = 60
_MADE_WITHIN_S = 600
_REASON_LINES = 12

_UNNEEDED = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
"""What nobody reads in a container."""

_WAYS = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries", "Acquire::ForceIP")
"""The settings of apt that say how it reaches its sources and whether it trusts their dates."""

_SLIM = """\
APT::Install-Recommends "0";
Acquire::Languages "none";
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
"""
_FINISH = (
    # A package's installation starts no service.
    'printf "#!/bin/sh\\nexit 101\\n" > "$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"',
    # A build that the power fails is built again; it need not wait for the disk.
    'echo force-unsafe-io > "$1/etc/dpkg/dpkg.cfg.d/unsafe-io"',
    'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/*',
)


def find_base(client: docker.DockerClient, tell: Callable[[str], None]) -> str:
    """The reference of the image to build on; pulled, or made on this machine, if the engine has none.

    Args:
        client: of the engine that needs it.
        tell: is called with a sentence about what takes long.

    Raises ``UnsupportedError`` if it can neither be pulled nor be made.
    """
    present = references(client)
    for reference in (OFFICIAL_BASE, OUR_BASE):
        if reference in present:
            return reference
    tell(f"pulling {OFFICIAL_BASE}")
    refusal = _pull(client)
    if not refusal:
        return OFFICIAL_BASE
    tell(f"no registry gives {OFFICIAL_BASE}; making {OUR_BASE} from this machine's package sources")
    make_base(client, OUR_BASE, why=refusal)
    return OUR_BASE


def _pull(client: docker.DockerClient) -> str:
    """Pull the official base; returns why not, or nothing."""
    before = client.api.timeout
    client.api.timeout = _PULLED_WITHIN_S
    try:
        client.images.pull(OFFICIAL_BASE)
    except ENGINE_ERRORS as error:
        return str(error)
    finally:
        client.api.timeout = before
    return ""


def make_base(client: docker.DockerClient, reference: str, *, why: str = "") -> None:
    """Make a minimal Debian and call it ``reference``.

    Args:
        client: of the engine that gets it.
        reference: its name.
        why: it cannot be pulled, for the message if it cannot be made either.

    Raises ``UnsupportedError`` where that is not possible, ``HarnessError`` where it fails.
    """
    if not shutil.which("mmdebstrap"):
        debian = Path("/etc/debian_version").exists()
        raise UnsupportedError(
            f"there is no image to build on: {OFFICIAL_BASE} cannot be pulled",
            why=why,
            fix="`apt-get install mmdebstrap`: then it is made from this machine's package sources"
            if debian
            else f"pull {OFFICIAL_BASE}, or load it (`docker load`); only a Debian or Ubuntu machine can make an equivalent",
        )
    with tempfile.TemporaryDirectory(prefix="anachron-base-") as directory:
        tree, log = Path(directory, "base.tar"), Path(directory, "log")
        with log.open("wb") as said:
            try:
                done = subprocess.run(
                    _command(tree, Path(directory)),
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    timeout=_MADE_WITHIN_S,
                    check=False,
                ).returncode
            except (OSError, subprocess.TimeoutExpired) as error:
                raise HarnessError(f"the base image {reference} could not be made", why=str(error)) from error
        if done != 0:
            end = log.read_text(errors="replace").strip().splitlines()[-_REASON_LINES:]
            raise HarnessError(
                f"the base image {reference} could not be made",
                why="\n".join(("the end of what mmdebstrap said:", *end)),
                fix="see that `apt-get update` works on this machine; a user who is not root also needs the package uidmap",
            )
        repository, _, tag = reference.partition(":")
        try:
            with tree.open("rb") as content:
                client.api.import_image(content, repository, tag, changes=['CMD ["bash"]', "LABEL anachron.image=base"])
        except ENGINE_ERRORS as error:
            raise HarnessError(f"the engine did not take the base image {reference}", why=str(error)) from error


def _command(tree: Path, directory: Path) -> list[str]:
    settings = directory / "settings"
    settings.write_text(_SLIM + _ways())
    return [
        "mmdebstrap",
        "--variant=minbase",
        "--quiet",
        *(f"--dpkgopt=path-exclude={place}" for place in _UNNEEDED),
        f'--customize-hook=cp {settings} "$1/etc/apt/apt.conf.d/90anachron"',
        *(f"--customize-hook={step}" for step in _FINISH),
        _RELEASE,
        str(tree),
        *_sources(),
    ]


def _sources() -> list[str]:
    """The files with this machine's package sources, if they are those of our release; else mmdebstrap takes Debian's own."""
    if platform.freedesktop_os_release().get("VERSION_CODENAME") != _RELEASE:
        return []
    apt = Path("/etc/apt")
    places = (apt / "sources.list", *sorted((apt / "sources.list.d").glob("debian*.sources")))
    return [str(path) for path in places if path.is_file()]


def _ways() -> str:
    """The settings of this machine for reaching package sources, as lines of an apt configuration."""
    said = subprocess.run(
        ["apt-config", "dump", "--no-empty", "--format", '%F "%v";%n'],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    ).stdout
    return "".join(f"{line}\n" for line in said.splitlines() if line.startswith(_WAYS))
