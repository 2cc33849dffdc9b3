"""Merging of several sources with distinct identifiers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from overread import tables
from overread.errors import InputError
from overread.findings import Vocabulary
from overread.images import file_tree
from overread.tables import Source

_IDS = ("image_id", "case_id", "patient_id")


def rooted(
    sources: Sequence[Source], roots: Sequence[Path], *, vocabulary: Vocabulary, allow_outside: bool = False
) -> tuple[list[Source], Path]:
    """Check the sources and make their paths relative to one common folder.

    Parameters
    ----------
    sources : sequence of Source
        The sources.
    roots : sequence of Path
        Folder of each source.
    vocabulary : Vocabulary
        Findings that labels, regions and reads may name.
    allow_outside : bool
        Whether paths may lead out of the folder of their source.

    Returns
    -------
    sources : list of Source
        The sources with relative paths.
    base : Path
        The common folder.

    Raises
    ------
    InputError
        A table has errors, the numbers of folders and sources differ, or files lie outside the folder of their source.
    """
    if not sources or len(sources) != len(roots):
        raise InputError("cohort", "a folder for every source", f"{len(sources)} sources, {len(roots)} folders")
    checked = [_checked(source, number, vocabulary) for number, source in enumerate(sources, 1)]
    if not allow_outside:
        _refuse_outside(checked, roots)
    base = Path(os.path.commonpath([root.resolve() for root in roots]))
    folders = [Path(os.path.relpath(root.resolve(), base)) for root in roots]
    rooted_sources = [
        replace(
            source,
            images=_below(folder, source.images),
            excluded=None if source.excluded is None else _below(folder, source.excluded),
        )
        for source, folder in zip(checked, folders, strict=True)
    ]
    return rooted_sources, base


def merged(sources: Sequence[Source]) -> Source:
    """Merge sources into one.

    Parameters
    ----------
    sources : sequence of Source
        Checked sources.

    Returns
    -------
    Source
        The rows of all sources.

    Raises
    ------
    InputError
        Two sources share an image_id, case_id or patient_id, or a case has images of two patients or sites.
    """
    _refuse_collisions(sources)
    images = [s.images for s in sources]
    regions = [s.regions for s in sources if s.regions is not None]
    reads = [s.reads for s in sources if s.reads is not None]
    excluded = [s.excluded for s in sources if s.excluded is not None]
    source = Source(
        images=pl.concat(images, how="diagonal_relaxed"),
        # One file may hold the labels of several sources: a label that two of them read from it counts once.
        labels=pl.concat([s.labels.select(tables.empty("labels").columns) for s in sources]).unique(
            maintain_order=True
        ),
        regions=pl.concat(regions, how="diagonal_relaxed") if regions else None,
        reads=pl.concat(reads, how="diagonal_relaxed") if reads else None,
        notes=tuple(note for s in sources for note in s.notes),
        excluded=pl.concat(excluded) if excluded else None,
    )
    _refuse_mixed_cases(source.images)
    return source


def _checked(source: Source, number: int, vocabulary: Vocabulary) -> Source:
    where = f"source {number}"
    notes: list[tables.Note] = []
    images = tables.check(source.images, "images", where=f"{where}, images", notes=notes)
    if not images.height:
        raise InputError(f"{where}, images", "at least one image", "none")
    _refuse_shared_files(images, f"{where}, images")

    def checked(frame: pl.DataFrame, table: str) -> pl.DataFrame:
        return tables.check(frame, table, where=f"{where}, {table}", notes=notes, vocabulary=vocabulary)

    labels = checked(source.labels, "labels")
    regions = None if source.regions is None else checked(source.regions, "regions")
    reads = None if source.reads is None else checked(source.reads, "reads")
    excluded = None if source.excluded is None else checked(source.excluded, "excluded")
    return replace(
        source,
        images=images,
        labels=labels,
        regions=regions,
        reads=reads,
        excluded=excluded,
        notes=(*source.notes, *notes),
    )


def _refuse_outside(sources: Sequence[Source], roots: Sequence[Path]) -> None:
    """Refuse paths that lead out of the folder of their source: a table could otherwise name any file of this
    computer.
    """
    problems = []
    for number, (source, root) in enumerate(zip(sources, roots, strict=True), 1):
        outside_paths = file_tree.outside(root, source.images["path"].drop_nulls())
        if outside_paths:
            problems.append(
                InputError(
                    f"{source.name or f'source {number}'}, images",
                    f"files below {root}",
                    f"{len(outside_paths):,} paths that lead out of it (absolute, '..', or a link)",
                    examples=map(repr, outside_paths),
                    do="Give the folder that holds them all as root, or allow them with --allow-outside.",
                )
            )
    if problems:
        raise InputError.all(problems)


def _refuse_shared_files(images: pl.DataFrame, where: str) -> None:
    """Refuse a table in which two patients share an image file."""
    with_path = images.filter(pl.col("path").is_not_null())
    shared = with_path.group_by("path").agg(pl.col("patient_id").unique().sort())
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
                    "sources",
                    f"{column}s that no two sources share",
                    f"{len(shared):,} shared",
                    examples=shared,
                    do="Give one of the sources a `prefix`; if they are the same patients, load them as one source.",
                )
            )
    if problems:
        raise InputError.all(problems)


def _below(folder: Path, frame: pl.DataFrame) -> pl.DataFrame:
    """Prepend the folder to `path`."""
    if folder == Path():
        return frame
    paths = [None if p is None else (folder / p).as_posix() for p in frame["path"]]
    return frame.with_columns(pl.Series("path", paths, dtype=pl.String))


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
