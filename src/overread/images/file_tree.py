"""Listing of the files in a folder tree, safe against cyclic links and unreadable folders."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from overread import regular
from overread.errors import InputError
from overread.images.raster.file_content import content


def files(
    root: Path | str, *, suffixes: tuple[str, ...] = (), closed: Literal["refuse", "skip"] = "refuse"
) -> list[Path]:
    """List every file below a folder, sorted by path.

    Parameters
    ----------
    root : path
        Folder.
    suffixes : tuple of str
        Extensions in lower case to include, such as ".png"; () = all.
    closed : {"refuse", "skip"}
        Treatment of folders without read permission.

    Returns
    -------
    list of Path
        The files. Symbolic links to other folders are followed, but no folder is entered twice.

    Raises
    ------
    InputError
        The folder is missing (a file or an archive in its place is named), folders are not readable (all are named),
        or names are not UTF-8.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "a").mkdir(); (root / "a" / "back").symlink_to(root)
    >>> _ = (root / "a" / "one.PNG").write_bytes(b"")
    >>> [p.name for p in files(root, suffixes=(".png",))]
    ['one.PNG']
    """
    root = folder(root)
    found: list[Path] = []
    forbidden: list[str] = []
    entered: set[tuple[int, int]] = set()
    waiting = [root]
    while waiting:
        place = waiting.pop()
        try:
            state = place.stat()
            if (state.st_dev, state.st_ino) in entered:
                continue
            entered.add((state.st_dev, state.st_ino))
            with os.scandir(place) as entries:
                for entry in entries:
                    if _is_folder(entry):
                        waiting.append(Path(entry.path))
                    elif not suffixes or entry.name.lower().endswith(suffixes):
                        found.append(Path(entry.path))
        except PermissionError:
            forbidden.append(str(place.relative_to(root)))
    if forbidden and closed == "refuse":
        raise InputError(
            root,
            "folders that may be read",
            f"{len(forbidden):,} that may not",
            examples=sorted(forbidden),
            do="Ask for the permission to read them, or leave them out by another root.",
        )
    _refuse_names(root, found)
    return sorted(found)


def outside(root: Path | str, paths: Iterable[str]) -> list[str]:
    """Paths relative to `root` that lead out of it: absolute, through "..", or through a symbolic link.

    A path that no file can have (with a null character) is included.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "up").symlink_to(root.parent)
    >>> outside(root, ["a.png", "a/../b.png", "../a.png", "/etc/a.png", "up/a.png"])
    ['../a.png', '/etc/a.png', 'up/a.png']
    """
    top = os.path.realpath(root)
    inner: dict[str, bool] = {}  # folders: a cohort has far fewer of them than files
    found = []
    for path in paths:
        whole = os.path.join(root, path)
        parent = os.path.dirname(whole)
        try:
            if parent not in inner:
                inner[parent] = _is_below(os.path.realpath(parent), top)
            beyond = os.path.basename(whole) in ("", ".", "..") or os.path.islink(whole)
            if "\0" in path or not (_is_below(os.path.realpath(whole), top) if beyond else inner[parent]):
                found.append(path)
        except ValueError:
            found.append(path)
    return found


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top if top.endswith(os.sep) else top + os.sep)


def _refuse_names(root: Path, found: list[Path]) -> None:
    """Refuse file names that are not valid text: a table could not store them."""
    odd = sorted(
        str(p.relative_to(root)).encode("utf-8", "backslashreplace").decode() for p in found if not _is_text(p)
    )
    if odd:
        raise InputError(
            root,
            "names of files in UTF-8",
            f"{len(odd):,} that are not",
            examples=odd,
            do="Rename them, or leave them out.",
        )


def _is_text(path: Path) -> bool:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: neither file nor folder; reading it raises an error
        return False


def folder(root: Path | str) -> Path:
    """The folder as a path; InputError if it is missing, a file, an archive, or not readable."""
    root = Path(root)
    if root.is_dir():
        if not os.access(root, os.R_OK | os.X_OK):
            raise InputError(root, "a folder that may be read", "no permission", do="Ask for the permission to read.")
        return root
    if not root.exists():
        raise InputError(root, "a folder", "nothing there", do="Check the path.")
    with regular.opened(root) as file:
        kind = content(file.read(512))
    if "ZIP" in kind or "gzip" in kind or root.name.endswith((".tar", ".7z")):
        raise InputError(root, "a folder", "an archive", do="Unpack it and give the folder.")
    raise InputError(root, "a folder", "a file", do="Give the folder that holds it.")
