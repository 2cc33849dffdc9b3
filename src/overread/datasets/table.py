"""Table of images (CSV or Parquet) beside a folder of images, with a mapping of its columns."""

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
    r"""Read a source from a table of images of any layout.

    Parameters
    ----------
    root : Path
        Folder; `images` and the paths in the table are relative to it.
    images : str
        File name of the table: .csv, .csv.gz or .parquet. A CSV is read as text, so that "00000001" is not changed.
        For a set without a table, a pattern of its image files, such as "train/*/*.jpeg": the table then has the
        columns path, file (file name), stem (file name without extension) and folder (name of the folder).
    columns : mapping
        Column of the table of images -> column of the file, or a template with columns in braces: {"path" =
        "png/{image_id}.png", "case_id" = "{patient}_{visit}"}. Braces name mapped columns or columns of the file;
        {stem:^person[0-9]+} is the part of the value that matches the regular expression. image_id, patient_id and
        site are required, here or in `defaults`. case_id and path default to image_id. If every image is of a
        different patient, map patient_id to the image. A path that does not exist is searched by its name without
        extension, see `locations.located`.
    labels : mapping, sequence, optional
        Layout of the labels, or a list of layouts. Key `source` names the label source (default "stated").

        - Wide: a column per finding, ["Effusion", ...] or {"Effusion" = "pleural_effusion"}, with values 1 present, 0
          absent, -1 uncertain and empty for not stated; other values with {form = "wide", columns = ..., present =
          ["Y"], absent = ["N"], uncertain = ["?"]}.
        - List: {form = "list", column = "Finding Labels", vocabulary = [...], separator = "|"}; a cell lists the
          findings that are present, and the rest of the vocabulary is absent. {"COVID-19" = "covid_19", "Normal" =
          "no_finding"} as vocabulary maps each word to one finding, several ([...]) or none ("").
        - Long: {form = "long", file = "labels.csv", columns = {...}}; one row per statement, optionally with such a
          vocabulary.
        - Constant: {form = "constant", findings = {tuberculosis = "present"}}; the same for every image.
    where : mapping, optional
        Column of the file -> value or values of the rows to read. Labels in a separate file about other rows are
        dropped and counted: one file may hold the labels of several sources.
    keep : sequence of str
        Further columns of the file to add to the images.
    defaults : mapping, optional
        Column -> one value for all rows, such as {"site" = "north", "view" = "PA"}.
    spellings : mapping, optional
        Column -> {value in the file: standard value} for codes that only the owner knows: {"sex": {"1": "M", "2":
        "F"}}. Common spellings of view, sex, age, modality, body part and date need no entry.
    encoding : str
        Encoding of the text, such as "cp1252"; "" = detected by `tables.frame_of`.
    subset : bool
        Whether the folder holds only a part of the set. Rows without file are then excluded and counted in the flow;
        otherwise they count as missing images (`max_unreadable` of the cohort).
    vocabulary : Vocabulary, optional
        Findings that labels, regions and reads may name. None = the vocabulary "chest".

    Returns
    -------
    Source
        Images, labels and notes. Unknown views become UNKNOWN; these and approximate ages ("50+", "early 40s") are
        noted in `source_note`, which the cohort counts.

    Raises
    ------
    InputError
        Columns, ages, spellings of sex, findings, label values or files are invalid; all problems of a kind are
        reported at once.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> _ = (root / "t.csv").write_text("file,pat,Effusion\na.png,007,1\nb.png,008,\n")
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
    all_rows, rows = rows, _chosen(rows, where or {}, file)
    frame = _mapped(rows, columns, keep, defaults or {})
    frame = _respelt(frame, spellings or {})
    if "dataset" not in frame.columns:
        frame = frame.with_columns(dataset=pl.lit("table"))
    notes: list[tables.Note] = []
    checked: pl.DataFrame = tables.check(_folded(frame, file), "images", where=file, notes=notes)
    places = locations.located(checked["path"], Path(root), file)
    checked = checked.with_columns(places.paths.alias("path"))
    label_table = tables.empty("labels")
    if labels is not None:
        keyed = rows.drop("case_id", strict=False).with_columns(checked["case_id"])
        how = {"encoding": encoding, "notes": notes, "vocabulary": vocabulary}
        label_table = _labels(keyed, labels, Path(root), file, how)
    label_table, selection_notes = (
        _of_these(label_table, checked, _mapped(all_rows, columns, keep, defaults or {}))
        if where
        else (label_table, ())
    )
    source = Source(checked, label_table, notes=(*notes, *places.notes, *selection_notes))
    return _present(source, places.present, file) if subset else source


def _mapped(
    rows: pl.DataFrame, columns: Mapping[str, str], keep: Sequence[str], defaults: Mapping[str, str]
) -> pl.DataFrame:
    """The table of images: renamed columns, constants, and filled templates."""
    templates = {name: text for name, text in _with_path(columns, defaults).items() if locations.fields(text)}
    plain = rows.select(
        *(pl.col(column).alias(name) for name, column in columns.items() if name not in templates),
        *(pl.lit(value).cast(pl.String).alias(name) for name, value in defaults.items()),
        *(pl.col(column) for column in keep),
    )
    combined = plain.hstack(rows.select(pl.all().name.prefix("_file ")))
    names = {c: f"_file {c}" for c in rows.columns} | {c: c for c in plain.columns}
    return combined.select(
        *plain.columns, *(locations.filled(text, names).alias(name) for name, text in templates.items())
    )


def _refuse_flags(rows: pl.DataFrame, columns: Mapping[str, str], file: Path) -> None:
    """Refuse true and false in numeric columns, before they become 1 and 0 as labels do."""
    own = tables.schema("images").columns()
    wrong = [c for name, c in columns.items() if name in own and own[name].dtype.is_numeric() and c in rows.columns]
    if wrong := [f"'{c}'" for c in wrong if rows.schema[c] == pl.Boolean]:
        raise InputError(file, "columns of numbers", f"{len(wrong)} of true and false", examples=wrong)


def _with_path(columns: Mapping[str, str], defaults: Mapping[str, str]) -> Mapping[str, str]:
    return columns if "path" in columns or "path" in defaults else {**columns, "path": "{image_id}"}


def _labels(rows: pl.DataFrame, labels: Any, root: Path, file: Path, how: Mapping[str, Any]) -> pl.DataFrame:
    """Labels of every layout that is given; `how` holds keyword arguments of `label_layouts.labels`."""
    is_list = isinstance(labels, Sequence) and bool(labels) and all(isinstance(part, Mapping) for part in labels)
    tables_of_layouts = []
    for part in labels if is_list else [labels]:
        spec = part if isinstance(part, Mapping) and "form" in part else {"form": "wide", "columns": part}
        tables_of_layouts.append(label_layouts.labels(rows, {"source": "stated", **spec}, root, file, **how))
    return tables.check(pl.concat(tables_of_layouts), "labels", where=f"{file}, labels", vocabulary=how["vocabulary"])


def _of_these(labels: pl.DataFrame, images: pl.DataFrame, every: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Drop labels of cases in rows that were not selected, and count them in a note.

    Labels of cases that the table does not hold at all are kept; the cohort counts them.
    """
    cases = canonical(every["case_id" if "case_id" in every.columns else "image_id"])
    others = cases.filter(~cases.is_in(images["case_id"].implode())).unique()
    mine = labels.filter(~pl.col("case_id").is_in(others.implode()))
    n = labels.height - mine.height
    return mine, (f"{n:,} labels are about rows of the table that `where` leaves out: left out",) if n else ()


def _present(source: Source, present: pl.Series, file: Path) -> Source:
    """Drop the images without a file and count them as excluded."""
    missing_images = source.images.filter(~present)
    if missing_images.height == source.images.height:
        do = 'Check the root and `path`: columns = { path = "png/{image_id}.png" }.'
        expected = "files of some of the images below the root"
        raise InputError(
            file, expected, f"none of {missing_images.height:,}", examples=missing_images["path"].head(5), do=do
        )
    lost_cases = missing_images.join(source.images.filter(present), on="case_id", how="anti").select("case_id").unique()
    excluded = missing_images.select(
        pl.coalesce("path", "image_id").alias("path"), "site", reason=pl.lit(_NO_FILE), unreadable=pl.lit(False)
    )
    return replace(
        source,
        images=source.images.filter(present),
        labels=source.labels.join(lost_cases, on="case_id", how="anti"),
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
        InputError(
            "keep",
            "columns that the table of images does not have",
            f"'{c}', a column of the table of images",
            do="Map it in `columns`.",
        )
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
        known_values = rows[column].unique().drop_nulls().sort().to_list()
        absent = [v for v in values if v not in known_values]
        if absent:
            hint = did_you_mean(absent[0], known_values)
            raise InputError(
                file, f"rows with {column} = {', '.join(absent)}", "others only", examples=known_values, do=hint
            )
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
        frame, value_problems = normalise.sexes(frame, file)
        problems += value_problems
    if "age_years" in frame.columns:
        frame, value_problems = normalise.ages(frame, file)
        problems += value_problems
    if problems:
        raise InputError.all(problems)
    return normalise.dates(frame, "acquired", file) if "acquired" in frame.columns else frame
