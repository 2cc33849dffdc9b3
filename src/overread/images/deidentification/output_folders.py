"""Folders of a de-identification: output, quarantine list and work folder; no other file is touched.

`OUT` is the folder for transfer. `OUT-quarantine.csv` and `OUT-work` lie beside it and contain names of patients'
files: only their owner can read them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from overread import runs, tables
from overread.errors import InputError
from overread.images.deidentification.pseudonyms import Key
from overread.tables.storage import made
from overread.tables.storage.files import clear_temporary, is_temporary
from overread.tables.storage.locks import LOCK

LISTS = ("audit.parquet", "audit.csv", "run.json")
QUARANTINE_COLUMNS, MAPPING_COLUMNS = ("source", "kind", "reason"), ("kind", "old", "new")

_OURS = ("images", *LISTS)
_PLACE = re.compile(r"[A-Z2-7]{16}/[0-9.]+/[0-9.]+\.dcm")  # patient, study, instance
_WORK = re.compile(r"[0-9a-f]{32}\.(files|audit)|aside/[0-9a-f]{64}")


def quarantine(out: Path) -> Path:
    """Path of the list of quarantined files."""
    return out.with_name(f"{out.name}-quarantine.csv")


def work_folder(out: Path) -> Path:
    """Path of the work folder."""
    return out.with_name(f"{out.name}-work")


def check_places(source: Path, out: Path, key: Key | Path | str, mapping: Path | str | None = None) -> None:
    """Check the locations of a de-identification before anything is written.

    Parameters
    ----------
    source : Path
        Folder of the original files.
    out : Path
        Folder for transfer.
    key : Key or path
        The key, or its file.
    mapping : path, optional
        File for old and new numbers.

    Raises
    ------
    InputError
        The key or mapping would be in the folder for transfer, the folders overlap, or other files would be replaced.
    """
    here, there = out.resolve(), source.resolve()
    if here == there or there in here.parents or here in there.parents:
        raise InputError(out, "a folder apart from the source", "one that holds it or lies in it")
    for name, path in (("key", key), ("mapping", mapping)):
        if isinstance(path, str | Path) and here in Path(path).resolve().parents:
            raise InputError(path, f"a {name} outside the folder that leaves the hospital", "it in there")
    _check_out(out)
    _check_work(work_folder(out))
    _check_list(quarantine(out), QUARANTINE_COLUMNS)
    if mapping is not None:
        _check_list(Path(mapping).with_suffix(".csv"), MAPPING_COLUMNS)


def _check_out(out: Path) -> None:
    present = [p.name for p in out.iterdir() if not is_temporary(p)] if out.is_dir() else []
    if strange := [name for name in present if name not in _OURS]:
        raise InputError(out, "a new folder, or one of an earlier run", "other things in it", examples=strange)
    images = out / "images"
    if images.is_symlink() or (images.exists() and not images.is_dir()):
        raise InputError(images, "a folder of an earlier run", "a link or a file", do="Give a new folder.")
    if strange := [p.relative_to(images).as_posix() for p in held(images) if not is_clean_file(p, images)]:
        do = "Give a new folder."
        raise InputError(images, "files of an earlier run alone", f"{len(strange):,} others", examples=strange, do=do)
    if not (work_folder(out) / made.MADE).is_file():  # an interrupted run has taken run.json away
        runs.claim(out, "deidentify", _OURS)


def _check_work(work: Path) -> None:
    """Refuse a folder with the name of the work folder that this package did not create."""
    if work.is_symlink() or (work.exists() and not work.is_dir()):
        raise InputError(work, "nothing, or the folder of an interrupted run", "a link or a file", do=_ELSEWHERE)
    present = {p.name for p in work.iterdir()} - {LOCK} if work.is_dir() else set()
    if present and not (work / made.MADE).is_file():
        found = "a folder with other files, which would be removed"
        raise InputError(
            work, "nothing, or the folder of an interrupted run", found, examples=sorted(present), do=_ELSEWHERE
        )


_ELSEWHERE = "Choose another folder for the result, or move this one: work is done in a folder of this name."


def _check_list(path: Path, columns: tuple[str, ...]) -> None:
    """Refuse to replace a file that is not a list of an earlier run, by its first line."""
    if not path.exists():
        return
    first = b""
    if path.is_file():
        with path.open("rb") as file:
            first = file.readline(200).strip()
    if first != ",".join(columns).encode():
        do = "Choose another path, or move this file elsewhere."
        raise InputError(path, "no file, or the list of an earlier run", "another one, which would be replaced", do=do)


def begin_work(out: Path, mapping: Path | str | None) -> Path:
    """Create the work folder, readable by its owner only, without incomplete files; the caller holds the lock."""
    work = work_folder(out)
    with tables.writing(work):
        work.chmod(0o700)
    made.write_list(work, [])  # it shows whose folder it is
    tables.remove(work / "aside")
    tables.make_folder(work / "aside", mode=0o700)
    lists = [quarantine(out), *([Path(mapping).with_suffix(".csv")] if mapping is not None else [])]
    for path in lists:
        _clear_beside(path)
    clear_temporary(out)
    return work


def _clear_beside(path: Path) -> None:
    """Remove the temporary files that a killed process left for one file."""
    if path.parent.is_dir():
        for other in path.parent.iterdir():
            if other.name.startswith(f".{path.name[:40]}.") and is_temporary(other) and other.is_file():
                tables.remove(other)


def end_work(work: Path) -> None:
    """Remove the temporary files of this package from the work folder."""
    for path in held(work):
        if _WORK.fullmatch(path.relative_to(work).as_posix()):
            tables.remove(path)
    tables.remove(work / made.MADE)
    aside = work / "aside"
    if aside.is_dir() and not any(aside.iterdir()):
        tables.remove(aside)


def remove_empty(work: Path) -> None:
    """Remove the work folder unless it contains something else, such as the lock of another process."""
    if work.is_dir() and not any(work.iterdir()):
        tables.remove(work)


def held(folder: Path) -> list[Path]:
    """Files and links below a folder; links are not followed."""
    return [folder / name for name in made.held(folder)]


def is_clean_file(path: Path, images: Path) -> bool:
    """Whether a path has the form of a clean file of this package."""
    return not path.is_symlink() and bool(_PLACE.fullmatch(path.relative_to(images).as_posix()))


def keep_only(out: Path, clean: set[str]) -> None:
    """Remove lists and clean files of an earlier run; those of completed portions of this run are kept."""
    images = out / "images"
    for name in LISTS:
        tables.remove(out / name)
    for path in held(images):
        if path.relative_to(images).as_posix() not in clean and is_clean_file(path, images):
            tables.remove(path)
    for top, _, _ in os.walk(images, topdown=False):
        if Path(top) != images and not os.listdir(top):
            tables.remove(top)
