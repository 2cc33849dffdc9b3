"""Decoding of image files to rows of the pixel store, in several processes and in the order of the files.

The result for a file depends only on the file and the recipe, so that the bytes of the store do not depend on the
number of workers. Worker processes import this module; its imports are kept light.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overread.errors import InputError
from overread.images.raster.file_content import ImageFile, content, read_bytes
from overread.images.raster.png_jpeg import decode_raster
from overread.images.recipe.pixel_recipe import Recipe, apply_recipe, uniformity
from overread.images.recipe.visible_contrast import ONE
from overread.images.store.executors import in_portions
from overread.images.store.malloc_tuning import keep_freed_memory
from overread.images.store.worker_pool import WorkItem
from overread.limits import Bounds

_BOUNDS = Bounds()
_PORTION = 16  # images per task: some hundred milliseconds of work, about a megabyte back
# A JPEG is unpacked no smaller than twice the recipe's size: the block averages of its decoder then stay within one
# grey level of the full decode.
_OVERSAMPLING = 2
_RULES = 2  # raised where the rules of reading change: parts made by older rules are made again
SEPARATOR = "; "  # between the notes of one image


@dataclass(frozen=True, slots=True)
class Made:
    """Result for one file: its rows and columns, its hash, notes, or its fault."""

    rows: int | None
    columns: int | None
    sha256: str | None
    note: str = ""
    fault: str = ""


def read_image(path: Path | str, recipe: Recipe) -> NDArray[np.uint8]:
    """Read a radiograph (PNG, JPEG or DICOM, detected by content) and render it by a recipe.

    Parameters
    ----------
    path : path
        Image file.
    recipe : Recipe
        Pixel recipe.

    Returns
    -------
    ndarray of uint8, shape (size, size)
        The image; air is dark.

    Raises
    ------
    InputError
        The file is missing, empty, truncated or damaged, is not an image (a PDF with another name), or has a single
        grey value.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> file = Path(tempfile.mkdtemp()) / "a.png"
    >>> Image.linear_gradient("L").save(file)
    >>> read_image(file, Recipe(size=32)).shape
    (32, 32)
    """
    return _rendered(read_picture(read_bytes(path), path, recipe), path, recipe)[0]


def read_picture(data: bytes, where: Path | str, recipe: Recipe) -> ImageFile:
    """Decode the image in the bytes of a file, with its own display range, before the recipe is applied."""
    kind = content(data[:512])
    if kind == "DICOM":
        from overread.images.dicom.radiographs import decode_dicom

        radiograph = decode_dicom(data, where, voi=recipe.window == "full")
        rows, columns = radiograph.stored.shape
        return ImageFile(
            radiograph.stored,
            radiograph.black,
            radiograph.white,
            rows,
            columns,
            table=radiograph.table,
            notes=radiograph.notes,
        )
    if kind not in ("PNG", "JPEG"):
        raise InputError(where, "a PNG, JPEG or DICOM radiograph", f"a file whose content is {kind}")
    longer = recipe.fit == "pad"
    return decode_raster(data, where, at_least=_OVERSAMPLING * recipe.size, longer=longer)


def _rendered(picture: ImageFile, where: Path | str, recipe: Recipe) -> tuple[NDArray[np.uint8], list[str]]:
    """The rendered image and notes on irregularities, conversions and low contrast.

    Raises InputError if the image has a single grey value, because it contains no information.
    """
    pixels = apply_recipe(picture, recipe)
    poor = uniformity(picture, pixels, recipe)
    if poor == ONE:
        found = f"{poor} ({int(pixels.max())} of 255) all over"
        raise InputError(where, "a picture with contrast", found, do="Check how it was exported.")
    converted = [f"made one grey plane: {picture.converted}"] if picture.converted else []
    return pixels, [*converted, *picture.notes, *([f"the picture has {poor}"] if poor else [])]


def part_key(image_ids: Sequence[str], paths: Sequence[Path], recipe: Recipe) -> tuple[str, list[int]]:
    """Hash of the inputs of a part (recipe, ids, and path, size and modification time of each file) and missing files.

    Returns the hash and the indices of the files that do not exist.
    """
    digest = hashlib.sha256(repr((_RULES, sorted(recipe.to_dict().items()))).encode())
    absent = []
    for number, (image_id, path) in enumerate(zip(image_ids, paths, strict=True)):
        state = (-1, -1)
        try:
            found = os.stat(path)
            state = (found.st_size, found.st_mtime_ns)
        except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: no file can have such a name
            absent.append(number)
        except OSError:  # there, but closed to us, a link to itself: reading it will say which
            pass
        digest.update(repr((image_id, str(path), *state)).encode())
    return digest.hexdigest(), absent


def make(paths: Sequence[Path], recipe: Recipe) -> tuple[list[Made], NDArray[np.uint8]]:
    """Read these files: one record per file, and the rendered images of the readable ones."""
    return _gathered([_one(path, recipe) for path in paths], recipe)


def _one(path: Path, recipe: Recipe) -> tuple[Made, NDArray[np.uint8] | None]:
    keep_freed_memory()
    try:
        data = read_bytes(path)
        picture = read_picture(data, path, recipe)
        pixels, notes = _rendered(picture, path, recipe)
    except InputError as error:
        return _lost(path, error.found)
    digest = hashlib.sha256(data).hexdigest()
    return Made(picture.rows, picture.columns, digest, note=SEPARATOR.join(notes)), pixels


def _lost(path: Path, why: str) -> tuple[Made, None]:
    return Made(None, None, None, fault=why), None


def _gathered(
    made: Sequence[tuple[Made, NDArray[np.uint8] | None]], recipe: Recipe
) -> tuple[list[Made], NDArray[np.uint8]]:
    rows = [pixels for _, pixels in made if pixels is not None]
    stacked = np.stack(rows) if rows else np.empty((0, recipe.size, recipe.size), np.uint8)
    return [record for record, _ in made], stacked


def made_in_order(
    parts: Iterable[Sequence[Path]],
    recipe: Recipe,
    workers: int | str,
    *,
    sees: Path | str = ".",
    bounds: Bounds = _BOUNDS,
) -> Generator[tuple[list[Made], NDArray[np.uint8]], None, None]:
    """Results of `make` for the files of every part, in portions and in order; see `executors.in_portions`.

    A file that exceeds `bounds` of time or memory has a record with this fault.
    """
    work = WorkItem(_one, _gathered, _lost, (recipe,), bounds)
    return in_portions(work, (p for paths in parts for p in portions(paths)), workers, sees=sees)


def portions(paths: Sequence[Path]) -> list[tuple[Path, ...]]:
    """Divide the files of a part into the portions that are passed to workers."""
    return [tuple(paths[i : i + _PORTION]) for i in range(0, len(paths), _PORTION)]
