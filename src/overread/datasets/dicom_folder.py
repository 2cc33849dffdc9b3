"""A hospital's own DICOM: any tree of files, joined with a table of labels by accession number, instance, study or
day."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from overread import tables
from overread.datasets import folding, stated
from overread.errors import InputError, did_you_mean
from overread.images import tree
from overread.images.scan import scan
from overread.tables import Source, identity

# How a row of labels finds its images: what it is joined by, on the side of the images.
KEYS = {"accession": ("accession",), "image": ("image_id",), "study": ("case_id",), "patient": ("patient_id",),
        "patient+date": ("patient_id", "acquired")}  # fmt: skip
_RADIOGRAPHS = ("CR", "DX", "DR", "RG", "XR", "")
_EXTRA = ("series", "accession", "laterality", "body_part", "burned_in", "secondary", "transfer_syntax", "station")


def read(
    root: Path,
    *,
    site: str,
    labels: str = "",
    key: str = "accession",
    columns: Mapping[str, str] | None = None,
    form: Mapping[str, Any] | None = None,
    workers: int = 0,
) -> Source:
    """Read a tree of DICOM files and the labels that a table states of them.

    Parameters
    ----------
    root: the folder; every file in it is looked at, whatever its name.
    site: what the tables call the institution.
    labels: a CSV or Parquet file, relative to the root (or a full path); "" = no labels.
    key: how a row of it finds its images: "accession", "image" (SOP instance UID), "study", "patient" or
    "patient+date".
    columns: the key -> the file's column: {"accession": "AccNo"}, {"patient_id": "MRN", "date": "Exam"}. Default: a
        column of the key's own name. Dates may be 2017-01-31, 20170131, 31.01.2017 or 01/31/2017.
    form: how the labels are laid out, as `datasets.table.read` says: {"form": "wide", "columns": [...]} and the like.
    workers: processes that read headers; 0 = every core.

    Returns a Source of the radiographs (CR, DX, and files that state no modality; secondary captures are marked in the
    column `secondary`). A study is a case, an instance an image. Other objects (CT, reports, presentation states) and
    files that are no DICOM are counted in its notes, as are labels without image and images without label.
    Manufacturers are folded by devices.csv. The headers that were read are kept in the root's
    `.overread-headers.parquet` where it may be written, so that an interrupted scan goes on.

    Raises InputError: no such folder, no radiograph in it, one instance in two files that differ or of two patients,
    labels whose key finds nothing (with values of both sides), columns or values that cannot be read.
    """
    root = tree.folder(root)
    if key not in KEYS:
        raise InputError("dicom_folder, key", f"one of {', '.join(KEYS)}", f"'{key}'", do=did_you_mean(key, KEYS))
    found = scan(tree.files(root), workers=workers or os.cpu_count() or 1, cache=_cache(root))
    kept, notes = _radiographs(found, root)
    changed: list[tables.Note] = []
    images = tables.check(_images(_once(kept, root), root, site), "images", where=root, notes=changed)
    notes += changed
    if not labels:
        return Source(images, tables.empty("labels"), notes=tuple(notes))
    made, more = _labels(images, root / labels, key, columns or {}, form or {})
    return Source(images, made, notes=(*notes, *more))


def _cache(root: Path) -> Path | None:
    return root / ".overread-headers.parquet" if os.access(root, os.W_OK) else None


def _radiographs(found: pl.DataFrame, root: Path) -> tuple[pl.DataFrame, list[str | tables.Note]]:
    """The rows that are radiographs; notes on how many files are something else, by what they are."""
    found = found.filter(~pl.col("path").str.ends_with(".overread-headers.parquet"))
    whole = (pl.col("kind") == "DICOM") & (pl.col("fault") == "")
    notes = [
        f"{n:,} files are no DICOM ({kind})"
        for kind, n in found.filter((pl.col("kind") != "DICOM") & (pl.col("fault") == ""))["kind"]
        .value_counts(sort=True)
        .rows()
    ]
    faults = found.filter(pl.col("fault") != "")
    if faults.height:
        shown = Path(faults["path"][0]).relative_to(root).as_posix()
        notes.append(f"{faults.height:,} files cannot be read ({shown}: {faults['fault'][0]})")
    good = found.filter(whole)
    picture = pl.col("modality").fill_null("").is_in(_RADIOGRAPHS) | pl.col("secondary")
    seen = picture & (pl.col("rows") > 0) & (pl.col("columns") > 0)
    notes += [
        f"{n:,} DICOM objects are no radiographs (modality {modality or 'not stated'})"
        for modality, n in good.filter(~seen)["modality"].value_counts(sort=True).rows()
    ]
    kept = good.filter(seen)
    if not kept.height:
        what = "; ".join(notes) or "an empty folder"
        raise InputError(root, "DICOM radiographs (CR, DX)", f"none: {what}", do="Give the folder that holds them.")
    kept, more = _identified(kept, root)
    return kept, [*notes, *more]


def _identified(kept: pl.DataFrame, root: Path) -> tuple[pl.DataFrame, list[str | tables.Note]]:
    """The files with the patient of each in `patient_id`, and notes; files without patient or instance are refused."""
    found = identity.patients(kept["patient_id"], kept["issuer"])
    image = identity.canonical(kept["image"])
    lacking = found.numbers.is_null() | identity.is_missing(image)
    problems = [
        InputError(
            root, expected, f"{int(mask.sum()):,} files without", do=do,
            examples=[repr(Path(p).relative_to(root).as_posix()) for p in kept["path"].filter(mask).head(5)],
        )
        for mask, expected, do in (
            (lacking, "a patient ID and a SOP instance UID in every file", "Words such as 'NONE' are no patient ID."),
            (found.ambiguous, "the issuer of the patient ID in every file of a number that several issuers gave",
             "Without it the patient is not known: leave these files out."),
        )
        if mask.any()
    ]  # fmt: skip
    if problems:
        raise InputError.all(problems)
    notes: list[str | tables.Note] = []
    changed = found.numbers.ne_missing(kept["patient_id"])
    if changed.any():
        what = "values of 'patient_id' had white space or invisible characters, or another Unicode form: converted"
        shown = tuple(repr(v) for v in kept["patient_id"].filter(changed).unique().sort().head(5))
        notes.append(tables.Note("images", "patient_id", what, int(changed.sum()), shown))
    silent = identity.is_missing(identity.canonical(kept["issuer"].fill_null(""))) & (found.issuers != "")
    if silent.any():
        what = "files lack the issuer of the patient ID that other files with this number report: taken as one patient"
        shown = tuple(repr(v) for v in found.numbers.filter(silent).unique().sort().head(5))
        notes.append(tables.Note("images", "patient_id", what, int(silent.sum()), shown))
    return kept.with_columns(patient_id=found.keys, image=image), notes


def _once(kept: pl.DataFrame, root: Path) -> pl.DataFrame:
    """One row per instance: copies of the same bytes are one; one instance in files that differ is refused."""
    twice = kept.filter(pl.col("image").is_duplicated())
    if not twice.height:
        return kept
    mixed = twice.filter(pl.col("patient_id").n_unique().over("image") > 1)
    problems = [_pairs(mixed, root, "every instance of one patient", "instances of two")] if mixed.height else []
    digest = pl.Series([Path(p).read_bytes() for p in twice["path"]], dtype=pl.Binary).hash()
    differ = twice.with_columns(_digest=digest).filter(pl.col("_digest").n_unique().over("image") > 1)
    if differ.height:
        problems.append(_pairs(differ, root, "one file per SOP instance UID", "instances in files that differ"))
    if problems:
        raise InputError.all(problems)
    return kept.sort("path").unique("image", keep="first", maintain_order=True)


def _pairs(rows: pl.DataFrame, root: Path, expected: str, found: str) -> InputError:
    examples = [
        " = ".join(Path(p).relative_to(root).as_posix() for p in paths[:2])
        for paths in rows.group_by("image", maintain_order=True).agg("path")["path"]
    ]
    return InputError(root, expected, f"{len(examples):,} {found}", examples=examples, do="Leave the wrong ones out.")


def _images(kept: pl.DataFrame, root: Path, site: str) -> pl.DataFrame:
    relative = [Path(p).relative_to(root).as_posix() for p in kept["path"]]
    frame = kept.select(
        image_id="image", case_id=pl.when(pl.col("study") != "").then("study").otherwise("image"),
        patient_id="patient_id", site=pl.lit(site),
        dataset=pl.lit("dicom_folder"), view="view", sex="sex", age_years="age_years",
        manufacturer="manufacturer", device="device", acquired="acquired", pixel_mm="pixel_mm",
        source_note=pl.col("notes").replace("", None), **{c: pl.col(c) for c in _EXTRA},
    )  # fmt: skip
    frame = frame.with_columns(path=pl.Series(relative, dtype=pl.String))
    marked = pl.when("secondary").then(pl.lit("secondary capture, no detector's own image"))
    burned = pl.when(pl.col("burned_in") == "YES").then(pl.lit("text is burned in, says the file"))
    return folding.noted(folding.noted(frame, marked), burned)


def _labels(
    images: pl.DataFrame, file: Path, key: str, columns: Mapping[str, str], form: Mapping[str, Any]
) -> tuple[pl.DataFrame, list[str]]:
    """The labels of the cases, and notes on rows without image and images without row."""
    rows = stated.as_text(tables.frame_of(file))
    ours = KEYS[key]
    names = {o: columns.get("date" if o == "acquired" else o, columns.get(key, _usual(o))) for o in ours}
    missing = [c for c in names.values() if c not in rows.columns]
    if missing:
        do = (
            did_you_mean(missing[0], rows.columns)
            or f"Say which it is in `columns`; it has {', '.join(rows.columns[:12])}."
        )
        raise InputError(file, f"a column '{missing[0]}' for the key '{key}'", "none", do=do)
    if "acquired" in ours:
        rows = folding.dates(rows, names["acquired"], file)
    keyed = rows.rename({c: f"_{o}" for o, c in names.items()}) if form else rows
    side = images.select("image_id", "case_id", *(pl.col(o).alias(f"_{o}") for o in ours)).unique()
    on = [f"_{o}" for o in ours]
    keyed, side = (f.with_columns(identity.known(f[o]) for o in on if f[o].dtype == pl.String) for f in (keyed, side))
    joined = keyed.with_row_index("_line").join(side, on=on, how="inner")
    if not joined.height:
        theirs, mine = (_shown(f, on) for f in (keyed, side))
        do = _hint(keyed, side, on) or "Check that it is the same number."
        raise InputError(file, f"rows whose {key} is that of an image ({mine})", f"none ({theirs})", do=do)
    idle = keyed.height - joined["_line"].n_unique()
    bare = images.join(joined, on="case_id", how="anti")["case_id"].n_unique()
    spec = {"source": "hospital", **form}
    made = stated.labels(joined.drop("image_id", "_line"), spec, file.parent, file)
    lone = keyed.join(side, on=on, how="anti")
    hint = _hint(lone, side, on)
    notes = [f"{idle:,} rows of {file.name} find no image{hint and f': {hint}'}"] if idle else []
    return made, notes + ([f"{bare:,} studies have no row in {file.name}"] if bare else [])


def _hint(rows: pl.DataFrame, images: pl.DataFrame, on: list[str]) -> str:
    """Which keys of the rows are those of an image in another spelling."""
    return tables.spelling_hint(rows[on[0]], images[on[0]]) if rows[on[0]].dtype == pl.String else ""


def _usual(ours: str) -> str:
    return {"acquired": "date", "case_id": "study", "image_id": "image"}.get(ours, ours)


def _shown(frame: pl.DataFrame, on: list[str]) -> str:
    return ", ".join(" ".join(repr(str(v)) for v in row) for row in frame.select(on).head(3).rows())
