"""Writing files so that they are either there whole or not at all, and saying in words why they could not be written."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from harness.errors import StorageError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_atomically(path: Path, write: Callable[[BinaryIO], None], *, needs: int) -> None:
    """Have ``write`` fill a new file that takes the place of ``path`` once it is whole and on the disk.

    Args:
        path: where the file shall stand; what stood there stays until the new file is complete.
        write: fills the opened file.
        needs: about how many bytes it takes, for the message when there is no room.

    Raises:
        StorageError: the file could not be written; nothing of it is left.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise storage_error(error, path, needs=needs) from None
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Put ``text`` into ``path``, whole or not at all; raises ``StorageError``."""
    content = text.encode()
    write_atomically(path, lambda file: _write_all(file, content), needs=len(content))


def storage_error(error: OSError, path: Path, *, needs: int = 0) -> StorageError:
    """``error`` in words: what could not be written, why, and what to do."""
    if error.errno in _NO_ROOM:
        free = _free_bytes(path.parent)
        return StorageError(
            f"there is no room for {path.name}",
            where=str(path.parent),
            why=f"{error.strerror}; it needs about {_megabytes(needs)}"
            + (f", {_megabytes(free)} are free" if free is not None else ""),
            fix="make room, then run `anachron check` on the run directory: what was recorded so far is kept",
        )
    return StorageError(
        f"{path.name} cannot be written",
        where=str(path.parent),
        why=error.strerror or str(error),
        fix="choose another --runs-dir",
    )


def _write_all(file: BinaryIO, content: bytes) -> None:
    file.write(content)


def _sync_directory(directory: Path) -> None:
    # The rename itself must be on the disk, too.
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _free_bytes(directory: Path) -> int | None:
    try:
        return shutil.disk_usage(directory).free
    except OSError:
        return None


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
