"""Detection of file formats by content, and the decoded image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overread import limits, regular
from overread.errors import InputError

Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]

# Pictures beyond this are refused before they are unpacked: a forged header could ask for all memory there is.
MAX_PIXELS = limits.PIXELS

# Near-duplicates are searched for among stored images of at least so many pixels per side: a smaller one does not
# distinguish one chest from another. The report names both numbers, and must not load the search for them.
LEAST_COMPARED = 64
# Images whose details correlate at least so well after alignment are one image. 77 of 82 known copies in public sets
# reach 0.98; real radiographs of different days reached 0.953 among 3,336 and two simulated patients 0.976 among 1,800
# images. In larger sets the most alike pair is more alike.
ALIKE = 0.98

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"%PDF", "PDF"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"PK\x03\x04", "ZIP archive"),
    (b"\x1f\x8b", "gzip file"),
    (b"RIFF", "RIFF (WebP or AVI)"),
    (b"\x00\x00\x00\x0cjP", "JPEG 2000"),
    (b"<!DOCTYPE", "HTML page"),
    (b"<html", "HTML page"),
    (b"version https://git-lfs", "Git LFS pointer (the image itself was not downloaded)"),
)


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A decoded radiograph.

    Parameters
    ----------
    pixels : ndarray, shape (rows, columns)
        Values; air is dark.
    black, white : float
        Values displayed as black and as white.
    rows, columns : int
        Size of the file's image, also if a JPEG was decoded at a reduced scale.
    converted : str
        Conversion to one grey plane; "" = none.
    table : ndarray, optional
        Look-up table from `pixels` to grey values, see `lut.looked_up`.
    notes : tuple of str
        Irregularities of the file and how they were handled.
    """

    pixels: Pixels
    black: float
    white: float
    rows: int
    columns: int
    converted: str = ""
    table: Pixels | None = None
    notes: tuple[str, ...] = ()


def content(head: bytes) -> str:
    r"""Detect the kind of a file by its first bytes: "PNG", "JPEG", "DICOM", another kind, or "unknown data".

    A DICOM file without preamble is recognised by its first element, in group 0002 or 0008.

    Examples
    --------
    >>> content(b"%PDF-1.7"), content(b"\x89PNG\r\n\x1a\n"), content(bytes(128) + b"DICM")
    ('PDF', 'PNG', 'DICOM')
    """
    if head[128:132] == b"DICM":
        return "DICOM"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:2] in (b"\x08\x00", b"\x02\x00", b"\x00\x08") and len(head) > 8:
        return "DICOM"
    return "unknown data"


def read_bytes(path: Path | str) -> bytes:
    """Read an image file; InputError if it is missing, empty, too large, not a file or not readable."""
    path = Path(path)
    try:
        data = regular.content(path, most=limits.IMAGE_BYTES)
    except FileNotFoundError as error:
        raise InputError(path, "an image file", "no file there", do="Check the path and the root folder.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(path, "an image file", f"one that cannot be opened: {reason}") from error
    if not data:
        raise InputError(path, "an image file", "an empty file (0 bytes)", do="Fetch the file again.")
    return data


def check_size(where: object, rows: int, columns: int) -> None:
    """Refuse an image that is too large for a radiograph or has no pixels."""
    if rows < 1 or columns < 1:
        raise InputError(where, "a picture with pixels", f"{rows} rows and {columns} columns")
    if rows * columns > MAX_PIXELS:
        raise InputError(where, f"at most {MAX_PIXELS:,} pixels", f"{rows:,} rows and {columns:,} columns")
