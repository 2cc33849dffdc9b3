"""RSNA Pneumonia Detection Challenge 2018: 30,000 NIH radiographs with bounding boxes of opacities.

The folder layout is that of Kaggle. Reference: Shih et al. 2019, doi:10.1148/ryai.2019180041. Radiologists of the RSNA
and the STR drew boxes around opacities suspicious for pneumonia. The radiographs are those of ChestX-ray14 under new
names: if both sets are merged, patients can be in two splits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from overread import tables
from overread.datasets.fields import normalise, original_headers
from overread.datasets.source_files import source_tables
from overread.errors import InputError
from overread.findings import Vocabulary
from overread.images import file_tree
from overread.tables import Source
from overread.tables.records.typed_files import read_json

ABOUT = source_tables.About(
    title="RSNA Pneumonia Detection Challenge",
    citation="Shih et al. 2019, Augmenting the NIH chest radiograph dataset",
    doi="10.1148/ryai.2019180041",
    url="https://www.rsna.org/rsnai/ai-image-challenge/rsna-pneumonia-detection-challenge-2018",
    licence="rules of the challenge: academic research, education and other non-commercial use",
    terms="the images are ChestX-ray14's under new names: pooled with it they would leak",
    marks=("stage_2_train_labels.csv*", "stage_2_detailed_class_info.csv*"),
    images=26_684,
)
_CLASSES = ("Lung Opacity", "Normal", "No Lung Opacity / Not Normal")
_BOX = ("x", "y", "width", "height")
_MAPPINGS = "pneumonia-challenge-dataset-mappings*.json"


def read(root: Path, *, site: str = "nih", vocabulary: Vocabulary | None = None) -> Source:
    """Read the training images of the challenge from the folder with its two tables and stage_2_train_images/.

    Parameters
    ----------
    root : Path
        Folder with the tables and images. Optional file: pneumonia-challenge-dataset-mappings_2018.json, which links
        images to ChestX-ray14.
    site : str
        Name of the institution, written to the column `site`.
    vocabulary : Vocabulary, optional
        Findings that labels, regions and reads may name. None = the vocabulary "chest".

    Returns
    -------
    Source
        Images; labels lung_opacity and no_finding of source "radiologist"; boxes as regions in pixels of the 1024 x
        1024 files.

    Raises
    ------
    InputError
        The folder is missing or holds another set, columns or classes are unknown, a target contradicts its boxes or
        class, an image is in one table only, or the mappings lack an image.

    Notes
    -----
    The challenge boxes "opacities suspicious for pneumonia", which is a sign and not the disease: they are
    lung_opacity. Class "Normal" is no_finding. View, sex and age come from the DICOM header where the file is present;
    its pixel spacing is that of NIH's original and is kept in `original_pixel_mm`. The challenge's "patientId"
    identifies an image. With the mappings, patient_id is NIH's patient number as in `nih14` and `nih_image` is NIH's
    file; without them every image counts as a patient. 26,684 images have published labels; the published table has
    9,555 boxes in 6,012 of them.

    References
    ----------
    Shih et al. 2019, doi:10.1148/ryai.2019180041.
    """
    root = Path(root)
    file, rows = source_tables.table(root, ["stage_2_train_labels.csv"], ("patientId", *_BOX, "Target"), ABOUT)
    classes_file, classes = source_tables.table(
        root, ["stage_2_detailed_class_info.csv"], ("patientId", "class"), ABOUT
    )
    source_tables.check_filled(rows, file, ("patientId", "Target"))
    source_tables.check_filled(classes, classes_file, ("patientId", "class"))
    rows = normalise.numbers(rows, _BOX, file)
    if strange := [c for c in classes["class"].unique().sort().to_list() if c not in _CLASSES]:
        raise InputError(classes_file, f"classes {', '.join(_CLASSES)}", "others", examples=strange)
    _check(rows, classes, file, classes_file)
    images, notes = _images(rows["patientId"].unique(maintain_order=True), root, file, site)
    boxed = rows.filter(pl.col("Target") == "1")
    regions = boxed.select(
        *_BOX,
        image_id="patientId",
        finding=pl.lit("lung_opacity"),
        source=pl.lit("radiologist"),
        number=pl.int_range(1, pl.len() + 1).over("patientId").cast(pl.Int32),
    )
    labels = pl.concat(
        [
            _said(rows, "lung_opacity", pl.col("Target") == "1"),
            _said(classes, "no_finding", pl.col("class") == "Normal"),
        ]
    )
    return Source(
        images,
        tables.check(labels, "labels", where=file, vocabulary=vocabulary),
        tables.check(regions, "regions", where=file, vocabulary=vocabulary),
        notes=notes + source_tables.counts_note(images, ABOUT),
    )


def _check(rows: pl.DataFrame, classes: pl.DataFrame, file: Path, classes_file: Path) -> None:
    """Refuse tables with contradictions, within one table or between both; all of them are reported."""
    boxed = pl.all_horizontal(pl.col(c).is_not_null() for c in _BOX)
    bare = pl.all_horizontal(pl.col(c).is_null() for c in _BOX)
    fits = ((pl.col("Target") == "1") & boxed) | ((pl.col("Target") == "0") & bare)
    joined = rows.join(classes, on="patientId").filter(
        (pl.col("Target") == "1") != (pl.col("class") == "Lung Opacity"), pl.col("Target").is_in(["0", "1"])
    )
    found = [
        (file, "Target 1 with a box, or 0 without", rows.filter(~fits)),
        (file, "every image in both tables", rows.join(classes, on="patientId", how="anti")),
        (classes_file, "every image in both tables", classes.join(rows, on="patientId", how="anti")),
        (classes_file, "the class 'Lung Opacity' where Target is 1, and only there", joined),
        (file, "one Target of an image", _several(rows, "Target")),
        (classes_file, "one class of an image", _several(classes, "class")),
    ]
    problems = [
        InputError(where, expected, f"{odd.height:,} others", examples=odd["patientId"].unique(maintain_order=True))
        for where, expected, odd in found
        if odd.height
    ]
    if problems:
        raise InputError.all(problems)


def _several(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    return rows.group_by("patientId", maintain_order=True).agg(pl.col(column).n_unique()).filter(pl.col(column) > 1)


def _images(names: pl.Series, root: Path, file: Path, site: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    where = {p.stem: p.relative_to(root).as_posix() for p in file_tree.files(root, suffixes=(".dcm", ".png", ".jpg"))}
    images = pl.DataFrame({"image_id": names, "patient_id": names, "site": site, "dataset": "rsna"}).with_columns(
        path=pl.col("image_id").replace_strict(where, default=pl.format("stage_2_train_images/{}.dcm", "image_id"))
    )
    notes: tuple[str, ...] = ("the tables do not tell patients, and no mappings are there: every image counts as one",)
    if (mappings := source_tables.found(root, [_MAPPINGS])) is not None:
        images, notes = _mapped(images, mappings), ()
    if spare := len(set(where) - set(names)):
        notes += (f"{spare:,} files are not in the tables, which label them not: left out",)
    return tables.check(
        original_headers.of_original(original_headers.stated(images, root)), "images", where=file
    ), notes


def _mapped(images: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Images with NIH's patient number and the name of NIH's image."""
    try:
        entries = read_json(path, list[dict[str, Any]])
        nih = {str(e["subset_img_id"]): str(e["img_id"]) for e in entries}
    except (InputError, KeyError) as error:
        raise InputError(path, "a list of entries with subset_img_id and img_id", "something else") from error
    named = pl.col("image_id").replace_strict(nih, default=None, return_dtype=pl.String)
    images = images.with_columns(nih_image=named)
    number = pl.col("nih_image").str.extract(r"^0*(\d+)_\d+\.png$")
    images = images.with_columns(patient_id=number)
    unmapped_images = images.filter(pl.col("patient_id").is_null())["image_id"]
    if len(unmapped_images):
        expected = "an NIH image such as 00000001_000.png for every image"
        raise InputError(path, expected, f"{len(unmapped_images):,} without", examples=unmapped_images.head(5))
    return images


def _said(rows: pl.DataFrame, finding: str, present: pl.Expr) -> pl.DataFrame:
    state = pl.when(present).then(pl.lit("present")).otherwise(pl.lit("absent"))
    return rows.select(
        pl.col("patientId").alias("case_id"), finding=pl.lit(finding), source=pl.lit("radiologist"), state=state
    ).unique()
