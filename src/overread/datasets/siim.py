"""SIIM-ACR Pneumothorax, the folder as Kaggle ships it: 12,047 NIH radiographs with the pneumothorax outlined.

The masks were drawn by radiologists of the Society of Thoracic Radiology. The radiographs are ChestX-ray14's under new
names: pooled with it, patients would be in two splits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from overread import tables
from overread.datasets import headers, shipped
from overread.errors import InputError
from overread.images import tree
from overread.tables import Source

ABOUT = shipped.About(
    title="SIIM-ACR Pneumothorax",
    citation="SIIM-ACR Pneumothorax Segmentation, Kaggle 2019",
    doi="",
    url="https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation",
    licence="rules of the competition: non-commercial and research use",
    terms="the images are ChestX-ray14's under new names: pooled with it they would leak",
    marks=("train-rle.csv*", "stage_2_train.csv*"),
    images=12_047,
)
SIDE = 1024


def read(root: Path, *, site: str = "nih") -> Source:
    """Read SIIM-ACR from the folder with train-rle.csv (or stage_2_train.csv) and its DICOM files in any folders.

    Returns a Source of the images that the table names: pneumothorax present or absent (source "radiologist"), every
    outlined part as a region, its bounding box in pixels of the 1024 x 1024 files, `mask_pixels` its area. View, sex
    and age are the DICOM header's where the files are there. Patients are not told by the set: each image is its own.

    Raises InputError: no such folder, another set's, run lengths that are none or leave the picture.
    """
    root = Path(root)
    file, rows = shipped.table(root, ("stage_2_train.csv", "train-rle.csv"), (), ABOUT)
    rows = rows.rename({c: c.strip() for c in rows.columns})  # the file has a space before its second column
    shipped.check_columns(rows, file, ("ImageId", "EncodedPixels"), ABOUT)
    rows = rows.with_columns(pl.col("EncodedPixels").str.strip_chars())
    where = {p.stem: p.relative_to(root).as_posix() for p in tree.files(root, suffixes=(".dcm",))}
    names = rows["ImageId"].unique(maintain_order=True)
    images = pl.DataFrame({"image_id": names, "patient_id": names, "site": site, "dataset": "siim"}).with_columns(
        path=pl.col("image_id").replace_strict(where, default=pl.format("dicom-images-train/{}.dcm", "image_id"))
    )
    images = tables.check(headers.stated(images, root), "images", where=file)
    parts = rows.filter(~pl.col("EncodedPixels").is_in(["-1", ""]).fill_null(True))
    boxes = [_box(name, runs, file) for name, runs in parts.select("ImageId", "EncodedPixels").iter_rows()]
    regions = None
    if boxes:
        number = pl.int_range(1, pl.len() + 1).over("image_id").cast(pl.Int32)
        made = pl.DataFrame(boxes, orient="row").with_columns(number=number, source=pl.lit("radiologist"))
        regions = tables.check(made.with_columns(finding=pl.lit("pneumothorax")), "regions", where=file)
    present = pl.col("image_id").is_in(parts["ImageId"].implode())
    labels = images.select(
        pl.col("image_id").alias("case_id"), finding=pl.lit("pneumothorax"), source=pl.lit("radiologist"),
        state=pl.when(present).then(pl.lit("present")).otherwise(pl.lit("absent")),
    )  # fmt: skip
    note = "the set does not tell patients: every image counts as one"
    return Source(images, tables.check(labels, "labels"), regions, notes=(note, *shipped.counts_note(images, ABOUT)))


def _box(image_id: str, runs: str, where: Path) -> dict[str, str | float | int]:
    mask = mask_of(runs, where=f"{where}, {image_id}")
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return {
        "image_id": image_id, "x": float(columns[0]), "y": float(rows[0]), "width": float(columns[-1] - columns[0] + 1),
        "height": float(rows[-1] - rows[0] + 1), "mask_pixels": int(mask.sum()),
    }  # fmt: skip


def mask_of(runs: str, side: int = SIDE, *, where: object = "run lengths") -> NDArray[np.bool_]:
    """The mask (side, side) of relative run lengths: how many pixels are skipped, how many are set, in turn.

    Pixels are counted down the columns, each skip from the end of the run before it.

    >>> mask_of("1 2 3 1", 3).astype(int).tolist()
    [[0, 0, 1], [1, 0, 0], [1, 0, 0]]

    Raises InputError: no whole numbers, an odd count of them, runs of no length, runs that leave the picture.
    """
    try:
        numbers = np.array(runs.split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise InputError(where, "run lengths", f"'{runs[:40]}'") from error
    if numbers.size < 2 or numbers.size % 2 or (numbers < 0).any() or (numbers[1::2] == 0).any():
        raise InputError(where, "pairs of a skip and a length above 0", f"'{runs[:40]}'")
    ends = np.cumsum(numbers)
    if ends[-1] > side * side:
        raise InputError(where, f"runs within {side} x {side} pixels", f"{ends[-1]:,} pixels")
    change = np.zeros(side * side + 1, np.int64)
    np.add.at(change, ends[0::2], 1)
    np.add.at(change, ends[1::2], -1)
    return np.cumsum(change[:-1]).astype(bool).reshape(side, side).T
