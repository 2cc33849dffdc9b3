"""NIH ChestX-ray14, the folder as NIH ships it: 112,120 frontal radiographs of 30,805 patients, 14 findings.

Wang et al. 2017, doi:10.1109/CVPR.2017.369. The labels were mined from the reports by text rules; the boxes were drawn
by a radiologist for 880 of the images.
"""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from overread import tables
from overread.datasets import folding, stated
from overread.errors import InputError
from overread.tables import Source

_ENTRIES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
_BOXES, _LISTS = "BBox_List_2017.csv", {"train_val": "train_val_list.txt", "test": "test_list.txt"}
_VOCABULARY = (
    "No Finding", "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia",
    "Pneumothorax", "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
)  # fmt: skip
_NAMES = {
    "Image Index": "image_id", "Finding Labels": "finding_labels", "Follow-up #": "follow_up",
    "Patient ID": "patient_id", "Patient Age": "age_years", "Patient Gender": "sex", "View Position": "view",
    "OriginalImage[Width": "original_columns", "Height]": "original_rows",
    "OriginalImagePixelSpacing[x": "original_pixel_mm",
}  # fmt: skip
_EXTRA = ("follow_up", "original_columns", "original_rows", "original_pixel_mm")


def read(root: Path, *, site: str = "nih", label_source: str = "report_text") -> Source:
    """Read ChestX-ray14 from the folder that holds its tables and its images (images/, or images_001/ ... as unpacked).

    Parameters
    ----------
    root: folder with Data_Entry_2017_v2020.csv (or the older Data_Entry_2017.csv), and where present
        BBox_List_2017.csv, train_val_list.txt, test_list.txt; each may be gzipped (.gz).
    site, label_source: what the tables call the institution and who states the labels.

    Returns a Source: every image states all 14 findings and no_finding; boxes as regions (source "radiologist", pixels
    of the 1024 x 1024 files); `official_split` = train_val or test where the lists are there. Every image is a case.
    pixel_mm is null: the files were resized to a square, so the spacing stated for the original (kept, as are its rows
    and columns, in original_*) is not theirs. Ages above 120, an error known from the older table, become null, noted.

    Raises InputError: tables missing or of another layout, findings unknown, images in both lists.
    """
    root = Path(root)
    file = _found(root, *_ENTRIES)
    if file is None:
        raise InputError(root, f"{_ENTRIES[0]} (or .gz)", "none there", do="Give the folder that holds NIH's tables.")
    rows = tables.frame_of(file)
    missing = [c for c in _NAMES if c not in rows.columns]
    if missing:
        raise InputError(file, "the columns of Data_Entry_2017", "some missing", examples=missing)
    rows = rows.select(pl.col(old).alias(new) for old, new in _NAMES.items()).with_columns(case_id=pl.col("image_id"))
    spec = {"form": "list", "column": "finding_labels", "vocabulary": _VOCABULARY, "source": label_source}
    return Source(
        images=_images(rows, root, file, site),
        labels=stated.labels(rows, spec, root, file),
        regions=_regions(root),
    )


def _found(root: Path, *names: str) -> Path | None:
    return next((root / f for n in names for f in (n, f"{n}.gz") if (root / f).is_file()), None)


def _images(rows: pl.DataFrame, root: Path, file: Path, site: str) -> pl.DataFrame:
    frame = folding.views(rows)
    frame, strange = folding.sexes(frame, file)
    frame, unread = folding.ages(frame, file, known_errors=True)
    if strange or unread:
        raise InputError.all([*strange, *unread])
    where = _index(root)
    frame = frame.with_columns(
        pl.col("image_id").replace_strict(where, default=pl.format("images/{}", "image_id")).alias("path"),
        site=pl.lit(site),
        dataset=pl.lit("nih14"),
        original_columns=pl.col("original_columns").cast(pl.Int32),
        original_rows=pl.col("original_rows").cast(pl.Int32),
        original_pixel_mm=pl.col("original_pixel_mm").cast(pl.Float64),
    ).drop("finding_labels")
    split = _official(root)
    if split is not None:
        frame = frame.join(split, on="image_id", how="left", maintain_order="left")
    return tables.check(frame, "images", where=file)


def _index(root: Path) -> dict[str, str]:
    """Where every image lies, relative to the root: images/, images_001/ or images_001/images/, as unpacked."""
    found: dict[str, str] = {}
    for folder in sorted(root.glob("images*")):
        for inner in (folder, folder / "images"):
            if inner.is_dir():
                relative = inner.relative_to(root).as_posix()
                found |= {e.name: f"{relative}/{e.name}" for e in os.scandir(inner) if e.name.endswith(".png")}
    return found


def _official(root: Path) -> pl.DataFrame | None:
    """image_id, official_split by NIH's own lists; None where they are not there."""
    parts = []
    for name, file in _LISTS.items():
        path = _found(root, file)
        if path is not None:
            lines = pl.read_csv(path, has_header=False, new_columns=["image_id"], infer_schema=False)
            parts.append(lines.select(pl.col("image_id").str.strip_chars(), official_split=pl.lit(name)))
    if not parts:
        return None
    lists = pl.concat(parts).unique()
    both = lists.filter(pl.col("image_id").is_duplicated())["image_id"].unique().sort().to_list()
    if both:
        raise InputError(root, "an image in one of the two lists", f"{len(both):,} in both", examples=both)
    return lists


def _regions(root: Path) -> pl.DataFrame | None:
    """NIH's boxes; their header has a comma within its brackets, so columns are taken by position."""
    path = _found(root, _BOXES)
    if path is None:
        return None
    rows = pl.read_csv(path, has_header=False, skip_rows=1, infer_schema=False, truncate_ragged_lines=True)
    names = ("image_id", "finding", "x", "y", "width", "height")
    if rows.width < len(names):
        raise InputError(path, f"columns {', '.join(names)}", f"{rows.width} columns")
    boxes = rows.select(pl.col(rows.columns[i]).alias(name) for i, name in enumerate(names))
    words = boxes["finding"].unique().sort().to_list()
    known = {"Infiltrate": "infiltration"}  # this table's own word
    known |= stated.resolved([w for w in words if w not in known], "nih14", path)
    boxes = boxes.with_columns(pl.col("finding").replace_strict(known), source=pl.lit("radiologist"))
    number = pl.int_range(1, pl.len() + 1).over("image_id", "finding").cast(pl.Int32)
    return tables.check(boxes.with_columns(number=number), "regions", where=path)
