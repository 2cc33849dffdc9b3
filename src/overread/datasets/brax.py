"""BRAX: 40,967 radiographs of a Brazilian hospital with 14 observations mined from reports.

The folder layout is that of PhysioNet. Reference: Reis et al. 2022, doi:10.1038/s41597-022-01608-8. Labels were mined
from Portuguese reports by a translated CheXpert labeller.
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
    """Read BRAX from the folder that holds its master spreadsheet.

    Parameters
    ----------
    root : Path
        Folder with master_spreadsheet_update.csv or master_spreadsheet.csv.
    site : str
        Name of the institution, written to the column `site`.
    files : {"png", "dicom"}
        File format to read; the set has every image in both.
    vocabulary : Vocabulary, optional
        Findings that labels, regions and reads may name. None = the vocabulary "chest".

    Returns
    -------
    Source
        Images and labels of source "report_text" (1 present, 0 absent, -1 uncertain, empty not stated).

    Raises
    ------
    InputError
        The folder is missing or holds another set, columns differ from the published table, a required identifier is
        empty, or a label is not 1, 0, -1 or empty.

    Notes
    -----
    A case is a study, identified by its accession number. Accession numbers were randomised by the owner; where two
    patients share one, case_id is patient and accession number, and a note counts them. Ages are published in steps of
    five years with a top code: "85 or more" is read as 85 and noted. Dates are fictitious and manufacturers are
    numbers. Oblique and decubitus views become UNKNOWN with a note.

    References
    ----------
    Reis et al. 2022, doi:10.1038/s41597-022-01608-8.
    """
    root = Path(root)
    if files not in ("png", "dicom"):
        raise InputError("brax, files", "png or dicom", f"'{files}'")
    file, rows = source_tables.table(root, _TABLE, (*_OTHER, *_OBSERVATIONS), ABOUT)
    source_tables.check_filled(rows, file, ("DicomPath", "PngPath", "PatientID", "AccessionNumber"))
    shared = pl.col("PatientID").n_unique().over("AccessionNumber") > 1
    patient_and_accession = pl.format("{} {}", "PatientID", "AccessionNumber")
    rows = rows.with_columns(case_id=pl.when(shared).then(patient_and_accession).otherwise("AccessionNumber"))
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
    frame, sex_problems = normalise.sexes(frame, file)
    frame, age_problems = normalise.ages(frame, file)
    if sex_problems or age_problems:
        raise InputError.all([*sex_problems, *age_problems])
    images = tables.check(frame, "images", where=file)
    spec = {"form": "wide", "columns": list(_OBSERVATIONS), "vocabulary": "chexpert", "source": "report_text"}
    labels = label_layouts.labels(rows, spec, root, file, vocabulary=vocabulary)
    n_shared = rows.filter(pl.col("case_id") != pl.col("AccessionNumber"))["AccessionNumber"].n_unique()
    notes = (
        (f"{n_shared:,} accession numbers are shared by patients: case_id is patient and accession number",)
        if n_shared
        else ()
    )
    return Source(images, labels, notes=notes + source_tables.counts_note(images, ABOUT))
