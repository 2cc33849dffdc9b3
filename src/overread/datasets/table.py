"""Any table of images (CSV or Parquet) beside a folder of them, its columns mapped to ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from overread import tables
from overread.datasets import folding, stated
from overread.errors import InputError, did_you_mean
from overread.tables import Source

_NEEDED = ("image_id", "patient_id", "site", "path")


def read(
    root: Path,
    *,
    images: str,
    columns: Mapping[str, str],
    labels: Mapping[str, Any] | Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    keep: Sequence[str] = (),
    defaults: Mapping[str, str] | None = None,
    spellings: Mapping[str, Mapping[str, str]] | None = None,
) -> Source:
    """Read a source from a table of images of any layout.

    Parameters
    ----------
    root: the folder; `images` and the paths in the table are relative to it.
    images: the table's file name: .csv, .csv.gz or .parquet. A CSV is read as text, so "00000001" stays itself.
    columns: our column -> the file's column. image_id, patient_id, site and path are needed (here or in `defaults`);
        case_id is image_id where it is not mapped. Where every image is another patient, map patient_id to the image.
    labels: how labels are laid out. A column per finding: ["Effusion", ...] or {"Effusion" = "pleural_effusion"}, with
        values 1 present, 0 absent, -1 uncertain, empty = not stated, no row; for other values
        {form = "wide", columns = ..., present = ["Y"], absent = ["N"], uncertain = ["?"]}.
        {form = "list", column = "Finding Labels", vocabulary = [...], separator = "|"}: a cell lists what is present,
        the rest of the vocabulary is absent.
        {form = "long", file = "labels.csv", columns = {...}}: a row per statement.
        `source` in it names who states them ("stated").
    where: file's column -> the value, or values, of the rows that are read.
    keep: further columns of the file to carry along (a collection, a near_dup_group).
    defaults: our column -> one value for all rows.
    spellings: our column -> the file's word -> ours, for words that only its owner understands: {"sex": {"1": "M",
        "2": "F"}}. Views, sexes, ages and dates in the usual spellings need none.

    Returns a Source. Views that are not understood are UNKNOWN and noted in `source_note`, which the cohort counts.

    Raises InputError with all problems of a kind at once: columns, ages, spellings of sex, findings, label values.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> _ = (root / "t.csv").write_text("file,pat,Effusion\\na.png,007,1\\nb.png,008,\\n")
    >>> source = read(root, images="t.csv", columns={"image_id": "file", "path": "file", "patient_id": "pat"},
    ...               defaults={"site": "a"}, labels=["Effusion"])
    >>> source.labels.rows()
    [('a.png', 'pleural_effusion', 'stated', 'present')]
    """
    file = Path(root) / images
    rows = stated.as_text(tables.frame_of(file))
    _check_columns(rows, file, columns, keep, defaults or {})
    rows = _chosen(rows, where or {}, file)
    frame = rows.select(
        *(pl.col(column).alias(name) for name, column in columns.items()),
        *(pl.lit(value).alias(name) for name, value in (defaults or {}).items()),
        *(pl.col(column) for column in keep),
    )
    frame = _respelt(frame, spellings or {})
    if "dataset" not in frame.columns:
        frame = frame.with_columns(dataset=pl.lit("table"))
    notes: list[tables.Note] = []
    checked = tables.check(_folded(frame, file), "images", where=file, notes=notes)
    if labels is None:
        return Source(checked, tables.empty("labels"), notes=tuple(notes))
    keyed = rows.drop("case_id", strict=False).with_columns(checked["case_id"])
    spec = labels if isinstance(labels, Mapping) and "form" in labels else {"form": "wide", "columns": labels}
    found = stated.labels(keyed, {"source": "stated", **spec}, Path(root), file, notes=notes)
    return Source(checked, found, notes=tuple(notes))


def _check_columns(
    rows: pl.DataFrame, file: Path, columns: Mapping[str, str], keep: Sequence[str], defaults: Mapping[str, str]
) -> None:
    ours = tables.schema("images").column_names()
    problems = [
        InputError(file, f"a column '{column}'", "none", do=did_you_mean(column, rows.columns))
        for column in dict.fromkeys([*columns.values(), *keep])
        if column not in rows.columns
    ]
    problems += [
        InputError(
            "columns" if name in columns else "defaults", "columns of the table of images", f"'{name}'",
            do=did_you_mean(name, ours) or "Name columns of your own in `keep`.",
        )
        for name in [*columns, *defaults]
        if name not in ours
    ]  # fmt: skip
    problems += [
        InputError("columns", f"a column for {name}", "none", do="Map it in `columns` or give it in `defaults`.")
        for name in _NEEDED
        if name not in columns and name not in defaults
    ]
    problems += [InputError("defaults", f"{name} once", "it in `columns` too") for name in defaults if name in columns]
    problems += [
        InputError("keep", "columns with names of their own", f"'{c}', a column of ours", do="Map it in `columns`.")
        for c in keep
        if c in ours
    ]
    if problems:
        raise InputError.all(problems)


def _chosen(rows: pl.DataFrame, where: Mapping[str, Any], file: Path) -> pl.DataFrame:
    for column, wanted in where.items():
        if column not in rows.columns:
            raise InputError(file, f"a column '{column}'", "none", do=did_you_mean(column, rows.columns))
        values = [str(v) for v in (wanted if isinstance(wanted, list | tuple) else [wanted])]
        there = rows[column].unique().drop_nulls().sort().to_list()
        absent = [v for v in values if v not in there]
        if absent:
            hint = did_you_mean(absent[0], there)
            raise InputError(file, f"rows with {column} = {', '.join(absent)}", "others only", examples=there, do=hint)
        rows = rows.filter(pl.col(column).is_in(values))
    return rows


def _respelt(frame: pl.DataFrame, spellings: Mapping[str, Mapping[str, str]]) -> pl.DataFrame:
    for name, words in spellings.items():
        if name not in frame.columns:
            raise InputError("spellings", "columns that are mapped", f"'{name}'", do=did_you_mean(name, frame.columns))
        ours = {str(theirs): str(our) for theirs, our in words.items()}
        frame = frame.with_columns(pl.col(name).str.strip_chars().replace(ours))
    return frame


def plain(path: Path, *, notes: list[tables.Note] | None = None) -> pl.DataFrame:
    """A table of images whose columns are ours already; in a CSV view, sex, age and date may be spelt as people do.

    Raises InputError as `read` does, and for columns that are missing.
    """
    frame = tables.frame_of(path)
    if path.name.endswith(".parquet") or "image_id" not in frame.columns:
        return tables.check(frame, "images", where=path, notes=notes)
    return tables.check(_folded(frame, path), "images", where=path, notes=notes)


def _folded(frame: pl.DataFrame, file: Path) -> pl.DataFrame:
    problems: list[InputError] = []
    if "view" in frame.columns:
        frame = folding.views(frame)
    if "sex" in frame.columns:
        frame, found = folding.sexes(frame, file)
        problems += found
    if "age_years" in frame.columns:
        frame, found = folding.ages(frame, file, known_errors=False)
        problems += found
    if problems:
        raise InputError.all(problems)
    return folding.dates(frame, "acquired", file) if "acquired" in frame.columns else frame
