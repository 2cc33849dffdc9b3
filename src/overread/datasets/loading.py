"""Public sources and formats: `datasets/NAME.py` has read(root, **options) -> Source; a source is found by its name."""

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

# The options, of any source, that name a table or a folder below the root.
_TABLES = ("file", "images", "labels", "lists", "nih", "patients")

_HERE = Path(__file__).stem
_CACHE, _VOCABULARY = "cache", "vocabulary"  # parameters of readers that are the caller's, no options of the user


def names() -> tuple[str, ...]:
    """The names of the sources that can be loaded.

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
    name: "table", "nih14" or another module of this package that has a `read`.
    root: the folder in which the source lies.
    options: what that `read` takes by keyword; for every source also `prefix`, set before image_id, case_id and
        patient_id, so that two hospitals that number alike can be merged.
    where: the section of the user's file that holds the options, for messages.
    allow_outside: whether options may name tables that do not lie below `root`.
    cache: a file of the caller's own that keeps the headers of DICOM files, so that an interrupted reading goes on. It
        lies with the results, never with the data, which others deliver.
    vocabulary: the findings that labels, regions and reads may name; None = those of "chest".

    Raises InputError: no such source or option (with the nearest known one), a table elsewhere, a password or token
    among the options, or whatever the source finds wrong.
    """
    given = dict(options or {})
    check(name, given, where=where)
    if not allow_outside and (found := file_tree.outside(root, _tables_in(given))):
        do = "Give the folder that holds them all as root, or allow them with --allow-outside."
        raise InputError(where, f"tables below {root}", "paths that lead out of it", examples=map(repr, found), do=do)
    prefix = given.pop("prefix", "")
    read = _reader(name)
    own = {_CACHE: cache, _VOCABULARY: vocabulary}
    taken = inspect.signature(read).parameters
    source: Source = read(Path(root), **given, **{name: value for name, value in own.items() if name in taken})
    source = replace(source, images=devices.folded(source.images))
    return prefixed(source, prefix) if prefix else source


def check(name: str, options: Mapping[str, Any], *, where: str = "[options]") -> None:
    """Check the name of a source and its options, without reading anything.

    Raises InputError: no such source or option, an option that is needed, a password or token among the options.
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
    """The paths of tables among the options of a source, however nested."""
    if isinstance(options, Mapping):
        for key, value in options.items():
            yield from [value] if key in _TABLES and isinstance(value, str) else _tables_in(value)
            if key == "lists" and isinstance(value, Mapping):
                yield from (file for file in value.values() if isinstance(file, str))
    elif isinstance(options, list | tuple):
        for value in options:
            yield from _tables_in(value)


def _option_problems(name: str, read: Callable[..., Source], given: Mapping[str, Any], where: str) -> list[InputError]:
    """Options that the reader does not have, options that it needs, and a prefix that is no text."""
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
    """How a value of this option is written in TOML."""
    return "{ … }" if "Mapping" in str(parameter.annotation) else '"…"'


def _hint(option: str, read: Callable[..., Source]) -> str:
    """What to do about an unknown option that is a column of the images: map it, where the reader maps columns."""
    if option in tables.schema("images").column_names() and "columns" in inspect.signature(read).parameters:
        return f'Write it as columns = {{ {option} = "…" }}.'
    return ""


def prefixed(source: Source, prefix: str) -> Source:
    """The source with `prefix` before every image_id, case_id and patient_id.

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
