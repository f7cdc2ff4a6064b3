"""``images``: which container images there are, and the building of ours."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from harness.cli.output import complain, say
from harness.errors import FAILURE, PASS
from harness.images.build import Built, build_images
from harness.images.catalogue import IMAGES, OFFICIAL_BASE, OUR_BASE, Image, find_image, remedy
from harness.images.engine import Found, connect, find

_DIGEST = 12
"""How much of a digest is shown, as ``docker images`` does."""


def list_images() -> int:
    """Say of each image which of its two kinds the engine has, and which command brings what is missing."""
    client = connect()
    rows: list[Sequence[str]] = [("IMAGE", "REFERENCE", "SIZE", "DIGEST")]
    absent: list[Image] = []
    for image in IMAGES:
        found = [there for reference in (image.official, image.ours) if reference and (there := find(client, reference))]
        rows += [_row(image.name, there) for there in found] or [(image.name, "absent", "", "")]
        if not found:
            absent.append(image)
    bases = [there for reference in (OFFICIAL_BASE, OUR_BASE) if (there := find(client, reference))]
    rows += [_row("(base)", there) for there in bases]
    say(_table(rows))
    if absent:
        say("")
    for image in absent:
        say(f"{image.name}: {remedy(image)}")
    return PASS


def build(names: Sequence[str], *, force: bool) -> int:
    """Build the images called ``names``, or all that are missing; returns the exit status.

    Raises ``UsageError`` for an unknown name, ``UnsupportedError`` where nothing can be built.
    """
    built = build_images([find_image(name) for name in names], _tell, force=force)
    if not built:
        say("nothing to build: every image is there, officially or from an earlier build")
        return PASS
    say(_table([("IMAGE", "REFERENCE", "SIZE", "DIGEST", "TOOK"), *map(_built_row, built)]))
    failed = [one for one in built if one.error is not None]
    for one in failed:
        complain(str(one.error))
    return FAILURE if failed else PASS


def _row(name: str, found: Found) -> tuple[str, ...]:
    digest = found.digest.rpartition("sha256:")[2][:_DIGEST]
    return name, found.reference, f"{found.size_bytes / 1e6:.0f} MB", digest


def _built_row(built: Built) -> tuple[str, ...]:
    if built.found is None:
        return built.image.name, "failed", "", "", f"{built.took_ns / 1e9:.1f}s"
    took = f"{built.took_ns / 1e9:.1f}s" if built.took_ns else "was there"
    return *_row(built.image.name, built.found), took


def _table(rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest cell."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _tell(name: str, words: str) -> None:
    sys.stderr.write(f"{name}: {words}\n")
    sys.stderr.flush()
