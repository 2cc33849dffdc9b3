"""Identifying columns of a table: conversion to canonical text, and refusal of values that cannot be identifiers.

The schema of a table declares which columns identify something, and what (`metadata`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dataframely as dy
import polars as pl

from overread.errors import InputError
from overread.tables.identifiers.confusables import confusable
from overread.tables.identifiers.identity import (
    HYPHENS,
    IDENTIFIER,
    KIND,
    NAME,
    IdentifierKind,
    canonical,
    folded,
    is_missing,
    look_alikes,
)
from overread.tables.table_notes import Note

# Numbers as spreadsheets and floating-point numbers are printed: 1.67683E+12, 1,67683E+12, 1e+16.
_SCIENTIFIC = r"[+-]?\d(?:[.,]\d+[eE]\+?\d{1,3}|[eE]\+\d{1,3})"
_EXPONENT = r"[+-]?\d[.,]\d+[eE]\+\d{1,3}"  # of names, which may look like numbers
_MANY, _TIMES = (
    20,
    10,
)  # images of one patient that are unusual: more than 20, and more than 10 times the next patient's
_EXACT = 2.0**53  # above, a floating-point number of 64 bits does not hold every whole number
_LONGEST = 500  # characters of an identifier or name: paths and UIDs are shorter
_FEW = 5  # distinct long numbers that all end in zeros: fewer can be chance
_TYPES = {pl.Boolean: "true and false", pl.Date: "dates", pl.Datetime: "dates and times", pl.Time: "times"}
_DIFFERENCES = "letter case, spaces, leading zeros or a trailing '.0'"


def identified(
    frame: pl.DataFrame, table: str, columns: Mapping[str, dy.Column], *, where: object, notes: list[Note] | None = None
) -> tuple[pl.DataFrame, list[InputError]]:
    """Convert every identifying column to canonical text, and list what cannot be an identifier.

    Parameters
    ----------
    frame: the rows; columns that the schema lacks are passed through.
    table, columns: the name of the table and the columns of its schema.
    where: what messages name as the place.
    notes: takes a note for everything that was changed, and for images, cases and patients that look alike.

    Returns
    -------
    The same frame if nothing changed, otherwise a new one; and the problems.
    """
    converted: list[pl.Series] = []
    problems: list[InputError] = []
    for name, column in columns.items():
        kind = (column.metadata or {}).get(KIND)
        if kind is None or name not in frame.columns:
            continue
        original = frame[name]
        text = _text(original, where, problems)
        pool = text if kind is IDENTIFIER else text.unique()  # names are few: their distinct values tell all
        values = text if canonical(pool) is pool else canonical(text)
        if notes is not None:
            notes += _changes(table, original, text, values)
            notes += _confusable(table, values, kind)
        problems += _long(values, where)
        values = _without_missing(values, kind, column.nullable, table, where, notes, problems)
        if kind is IDENTIFIER:
            problems += _rounded(values, where)
        elif kind is NAME:
            problems += _exponents(values.unique(), where)
        if kind.strict:
            problems += _spellings(values.unique(), where)
        elif kind is IDENTIFIER and notes is not None and table == "images":  # the others are joined with it
            notes += look_alike_notes(table, values)
            notes += _outlying(values) if name == "patient_id" else []
        if values is not original:
            converted.append(values)
    return (frame.with_columns(converted) if converted else frame), problems


def _text(given: pl.Series, where: object, problems: list[InputError]) -> pl.Series:
    """Convert the column to text; whole floating-point numbers lose their ".0", other types are a problem."""
    kind = given.dtype
    if kind == pl.String:
        return given
    if kind.is_integer() or isinstance(kind, pl.Categorical | pl.Enum) or kind == pl.Null:
        return given.cast(pl.String)
    name = given.name
    if not kind.is_numeric():
        found = next((words for t, words in _TYPES.items() if kind == t), f"values of the type {kind}")
        do = "Give the column as text."
        problems.append(InputError(where, f"text or whole numbers in '{name}'", found, do=do))
        return given.cast(pl.String, strict=False) if not kind.is_nested() else pl.Series(name, ["?"] * given.len())
    number = given.cast(pl.Float64)
    whole = (number.is_nan() | ((number == number.floor()) & (number.abs() <= _EXACT))).fill_null(True)
    if not whole.all():
        odd = number.filter(~whole)
        problems.append(
            InputError(
                where,
                f"text or whole numbers in '{name}'",
                f"{odd.len():,} numbers with decimals or rounded digits",
                examples=_quoted(odd.cast(pl.String)),
                do="Give the column as text.",
            )
        )
    text = number.fill_nan(None).cast(pl.Int64, strict=False).cast(pl.String)
    return text.zip_with(number.is_not_nan().fill_null(True) & whole, number.cast(pl.String))


def _changes(table: str, given: pl.Series, text: pl.Series, values: pl.Series) -> list[Note]:
    """Return notes on the changed values."""
    notes, name = [], given.name
    if given.dtype.is_float():
        count = given.is_finite().sum()
        if count:
            shown = given.filter(given.is_finite().fill_null(False)).cast(pl.String)
            what = f"values of '{name}' are numbers with a decimal point: read without it"
            notes.append(Note(table, name, what, int(count), tuple(_quoted(shown))))
    if values is text:
        return notes
    changed = text.ne_missing(values)
    padded = changed & (text.str.strip_chars() == values)
    marked = changed & ~padded & (text.str.contains(HYPHENS) | text.str.contains(r"^\W*'\d|=")).fill_null(False)
    for mask, what in (
        (padded, f"values of '{name}' had white space around them: removed"),
        (marked, f"values of '{name}' had typographic hyphens or marks of a spreadsheet: converted"),
        (
            changed & ~padded & ~marked,
            f"values of '{name}' had invisible characters, repeated white space or another "
            "Unicode normalisation form: converted",
        ),
    ):
        if mask.any():
            notes.append(Note(table, name, what, int(mask.sum()), tuple(_quoted(text.filter(mask)))))
    return notes


def _without_missing(
    values: pl.Series,
    kind: IdentifierKind,
    nullable: bool,
    table: str,
    where: object,
    notes: list[Note] | None,
    problems: list[InputError],
) -> pl.Series:
    """Convert words for missing values to null if the column may be empty; otherwise report a problem."""
    words = values if kind is IDENTIFIER else values.unique()
    words = words.filter(is_missing(words, kind) & words.is_not_null()).unique()
    if not words.len():
        return values
    missing = values.is_in(words.to_list())
    if kind.empty == "always" or (kind.empty == "whole" and (values == "").all()):
        missing &= values != ""
    if not missing.any():
        return values
    name, count, shown = values.name, int(missing.sum()), _quoted(values.filter(missing))
    if nullable:
        if notes is not None:
            what = f"values of '{name}' are words for a missing value: taken as missing"
            notes.append(Note(table, name, what, count, tuple(shown)))
        return values.set(missing, None)
    word = shown[0].strip("'")
    do = f"If '{word}' is a name here, write it in another way." if word else ""
    problems.append(
        InputError(
            where,
            f"a value in every row of '{name}'",
            f"{count:,} row{'s' * (count > 1)} with a word for a missing value",
            examples=shown,
            do=f"Give the value, or leave these rows out. {do}".strip(),
        )
    )
    return values


def _rounded(values: pl.Series, where: object) -> list[InputError]:
    """Report identifiers whose last digits a spreadsheet has replaced by an exponent or by zeros."""
    doubtful = values.filter(values.str.contains(rf"^(?:{_SCIENTIFIC}|[1-9]\d{{11,}})$").fill_null(False))
    if not doubtful.len():
        return []
    shown = doubtful.filter(doubtful.str.contains("[eE]"))
    long = doubtful.unique()
    six = long.filter(long.str.contains(r"^\d{1,6}0{6,}$"))
    fifteen = long.filter(long.str.len_bytes() > 15)
    if not shown.len() and six.len() >= _FEW and 2 * six.len() > long.len():
        shown = doubtful.filter(doubtful.is_in(six.to_list()))
    elif not shown.len() and fifteen.len() >= _FEW and fifteen.str.contains(r"^\d{15}0+$").all():
        shown = doubtful.filter(doubtful.is_in(fifteen.to_list()))
    if not shown.len():
        return []
    found = f"{shown.len():,} row{'s' * (shown.len() > 1)} with rounded numbers, {shown.n_unique():,} different"
    do = "A spreadsheet has rounded these. Export the table again with the column as text."
    return [InputError(where, f"whole identifiers in '{values.name}'", found, examples=_quoted(shown), do=do)]


def _exponents(names: pl.Series, where: object) -> list[InputError]:
    """Report names in scientific notation; "1e5" may be the name of a model, "1.5E+05" is not."""
    shown = names.filter(names.str.contains(rf"^(?:{_EXPONENT})$").fill_null(False)).sort()
    if not shown.len():
        return []
    do = "A spreadsheet has rounded these. Export the table again with the column as text."
    found = f"{shown.len():,} number{'s' * (shown.len() > 1)} in scientific notation"
    return [InputError(where, f"whole names in '{names.name}'", found, examples=_quoted(shown), do=do)]


def _outlying(patients: pl.Series) -> list[Note]:
    """Note a patient with far more images than all others, whose identifier may be a word for a missing value."""
    counts = patients.drop_nulls().value_counts(sort=True).head(2)
    if counts.height < 2:
        return []
    (most, images), (_, others) = counts.rows()
    if images <= _MANY or images <= _TIMES * others:
        return []
    what = f"of {patients.len():,} images are of one patient ({most!r}); the next has {others:,}: is it a word for a "
    return [Note("images", patients.name, f"{what}missing identifier?", images, changed=False)]


def _spellings(values: pl.Series, where: object) -> list[InputError]:
    """Report names with several spellings."""
    groups = look_alikes(values)
    if not groups:
        return []
    found = f"{len(groups):,} that {'is' if len(groups) == 1 else 'are'} spelt in several ways"
    do = f"They differ only in {_DIFFERENCES}: write each in one way."
    expected = f"each value of '{values.name}' in one spelling"
    return [InputError(where, expected, found, examples=_pairs(groups), do=do)]


def look_alike_notes(table: str, values: pl.Series) -> list[Note]:
    """Return notes on identifiers that may be two spellings of one."""
    groups = look_alikes(values)
    if not groups:
        return []
    what = (
        f"identifiers in '{values.name}' occur in several spellings that differ only in {_DIFFERENCES}: "
        "taken as different, check that they are"
    )
    return [Note(table, values.name, what, len(groups), tuple(_pairs(groups)), changed=False)]


def _confusable(table: str, values: pl.Series, kind: IdentifierKind) -> list[Note]:
    """Return notes on values that look the same but consist of different characters."""
    groups = confusable(values, within_ascii=kind.strict)
    if not groups:
        return []
    shown = tuple(" and ".join(f"'{v}' ({v!a})" for v in group[:3]) for group in groups[:5])
    what = f"values of '{values.name}' look like another one and differ in their characters: taken as different, check "
    return [Note(table, values.name, f"{what}that they are", len(groups), shown, changed=False)]


def _long(values: pl.Series, where: object) -> list[InputError]:
    """Report values that are too long for figures, tables and file names."""
    if (values.str.len_bytes().max() or 0) <= _LONGEST:  # type: ignore[operator]
        return []
    long = values.filter(values.str.len_chars() > _LONGEST)
    found = f"{long.len():,} longer ones"
    expected = f"at most {_LONGEST} characters in '{values.name}'"
    return [InputError(where, expected, found, examples=_quoted(long.str.slice(0, 40)))] if long.len() else []


def _pairs(groups: list[list[str]]) -> list[str]:
    return [" and ".join(repr(v) for v in group[:3]) for group in groups[:5]]


def spelling_hint(values: pl.Series, known: pl.Series) -> str:
    """Describe the identifiers that occur among `known` in another spelling; "" if there are none.

    Parameters
    ----------
    values : Series
        The identifiers.
    known : Series
        The known identifiers.

    Returns
    -------
    str
        A sentence with counts and an example.

    Examples
    --------
    >>> spelling_hint(pl.Series(["17", "p2"]), pl.Series(["00017", "x"]))
    "1 of 2 differs from one there only in letter case, spaces, leading zeros or a trailing '.0' ('17' and '00017')."
    """
    mine, theirs = values.drop_nulls().unique(), known.drop_nulls().unique()
    here = pl.DataFrame({"value": mine, "key": folded(mine)})
    there = pl.DataFrame({"other": theirs, "key": folded(theirs)})
    pairs = here.join(there, on="key").filter(pl.col("value") != pl.col("other"))
    pairs = pairs.sort("value", "other").unique("value", keep="first", maintain_order=True)
    if not pairs.height:
        return ""
    shown = "; ".join(f"{a!r} and {b!r}" for a, b in pairs.select("value", "other").head(3).rows())
    verb = "differs" if pairs.height == 1 else "differ"
    return f"{pairs.height:,} of {mine.len():,} {verb} from one there only in {_DIFFERENCES} ({shown})."


def repeats_advice(rows: pl.DataFrame, keys: Sequence[str]) -> str:
    """Suggest what to do about several rows with the same key.

    Parameters
    ----------
    rows : DataFrame
        The rows with repeated keys.
    keys : sequence of str
        The key columns.

    Returns
    -------
    str
        A sentence.

    Examples
    --------
    >>> repeats_advice(pl.DataFrame({"image_id": ["1", "1"], "score": [0.1, 0.2]}), ["image_id"])
    'The rows of one key have different values: keep the one that is right.'
    """
    if rows.n_unique() > rows.n_unique(keys):
        return "The rows of one key have different values: keep the one that is right."
    return "Remove the repeats."


def _quoted(values: pl.Series) -> list[str]:
    return [repr(v) for v in values.head(1000).unique(maintain_order=True).head(5)]
