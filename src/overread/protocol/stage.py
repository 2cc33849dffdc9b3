"""A stage: work that is done once in a folder of its own, and done again only when what it depends on has changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from overread import integrity, runs, threads
from overread.tables import make_folder, move, remove, write_json

STAMP = "stage.json"


def stage(
    folder: Path, work: Callable[[Path], object], *, config: Any, inputs: Mapping[str, Path] | None = None
) -> bool:
    """Do the work in `folder` unless it is already there for the same configuration and inputs; True when it was done.

    The work is done in a folder beside it (`.name.part`), which an interrupted run leaves and the same run takes up
    again; it takes the place of an older result only when it is whole, so that no result is lost to one that fails.

    Raises InputError where the finished stage was altered: it is neither believed nor made again unasked.
    """
    wanted = runs.fingerprint({"config": runs.plain(config), "inputs": _made_for(inputs or {})})
    check_stamp(folder)
    if _stamp(folder) == wanted:
        runs.check_if_run(folder)
        return False
    part = folder.with_name(f".{folder.name}.part")
    if part.exists() and _stamp(part, under_way=True) != wanted:
        remove(part)
    make_folder(part)
    write_json(part / STAMP, {"under_way": wanted, "computing": threads.record()})
    work(part)
    if (part / "run.json").is_file():  # by which a stamp that is removed later is missed
        integrity.write_sealed(part / "run.json", {**runs.read(part), "stage": wanted})
    integrity.write_sealed(part / STAMP, {"done": wanted, "run.json": _record_hash(part), "computing": threads.record()})
    _put_in_place(part, folder)
    return True


def check_stamp(folder: Path) -> None:
    """Refuse a stage whose stamp or record was altered or removed; a folder that is not there is no stage yet."""
    if (folder / STAMP).is_file():
        integrity.check_seal(folder / STAMP)
    integrity.refuse(folder, stamp_differences(folder))


def stamp_differences(folder: Path) -> list[integrity.Difference]:
    """Whether the stamp of a stage is missing, and whether run.json is another than the stamp says."""
    found = _record_hash(folder)
    if not (folder / STAMP).is_file():
        return [integrity.Difference(STAMP, integrity.MISSING)] if found else []
    if found == runs.read_json(folder / STAMP).get("run.json"):
        return []
    if found and integrity.sealed(folder / "run.json"):  # both are whole: either may be the one that was replaced
        return [integrity.Difference(f"run.json or {STAMP}", integrity.OTHER_RUN)]
    return [integrity.Difference("run.json", integrity.CHANGED if found else integrity.MISSING)]


def _record_hash(folder: Path) -> str:
    """The SHA-256 of the run.json of a folder, "" where it has none."""
    path = folder / "run.json"
    return integrity.file_hash(path) if path.is_file() else ""


def _made_for(inputs: Mapping[str, Path]) -> dict[str, str]:
    """What identifies each input: of a finished stage what it was made for, so that its times do not matter."""
    return {n: _stamp(p.parent) if p.name == STAMP else runs.input_hash(p) for n, p in inputs.items()}


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
        stamp: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return ""
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


def stamps(folder: Path) -> list[Path]:
    """The stamps of the finished stages below a folder."""
    found = (p for p in sorted(folder.rglob(STAMP)) if p.parent != folder)
    return [p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts)]
