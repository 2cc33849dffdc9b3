"""List of the files that a command wrote in a folder, so that it never replaces or removes files of the user.

`made.json` in the folder lists the files by name and size. Other files, or files of another size, are foreign.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from overread.errors import InputError
from overread.tables.records.kinds import MadeRecord
from overread.tables.records.typed_files import read_json
from overread.tables.storage.files import is_temporary, remove, write_json

MADE = "made.json"
STAMP = "stage.json"  # of a stage of a study: written after the list, so that it is not in it
# What a desktop puts into a folder that was looked at.
_DESKTOP = (".DS_Store", "Thumbs.db", "desktop.ini")


def listed(folder: Path) -> dict[str, int] | None:
    """Return the listed files of a folder with their sizes; None if there is no list or it is damaged."""
    try:
        sizes: dict[str, int] = read_json(folder / MADE, MadeRecord)["files"]
    except InputError:
        return None
    return sizes


def write_list(folder: Path, names: Iterable[str] | None = None) -> Path:
    """Write the list of a folder: of these files, or of every file below it."""
    files = held(folder) if names is None else names
    sizes = {name: (folder / name).stat().st_size if (folder / name).is_file() else 0 for name in files}
    return write_json(
        folder / MADE, {"files": {name: sizes[name] for name in sorted(sizes) if name not in (MADE, STAMP)}}
    )


def held(folder: Path) -> list[str]:
    """Return every file and link below a folder, by its name within it; links are not followed."""
    found = []
    for top, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(top) / name).is_symlink()]
        found += [(Path(top) / name).relative_to(folder).as_posix() for name in (*names, *links)]
    return sorted(found)


def foreign(folder: Path) -> list[str]:
    """Return files and links below a folder that are not listed, or have another size."""
    own: Mapping[str, int] = listed(folder) or {}
    found = [n for n in held(folder) if n not in (MADE, STAMP) and Path(n).name not in _DESKTOP]
    found = [n for n in found if not is_temporary(Path(n))]
    return [n for n in found if n not in own or (folder / n).is_symlink() or (folder / n).stat().st_size != own[n]]


def check_own(folder: Path) -> None:
    """Refuse to remove a folder with foreign files; a missing folder is ignored.

    Raises
    ------
    InputError
        The foreign files are named; nothing is changed.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    do = f"Move it elsewhere, or remove {folder} yourself if nothing in it is needed."
    if folder.is_symlink() or not folder.is_dir():
        raise InputError(folder, "a folder that overread wrote", "a link or a file", do=do)
    if strange := foreign(folder):
        known = (folder / MADE).is_file()
        expected = "a folder with nothing in it but what overread made" if known else "a folder that overread wrote"
        found = (
            f"{len(strange):,} other or changed files" if known else f"one without {MADE}, with {len(strange):,} files"
        )
        raise InputError(folder, expected, found, examples=strange, do=do)


def remove_own(folder: Path) -> None:
    """Remove a folder that `check_own` accepts; an interrupted removal is continued by the next call."""
    check_own(folder)
    remove_but_last(folder, MADE)


def remove_but_last(folder: Path, last: str) -> None:
    """Remove a folder, with the file `last` as the last one, which identifies the owner until the end."""
    if folder.is_dir() and not folder.is_symlink():
        for name in held(folder):
            if name != last:
                remove(folder / name)
    remove(folder)
