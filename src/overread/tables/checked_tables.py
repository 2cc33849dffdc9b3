"""Validation, reading and writing of tables.

Key columns are never null ("" = does not apply). Identifiers are text. Missing values are null. All problems of a table
are reported in one error, and further columns are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NewType

import dataframely as dy
import polars as pl

from overread.errors import InputError, did_you_mean
from overread.findings import Vocabulary
from overread.findings import load as load_vocabulary
from overread.tables.identifiers.identity import KIND
from overread.tables.identifiers.key_columns import identified, repeats_advice
from overread.tables.schemas import SCHEMAS
from overread.tables.storage.files import replacing
from overread.tables.table_notes import Note
from overread.tables.text.delimited import load, number_advice
from overread.tables.text.spreadsheet import marked

# A table that `check` has validated: where it is asked for, nothing is validated a second time.
Checked = NewType("Checked", pl.DataFrame)


@dataclass(frozen=True, slots=True)
class Source:
    """The tables of a data source.

    Attributes
    ----------
    images, labels : DataFrame
        The tables of these names.
    regions, reads : DataFrame or None
        The tables of these names, if the source has them.
    notes : tuple of str or Note
        Facts about the whole source, such as a count that differs from the published one; the flow shows them.
    excluded : DataFrame or None
        The files that the source excluded, with reasons (schema "excluded").
    name : str
        The name of the source in a protocol.
    max_unreadable : float or None
        The share (0 to 1) of images of this source that may be missing or unreadable; None = that of the cohort.
    """

    images: pl.DataFrame
    labels: pl.DataFrame
    regions: pl.DataFrame | None = None
    reads: pl.DataFrame | None = None
    notes: tuple[str | Note, ...] = ()
    excluded: pl.DataFrame | None = None
    name: str = ""
    max_unreadable: float | None = None

    def __repr__(self) -> str:
        named = (("images", self.images), ("labels", self.labels), ("regions", self.regions), ("reads", self.reads))
        rows = [f"{frame.height:,} {table}" for table, frame in named if frame is not None]
        title = f"Source {self.name}".rstrip()
        return "\n".join([f"{title}: {', '.join(rows)}", *(f"  {note}" for note in self.notes)])


OLDEST = 120.0  # years: the oldest age that is taken for one

# A column that may be left out of a file; what stands in its place (null where no value is named).
_DEFAULTS: dict[str, Any] = {"shift": "none", "weight": 1.0, "view": "UNKNOWN", "split": "", "round": 1, "number": 1}
_REQUIRED = {
    "images": ("image_id", "patient_id", "site"),
    "labels": ("case_id", "finding", "source", "state"),
    "regions": ("image_id", "finding", "source", "x", "y", "width", "height"),
    "predictions": ("image_id", "finding", "model", "score"),
    "case_predictions": ("case_id", "finding", "model", "score"),
    "thresholds": ("model", "finding", "name", "threshold"),
    "reads": ("reader", "case_id", "finding", "arm"),
    "made_by": ("source", "case_id", "reader"),
    "sittings": ("reader", "case_id", "arm"),
    "flow": ("step", "unit", "reason", "count"),
    "excluded": ("path", "reason", "unreadable"),
}
STATED_FINDINGS = ("labels", "regions", "predictions", "case_predictions", "thresholds", "reads")


def schema(table: str) -> type[dy.Schema]:
    """Return the dataframely schema of a table.

    Parameters
    ----------
    table : str
        The name of the table.

    Returns
    -------
    type
        The schema.

    Raises
    ------
    InputError
        There is no table of this name.
    """
    if table not in SCHEMAS:
        raise InputError("table", f"one of {', '.join(SCHEMAS)}", f"'{table}'", do=did_you_mean(table, SCHEMAS))
    return SCHEMAS[table]


def empty(table: str) -> pl.DataFrame:
    """Return a table without rows.

    Parameters
    ----------
    table : str
        The name of the table.

    Returns
    -------
    DataFrame
        The table with all columns and no rows.
    """
    return schema(table).create_empty()


def fill(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """Add the missing columns of a table: keys are "", counts and values null, numbers of a result NaN.

    Parameters
    ----------
    frame : DataFrame
        The rows.
    table : str
        The name of the table.

    Returns
    -------
    DataFrame
        The frame with all columns.

    Examples
    --------
    >>> fill(pl.DataFrame({"case_id": ["1"], "finding": ["edema"], "state": ["present"]}), "labels")["source"].item()
    ''
    """
    columns = schema(table).columns()
    keys = schema(table).primary_key()
    made = []
    for name, column in columns.items():
        if name in frame.columns:
            continue
        if name == "case_id" and table == "images" and "image_id" in frame.columns:
            made.append(pl.col("image_id").alias("case_id"))
            continue
        value = _DEFAULTS.get(name, "" if name in keys and column.dtype == pl.String else None)
        if value is None and column.dtype == pl.Float64 and not column.nullable:
            value = float("nan")
        made.append(pl.lit(value, dtype=column.dtype).alias(name))
    order = list(columns) + [c for c in frame.columns if c not in columns]
    return frame.with_columns(made).select(order)


def identify(frame: pl.DataFrame, table: str, *, where: object = "", notes: list[Note] | None = None) -> pl.DataFrame:
    """Convert the identifying columns of a frame to canonical text, see `overread.tables.identifiers.identity`.

    `check` does the same; this function is for frames whose other columns are not yet those of the table.

    Parameters
    ----------
    frame : DataFrame
        The rows.
    table : str
        The name of the table.
    where : object
        The place named in messages.
    notes : list of Note, optional
        A list to which changes of identifiers, and similar identifiers, are added.

    Returns
    -------
    DataFrame
        The frame with canonical identifiers.

    Raises
    ------
    InputError
        Values that cannot be identifiers: words for missing values, rounded numbers, dates.
    """
    identified_frame, problems = identified(
        frame, table, schema(table).columns(), where=str(where) or table, notes=notes
    )
    if problems:
        raise InputError.all(problems)
    return identified_frame


def check(
    frame: pl.DataFrame,
    table: str,
    *,
    where: object = "",
    notes: list[Note] | None = None,
    vocabulary: Vocabulary | None = None,
) -> Checked:
    """Validate a table and return it with the types and all columns of its schema; further columns are kept.

    Parameters
    ----------
    frame : DataFrame
        The rows.
    table : str
        The name of the table.
    where : object
        The place named in messages.
    notes : list of Note, optional
        A list to which changes of identifiers, and similar identifiers, are added.
    vocabulary : Vocabulary, optional
        The findings that the table may name; None = the vocabulary "chest".

    Returns
    -------
    Checked
        The validated table: a DataFrame by another name, which functions that do not validate again ask for.

    Raises
    ------
    InputError
        All problems of the table, in one error: missing or misspelt columns, values of the wrong type, unknown words,
        values that cannot be identifiers, and keys that are null or repeated.
    """
    place = str(where) or table
    rules = schema(table)
    problems = _missing_columns(frame, table, place)
    if problems:
        raise InputError.all(problems)
    frame, problems = identified(frame, table, rules.columns(), where=place, notes=notes)
    full = _without_old_ages(fill(frame, table)) if table == "images" else fill(frame, table)
    problems += _partly_weighted(full, place)
    defaults = {c: v for c, v in _DEFAULTS.items() if c in rules.columns()} | dict.fromkeys(_words(rules), "")
    fillable = {c: v for c, v in defaults.items() if _convertible(full.schema[c], rules.columns()[c].dtype)}
    full = full.with_columns(pl.col(c).fill_null(v) for c, v in fillable.items())
    own, extra = full.select(rules.column_names()), [c for c in full.columns if c not in rules.columns()]
    typed, bad = _typed(own, table)
    problems += _bad_values(typed, bad, own, table, place)
    if table in STATED_FINDINGS:
        problems += _unknown_findings(typed, vocabulary or load_vocabulary(), place)
    if problems:
        raise InputError.all(problems)
    return Checked(typed.hstack(full.select(extra)) if extra else typed)


def _words(rules: type[dy.Schema]) -> list[str]:
    """Return the text key columns that are not identifiers outside of results: null in a file is "", "does not
    apply".
    """
    text = {c: column for c, column in rules.columns().items() if column.dtype == pl.String}
    return [c for c in rules.primary_key() if c in text and KIND not in (text[c].metadata or {})]


def _without_old_ages(images: pl.DataFrame) -> pl.DataFrame:
    """Set ages above 120 years to missing and note them in `source_note`, which cohort and evaluation count.

    An impossible age is no reason to exclude an image: ChestX-ray14 has ages of 148 and more, 155 being common.
    """
    if not _convertible(images.schema["age_years"], pl.Float64()):
        return images  # which is refused with the other columns of a wrong type
    age = images["age_years"].cast(pl.Float64, strict=False)
    old = (age > OLDEST).fill_null(False) & age.is_finite().fill_null(False)
    if not old.any():
        return images
    text = images["age_years"].cast(pl.String).str.replace(r"\.0$", "")
    note = pl.when(old).then(pl.format("age {} is above 120 years: not stated", text))
    note_text = (
        pl.concat_str("source_note", note, separator="; ", ignore_nulls=True)
        if "source_note" in images.columns
        else note
    )
    return images.with_columns(
        pl.when(~old).then(pl.col("age_years")).alias("age_years"), note_text.replace("", None).alias("source_note")
    )


def _partly_weighted(full: pl.DataFrame, place: str) -> list[InputError]:
    """Refuse a column of weights with missing values, which would otherwise become 1."""
    if "weight" not in full.columns or full["weight"].null_count() in (0, full.height):
        return []
    lone = full.filter(pl.col("weight").is_null())
    return [
        InputError(
            place,
            "a weight in every row, or in none",
            f"{lone.height:,} rows without one",
            examples=lone[full.columns[0]].head(5),
            do="Give the inverse of each one's probability of inclusion.",
        )
    ]


def _missing_columns(frame: pl.DataFrame, table: str, place: str) -> list[InputError]:
    required = _REQUIRED.get(table, tuple(schema(table).primary_key()))
    spare = [c for c in frame.columns if c not in schema(table).columns()]
    missing = [c for c in required if c not in frame.columns]
    return [
        InputError(
            place,
            f"a column '{c}'",
            f"columns {', '.join(frame.columns) or '(none)'}",
            do=did_you_mean_column(c, spare),
        )
        for c in missing
    ]


def did_you_mean_column(column: str, spare: list[str]) -> str:
    """Suggest what to do about a missing column: rename a similar one, or add it."""
    near = did_you_mean(column, spare)
    return f"{near} Rename it to '{column}'." if near else f"Add the column '{column}'."


def _typed(own: pl.DataFrame, table: str) -> tuple[pl.DataFrame, dict[str, pl.Series]]:
    """Convert every column to its type (null if impossible); return also the rows that could not be converted, by
    column.
    """
    typed_columns, bad = [], {}
    for name, column in schema(table).columns().items():
        values = own[name]
        typed = _cast(values, column.dtype)
        wrong = values.is_not_null() & typed.is_null()
        if wrong.any():
            bad[name] = wrong
        typed_columns.append(typed.alias(name))
    return pl.DataFrame(typed_columns), bad


def _convertible(given: pl.DataType, wanted: pl.DataType) -> bool:
    """Return whether values of a type can be converted: dates are not numbers of days, Booleans are not 0 and 1."""
    if given.is_nested() or given in (pl.Binary, pl.Time, pl.Duration, pl.Object):
        return False
    if given.is_temporal():
        return wanted.is_temporal()
    if wanted.is_temporal():
        return given in (pl.String, pl.Null)
    return not (given == pl.Boolean and wanted.is_numeric())


def _cast(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    if values.dtype == dtype:
        return values
    if not _convertible(values.dtype, dtype):
        return pl.Series(values.name, [None] * values.len(), dtype=dtype)
    if values.dtype == pl.String and dtype == pl.Date:
        return values.str.to_date("%Y-%m-%d", strict=False)
    if values.dtype == pl.String and dtype == pl.Datetime:
        return values.str.to_datetime(strict=False).cast(dtype)
    if isinstance(dtype, pl.Enum):
        return values.cast(pl.String).cast(dtype, strict=False)
    if values.dtype == pl.Boolean and dtype == pl.String:
        return values.cast(pl.Int8).cast(dtype)
    return values.cast(dtype, strict=False)


def _bad_values(
    typed: pl.DataFrame, bad: dict[str, pl.Series], own: pl.DataFrame, table: str, place: str
) -> list[InputError]:
    rules = schema(table)
    problems = [
        _problem(f"{name}|dtype", int(wrong.sum()), own.filter(wrong), rules, place) for name, wrong in bad.items()
    ]
    _, failure = rules.filter(typed)
    counts, details = failure.counts(), failure.details() if len(failure) else None
    for rule, count in counts.items():
        name, _, kind = rule.partition("|")
        if kind == "nullability" and name in bad:  # an unreadable value was told above; null is no second problem
            count -= int(bad[name].sum())
        if count and details is not None:
            problems.append(_problem(rule, count, details.filter(pl.col(rule) == "invalid"), rules, place))
    return problems


def _problem(rule: str, count: int, rows: pl.DataFrame, rules: type[dy.Schema], place: str) -> InputError:
    if rule == "primary_key":
        keys = rules.primary_key()
        examples = [" / ".join(str(v) for v in r) for r in rows.select(keys).unique(maintain_order=True).head(5).rows()]
        return InputError(
            place,
            f"one row per {', '.join(keys)}",
            f"{count:,} rows with a repeated key",
            examples=examples,
            do=repeats_advice(rows.select(rules.column_names()), keys),
        )
    name, _, kind = rule.partition("|")
    column = rules.columns()[name]
    shown = rows[name].cast(pl.String, strict=False).unique(maintain_order=True).head(5).to_list()
    expected = {
        "nullability": f"a value in every row of '{name}'",
        "nan": f"numbers in '{name}'",
        "inf": f"finite numbers in '{name}'",
        "dtype": f"{_kind(column)} in '{name}'",
    }.get(kind, f"{_kind(column)} in '{name}' ({_limit(column, kind)})")
    do = did_you_mean(str(shown[0]), column.categories) if isinstance(column, dy.Enum) and shown[0] is not None else ""
    if kind == "dtype" and column.dtype.is_numeric():
        do = number_advice(shown)
    found = f"{count:,} row{'s' * (count > 1)}"
    return InputError(place, expected, found, examples=["(empty)" if s is None else s for s in shown], do=do)


def _kind(column: dy.Column) -> str:
    if isinstance(column, dy.Enum):
        return "one of " + ", ".join(repr(str(c)) for c in column.categories)
    kinds: dict[Any, str] = {
        pl.Float64: "a number",
        pl.Int32: "a whole number",
        pl.Int64: "a whole number",
        pl.Date: "a date",
    }
    return kinds.get(column.dtype, str(column.dtype))


def _limit(column: dy.Column, kind: str) -> str:
    words = {"min": "at least", "max": "at most", "min_exclusive": "above", "max_exclusive": "below"}
    return f"{words[kind]} {getattr(column, kind)}" if kind in words else kind


def _unknown_findings(own: pl.DataFrame, vocabulary: Vocabulary, place: str) -> list[InputError]:
    known = vocabulary.names()
    stated = own["finding"].cast(pl.String).unique().drop_nulls().sort().to_list()
    unknown = [f for f in stated if f not in known]
    if not unknown:
        return []
    hint = _named(unknown, vocabulary) or did_you_mean(unknown[0], known) or "The vocabulary: " + ", ".join(known) + "."
    hint += f' A finding of the study\'s own: --extra-findings "{unknown[0]}", or [findings.extra].'
    return [
        InputError(
            place, "findings of the vocabulary in 'finding'", f"{len(unknown)} unknown", examples=unknown, do=hint
        )
    ]


def _named(unknown: list[str], vocabulary: Vocabulary) -> str:
    """Return the findings that are known by these words in the vocabulary; "" if there is none."""
    called = []
    for word in unknown[:20]:
        try:
            called.append(f"'{word}' is '{vocabulary.resolve(word)}'")
        except InputError:
            continue
    return f"Here {', '.join(called)}." if called else ""


def read(
    path: Path | str, table: str, *, notes: list[Note] | None = None, vocabulary: Vocabulary | None = None
) -> pl.DataFrame:
    """Read and validate a table in a CSV (also .csv.gz) or Parquet file.

    A CSV file is read as text first, so that identifiers such as "00000001" are not changed.

    Parameters
    ----------
    path : path
        The file.
    table : str
        The name of the table.
    notes : list of Note, optional
        A list to which changes of identifiers, and similar identifiers, are added.
    vocabulary : Vocabulary, optional
        The findings that the table may name; None = the vocabulary "chest".

    Returns
    -------
    DataFrame
        The validated table.

    Raises
    ------
    InputError
        The file cannot be read, or `check` refuses the table.
    """
    schema(table)
    return check(frame_of(path), table, where=path, notes=notes, vocabulary=vocabulary)


def frame_of(path: Path | str, *, encoding: str = "") -> pl.DataFrame:
    """Read a CSV (as text, empty = null) or Parquet file without validation; see `load` for the dialects.

    Parameters
    ----------
    path : path
        The file.
    encoding : str
        The encoding of a text file; "" = detected.

    Returns
    -------
    DataFrame
        The content.
    """
    return load(path, encoding=encoding).frame


def write(frame: pl.DataFrame, path: Path | str, table: str, *, vocabulary: Vocabulary | None = None) -> Path:
    """Validate a table and write it atomically, as Parquet or CSV by the ending of the path.

    Parameters
    ----------
    frame : DataFrame
        The rows.
    path : path
        The file.
    table : str
        The name of the table.
    vocabulary : Vocabulary, optional
        The findings that the table may name; None = the vocabulary "chest".

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        `check` refuses the table.
    WriteError
        The file cannot be written; an earlier file is unchanged.
    """
    path = Path(path)
    checked = check(frame, table, where=f"{table} to be written to {path.name}", vocabulary=vocabulary)
    write_frame(checked, path)
    return path


def write_frame(frame: pl.DataFrame, path: Path | str, *, mode: int = 0o666) -> Path:
    """Write any frame atomically, as Parquet or CSV by the ending of the path.

    In a CSV file, text that a spreadsheet would run as a formula is preceded by an apostrophe (see
    `overread.tables.text.spreadsheet`), which `load` removes.

    Parameters
    ----------
    frame : DataFrame
        The rows.
    path : path
        The file.
    mode : int
        Permissions of the file, less the umask.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    WriteError
        The file cannot be written; an earlier file is unchanged.
    """
    path = Path(path)
    with replacing(path, mode=mode) as temporary:
        if path.name.endswith(".csv"):
            marked(frame).write_csv(temporary)
        else:
            frame.write_parquet(temporary)
    return path
