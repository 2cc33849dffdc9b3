"""Messages for errors of the operating system while a file is written."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from overread.errors import WriteError

_SPACE = "Free some space or choose another folder, then run the command again."
_OTHER = "Choose another folder."
_CHECK = "Check the disk or the network share, or choose another folder, then run the command again."
# Error code -> (what was expected, what was found, what to do).
_MESSAGES: dict[str, tuple[str, str, str]] = {
    "ENOSPC": ("free space on the disk", "a full disk", _SPACE),
    "EDQUOT": ("free space within the disk quota", "a quota that is used up", _SPACE),
    "EFBIG": ("a file system that accepts files of this size", "a size above its limit", _OTHER),
    "EROFS": ("a file system that can be written to", "a read-only file system", _OTHER),
    "EACCES": ("permission to write", "permission denied", f"{_OTHER[:-1]}, or change the permissions."),
    "EPERM": ("permission to write", "permission denied", f"{_OTHER[:-1]}, or change the permissions."),
    "EIO": ("a disk that accepts data", "an input/output error", _CHECK),
    "ENXIO": ("a disk that is connected", "a missing device", _CHECK),
    "ENODEV": ("a disk that is connected", "a missing device", _CHECK),
    "ESTALE": ("a network share that is connected", "a stale file handle", _CHECK),
    "ENOTCONN": ("a network share that is connected", "a lost connection", _CHECK),
    "ENOENT": ("a folder that exists", "a folder that is missing or was removed", _CHECK),
    "ENOTDIR": ("a folder", "a file", _OTHER),
    "EEXIST": ("a folder", "a file", _OTHER),
    "EISDIR": ("a file", "a folder of that name", "Remove it or choose another name."),
    "ENOTEMPTY": ("an empty folder", "a folder with files in it", "Another program may write to it; end that first."),
    "EBUSY": ("a file that no other program uses", "a file in use", "Close the other program and run it again."),
    "ETXTBSY": ("a file that no other program uses", "a file in use", "Close the other program and run it again."),
    "ENAMETOOLONG": (
        "a path that the file system accepts",
        "a name or path that is too long",
        "Choose a shorter path.",
    ),
    "EINVAL": ("a path that the file system accepts", "a name that it does not accept", "Choose another name."),
    "EILSEQ": ("a path that the file system accepts", "characters that it does not accept", "Choose another name."),
    "ELOOP": ("a path that can be followed", "too many symbolic links", _OTHER),
    "EXDEV": ("folders on one file system", "folders on two file systems", _OTHER),
    "EMFILE": ("a file that can be opened", "too many open files", "Raise the limit (ulimit -n) or use fewer workers."),
    "ENFILE": ("a file that can be opened", "too many open files on this machine", "End other programs."),
    "ENOMEM": ("memory for writing the file", "no free memory", "End other programs or use fewer workers."),
}
_BY_CODE = {getattr(errno, name): message for name, message in _MESSAGES.items() if hasattr(errno, name)}


def write_error(path: Path | str, code: int | None) -> WriteError:
    """Return the error for an error code of the operating system (None = unknown)."""
    reason = os.strerror(code) if code is not None else "unknown"
    fallback = ("a file that can be written", f"an error of the operating system ({reason})", _CHECK)
    expected, found, do = _BY_CODE.get(code, fallback) if code is not None else fallback
    return WriteError(path, expected, found, do=do)


def error_code(error: BaseException, *, path: Path, outer: BaseException | None = None) -> int | None:
    """Return the operating system's error code behind an exception raised while `path` was written; None if there is
    none.

    Polars and safetensors give the code in the text of their exceptions ("os error 28"), torch in the exception that
    its own one replaced. `outer` is the exception that was handled before: the chain ends there. An `OSError` about
    another file (an input that cannot be read) is not about `path`.
    """
    link: BaseException | None = error
    while link is not None and link is not outer:
        if isinstance(link, OSError) and link.errno is not None:
            own = link.filename is None or Path(os.fsdecode(link.filename)) == path
            return link.errno if own and link.errno in _BY_CODE else None
        match = re.search(r"\(os error (\d+)\)", str(link))
        if match and int(match[1]) in _BY_CODE:
            return int(match[1])
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return None


def probe(path: Path) -> int | None:
    """Return the error code of a further write to a file; None if it succeeds.

    NumPy and torch report a short write without its cause ("400000 requested and 131056 written").
    """
    try:
        with path.open("ab") as file:
            file.write(b"\0" * 65536)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno
    return None
