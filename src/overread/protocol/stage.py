"""A stage: work that is done once in a folder of its own, and done again only when what it depends on has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from overread import runs
from overread.errors import InputError
from overread.tables import make_folder, move, remove, write_json
from overread.tables.kinds import Stamp
from overread.tables.records import read_json

STAMP = "stage.json"


def stage(
    folder: Path, work: Callable[[Path], object], *, config: Any, inputs: Mapping[str, Path] | None = None
) -> bool:
    """Do the work in `folder` unless it is already there for the same configuration and inputs; True when it was done.

    The work is done in a folder beside it (`.name.part`), which an interrupted run leaves and the same run takes up
    again; it takes the place of an older result only when it is whole, so that no result is lost to one that fails.
    """
    wanted = runs.fingerprint(config, inputs)
    if _stamp(folder) == wanted:
        return False
    part = folder.with_name(f".{folder.name}.part")
    if part.exists() and _stamp(part, under_way=True) != wanted:
        remove(part)
    make_folder(part)
    write_json(part / STAMP, {"under_way": wanted})
    work(part)
    write_json(part / STAMP, {"done": wanted})
    _put_in_place(part, folder)
    return True


def _put_in_place(part: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    remove(old)
    if folder.exists():
        move(folder, old)
    move(part, folder)
    remove(old)


def _stamp(folder: Path, *, under_way: bool = False) -> str:
    """The fingerprint that a folder was made for, "" where it is none or was damaged."""
    path = folder / STAMP
    if not path.is_file():
        return ""
    try:
        stamp: dict[str, str] = read_json(path, Stamp)
    except InputError:
        return ""
    return stamp.get("under_way" if under_way else "done", "")


def content(folder: Path) -> dict[str, Path]:
    """The inputs that name a finished stage: its stamp says all that it was made of."""
    return {folder.name: folder / STAMP}
