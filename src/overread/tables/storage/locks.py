"""Lock of a folder of results for one command, by a lock file that names the process.

The operating system's lock on the file is decisive, not its existence: the lock ends with the process, also by kill -9,
and an abandoned file is reused. Without such locks (Windows, some network file systems) the existence of the file is
decisive, and an abandoned one must be removed by hand.
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
    """Lock a folder against other commands during the block; temporary files of killed processes are removed.

    Parameters
    ----------
    folder : path
        The folder of results, created if missing.
    command : str
        The name of the command, which is shown to other processes.

    Yields
    ------
    Path
        The folder.

    Raises
    ------
    InputError
        Another process is writing to the folder or to one above it (its command, process, host and start are named); a
        process of another host left its lock; the folder is, or is inside, a stage of a study.
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
    """Refuse a folder of a study: a complete stage, or a folder below one that is being written."""
    whole = folder.absolute()
    for place in (whole, *whole.parents):
        if (place / STAMP).is_file() and not place.name.startswith("."):  # `.NAME.part` is where a stage is made
            do = "Choose another folder. To have the stage made again, remove it and run the study."
            raise InputError(folder, "a folder apart from the stages of a study", f"the stage {place}", do=do)
    for place in whole.parents:
        if fcntl is not None and (place / LOCK).is_file() and (holder := _other_holder(place / LOCK)):
            _refuse(place, holder, "Wait until it has ended, or choose another folder.")


def _other_holder(path: Path) -> dict[str, str]:
    """Return the other process that holds a lock file; {} if there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:  # it ended in between, or is not ours to read
        return {}
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        is_locked = error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN)
        holder = _holder(descriptor) if is_locked else {}
        mine = (holder.get("process"), holder.get("host")) == (str(os.getpid()), platform.node())
        return {} if mine else holder
    finally:
        os.close(descriptor)
    return {}


def _acquired(path: Path, command: str) -> int:
    """Open the lock file, lock it, and write this process into it."""
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
    """Return whether the lock was free; None if there are no locks."""
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
    """Return the process named in the lock file; {} if there is none yet."""
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
