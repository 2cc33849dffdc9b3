"""A stage: work that is done once in a folder of its own, and done again only when what it depends on has changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from overread import runs
from overread.errors import InputError
from overread.tables import made, make_folder, move, write_json
from overread.tables.files import clear_temporary
from overread.tables.made import STAMP

_PART, _OLD = ".part", ".old"


def stage(
    folder: Path, work: Callable[[Path], object], *, config: Any, inputs: Mapping[str, Path] | None = None
) -> bool:
    """Do the work in `folder` unless it is already there for the same configuration and inputs; True when it was done.

    The work is done in a folder beside it (`.name.part`), which an interrupted run leaves and the same run takes up
    again; it takes the place of an older result only when it is whole, so that no result is lost to one that fails.

    Raises
    ------
    InputError
        the folder to be replaced holds what no stage made (a file that its made.json does not list, a changed file, a
        link): nothing is removed, and the work is not begun
    """
    wanted = runs.fingerprint(config, inputs)
    if _stamp(folder) == wanted:
        return False
    part, old = _beside(folder, _PART), _beside(folder, _OLD)
    for replaced in (folder, old):
        made.check_own(replaced)
    if _stamp(part) != wanted:
        if _stamp(part, under_way=True) != wanted:
            _clear(part)
        make_folder(part)
        write_json(part / STAMP, {"under_way": wanted})
        clear_temporary(part, below=True)
        work(part)
        made.write_list(part)
        write_json(part / STAMP, {"done": wanted})
    _put_in_place(part, folder, old)
    return True


def clear_left(parent: Path, stages: Collection[Path]) -> None:
    """Remove what interrupted runs left in a folder for stages that are no longer among these."""
    for part in parent.glob(f".*{_PART}"):
        if parent / part.name[1 : -len(_PART)] not in stages and _is_work(part):
            _clear(part)


def _beside(folder: Path, ending: str) -> Path:
    return folder.with_name(f".{folder.name}{ending}")


def _is_work(part: Path) -> bool:
    return part.is_dir() and not part.is_symlink() and (part / STAMP).is_file()


def _clear(part: Path) -> None:
    """Remove a folder of work under way, which its stamp shows to be one; another that is not empty is refused."""
    if part.is_symlink() or (part.exists() and not _is_work(part) and (not part.is_dir() or any(part.iterdir()))):
        do = "Move it elsewhere: results are made in a folder of this name."
        raise InputError(part, "nothing, or what an interrupted run left", "something without stage.json", do=do)
    made.remove_but_last(part, STAMP)


def _put_in_place(part: Path, folder: Path, old: Path) -> None:
    made.remove_own(old)
    made.check_own(folder)  # again: the work may have taken days
    if folder.exists():
        move(folder, old)
    move(part, folder)
    made.remove_own(old)


def _stamp(folder: Path, *, under_way: bool = False) -> str:
    """The fingerprint that a folder was made for, "" where it is none or was damaged."""
    path = folder / STAMP
    if not path.is_file():
        return ""
    stamp: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return stamp.get("under_way" if under_way else "done", "")


def content(folder: Path) -> dict[str, Path]:
    """The inputs that name a finished stage: its stamp says all that it was made of."""
    return {folder.name: folder / STAMP}
