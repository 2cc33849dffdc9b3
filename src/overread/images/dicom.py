"""Radiographs from DICOM files: pixels as they are meant to be shown (air dark), and what the header says of them."""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError

from overread.errors import InputError
from overread.images import codecs, grey
from overread.images.picture import Pixels, check_size, content, read_bytes

# What pydicom raises on files that are not what they say; anything else is our fault and stays a traceback.
_BROKEN = (
    InvalidDicomError, AttributeError, EOFError, KeyError, NotImplementedError, OSError, RuntimeError, TypeError,
    ValueError, IndexError, struct.error,
)  # fmt: skip
_VIEWS = {"PA": "PA", "AP": "AP", "LL": "LATERAL", "RL": "LATERAL", "LATERAL": "LATERAL", "LAT": "LATERAL"}
_AGE_UNITS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}


@dataclass(frozen=True, slots=True)
class Header:
    """What a radiograph's header says; None or "" where it does not say it."""

    patient_id: str
    study: str
    image: str
    modality: str
    view: str
    sex: str | None
    age_years: float | None
    manufacturer: str
    device: str
    acquired: date | None
    pixel_mm: float | None
    rows: int
    columns: int
    photometric: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Radiograph:
    """A DICOM radiograph: `pixels` (rows, columns) with air dark, shown from `black` to `white`; its header; notes.

    `notes` name what was odd in the file and how it was taken, such as a window of no width.
    """

    pixels: Pixels
    black: float
    white: float
    header: Header
    notes: tuple[str, ...] = ()


def read_dicom(path: Path | str, *, voi: bool = True) -> Radiograph:
    """Read a radiograph from a DICOM file: stored values, modality LUT or rescale, VOI LUT or window, polarity.

    Parameters
    ----------
    path: the file, with or without preamble and file meta information.
    voi: whether the file's first VOI LUT (else its first window) is applied; without it the values span what is there.

    Returns a Radiograph. Its pixels are uint16 from 0 (black) to 65535 (white) where a VOI was applied; otherwise the
    modality values, uint16 or float32, black and white being the least and the greatest. MONOCHROME1 and the
    presentation LUT shape INVERSE are turned round, once, so that air is dark. Padding is black.

    Raises InputError that names the file and the tag or the encoding: not DICOM, no or truncated pixel data, several
    frames, a broken stream.

    Standards: PS3.3 C.11.1 (modality LUT), C.11.2 (VOI LUT), C.7.6.3.1.2 (photometric interpretation). Stored values
    were checked against the hashes of eleven public files and against pydicom.

    >>> from pydicom.data import get_testdata_file
    >>> read_dicom(get_testdata_file("RG1_UNCI.dcm", download=False) or get_testdata_file("CT_small.dcm")).pixels.ndim
    2
    """
    return decode_dicom(read_bytes(path), path, voi=voi)


def decode_dicom(data: bytes, where: Path | str, *, voi: bool = True) -> Radiograph:
    """The same for bytes already read; `where` is what errors call them."""
    with (
        pydicom.config.disable_value_validation()
    ):  # odd values are common in real headers; what matters is checked here
        dataset = _dataset(data, where, with_pixels=True)
        stored = _stored(dataset, where)
        try:
            plane = grey.displayed(dataset, stored, voi=voi)
        except _BROKEN as error:
            raise _broken(where, "grey scale tags that can be applied", error) from error
        return Radiograph(plane.pixels, plane.black, plane.white, _header(dataset, where), plane.notes)


def read_header(path: Path | str) -> Header:
    """Read what the header says, without the pixels.

    Raises InputError where the file is missing or is not DICOM.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(1 << 20)
    except OSError as error:
        raise InputError(path, "a DICOM file", f"one that cannot be opened: {error.strerror or error}") from error
    with pydicom.config.disable_value_validation():
        return _header(_dataset(head, path, with_pixels=False), path)


def stored_values(path: Path | str) -> NDArray[np.generic]:
    """The stored pixel values (rows, columns), before any grey scale is applied: what checksums of files speak of.

    >>> from pydicom.data import get_testdata_file
    >>> stored_values(get_testdata_file("CT_small.dcm")).dtype
    dtype('int16')
    """
    with pydicom.config.disable_value_validation():
        return _stored(_dataset(read_bytes(path), path, with_pixels=True), path)


def _dataset(data: bytes, where: Path | str, *, with_pixels: bool) -> pydicom.Dataset:
    if content(data[:512]) != "DICOM":
        raise InputError(where, "a DICOM file", f"a file whose content is {content(data[:512])}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a file that ends early is told of below, in our words
            return pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=not with_pixels)
    except _BROKEN as error:
        raise _broken(where, "a whole DICOM file", error) from error


def _broken(where: Path | str, expected: str, error: Exception) -> InputError:
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return InputError(where, expected, f"one that cannot be read: {text}", do="Fetch the file again.")


def _stored(dataset: pydicom.Dataset, where: Path | str) -> NDArray[np.generic]:
    if "PixelData" not in dataset and (not len(dataset) or "Rows" in dataset):  # pydicom gives what it had read so far
        raise InputError(
            where,
            "a whole DICOM file",
            "one that ends before its pixel data: it is truncated",
            do="Fetch the file again.",
        )
    if "PixelData" not in dataset:
        found = f"a DICOM object without pixels (modality {dataset.get('Modality') or 'not stated'})"
        raise InputError(where, "a radiograph with pixel data (7FE0,0010)", found)
    missing = [k for k in ("Rows", "Columns", "BitsAllocated", "BitsStored") if not isinstance(dataset.get(k), int)]
    if missing:
        raise InputError(where, "tags that say how pixels are stored", "some missing", examples=missing)
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames != 1:
        raise InputError(where, "one radiograph", f"{frames} frames (0028,0008)", do="Split it into single images.")
    check_size(where, int(dataset.Rows), int(dataset.Columns))
    return codecs.stored(dataset, where)


def _header(dataset: pydicom.Dataset, where: Path | str) -> Header:
    meta = getattr(dataset, "file_meta", None)
    try:
        return Header(
            patient_id=_text(dataset, "PatientID"),
            study=_text(dataset, "StudyInstanceUID"),
            image=_text(dataset, "SOPInstanceUID"),
            modality=_text(dataset, "Modality"),
            view=_VIEWS.get(_text(dataset, "ViewPosition").upper(), "UNKNOWN"),
            sex=sex if (sex := _text(dataset, "PatientSex")) in ("F", "M") else None,
            age_years=_age_years(dataset),
            manufacturer=_text(dataset, "Manufacturer"),
            device=_text(dataset, "ManufacturerModelName"),
            acquired=_day(dataset, "AcquisitionDate") or _day(dataset, "StudyDate"),
            pixel_mm=_pixel_mm(dataset),
            rows=int(dataset.get("Rows") or 0),
            columns=int(dataset.get("Columns") or 0),
            photometric=_text(dataset, "PhotometricInterpretation"),
            transfer_syntax=str(getattr(meta, "TransferSyntaxUID", "") or ""),
        )
    except _BROKEN as error:
        raise _broken(where, "a header that can be read", error) from error


def _text(dataset: pydicom.Dataset, tag: str) -> str:
    value = dataset.get(tag)
    return "" if value is None else str(value).strip()


def _day(dataset: pydicom.Dataset, tag: str) -> date | None:
    digits = _text(dataset, tag).replace(".", "")[:8]
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None


def _age_years(dataset: pydicom.Dataset) -> float | None:
    """The age as stated ("034Y", "018M"), else from birth to study; one no human reaches is not stated at all."""
    text = _text(dataset, "PatientAge").upper()
    born, seen = _day(dataset, "PatientBirthDate"), _day(dataset, "StudyDate")
    years: float | None = None
    if text[-1:] in _AGE_UNITS and text[:-1].isdigit():
        years = int(text[:-1]) * _AGE_UNITS[text[-1]]
    elif born and seen:
        years = (seen - born).days / 365.25
    return years if years is not None and 0 <= years <= 120 else None


def _pixel_mm(dataset: pydicom.Dataset) -> float | None:
    """The size of a pixel: as calibrated (0028,0030), else at the detector (0018,1164); 0 is not a size."""
    for tag in ("PixelSpacing", "ImagerPixelSpacing"):
        value: Any = dataset.get(tag)
        if value and len(value) == 2 and float(value[0]) > 0:
            return float(value[0])
    return None
