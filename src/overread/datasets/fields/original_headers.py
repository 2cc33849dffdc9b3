"""View, sex, age, device, date and pixel size from the DICOM headers of a set's files."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from overread.images.dicom.header_scan import scan

_SAID = ("view", "sex", "age_years", "manufacturer", "device", "acquired", "pixel_mm")


def stated(images: pl.DataFrame, root: Path, *, workers: int = 1) -> pl.DataFrame:
    """Add view, sex, age, device, date and pixel size from the DICOM headers.

    A file that is missing or unreadable leaves these columns empty; the build of the cohort reports it.
    """
    headers = scan([root / p for p in images["path"]], workers=workers)
    own = headers.select(*_SAID, _note=pl.col("notes").replace("", None))
    own = own.with_columns(pl.col("view").fill_null("UNKNOWN"), pl.col("manufacturer", "device").replace("", None))
    other_columns = images.drop([c for c in _SAID if c in images.columns]).hstack(own.drop("_note"))
    return other_columns.with_columns(source_note=own["_note"])


def of_original(images: pl.DataFrame) -> pl.DataFrame:
    """Move the headers' pixel size to `original_pixel_mm`: the files were resized but keep the old size in the header.

    RSNA's files of 1024 x 1024 pixels have the pixel sizes of NIH's originals (0.143 mm, 0.168 mm): 1024 such pixels
    would be less than the width of a chest.
    """
    return images.with_columns(original_pixel_mm="pixel_mm", pixel_mm=pl.lit(None, pl.Float64))
