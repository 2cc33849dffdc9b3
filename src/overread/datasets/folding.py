"""Spellings of view, sex and age as sources write them, folded to the words of the tables.

What was not understood and can be left unknown (a view) is noted in the column `source_note`, which the cohort counts;
an age that cannot be (411 years) is set missing and noted; what cannot be read at all is an error.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from overread import tables
from overread.errors import InputError

NOTE = "source_note"

_VIEWS = {
    "PA": ("pa", "p a", "posteroanterior", "postero anterior", "posterior anterior", "pa view", "pa erect"),
    "AP": ("ap", "a p", "anteroposterior", "antero posterior", "anterior posterior", "ap view", "ap supine", "ap erect",
           "ap portable", "ap semierect", "ap semi erect"),
    "LATERAL": ("lateral", "lat", "ll", "rl", "l", "left lateral", "right lateral", "lateral view"),
    "UNKNOWN": ("", "unknown", "unk", "na", "n a", "nan", "null", "not stated"),
}  # fmt: skip
# "W" is weiblich, as in German records; "M" is männlich as well as male.
_SEXES = {
    "F": ("f", "female", "woman", "w", "weiblich", "frau"), "M": ("m", "male", "man", "männlich", "maennlich", "mann"),
    "": ("", "u", "unk", "unknown", "o", "other", "na", "n a", "nan", "null", "not stated"),
}  # fmt: skip
_AGE = r"^0*([0-9]+(?:\.[0-9]+)?)\s*([ymwdYMWD]?)$"
_UNITS = {"": 1.0, "Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
OLDEST = tables.OLDEST
_NO_AGE = ("na", "n a", "nan", "null", "unk", "unknown", "not stated")
_TIME = r"[T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?$"
_PLAIN_DATES = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y.%m.%d")


def _folded(words: pl.Expr) -> pl.Expr:
    return words.fill_null("").str.to_lowercase().str.replace_all(r"[-_./\s]+", " ").str.strip_chars()


def _table(spellings: dict[str, tuple[str, ...]]) -> dict[str, str]:
    return {word: name for name, words in spellings.items() for word in words}


def views(frame: pl.DataFrame) -> pl.DataFrame:
    """`view` as PA, AP, LATERAL or UNKNOWN; a spelling that is none of these is UNKNOWN and noted.

    >>> views(pl.DataFrame({"view": ["Posteroanterior", "oblique", None]}))["view"].to_list()
    ['PA', 'UNKNOWN', 'UNKNOWN']
    """
    known = _table(_VIEWS)
    word = _folded(pl.col("view"))
    strange = ~word.is_in(list(known))
    note = pl.when(strange).then(pl.format("view '{}' is none of PA, AP, LATERAL: UNKNOWN", pl.col("view")))
    return noted(frame, note).with_columns(view=word.replace_strict(known, default="UNKNOWN"))


def sexes(frame: pl.DataFrame, where: object) -> tuple[pl.DataFrame, list[InputError]]:
    """`sex` as F, M or null (not stated, other); any other spelling is an error.

    Numbers are such: 1 and 2 are male and female by ISO 5218, but sources number the sexes in every way. What they
    stand for is said by whoever knows the source.
    """
    known = _table(_SEXES)
    word = _folded(pl.col("sex"))
    strange = frame.filter(~word.is_in(list(known)))["sex"].unique().sort().to_list()
    folded = frame.with_columns(sex=word.replace_strict(known, default="").replace("", None))
    if not strange:
        return folded, []
    expected = "a sex: F, M, female, male, or empty"
    do = 'Say what they stand for (of a table: spellings = { sex = { "1" = "M", "2" = "F" } }): sources number the '
    do += "sexes differently."
    return folded, [InputError(where, expected, f"{len(strange)} other spellings", examples=strange, do=do)]


def ages(frame: pl.DataFrame, where: object) -> tuple[pl.DataFrame, list[InputError]]:
    """`age_years` as numbers: "57", "057Y", "18M" (months), "3W", "12D".

    An age above 120 years becomes null and is noted (`tables.check` does the same for ages that are numbers already).
    """
    text = pl.col("age_years").str.strip_chars()
    number = text.str.extract(_AGE, 1).cast(pl.Float64)
    unit = text.str.extract(_AGE, 2).str.to_uppercase().replace_strict(_UNITS, default=None)
    typed = frame.with_columns(_text=pl.col("age_years"), age_years=number * unit)
    stated = ~_folded(pl.col("_text")).is_in(["", *_NO_AGE])
    typed = typed.with_columns(_unread=stated & pl.col("age_years").is_null(), _old=pl.col("age_years") > OLDEST)
    note = pl.when(pl.col("_old")).then(pl.format("age {} is above 120 years: not stated", pl.col("_text")))
    shown = noted(typed, note).with_columns(age_years=pl.when(~pl.col("_old")).then(pl.col("age_years")))
    return shown.drop("_text", "_unread", "_old"), _age_problems(typed, where)


def _age_problems(typed: pl.DataFrame, where: object) -> list[InputError]:
    bad = typed.filter(pl.col("_unread"))
    if bad.is_empty():
        return []
    shown = [f"{r['image_id']}: {r['_text']}" for r in bad.head(6).iter_rows(named=True)]
    return [
        InputError(
            where, 'an age in years such as "57", "057Y" or "18M"', f"{bad.height:,} others", examples=shown,
            do="Correct them or leave them empty.",
        )
    ]  # fmt: skip


def dates(frame: pl.DataFrame, column: str, where: object) -> pl.DataFrame:
    """The column as dates: 2017-01-31, 20170131, 31.01.2017, 31/01/2017 or 01/31/2017, each value as it can be read.

    A time of day after the date is left out.

    Whether 03/04/2017 is in March or April is settled by the column's other values: one with a number above 12 in
    either place tells; where none does, or two contradict, the column is refused.

    Raises InputError: values that are no dates (all of them), day and month that cannot be told.

    >>> dates(pl.DataFrame({"day": ["20170131", "2017-02-01", "3/2/2017", "31/1/2017"]}), "day", "a.csv")["day"][2]
    datetime.date(2017, 2, 3)
    """
    text = pl.col(column).str.strip_chars().str.replace(_TIME, "").replace("", None)
    plain = pl.coalesce(text.str.to_date(form, strict=False, exact=True) for form in _PLAIN_DATES)
    parts = text.str.extract_groups(r"^(\d{1,2})[./](\d{1,2})[./](\d{4})$")
    first, second = (parts.struct.field(str(i)).cast(pl.Int32) for i in (1, 2))
    seen = frame.select(_text=text, _plain=plain, _first=first, _second=second, _year=parts.struct.field("3"))
    loose = seen.filter(pl.col("_first").is_not_null())
    day_first, month_first = loose.filter(pl.col("_first") > 12).height, loose.filter(pl.col("_second") > 12).height
    if loose.height and bool(day_first) == bool(month_first):
        found = f"{loose.height:,} dates of which day and month cannot be told"
        do = "Write them as 2017-01-31."
        raise InputError(where, f"dates in '{column}'", found, examples=loose["_text"].head(5), do=do)
    day, month = ("_first", "_second") if day_first else ("_second", "_first")
    padded = (pl.col(part).cast(pl.String).str.zfill(2) for part in (month, day))
    told = pl.concat_str("_year", *padded, separator="-").str.to_date("%Y-%m-%d", strict=False)
    made = seen.with_columns(_date=pl.coalesce("_plain", told))
    bad = made.filter(pl.col("_text").is_not_null() & pl.col("_date").is_null())
    if bad.height:
        expected = f"dates in '{column}', such as 2017-01-31"
        raise InputError(where, expected, f"{bad.height:,} others", examples=bad["_text"].head(5))
    return frame.with_columns(made["_date"].alias(column))


def numbers(frame: pl.DataFrame, columns: Sequence[str], where: object, *, whole: bool = False) -> pl.DataFrame:
    """The columns of text as numbers (`whole`: as whole ones, "2500.0" is 2500); an empty cell is null.

    Raises InputError: values that are none, of all columns at once.

    >>> numbers(pl.DataFrame({"rows": ["2500.0", " ", None]}), ["rows"], "a.csv", whole=True)["rows"].to_list()
    [2500, None, None]
    """
    problems, made = [], []
    for column in columns:
        text = frame[column].str.strip_chars().replace("", None)
        number = text.cast(pl.Float64, strict=False)
        fits = number.is_finite() & ((number == number.round()) if whole else True)
        bad = text.filter(text.is_not_null() & ~fits.fill_null(False))
        expected = f"{'whole ' if whole else ''}numbers in '{column}'"
        if len(bad):
            problems.append(InputError(where, expected, f"{len(bad):,} others", examples=bad.head(5)))
        made.append(number.cast(pl.Int32, strict=False) if whole else number)
    if problems:
        raise InputError.all(problems)
    return frame.with_columns(made)


def noted(frame: pl.DataFrame, note: pl.Expr) -> pl.DataFrame:
    """The frame with `note` (null = none) added to what `source_note` says already."""
    if NOTE not in frame.columns:
        return frame.with_columns(note.cast(pl.String).alias(NOTE))
    return frame.with_columns(
        pl.concat_str(pl.col(NOTE), note, separator="; ", ignore_nulls=True).replace("", None).alias(NOTE)
    )
