"""NIH ChestX-ray14: 112,120 frontal radiographs of 30,805 patients with 14 findings.

The folder layout is that of the NIH release. Reference: Wang et al. 2017, doi:10.1109/CVPR.2017.369. Labels were mined
from reports by rules and are less accurate than published: in a visual review by a radiologist, positive predictive
values were mostly 10 to 30 % lower (Oakden-Rayner 2020, doi:10.1016/j.acra.2019.10.006). A radiologist drew the boxes
for 880 of the images.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from overread import limits, regular, tables
from overread.datasets.fields import label_layouts, normalise
from overread.datasets.source_files import source_tables
from overread.errors import InputError
from overread.findings import Vocabulary
from overread.findings import load as load_vocabulary
from overread.tables import Source

ABOUT = source_tables.About(
    title="NIH ChestX-ray14",
    citation="Wang et al. 2017, ChestX-ray8",
    doi="10.1109/CVPR.2017.369",
    url="https://nihcc.app.box.com/v/ChestXray-NIHCC",
    licence="no restriction on use",
    terms="attribution to the NIH Clinical Center and the paper is asked for",
    marks=("Data_Entry_2017*.csv*",),
    images=112_120,
    patients=30_805,
)
_ENTRIES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
_BOXES = "BBox_List_2017.csv"
_LISTS = {
    "train_val": ("train_val_list.txt", "nih_official_train_val_list.txt"),
    "test": ("test_list.txt", "nih_official_test_list.txt"),
}
_FOLDS = {"train": "train", "tune": "tune", "val": "tune", "valid": "tune", "validation": "tune", "test": "test"}
_VOCABULARY = (
    "No Finding",
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)
_NAMES = {
    "Image Index": "image_id",
    "Finding Labels": "finding_labels",
    "Follow-up #": "follow_up",
    "Patient ID": "patient_id",
    "Patient Age": "age_years",
    "Patient Gender": "sex",
    "View Position": "view",
    "OriginalImage[Width": "original_columns",
    "Height]": "original_rows",
    "OriginalImagePixelSpacing[x": "original_pixel_mm",
}
COLUMNS = tuple(_NAMES)


def read(
    root: Path,
    *,
    site: str = "nih",
    label_source: str = "report_text",
    lists: Mapping[str, str] | str = "",
    vocabulary: Vocabulary | None = None,
) -> Source:
    """Read ChestX-ray14 from the folder with its tables and its images (images/, or images_001/ ... as unpacked).

    Parameters
    ----------
    root : Path
        Folder with Data_Entry_2017_v2020.csv or the older Data_Entry_2017.csv. Optional files: BBox_List_2017.csv,
        train_val_list.txt and test_list.txt. Each may be gzipped (.gz).
    site : str
        Name of the institution, written to the column `site`.
    label_source : str
        Name of the label source.
    lists : str or mapping
        A published split other than NIH's, such as the 70/10/20 split by patient used in reproductions: {split: file}
        for train, tune and test (text or CSV, one image per line), or one CSV with the columns "Image Index" and
        "fold" (train, val, test).
    vocabulary : Vocabulary, optional
        Findings that labels, regions and reads may name. None = the vocabulary "chest".

    Returns
    -------
    Source
        Images, labels and regions. Every image has labels for all 14 findings and no_finding. Boxes are regions of
        source "radiologist", in pixels of the 1024 x 1024 files. `official_split` is train_val or test where NIH's
        lists are present; `list_split` is train, tune, test or null (not listed) with `lists`.

    Raises
    ------
    InputError
        The folder is missing, a table is missing or has another layout, a finding is unknown, or an image is in two
        lists or in a list only.

    Notes
    -----
    Every image is a case. pixel_mm is null because the files were resized to a square: the published spacing, rows and
    columns belong to the original and are kept in the original_* columns. Ages above 120, a known error of the older
    table, become null and are noted. Images with known errors (nih14_errors.csv) are noted and kept.

    References
    ----------
    Wang et al. 2017, doi:10.1109/CVPR.2017.369.
    """
    root = Path(root)
    file, table = source_tables.table(root, _ENTRIES, _NAMES, ABOUT)
    rows = renamed(table)
    spec = {"form": "list", "column": "finding_labels", "vocabulary": _VOCABULARY, "source": label_source}
    images, notes = _official(images_of(rows, root, file, site), root)
    images = _own_split(images, root, lists) if lists else images
    labels = label_layouts.labels(rows, spec, root, file, vocabulary=vocabulary)
    return Source(
        images,
        labels,
        _regions(root, vocabulary or load_vocabulary()),
        notes=source_tables.counts_note(images, ABOUT) + notes,
    )


def renamed(table: pl.DataFrame) -> pl.DataFrame:
    """Rename the columns of NIH's table to those of the table of images; every image is a case."""
    return table.select(pl.col(old).alias(new) for old, new in _NAMES.items()).with_columns(case_id=pl.col("image_id"))


def images_of(rows: pl.DataFrame, root: Path, file: Path, site: str) -> pl.DataFrame:
    """The table of images from the rows of NIH's table, as returned by `renamed`."""
    frame = normalise.views(rows)
    frame, strange = normalise.sexes(frame, file)
    frame, unread = normalise.ages(frame, file)
    if strange or unread:
        raise InputError.all([*strange, *unread])
    file_by_name = source_tables.paths(root, (".png",), below=_folders(root))
    frame = frame.with_columns(
        pl.col("image_id").replace_strict(file_by_name, default=pl.format("images/{}", "image_id")).alias("path"),
        site=pl.lit(site),
        dataset=pl.lit("nih14"),
    ).drop("finding_labels")
    frame = normalise.numbers(frame, ["original_columns", "original_rows"], file, whole=True)
    frame = normalise.numbers(frame, ["original_pixel_mm"], file)
    return tables.check(source_tables.known_errors(frame, "nih14"), "images", where=file)


def _folders(root: Path) -> list[Path]:
    """The folders images/ and images_001/ ...; only where there is none, others such as images-224/ of a resized
    copy.
    """
    image_folders = [f for f in sorted(root.glob("images*")) if f.is_dir()]
    return [f for f in image_folders if re.fullmatch(r"images(_\d+)?", f.name)] or image_folders


def _official(images: pl.DataFrame, root: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Add `official_split` where NIH's lists are present, and note images that are only in the lists or in the
    table.
    """
    files = {name: path for name, these in _LISTS.items() if (path := source_tables.found(root, these)) is not None}
    if not files:
        return images, ()
    listed = _once(pl.concat([_names(p).with_columns(official_split=pl.lit(n)) for n, p in files.items()]), root)
    joined = images.join(listed, on="image_id", how="left", maintain_order="left")
    n_unknown, n_not_listed = (
        listed.join(images, on="image_id", how="anti").height,
        joined["official_split"].null_count(),
    )
    notes = (f"NIH's lists name {n_unknown:,} images that the table lacks",) if n_unknown else ()
    return joined, notes + ((f"{n_not_listed:,} images are in none of NIH's lists",) if n_not_listed else ())


def _own_split(images: pl.DataFrame, root: Path, lists: Mapping[str, str] | str) -> pl.DataFrame:
    own = _once(_folds(root, lists), root)
    unknown = own.join(images, on="image_id", how="anti")["image_id"].sort()
    if len(unknown):
        raise InputError("lists", "images of the table", f"{len(unknown):,} that it lacks", examples=unknown)
    return images.join(own, on="image_id", how="left", maintain_order="left")


def _folds(root: Path, lists: Mapping[str, str] | str) -> pl.DataFrame:
    """image_id and list_split of a split that the user gives."""
    if isinstance(lists, str):
        path, frame = source_tables.table(root, [lists], ("Image Index", "fold"), ABOUT)
        folds = frame.select(image_id="Image Index", list_split="fold")
    else:
        path = root
        folds = pl.concat([_names(root / file).with_columns(list_split=pl.lit(name)) for name, file in lists.items()])
    strange = folds.filter(~pl.col("list_split").is_in(list(_FOLDS)).fill_null(False))["list_split"].unique().sort()
    if len(strange):
        raise InputError(path, f"folds {', '.join(_FOLDS)}", "others", examples=[s or "(empty)" for s in strange])
    return folds.with_columns(pl.col("list_split").replace_strict(_FOLDS))


def _names(path: Path) -> pl.DataFrame:
    """The image named in each line, without labels or folder in the same line; the first line may be a header."""
    if not path.is_file():
        raise InputError(path, "a list of images", "no file there", do="Give its path relative to the root.")
    lines = _rows(path, new_columns=["line"], separator="\n", quote_char=None)
    names = lines.select("line", image_id=pl.col("line").str.extract(r"([^\s,;/\\\"]+\.png)")).with_row_index("_number")
    odd = names.filter(pl.col("image_id").is_null() & pl.col("line").is_not_null() & (pl.col("_number") > 0))
    if odd.height or names["image_id"].null_count() == names.height:
        found = f"{odd.height:,} lines without" if odd.height else "none"
        raise InputError(path, "the name of an image (.png) in every line", found, examples=odd["line"].head(5))
    return names.select("image_id").drop_nulls()


def _rows(path: Path, **how: Any) -> pl.DataFrame:
    """Rows of a file as text; its first line is not used as a header."""
    try:
        return pl.read_csv(regular.content(path, most=limits.TEXT_BYTES), has_header=False, infer_schema=False, **how)
    except (pl.exceptions.NoDataError, pl.exceptions.ComputeError) as error:
        raise InputError(path, "a text of lines", str(error).splitlines()[0], do="Download the file again.") from error


def _once(lists: pl.DataFrame, root: Path) -> pl.DataFrame:
    lists = lists.unique()
    both = lists.filter(pl.col("image_id").is_duplicated())["image_id"].unique().sort().to_list()
    if both:
        raise InputError(root, "an image in one list only", f"{len(both):,} in several", examples=both)
    return lists


def _regions(root: Path, vocabulary: Vocabulary) -> pl.DataFrame | None:
    """NIH's boxes; the header has a comma within brackets, so that columns are taken by position."""
    path = source_tables.found(root, [_BOXES])
    if path is None:
        return None
    rows = _rows(path, skip_rows=1, truncate_ragged_lines=True)
    names = ("image_id", "finding", "x", "y", "width", "height")
    if rows.width < len(names):
        raise InputError(path, f"columns {', '.join(names)}", f"{rows.width} columns")
    boxes = rows.select(pl.col(rows.columns[i]).alias(name) for i, name in enumerate(names))
    words = boxes["finding"].fill_null("").unique().sort().to_list()
    known = {"Infiltrate": "infiltration"}  # spelling of this table only
    known |= label_layouts.resolved([w for w in words if w not in known], "nih14", path, vocabulary)
    boxes = boxes.with_columns(pl.col("finding").replace_strict(known), source=pl.lit("radiologist"))
    number = pl.int_range(1, pl.len() + 1).over("image_id", "finding").cast(pl.Int32)
    return tables.check(boxes.with_columns(number=number), "regions", where=path, vocabulary=vocabulary)
