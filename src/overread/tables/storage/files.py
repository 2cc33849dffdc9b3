"""Atomic writing of files and folders, used by the whole package.

A failure is a `WriteError` that names the path and the cause (full disk, quota, read-only file system, missing
permission, input/output error). A file is replaced completely or not at all.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl

from overread.errors import InputError
from overread.tables.storage.write_errors import error_code, probe, write_error

try:
    import fcntl
except ImportError:  # Windows: `locked` opens without a lock
    fcntl = None  # type: ignore[assignment]


# The name of a file under way: `.NAME.8 hexadecimal digits.part`, beside the file that it will be.
_PART = re.compile(r"\..{1,40}\.[0-9a-f]{8}\.part", re.DOTALL)


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Raise a `WriteError` that names `path` for any error of the operating system in the block.

    The block must only write, because an error while reading would be reported as one while writing.
    """
    try:
        yield
    except OSError as error:
        # pydicom raises an OSError of its own without the code, from the one of the operating system
        code = error.errno if error.errno is not None else error_code(error, path=Path(path))
        raise write_error(path, code) from error


def make_folder(folder: Path | str, *, mode: int = 0o777) -> Path:
    """Create a folder and its missing parents.

    Parameters
    ----------
    folder : path
        The folder.
    mode : int
        Permissions of a new folder, less the umask.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    WriteError
        A file of that name exists, or the folder cannot be created.
    """
    folder = Path(folder)
    with writing(folder):
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    return folder


@contextmanager
def replacing(path: Path | str, *, mode: int = 0o666) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which replaces `path` when the block ends without an exception.

    Otherwise the temporary file is removed and the earlier file is unchanged.

    Parameters
    ----------
    path : path
        The file.
    mode : int
        Permissions of the file from its first byte on, less the umask of the process.

    Yields
    ------
    Path
        The temporary path.

    Raises
    ------
    WriteError
        The operating system refused to write, including refusals that Polars, NumPy, torch or safetensors report in
        their own exceptions. Other exceptions are not changed.
    """
    path = Path(path)
    make_folder(path.parent)
    outer = sys.exception()
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.part")
    with writing(path):
        os.close(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode))
    try:
        yield temporary
        with writing(path):
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    except InputError:
        raise
    except Exception as error:
        code = error_code(error, path=temporary, outer=outer) or probe(temporary)
        if code is None:
            raise
        raise write_error(path, code) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path | str) -> Iterator[BinaryIO]:
    """Open a file for reading and writing, created if missing, under an exclusive lock.

    Other processes and threads that call `locked` wait until the block ends. The end of a process, also by kill -9,
    releases its lock. On Windows and on file systems without locks the file is opened without one.

    Parameters
    ----------
    path : path
        The file.

    Yields
    ------
    BinaryIO
        The open file.
    """
    path = Path(path)
    make_folder(path.parent)
    with writing(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    with os.fdopen(descriptor, "rb+", buffering=0) as file:
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        with writing(path):
            yield file


def is_temporary(path: Path) -> bool:
    """Return whether a file has the name of a temporary file of `replacing`.

    >>> is_temporary(Path("a/.run.json.0f3c9a1e.part")), is_temporary(Path("a/.video.part"))
    (True, False)
    """
    return _PART.fullmatch(path.name) is not None


def clear_temporary(folder: Path | str, *, below: bool = False) -> None:
    """Remove temporary files that a killed process left in a folder; with `below` also in its subfolders.

    No other process may write there meanwhile. Links are neither followed nor removed.
    """
    for top, folders, names in os.walk(folder):
        for path in (Path(top) / name for name in names):
            if is_temporary(path) and path.is_file() and not path.is_symlink():
                remove(path)
        if not below:
            folders.clear()


def remove(path: Path | str) -> None:
    """Remove a file, or a folder with its content; a missing one is ignored.

    Parameters
    ----------
    path : path
        The file or folder.
    """
    path = Path(path)
    with writing(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def move(source: Path | str, target: Path | str) -> None:
    """Rename a file or folder within a file system; a file at the target is replaced.

    Parameters
    ----------
    source, target : path
        The old and the new path.
    """
    with writing(target):
        os.replace(source, target)


def write_new(path: Path | str, data: bytes) -> Path:
    """Write a new file that only its owner may read; after a failure nothing of it remains.

    Parameters
    ----------
    path : path
        The file, which must not exist.
    data : bytes
        The content.

    Returns
    -------
    Path
        The file.
    """
    path = Path(path)
    make_folder(path.parent)
    with writing(path):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            path.unlink()
            raise
    return path


def write_array(path: Path | str, array: np.ndarray) -> Path:
    """Write an array as .npy atomically.

    Parameters
    ----------
    path : path
        The file.
    array : ndarray
        The array.

    Returns
    -------
    Path
        The file.
    """
    path = Path(path)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)
    return path


def write_text(path: Path | str, text: str) -> Path:
    """Write text atomically, as UTF-8.

    Parameters
    ----------
    path : path
        The file.
    text : str
        The text.

    Returns
    -------
    Path
        The file.
    """
    path = Path(path)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def write_json(path: Path | str, value: Any) -> Path:
    """Write JSON atomically, with NaN as null and keys in their order.

    Parameters
    ----------
    path : path
        The file.
    value : object
        The value.

    Returns
    -------
    Path
        The file.
    """
    return write_text(path, json_text(value))


def write_rows(path: Path | str, frame: pl.DataFrame) -> Path:
    """Write a table as a JSON list with one row per line, atomically; NaN and infinity are null.

    Parameters
    ----------
    path : path
        The file.
    frame : DataFrame
        The table.

    Returns
    -------
    Path
        The file.
    """
    numbers = pl.selectors.float()
    rows = frame.with_columns(pl.when(numbers.is_finite()).then(numbers)).to_dicts()
    text = ",\n".join(json.dumps(row, ensure_ascii=False, allow_nan=False, default=str) for row in rows)
    return write_text(path, f"[\n{text}\n]\n" if rows else "[]\n")


def json_text(value: Any) -> str:
    """Return the text that `write_json` writes.

    Parameters
    ----------
    value : object
        The value.

    Returns
    -------
    str
        The JSON text.
    """
    return json.dumps(_plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return _plain(value.item())
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return value if isinstance(value, str | int | bool | None) else str(value)
