"""Any table of images (CSV or Parquet) beside a folder of them, its columns mapped to ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from overread import tables
from overread.datasets.fields import label_layouts, normalise
from overread.datasets.source_files import locations
from overread.errors import InputError, did_you_mean
from overread.findings import Vocabulary
from overread.tables import Source
from overread.tables.identifiers.identity import canonical

_NEEDED = ("image_id", "patient_id", "site")
_NO_FILE = "no file there: the folder holds a part of the set"


def read(
    root: Path,
    *,
    images: str,
    columns: Mapping[str, str],
    labels: Mapping[str, Any] | Sequence[Any] | None = None,
    where: Mapping[str, Any] | None = None,
    keep: Sequence[str] = (),
    defaults: Mapping[str, str] | None = None,
    spellings: Mapping[str, Mapping[str, str]] | None = None,
    encoding: str = "",
    subset: bool = False,
    vocabulary: Vocabulary | None = None,
) -> Source:
    """Read a source from a table of images of any layout.

    Parameters
    ----------
    root: the folder; `images` and the paths in the table are relative to it.
    images: the table's file name: .csv, .csv.gz or .parquet. A CSV is read as text, so "00000001" stays itself. For a
        set without a table a pattern of its image files, such as "train/*/*.jpeg": the table then has the columns path,
        file, stem and folder (the name of the file, without extension, and of the folder that it lies in).
    columns: our column -> the file's column, or a text with columns in braces: {"path" = "png/{image_id}.png",
        "case_id" = "{patient}_{visit}"}. The braces name columns of ours that are mapped, or the file's;
        {stem:^person[0-9]+} is the part of the value that the regular expression finds. image_id, patient_id and site
        are needed (here or in `defaults`). case_id is image_id where it is not mapped. Where every image is another
        patient, map patient_id to the image. path is image_id where it is not mapped. A path that is not there is found
        by its name without extension, see `locations.located`.
    labels: how labels are laid out. A column per finding: ["Effusion", ...] or {"Effusion" = "pleural_effusion"}, with
        values 1 present, 0 absent, -1 uncertain, empty = not stated, no row; for other values
        {form = "wide", columns = ..., present = ["Y"], absent = ["N"], uncertain = ["?"]}.
        {form = "list", column = "Finding Labels", vocabulary = [...], separator = "|"}: a cell lists what is present,
        the rest of the vocabulary is absent. A vocabulary {"COVID-19" = "covid_19", "Normal" = "no_finding"} maps the
        file's words to findings: one, several ([...]) or none ("").
        {form = "long", file = "labels.csv", columns = {...}}: a row per statement. It takes such a vocabulary too.
        {form = "constant", findings = {tuberculosis = "present"}}: the same for every image.
        `source` in it names who states them ("stated"). Several of these layouts can be given as a list.
    where: file's column -> the value, or values, of the rows that are read. Labels of a file of their own that are
        about the other rows are left out and counted: one file may hold the labels of several sources.
    keep: further columns of the file to carry along (a collection, a near_dup_group).
    defaults: a column -> one value for all rows: {"site" = "north", "view" = "PA", "collection" = "A"}.
    spellings: our column -> the file's word -> ours, for words that only its owner understands: {"sex": {"1": "M",
        "2": "F"}}. Views, sexes, ages, modalities, body parts and dates in the usual spellings need none.
    encoding: of the text, such as "cp1252"; "" = as `tables.frame_of` finds it.
    subset: whether the folder holds a part of the set only. Rows without file are then left out and counted in the
        flow. Otherwise they count as missing images (`max_unreadable` of the cohort).
    vocabulary: the findings that labels may name; None = those of "chest".

    Returns a Source. Views that are not understood are UNKNOWN and noted in `source_note`, as are approximate ages
    ("50+", "early 40s"). The cohort counts these notes.

    Raises InputError with all problems of a kind at once: columns, ages, spellings of sex, findings, label values,
    files.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> _ = (root / "t.csv").write_text("file,pat,Effusion\\na.png,007,1\\nb.png,008,\\n")
    >>> source = read(root, images="t.csv", columns={"image_id": "file", "path": "file", "patient_id": "pat"},
    ...               defaults={"site": "a"}, labels=["Effusion"])
    >>> source.labels.rows()
    [('a.png', 'pleural_effusion', 'stated', 'present')]
    """
    file = Path(root) / images
    if any(c in images for c in "*?["):
        rows, columns = locations.listing(Path(root), images), {"path": "path", **columns}
    else:
        rows = tables.frame_of(file, encoding=encoding)
        _refuse_flags(rows, columns, file)
        rows = label_layouts.as_text(rows)
    _check_columns(rows, file, columns, keep, defaults or {})
    every, rows = rows, _chosen(rows, where or {}, file)
    frame = _mapped(rows, columns, keep, defaults or {})
    frame = _respelt(frame, spellings or {})
    if "dataset" not in frame.columns:
        frame = frame.with_columns(dataset=pl.lit("table"))
    notes: list[tables.Note] = []
    checked = tables.check(_folded(frame, file), "images", where=file, notes=notes)
    places = locations.located(checked["path"], Path(root), file)
    checked = checked.with_columns(places.paths.alias("path"))
    made = tables.empty("labels")
    if labels is not None:
        keyed = rows.drop("case_id", strict=False).with_columns(checked["case_id"])
        how = {"encoding": encoding, "notes": notes, "vocabulary": vocabulary}
        made = _labels(keyed, labels, Path(root), file, how)
    made, said = _of_these(made, checked, _mapped(every, columns, keep, defaults or {})) if where else (made, ())
    source = Source(checked, made, notes=(*notes, *places.notes, *said))
    return _present(source, places.present, file) if subset else source


def _mapped(
    rows: pl.DataFrame, columns: Mapping[str, str], keep: Sequence[str], defaults: Mapping[str, str]
) -> pl.DataFrame:
    """The table of images: columns under our names, constants, and texts filled from both."""
    templates = {name: text for name, text in _with_path(columns, defaults).items() if locations.fields(text)}
    plain = rows.select(
        *(pl.col(column).alias(name) for name, column in columns.items() if name not in templates),
        *(pl.lit(value).cast(pl.String).alias(name) for name, value in defaults.items()),
        *(pl.col(column) for column in keep),
    )
    both = plain.hstack(rows.select(pl.all().name.prefix("_file ")))
    names = {c: f"_file {c}" for c in rows.columns} | {c: c for c in plain.columns}
    return both.select(*plain.columns, *(locations.filled(text, names).alias(name) for name, text in templates.items()))


def _refuse_flags(rows: pl.DataFrame, columns: Mapping[str, str], file: Path) -> None:
    """Refuse true and false where a number belongs, before they become 1 and 0 as labels do."""
    own = tables.schema("images").columns()
    wrong = [c for name, c in columns.items() if name in own and own[name].dtype.is_numeric() and c in rows.columns]
    if wrong := [f"'{c}'" for c in wrong if rows.schema[c] == pl.Boolean]:
        raise InputError(file, "columns of numbers", f"{len(wrong)} of true and false", examples=wrong)


def _with_path(columns: Mapping[str, str], defaults: Mapping[str, str]) -> Mapping[str, str]:
    return columns if "path" in columns or "path" in defaults else {**columns, "path": "{image_id}"}


def _labels(rows: pl.DataFrame, labels: Any, root: Path, file: Path, how: Mapping[str, Any]) -> pl.DataFrame:
    """The labels of every layout that is given; `how` is what `label_layouts.labels` takes by keyword."""
    several = isinstance(labels, Sequence) and bool(labels) and all(isinstance(part, Mapping) for part in labels)
    made = []
    for part in labels if several else [labels]:
        spec = part if isinstance(part, Mapping) and "form" in part else {"form": "wide", "columns": part}
        made.append(label_layouts.labels(rows, {"source": "stated", **spec}, root, file, **how))
    return tables.check(pl.concat(made), "labels", where=f"{file}, labels", vocabulary=how["vocabulary"])


def _of_these(labels: pl.DataFrame, images: pl.DataFrame, every: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The labels without those of cases that other rows of the table hold, and a note on these.

    Labels of cases that the table does not hold at all stay, and are counted by the cohort.
    """
    cases = canonical(every["case_id" if "case_id" in every.columns else "image_id"])
    others = cases.filter(~cases.is_in(images["case_id"].implode())).unique()
    mine = labels.filter(~pl.col("case_id").is_in(others.implode()))
    n = labels.height - mine.height
    return mine, (f"{n:,} labels are about rows of the table that `where` leaves out: left out",) if n else ()


def _present(source: Source, present: pl.Series, file: Path) -> Source:
    """The source without the images whose file is not there, which are counted as left out."""
    lost = source.images.filter(~present)
    if lost.height == source.images.height:
        do = 'Check the root and `path`: columns = { path = "png/{image_id}.png" }.'
        expected = "files of some of the images below the root"
        raise InputError(file, expected, f"none of {lost.height:,}", examples=lost["path"].head(5), do=do)
    gone = lost.join(source.images.filter(present), on="case_id", how="anti").select("case_id").unique()
    excluded = lost.select(
        pl.coalesce("path", "image_id").alias("path"), "site", reason=pl.lit(_NO_FILE), unreadable=pl.lit(False)
    )
    return replace(
        source,
        images=source.images.filter(present),
        labels=source.labels.join(gone, on="case_id", how="anti"),
        excluded=tables.check(excluded, "excluded", where=file),
    )


def _check_columns(
    rows: pl.DataFrame, file: Path, columns: Mapping[str, str], keep: Sequence[str], defaults: Mapping[str, str]
) -> None:
    ours = tables.schema("images").column_names()
    templates = {name: text for name, text in columns.items() if locations.fields(text)}
    plain = [name for name in [*columns, *defaults] if name not in templates]
    problems = [
        InputError(file, f"a column '{column}'", "none", do=did_you_mean(column, rows.columns))
        for column in dict.fromkeys([*(c for n, c in columns.items() if n not in templates), *keep])
        if column not in rows.columns
    ]
    problems += locations.check_fields(templates, [*rows.columns, *plain], "columns")
    problems += [
        InputError(
            "columns",
            "columns of the table of images",
            f"'{name}'",
            do=did_you_mean(name, ours) or "Name columns of your own in `keep`.",
        )
        for name in columns
        if name not in ours
    ]
    problems += [
        InputError("defaults", "a column of the table of images, or one of your own", f"'{name}'", do=hint)
        for name in defaults
        if name not in ours and (hint := did_you_mean(name, ours))
    ]
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


def _folded(frame: pl.DataFrame, file: Path) -> pl.DataFrame:
    problems: list[InputError] = []
    if "view" in frame.columns:
        frame = normalise.views(frame)
    if "modality" in frame.columns:
        frame = normalise.modalities(frame)
    if "body_part" in frame.columns:
        frame = normalise.body_parts(frame)
    if "sex" in frame.columns:
        frame, found = normalise.sexes(frame, file)
        problems += found
    if "age_years" in frame.columns:
        frame, found = normalise.ages(frame, file)
        problems += found
    if problems:
        raise InputError.all(problems)
    return normalise.dates(frame, "acquired", file) if "acquired" in frame.columns else frame
