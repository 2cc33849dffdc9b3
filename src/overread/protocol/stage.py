"""A stage: work that is done once in a folder of its own, and done again only when what it depends on has changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from overread import runs, threads
from overread.tables import make_folder, move, remove, write_json

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
    write_json(part / STAMP, {"under_way": wanted, "computing": threads.record()})
    work(part)
    write_json(part / STAMP, {"done": wanted, "computing": threads.record()})
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
    stamp: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return str(stamp.get("under_way" if under_way else "done", ""))


def begun_with(study: Path) -> int | None:
    """The number of threads of the last stage that was begun in a study's folder, None where there is none."""
    found = sorted((path.stat().st_mtime_ns, path) for path in study.rglob(STAMP))
    for _, path in reversed(found):
        with suppress(ValueError, AttributeError):  # a damaged stamp, or one without a record
            if count := threads.recorded(json.loads(path.read_text(encoding="utf-8")).get("computing", {})):
                return count
    return None


def content(folder: Path) -> dict[str, Path]:
    """The inputs that name a finished stage: its stamp says all that it was made of."""
    return {folder.name: folder / STAMP}
