"""Public sources and formats: `datasets/NAME.py` has read(root, **options) -> Source; a source is found by its name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from overread.datasets import devices
from overread.errors import InputError, did_you_mean
from overread.tables import Source

# Modules of this package that help to read and are no source themselves.
_HELPERS = ("devices", "folding", "headers", "shipped", "stated")


def names() -> tuple[str, ...]:
    """The names of the sources that can be loaded.

    >>> "nih14" in names() and "table" in names()
    True
    """
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in _HELPERS))


def load(name: str, root: Path | str, options: Mapping[str, Any] | None = None) -> Source:
    """Read a source by its name.

    Parameters
    ----------
    name: "table", "nih14" or another module of this package that has a `read`.
    root: the folder in which the source lies.
    options: what that `read` takes by keyword; for every source also `prefix`, set before image_id, case_id and
        patient_id, so that two hospitals that number alike can be merged.

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
    prefix = given.pop("prefix", "")
    if not isinstance(prefix, str):
        raise InputError(f"source {name}, prefix", "text", repr(prefix))
    taken = [p for p in inspect.signature(read).parameters if p != "root"]
    unknown = [
        InputError(f"source {name}", f"options {', '.join([*taken, 'prefix'])}", f"'{o}'", do=did_you_mean(o, taken))
        for o in given
        if o not in taken
    ]
    needed = [p.name for p in inspect.signature(read).parameters.values() if p.default is p.empty and p.name != "root"]
    unknown += [InputError(f"source {name}", f"the option {o}", "it left out") for o in needed if o not in given]
    if unknown:
        raise InputError.all(unknown)
    source: Source = read(Path(root), **given)
    source = replace(source, images=devices.folded(source.images))
    return prefixed(source, prefix) if prefix else source


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
