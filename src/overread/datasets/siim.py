"""SIIM-ACR Pneumothorax, the folder as Kaggle ships it: 12,047 NIH radiographs with the pneumothorax outlined.

Filice et al. 2020, doi:10.1007/s10278-019-00299-9. Radiologists outlined and adjudicated, in part beginning from what
a model had drawn. The radiographs are ChestX-ray14's under new names: pooled with it, patients would be in two splits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from overread import tables
from overread.datasets.fields import original_headers
from overread.datasets.source_files import source_tables
from overread.errors import InputError
from overread.findings import Vocabulary
from overread.images import file_tree
from overread.tables import Source

ABOUT = source_tables.About(
    title="SIIM-ACR Pneumothorax",
    citation="SIIM-ACR Pneumothorax Segmentation, Kaggle 2019",
    doi="10.1007/s10278-019-00299-9",
    url="https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation",
    licence="rules of the competition: non-commercial and research use",
    terms="the images are ChestX-ray14's under new names: pooled with it they would leak",
    marks=("train-rle.csv*", "stage_2_train.csv*"),
    images=12_047,
)
SIDE = 1024


def read(root: Path, *, site: str = "nih", vocabulary: Vocabulary | None = None) -> Source:
    """Read SIIM-ACR from the folder with train-rle.csv (or stage_2_train.csv) and its DICOM files in any folders.

    Returns a Source of the images that the table names: pneumothorax present or absent (source "radiologist"), every
    outlined part as a region, its bounding box in pixels of the 1024 x 1024 files, `mask_pixels` its area. View, sex
    and age are the DICOM header's where the files are there; its pixel size is taken for that of NIH's original, as
    RSNA's is, and stands in `original_pixel_mm`. Patients are not told by the set: each image is its own.

    The table of 12,047 images outlines 3,576 parts in 2,669 of them.

    Raises InputError: no such folder, another set's, run lengths that are none or leave the picture, an empty cell, an
    image both outlined and without.
    """
    root = Path(root)
    file, rows = source_tables.table(root, ("stage_2_train.csv", "train-rle.csv"), (), ABOUT)
    rows = rows.rename({c: c.strip() for c in rows.columns})  # the file has a space before its second column
    source_tables.check_columns(rows, file, ("ImageId", "EncodedPixels"), ABOUT)
    source_tables.check_filled(rows, file, ("ImageId",))
    rows = rows.with_columns(pl.col("EncodedPixels").str.strip_chars())
    where = {p.stem: p.relative_to(root).as_posix() for p in file_tree.files(root, suffixes=(".dcm",))}
    names = rows["ImageId"].unique(maintain_order=True)
    images = pl.DataFrame({"image_id": names, "patient_id": names, "site": site, "dataset": "siim"}).with_columns(
        path=pl.col("image_id").replace_strict(where, default=pl.format("dicom-images-train/{}.dcm", "image_id"))
    )
    images = tables.check(original_headers.of_original(original_headers.stated(images, root)), "images", where=file)
    parts = _parts(rows, file)
    boxes = [
        {"image_id": n, **_box(r, f"{file}, {n}")} for n, r in parts.select("ImageId", "EncodedPixels").iter_rows()
    ]
    regions = None
    if boxes:
        number = pl.int_range(1, pl.len() + 1).over("image_id").cast(pl.Int32)
        made = pl.DataFrame(boxes, orient="row").with_columns(number=number, source=pl.lit("radiologist"))
        regions = tables.check(
            made.with_columns(finding=pl.lit("pneumothorax")), "regions", where=file, vocabulary=vocabulary
        )
    present = pl.col("image_id").is_in(parts["ImageId"].implode())
    labels = images.select(
        pl.col("image_id").alias("case_id"),
        finding=pl.lit("pneumothorax"),
        source=pl.lit("radiologist"),
        state=pl.when(present).then(pl.lit("present")).otherwise(pl.lit("absent")),
    )
    notes: tuple[str, ...] = ("the set does not tell patients: every image counts as one",)
    if spare := len(set(where) - set(names)):
        notes += (f"{spare:,} files are not in the table, which labels them not: left out",)
    notes += source_tables.counts_note(images, ABOUT)
    return Source(images, tables.check(labels, "labels", vocabulary=vocabulary), regions, notes=notes)


def _parts(rows: pl.DataFrame, file: Path) -> pl.DataFrame:
    """The rows that outline something; a row says a mask or -1, and an image not both."""
    silent = rows.filter(pl.col("EncodedPixels").fill_null("") == "")
    none = pl.col("EncodedPixels") == "-1"
    parts = rows.filter(~none.fill_null(False))
    both = parts.join(rows.filter(none), on="ImageId", how="semi")["ImageId"].unique(maintain_order=True)
    expected = "run lengths or -1 in every row, and not both of one image"
    if silent.height:
        raise InputError(file, expected, f"{silent.height:,} empty cells", examples=silent["ImageId"].head(5))
    if len(both):
        raise InputError(file, expected, f"{len(both):,} images with both", examples=both.head(5))
    return parts


def _runs(text: str, side: int, where: object) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where every run starts and ends (the pixel after its last), counted down the columns."""
    try:
        numbers = np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise InputError(where, "run lengths", f"'{text[:40]}'") from error
    if numbers.size < 2 or numbers.size % 2 or (numbers < 0).any() or (numbers[1::2] == 0).any():
        raise InputError(where, "pairs of a skip and a length above 0", f"'{text[:40]}'")
    ends = np.cumsum(numbers)
    if (numbers > side * side).any() or ends[-1] > side * side:
        last = max(int(numbers.max()), int(ends[-1]))
        raise InputError(where, f"runs within {side} x {side} pixels", f"{last:,} pixels")
    return ends[0::2], ends[1::2]


def _box(text: str, where: object, side: int = SIDE) -> dict[str, float | int]:
    """The least box around a mask and the mask's pixels, from its runs alone."""
    start, end = _runs(text, side, where)
    left, top = start // side, start % side
    right, bottom = (end - 1) // side, (end - 1) % side
    turns = right > left  # a run that goes on in the next column touches the lower edge and the upper one
    y, below = int(np.where(turns, 0, top).min()), int(np.where(turns, side - 1, bottom).max())
    return {
        "x": float(left.min()),
        "y": float(y),
        "width": float(right.max() - left.min() + 1),
        "height": float(below - y + 1),
        "mask_pixels": int((end - start).sum()),
    }


def mask_of(runs: str, side: int = SIDE, *, where: object = "run lengths") -> NDArray[np.bool_]:
    """The mask (side, side) of relative run lengths: how many pixels are skipped, how many are set, in turn.

    Pixels are counted down the columns, each skip from the end of the run before it.

    >>> mask_of("1 2 3 1", 3).astype(int).tolist()
    [[0, 0, 1], [1, 0, 0], [1, 0, 0]]

    Raises InputError: no whole numbers, an odd count of them, runs of no length, runs that leave the picture.
    """
    start, end = _runs(runs, side, where)
    change = np.zeros(side * side + 1, np.int64)
    np.add.at(change, start, 1)
    np.add.at(change, end, -1)
    return np.cumsum(change[:-1]).astype(bool).reshape(side, side).T
