"""BRAX, the folder as PhysioNet ships it: 40,967 radiographs of a Brazilian hospital, 14 observations of reports.

Reis et al. 2022, doi:10.1038/s41597-022-01608-8. Labels were mined from Portuguese reports by a translated CheXpert.
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
    title="BRAX",
    citation="Reis et al. 2022, BRAX",
    doi="10.1038/s41597-022-01608-8",
    url="https://physionet.org/content/brax/",
    licence="PhysioNet Credentialed Health Data License 1.5.0",
    terms="credentialed users who completed training; not to be passed on",
    marks=("master_spreadsheet*.csv*",),
    images=40_967,
)
_TABLE = ("master_spreadsheet_update.csv", "master_spreadsheet.csv")
_OBSERVATIONS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Lesion",
    "Lung Opacity",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
_OTHER = (
    "DicomPath",
    "PngPath",
    "PatientID",
    "PatientSex",
    "PatientAge",
    "AccessionNumber",
    "StudyDate",
    "ViewPosition",
    "Rows",
    "Columns",
    "Manufacturer",
)


def read(root: Path, *, site: str = "einstein", files: str = "png", vocabulary: Vocabulary | None = None) -> Source:
    """Read BRAX from the folder with its master spreadsheet.

    Parameters: `files` "png" or "dicom", which of the two forms of every image is read.

    Returns a Source. A study (accession number) is a case; the numbers were drawn at random, so where two patients
    share one, the patient stands before it, noted. Labels of source "report_text", -1 uncertain, empty not stated.
    Ages are published in steps of five years and top-coded: "85 or more" is taken as 85 and noted. Dates are
    fictitious, manufacturers numbers. Oblique and decubitus views are UNKNOWN, noted.

    Raises InputError: no such folder, another set's, columns that changed, empty cells where a name belongs, labels
    other than 1, 0, -1 or empty.
    """
    root = Path(root)
    if files not in ("png", "dicom"):
        raise InputError("brax, files", "png or dicom", f"'{files}'")
    file, rows = source_tables.table(root, _TABLE, (*_OTHER, *_OBSERVATIONS), ABOUT)
    source_tables.check_filled(rows, file, ("DicomPath", "PngPath", "PatientID", "AccessionNumber"))
    shared = pl.col("PatientID").n_unique().over("AccessionNumber") > 1
    own = pl.format("{} {}", "PatientID", "AccessionNumber")
    rows = rows.with_columns(case_id=pl.when(shared).then(own).otherwise("AccessionNumber"))
    frame = rows.select(
        pl.col("DicomPath").str.extract(r"([^/]+)$").str.strip_suffix(".dcm").alias("image_id"),
        case_id="case_id",
        patient_id="PatientID",
        site=pl.lit(site),
        dataset=pl.lit("brax"),
        view="ViewPosition",
        sex="PatientSex",
        age_years="PatientAge",
        manufacturer="Manufacturer",
        acquired="StudyDate",
        original_rows="Rows",
        original_columns="Columns",
        path=pl.col("PngPath" if files == "png" else "DicomPath"),
    )
    frame = normalise.numbers(
        normalise.dates(frame, "acquired", file), ["original_rows", "original_columns"], file, whole=True
    )
    frame = normalise.views(frame)
    frame, strange = normalise.sexes(frame, file)
    frame, unread = normalise.ages(frame, file)
    if strange or unread:
        raise InputError.all([*strange, *unread])
    images = tables.check(frame, "images", where=file)
    spec = {"form": "wide", "columns": list(_OBSERVATIONS), "vocabulary": "chexpert", "source": "report_text"}
    labels = label_layouts.labels(rows, spec, root, file, vocabulary=vocabulary)
    twice = rows.filter(pl.col("case_id") != pl.col("AccessionNumber"))["AccessionNumber"].n_unique()
    notes = (f"{twice:,} accession numbers are shared by patients: the patient stands before them",) if twice else ()
    return Source(images, labels, notes=notes + source_tables.counts_note(images, ABOUT))
