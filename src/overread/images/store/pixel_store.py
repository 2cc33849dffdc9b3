"""Pixel store: the images of a cohort at `size` x `size` in a few large files, read as memory maps.

A part is written under a temporary name and renamed, and `part-00000.json` records the files that it was made from. An
interrupted build, even by kill -9, resumes with the missing parts.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from overread import integrity
from overread.errors import InputError
from overread.images.raster.image_faults import MEMORY
from overread.images.recipe.pixel_recipe import Recipe
from overread.images.store.decode_worker import Made, made_in_order, part_key
from overread.images.store.unreadable_images import SCHEMA as _UNREADABLE
from overread.images.store.unreadable_images import problems
from overread.images.store.worker_pool import ENDED
from overread.limits import Bounds
from overread.tables import make_folder, remove, write_array, write_json
from overread.tables.records.kinds import PartRecord
from overread.tables.records.typed_files import read_array, read_json

Progress = Callable[[int, int], None]
Check = Callable[[pl.DataFrame], None]

# Bounded memory while a part is filled, and little lost when a build is interrupted.
_BOUNDS = Bounds()
_PART_BYTES, _PART_IMAGES = 64 << 20, 4096
_REMOVE = "Remove this file to have the part made again."
_ADDED = {"part": pl.Int32, "row": pl.Int32, "rows": pl.Int32, "columns": pl.Int32, "sha256": pl.String}
_RECORD = {"rows": pl.Int32, "columns": pl.Int32, "sha256": pl.String, "note": pl.String, "fault": pl.String}


@dataclass(frozen=True, slots=True)
class Store:
    """Pixels of a cohort: the recipe, and one memory map (n, size, size) of uint8 per part."""

    recipe: Recipe
    parts: tuple[NDArray[np.uint8], ...]

    def __len__(self) -> int:
        return sum(len(p) for p in self.parts)

    def _check(self, part: int, row: NDArray[np.integer]) -> None:
        """Refuse positions outside the store: the table of images then belongs to other pixels."""
        size = len(self.parts[part]) if 0 <= part < len(self.parts) else 0
        if not size or row.min() < 0 or row.max() >= size:
            found = f"part {part}, row {row.max()}, of a store with {len(self.parts)} parts, {size:,} rows in this one"
            raise InputError(
                "pixels", "a place of the pixel store for every image", found, do="Build the cohort again."
            )

    def gather(self, part: NDArray[np.integer], row: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Copy images into one array.

        Parameters
        ----------
        part, row : ndarray of int, shape (n,)
            Position of each image: the columns `part` and `row` of the table of images.

        Returns
        -------
        ndarray of uint8, shape (n, size, size)
            The images in this order.
        """
        part, row = np.asarray(part), np.asarray(row)
        out = np.empty((len(row), self.recipe.size, self.recipe.size), np.uint8)
        for number in np.unique(part):
            self._check(int(number), row[part == number])
            here = np.flatnonzero(part == number)
            if len(here) == len(row):
                np.take(self.parts[number], row, axis=0, out=out)
            else:
                out[here] = self.parts[number][row[here]]
        return out

    def release(self) -> None:
        """Release the memory pages that were read, so that a pass through a large store does not fill the memory."""
        for part in self.parts:
            held = getattr(part, "_mmap", None)  # an array made in memory has none
            if held is not None and hasattr(held, "madvise"):
                held.madvise(mmap.MADV_DONTNEED)


def build(
    images: pl.DataFrame,
    root: Path | str,
    folder: Path | str,
    recipe: Recipe,
    *,
    workers: int | str = 0,
    bounds: Bounds = _BOUNDS,
    check: Check | None = None,
    progress: Progress | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Build the pixel store of these images in `folder`/pixels with several processes; resumes an interrupted build.

    Parameters
    ----------
    images : DataFrame
        Table of images; `path` is absolute or relative to `root`.
    root : path
        Folder of the image files.
    folder : path
        Cohort folder.
    recipe : Recipe
        Pixel recipe.
    workers : int or str
        Processes, in which each file is limited in time and memory; 0 = this process, or the address of a Dask
        scheduler, both without these limits. The bytes written do not depend on it.
    bounds : Bounds
        Limits of time and memory per file; a file that exceeds them is unreadable.
    check : callable, optional
        Called with the missing images (image_id, path, reason) before any image is read, and with all missing or
        unreadable images at the end; it raises InputError if there are too many. None = none are allowed.
    progress : callable, optional
        Called with (images done, images in all).

    Returns
    -------
    images : DataFrame
        Readable images with part, row, rows, columns and sha256.
    unreadable : DataFrame
        image_id, path and reason of the others.

    Raises
    ------
    InputError
        As raised by `check` (completed parts are kept), or the disk is full.

    Notes
    -----
    Memory: one part, a few portions, and some hundred bytes per image.
    """
    pixels, root = Path(folder) / "pixels", Path(root)
    table = images.drop([c for c in _ADDED if c in images.columns])
    refuse = check or (lambda bad: _refuse(bad, table.height, root))
    parts, absent = _parts(table, root, recipe)
    refuse(absent)
    finished_parts = {p.number: kept for p in parts if (kept := _finished(pixels, p)) is not None}
    missing = [p for p in parts if p.number not in finished_parts]
    _clear(pixels, keep=[_name(pixels, number) for number in finished_parts])
    done = sum(records.height for records in finished_parts.values())
    report = progress or (lambda done, total: None)
    report(done, table.height)
    files = (p.paths(table, root) for p in missing)
    with closing(made_in_order(files, recipe, workers, sees=root, bounds=bounds)) as stream:
        for part in missing:
            rows = np.zeros((part.length, recipe.size, recipe.size), np.uint8)
            records: list[Made] = []
            filled = 0
            while len(records) < part.length:
                new, values = next(stream)
                rows[filled : filled + len(values)] = values
                records, filled, done = records + new, filled + len(values), done + len(new)
                report(done, table.height)
            _finish(pixels, part, rows[:filled], records)
            finished_parts[part.number] = _frame(records)
    write_json(pixels / "recipe.json", recipe.to_dict())  # last: a store without it is not whole
    full, unreadable = _placed(table, finished_parts)
    refuse(unreadable)
    return full, unreadable


def _refuse(unreadable: pl.DataFrame, n_images: int, root: Path) -> None:
    if found := problems(unreadable, n_images, where=f"images in {root}"):
        raise InputError.all(found)


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the store: its number, its rows of the table, and the key of its inputs."""

    number: int
    start: int
    length: int
    key: str

    def paths(self, table: pl.DataFrame, root: Path) -> list[Path]:
        """Files that the part is made from."""
        return [root / p for p in table["path"].slice(self.start, self.length)]


def _parts(table: pl.DataFrame, root: Path, recipe: Recipe) -> tuple[list[Part], pl.DataFrame]:
    """Parts of the store, and the images whose file is missing."""
    if table.height and table["path"].null_count():
        examples = table.filter(pl.col("path").is_null())["image_id"].to_list()
        raise InputError("images", "a path for every image", f"{len(examples):,} without", examples=examples)
    each = max(1, min(_PART_IMAGES, _PART_BYTES // recipe.size**2))
    parts, absent = [], []
    for number in range(math.ceil(table.height / each)):
        slice_ = table.slice(number * each, each)
        key, holes = part_key(slice_["image_id"].to_list(), [root / p for p in slice_["path"]], recipe)
        parts.append(Part(number, number * each, slice_.height, key))
        absent += [number * each + hole for hole in holes]
    return parts, table[absent].select("image_id", "path", reason=pl.lit("no file there"))


def _name(pixels: Path, number: int) -> Path:
    return pixels / f"part-{number:05d}.npy"


def _clear(pixels: Path, *, keep: list[Path]) -> None:
    """Remove the files of an older or interrupted build, so that a store belongs to one build."""
    make_folder(pixels)
    kept_names = {p.name for path in keep for p in (path, path.with_suffix(".json"))}
    for stale in (pixels / "recipe.json", *pixels.glob("part-*"), *pixels.glob(".*.part")):
        if stale.name not in kept_names:
            remove(stale)


def _finished(pixels: Path, part: Part) -> pl.DataFrame | None:
    """Records of a part that was already made from the same files and recipe.

    Raises InputError if the part was altered since. A part with a file that exceeded its limits is made again, because
    the limits or the computer may differ now.
    """
    path = _name(pixels, part.number)
    beside = path.with_suffix(".json")
    if not path.is_file() or not beside.is_file():
        return None
    integrity.check_seal(beside, do=_REMOVE)
    record = read_json(beside, PartRecord, do=_REMOVE)
    if record["key"] != part.key:
        return None
    kind = integrity.difference(path, record["file"], thorough=True)
    integrity.refuse(pixels, [integrity.Difference(path.name, kind)] if kind else [], do=_REMOVE)
    records = [Made(**entry) for entry in record["images"]]
    return None if any(word in r.fault for r in records for word in (ENDED, MEMORY)) else _frame(records)


def _finish(pixels: Path, part: Part, rows: NDArray[np.uint8], records: list[Made]) -> None:
    path = _name(pixels, part.number)
    write_array(path, rows)
    file = {"bytes": path.stat().st_size, "sha256": integrity.file_hash(path)}  # no time: equal work has equal bytes
    record = {"key": part.key, "file": file, "images": [asdict(m) for m in records]}
    integrity.write_sealed(path.with_suffix(".json"), record)


def _frame(records: list[Made]) -> pl.DataFrame:
    """Records as columns, which need a fraction of the memory of one object per image."""
    return pl.DataFrame([asdict(m) for m in records], schema=_RECORD)


def _placed(table: pl.DataFrame, made: dict[int, pl.DataFrame]) -> tuple[pl.DataFrame, pl.DataFrame]:
    readable = pl.col("fault") == ""
    placed = [
        records.with_columns(part=pl.lit(number, pl.Int32), row=(readable.cum_sum() - readable.cast(pl.UInt32)))
        for number, records in sorted(made.items())
    ]
    added = (pl.concat(placed) if placed else pl.DataFrame(schema=_RECORD | _ADDED)).rename({"note": "pixel_note"})
    full = table.drop("pixel_note", strict=False).hstack(
        added.select(*(pl.col(c).cast(t) for c, t in _ADDED.items()), "pixel_note", "fault")
    )
    bad = full.filter(~readable).select("image_id", "path", pl.col("fault").alias("reason"))
    return full.filter(readable).drop("fault"), bad.cast(_UNREADABLE)  # type: ignore[arg-type]


def open_store(folder: Path | str) -> Store:
    """Open the pixel store of a cohort folder as memory maps.

    Parameters
    ----------
    folder : path
        Cohort folder.

    Returns
    -------
    Store
        The pixel store.

    Raises
    ------
    InputError
        There is no store, or its parts are truncated or have another size than the recipe.
    """
    pixels = Path(folder) / "pixels"
    if not (pixels / "recipe.json").is_file():
        raise InputError(folder, "a cohort with pixels/recipe.json", "none there", do="Build the cohort first.")
    recipe = Recipe.from_dict(read_json(pixels / "recipe.json", dict[str, Any]))
    parts = []
    for number, path in enumerate(sorted(pixels.glob("part-*.npy"))):
        if path != _name(pixels, number):
            raise InputError(pixels, f"the file {_name(pixels, number).name}", f"{path.name} in its place")
        parts.append(_mapped(path, recipe))
    return Store(recipe, tuple(parts))


def _mapped(path: Path, recipe: Recipe) -> NDArray[np.uint8]:
    return read_array(path, (np.uint8,), (None, recipe.size, recipe.size), do="Build the cohort again.")
