"""PadChest, the folder as BIMCV ships it: 160,861 radiographs of 67,625 patients, 174 labels of reports.

Bustos et al. 2020, doi:10.1016/j.media.2020.101797. Of the reports 27 % were labelled by physicians, the others by a
network that learnt from them: two sources.
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

    Returns a Source. A study is a case. What a label means stands in padchest_labels.csv: a finding is present where a
    label is it, or a kind of it by the authors' tree. The list of a report states the whole vocabulary of the set: what
    it does not name is absent. Not so a list with "suboptimal study" or "unchanged", which states only what it names;
    one with "exclude" states nothing, and a "mass" without an organ leaves open whether it is of the lung. Labels
    without a word of ours stay in the column `padchest_labels`; a note counts them. Who labelled (MethodLabel) is the
    source: "physician" or "report_text". COSTAL and EXCLUDE are view UNKNOWN, noted. The age is the year of the study
    less the year of birth. Files known to be missing or broken are noted in `source_note`.

    Raises InputError: no such folder, another set's, columns that changed, cells that are no list, a label or a method
    that PadChest does not have.
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
    """case_id, source, label: every label of every list, once."""
    listed = rows.filter(pl.col("Labels").is_not_null())
    odd = listed.filter(~pl.col("Labels").str.contains(_LIST))["Labels"].unique(maintain_order=True)
    if len(odd):
        expected = "lists of labels such as ['pleural effusion', 'nodule']"
        raise InputError(file, expected, f"{len(odd):,} other cells", examples=odd.head(5))
    word = pl.col("Labels").str.extract_all(r"'[^']*'|\"[^\"]*\"")
    cells = listed.select(case_id="StudyID", method="MethodLabel", label=word).explode("label")
    cells = cells.with_columns(pl.col("label").str.strip_chars("'\" ").str.to_lowercase())
    cells = cells.filter(pl.col("label") != "").unique(maintain_order=True)
    if strange := sorted(set(cells["label"]) - set(known)):
        hint = did_you_mean(strange[0], known)
        raise InputError(file, "labels of PadChest (padchest_labels.csv)", "others", examples=strange, do=hint)
    if bad := [str(m) for m in cells["method"].unique() if m not in _METHODS]:
        raise InputError(file, f"MethodLabel {' or '.join(_METHODS)}", "others", examples=sorted(bad))
    return cells.select("case_id", "label", source=pl.col("method").replace_strict(_METHODS))


def _labels(cells: pl.DataFrame, means: pl.DataFrame) -> pl.DataFrame:
    """What the lists state: the findings of what they name, and the absence of what they do not."""
    who = ["case_id", "source"]
    stating = cells.join(_with(cells, [_NOTHING]), on=who, how="anti")
    said = stating.join(means.drop_nulls(), on="label").with_columns(pl.col("state").replace("named", "present"))
    order = pl.col("state").replace_strict({"present": 0, "uncertain": 1, "open": 2})
    said = said.sort(order).unique([*who, "finding"], keep="first").select(*who, "finding", "state")
    whole = stating.select(who).unique().join(_with(stating, _PART), on=who, how="anti")
    every = means.filter(pl.col("state") == "present").select("finding").unique()
    absent = whole.join(every, how="cross").join(said, on=[*who, "finding"], how="anti")
    stated = pl.concat([said.filter(pl.col("state") != "open"), absent.with_columns(state=pl.lit("absent"))])
    return stated.sort("case_id", "source", "finding")


def _with(cells: pl.DataFrame, labels: Sequence[str]) -> pl.DataFrame:
    """case_id, source of the lists that hold one of these labels."""
    return cells.filter(pl.col("label").is_in(list(labels))).select("case_id", "source").unique()


def _notes(rows: pl.DataFrame, cells: pl.DataFrame, means: pl.DataFrame) -> tuple[str, ...]:
    wordless = means.filter(pl.col("finding").is_null(), ~pl.col("label").is_in([_NOTHING, *_PART]))
    spare = (
        cells.join(wordless, on="label", how="semi")["label"]
        .value_counts(sort=True)
        .sort(["count", "label"], descending=[True, False])
    )
    shown = ", ".join(f"{word} {n:,}" for word, n in spare.head(5).iter_rows()) + (", …" if spare.height > 5 else "")
    silent = rows.filter(~pl.col("StudyID").is_in(cells["case_id"].implode())).height
    counted = {
        f"labels have no word in the vocabulary ({shown}): kept in padchest_labels": spare.height,
        "studies are marked 'exclude': they state nothing": _with(cells, [_NOTHING]).height,
        f"studies marked '{_PART[0]}' or '{_PART[1]}' state only what they name": _with(cells, _PART).height,
        "images are of studies without labels": silent,
    }
    return tuple(f"{n:,} {what}" for what, n in counted.items() if n)
