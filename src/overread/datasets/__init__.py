"""Public sources and formats: `datasets/NAME.py` has read(root, **options) -> Source; a source is found by its name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import polars as pl

from overread import tables
from overread.datasets import devices
from overread.errors import InputError, did_you_mean
from overread.tables import Source
from overread.tables.records import checked_values, typed

# Modules of this package that help to read and are no source themselves.
_HELPERS = ("ages", "devices", "exclusions", "folding", "headers", "locations", "shipped", "stated")


def names() -> tuple[str, ...]:
    """The names of the sources that can be loaded.

    >>> "nih14" in names() and "table" in names()
    True
    """
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in _HELPERS))


def load(name: str, root: Path | str, options: Mapping[str, Any] | None = None, *, where: str = "[options]") -> Source:
    """Read a source by its name.

    Parameters
    ----------
    name: "table", "nih14" or another module of this package that has a `read`.
    root: the folder in which the source lies.
    options: what that `read` takes by keyword; for every source also `prefix`, set before image_id, case_id and
        patient_id, so that two hospitals that number alike can be merged.
    where: the section of the user's file that holds the options, for messages.

    Raises InputError: no such source or option (with the nearest known one), or whatever the source finds wrong.
    """
    known = names()
    if name not in known:
        raise InputError(
            "source", f"one of {', '.join(known)}", f"'{name}'",
            do=did_you_mean(name, known) or "Read docs/how-to/add-a-source.md to add one.",
        )  # fmt: skip
    read = importlib.import_module(f"{__name__}.{name}").read
    given = dict(options or {})
    problems = _option_problems(name, read, given, where)
    if problems:
        raise InputError.all(problems)
    prefix = given.pop("prefix", "")
    source: Source = read(Path(root), **given)
    source = replace(source, images=devices.folded(source.images))
    return prefixed(source, prefix) if prefix else source


def _option_problems(name: str, read: Callable[..., Source], given: Mapping[str, Any], where: str) -> list[InputError]:
    """Options that the reader does not have, options that it needs, and a prefix that is no text."""
    parameters = [p for p in inspect.signature(read).parameters.values() if p.name != "root"]
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
