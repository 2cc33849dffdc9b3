"""One command at a time in a folder of results: a lock file names the process that writes there.

The operating system's lock of the file counts, not the file: it ends with the process, also by kill -9, so that a file
that was left behind is taken over. Where there are no such locks (Windows, some network file systems) the file itself
counts, and one that was left behind must be removed by hand.
"""

from __future__ import annotations

import errno
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from overread.errors import InputError, WriteError
from overread.tables.storage.files import clear_temporary, make_folder, writing
from overread.tables.storage.made import STAMP

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".overread.lock"
# The folders within a folder of results that the commands make and write to.
_INNER = (".building", "checkpoints", "figures", "heatmaps", "model-cards", "pixels", "report")


@contextmanager
def holding(folder: Path | str, command: str) -> Iterator[Path]:
    """Keep other commands out of a folder while the block runs; files under way that a killed process left are removed.

    Parameters
    ----------
    folder
        the folder of results, created where it is missing
    command
        the command, as another one is told of it

    Raises
    ------
    InputError
        another process writes to the folder or to one that it lies in (its command, process, host and start are named),
        or a process of another host did and did not remove its lock; the folder is a stage of a study, or lies in one
    """
    _refuse_inside(Path(folder))
    folder = make_folder(folder)
    path = folder / LOCK
    descriptor = _acquired(path, command)
    try:
        clear_temporary(folder)
        for name in _INNER:
            if not (folder / name).is_symlink():
                clear_temporary(folder / name, below=True)
        yield folder
    finally:
        if fcntl is None:  # Windows removes no open file
            os.close(descriptor)
        with suppress(WriteError), writing(path):
            path.unlink(missing_ok=True)
        if fcntl is not None:  # removed first: whoever opened the file before finds that it is no longer this one
            os.close(descriptor)


def _refuse_inside(folder: Path) -> None:
    """Refuse a folder that belongs to a study: a finished stage of it, or one below a folder that is written to."""
    whole = folder.absolute()
    for place in (whole, *whole.parents):
        if (place / STAMP).is_file() and not place.name.startswith("."):  # `.NAME.part` is where a stage is made
            do = "Choose another folder. To have the stage made again, remove it and run the study."
            raise InputError(folder, "a folder apart from the stages of a study", f"the stage {place}", do=do)
    for place in whole.parents:
        if fcntl is not None and (place / LOCK).is_file() and (holder := _other_holder(place / LOCK)):
            _refuse(place, holder, "Wait until it has ended, or choose another folder.")


def _other_holder(path: Path) -> dict[str, str]:
    """The process that holds a lock file, {} where none does or this one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:  # it ended in between, or is not ours to read
        return {}
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        held = error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN)
        holder = _holder(descriptor) if held else {}
        mine = (holder.get("process"), holder.get("host")) == (str(os.getpid()), platform.node())
        return {} if mine else holder
    finally:
        os.close(descriptor)
    return {}


def _acquired(path: Path, command: str) -> int:
    """The open lock file, locked, with this process in it."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
    while True:
        with writing(path):
            try:
                descriptor, new = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666), True
            except FileExistsError:
                try:
                    descriptor, new = os.open(path, flags), False
                except FileNotFoundError:  # it ended in between
                    continue
        try:
            locked = _try_lock(descriptor)
            if locked and not _is_at(descriptor, path):  # it was removed by the one that had it
                os.close(descriptor)
                continue
            _refuse_held(path, _holder(descriptor), locked=locked, new=new)
            with writing(path):
                _write(descriptor, command)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def _try_lock(descriptor: int) -> bool | None:
    """Whether the lock was free; None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN) else None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _refuse_held(path: Path, holder: dict[str, str], *, locked: bool | None, new: bool) -> None:
    elsewhere = holder.get("host", platform.node()) != platform.node()
    if (locked and not elsewhere) or (locked is None and new):
        return  # a file without a lock is what a killed process of this host left
    do = "Wait until it has ended, or choose another folder."
    if locked is not False:
        do += f" If it has ended and left its lock, remove {path}."
    elif elsewhere:
        do += f" If that machine is gone, remove {path}."
    _refuse(path.parent, holder, do)


def _refuse(folder: Path, holder: dict[str, str], do: str) -> None:
    found = "another process"
    if holder:
        found = f"'overread {holder['command']}', process {holder['process']} on {holder['host']}, "
        found += f"started {holder['started']}"
    raise InputError(folder, "a folder that no other command writes to", found, do=do)


def _holder(descriptor: int) -> dict[str, str]:
    """Who is named in the lock file; {} where nobody is yet."""
    with suppress(ValueError, OSError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        record = json.loads(os.read(descriptor, 4096))
        names = ("command", "process", "host", "started")
        if isinstance(record, dict) and all(name in record for name in names):
            return {name: "".join(c for c in str(record[name])[:80] if c.isprintable()) for name in names}
    return {}


def _write(descriptor: int, command: str) -> None:
    record = {
        "command": command,
        "process": os.getpid(),
        "host": platform.node(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, json.dumps(record).encode())
    os.fsync(descriptor)
