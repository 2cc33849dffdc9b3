"""MIMIC-CXR-JPG: 377,110 radiographs of 65,379 patients, labelled by two programs.

The folder layout is that of PhysioNet. References: Johnson et al. 2019, doi:10.1038/s41597-019-0322-0; JPG version
with labels, doi:10.13026/8360-t248. The owner shifted dates per patient: they order the studies of one patient but are
not calendar dates.
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
    root : Path
        Folder with mimic-cxr-2.x.x-metadata.csv.gz. Optional tables: -split, -chexpert, -negbio and -test-set-labeled
        (.csv or .csv.gz).
    site : str
        Name of the institution, written to the column `site`.
    patients : str
        Table patients.csv(.gz) of MIMIC-IV, relative to `root`, for sex and age; "" = both are null.
    vocabulary : Vocabulary, optional
        Findings that labels, regions and reads may name. None = the vocabulary "chest".

    Returns
    -------
    Source
        Images with `official_split` (train, tune = validate, test), `acquired` (shifted date), `procedure` (procedure
        description, which names portable examinations) and `orientation` (patient position); labels of the sources
        "chexpert" and "negbio" (programs applied to reports) and "radiologist" (labelled test set).

    Raises
    ------
    InputError
        The folder is missing or holds another set, columns differ from the published tables, or a label or split is
        unknown.

    Notes
    -----
    A case is a study. -1 is uncertain; an empty cell is not stated. The view is taken from the view code where
    ViewPosition is empty. Age is the anchor age of MIMIC-IV plus the years from the anchor year to the study; patients
    older than 89 in the anchor year have age 91 in MIMIC-IV and keep it, with a note. An age below 0 or above 120
    becomes null and is noted.

    References
    ----------
    Johnson et al. 2019, doi:10.1038/s41597-019-0322-0.
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
        return Source(images, tables.empty("labels"), notes=("there is no file of labels beside the table of images",))
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
    """Sex and age from MIMIC-IV: anchor age plus the years from the anchor year to the study."""
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
