"""Names that look the same: letters of other scripts with the shape of Latin ones, and l, I, 1 and O, 0.

The pairs are those of Unicode Technical Standard 39 (confusables) for the scripts in which names of institutions and
people are commonly written. Two names in one script are never considered equal because of them.
"""

from __future__ import annotations

import polars as pl

_CYRILLIC = dict(zip("АВЕКМНОРСТУХЅІЈԚԜҮаеорсухіјѕԁһӏԛԝү", "ABEKMHOPCTYXSIJQWYaeopcyxijsdhlqwy", strict=True))
_GREEK = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαγιονρυ", "ABEZHIKMNOPTYXayiovpu", strict=True))
_OTHERS = dict(zip("օհոսցıɑɡΙ", "ohnugiagI", strict=True))  # Armenian; Latin letters of phonetics and Turkish
_SHAPES = {**_CYRILLIC, **_GREEK, **_OTHERS}
_ASCII = {"I": "l", "1": "l", "|": "l", "0": "O"}


def confusable(values: pl.Series, *, within_ascii: bool) -> list[list[str]]:
    """Group the distinct values that look the same.

    Parameters
    ----------
    values : Series of text in canonical form.
    within_ascii : bool
        Whether l, I and 1, and O and 0, look the same too: they do in names, and are a matter of course in numbers.

    Examples
    --------
    >>> confusable(pl.Series(["Alder", "\u0410lder", "Birch"]), within_ascii=False) == [["Alder", "\u0410lder"]]
    True
    >>> confusable(pl.Series(["Site l", "Site 1", "Site 2"]), within_ascii=True)
    [['Site 1', 'Site l']]
    """
    distinct = values.drop_nulls().unique()
    if not within_ascii and not distinct.str.contains(r"[^\x00-\x7f]").any():
        return []
    shape = distinct.str.replace_many(_SHAPES)
    if within_ascii:
        shape = shape.str.replace_many(_ASCII)
    pairs = pl.DataFrame({"value": distinct, "shape": shape.rename("shape")})
    pairs = pairs.filter(pl.col("shape").is_duplicated()).sort("value")
    return pairs.group_by("shape").agg("value").sort("shape")["value"].to_list()
