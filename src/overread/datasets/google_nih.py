"""Google's reads of ChestX-ray14: four findings in 4,376 NIH images, read by radiologists and adjudicated by panels.

Majkowska et al. 2020, doi:10.1148/radiol.2019191293. Images are NIH's; what is here is what radiologists said of them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from overread import tables
from overread.datasets import nih14, shipped, stated
from overread.errors import InputError
from overread.tables import Source

ABOUT = shipped.About(
    title="Four findings in ChestX-ray14 (Google)",
    citation="Majkowska et al. 2020, Chest radiograph interpretation with deep learning models",
    doi="10.1148/radiol.2019191293",
    url="https://cloud.google.com/healthcare-api/docs/resources/public-datasets/nih-chest",
    licence="research and educational purposes only",
    terms="the images are NIH's: pooled with ChestX-ray14 under other ids they would leak",
    marks=("individual_readers.csv*", "test_labels.csv*"),
    images=4_376,
)
_STATES = {"YES": "present", "NO": "absent", "HEDGE": "uncertain"}
_LABELS = ("test_labels.csv", "validation_labels.csv")
_KEYS = ("Image ID", "Reader ID")
_OTHER = (*_KEYS, "Patient ID", "Set ID", "Set Id", "Image Index", "Finding Labels", "Follow-up #", "Patient Age",
          "Patient Gender", "View Position", "OriginalImage[Width", "Height]", "OriginalImagePixelSpacing[x",
          "y]")  # fmt: skip


def read(root: Path, *, nih: str = "", site: str = "nih") -> Source:
    """Read Google's labels and reads, and where `nih` is given the whole of ChestX-ray14 with them.

    Parameters
    ----------
    root: folder with test_labels.csv, validation_labels.csv and individual_readers.csv, as downloaded (.gz too).
    nih: the ChestX-ray14 folder, relative to `root`: all its images, labels and boxes come with Google's beside them.
        Without it only the images that Google labelled, below images/.
    site: what the tables call the institution.

    Returns a Source: labels of source "adjudicated" (the panel's answer after discussion), with `google_split` (test,
    val) in the images; reads of the single radiologists (arm "unaided"), HEDGE = uncertain. A reader who read an image
    again has a further `round`, in the order of the file.

    Raises InputError: files missing, answers other than YES, NO, HEDGE, an image that NIH's folder lacks.
    """
    root = Path(root)
    parts = [shipped.table(root, [name], (*nih14.COLUMNS, "Set Id"), ABOUT) for name in _LABELS]
    table = pl.concat([frame for _, frame in parts], how="diagonal")
    labels = _answers(table, "Image Index", parts[0][0]).with_columns(source=pl.lit("adjudicated"))
    reads = _reads(*shipped.table(root, ["individual_readers.csv"], _KEYS, ABOUT))
    split = table.select(image_id="Image Index", google_split="Set Id")
    if not nih:
        images = nih14.images_of(nih14.renamed(table), root, parts[0][0], site)
        images = images.with_columns(dataset=pl.lit("google_nih")).join(split, on="image_id", how="left")
        checked = tables.check(labels, "labels", where=root)
        return Source(images, checked, reads=reads, notes=shipped.counts_note(images, ABOUT))
    whole = nih14.read(root / nih, site=site)
    lacking = split.join(whole.images, on="image_id", how="anti")["image_id"].sort()
    if len(lacking):
        raise InputError(root / nih, "the images that Google labelled", f"{len(lacking):,} missing", examples=lacking)
    moved = whole.images.with_columns(path=pl.format("{}/{}", pl.lit(nih.rstrip("/")), "path"))
    both = tables.check(
        pl.concat([whole.labels, labels.select(whole.labels.columns)], how="vertical_relaxed"), "labels"
    )
    images = moved.join(split, on="image_id", how="left", maintain_order="left")
    return replace(whole, images=images, labels=both, reads=reads)


def _answers(table: pl.DataFrame, key: str, where: Path) -> pl.DataFrame:
    """case_id, finding, state of every answer; each finding's column is known by its synonym."""
    columns = [c for c in table.columns if c not in _OTHER]
    names = stated.resolved(columns, "four_findings", where)
    long = table.with_row_index("_line").unpivot(
        columns, index=["_line", key], variable_name="finding", value_name="word"
    )
    long = long.filter(pl.col("word").is_not_null())
    strange = long.filter(~pl.col("word").is_in(list(_STATES)))["word"].unique().sort()
    if len(strange):
        raise InputError(where, f"answers {', '.join(_STATES)}", "others", examples=strange)
    return long.select(
        pl.col(key).alias("case_id"), pl.col("finding").replace_strict(names),
        pl.col("word").replace_strict(_STATES).alias("state"), "_line",
    )  # fmt: skip


def _reads(path: Path, table: pl.DataFrame) -> pl.DataFrame:
    """The table of reads; the second line of one reader on one image is round 2."""
    made = _answers(table, "Image ID", path)
    line = table.with_row_index("_line").select(
        "_line", reader="Reader ID", round=pl.int_range(1, pl.len() + 1).over("Reader ID", "Image ID").cast(pl.Int32)
    )
    reads = made.join(line, on="_line", maintain_order="left").rename({"state": "call"}).drop("_line")
    return tables.check(reads.with_columns(arm=pl.lit("unaided")), "reads", where=path)
