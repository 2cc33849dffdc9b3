"""DICOM files of a hospital in any folder tree, joined with a table of labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from overread import limits, tables
from overread.datasets.fields import label_layouts, normalise
from overread.datasets.source_files import exclusions
from overread.errors import InputError, did_you_mean
from overread.findings import Vocabulary
from overread.images import file_tree
from overread.images.dicom.header_scan import scan
from overread.tables import Source
from overread.tables.identifiers import identity

# Key of a row of labels -> columns of the images that it is joined on.
KEYS = {
    "accession": ("accession",),
    "image": ("image_id",),
    "study": ("case_id",),
    "patient": ("patient_id",),
    "patient+date": ("patient_id", "acquired"),
}
_EXTRA = ("series", "accession", "laterality", "burned_in", "secondary", "transfer_syntax", "station", "sop_class")


def read(
    root: Path,
    *,
    site: str,
    labels: str = "",
    key: str = "accession",
    columns: Mapping[str, str] | None = None,
    form: Mapping[str, Any] | None = None,
    modalities: Sequence[str] = tables.RADIOGRAPHS,
    workers: int = 0,
    cache: Path | None = None,
    vocabulary: Vocabulary | None = None,
) -> Source:
    """Read a tree of DICOM files and a table of labels.

    Parameters
    ----------
    root : Path
        Folder; every file in it is examined, whatever its name.
    site : str
        Name of the institution, written to the column `site`.
    labels : str
        CSV or Parquet file, relative to `root`; "" = no labels.
    key : {"accession", "image", "study", "patient", "patient+date"}
        Identifier by which a row of the table is matched to images: accession number (0008,0050), SOP Instance UID
        (0008,0018), Study Instance UID (0020,000D), Patient ID (0010,0020), or Patient ID and study date.
    columns : mapping, optional
        Name of the key -> column of the table, such as {"accession": "AccNo"} or {"patient_id": "MRN", "date":
        "Exam"}. Default: a column named as the key. Accepted dates: 2017-01-31, 20170131, 31.01.2017, 01/31/2017.
    form : mapping, optional
        Layout of the labels as in `datasets.table.read`, such as {"form": "wide", "columns": [...]}.
    modalities : sequence of str
        Modalities (0008,0060) to read. Add "OT" for digitised films that are stored as such; the cohort's `modalities`
        must then contain it too.
    workers : int
        Processes that read headers; 0 = one per core.
    cache : Path, optional
        Parquet file outside `root` in which headers are kept, so that an interrupted reading can resume.
    vocabulary : Vocabulary, optional
        Findings that labels, regions and reads may name. None = the vocabulary "chest".

    Returns
    -------
    Source
        Images, labels, notes, and in `excluded` every other file with its reason.

    Raises
    ------
    InputError
        The folder is missing, it holds no radiograph, no key of the labels matches (values of both sides are shown),
        or columns or values cannot be read.

    Notes
    -----
    A case is a study, an image is a SOP instance. Images are read if their modality is in `modalities` or missing and
    their SOP class is that of a radiograph or a secondary capture (column `secondary`). Files of another kind (not
    DICOM, CT, reports, captures of other modalities, copies of a file) are counted. Unusable radiographs (damaged,
    without Patient ID, an instance or study with two patients, an instance with different content in two files) count
    towards the cohort's `max_unreadable`. Labels without image and images without label are counted in the notes.
    Manufacturer names are normalised by devices.csv.
    """
    root = file_tree.folder(root)
    if key not in KEYS:
        raise InputError("dicom_folder, key", f"one of {', '.join(KEYS)}", f"'{key}'", do=did_you_mean(key, KEYS))
    if problems := limits.outside("dicom_folder, workers", workers, 0, limits.PROCESSES, whole=True):
        raise InputError.all(problems)
    headers = scan(file_tree.files(root), workers=workers or os.cpu_count() or 1, cache=cache)
    who = identity.patients(headers["patient_id"], headers["issuer"])
    headers = headers.with_columns(identity.known(headers["image"]), number=who.numbers, known_issuer=who.issuers)
    usable, excluded = exclusions.divided(headers, root, who.keys, modalities)
    notes: list[tables.Note] = _identifier_notes(usable)
    images = tables.check(_images(usable, site), "images", where=root, notes=notes)
    excluded = tables.check(excluded.with_columns(site=pl.lit(site)), "excluded", where=root)
    if not labels:
        return Source(images, tables.empty("labels"), notes=tuple(notes), excluded=excluded)
    made, more = _labels(images, root / labels, key, columns or {}, form or {}, vocabulary)
    return Source(images, made, notes=(*notes, *more), excluded=excluded)


def _identifier_notes(usable: pl.DataFrame) -> list[tables.Note]:
    """Notes on patient identifiers that were changed and on issuers that were completed."""
    number, stated = usable["number"], identity.known(usable["issuer"])
    changes = (
        (
            number.ne_missing(usable["patient_id"]),
            usable["patient_id"],
            "values of 'patient_id' had white space or invisible characters, or another Unicode form: converted",
        ),
        (
            stated.is_null() & (usable["known_issuer"].fill_null("") != ""),
            number,
            "files lack the issuer of the patient ID that other files with this number report: taken as one patient",
        ),
    )
    notes = []
    for changed, values, what in changes:
        if changed.any():
            shown = tuple(repr(v) for v in values.filter(changed).unique().sort().head(5))
            notes.append(tables.Note("images", "patient_id", what, int(changed.sum()), shown))
    return notes


def _images(usable: pl.DataFrame, site: str) -> pl.DataFrame:
    frame = usable.select(
        image_id="image",
        case_id=pl.when(pl.col("study").fill_null("") != "").then("study").otherwise("image"),
        patient_id="patient",
        site=pl.lit(site),
        dataset=pl.lit("dicom_folder"),
        view="view",
        modality="modality",
        body_part="body_part",
        sex="sex",
        age_years="age_years",
        manufacturer="manufacturer",
        device="device",
        acquired="acquired",
        pixel_mm="pixel_mm",
        path="path",
        source_note=pl.concat_str(
            pl.col("notes").replace("", None), normalise.NOTE, separator="; ", ignore_nulls=True
        ).replace("", None),
        **{c: pl.col(c) for c in _EXTRA},
    )
    marked = pl.when("secondary").then(pl.lit("secondary capture, no detector's own image"))
    burned = pl.when(pl.col("burned_in") == "YES").then(pl.lit("text is burned in, says the file"))
    return normalise.body_parts(normalise.noted(normalise.noted(frame, marked), burned))


def _labels(
    images: pl.DataFrame,
    file: Path,
    key: str,
    columns: Mapping[str, str],
    form: Mapping[str, Any],
    vocabulary: Vocabulary | None,
) -> tuple[pl.DataFrame, list[str]]:
    """Labels of the cases, and notes on rows without image and images without row."""
    rows = label_layouts.as_text(tables.frame_of(file))
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
        rows = normalise.dates(rows, names["acquired"], file)
    keyed = rows.rename({c: f"_{o}" for o, c in names.items()}) if form else rows
    on = [f"_{o}" for o in ours]
    side = images.select("image_id", "case_id", "patient_id", *(pl.col(o).alias(f"_{o}") for o in ours)).unique()
    keyed, side = (f.with_columns(identity.known(f[o]) for o in on if f[o].dtype == pl.String) for f in (keyed, side))
    numbered = side.filter(pl.col("_accession").is_not_null()) if key == "accession" else side.clear()
    shared = numbered.filter(pl.col("patient_id").n_unique().over(on) > 1)
    side = side.join(shared, on=on, how="anti", nulls_equal=True).drop("patient_id")
    joined = keyed.with_row_index("_line").join(side, on=on, how="inner")
    if not joined.height:
        theirs, mine = (_shown(f, on) for f in (keyed, side))
        do = _hint(keyed, side, on) or "Check that it is the same number."
        raise InputError(file, f"rows whose {key} is that of an image ({mine})", f"none ({theirs})", do=do)
    idle = keyed.height - joined["_line"].n_unique()
    bare = images.join(joined, on="case_id", how="anti")["case_id"].n_unique()
    spec = {"source": "hospital", **form}
    label_table = label_layouts.labels(joined.drop("image_id", "_line"), spec, file.parent, file, vocabulary=vocabulary)
    lone = keyed.join(side, on=on, how="anti")
    hint = _hint(lone, side, on)
    notes = [f"{idle:,} rows of {file.name} find no image{hint and f': {hint}'}"] if idle else []
    if shared.height:
        examples = ", ".join(str(v) for v in shared[on[0]].unique().sort().head(3))
        notes += [
            f"{shared.select(on).n_unique():,} values of {key} are those of several patients: no label is "
            f"taken for them ({examples})"
        ]
    return label_table, notes + ([f"{bare:,} studies have no row in {file.name}"] if bare else [])


def _hint(rows: pl.DataFrame, images: pl.DataFrame, on: list[str]) -> str:
    """Suggestion: keys of the rows that match an image in another spelling."""
    return tables.spelling_hint(rows[on[0]], images[on[0]]) if rows[on[0]].dtype == pl.String else ""


def _usual(ours: str) -> str:
    return {"acquired": "date", "case_id": "study", "image_id": "image"}.get(ours, ours)


def _shown(frame: pl.DataFrame, on: list[str]) -> str:
    return ", ".join(" ".join(repr(str(v)) for v in row) for row in frame.select(on).head(3).rows())
