"""Stages of a study: work in a folder of its own, repeated only if its configuration or inputs have changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from overread import integrity, runs, threads
from overread.errors import InputError
from overread.tables import make_folder, move, write_json
from overread.tables.records.kinds import Stamp
from overread.tables.records.typed_files import read_json
from overread.tables.storage import made
from overread.tables.storage.files import clear_temporary, is_temporary
from overread.tables.storage.made import STAMP

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
        the finished stage was altered: it is neither believed nor made again unasked
    """
    fingerprint = runs.fingerprint({"config": runs.plain(config), "inputs": _made_for(inputs or {})})
    check_stamp(folder)
    runs.check_if_run(folder)
    if _stamp(folder) == fingerprint:
        return False
    part, old = _beside(folder, _PART), _beside(folder, _OLD)
    for replaced in (folder, old):
        made.check_own(replaced)
    if _stamp(part) != fingerprint:
        if _stamp(part, under_way=True) != fingerprint:
            _clear(part)
        make_folder(part)
        write_json(part / STAMP, {"under_way": fingerprint, "computing": threads.record()})
        clear_temporary(part, below=True)
        work(part)
        if (part / "run.json").is_file():  # by which a stamp that is removed later is missed
            integrity.write_sealed(part / "run.json", {**runs.read(part), "stage": fingerprint})
        made.write_list(part)
        done = {"done": fingerprint, "run.json": _record_hash(part), "computing": threads.record()}
        integrity.write_sealed(part / STAMP, done)
    _put_in_place(part, folder, old)
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
    if part.is_symlink() or (part.exists() and not _is_work(part) and _foreign(part)):
        do = "Move it elsewhere: results are made in a folder of this name."
        raise InputError(part, "nothing, or what an interrupted run left", "something without stage.json", do=do)
    made.remove_but_last(part, STAMP)


def _foreign(part: Path) -> bool:
    """Return whether a folder without a stamp holds more than the stamp that a killed run was about to write."""
    return not part.is_dir() or any(not is_temporary(path) for path in part.iterdir())


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
    try:
        stamp: dict[str, Any] = read_json(path, Stamp)
    except InputError:
        return ""
    return str(stamp.get("under_way" if under_way else "done", ""))


def begun_with(study: Path) -> int | None:
    """The number of threads of the last stage that was begun in a study's folder, None where there is none."""
    found = sorted((path.stat().st_mtime_ns, path) for path in study.rglob(STAMP))
    for _, path in reversed(found):
        with suppress(InputError):  # a damaged stamp, or one without a record
            if count := threads.recorded(read_json(path, Stamp).get("computing", {})):
                return count
    return None


def content(folder: Path) -> dict[str, Path]:
    """The inputs that name a finished stage: its stamp says all that it was made of."""
    return {folder.name: folder / STAMP}


def stamps(folder: Path) -> list[Path]:
    """The stamps of the finished stages below a folder."""
    found = (p for p in sorted(folder.rglob(STAMP)) if p.parent != folder)
    return [p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts)]
