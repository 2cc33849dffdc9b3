"""Tables in memory in place of files: Polars frames, and pandas frames, which need neither pandas nor pyarrow here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from overread.errors import InputError

Table = Any
"""A path, a Polars frame or a pandas frame."""


@dataclass(frozen=True, slots=True, eq=False)
class NamedFrame:
    """A frame with a name, which takes the place of a file name in messages and as name of a model or label source."""

    name: str
    frame: pl.DataFrame
    origin: int = 0  # identifies the object that was given: one frame may be several tables

    def __str__(self) -> str:
        return self.name

    def resolve(self) -> int:
        """Return what distinguishes the frame from others, in place of the resolved path of a file."""
        return self.origin


def is_frame(given: Any) -> bool:
    """Return whether a table was given in memory."""
    return isinstance(given, pl.DataFrame) or (hasattr(given, "columns") and hasattr(given, "isna"))


def named_frame(given: Any, name: str) -> NamedFrame:
    """Return a Polars or pandas frame with a name.

    >>> named_frame(pl.DataFrame({"image_id": ["1"]}), "images").frame.height
    1
    """
    frame = given if isinstance(given, pl.DataFrame) else from_pandas(given)
    return NamedFrame(name, frame, id(given))


def from_pandas(given: Any) -> pl.DataFrame:
    """Convert a pandas frame to Polars, column by column, so that neither pandas nor pyarrow is imported.

    A named index becomes columns; missing values of pandas (NaN, None, NaT, NA) become null.
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


def input_of(given: Table, what: str) -> Path | NamedFrame:
    """Return the one table of an argument that takes no list of them.

    >>> input_of("images.csv", "images").name
    'images.csv'
    """
    tables = inputs_of(given, what)
    if len(tables) != 1:
        raise InputError(what, "one table", f"{len(tables)}", do="Concatenate them.")
    return tables[0][1]


def inputs_of(
    given: Table | Sequence[Table] | Mapping[str, Table], what: str, *, source: bool = False
) -> list[tuple[str, Path | NamedFrame]]:
    """Return the tables of an argument, each with its given name; "" without a name.

    With `source` a file may be given as NAME=FILE, unless a file of that name exists.

    >>> inputs_of(["chexpert=labels.csv", "other.csv"], "labels", source=True)
    [('chexpert', ...Path('labels.csv')), ('', ...Path('other.csv'))]
    """
    if isinstance(given, Mapping):
        return [
            (str(n), named_frame(t, str(n)) if is_frame(t) else _path(t, f"{what} '{n}'")) for n, t in given.items()
        ]
    several = isinstance(given, Iterable) and not isinstance(given, str | bytes | os.PathLike)
    many = list(given) if several and not is_frame(given) and not hasattr(given, "dtype") else [given]
    return [_one(table, what if len(many) == 1 else f"{what} {i}", source) for i, table in enumerate(many, 1)]


def _one(given: Table, what: str, source: bool) -> tuple[str, Path | NamedFrame]:
    if is_frame(given):
        return "", named_frame(given, what)
    path = _path(given, what)
    name, equals, file = str(path).partition("=")
    return (name, Path(file)) if source and equals and not path.exists() else ("", path)


def _path(given: Any, what: str) -> Path:
    """Return the path of a table that is not a frame; anything else is refused."""
    if isinstance(given, str | os.PathLike):
        return Path(given)
    found = "None" if given is None else f"a value of type {type(given).__name__}"
    do = "Name its columns: pl.DataFrame({...}) or pd.DataFrame({...})." if hasattr(given, "__len__") else ""
    raise InputError(what, "a path, a Polars frame or a pandas frame", found, do=do)
