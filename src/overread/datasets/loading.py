"""Lookup and reading of a source by its name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import polars as pl

from overread import credentials, tables
from overread.datasets.fields import devices
from overread.errors import InputError, did_you_mean
from overread.findings import Vocabulary
from overread.images import file_tree
from overread.tables import Source
from overread.tables.records.typed_files import checked_values, typed

# Options of any source that name a table or folder below the root.
_TABLES = ("file", "images", "labels", "lists", "nih", "patients")

_HERE = Path(__file__).stem
_CACHE, _VOCABULARY = "cache", "vocabulary"  # parameters set by the caller and not by the user


def names() -> tuple[str, ...]:
    """Names of the sources that can be loaded, in alphabetical order.

    Returns
    -------
    tuple of str
        Name of every module of `overread.datasets` that has a `read` function.

    Examples
    --------
    >>> "nih14" in names() and "table" in names()
    True
    """
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    return tuple(sorted(m.name for m in modules if not m.ispkg and m.name != _HERE))


def load(
    name: str,
    root: Path | str,
    options: Mapping[str, Any] | None = None,
    *,
    where: str = "[options]",
    allow_outside: bool = False,
    cache: Path | None = None,
    vocabulary: Vocabulary | None = None,
) -> Source:
    """Read a source by its name.

    Parameters
    ----------
    name : str
        "table", "nih14" or another of `names()`.
    root : Path or str
        Folder that holds the source.
    options : mapping, optional
        Keyword arguments of the source's `read`. Every source also accepts `prefix`, which is put before image_id,
        case_id and patient_id, so that two hospitals with overlapping numbers can be merged.
    where : str
        Section of the user's file that holds the options; used in messages.
    allow_outside : bool
        Whether options may name tables outside `root`.
    cache : Path, optional
        File in which the headers of DICOM files are kept, so that an interrupted reading can resume. It lies with the
        results and not with the data, which may be read-only.
    vocabulary : Vocabulary, optional
        Findings that labels, regions and reads may name. None = the vocabulary "chest".

    Returns
    -------
    Source
        Images, labels, and where the source has them regions and reads.

    Raises
    ------
    InputError
        Unknown source or option (the nearest known name is suggested), a table outside `root`, a password or token
        among the options, or a problem that the source's `read` reports.
    """
    source_options = dict(options or {})
    check(name, source_options, where=where)
    if not allow_outside and (found := file_tree.outside(root, _tables_in(source_options))):
        do = "Give the folder that holds them all as root, or allow them with --allow-outside."
        raise InputError(where, f"tables below {root}", "paths that lead out of it", examples=map(repr, found), do=do)
    prefix = source_options.pop("prefix", "")
    read = _reader(name)
    own = {_CACHE: cache, _VOCABULARY: vocabulary}
    taken = inspect.signature(read).parameters
    source: Source = read(Path(root), **source_options, **{name: value for name, value in own.items() if name in taken})
    source = replace(source, images=devices.folded(source.images))
    return prefixed(source, prefix) if prefix else source


def check(name: str, options: Mapping[str, Any], *, where: str = "[options]") -> None:
    """Check the name and the options of a source without reading anything.

    Parameters
    ----------
    name : str
        Name of the source, one of `names()`.
    options : mapping
        Keyword arguments of the source's `read`.
    where : str
        Section of the user's file that holds the options; used in messages.

    Raises
    ------
    InputError
        Unknown source or option, a required option that is missing, or a password or token among the options.
    """
    known = names()
    if name not in known:
        raise InputError(
            "source",
            f"one of {', '.join(known)}",
            f"'{name}'",
            do=did_you_mean(name, known) or "Read docs/how-to/add-a-source.md to add one.",
        )
    problems = credentials.problems(options, where) or _option_problems(name, _reader(name), options, where)
    if problems:
        raise InputError.all(problems)


def _reader(name: str) -> Callable[..., Source]:
    read: Callable[..., Source] = importlib.import_module(f"overread.datasets.{name}").read
    return read


def _tables_in(options: Any) -> Iterator[str]:
    """Paths of tables among the options of a source, at any depth of nesting."""
    if isinstance(options, Mapping):
        for key, value in options.items():
            yield from [value] if key in _TABLES and isinstance(value, str) else _tables_in(value)
            if key == "lists" and isinstance(value, Mapping):
                yield from (file for file in value.values() if isinstance(file, str))
    elif isinstance(options, list | tuple):
        for value in options:
            yield from _tables_in(value)


def _option_problems(name: str, read: Callable[..., Source], given: Mapping[str, Any], where: str) -> list[InputError]:
    """Errors for unknown options, missing required options and a prefix that is not text."""
    parameters = [p for p in inspect.signature(read).parameters.values() if p.name not in ("root", _CACHE, _VOCABULARY)]
    taken = [*(p.name for p in parameters), "prefix"]
    needed = [p for p in parameters if p.default is p.empty and p.name not in given]
    place = f"source {name}"
    problems = [
        InputError(
            f"{place}, {where}",
            f"one of the options {', '.join(taken)}",
            f"'{o}'",
            do=did_you_mean(o, taken) or _hint(o, read),
        )
        for o in given
        if o not in taken
    ]
    problems += [
        InputError(place, f"the option '{p.name}'", "no such key", do=f"Add {p.name} = {_example(p)} under {where}.")
        for p in needed
    ]
    hints = {**get_type_hints(read), "prefix": str}
    for option in (o for o in given if o in taken):
        try:
            typed(checked_values(given[option], f"{place}, {option}"), hints[option], f"{place}, {option}")
        except InputError as error:
            problems.append(error)
    return problems


def _example(parameter: inspect.Parameter) -> str:
    """Example of a value of this option in TOML."""
    return "{ … }" if "Mapping" in str(parameter.annotation) else '"…"'


def _hint(option: str, read: Callable[..., Source]) -> str:
    """Suggestion for an unknown option that is a column of the table of images: map it, where the reader maps
    columns.
    """
    if option in tables.schema("images").column_names() and "columns" in inspect.signature(read).parameters:
        return f'Write it as columns = {{ {option} = "…" }}.'
    return ""


def prefixed(source: Source, prefix: str) -> Source:
    """Put a prefix before every image_id, case_id and patient_id of a source.

    Parameters
    ----------
    source : Source
        The source; it is not changed.
    prefix : str
        Text to put before each identifier.

    Returns
    -------
    Source
        Copy of the source with the new identifiers in all its tables.

    Examples
    --------
    >>> from overread import tables
    >>> images = pl.DataFrame({"image_id": ["1"], "patient_id": ["9"], "site": ["a"]})
    >>> prefixed(Source(tables.check(images, "images"), tables.empty("labels")), "a-").images["patient_id"].item()
    'a-9'
    """
    ids = ("image_id", "case_id", "patient_id")

    def marked(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(
            pl.format("{}{}", pl.lit(prefix), pl.col(c)).alias(c) for c in ids if c in frame.columns
        )

    return replace(
        source,
        images=marked(source.images),
        labels=marked(source.labels),
        regions=None if source.regions is None else marked(source.regions),
        reads=None if source.reads is None else marked(source.reads),
    )
