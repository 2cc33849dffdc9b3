"""Layout of stored values in the pixel data: required elements and secondary elements."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pydicom

from overread.errors import InputError
from overread.images.dicom import tags
from overread.images.raster.file_content import check_size

_ESSENTIAL = ("Rows", "Columns", "BitsAllocated", "BitsStored")
_FLOAT = ("FloatPixelData", "DoubleFloatPixelData")


@dataclass(frozen=True, slots=True)
class Layout:
    """Rows, columns, samples per pixel, bits allocated and stored, high bit, and pixel representation."""

    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    high: int
    signed: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the stored values: (rows, columns) or (rows, columns, samples)."""
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)


def layout_of(dataset: pydicom.Dataset, where: Path | str, notes: list[str]) -> Layout:
    """Determine the layout of the pixel data.

    Parameters
    ----------
    dataset : Dataset
        Data set with its pixel data.
    where : path
        Name of the file in messages.
    notes : list of str
        Receives notes on irregular secondary elements (NumberOfFrames, HighBit, PixelRepresentation).

    Returns
    -------
    Layout
        The layout.

    Raises
    ------
    InputError
        Pixel data are missing, empty or floating-point; there are several frames; rows, columns or bits are missing or
        invalid.

    Notes
    -----
    DICOM PS3.3, section C.7.6.3 (Image Pixel Module).
    """
    _check_pixel_data(dataset, where)
    essential = {keyword: tags.whole(dataset, keyword, []) for keyword in _ESSENTIAL}
    bad = [_shown(dataset, keyword) for keyword, value in essential.items() if value is None]
    if bad:
        raise InputError(where, "tags of the pixel layout", "some missing or unreadable", examples=bad)
    rows, columns, allocated, stored = (int(value or 0) for value in essential.values())
    frames = tags.whole(dataset, "NumberOfFrames", notes)
    if frames is not None and frames > 1:
        raise InputError(where, "one radiograph", f"{frames} frames (0028,0008)", do="Split it into single images.")
    check_size(where, rows, columns)
    samples = tags.whole(dataset, "SamplesPerPixel", [])
    if (samples is None and tags.pieces(dataset, "SamplesPerPixel")) or samples not in (None, 1, 3):
        raise InputError(where, "one or three samples per pixel", _shown(dataset, "SamplesPerPixel"))
    if allocated not in (8, 16, 32) or stored < 1:
        found = f"{allocated} allocated (0028,0100), {stored} stored (0028,0101)"
        raise InputError(where, "8, 16 or 32 bits allocated and at least 1 stored", found)
    if stored > allocated:
        notes.append(f"{tags.name('BitsStored')} is '{stored}': {allocated} are allocated and taken")
        stored = allocated
    signed = tags.whole(dataset, "PixelRepresentation", notes)
    if signed not in (None, 0, 1):
        notes.append(tags.left_out("PixelRepresentation", str(signed), "neither 0 nor 1"))
    high = _high_bit(dataset, allocated, stored, notes)
    return Layout(rows, columns, samples or 1, allocated, stored, high, signed == 1)


def _high_bit(dataset: pydicom.Dataset, allocated: int, stored: int, notes: list[str]) -> int:
    """HighBit if it lies within the allocated bits and the stored bits fit below it; otherwise bits stored minus 1."""
    high = tags.whole(dataset, "HighBit", notes)
    if high is None:
        return stored - 1
    if not stored - 1 <= high < allocated:
        if high != stored - 1:
            notes.append(tags.left_out("HighBit", str(high), f"{stored} of {allocated} bits are stored"))
        return stored - 1
    return high


def _shown(dataset: pydicom.Dataset, keyword: str) -> str:
    found = tags.pieces(dataset, keyword)
    return f"{tags.name(keyword)} {tags.quoted(chr(92).join(found)) if found else 'missing'}"


def _check_pixel_data(dataset: pydicom.Dataset, where: Path | str) -> None:
    """Refuse a data set without stored values and give the reason."""
    floats = [keyword for keyword in _FLOAT if keyword in dataset]
    if "PixelData" in dataset:
        if not dataset.get_item("PixelData").value:
            raise InputError(where, "stored values in the pixel data (7FE0,0010)", "an empty element")
        return
    if floats:
        found = f"{tags.name(floats[0])}: a map of floating-point numbers"
        raise InputError(where, "a radiograph with pixel data (7FE0,0010)", found)
    last = max(dataset.keys(), default=None)
    raw = None if last is None else dataset.get_item(last)
    if raw is None or (isinstance(raw.value, bytes) and getattr(raw, "length", 0) not in (len(raw.value), 0xFFFFFFFF)):
        raise InputError(
            where,
            "a complete DICOM file",
            "one that ends before its pixel data: it is truncated",
            do="Fetch the file again.",
        )
    modality = tags.word(dataset, "Modality") or "not stated"
    found = f"a DICOM object without pixels (modality {modality}): it has none, or the file ends before them"
    raise InputError(where, "a radiograph with pixel data (7FE0,0010)", found)
