"""Pixel data rebuilt from the stored values that were examined for text."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from overread.errors import InputError
from overread.images.deidentification.burned_in_text import TextBox, blackened, find_text, tesseract
from overread.images.deidentification.profile import Deidentification
from overread.images.deidentification.search.known_words import words_of
from overread.images.deidentification.search.person_names import forms
from overread.images.dicom.radiographs import stored_of
from overread.images.raster.image_faults import BROKEN, Fault, said
from overread.images.recipe.lut import looked_up

_WHO = ("PatientName", "PatientID", "AccessionNumber", "OtherPatientIDs", "PatientBirthDate")
_GREY, _COLOUR = ("MONOCHROME1", "MONOCHROME2"), ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
_UNCHECKED = "the pixels could not be checked for text"


class Unchecked(Exception):
    """Reason why the pixels of a file cannot be released."""


def examined(dataset: Dataset, path: Path, options: Deidentification) -> tuple[NDArray[Any], list[TextBox]]:
    """Decode stored values and blacken lines of text in them.

    Parameters
    ----------
    dataset : Dataset
        Original data set.
    path : Path
        Its file.
    options : Deidentification
        Options of the profile.

    Returns
    -------
    values : ndarray, shape (rows, columns) or (rows, columns, 3)
        Stored values.
    boxes : list of TextBox
        Blackened lines.

    Raises
    ------
    Unchecked
        The file is not a single-frame image, its values cannot be decoded, or text is not permitted or cannot be
        blackened.
    """
    if tesseract() is None:
        raise Unchecked(f"{_UNCHECKED}: Tesseract is not installed")
    try:
        values = _stored(dataset, path)
        known = _known(dataset)
        boxes = _text(values, known)
    except InputError as error:
        raise Unchecked(f"{_UNCHECKED}: {error.found}"[:300]) from error
    except (OSError, subprocess.SubprocessError, *BROKEN) as error:
        raise Unchecked(f"{_UNCHECKED}: {said(error)}") from error
    if not boxes and str(dataset.get("BurnedInAnnotation") or "").strip().upper() == "YES":
        raise Unchecked("the file says that text is burned in, and none was found")
    if boxes and options.pixels == "quarantine":
        raise Unchecked(f"{len(boxes)} lines of text are burned in")
    if boxes:
        dark = int(values.max() if _light_is_low(dataset) else values.min())
        values = blackened(values, boxes, dark)
        if _text(values, known):
            raise Unchecked("text is burned in that could not be blacked out")
    return values, boxes


def _known(dataset: Dataset) -> frozenset[str]:
    """Identifying words: of the name, those of two letters or more; of numbers, those of three."""
    words = {w for t in _WHO for w in words_of(str(dataset.get(t) or "")) if len(w) >= (2 if t == "PatientName" else 3)}
    return frozenset(f for w in words for f in forms(w))


def _stored(dataset: Dataset, path: Path) -> NDArray[Any]:
    """Stored bits of exactly one frame."""
    photometric = str(dataset.get("PhotometricInterpretation") or "").strip().upper()
    if photometric not in (*_GREY, *_COLOUR):
        raise Fault(f"photometric interpretation (0028,0004) '{photometric}'")
    values = stored_of(dataset, path)
    wide = () if photometric in _GREY else (3,)
    if values.shape != (dataset.Rows, dataset.Columns, *wide) or values.dtype.kind not in "iu":
        raise Fault(f"{values.dtype} values of shape {values.shape} for a picture in {photometric}")
    if wide and int(dataset.get("HighBit", dataset.BitsStored - 1)) != dataset.BitsStored - 1:
        raise Fault("colour whose values are not in the lowest bits (0028,0102)")
    if values.dtype.itemsize > 2:
        raise Fault(f"{8 * values.dtype.itemsize} bits allocated; at most 16 can be examined")
    return _stored_bits(values, int(dataset.BitsStored))


def _stored_bits(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """Clear the bits above the stored bits, which may hold a legacy overlay."""
    unused = 8 * values.dtype.itemsize - bits
    if values.dtype.kind == "u" and not int(values.max()) >> bits:
        return values
    return (values << unused) >> unused if unused > 0 else values


def _text(values: NDArray[Any], known: frozenset[str]) -> list[TextBox]:
    """Lines of text; in a colour image those of each plane, once if all planes are equal."""
    if values.ndim == 2:
        return find_text(_seen(values), known)
    planes = [values[..., k] for k in range(3)]
    distinct = planes[:1] + [p for p in planes[1:] if not np.array_equal(p, planes[0])]
    return [box for plane in distinct for box in find_text(_seen(np.ascontiguousarray(plane)), known)]


def _seen(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Stored values as 8 bits for text detection: 0.1st to 99.9th percentile, by one look-up table."""
    bits = values.view(f"u{values.dtype.itemsize}")
    counts = np.bincount(bits[::4, ::4].ravel(), minlength=1 << (8 * values.dtype.itemsize))
    levels = np.arange(counts.size).astype(bits.dtype).view(values.dtype).astype(np.float32)
    order = np.argsort(levels, kind="stable")  # of signed values the negative ones come first
    low, high = levels[order][np.searchsorted(np.cumsum(counts[order]), counts.sum() * np.array([0.001, 0.999]))]
    high = max(high, low + 1)
    table = np.clip((levels - low) * (255.0 / (high - low)), 0, 255).astype(np.uint8)
    return looked_up(values, table)


def _light_is_low(dataset: Dataset) -> bool:
    inverse = str(dataset.get("PresentationLUTShape") or "").strip().upper() == "INVERSE"
    return str(dataset.get("PhotometricInterpretation", "")).strip().upper() == "MONOCHROME1" or inverse


def store(dataset: Dataset, values: NDArray[Any], stated: Dataset) -> None:
    """Write the values as native little-endian pixel data; `stated` is the original data set."""
    allocated = 8 * values.dtype.itemsize
    data = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    dataset.Rows, dataset.Columns = values.shape[:2]
    dataset.SamplesPerPixel = 1 if values.ndim == 2 else 3
    dataset.PhotometricInterpretation = str(stated.PhotometricInterpretation).strip().upper()
    if values.ndim == 3:
        dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0  # pydicom decodes all colours to RGB
    bits = min(int(stated.BitsStored), allocated)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = allocated, bits, bits - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    dataset.add_new(0x7FE00010, "OB" if allocated == 8 else "OW", data + b"\0" * (len(data) % 2))
