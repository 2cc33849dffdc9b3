"""Normalisation of manufacturer names by the table devices.csv."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from overread.datasets.fields import normalise

_LEGAL = r"\b(inc|corp|corporation|co|ltd|limited|gmbh|ag|nv|bv|kk|sas|spa|srl|llc|company)\b"


def folded(images: pl.DataFrame) -> pl.DataFrame:
    """Normalise `manufacturer` and trim `device`; an unknown manufacturer is kept and noted.

    Parameters
    ----------
    images : DataFrame
        Table of images; returned unchanged if no image has a manufacturer.

    Returns
    -------
    DataFrame
        The images with normalised names, and notes in `source_note`.

    Examples
    --------
    >>> found = folded(pl.DataFrame({"manufacturer": ["SIEMENS", '"GE Healthcare"', "Acme X", None]}))
    >>> found["manufacturer"].to_list()
    ['Siemens', 'GE', 'Acme X', None]
    >>> found["source_note"].to_list()
    [None, None, "manufacturer 'Acme X' is not in the table of devices: kept as it is", None]
    """
    if "manufacturer" not in images.columns or images["manufacturer"].null_count() == images.height:
        return images
    table = pl.read_csv(Path(__file__).with_name("devices.csv"), infer_schema=False, comment_prefix="#")
    names = {_plain_word(spelling): name for spelling, name in table.rows()}
    trimmed = pl.col("manufacturer").str.strip_chars(" \"'").replace("", None)
    frame = images.with_columns(manufacturer=trimmed)
    if "device" in images.columns:
        frame = frame.with_columns(pl.col("device").str.strip_chars(" \"'").replace("", None))
    name = _plain(pl.col("manufacturer")).replace_strict(names, default=None)
    strange = pl.col("manufacturer").is_not_null() & name.is_null()
    note = pl.format("manufacturer '{}' is not in the table of devices: kept as it is", "manufacturer")
    frame = normalise.noted(frame, pl.when(strange).then(note))
    return frame.with_columns(manufacturer=pl.coalesce(name, "manufacturer"))


def _plain(word: pl.Expr) -> pl.Expr:
    bare = word.str.to_lowercase().str.replace_all(r"[.,\"']", " ").str.replace_all(_LEGAL, " ")
    return bare.str.replace_all(r"\s+", " ").str.strip_chars(" -")


def _plain_word(word: str) -> str:
    return str(pl.select(_plain(pl.lit(word))).item())
