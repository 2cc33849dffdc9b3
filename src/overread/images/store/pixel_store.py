"""The pixel store: every image of a cohort as `size` x `size` bytes in a few large files, read as memory maps.

A part is written under another name and renamed, and `part-00000.json` beside it says from which files it was made: a
build that was interrupted, even by kill -9, goes on with the parts that are missing.
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
    """Pixels of a cohort: the recipe that made them and one memory map (n, size, size) uint8 per part."""

    recipe: Recipe
    parts: tuple[NDArray[np.uint8], ...]

    def __len__(self) -> int:
        return sum(len(p) for p in self.parts)

    def _check(self, part: int, row: NDArray[np.integer]) -> None:
        """Refuse places that the store does not have: the table of images is not of these pixels."""
        size = len(self.parts[part]) if 0 <= part < len(self.parts) else 0
        if not size or row.min() < 0 or row.max() >= size:
            found = f"part {part}, row {row.max()}, of a store with {len(self.parts)} parts, {size:,} rows in this one"
            raise InputError(
                "pixels", "a place of the pixel store for every image", found, do="Build the cohort again."
            )

    def gather(self, part: NDArray[np.integer], row: NDArray[np.integer]) -> NDArray[np.uint8]:
        """The images at these places, in this order: uint8 (n, size, size), a copy.

        Parameters: `part` and `row`, integer (n,), as the columns of the table of images say.
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
        """Let go of the pages that were read: whoever walks through a large store once keeps none of it in memory."""
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
    """Make the pixel store of these images in `folder`/pixels, on several cores, going on where a build stopped.

    Parameters
    ----------
    images: the table of images; `path` is relative to `root` (an absolute path stays itself).
    workers: processes, in which each file is bounded in time and memory; 0 = in this process, or the address of a Dask
        scheduler, both without these bounds. The bytes written do not depend on it.
    bounds: of the time and memory that one file may take in these processes; one that takes more is unreadable.
    check: called with the images that are missing (image_id, path, reason) before any image is read, and with all that
        are missing or unreadable at the end; it raises InputError if they are too many. None = one is too many.
    progress: called with (images done, images in all).

    Returns the images with part, row, rows, columns, sha256 filled (unreadable ones left out), and the unreadable ones:
    image_id, path, reason. Memory: one part and a few portions, and some hundred bytes per image.

    Raises InputError: what `check` raises (parts already made are kept); the disk is full.
    """
    pixels, root = Path(folder) / "pixels", Path(root)
    table = images.drop([c for c in _ADDED if c in images.columns])
    refuse = check or (lambda bad: _refuse(bad, table.height, root))
    parts, absent = _parts(table, root, recipe)
    refuse(absent)
    made = {p.number: kept for p in parts if (kept := _finished(pixels, p)) is not None}
    missing = [p for p in parts if p.number not in made]
    _clear(pixels, keep=[_name(pixels, number) for number in made])
    done = sum(records.height for records in made.values())
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
            made[part.number] = _frame(records)
    write_json(pixels / "recipe.json", recipe.to_dict())  # last: a store without it is not whole
    full, unreadable = _placed(table, made)
    refuse(unreadable)
    return full, unreadable


def _refuse(unreadable: pl.DataFrame, n_images: int, root: Path) -> None:
    if found := problems(unreadable, n_images, where=f"images in {root}"):
        raise InputError.all(found)


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the store to be: its number, its rows in the table, and the key that tells whether it is made."""

    number: int
    start: int
    length: int
    key: str

    def paths(self, table: pl.DataFrame, root: Path) -> list[Path]:
        """The files that it is made from."""
        return [root / p for p in table["path"].slice(self.start, self.length)]


def _parts(table: pl.DataFrame, root: Path, recipe: Recipe) -> tuple[list[Part], pl.DataFrame]:
    """The parts of the store to be, and the images whose file is missing."""
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
    """Remove what an older or interrupted build left, so that a store is never of two builds."""
    make_folder(pixels)
    kept = {p.name for path in keep for p in (path, path.with_suffix(".json"))}
    for stale in (pixels / "recipe.json", *pixels.glob("part-*"), *pixels.glob(".*.part")):
        if stale.name not in kept:
            remove(stale)


def _finished(pixels: Path, part: Part) -> pl.DataFrame | None:
    """The records of a part that is made already from the same files by the same recipe.

    Raises InputError where it was altered since: it is neither believed nor made again unasked.
    One with a file whose reading was ended is made again: the bounds, or the machine, may be others now.
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
    made = [Made(**entry) for entry in record["images"]]
    return None if any(word in r.fault for r in made for word in (ENDED, MEMORY)) else _frame(made)


def _finish(pixels: Path, part: Part, rows: NDArray[np.uint8], records: list[Made]) -> None:
    path = _name(pixels, part.number)
    write_array(path, rows)
    file = {"bytes": path.stat().st_size, "sha256": integrity.file_hash(path)}  # no time: equal work has equal bytes
    record = {"key": part.key, "file": file, "images": [asdict(m) for m in records]}
    integrity.write_sealed(path.with_suffix(".json"), record)


def _frame(records: list[Made]) -> pl.DataFrame:
    """Records as columns: a fraction of the memory that objects take, and there is one per image of the cohort."""
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
    """The pixel store of a cohort's folder, opened as memory maps.

    Raises InputError where there is none, or where its parts are torn or of another size than the recipe says.
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
