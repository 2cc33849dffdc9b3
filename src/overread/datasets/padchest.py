"""PadChest, the folder as BIMCV ships it: 160,861 radiographs of 67,625 patients, 174 labels of reports.

Bustos et al. 2020, doi:10.1016/j.media.2020.101797. Of the reports 27 % were labelled by physicians, the others by a
network that learnt from them: two sources.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from overread import tables
from overread.datasets import folding, shipped
from overread.errors import InputError, did_you_mean
from overread.tables import Source

ABOUT = shipped.About(
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
    "ImageID", "ImageDir", "StudyDate_DICOM", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM", "Projection",
    "Manufacturer_DICOM", "Rows_DICOM", "Columns_DICOM", "Report", "MethodLabel", "Labels",
)  # fmt: skip
_VIEWS = {"PA": "PA", "AP": "AP", "AP_horizontal": "AP", "L": "LATERAL", "COSTAL": "UNKNOWN", "EXCLUDE": "UNKNOWN"}
_METHODS = {"Physician": "physician", "RNN_model": "report_text"}


def read(root: Path, *, site: str = "san_juan") -> Source:
    """Read PadChest from the folder with its table and its images (0/ to 54/ as unpacked, or all in one folder).

    Returns a Source. A study is a case. A label that the vocabulary knows states present, and the list of a report
    states the whole vocabulary of the set: what it does not name is absent. Labels without a word of ours stay in the
    column `padchest_labels`; a note counts them. "exclude" and "suboptimal study" state nothing: such a study has no
    labels. Who labelled (MethodLabel) is the source: "physician" or "report_text". COSTAL and EXCLUDE are view UNKNOWN,
    noted. Files known to be missing or broken are noted in `source_note`.

    Raises InputError: no such folder, another set's, columns that changed, a label that PadChest does not have.
    """
    root = Path(root)
    file, rows = shipped.table(root, _TABLE, _COLUMNS, ABOUT)
    known = dict(pl.read_csv(Path(__file__).with_name("padchest_labels.csv"), comment_prefix="#").rows())
    images = _images(rows, root, file, site)
    labels, without = _labels(rows, known, file)
    spare = without["label"].value_counts(sort=True)
    shown = ", ".join(f"{word} {n:,}" for word, n in spare.head(5).iter_rows())
    notes = shipped.counts_note(images, ABOUT)
    if spare.height:
        notes += (f"{spare.height} labels have no word in the vocabulary ({shown}, …): kept in padchest_labels",)
    return Source(images, labels, notes=notes)


def _images(rows: pl.DataFrame, root: Path, file: Path, site: str) -> pl.DataFrame:
    where = shipped.paths(root, (".png",))
    folded = pl.col("Projection").replace_strict(_VIEWS, default="UNKNOWN")
    strange = pl.col("Projection").is_null() | ~pl.col("Projection").is_in(["PA", "AP", "AP_horizontal", "L"])
    date = pl.col("StudyDate_DICOM").str.to_date("%Y%m%d", strict=False)
    born = pl.col("PatientBirth").cast(pl.Float64, strict=False)
    age = date.dt.year() - born
    odd = (age < 0) | (age > folding.OLDEST)
    frame = rows.select(
        image_id="ImageID", case_id="StudyID", patient_id="PatientID", site=pl.lit(site), dataset=pl.lit("padchest"),
        view=folded, sex="PatientSex_DICOM", age_years=pl.when(~odd).then(age), manufacturer="Manufacturer_DICOM",
        acquired=date, original_rows="Rows_DICOM", original_columns="Columns_DICOM", report="Report",
        padchest_labels="Labels", _strange=strange, _projection="Projection", _odd=odd,
        path=pl.col("ImageID").replace_strict(where, default=pl.format("{}/{}", "ImageDir", "ImageID")),
    )  # fmt: skip
    frame = folding.numbers(frame, ["original_rows", "original_columns"], file, whole=True)
    note = pl.format("projection '{}': view UNKNOWN", pl.col("_projection").fill_null(""))
    frame = folding.noted(frame, pl.when("_strange").then(note))
    frame = folding.noted(frame, pl.when("_odd").then(pl.lit("age below 0 or above 120 years: not stated")))
    frame, unknown = folding.sexes(frame.drop("_strange", "_projection", "_odd"), file)
    if unknown:
        raise InputError.all(unknown)
    return tables.check(shipped.known_errors(frame, "padchest"), "images", where=file)


def _labels(rows: pl.DataFrame, known: dict[str, str | None], file: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The labels, and every label that has no word of ours."""
    word = pl.col("Labels").str.extract_all(r"'([^']*)'|\"([^\"]*)\"").alias("label")
    cells = rows.filter(pl.col("Labels").is_not_null()).select(case_id="StudyID", method="MethodLabel", label=word)
    cells = cells.unique().explode("label")
    cells = cells.with_columns(pl.col("label").str.strip_chars("'\" ").str.to_lowercase()).filter(pl.col("label") != "")
    strange = cells.filter(~pl.col("label").is_in(list(known)))["label"].unique().sort().to_list()
    if strange:
        hint = did_you_mean(strange[0], known)
        raise InputError(file, "labels of PadChest (padchest_labels.csv)", "others", examples=strange, do=hint)
    left = ["exclude", "suboptimal study"]
    stating = cells.join(cells.filter(pl.col("label").is_in(left)), on="case_id", how="anti")
    methods = stating["method"].unique().to_list()
    if bad := [m for m in methods if m not in _METHODS]:
        raise InputError(file, f"MethodLabel {' or '.join(_METHODS)}", "others", examples=[str(m) for m in bad])
    stating = stating.with_columns(source=pl.col("method").replace_strict(_METHODS))
    finding = pl.col("label").replace_strict(known, default=None)
    present = stating.select("case_id", "source", finding=finding).drop_nulls().unique()
    every = pl.DataFrame({"finding": sorted({f for f in known.values() if f})})
    full = stating.select("case_id", "source").unique().join(every, how="cross")
    full = full.join(present.with_columns(state=pl.lit("present")), on=["case_id", "source", "finding"], how="left")
    made = tables.check(
        full.with_columns(pl.col("state").fill_null("absent")).sort("case_id", "finding"), "labels", where=file
    )
    return made, stating.filter(finding.is_null() & ~pl.col("label").is_in(["unchanged"]))
