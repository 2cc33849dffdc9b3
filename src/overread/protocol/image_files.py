"""Image files of a folder, or of a list of files and folders, with paths relative to a common folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from overread import regular, tables
from overread.errors import InputError
from overread.images import file_tree
from overread.images.raster.file_content import content

_IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".dcm", ".dicom")
_IMAGE_KINDS = ("PNG", "JPEG", "DICOM")
_NOT_UNIQUE = "Rename some of them: identifiers have no control characters and no white space around them."


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Files to be read as images: the folder they lie in, the images (image_id, path), and the other files.

    `excluded` (path, reason) holds the files that are neither by content nor by name a PNG, a JPEG or a DICOM file.
    """

    root: Path
    images: pl.DataFrame
    excluded: pl.DataFrame


def list_images(given: Sequence[Path], *, allow_outside: bool = False) -> ImageFiles:
    """List the image files among files and folders; folders are searched with all folders in them.

    Parameters
    ----------
    given
        files and folders; `image_id` is the path relative to the folder that holds them all
    allow_outside
        whether links within a folder may lead out of it

    Raises
    ------
    InputError
        no image at all, a folder that cannot be read, paths that lead out of the folder, or two files of one identifier
    """
    files = list(dict.fromkeys(path.absolute() for place in given for path in _files(place, allow_outside)))
    root = _common_folder(given)
    names = [Path(os.path.relpath(path, root)).as_posix() for path in files]
    reasons = [_other_content(path) for path in files]
    excluded = pl.DataFrame(
        {"path": [n for n, why in zip(names, reasons, strict=True) if why], "reason": [why for why in reasons if why]},
        schema={"path": pl.String, "reason": pl.String},
    )
    paths = pl.Series("path", [n for n, why in zip(names, reasons, strict=True) if not why], dtype=pl.String)
    if paths.is_empty():
        found = f"none in {len(files):,} files" if files else "an empty folder"
        examples = [f"{path}: {why}" for path, why in excluded.rows()]
        raise InputError(_where(given), "PNG, JPEG or DICOM files", found, examples=examples)
    frame = tables.identify(
        pl.DataFrame({"image_id": paths, "path": paths}).sort("path"), "predictions", where=_where(given)
    )
    if (twice := frame.filter(pl.col("image_id").is_duplicated())).height:
        expected = "files with different identifiers"
        found = f"{twice.height} with the same"
        raise InputError(_where(given), expected, found, examples=twice["path"].to_list(), do=_NOT_UNIQUE)
    return ImageFiles(root, frame, excluded)


def _files(place: Path, allow_outside: bool) -> list[Path]:
    """The files of a folder and all folders in it; a file is itself."""
    if not place.exists():
        raise InputError(place, "a file or folder", "none there", do="Check the path.")
    if not place.is_dir():
        return [place]
    found = file_tree.files(place)
    names = [path.relative_to(place).as_posix() for path in found]
    if not allow_outside and (beyond := file_tree.outside(place, names)):
        do = "Copy the files, or allow it with --allow-outside."
        raise InputError(place, "files in this folder", f"{len(beyond):,} links out of it", examples=beyond, do=do)
    return found


def _common_folder(given: Sequence[Path]) -> Path:
    folders = [place.absolute() if place.is_dir() else place.absolute().parent for place in given]
    return Path(os.path.commonpath(folders))


def _where(given: Sequence[Path]) -> Path | str:
    return given[0] if len(given) == 1 else f"{len(given)} files and folders"


def _other_content(path: Path) -> str:
    """Why a file is not taken for an image; "" where it is one, or is named like one."""
    try:
        with regular.opened(path) as file:
            kind = content(file.read(512))
    except (InputError, OSError):
        kind = "not readable"
    if path.name.upper() == "DICOMDIR":
        return "a DICOM directory"
    named = path.name.lower().endswith(_IMAGE_ENDINGS)
    return "" if named or kind in _IMAGE_KINDS else f"not PNG, JPEG or DICOM: {kind}"
