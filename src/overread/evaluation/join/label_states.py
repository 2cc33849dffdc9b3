"""The words in the cells of labels and reads: present, absent, uncertain, or nothing."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from overread import codes, tables
from overread.evaluation.join.account import TABLES, Dropped
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
    """The column as text without white space around it, the user's words replaced by overread's."""
    text = pl.col(column).cast(pl.String).str.strip_chars()
    return text.replace({str(k): str(v) for k, v in spellings.items()}) if spellings else text


def without_missing(long: pl.DataFrame, unit: str, column: str = "said") -> tuple[pl.DataFrame, list[Dropped]]:
    """The rows whose cell states something; words for "nothing is stated" are counted."""
    word = pl.col(column).str.to_lowercase()
    long = long.filter(pl.col(column).is_not_null() & (pl.col(column) != ""))
    missing = long.filter(word.is_in(MISSING))
    if missing.is_empty():
        return long, []
    shown = [f"'{w}'" for w in missing[column].unique(maintain_order=True).head(5)]
    reason = codes.note("missing_word_without_state")
    return long.filter(~word.is_in(MISSING)), [Dropped(unit, reason, missing.height, "; ".join(shown), TABLES)]


def unscored(frame: pl.DataFrame, columns: list[str]) -> tuple[pl.DataFrame, list[Dropped]]:
    """The frame without white space around the text of its score columns, null for a program's word for no value.

    Returns
    -------
    The frame, and the count of such words.
    """
    text = [c for c in columns if frame.schema[c] == pl.String]
    frame = frame.with_columns(pl.col(text).str.strip_chars())
    made = frame.with_columns(pl.when(~pl.col(c).str.to_lowercase().is_in(PROGRAMS)).then(c).alias(c) for c in text)
    words = pl.concat([pl.Series("said", [], pl.String), *(frame[c].filter(made[c].is_null()) for c in text)])
    words = words.drop_nulls()
    if words.is_empty():
        return made, []
    shown = "; ".join(f"'{w}'" for w in words.unique(maintain_order=True).head(5))
    reason = codes.note("missing_word_without_score")
    return made, [Dropped("predictions", reason, words.len(), shown, TABLES)]


def state(column: str = "said") -> pl.Expr:
    """The state that a cell's text names, null where it names none."""
    word = pl.col(column).str.to_lowercase().str.replace(r"^(-?\d+)\.0+$", "$1")
    return word.replace_strict(_STATES, default=None)


def missing_as_null(column: str = "said") -> pl.Expr:
    """The cell's text, null where it is empty or a word for a missing value."""
    word = pl.col(column).str.to_lowercase()
    return pl.when(~word.is_in([*MISSING, ""])).then(pl.col(column))


def examples(wrong: pl.DataFrame) -> pl.Series:
    """Up to five cells with their findings."""
    return wrong.select(pl.format("{} in {}", "said", "finding")).to_series().unique(maintain_order=True)[:5]
