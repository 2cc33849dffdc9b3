"""De-identification of a folder of DICOM files by PS3.15 annex E, with quarantine of files that cannot be checked."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from overread import integrity, runs, tables
from overread.errors import InputError
from overread.images import file_tree
from overread.images.deidentification import output_folders
from overread.images.deidentification.burned_in_text import tesseract
from overread.images.deidentification.output_folders import check_places
from overread.images.deidentification.patients import PatientIdentity, read_patients
from overread.images.deidentification.profile import Deidentification
from overread.images.deidentification.pseudonyms import Key, read_key
from overread.images.deidentification.single_file import Outcome, deidentify_file
from overread.images.store.executors import in_portions
from overread.images.store.worker_pool import WorkItem
from overread.tables.identifiers.key_columns import look_alike_notes
from overread.tables.records.configuration import with_settings

_PORTION = 8
_PRIVATE = 0o600  # what names patients is read by its owner alone
_FILES = {
    "source": pl.String,
    "kind": pl.String,
    "path": pl.String,
    "reason": pl.String,
    "patient": pl.String,
    "identity": pl.String,
    "accession": pl.String,
    "blackened": pl.Int64,
    "sha256": pl.String,
}
_AUDIT = {"path": pl.String, "tag": pl.String, "action": pl.String, "count": pl.Int64}

Progress = Callable[[int, int], None]
Task = tuple[tuple[Path, ...], tuple[PatientIdentity, ...], tuple[Path, Path], Key, Deidentification]
Item = tuple[Path, PatientIdentity, tuple[tuple[Path, Path], Key, Deidentification]]


@dataclass(frozen=True)
class Result:
    """Counts of files that are clean, quarantined, not DICOM, copies of clean files, and with blackened text.

    `notes` are patient and accession numbers that may be two spellings of one. They stay in the hospital and are in no
    file for transfer.
    """

    clean: int
    quarantined: int
    other: int
    copies: int
    blackened: int
    folder: Path
    quarantine: Path
    notes: tuple[tables.Note, ...] = ()

    def __repr__(self) -> str:
        head = (
            f"De-identified files in {self.folder}: {self.clean:,} clean, {self.quarantined:,} quarantined, "
            f"{self.other:,} not DICOM, {self.copies:,} copies, {self.blackened:,} with text blacked out"
        )
        return "\n".join([head, *(f"  {note}" for note in self.notes)])


def deidentify(
    source: Path | str,
    out: Path | str,
    key: Key | Path | str,
    config: Deidentification | None = None,
    *,
    mapping: Path | str | None = None,
    workers: int = 0,
    progress: Progress | None = None,
    **settings: Any,
) -> Result:
    """De-identify every DICOM file below `source` into `out`.

    Parameters
    ----------
    source : path
        Folder of the original files, which are only read.
    out : path
        Folder for transfer: images/PATIENT/STUDY/INSTANCE.dcm, audit.parquet and audit.csv (action per tag, by new
        identifiers), run.json.
    key : Key or path
        The key, or the file that holds it. The same key gives the same pseudonyms; it is never written.
    config : Deidentification, optional
        Attributes to retain beyond the basic profile.
    mapping : path, optional
        CSV file for old and new patient and accession numbers; like the key, it must lie outside `out`.
    workers : int
        Processes, in which each file is limited in time and memory; 0 = this process, without limits. In a script, one
        or more require that the call is under `if __name__ == "__main__":`.
    progress : callable, optional
        Called with (files done, files in all).
    **settings
        Fields of Deidentification that replace those of `config`.

    Returns
    -------
    Result
        Counts of files and notes.

    Raises
    ------
    InputError
        The source folder is missing or has no DICOM files; the key is missing, too short or in `out`; `out` is
        `source`, lies in it, holds other files, or the output of another source, key or options; a work folder or list
        would replace another file; another process writes to `out`.

    Notes
    -----
    DICOM PS3.15, annex E: Basic Application Level Confidentiality Profile and its options. OUT-quarantine.csv, beside
    `out`, lists the quarantined files by their original names with the reason. Temporary files are in OUT-work, which
    is removed at the end; an interrupted run resumes from it. A file appears in `out` only after it was written to the
    work folder, read again, and found free of all removed values. At the end, images holds exactly the clean files of
    this run; those of an earlier run are removed.
    """
    chosen = with_settings(config or Deidentification(), settings, "deidentify")
    source, out = file_tree.folder(source), Path(out)
    check_places(source, out, key, mapping)
    secret = key if isinstance(key, Key) else read_key(key)
    work = tables.make_folder(output_folders.work_folder(out), mode=0o700)
    try:
        with tables.holding(work, "deidentify"):
            output_folders.check_places(source, out, key, mapping)  # again: another process may have ended meanwhile
            result = _deidentify(source, out, secret, chosen, mapping=mapping, workers=workers, progress=progress)
            output_folders.end_work(work)
    finally:
        output_folders.remove_empty(work)
    return result


def _deidentify(
    source: Path,
    out: Path,
    key: Key,
    options: Deidentification,
    *,
    mapping: Path | str | None,
    workers: int,
    progress: Progress | None,
) -> Result:
    named = replace(options, issuer=key.word(options.issuer)) if options.issuer else options  # it names the hospital
    config = {**runs.plain(named), "key": key.fingerprint, "source": key.word(str(source.resolve()))}
    _check_earlier(out, config)
    work = output_folders.begin_work(out, mapping)
    files = [p for p in file_tree.files(source) if work not in p.parents and out not in p.parents]
    patients = read_patients(files, options.issuer, workers=workers)
    tasks = _tasks(files, patients, (out / "images", work / "aside"), key, options)
    output_folders.keep_only(out, _finished(tasks, work))
    with runs.start(out, "deidentify", config=config) as run:
        whole, audit = _all(tasks, work, workers, progress)
        again = pl.col("path").is_first_distinct() | (pl.col("kind") != "clean")
        whole = whole.with_columns(kind=pl.when(again).then("kind").otherwise(pl.lit("copy")))
        if not (whole["kind"] != "no DICOM").any():
            do = "Give the folder that holds them."
            raise InputError(source, "DICOM files", f"none among {len(files):,} files", do=do)
        _write(run, out, whole, audit, key, mapping)
        similar = _similar(patients, whole["accession"])
        run.note("similar numbers", sum(note.count for note in similar))
        run.note("key", key.fingerprint)
        run.note("text check", "Tesseract" if tesseract() else "none: all pictures are quarantined")
        counts = dict(whole["kind"].value_counts().rows())
        run.note("files", counts)
    return Result(
        counts.get("clean", 0),
        counts.get("quarantined", 0),
        counts.get("no DICOM", 0),
        counts.get("copy", 0),
        int((whole.filter(pl.col("kind") == "clean")["blackened"] > 0).sum()),
        out / "images",
        output_folders.quarantine(out),
        tuple(similar),
    )


def _similar(patients: Sequence[PatientIdentity], accessions: pl.Series) -> list[tables.Note]:
    """Numbers with separate pseudonyms that differ only as two spellings of one number often do."""
    identities = [p.identity for p in patients if p.identity]
    numbers = {"patient_id": pl.Series(identities, dtype=pl.String), "accession": accessions.replace("", None)}
    return [n for name, values in numbers.items() for n in look_alike_notes("files", values.unique().alias(name))]


def _check_earlier(out: Path, config: dict[str, Any]) -> None:
    """Refuse a folder with the output of another source, key or options, which the lists of this run would not
    cover.
    """
    if not (out / "run.json").is_file() or not output_folders.held(out / "images"):
        return
    earlier = runs.read(out).get("config")
    earlier = earlier if isinstance(earlier, dict) else {}
    other = [name for name, value in config.items() if earlier.get(name) != value]
    if other:
        do = "Give a new folder, or remove this one first."
        raise InputError(out, "a new folder, or that of the same run", f"a run with another {', '.join(other)}", do=do)


def _finished(tasks: Sequence[Task], work: Path) -> set[str]:
    """Clean files of the portions that an interrupted run completed, by their path in images."""
    clean = (_clean_files(work / _portion_key(task)) for task in tasks)
    return {path for paths in clean for path in paths or ()}


def _clean_files(name: Path) -> dict[str, str] | None:
    """Clean files of a portion with their hashes; None if the portion is not complete."""
    if not name.with_suffix(".audit").is_file():
        return None
    clean = pl.read_parquet(name.with_suffix(".files")).filter(kind="clean")
    return dict(clean.select("path", "sha256").iter_rows())


def _is_done(name: Path, images: Path) -> bool:
    """Whether a portion is complete and its clean files are in place; InputError if one was altered."""
    clean = _clean_files(name)
    if clean is None or not all((images / path).is_file() for path in clean):
        return False
    changed = [path for path, sha256 in clean.items() if integrity.file_hash(images / path) != sha256]
    differences = [integrity.Difference(path, integrity.CHANGED) for path in changed]
    integrity.refuse(images, differences, do="Remove them to have them made again.")
    return True


def _tasks(
    files: Sequence[Path],
    patients: Sequence[PatientIdentity],
    folders: tuple[Path, Path],
    key: Key,
    options: Deidentification,
) -> list[Task]:
    starts = range(0, len(files), _PORTION)
    return [(tuple(files[i : i + _PORTION]), tuple(patients[i : i + _PORTION]), folders, key, options) for i in starts]


def _all(
    tasks: Sequence[Task], work: Path, workers: int, progress: Progress | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Files and audit of all portions; results of completed portions are reused."""
    report = progress or (lambda done, total: None)
    total = sum(len(task[0]) for task in tasks)
    names = [work / _portion_key(task) for task in tasks]
    missing = [k for k, name in enumerate(names) if not _is_done(name, tasks[k][2][0])]
    done = total - sum(len(tasks[k][0]) for k in missing)
    report(done, total)
    cleaning: WorkItem[Item, tuple[pl.DataFrame, pl.DataFrame]] = WorkItem(_one, _gathered, _lost)
    with closing(in_portions(cleaning, (_items(tasks[k]) for k in missing), workers)) as stream:
        for k, (rows, audit) in zip(missing, stream, strict=True):
            tables.write_frame(rows, names[k].with_suffix(".files"), mode=_PRIVATE)
            tables.write_frame(
                audit, names[k].with_suffix(".audit"), mode=_PRIVATE
            )  # last: without it the portion is not done
            done += len(tasks[k][0])
            report(done, total)
    tables_of_files = [pl.read_parquet(n.with_suffix(".files")) for n in names] or [pl.DataFrame(schema=_FILES)]
    audits = [pl.read_parquet(n.with_suffix(".audit")) for n in names] or [pl.DataFrame(schema=_AUDIT)]
    return pl.concat(tables_of_files), pl.concat(audits)


def _portion_key(task: Task) -> str:
    """Hash of the inputs of a portion: files, patients, key, options and program versions."""
    paths, patients, _, key, options = task
    program = (importlib.metadata.version("overread"), tesseract() is not None)
    digest = hashlib.sha256(f"{key.fingerprint}{options}{patients}{program}".encode())
    for path in paths:
        try:
            state = os.stat(path)
            digest.update(f"{path}\0{state.st_size}\0{state.st_mtime_ns}".encode())
        except OSError:
            digest.update(f"{path}\0".encode())
    return digest.hexdigest()[:32]


def _items(task: Task) -> list[Item]:
    paths, patients, folders, key, options = task
    return [(path, patient, (folders, key, options)) for path, patient in zip(paths, patients, strict=True)]


def _one(item: Item) -> tuple[Path, Outcome]:
    path, patient, (folders, key, options) = item
    return path, deidentify_file(path, folders, key, options, patient)


def _lost(item: Item, why: str) -> tuple[Path, Outcome]:
    return item[0], Outcome("quarantined", reason=why)


def _gathered(made: Sequence[tuple[Path, Outcome]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Outcomes of the files of a portion, and the actions in the clean ones."""
    rows = [{"source": str(path), **{c: getattr(o, c) for c in _FILES if c != "source"}} for path, o in made]
    audit = [{"path": o.path, "tag": t, "action": a, "count": n} for _, o in made for t, a, n in o.done]
    return pl.DataFrame(rows, schema=_FILES), pl.DataFrame(audit, schema=_AUDIT)


def _write(
    run: runs.Run, out: Path, whole: pl.DataFrame, audit: pl.DataFrame, key: Key, mapping: Path | str | None
) -> None:
    clean = whole.filter(pl.col("kind") == "clean")
    burned = clean.filter(pl.col("blackened") > 0).select(
        "path", tag=pl.lit("7fe0,0010"), action=pl.lit("text blacked out"), count="blackened"
    )
    told = pl.concat([audit.unique(), burned]).sort("path", "tag", "action")
    run.output(tables.write_frame(told, out / "audit.parquet"))
    run.output(tables.write_frame(told, out / "audit.csv"))
    for path, sha256 in clean.unique("path").sort("path").select("path", "sha256").iter_rows():
        run.output(out / "images" / path, sha256=sha256)
    same = (
        pl.when(pl.col("kind") == "copy").then(pl.lit("the same as a file that is clean already")).otherwise("reason")
    )
    kept = whole.filter(pl.col("kind") != "clean").select("source", "kind", reason=same).sort("source")
    tables.write_frame(kept, output_folders.quarantine(out), mode=_PRIVATE)
    if mapping is not None:
        tables.write_frame(_pairs(clean, key), Path(mapping).with_suffix(".csv"), mode=_PRIVATE)


def _pairs(clean: pl.DataFrame, key: Key) -> pl.DataFrame:
    """Old and new patient and accession numbers: kind, old, new."""
    patients = clean.select(kind=pl.lit("patient"), old="identity", new="patient")
    accession_numbers = clean["accession"].filter(clean["accession"] != "").unique()
    accessions = pl.DataFrame(
        {"old": accession_numbers, "new": [key.word(a) for a in accession_numbers]},
        schema={"old": pl.String, "new": pl.String},
    )
    pairs = pl.concat([patients, accessions.select(kind=pl.lit("accession"), old="old", new="new")])
    return pairs.unique().sort("kind", "old", descending=[True, False])
