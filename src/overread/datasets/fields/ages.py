"""Conversion of ages in text to years, with a mark for approximate ages.

An approximate age ("50+", "early 40s", "60-69") becomes one number, so that limits and subgroups can be applied. Each
is noted with its text and its number.
"""

from __future__ import annotations

import polars as pl

from overread.tables.text.missing import EVERY

_NUMBER = r"([0-9]+(?:[.,][0-9]+)?)"
_UNIT = r"(y|yrs?|years?|yo|y o|a|j|jahre?|ans?|años?|anos?|anni|m|mos?|mths?|months?|w|wks?|weeks?|d|days?)"
_PER_YEAR = {"m": 12.0, "w": 365.25 / 7, "d": 365.25}
_EXACT = rf"^{_NUMBER} ?{_UNIT}?(?: old| of age)?$"
_TWO_UNITS = rf"^{_NUMBER} ?(?:y|yr|yrs|year|years)(?: and)? ?{_NUMBER} ?(?:m|mo|mos|month|months)$"
_FROM = r"(?:>=?|≥|over|above|older than|at least)"
_UP = r"(?:\+|plus|and over|and older|and above|or more|or older|or over)"
_OPEN = rf"^{_FROM}? ?{_NUMBER} ?(?:y|yrs?|years?)? ?{_UP}?$"
_MARKED_OPEN = rf"^{_FROM}|{_UP}$"
_RANGE = rf"^{_NUMBER} ?(?:-|–|—|to|bis) ?{_NUMBER} ?(?:y|yrs?|years?)?$"
_ABOUT = rf"^(?:~|≈|about|approx|approximately|around|circa|ca|c) ?{_NUMBER} ?(?:y|yrs?|years?)?$|^{_NUMBER} ?\?$"
_DECADE = r"^(early|mid|middle|late)? ?([1-9]?0) ?(?:'?s|er)$"
_PART = {"early": 2.0, "mid": 5.0, "middle": 5.0, "late": 8.0, "": 5.0}
_DECADES = {
    "teens": "10s",
    "twenties": "20s",
    "thirties": "30s",
    "forties": "40s",
    "fifties": "50s",
    "sixties": "60s",
    "seventies": "70s",
    "eighties": "80s",
    "nineties": "90s",
}
_BELOW = rf"^(?:<=?|≤|under|below|younger than|less than|up to) ?{_NUMBER} ?{_UNIT}?$"


def years(text: pl.Expr) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """Convert ages in text to years.

    Parameters
    ----------
    text : Expr
        Ages as text; null is not stated.

    Returns
    -------
    value : Expr
        Age in years; null where the age is not stated or cannot be read.
    approximate : Expr
        Whether the text is a bound, a range or a decade. "50+" is 50; a range is its midpoint; in a decade, "early" is
        year 2, "late" year 8, otherwise year 5. An upper bound alone ("<18") gives no number.
    missing : Expr
        Whether the text is empty or a word for a missing value.

    Examples
    --------
    >>> found = years(pl.lit(pl.Series(["057Y", "18 months", "50+", "early 40s", "60-69", "n/a", "old"])))
    >>> frame = pl.select(value=found[0], approximate=found[1], missing=found[2])
    >>> frame["value"].to_list()
    [57.0, 1.5, 50.0, 42.0, 64.5, None, None]
    >>> frame["approximate"].to_list(), frame["missing"].to_list()[-2:]
    ([False, False, True, True, True, False, False], [True, False])
    """
    plain = text.fill_null("").str.to_lowercase().str.replace_all(r"[\s_]+", " ").str.replace_all(r"\.$|\.(?: |$)", " ")
    plain = plain.str.strip_chars()
    missing = plain.is_in(EVERY)
    unit = plain.str.extract(_EXACT, 2).fill_null("").str.slice(0, 2)
    # "mo", "mt" and "m" are months; "w" weeks; "d" days; every other unit is years.
    divisor = unit.str.slice(0, 1).replace_strict(_PER_YEAR, default=1.0)
    exact = _number(plain, _EXACT, 1) / divisor
    two = _number(plain, _TWO_UNITS, 1) + _number(plain, _TWO_UNITS, 2) / 12
    marked = plain.str.contains(_MARKED_OPEN)
    low, high = _number(plain, _RANGE, 1), _number(plain, _RANGE, 2)
    decade = plain.str.replace(r"^in (?:the|his|her|their) ", "").str.replace(r"^(early|mid|middle|late)-", "$1 ")
    decade = decade.str.replace_many(_DECADES)
    within = decade.str.extract(_DECADE, 1).fill_null("").replace_strict(_PART, default=None)
    rough = pl.coalesce(
        pl.when(marked).then(_number(plain, _OPEN, 1)),
        pl.when(high > low).then((low + high) / 2),
        _number(plain, _ABOUT, 1),
        _number(plain, _ABOUT, 2),
        _number(decade, _DECADE, 2) + within,
    )
    sure = pl.coalesce(exact, two)
    approximate = sure.is_null() & (rough.is_not_null() | plain.str.contains(_BELOW))
    return pl.coalesce(sure, rough), approximate, missing


def _number(text: pl.Expr, pattern: str, group: int) -> pl.Expr:
    return text.str.extract(pattern, group).str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
