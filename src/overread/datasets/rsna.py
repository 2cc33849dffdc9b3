"""RSNA Pneumonia Detection 2018, the folder as Kaggle ships it: 30,000 NIH radiographs with opacities boxed.

Shih et al. 2019, doi:10.1148/ryai.2019180041. Boxes of opacities suspicious for pneumonia, drawn by radiologists of the
RSNA and the STR. The radiographs are ChestX-ray14's under new names: pooled with it, patients would be in two splits.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from overread import tables
from overread.datasets import folding, headers, shipped
from overread.errors import InputError
from overread.images import tree
from overread.tables import Source

ABOUT = shipped.About(
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


def read(root: Path, *, site: str = "nih") -> Source:
    """Read the challenge's training images from the folder with its two tables and stage_2_train_images/.

    Returns a Source: lung_opacity (the challenge boxes "opacities suspicious for pneumonia": a sign, not the disease)
    and no_finding (class "Normal") by source "radiologist"; boxes as regions in pixels of the 1024 x 1024 files. View,
    sex and age are the DICOM header's where the files are there. What the challenge calls a patient is an image; whose
    it is the set does not tell, so every image counts as one. 26,684 images have labels as published.

    Raises InputError: no such folder, another set's, columns or classes that the set does not have, a target that its
    boxes contradict.
    """
    root = Path(root)
    file, rows = shipped.table(root, ["stage_2_train_labels.csv"], ("patientId", *_BOX, "Target"), ABOUT)
    classes_file, classes = shipped.table(root, ["stage_2_detailed_class_info.csv"], ("patientId", "class"), ABOUT)
    shipped.check_filled(rows, file, ("patientId", "Target"))
    shipped.check_filled(classes, classes_file, ("patientId", "class"))
    rows = folding.numbers(rows, _BOX, file)
    if strange := [c for c in classes["class"].unique().sort().to_list() if c not in _CLASSES]:
        raise InputError(classes_file, f"classes {', '.join(_CLASSES)}", "others", examples=[str(s) for s in strange])
    odd = rows.filter(
        ~pl.col("Target").is_in(["0", "1"]).fill_null(False) | (pl.col("x").is_null() == (pl.col("Target") == "1"))
    )
    if odd.height:
        raise InputError(
            file, "Target 1 with a box, or 0 without", f"{odd.height:,} others", examples=odd["patientId"].head(5)
        )
    where = {p.stem: p.relative_to(root).as_posix() for p in tree.files(root, suffixes=(".dcm", ".png", ".jpg"))}
    names = rows["patientId"].unique(maintain_order=True)
    images = pl.DataFrame({"image_id": names, "patient_id": names, "site": site, "dataset": "rsna"}).with_columns(
        path=pl.col("image_id").replace_strict(where, default=pl.format("stage_2_train_images/{}.dcm", "image_id"))
    )
    images = tables.check(headers.stated(images, root), "images", where=file)
    boxed = rows.filter(pl.col("Target") == "1")
    regions = boxed.select(
        *_BOX, image_id="patientId", finding=pl.lit("lung_opacity"),
        source=pl.lit("radiologist"), number=pl.int_range(1, pl.len() + 1).over("patientId").cast(pl.Int32),
    )  # fmt: skip
    labels = pl.concat([
        _said(rows, "lung_opacity", pl.col("Target") == "1"),
        _said(classes, "no_finding", pl.col("class") == "Normal"),
    ])  # fmt: skip
    note = "the set does not tell patients: every image counts as one"
    return Source(
        images, tables.check(labels, "labels", where=file), tables.check(regions, "regions", where=file),
        notes=(note, *shipped.counts_note(images, ABOUT)),
    )  # fmt: skip


def _said(rows: pl.DataFrame, finding: str, present: pl.Expr) -> pl.DataFrame:
    state = pl.when(present).then(pl.lit("present")).otherwise(pl.lit("absent"))
    return rows.select(
        pl.col("patientId").alias("case_id"), finding=pl.lit(finding), source=pl.lit("radiologist"), state=state
    ).unique()
