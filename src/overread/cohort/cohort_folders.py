"""Atomic replacement of a cohort folder; an interrupted build leaves the previous cohort intact.

The cohort is built in `.building` within its folder. When complete, that folder is renamed to `.finished` and its
files are moved out, run.json last; if the process is killed, the next one completes the move.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from overread import runs, tables
from overread.errors import InputError, WriteError
from overread.tables.storage.names import below

COMMAND, BUILDING, FINISHED = "cohort", ".building", ".finished"
PIXELS, RUN = "pixels", "run.json"
TABLES = ("images", "labels", "regions", "reads", "flow")
LIST, REFUSED = "unreadable.csv", "refused.csv"
_WRITTEN = (*(f"{name}.parquet" for name in (*TABLES, "splits", "duplicates")), LIST, PIXELS)
_PIXEL_FILE = re.compile(r"part-[0-9]{5}\.(npy|json)|recipe\.json")


@contextmanager
def placing(out: Path) -> Iterator[Path]:
    """Context with the folder in which a cohort is built; it is moved into place if the block succeeds.

    Parameters
    ----------
    out : Path
        Cohort folder; the caller holds its lock.

    Raises
    ------
    InputError
        `out` holds files that are not from a cohort and would be replaced.
    """
    building, finished = below(out, BUILDING), below(out, FINISHED)
    for folder in (building, finished):
        runs.claim(folder, COMMAND, [path.name for path in folder.iterdir()] if folder.is_dir() else [])
    if finished.exists():
        _put_in_place(finished, out)
    runs.claim(out, COMMAND, _WRITTEN)
    _check_pixels(out / PIXELS)
    if not (building / RUN).is_file():  # a refused build keeps its folder
        runs.claim(out, COMMAND, [REFUSED])
    yield building
    tables.move(building, finished)
    _put_in_place(finished, out)
    tables.remove(out / REFUSED)


def is_whole(folder: Path) -> bool:
    """Whether the cohort in a folder is from a build that completed."""
    if (folder / RUN).is_file():
        return bool(runs.read(folder)["status"] == "complete")
    return not any((folder / name).exists() for name in (BUILDING, FINISHED))


def reuse_pixels(out: Path, building: Path) -> None:
    """Link the pixel parts of the existing cohort; the store keeps those whose content would be the same."""
    old, new = out / PIXELS, building / PIXELS
    if not old.is_dir() or new.is_dir():
        return
    tables.make_folder(new)
    for part in _pixel_files(old):
        try:
            with tables.writing(new):
                os.link(part, new / part.name)
        except WriteError:  # the file system has no links: the part is rendered again
            return


def _pixel_files(folder: Path) -> list[Path]:
    """The files of a pixel store."""
    return sorted(p for p in folder.iterdir() if _PIXEL_FILE.fullmatch(p.name)) if folder.is_dir() else []


def _check_pixels(folder: Path) -> None:
    """Refuse a pixel folder with other files in it, because the whole folder is about to be replaced."""
    own = {path.name for path in _pixel_files(folder)}
    strange = [path.name for path in folder.iterdir() if path.name not in own] if folder.is_dir() else []
    if strange:
        do = "Move them elsewhere: this folder is replaced."
        raise InputError(
            folder, "the files of a cohort's pixels alone", f"{len(strange)} others", examples=strange, do=do
        )


def _put_in_place(finished: Path, out: Path) -> None:
    """Move the files of the finished cohort to its folder, run.json last: without it the cohort is incomplete."""
    new, old, replaced = finished / PIXELS, out / PIXELS, finished / "replaced"
    if new.is_dir():
        _check_pixels(old)
        tables.remove(out / RUN)
        if old.is_dir():
            tables.move(old, replaced)
        tables.move(new, old)
    for path in _pixel_files(replaced):
        tables.remove(path)
    for name in (*_WRITTEN, RUN):
        if (finished / name).is_file():
            tables.move(finished / name, out / name)
    for folder in (replaced, finished):
        if folder.is_dir() and not any(folder.iterdir()):
            tables.remove(folder)
