"""What the DICOM headers of a set's files say of view, sex, age and device, beside what its table says."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from overread.images.dicom.header_scan import scan

_SAID = ("view", "sex", "age_years", "manufacturer", "device", "acquired", "pixel_mm")


def stated(images: pl.DataFrame, root: Path, *, workers: int = 1) -> pl.DataFrame:
    """The images with view, sex, age, device, date and pixel size from the headers of their files.

    A file that is not there or cannot be read leaves its columns empty: the cohort's build says so.
    """
    found = scan([root / p for p in images["path"]], workers=workers)
    own = found.select(*_SAID, _note=pl.col("notes").replace("", None))
    own = own.with_columns(pl.col("view").fill_null("UNKNOWN"), pl.col("manufacturer", "device").replace("", None))
    kept = images.drop([c for c in _SAID if c in images.columns]).hstack(own.drop("_note"))
    return kept.with_columns(source_note=own["_note"])


def of_original(images: pl.DataFrame) -> pl.DataFrame:
    """The images with the headers' pixel size as `original_pixel_mm`: these files were resized and kept the old size.

    RSNA's files of 1024 x 1024 pixels state NIH's sizes of a pixel of the originals (0.143, 0.168 mm): 1024 such pixels
    would be less than a chest.
    """
    return images.with_columns(original_pixel_mm="pixel_mm", pixel_mm=pl.lit(None, pl.Float64))
