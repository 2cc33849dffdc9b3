"""Normalisation of the spellings of view, modality, body part, sex, age, date and number.

A value that is not understood and may be unknown (a view) is noted in the column `source_note`, which the cohort
counts. An impossible age (411 years) becomes missing and is noted. A value that cannot be read is an error.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from overread import tables
from overread.datasets.fields import ages as spellings
from overread.errors import InputError
from overread.tables import CHEST
from overread.tables.text.missing import EVERY

NOTE = "source_note"

# As `_folded` leaves them: punctuation is white space, so that marks are empty. "Default" is of DICOM devices.
_NOT_STATED = ("default", *dict.fromkeys(re.sub(r"[-_./\s]+", " ", word).strip() for word in EVERY))

_VIEWS = {
    "PA": ("pa", "p a", "posteroanterior", "postero anterior", "posterior anterior", "pa view", "pa erect"),
    "AP": (
        "ap",
        "a p",
        "anteroposterior",
        "antero posterior",
        "anterior posterior",
        "ap view",
        "ap supine",
        "ap erect",
        "ap portable",
        "ap semierect",
        "ap semi erect",
    ),
    "LATERAL": ("lateral", "lat", "ll", "rl", "l", "left lateral", "right lateral", "lateral view"),
    "UNKNOWN": _NOT_STATED,
}
# "W" is weiblich, as in German records; "M" is männlich as well as male.
_SEXES = {
    "F": ("f", "female", "woman", "w", "weiblich", "frau"),
    "M": ("m", "male", "man", "männlich", "maennlich", "mann"),
    "": ("u", "o", "other", *_NOT_STATED),
}
_MODALITIES = {
    "CR": ("cr", "computed radiography"),
    "DX": ("dx", "dr", "digital radiography"),
    "RG": ("rg", "xr", "x ray", "xray", "radiograph", "radiography", "plain radiograph", "plain radiography"),
}
# Spellings of the chest by manufacturers and in the languages of public sets and hospitals.
_CHEST = (
    "chest",
    "cxr",
    "thorax",
    "thoracic",
    "lung",
    "lungs",
    "torax",
    "tórax",
    "toraks",
    "torace",
    "brust",
    "brustkorb",
    "lunge",
    "lungen",
    "poumon",
    "poumons",
    "pulmon",
    "pulmón",
    "pulmao",
    "pulmão",
    "borst",
    "borstkas",
    "longen",
    "bröstkorg",
    "lungor",
    "brystkasse",
    "keuhkot",
    "klatka",
    "hrudnik",
    "hrudník",
    "mellkas",
    "göğüs",
    "грудь",
    "грудной",
    "грудная",
    "легкие",
    "лёгкие",
    "胸部",
    "胸",
    "肺",
    "흉부",
    "الصدر",
)
_SPINE = ("spine", "vertebra", "vertebrae", "column", "columna", "columna vertebral", "wirbelsäule", "aorta")
OLDEST = tables.OLDEST
_TIME = r"[T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?$"
_PLAIN_DATES = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y.%m.%d")


def _folded(words: pl.Expr) -> pl.Expr:
    return words.fill_null("").str.to_lowercase().str.replace_all(r"[-_./\s]+", " ").str.strip_chars()


def _table(spellings: dict[str, tuple[str, ...]]) -> dict[str, str]:
    return {word: name for name, words in spellings.items() for word in words}


def views(frame: pl.DataFrame) -> pl.DataFrame:
    """Normalise `view` to PA, AP, LATERAL or UNKNOWN; any other spelling becomes UNKNOWN and is noted.

    Examples
    --------
    >>> views(pl.DataFrame({"view": ["Posteroanterior", "oblique", None]}))["view"].to_list()
    ['PA', 'UNKNOWN', 'UNKNOWN']
    """
    known = _table(_VIEWS)
    word = _folded(pl.col("view"))
    strange = ~word.is_in(list(known))
    note = pl.when(strange).then(pl.format("view '{}' is none of PA, AP, LATERAL: UNKNOWN", pl.col("view")))
    return noted(frame, note).with_columns(view=word.replace_strict(known, default="UNKNOWN"))


def modalities(frame: pl.DataFrame) -> pl.DataFrame:
    """Normalise `modality` to the DICOM code (0008,0060); a missing modality is null and noted.

    CR, DX and RG are radiographs (DICOM PS3.3, section C.7.3.1.1.1).

    Examples
    --------
    >>> modalities(pl.DataFrame({"modality": ["X-ray", "dr", "CT", ""]}))["modality"].to_list()
    ['RG', 'DX', 'CT', None]
    """
    word = _folded(pl.col("modality"))
    missing = word.is_in(_NOT_STATED)
    frame = noted(frame, pl.when(missing).then(pl.lit("modality not stated")))
    stated = word.replace_strict(_table(_MODALITIES), default=pl.col("modality").str.strip_chars().str.to_uppercase())
    return frame.with_columns(modality=pl.when(~missing).then(stated))


def body_parts(frame: pl.DataFrame) -> pl.DataFrame:
    """Normalise `body_part` to capitals and every spelling of chest to CHEST; a missing one is null and noted.

    A text that contains a word for the chest is CHEST ("PORT CHEST", "Thorax pa"), unless it names the spine.

    Examples
    --------
    >>> frame = pl.DataFrame({"body_part": ["Thorax ap", "TORAX", "Hand", "THORACIC_SPINE", " "]})
    >>> body_parts(frame)["body_part"].to_list()
    ['CHEST', 'CHEST', 'HAND', 'THORACIC_SPINE', None]
    """
    word = _folded(pl.col("body_part"))
    missing = word.is_in(_NOT_STATED)
    words = word.str.split(" ")
    chest = (words.list.set_intersection(list(_CHEST)).list.len() > 0) & (
        words.list.set_intersection(list(_SPINE)).list.len() == 0
    )
    frame = noted(frame, pl.when(missing).then(pl.lit("body part not stated")))
    plain = pl.col("body_part").str.strip_chars().str.to_uppercase()
    part = pl.when(chest).then(pl.lit(CHEST)).otherwise(plain)
    return frame.with_columns(body_part=pl.when(~missing).then(part))


def sexes(frame: pl.DataFrame, where: object) -> tuple[pl.DataFrame, list[InputError]]:
    """Normalise `sex` to F, M or null (not stated, other); any other spelling is an error.

    Numbers are an error as well: ISO/IEC 5218 defines 1 as male and 2 as female, but sources use other codes. The user
    maps them with `spellings`.
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
    """Convert `age_years` to years: "57", "057Y", "18M" (months), "3W", "12D"; see `ages.years` for other spellings.

    An approximate age ("50+", "early 40s") becomes a number and is noted. An age above 120 years becomes null and is
    noted (`tables.check` does the same for numeric ages). An age that cannot be read is an error.
    """
    years, approximate, missing = spellings.years(pl.col("age_years").cast(pl.String))
    typed = frame.with_columns(_text=pl.col("age_years"), age_years=years, _approximate=approximate, _missing=missing)
    unread = ~pl.col("_missing") & ~pl.col("_approximate") & pl.col("age_years").is_null()
    typed = typed.with_columns(_unread=unread, _old=pl.col("age_years") > OLDEST)
    problems = _age_problems(typed, where)
    age_text = pl.col("age_years").round(1).cast(pl.String).str.strip_suffix(".0")
    note = (
        pl.when(pl.col("_old"))
        .then(pl.format("age {} is above 120 years: not stated", pl.col("_text")))
        .when(pl.col("_approximate") & pl.col("age_years").is_null())
        .then(pl.format("age '{}' is an upper limit only: not stated", pl.col("_text")))
        .when(pl.col("_approximate"))
        .then(pl.format("age '{}' is approximate: {} is taken", pl.col("_text"), age_text))
    )
    shown = noted(typed, note).with_columns(age_years=pl.when(~pl.col("_old")).then(pl.col("age_years")))
    return shown.drop("_text", "_unread", "_old", "_approximate", "_missing"), problems


def _age_problems(typed: pl.DataFrame, where: object) -> list[InputError]:
    bad = typed.filter(pl.col("_unread"))
    if bad.is_empty():
        return []
    shown = [f"{r['image_id']}: {r['_text']}" for r in bad.head(6).iter_rows(named=True)]
    return [
        InputError(
            where,
            'an age such as "57", "057Y", "18M", "50+" or "early 40s"',
            f"{bad.height:,} others",
            examples=shown,
            do="Correct them or leave them empty.",
        )
    ]


def dates(frame: pl.DataFrame, column: str, where: object) -> pl.DataFrame:
    """Convert a column to dates.

    Parameters
    ----------
    frame : DataFrame
        Table with the column as text: 2017-01-31, 20170131, 31.01.2017, 31/01/2017 or 01/31/2017. A time of day after
        the date is ignored.
    column : str
        Name of the column.
    where : object
        Place of the table, used in messages.

    Returns
    -------
    DataFrame
        The table with the column as dates.

    Raises
    ------
    InputError
        Values that are not dates (all of them), or an order of day and month that cannot be determined.

    Notes
    -----
    The order of day and month in 03/04/2017 is determined from the other values of the column: a number above 12 shows
    the place of the day. Without such a value, or if two values contradict each other, the column is refused.

    Examples
    --------
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
        found = f"{loose.height:,} dates whose order of day and month is ambiguous"
        do = "Write them as 2017-01-31."
        raise InputError(where, f"dates in '{column}'", found, examples=loose["_text"].head(5), do=do)
    day, month = ("_first", "_second") if day_first else ("_second", "_first")
    padded = (pl.col(part).cast(pl.String).str.zfill(2) for part in (month, day))
    resolved_date = pl.concat_str("_year", *padded, separator="-").str.to_date("%Y-%m-%d", strict=False)
    dated = seen.with_columns(_date=pl.coalesce("_plain", resolved_date))
    bad = dated.filter(pl.col("_text").is_not_null() & pl.col("_date").is_null())
    if bad.height:
        expected = f"dates in '{column}', such as 2017-01-31"
        raise InputError(where, expected, f"{bad.height:,} others", examples=bad["_text"].head(5))
    return frame.with_columns(dated["_date"].alias(column))


def numbers(frame: pl.DataFrame, columns: Sequence[str], where: object, *, whole: bool = False) -> pl.DataFrame:
    """Convert text columns to numbers; an empty cell becomes null.

    Parameters
    ----------
    frame : DataFrame
        Table with the columns as text.
    columns : sequence of str
        Names of the columns.
    where : object
        Place of the table, used in messages.
    whole : bool
        Whether the values are integers ("2500.0" is 2500).

    Returns
    -------
    DataFrame
        The table with numeric columns.

    Raises
    ------
    InputError
        Values that are not numbers, of all columns at once.

    Examples
    --------
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
    """Append `note` (null = none) to the column `source_note`."""
    if NOTE not in frame.columns:
        return frame.with_columns(note.cast(pl.String).alias(NOTE))
    return frame.with_columns(
        pl.concat_str(pl.col(NOTE), note, separator="; ", ignore_nulls=True).replace("", None).alias(NOTE)
    )
