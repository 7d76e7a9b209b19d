"""Files that no crash takes away, and a file that only one process may hold."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO


def write_all(file: int, content: bytes) -> None:
    """Write to an open file; when this returns it is on the disk."""
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
    os.fsync(file)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves either the old one or the new one, whole."""
    temporary = path.with_name(f".{path.name}.tmp")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        write_all(file, content)
    finally:
        os.close(file)
    os.replace(temporary, path)
    sync_directory(path.parent)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Open a text file that takes the place of another one when it is whole, and not before."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Put a directory's names on the disk, so that a new or renamed file is found."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refuse_unwritable(folder: Path) -> None:
    """Raise unless a folder can be made or written, before the work that is to be kept there.

    Raises:
        FileExistsError: There is a file in its place or above it; the message names it.
        OSError: The disk is full, or nothing may be written there.
    """
    for part in (folder, *folder.parents):
        if part.is_file():
            raise FileExistsError(
                f"out={str(folder)!r} (where to write) cannot be a folder: {str(part)!r} is a "
                "file. Name a folder that is new or empty."
            )
    there = folder.absolute()
    above = next(part for part in (there, *there.parents) if part.is_dir())
    try:
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise type(error)(
            f"out={str(folder)!r} (where to write): nothing can be written in {str(above)!r} "
            f"({error.strerror}). Name a folder of your own."
        ) from error


class InUseError(Exception):
    """Another process holds the file."""


def hold(path: Path) -> BinaryIO:
    """Open a file that one process at a time may hold, until it is closed or the process ends.

    Raises:
        InUseError: It is held; the message says by whom.
    """
    file: Any = open(path, "a+b")  # noqa: SIM115 - the caller closes it
    try:
        import fcntl
    except ImportError:  # Windows has no such lock: there nothing keeps a second process out
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().decode(errors="replace").strip() or "another process"
        file.close()
        raise InUseError(holder) from None
    if not path.exists() or not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
        file.close()  # its holder removed it between our opening and locking it
        return hold(path)
    file.truncate(0)
    file.write(f"process {os.getpid()}".encode())
    file.flush()
    return file
