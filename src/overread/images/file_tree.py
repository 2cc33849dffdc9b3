"""The files of a folder and of all folders within it: links that lead in circles are cut, closed folders are said."""

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
    """Every file below `root`, sorted by its path; `suffixes` (lower case, such as ".png") keeps only those.

    A folder that was entered already (a symbolic link back up) is not entered again, so that a loop ends; a link to a
    folder elsewhere is followed. Names may hold anything that the file system allows.

    Raises InputError: no folder there (a file or an archive in its place is named), folders that may not be read (all
    of them; with closed="skip" they are passed over), names that are not UTF-8.

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
    """The paths, relative to `root`, that lead out of it: absolute, through "..", through a symbolic link.

    A path that no file can have (with a null character) counts as one of them.

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
    """Refuse names that are no text: no table could hold them, and no file be found by them again."""
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
    except OSError:  # a link that leads to itself: neither file nor folder; reading it will say so
        return False


def folder(root: Path | str) -> Path:
    """The folder itself; InputError where it is missing, a file, an archive that was not unpacked, or closed to us."""
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
