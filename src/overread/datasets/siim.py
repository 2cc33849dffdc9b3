"""SIIM-ACR Pneumothorax: 12,047 NIH radiographs with segmented pneumothoraces.

The folder layout is that of Kaggle. Reference: Filice et al. 2020, doi:10.1007/s10278-019-00299-9. Radiologists drew
and adjudicated the outlines, in part starting from the output of a model. The radiographs are those of ChestX-ray14
under new names: if both sets are merged, patients can be in two splits.
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

    Parameters
    ----------
    root : Path
        Folder with the table and the DICOM files.
    site : str
        Name of the institution, written to the column `site`.
    vocabulary : Vocabulary, optional
        Findings that labels, regions and reads may name. None = the vocabulary "chest".

    Returns
    -------
    Source
        Images of the table; label pneumothorax, present or absent, of source "radiologist"; every segmented component
        as a region: its bounding box in pixels of the 1024 x 1024 files and its area in `mask_pixels`.

    Raises
    ------
    InputError
        The folder is missing or holds another set, run lengths are invalid or exceed the image, a cell is empty, or an
        image has both a mask and none.

    Notes
    -----
    View, sex and age come from the DICOM header where the file is present. Its pixel spacing is assumed to be that of
    NIH's original, as in `rsna`, and is kept in `original_pixel_mm`. The set does not identify patients: every image
    counts as a patient. The published table has 3,576 components in 2,669 of 12,047 images.

    References
    ----------
    Filice et al. 2020, doi:10.1007/s10278-019-00299-9.
    """
    root = Path(root)
    file, rows = source_tables.table(root, ("stage_2_train.csv", "train-rle.csv"), (), ABOUT)
    rows = rows.rename({c: c.strip() for c in rows.columns})  # the file has a space before its second column
    source_tables.check_columns(rows, file, ("ImageId", "EncodedPixels"), ABOUT)
    source_tables.check_filled(rows, file, ("ImageId",))
    rows = rows.with_columns(pl.col("EncodedPixels").str.strip_chars())
    file_by_name = {p.stem: p.relative_to(root).as_posix() for p in file_tree.files(root, suffixes=(".dcm",))}
    names = rows["ImageId"].unique(maintain_order=True)
    images = pl.DataFrame({"image_id": names, "patient_id": names, "site": site, "dataset": "siim"}).with_columns(
        path=pl.col("image_id").replace_strict(file_by_name, default=pl.format("dicom-images-train/{}.dcm", "image_id"))
    )
    images = tables.check(original_headers.of_original(original_headers.stated(images, root)), "images", where=file)
    parts = _parts(rows, file)
    boxes = [
        {"image_id": n, **_box(r, f"{file}, {n}")} for n, r in parts.select("ImageId", "EncodedPixels").iter_rows()
    ]
    regions = None
    if boxes:
        number = pl.int_range(1, pl.len() + 1).over("image_id").cast(pl.Int32)
        region_rows = pl.DataFrame(boxes, orient="row").with_columns(number=number, source=pl.lit("radiologist"))
        regions = tables.check(
            region_rows.with_columns(finding=pl.lit("pneumothorax")), "regions", where=file, vocabulary=vocabulary
        )
    present = pl.col("image_id").is_in(parts["ImageId"].implode())
    labels = images.select(
        pl.col("image_id").alias("case_id"),
        finding=pl.lit("pneumothorax"),
        source=pl.lit("radiologist"),
        state=pl.when(present).then(pl.lit("present")).otherwise(pl.lit("absent")),
    )
    notes: tuple[str, ...] = ("the set does not identify patients: every image counts as one patient",)
    if spare := len(set(file_by_name) - set(names)):
        notes += (f"{spare:,} files are not in the table, which labels them not: left out",)
    notes += source_tables.counts_note(images, ABOUT)
    return Source(images, tables.check(labels, "labels", vocabulary=vocabulary), regions, notes=notes)


def _parts(rows: pl.DataFrame, file: Path) -> pl.DataFrame:
    """Rows with a mask; a row holds a mask or -1, and an image does not hold both."""
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
    """Start and end (exclusive) of every run, counted down the columns."""
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
    """Bounding box and area of a mask, computed from its runs."""
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
    """Decode relative run lengths to a mask.

    Parameters
    ----------
    runs : str
        Pairs of numbers: pixels to skip, then pixels to set. Pixels are counted down the columns, and each skip starts
        at the end of the previous run.
    side : int
        Height and width of the mask in pixels.
    where : object
        Place of the text, used in messages.

    Returns
    -------
    ndarray of bool, shape (side, side)
        The mask.

    Raises
    ------
    InputError
        The text is not an even count of whole numbers, a run has no length, or a run exceeds the image.

    Examples
    --------
    >>> mask_of("1 2 3 1", 3).astype(int).tolist()
    [[0, 0, 1], [1, 0, 0], [1, 0, 0]]
    """
    start, end = _runs(runs, side, where)
    change = np.zeros(side * side + 1, np.int64)
    np.add.at(change, start, 1)
    np.add.at(change, end, -1)
    return np.cumsum(change[:-1]).astype(bool).reshape(side, side).T
