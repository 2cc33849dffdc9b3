"""Tables in memory in place of files: a Polars frame, or a pandas frame, which is read by its own methods alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from overread.errors import InputError

Table = Any
"""A path, a Polars frame or a pandas frame."""


@dataclass(frozen=True, slots=True, eq=False)
class NamedFrame:
    """A frame with the name that messages, models and label sources have for it, where a file has its own name."""

    name: str
    frame: pl.DataFrame
    origin: int = 0  # identifies the object that was given: one frame may be several tables

    def __str__(self) -> str:
        return self.name

    def resolve(self) -> int:
        """What tells the frame from others, as the resolved path of a file does."""
        return self.origin


def is_frame(given: Any) -> bool:
    """Whether a table was given in memory."""
    return isinstance(given, pl.DataFrame) or (hasattr(given, "columns") and hasattr(given, "isna"))


def named_frame(given: Any, name: str) -> NamedFrame:
    """A Polars or pandas frame under a name.

    >>> named_frame(pl.DataFrame({"image_id": ["1"]}), "images").frame.height
    1
    """
    frame = given if isinstance(given, pl.DataFrame) else from_pandas(given)
    return NamedFrame(name, frame, id(given))


def from_pandas(given: Any) -> pl.DataFrame:
    """A pandas frame as a Polars frame, column by column, so that neither pandas nor pyarrow is needed.

    A named index becomes columns; what pandas takes for missing (NaN, None, NaT, NA) is null.
    """
    frame = given.reset_index() if any(name is not None for name in given.index.names) else given
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        raise InputError("a pandas frame", "columns of different names", "names that repeat", examples=names)
    return pl.DataFrame([_column(name, frame.iloc[:, i]) for i, name in enumerate(names)])


def _column(name: str, column: Any) -> pl.Series:
    missing = column.isna().to_numpy()
    values = [None if lost else value for value, lost in zip(column.astype(object), missing, strict=True)]
    try:
        return pl.Series(name, values)
    except (TypeError, pl.exceptions.PolarsError):  # numbers beside text: text, as in a file
        return pl.Series(name, [None if value is None else str(value) for value in values])


def inputs_of(
    given: Table | Sequence[Table] | Mapping[str, Table], what: str, *, source: bool = False
) -> list[tuple[str, Path | NamedFrame]]:
    """The tables of one argument, each with the name it was given, "" where it has none.

    `source`: whether a file may be named as NAME=FILE, which a file with = in its own name is not.

    >>> inputs_of(["chexpert=labels.csv", "other.csv"], "labels", source=True)
    [('chexpert', ...Path('labels.csv')), ('', ...Path('other.csv'))]
    """
    if isinstance(given, Mapping):
        return [(str(n), named_frame(t, str(n)) if is_frame(t) else Path(t)) for n, t in given.items()]
    many = [given] if isinstance(given, str | Path) or is_frame(given) else list(given)
    return [_one(table, what if len(many) == 1 else f"{what} {i}", source) for i, table in enumerate(many, 1)]


def _one(given: Table, what: str, source: bool) -> tuple[str, Path | NamedFrame]:
    if is_frame(given):
        return "", named_frame(given, what)
    name, equals, file = str(given).partition("=")
    return (name, Path(file)) if source and equals and not os.path.exists(given) else ("", Path(given))
