"""Interpretation of the cells of labels and reads: present, absent, uncertain, or no label."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from overread import codes, tables
from overread.evaluation.join.account import TABLES, Dropped
from overread.evaluation.join.column_names import has_meaning, plain
from overread.tables.text.missing import PROGRAMS, UNKNOWN

_STATES = {
    "1": "present",
    "yes": "present",
    "y": "present",
    "true": "present",
    "t": "present",
    "positive": "present",
    "pos": "present",
    "0": "absent",
    "no": "absent",
    "n": "absent",
    "false": "absent",
    "f": "absent",
    "negative": "absent",
    "neg": "absent",
    "-1": "uncertain",
    "hedge": "uncertain",
    **{s: s for s in tables.STATES},
}
MISSING = (*PROGRAMS, *UNKNOWN)
WORDS = "1 (present), 0 (absent), -1 (uncertain), YES, NO, HEDGE, true, false"


def spelt(column: str, spellings: Mapping[str, str] | None) -> pl.Expr:
    """Return the column as stripped text, with local words replaced by those of overread."""
    text = pl.col(column).cast(pl.String).str.strip_chars()
    return text.replace({str(k): str(v) for k, v in spellings.items()}) if spellings else text


def without_missing(long: pl.DataFrame, unit: str, column: str = "said") -> tuple[pl.DataFrame, list[Dropped]]:
    """Return the rows with a value; cells with a word for a missing value are counted."""
    word = pl.col(column).str.to_lowercase()
    long = long.filter(pl.col(column).is_not_null() & (pl.col(column) != ""))
    missing = long.filter(word.is_in(MISSING))
    if missing.is_empty():
        return long, []
    shown = [f"'{w}'" for w in missing[column].unique(maintain_order=True).head(5)]
    reason = codes.note("missing_word_without_state")
    return long.filter(~word.is_in(MISSING)), [Dropped(unit, reason, missing.height, "; ".join(shown), TABLES)]


def unscored(frame: pl.DataFrame, columns: list[str]) -> tuple[pl.DataFrame, list[Dropped]]:
    """Strip the text of score columns and replace words for a missing value by null.

    Returns
    -------
    frame : DataFrame
        The frame with the cleaned columns.
    dropped : list of Dropped
        The number of words for a missing value.
    """
    text = [c for c in columns if frame.schema[c] == pl.String]
    frame = frame.with_columns(pl.col(text).str.strip_chars())
    cleaned = frame.with_columns(pl.when(~pl.col(c).str.to_lowercase().is_in(PROGRAMS)).then(c).alias(c) for c in text)
    words = pl.concat([pl.Series("said", [], pl.String), *(frame[c].filter(cleaned[c].is_null()) for c in text)])
    words = words.drop_nulls()
    if words.is_empty():
        return cleaned, []
    shown = "; ".join(f"'{w}'" for w in words.unique(maintain_order=True).head(5))
    reason = codes.note("missing_word_without_score")
    return cleaned, [Dropped("predictions", reason, words.len(), shown, TABLES)]


def state(column: str = "said") -> pl.Expr:
    """Return the state of a cell; null if its text is not a known word."""
    word = pl.col(column).str.to_lowercase().str.replace(r"^(-?\d+)\.0+$", "$1")
    return word.replace_strict(_STATES, default=None)


def missing_as_null(column: str = "said") -> pl.Expr:
    """Return the text of a cell; null if it is empty or a word for a missing value."""
    word = pl.col(column).str.to_lowercase()
    return pl.when(~word.is_in([*MISSING, ""])).then(pl.col(column))


def examples(wrong: pl.DataFrame) -> pl.Series:
    """Return up to five cells with their findings."""
    return wrong.select(pl.format("{} in {}", "said", "finding")).to_series().unique(maintain_order=True)[:5]


def findings_like(frame: pl.DataFrame, used: Mapping[str, str], table: str) -> tuple[str, ...]:
    """Return the columns of a wide file that are not used and whose cells look like those of a finding.

    `used` are the columns with their meaning. Cells of labels and reads look like findings if all are states, those of
    predictions if all are numbers from 0 to 1; two different values are required.
    """
    if "finding" in used.values():  # a long file has no columns of findings
        return ()
    columns = [c for c in frame.columns if c not in used and plain(c) and not has_meaning(c)]
    return tuple(c for c in columns if _is_like_a_finding(frame[c], table))


def _is_like_a_finding(cells: pl.Series, table: str) -> bool:
    if cells.dtype.is_temporal():
        return False
    text = cells.cast(pl.String).str.strip_chars().alias("said").to_frame()
    text = text.filter(missing_as_null().is_not_null())
    if text["said"].n_unique() < 2:
        return False
    if table in ("labels", "reads"):
        return bool(text.select(state().is_not_null().all()).item())
    number = text["said"].cast(pl.Float64, strict=False)
    return bool((number.is_not_null() & number.is_between(0, 1)).all())
