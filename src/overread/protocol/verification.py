"""Verification that the folders of a study or command are unchanged: files, stamps and ledger."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overread import integrity, ledger, runs
from overread.errors import InputError
from overread.integrity import ADDITIONAL, CHANGED, MISSING, Difference
from overread.protocol.stage_folder import stamp_differences
from overread.tables.storage.locks import LOCK
from overread.tables.storage.made import MADE, STAMP

RECORD, LEDGER, MODEL = "run.json", "ledger.jsonl", "model.json"
# Files that a command keeps for itself; nothing is read from them but whose folder it is.
_OWN = (LOCK, MADE)

# Where a file that nobody wrote there may be taken for one of the run's: parts of pixels and heat maps, a model.
_CLOSED = ("pixels", "heatmaps")
# Files that only a run writes, by which its folder is known when run.json was removed.
_MARKS = (
    "protocol.json",
    "simulation.json",
    "flow.parquet",
    "strata.parquet",
    "heatmaps.json",
    "notes.json",
    "report.html",
    "audit.parquet",
    LEDGER,
)


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of verifying one folder.

    Attributes
    ----------
    folder : Path
        The folder.
    files : int
        Number of files compared.
    differences : tuple of Difference
        Files that were changed, are missing or were added.
    faults : tuple of str
        Faults of the ledger.
    remarks : tuple of str
        Other observations: a run that did not end, and additional files, which are differences only among pixels, heat
        maps and models.
    """

    folder: Path
    files: int
    differences: tuple[Difference, ...] = ()
    faults: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def unchanged(self) -> bool:
        """Whether the folder is as it was written."""
        return not self.differences and not self.faults

    def sentences(self) -> list[str]:
        """Describe the folder: number of files, and every difference."""
        counted = f"{self.files:,} file{'' if self.files == 1 else 's'}"
        if self.unchanged:
            lines = [f"{self.folder}: {counted}, unchanged"]
        else:
            lines = [f"{self.folder}: {counted}, {len(self.differences) + len(self.faults):,} differ"]
            lines += [f"  {each}" for each in (*self.differences, *self.faults)]
        return lines + [f"  {remark}" for remark in self.remarks]


def verify(folder: Path | str) -> list[Verified]:
    """Compare every file below a folder, byte for byte, with the record of the run that wrote it.

    Parameters
    ----------
    folder : path
        A study, the folder of one command, or a folder that contains such folders.

    Returns
    -------
    list of Verified
        The result for each folder that a command wrote, in order.

    Raises
    ------
    InputError
        There is no folder that a command wrote.

    Notes
    -----
    The comparison uses the hashes in run.json, the hash of run.json itself, in stages also that in stage.json, in a
    study those of the stamps of its stages, in a model those in model.json, and the head of the ledger that is kept by
    evaluation and report. A change by a person who also recomputes all of these is not detected.

    Examples
    --------
    .. code-block:: python

        import overread as ov
        ov.verify("study")
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(folder, "a folder", "none there", do="Check the path.")
    owners: dict[Path, list[Path]] = {}
    for top, names in _walk(folder):
        mine = _owner(top, names, owners)
        if mine is not None:
            owners.setdefault(mine, []).extend(top / name for name in names)
    if not owners:
        raise InputError(folder, "a folder written by overread, with a run.json", "none in it or below it")
    return [_verified(top, files) for top, files in sorted(owners.items())]


def refuse_altered(*paths: Path | str | None) -> None:
    """Refuse folders in which a file was altered, with every byte compared.

    A file is verified with its folder if a command wrote that; None and missing paths are ignored.
    """
    existing = [Path(p) for p in paths if p is not None]
    beside = [p.parent for p in existing if p.is_file() and (p.parent / RECORD).is_file()]
    folders = dict.fromkeys([*(p for p in existing if p.is_dir() and any(p.iterdir())), *beside])
    found = [each for folder in folders for each in verify(folder) if not each.unchanged]
    if found:
        raise InputError.all([_problem(each) for each in found])


def _problem(found: Verified) -> InputError:
    named = [str(each) for each in (*found.differences, *found.faults)]
    return InputError(
        found.folder,
        "the files as they were written",
        f"{len(named):,} that differ",
        examples=named,
        do="Restore them from a copy, or remove the folder and run its command again.",
    )


def _walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield every folder with the names of its files; links to folders and hidden folders count as files."""
    for top, folders, files in os.walk(folder):
        place = Path(top)
        closed = [f for f in folders if (place / f).is_symlink() or f.startswith(".")]
        folders[:] = sorted(f for f in folders if f not in closed)
        yield place, sorted([*files, *closed])


def _owner(top: Path, names: list[str], owners: dict[Path, list[Path]]) -> Path | None:
    """Return the folder of the run to which this folder belongs: itself, the nearest above, or None."""
    if RECORD in names or STAMP in names or MODEL in names:
        return top
    above = next((p for p in top.parents if p in owners), None)
    return top if above is None and any(mark in names for mark in _MARKS) else above


def _verified(top: Path, files: list[Path]) -> Verified:
    record, found = _record(top)
    entries = _entries(record)
    outputs = integrity.differences(top, entries, thorough=True)
    if len(outputs) == len(entries) > 1:  # nothing is as it says
        found.append(Difference(RECORD, integrity.OTHER_RUN))
    found += outputs
    found += [Difference(n, integrity.LINK) for n in _linked_parents(top, entries)]
    found += _model_differences(top)
    faults = _ledger_faults(top, record)
    known = {RECORD, STAMP, *entries, *_model_files(top)}
    others = [p for p in files if p.relative_to(top).as_posix() not in known and not _is_own(p, top)]
    others = others if record or (top / MODEL).is_file() else []  # without a record all would be additional
    inside = [p for p in others if p.parent.name in _CLOSED or (p.parent / MODEL).is_file()]
    found += [Difference(p.relative_to(top).as_posix(), ADDITIONAL) for p in inside]
    compared = sum((top / name).is_file() for name in {*known, LEDGER})
    return Verified(
        top,
        compared,
        tuple(dict.fromkeys(found)),
        tuple(faults),
        tuple(_remarks(top, record, [p for p in others if p not in inside])),
    )


def _remarks(top: Path, record: dict[str, Any], others: list[Path]) -> list[str]:
    ended = record.get("status") in (None, "complete")
    remarks = [] if ended else [f"{RECORD}: the run did not end ({record['status']})"]
    return remarks + [f"{p.relative_to(top).as_posix()}: {ADDITIONAL}, not compared" for p in others]


def _entries(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the outputs in a record; {} if the record is damaged, which is reported elsewhere."""
    outputs = record.get("outputs")
    return {n: own for n, own in outputs.items() if isinstance(own, dict)} if isinstance(outputs, dict) else {}


def _record(top: Path) -> tuple[dict[str, Any], list[Difference]]:
    """Return the run.json of a folder, and the differences of the record and of the stamp."""
    path, stamp = top / RECORD, top / STAMP
    found = []
    if stamp.is_file() and not integrity.sealed(stamp):
        found.append(Difference(STAMP, CHANGED))
    elif stamp.is_file():
        found += stamp_differences(top)
    found += [Difference(p.name, integrity.LINK) for p in (path, stamp) if p.is_symlink()]
    if not path.is_file():
        alone = (top / MODEL).is_file() and not stamp.is_file()  # a model may travel without
        return {}, found if alone else [*found, Difference(RECORD, MISSING)]
    if not integrity.sealed(path):
        found.append(Difference(RECORD, CHANGED))
    record = _read(path)
    if record.get("stage") and not stamp.is_file():
        found.append(Difference(STAMP, MISSING))
    return record, found


def _read(path: Path) -> dict[str, Any]:
    """Read a record; {} if it is damaged, which its seal shows."""
    try:
        record = runs.read_json(path)
    except InputError:
        return {}
    return record if isinstance(record, dict) else {}


def _linked_parents(top: Path, entries: dict[str, dict[str, Any]]) -> list[str]:
    """Return links among the folders between the folder of a run and its files."""
    between = {parent for name in entries for parent in Path(name).parents if parent != Path(".")}
    return sorted(p.as_posix() for p in between if (top / p).is_symlink())


def _model_files(top: Path) -> dict[str, str]:
    """Return the files of a model with their SHA-256, as given in model.json; {} without a model."""
    if not (top / MODEL).is_file():
        return {}
    files = _read(top / MODEL).get("files")
    return {MODEL: "", **({str(n): str(h) for n, h in files.items()} if isinstance(files, dict) else {})}


def _model_differences(top: Path) -> list[Difference]:
    """Compare a model with its own model.json; a model may have no run.json."""
    if not (top / MODEL).is_file():
        return []
    if not integrity.sealed(top / MODEL):
        return [Difference(MODEL, CHANGED)]
    found = []
    for name, digest in _model_files(top).items():
        if not (top / name).is_file():
            found.append(Difference(name, MISSING))
        elif digest and integrity.file_hash(top / name) != digest:
            found.append(Difference(name, CHANGED))
    return found


def _is_own(path: Path, top: Path) -> bool:
    """Return whether a file belongs to the ledger, which is verified by its chain, or is kept by a command for
    itself.
    """
    if path.name in _OWN or path.name.startswith(".headers"):
        return True
    return path.parent == top and (path.name == LEDGER or path.name.startswith(f"{LEDGER}.torn-"))


def _ledger_faults(top: Path, record: dict[str, Any]) -> list[str]:
    """Return the faults of the ledger in a folder, or in which the run of the folder has an entry."""
    notes = record.get("notes")
    head = notes.get("ledger") if isinstance(notes, dict) else None
    book = top / str(head["file"]) if isinstance(head, dict) else top / LEDGER
    if not book.is_file() and (head is None or record.get("command") == "report"):
        return []  # a report may travel without the ledger
    try:
        return [f"{book.name}: {fault}" for fault in ledger.faults(book, head)]
    except InputError as error:
        return [f"{book.name}: {error}"]
