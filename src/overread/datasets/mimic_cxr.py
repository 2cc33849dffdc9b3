"""MIMIC-CXR-JPG, the folder as PhysioNet ships it: 377,110 radiographs of 65,379 patients, labels by two programs.

Johnson et al. 2019, doi:10.1038/s41597-019-0322-0; the JPG version with labels doi:10.13026/8360-t248. Dates are
shifted per patient by the owner: they order a patient's studies, they are no calendar.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from overread import tables
from overread.datasets.fields import label_layouts, normalise
from overread.datasets.source_files import source_tables
from overread.errors import InputError
from overread.findings import Vocabulary
from overread.tables import Source

ABOUT = source_tables.About(
    title="MIMIC-CXR-JPG",
    citation="Johnson et al. 2019, MIMIC-CXR",
    doi="10.1038/s41597-019-0322-0",
    url="https://physionet.org/content/mimic-cxr-jpg/",
    licence="PhysioNet Credentialed Health Data License 1.5.0",
    terms="credentialed users who completed training; not to be passed on, nor sent to services of others",
    marks=("mimic-cxr-2*-metadata.csv*",),
    images=377_110,
    patients=65_379,
)
_METADATA = ("dicom_id", "subject_id", "study_id", "ViewPosition", "Rows", "Columns", "StudyDate")
_KEPT = {"PerformedProcedureStepDescription": "procedure", "PatientOrientationCodeSequence_CodeMeaning": "orientation"}
_VIEW_NAMES = "ViewCodeSequence_CodeMeaning"
_PROGRAMS = {"chexpert": "mimic-cxr-2*-chexpert.csv", "negbio": "mimic-cxr-2*-negbio.csv"}
_RADIOLOGIST = "mimic-cxr-2*-test-set-labeled.csv"
_TOP = 91  # what MIMIC-IV writes for whoever was over 89 in the anchor year
_SPLITS = {"train": "train", "validate": "tune", "test": "test"}


def read(root: Path, *, site: str = "bidmc", patients: str = "", vocabulary: Vocabulary | None = None) -> Source:
    """Read MIMIC-CXR-JPG from the folder with its tables and files/.

    Parameters
    ----------
    root: folder with mimic-cxr-2.x.x-metadata.csv.gz and, where they are there, -split, -chexpert, -negbio and
        -test-set-labeled (.csv or .csv.gz).
    site: what the tables call the institution.
    patients: MIMIC-IV's table patients.csv(.gz), relative to the root, for sex and age; without it both are null. The
        age is that of the anchor year moved to the year of the study; whoever was over 89 in the anchor year is 91
        in MIMIC-IV and stays so, noted. An age below 0 or above 120 becomes null and is noted.

    Returns a Source. A study is a case. Labels of the sources "chexpert" and "negbio" (programs on the report: -1 is
    uncertain, empty not stated) and "radiologist" (the labelled test set). `official_split` is train, tune (validate)
    or test. `acquired` holds the shifted date; what was asked for (`procedure`, where portable stands) and how the
    patient stood or lay (`orientation`) are columns. A view that ViewPosition leaves empty is taken from its code.

    Raises InputError: no such folder, another set's, columns that changed, labels or splits with other words.
    """
    root = Path(root)
    file, rows = source_tables.table(root, ["mimic-cxr-2*-metadata.csv"], _METADATA, ABOUT)
    images = _images(rows, file, site)
    images = _with_split(images, root)
    if patients:
        images = _with_patients(images, root / patients)
    images = tables.check(images, "images", where=file)
    cases = images.select("case_id").unique()
    labels = [
        made for name, pattern in _PROGRAMS.items() if (made := _labels(root, pattern, name, vocabulary)) is not None
    ]
    panel = _labels(root, _RADIOLOGIST, "radiologist", vocabulary)
    stated_labels = (
        pl.concat([*labels, panel] if panel is not None else labels) if labels or panel is not None else None
    )
    if stated_labels is None:
        return Source(images, tables.empty("labels"), notes=("no file of labels lies beside the table of images",))
    orphans = stated_labels.join(cases, on="case_id", how="anti")["case_id"].n_unique()
    notes = source_tables.counts_note(images, ABOUT) + (
        (f"labels of {orphans:,} studies without image",) if orphans else ()
    )
    stated_labels = stated_labels.join(cases, on="case_id", how="semi")
    return Source(images, tables.check(stated_labels, "labels", vocabulary=vocabulary), notes=notes)


def _images(rows: pl.DataFrame, file: Path, site: str) -> pl.DataFrame:
    coded = pl.col(_VIEW_NAMES) if _VIEW_NAMES in rows.columns else pl.lit(None, dtype=pl.String)
    view = pl.when(pl.col("ViewPosition").fill_null("") != "").then("ViewPosition").otherwise(coded)
    patient, study = pl.format("p{}", "subject_id"), pl.format("s{}", "study_id")
    frame = rows.select(
        pl.col("dicom_id").alias("image_id"),
        study.alias("case_id"),
        patient.alias("patient_id"),
        site=pl.lit(site),
        dataset=pl.lit("mimic_cxr"),
        view=view,
        acquired=pl.col("StudyDate").str.to_date("%Y%m%d", strict=False),
        original_rows="Rows",
        original_columns="Columns",
        path=pl.format("files/{}/{}/{}/{}.jpg", patient.str.head(3), patient, study, "dicom_id"),
        **{ours: theirs for theirs, ours in _KEPT.items() if theirs in rows.columns},
    )
    undated = rows.filter(frame["acquired"].is_null() & rows["StudyDate"].is_not_null())
    if undated.height:
        raise InputError(
            file, "StudyDate as YYYYMMDD", f"{undated.height:,} others", examples=undated["StudyDate"].head(5)
        )
    return normalise.views(normalise.numbers(frame, ["original_rows", "original_columns"], file, whole=True))


def _with_split(images: pl.DataFrame, root: Path) -> pl.DataFrame:
    if source_tables.found(root, ["mimic-cxr-2*-split.csv"]) is None:
        return images
    path, rows = source_tables.table(root, ["mimic-cxr-2*-split.csv"], ("dicom_id", "split"), ABOUT)
    strange = rows.filter(~pl.col("split").is_in(list(_SPLITS)).fill_null(False))["split"].unique().sort()
    if len(strange):
        raise InputError(path, f"splits {', '.join(_SPLITS)}", "others", examples=[s or "(empty)" for s in strange])
    split = rows.select(image_id="dicom_id", official_split=pl.col("split").replace_strict(_SPLITS))
    return images.join(split, on="image_id", how="left", maintain_order="left")


def _with_patients(images: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Sex and age from MIMIC-IV: the age in the anchor year, moved by the years to the study."""
    rows = label_layouts.as_text(tables.frame_of(path))
    source_tables.check_columns(rows, path, ("subject_id", "gender", "anchor_age", "anchor_year"), ABOUT)
    who = rows.select(
        pl.format("p{}", "subject_id").alias("patient_id"),
        sex="gender",
        _age="anchor_age",
        _year="anchor_year",
    )
    who = normalise.numbers(who, ["_age", "_year"], path)
    who, strange = normalise.sexes(who, path)
    if strange:
        raise InputError.all(strange)
    joined = images.join(who, on="patient_id", how="left", maintain_order="left")
    old = pl.col("_age") >= _TOP
    age = pl.when(old).then("_age").otherwise(pl.col("_age") + (pl.col("acquired").dt.year() - pl.col("_year")))
    fits = age.is_between(0, normalise.OLDEST)
    joined = normalise.noted(joined, pl.when(~fits).then(pl.lit("age below 0 or above 120 years: not stated")))
    joined = normalise.noted(joined, pl.when(old).then(pl.lit("age over 89 in the anchor year: written as 91")))
    return joined.with_columns(age_years=pl.when(fits).then(age)).drop("_age", "_year")


def _labels(root: Path, pattern: str, source: str, vocabulary: Vocabulary | None) -> pl.DataFrame | None:
    if source_tables.found(root, [pattern]) is None:
        return None
    path, rows = source_tables.table(root, [pattern], ("study_id",), ABOUT)
    rows = rows.with_columns(case_id=pl.format("s{}", "study_id"))
    columns = [c for c in rows.columns if c not in ("subject_id", "study_id", "case_id")]
    spec = {"form": "wide", "columns": columns, "vocabulary": "chexpert", "source": source}
    return label_layouts.labels(rows, spec, root, path, vocabulary=vocabulary)
