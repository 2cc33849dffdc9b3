"""Opening of input files: only regular files below their size limit are read.

Reading a pipe, a socket or a device instead of a file could block or never end. Every input file is opened here.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from overread.errors import InputError

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)
# Without it a pipe that took the file's place between the two looks would be waited for. Absent on Windows.
_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class NotRegular(InputError):
    """A pipe, a socket or a device instead of a file; `found` names its kind."""


def kind(path: Path | str) -> str:
    """Return the kind of what is at a path; "" for a regular file, a folder or nothing.

    >>> kind("/dev/null"), kind(__file__)
    ('a character device', '')
    """
    try:
        return _kind(os.stat(path).st_mode)
    except (OSError, ValueError):
        return ""


def _kind(mode: int) -> str:
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "")


@contextmanager
def opened(path: Path | str, *, most: int | None = None) -> Iterator[FileIO]:
    """Open a regular file for reading, unbuffered.

    Parameters
    ----------
    path : Path or str
        The file; links are followed.
    most : int, optional
        Largest size in bytes; None = no limit.

    Yields
    ------
    FileIO
        The file.

    Raises
    ------
    NotRegular
        A pipe, a socket or a device.
    InputError
        More bytes than `most`.
    OSError
        Any other failure, as raised by `open`; callers have their own messages.
    """
    try:
        state = os.stat(path)
    except ValueError as error:  # a NUL byte in the name
        raise OSError(errno.EINVAL, "a name that no file can have", str(path)) from error
    _check(path, state, most)  # a device is not even opened
    with FileIO(os.open(path, os.O_RDONLY | _NO_WAITING), "r") as file:
        _check(path, os.fstat(file.fileno()), most)
        yield file


def _check(path: Path | str, state: os.stat_result, most: int | None) -> None:
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if found := _kind(state.st_mode):
        raise NotRegular(path, "a regular file", found, do="Copy its content into a file and give that.")
    if most is not None and state.st_size > most:
        raise InputError(path, f"a file of at most {most:,} bytes", f"a file of {state.st_size:,} bytes")


def content(path: Path | str, *, most: int) -> bytes:
    """Read all bytes of a regular file of at most `most` bytes; exceptions as in `opened`."""
    with opened(path, most=most) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size)
        while len(data) < size and (more := file.read(size - len(data))):  # a read of 2 GB and more comes in pieces
            data += more
    return data


def text(path: Path | str, *, most: int) -> str:
    """Read the UTF-8 text of a regular file; exceptions as in `opened`, and UnicodeDecodeError."""
    return content(path, most=most).decode("utf-8")
