"""Several sources made one, their identifiers kept apart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from overread import tables
from overread.errors import InputError
from overread.tables import Source

_IDS = ("image_id", "case_id", "patient_id")


def merged(sources: Sequence[Source], roots: Sequence[Path]) -> tuple[Source, Path]:
    """One source of them all, and the folder that its paths are relative to.

    Raises InputError: a table is wrong; two sources share an image_id, case_id or patient_id; a case has images of two
    patients or sites.
    """
    if not sources or len(sources) != len(roots):
        raise InputError("cohort", "a folder for every source", f"{len(sources)} sources, {len(roots)} folders")
    checked = [_checked(source, number) for number, source in enumerate(sources, 1)]
    _refuse_collisions(checked)
    base = Path(os.path.commonpath([root.resolve() for root in roots]))
    images = [_rooted(s.images, Path(os.path.relpath(r.resolve(), base))) for s, r in zip(checked, roots, strict=True)]
    regions = [s.regions for s in checked if s.regions is not None]
    reads = [s.reads for s in checked if s.reads is not None]
    whole = Source(
        images=pl.concat(images, how="diagonal_relaxed"),
        labels=pl.concat([s.labels.select(tables.empty("labels").columns) for s in checked]),
        regions=pl.concat(regions, how="diagonal_relaxed") if regions else None,
        reads=pl.concat(reads, how="diagonal_relaxed") if reads else None,
        notes=tuple(note for s in checked for note in s.notes),
    )
    _refuse_mixed_cases(whole.images)
    return whole, base


def _checked(source: Source, number: int) -> Source:
    where = f"source {number}"
    notes: list[tables.Note] = []
    images = tables.check(source.images, "images", where=f"{where}, images", notes=notes)
    if not images.height:
        raise InputError(f"{where}, images", "at least one image", "none")
    _refuse_shared_files(images, f"{where}, images")

    def checked(frame: pl.DataFrame, table: str) -> pl.DataFrame:
        return tables.check(frame, table, where=f"{where}, {table}", notes=notes)

    regions = None if source.regions is None else checked(source.regions, "regions")
    reads = None if source.reads is None else checked(source.reads, "reads")
    labels = checked(source.labels, "labels")
    return Source(images, labels, regions, reads, (*source.notes, *notes))


def _refuse_shared_files(images: pl.DataFrame, where: str) -> None:
    """Refuse a table in which one file is the picture of two patients."""
    stated = images.filter(pl.col("path").is_not_null())
    shared = stated.group_by("path").agg(pl.col("patient_id").unique().sort())
    shared = shared.filter(pl.col("patient_id").list.len() > 1).sort("path")
    if shared.height:
        examples = [f"{path}: {', '.join(who[:3])}" for path, who in shared.head(6).rows()]
        expected = "every image file to be of one patient"
        raise InputError(where, expected, f"{shared.height:,} that two patients share", examples=examples)


def _refuse_collisions(sources: Sequence[Source]) -> None:
    problems = []
    for column in _IDS:
        ids = pl.concat([s.images.select(column).unique().with_columns(n=pl.lit(i)) for i, s in enumerate(sources)])
        shared = ids.filter(pl.col(column).is_duplicated())[column].unique().sort()
        if len(shared):
            problems.append(
                InputError(
                    "sources", f"{column}s that no two sources share", f"{len(shared):,} shared", examples=shared,
                    do="Give one of the sources a `prefix`; if they are the same patients, load them as one source.",
                )
            )  # fmt: skip
    if problems:
        raise InputError.all(problems)


def _rooted(images: pl.DataFrame, folder: Path) -> pl.DataFrame:
    if folder == Path():
        return images
    paths = [None if p is None else (folder / p).as_posix() for p in images["path"]]
    return images.with_columns(pl.Series("path", paths, dtype=pl.String))


def _refuse_mixed_cases(images: pl.DataFrame) -> None:
    problems = []
    for column in ("patient_id", "site"):
        mixed = images.group_by("case_id").agg(pl.col(column).n_unique()).filter(pl.col(column) > 1)["case_id"].sort()
        if len(mixed):
            problems.append(
                InputError("images", f"one {column} per case", f"{len(mixed):,} cases with several", examples=mixed)
            )
    if problems:
        raise InputError.all(problems)
