"""PadChest: 160,861 radiographs of 67,625 patients with 174 labels of reports.

The folder layout is that of BIMCV. Reference: Bustos et al. 2020, doi:10.1016/j.media.2020.101797. Physicians labelled
27 % of the reports; a network trained on these labelled the others. The two are separate label sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from overread import tables
from overread.datasets.fields import normalise
from overread.datasets.source_files import source_tables
from overread.errors import InputError, did_you_mean
from overread.findings import Vocabulary
from overread.tables import Source

ABOUT = source_tables.About(
    title="PadChest",
    citation="Bustos et al. 2020, PadChest",
    doi="10.1016/j.media.2020.101797",
    url="https://bimcv.cipf.es/bimcv-projects/padchest/",
    licence="PadChest Dataset Research Use Agreement",
    terms="non-commercial research; not to be passed on",
    marks=("PADCHEST_chest_x_ray_images_labels_160K*.csv*",),
    images=160_861,
    patients=67_625,
)
_TABLE = ("PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", "PADCHEST_chest_x_ray_images_labels_160K*.csv")
_COLUMNS = (
    "ImageID",
    "ImageDir",
    "StudyDate_DICOM",
    "StudyID",
    "PatientID",
    "PatientBirth",
    "PatientSex_DICOM",
    "Projection",
    "Pediatric",
    "Manufacturer_DICOM",
    "Rows_DICOM",
    "Columns_DICOM",
    "Report",
    "MethodLabel",
    "Labels",
)
_VIEWS = {"PA": "PA", "AP": "AP", "AP_horizontal": "AP", "L": "LATERAL", "COSTAL": "UNKNOWN", "EXCLUDE": "UNKNOWN"}
_METHODS = {"Physician": "physician", "RNN_model": "report_text"}
_NOTHING = "exclude"
_PART = ("suboptimal study", "unchanged")
_LIST = r"^\[\s*(('[^']*'|\"[^\"]*\")(\s*,\s*('[^']*'|\"[^\"]*\"))*)?\s*\]$"


def read(root: Path, *, site: str = "san_juan", vocabulary: Vocabulary | None = None) -> Source:
    """Read PadChest from the folder with its table and its images (0/ to 54/ as unpacked, or all in one folder).

    Parameters
    ----------
    root : Path
        Folder with the table and the images.
    site : str
        Name of the institution, written to the column `site`.
    vocabulary : Vocabulary, optional
        Findings that labels, regions and reads may name. None = the vocabulary "chest".

    Returns
    -------
    Source
        Images with all labels of the set in `padchest_labels`; labels of the sources "physician" and "report_text", by
        the column MethodLabel.

    Raises
    ------
    InputError
        The folder is missing or holds another set, columns differ from the published table, a cell is not a list, or a
        label or method is unknown.

    Notes
    -----
    A case is a study. padchest_labels.csv maps the labels to findings: a finding is present if a label is that finding
    or a descendant of it in the authors' tree. The list of a report states the whole vocabulary of the set, so that
    findings not listed are absent. Exceptions: a list with "suboptimal study" or "unchanged" states only what it
    names; a list with "exclude" states nothing; "mass" without an organ leaves a lung mass open. Labels without
    equivalent in the vocabulary are counted in a note. COSTAL and EXCLUDE have view UNKNOWN and are noted. Age is the
    year of the study minus the year of birth. Files known to be missing or damaged are noted in `source_note`.

    References
    ----------
    Bustos et al. 2020, doi:10.1016/j.media.2020.101797.
    """
    root = Path(root)
    file, rows = source_tables.table(root, _TABLE, _COLUMNS, ABOUT)
    source_tables.check_filled(rows, file, ("ImageID", "StudyID", "PatientID"))
    means = pl.read_csv(Path(__file__).with_name("padchest_labels.csv"), comment_prefix="#", infer_schema=False)
    images = _images(rows, root, file, site)
    cells = _cells(rows, means["label"].unique().to_list(), file)
    labels = tables.check(_labels(cells, means), "labels", where=file, vocabulary=vocabulary)
    return Source(images, labels, notes=_notes(rows, cells, means) + source_tables.counts_note(images, ABOUT))


def _images(rows: pl.DataFrame, root: Path, file: Path, site: str) -> pl.DataFrame:
    where = source_tables.paths(root, (".png",))
    folded = pl.col("Projection").replace_strict(_VIEWS, default="UNKNOWN")
    strange = pl.col("Projection").is_null() | ~pl.col("Projection").is_in(["PA", "AP", "AP_horizontal", "L"])
    rows = normalise.numbers(normalise.dates(rows, "StudyDate_DICOM", file), ["PatientBirth"], file)
    date = pl.col("StudyDate_DICOM")
    age = date.dt.year() - pl.col("PatientBirth")
    odd = (age < 0) | (age > normalise.OLDEST)
    frame = rows.select(
        image_id="ImageID",
        case_id="StudyID",
        patient_id="PatientID",
        site=pl.lit(site),
        dataset=pl.lit("padchest"),
        view=folded,
        sex="PatientSex_DICOM",
        age_years=pl.when(~odd).then(age),
        manufacturer="Manufacturer_DICOM",
        acquired=date,
        pediatric="Pediatric",
        original_rows="Rows_DICOM",
        original_columns="Columns_DICOM",
        report="Report",
        padchest_labels="Labels",
        _strange=strange,
        _projection="Projection",
        _odd=odd,
        path=pl.col("ImageID").replace_strict(where, default=pl.format("{}/{}", "ImageDir", "ImageID")),
    )
    frame = normalise.numbers(frame, ["original_rows", "original_columns"], file, whole=True)
    note = pl.format("projection '{}': view UNKNOWN", pl.col("_projection").fill_null(""))
    frame = normalise.noted(frame, pl.when("_strange").then(note))
    frame = normalise.noted(frame, pl.when("_odd").then(pl.lit("age below 0 or above 120 years: not stated")))
    frame, unknown = normalise.sexes(frame.drop("_strange", "_projection", "_odd"), file)
    if unknown:
        raise InputError.all(unknown)
    return tables.check(source_tables.known_errors(frame, "padchest"), "images", where=file)


def _cells(rows: pl.DataFrame, known: list[str], file: Path) -> pl.DataFrame:
    """case_id, source and label: every label of every list once."""
    listed = rows.filter(pl.col("Labels").is_not_null())
    malformed = listed.filter(~pl.col("Labels").str.contains(_LIST))["Labels"].unique(maintain_order=True)
    if len(malformed):
        expected = "lists of labels such as ['pleural effusion', 'nodule']"
        raise InputError(file, expected, f"{len(malformed):,} other cells", examples=malformed.head(5))
    word = pl.col("Labels").str.extract_all(r"'[^']*'|\"[^\"]*\"")
    cells = listed.select(case_id="StudyID", method="MethodLabel", label=word).explode("label")
    cells = cells.with_columns(pl.col("label").str.strip_chars("'\" ").str.to_lowercase())
    cells = cells.filter(pl.col("label") != "").unique(maintain_order=True)
    if unknown_labels := sorted(set(cells["label"]) - set(known)):
        hint = did_you_mean(unknown_labels[0], known)
        raise InputError(file, "labels of PadChest (padchest_labels.csv)", "others", examples=unknown_labels, do=hint)
    if unknown_methods := [str(m) for m in cells["method"].unique() if m not in _METHODS]:
        raise InputError(file, f"MethodLabel {' or '.join(_METHODS)}", "others", examples=sorted(unknown_methods))
    return cells.select("case_id", "label", source=pl.col("method").replace_strict(_METHODS))


def _labels(cells: pl.DataFrame, means: pl.DataFrame) -> pl.DataFrame:
    """Labels of the lists: findings that they name are present, the others absent."""
    keys = ["case_id", "source"]
    stated_cells = cells.join(_with(cells, [_NOTHING]), on=keys, how="anti")
    named_states = stated_cells.join(means.drop_nulls(), on="label").with_columns(
        pl.col("state").replace("named", "present")
    )
    order = pl.col("state").replace_strict({"present": 0, "uncertain": 1, "open": 2})
    named_states = named_states.sort(order).unique([*keys, "finding"], keep="first").select(*keys, "finding", "state")
    complete_lists = stated_cells.select(keys).unique().join(_with(stated_cells, _PART), on=keys, how="anti")
    findings = means.filter(pl.col("state") == "present").select("finding").unique()
    absent = complete_lists.join(findings, how="cross").join(named_states, on=[*keys, "finding"], how="anti")
    all_states = pl.concat(
        [named_states.filter(pl.col("state") != "open"), absent.with_columns(state=pl.lit("absent"))]
    )
    return all_states.sort("case_id", "source", "finding")


def _with(cells: pl.DataFrame, labels: Sequence[str]) -> pl.DataFrame:
    """case_id and source of the lists that hold one of these labels."""
    return cells.filter(pl.col("label").is_in(list(labels))).select("case_id", "source").unique()


def _notes(rows: pl.DataFrame, cells: pl.DataFrame, means: pl.DataFrame) -> tuple[str, ...]:
    wordless = means.filter(pl.col("finding").is_null(), ~pl.col("label").is_in([_NOTHING, *_PART]))
    unmapped = (
        cells.join(wordless, on="label", how="semi")["label"]
        .value_counts(sort=True)
        .sort(["count", "label"], descending=[True, False])
    )
    shown = ", ".join(f"{word} {n:,}" for word, n in unmapped.head(5).iter_rows()) + (
        ", …" if unmapped.height > 5 else ""
    )
    silent = rows.filter(~pl.col("StudyID").is_in(cells["case_id"].implode())).height
    counted = {
        f"labels have no word in the vocabulary ({shown}): kept in padchest_labels": unmapped.height,
        "studies are marked 'exclude': they state nothing": _with(cells, [_NOTHING]).height,
        f"studies marked '{_PART[0]}' or '{_PART[1]}' state only what they name": _with(cells, _PART).height,
        "images are of studies without labels": silent,
    }
    return tuple(f"{n:,} {what}" for what, n in counted.items() if n)
