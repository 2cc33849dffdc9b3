"""Protection of CSV text that a spreadsheet would run as a formula, by an apostrophe that is removed when read.

A spreadsheet runs a cell as a formula if it begins with =, +, - or @, also in full width; some remove a tab or line end
before it. A program that separates at semicolons or tabs splits cells there, so that what follows one also begins a
cell. `marked` adds an apostrophe at each such place, and before existing apostrophes there; `unmarked` removes one. Any
text is therefore read back unchanged. Numbers are not affected.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

_BLANK = r"[\s'--[\t\r\n]]*"  # white space and apostrophes that may stand before the sign
_SIGN = "[=+\\-@\uff1d\uff0b\uff0d\uff20]"
_START = rf"{_BLANK}(?:{_SIGN}|[\t\r\n])"  # at the start of a cell
_INSIDE = rf"{_BLANK}{_SIGN}"  # after a delimiter of another program
_CUTS = r"[;\t\r\n]"
_RISKY = rf"^{_START}|{_CUTS}{_INSIDE}"
_MARKED = rf"^'{_START}|{_CUTS}'{_INSIDE}"


def marked(frame: pl.DataFrame) -> pl.DataFrame:
    """Add an apostrophe before text and column names that could be a formula, for writing as CSV.

    >>> marked(pl.DataFrame({"site": ["=1+1", "north", "'-x"], "gap": [-0.5, 1.0, 2.0]})).rows()
    [("'=1+1", -0.5), ('north', 1.0), ("''-x", 2.0)]
    """
    frame = frame.with_columns(
        pl.col(name).cast(pl.String)
        for name, kind in frame.schema.items()
        if isinstance(kind, pl.Categorical | pl.Enum)
    )
    frame = _changed(frame, _RISKY, _mark)
    return frame.rename(dict(zip(frame.columns, _mark(pl.Series(frame.columns, dtype=pl.String)), strict=True)))


def unmarked(frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Reverse `marked`; also return the number of cells that were marked.

    >>> unmarked(pl.DataFrame({"site": ["'=1+1", "north", "''-x", "O'Hara"]}))[0]["site"].to_list()
    ['=1+1', 'north', "'-x", "O'Hara"]
    """
    count = sum(int(frame[c].str.contains(_MARKED).sum()) for c in _apostrophes(frame))
    return (_changed(frame, _MARKED, _unmark), count) if count else (frame, 0)


def unmarked_names(names: list[str]) -> list[str]:
    """Reverse `marked` for column names."""
    return _unmark(pl.Series(names, dtype=pl.String)).to_list()


def _apostrophes(frame: pl.DataFrame) -> list[str]:
    """Return the text columns with an apostrophe anywhere, a fast check that excludes most columns."""
    return [
        c for c, kind in frame.schema.items() if kind == pl.String and frame[c].str.contains("'", literal=True).any()
    ]


def _changed(frame: pl.DataFrame, pattern: str, change: Callable[[pl.Series], pl.Series]) -> pl.DataFrame:
    text = [c for c, kind in frame.schema.items() if kind == pl.String]
    return frame.with_columns(change(frame[c]) for c in text if frame[c].str.contains(pattern).any())


def _mark(text: pl.Series) -> pl.Series:
    inside = text.str.replace_all(rf"({_CUTS})({_INSIDE})", "${1}'${2}")
    return inside.str.replace(rf"^({_START})", "'${1}")


def _unmark(text: pl.Series) -> pl.Series:
    start = text.str.replace(rf"^'({_START})", "${1}")
    return start.str.replace_all(rf"({_CUTS})'({_INSIDE})", "${1}${2}")
