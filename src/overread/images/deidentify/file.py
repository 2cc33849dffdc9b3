"""One file: its pixels checked, cleaned, written aside, read again and looked through; only then put in place."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from overread import tables
from overread.errors import InputError, WriteError
from overread.images.deidentify.clean import Cleaning, cleaned, identity_of
from overread.images.deidentify.key import Key
from overread.images.deidentify.profile import Deidentification
from overread.images.deidentify.residual import residual
from overread.images.deidentify.text import Box, blackened, find_text, tesseract
from overread.images.deidentify.words import words_of
from overread.images.dicom import stored_of
from overread.images.header import BROKEN, dataset_of, readable, said
from overread.images.picture import content, read_bytes

_INDEX = "1.2.840.10008.1.3.10"  # media storage directory (DICOMDIR)
_DONE_BEFORE = "overread: "
_WHO = ("PatientName", "PatientID", "AccessionNumber", "OtherPatientIDs", "PatientBirthDate")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: `path` of the clean one within the clean folder, or why there is none."""

    kind: str  # "clean", "quarantined", "no DICOM"
    path: str = ""
    reason: str = ""
    patient: str = ""
    identity: str = ""
    accession: str = ""  # as it was
    blackened: int = 0
    done: tuple[tuple[str, str, int], ...] = ()  # tag, action, times


def deidentify_file(path: Path, folders: tuple[Path, Path], key: Key, options: Deidentification) -> Outcome:
    """De-identify one file into `folders` = (clean folder, folder for files under way, on the same disk).

    A file whose pixels cannot be checked for burned-in text, or in which anything is found again that was taken out, is
    quarantined: nothing of it is written to the clean folder.
    """
    try:
        data = read_bytes(path)
    except InputError as error:
        return Outcome("quarantined", reason=error.found)
    if content(data[:512]) != "DICOM":
        return Outcome("no DICOM", reason=content(data[:512]))
    try:
        with pydicom.config.disable_value_validation(), readable(path, "a DICOM file that can be cleaned"):
            return _cleaned_file(data, path, folders, key, options)
    except WriteError:  # the result cannot be written: the run must stop, not quarantine every file
        raise
    except InputError as error:
        return Outcome("quarantined", reason=f"{error.expected}: {error.found}"[:300])


def _cleaned_file(data: bytes, path: Path, folders: tuple[Path, Path], key: Key, options: Deidentification) -> Outcome:
    dataset = dataset_of(data, path, with_pixels=True)
    why = _unfit(dataset)
    if why:
        return Outcome("quarantined", reason=why)
    boxes, why = _checked_pixels(dataset, path, options)
    if why:
        return Outcome("quarantined", reason=why)
    accession = str(dataset.get("AccessionNumber") or "").strip()
    dataset, state = cleaned(dataset, key, options)
    dataset.BurnedInAnnotation = "NO"
    place = Path(str(dataset.PatientID)) / str(dataset.StudyInstanceUID) / f"{dataset.SOPInstanceUID}.dcm"
    state.names |= {w for b in boxes for w in words_of(b.text) if len(w) >= 3}
    aside = folders[1] / hashlib.sha256(str(path).encode()).hexdigest()
    try:
        with tables.writing(aside):
            dataset.save_as(aside, enforce_file_format=True)
        left = _found_again(aside, state, place)
        if left:
            shown = ", ".join(left[:5])
            return Outcome("quarantined", reason=f"what was taken out is in it still ({shown})")
        why = _put(aside, folders[0] / place)
    finally:
        tables.remove(aside)
    if why:
        return Outcome("quarantined", reason=why)
    done = tuple((tag, what, n) for (tag, what), n in sorted(state.done.items()))
    return Outcome("clean", place.as_posix(), patient=str(dataset.PatientID), identity=state.identity,
                   accession=accession, blackened=len(boxes), done=done)  # fmt: skip


def _unfit(dataset: Dataset) -> str:
    """Why the file cannot be cleaned at all; "" where it can."""
    meta = getattr(dataset, "file_meta", None)
    if str(getattr(meta, "MediaStorageSOPClassUID", "")) == _INDEX:
        return "an index of a medium (DICOMDIR), no picture"
    if not identity_of(dataset):
        return "no patient ID: pseudonym and dates could not be the same in all files of the patient"
    missing = [t for t in ("SOPInstanceUID", "StudyInstanceUID", "SOPClassUID") if not dataset.get(t)]
    if missing:
        return f"no {', '.join(missing)}"
    if str(dataset.get("DeidentificationMethod") or "").startswith(_DONE_BEFORE):
        return "de-identified already"
    return ""


def _checked_pixels(dataset: Dataset, path: Path, options: Deidentification) -> tuple[list[Box], str]:
    """The boxes that were blacked out, in the data set too; or why the file must not pass."""
    if "PixelData" not in dataset:
        return [], ""
    if tesseract() is None:
        return [], "the pixels could not be checked for text: Tesseract is not installed"
    try:
        values = stored_of(dataset, path)
        if values.ndim != 2:
            return [], "the pixels could not be checked for text: a colour picture"
        known = frozenset(w for t in _WHO for w in words_of(str(dataset.get(t) or "")) if len(w) >= 3)
        boxes = find_text(_seen(values), known)
    except InputError as error:
        return [], f"the pixels could not be checked for text: {error.found}"[:300]
    except (OSError, subprocess.SubprocessError, *BROKEN) as error:
        return [], f"the pixels could not be checked for text: {said(error)}"
    if not boxes and str(dataset.get("BurnedInAnnotation") or "").strip().upper() == "YES":
        return [], "the file says that text is burned in, and none was found"
    if boxes and options.pixels == "quarantine":
        return [], f"{len(boxes)} lines of text are burned in"
    if boxes:
        dark = int(values.max() if _light_is_low(dataset) else values.min())
        values = blackened(values, boxes, dark)
        again = find_text(_seen(values), known)
        if again:
            return [], "text is burned in that could not be blacked out"
    if boxes or _bits_beyond(dataset):
        _store(dataset, values)
    return boxes, ""


def _seen(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Stored values as 8 bits, for looking: from the 0.1st to the 99.9th percentile, by one table for all values."""
    bits = values.view(f"u{values.dtype.itemsize}")
    counts = np.bincount(bits[::4, ::4].ravel(), minlength=1 << (8 * values.dtype.itemsize))
    levels = np.arange(counts.size).astype(bits.dtype).view(values.dtype).astype(np.float32)
    order = np.argsort(levels, kind="stable")  # of signed values the negative ones come first
    low, high = levels[order][np.searchsorted(np.cumsum(counts[order]), counts.sum() * np.array([0.001, 0.999]))]
    high = max(high, low + 1)
    table = np.clip((levels - low) * (255.0 / (high - low)), 0, 255).astype(np.uint8)
    return np.take(table, bits)


def _light_is_low(dataset: Dataset) -> bool:
    inverse = str(dataset.get("PresentationLUTShape") or "").strip() == "INVERSE"
    return (str(dataset.get("PhotometricInterpretation", "")).strip() == "MONOCHROME1") or inverse


def _bits_beyond(dataset: Dataset) -> bool:
    """Whether bits of the pixel data lie outside those that are stored: an overlay of old, which may hold text."""
    syntax = pydicom.uid.UID(str(getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", "") or ""))
    if not syntax or syntax.is_compressed or dataset.BitsAllocated != 16 or dataset.BitsStored == 16:
        return False
    whole = dataset.PixelData[: len(dataset.PixelData) // 2 * 2]
    values = np.frombuffer(whole, "<u2" if syntax.is_little_endian else ">u2")
    high = int(dataset.get("HighBit", dataset.BitsStored - 1))
    mask = ((1 << dataset.BitsStored) - 1) << max(0, high + 1 - dataset.BitsStored)
    sign = bool(dataset.get("PixelRepresentation"))
    return not sign and bool(np.any(values & np.uint16(0xFFFF ^ mask)))


def _store(dataset: Dataset, values: NDArray[Any]) -> None:
    """The picture as plain little-endian values; what the old encoding said of itself goes."""
    allocated = 8 * values.dtype.itemsize
    dataset.PixelData = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()
    if len(dataset.PixelData) % 2:
        dataset.PixelData += b"\0"
    dataset["PixelData"].VR = "OB" if allocated == 8 else "OW"
    dataset["PixelData"].is_undefined_length = False
    dataset.BitsAllocated, dataset.HighBit = allocated, dataset.BitsStored - 1
    if not getattr(dataset, "file_meta", None):
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian


def _found_again(aside: Path, state: Cleaning, place: Path) -> list[str]:
    """The residual check, on the file as it was written."""
    written = dataset_of(aside.read_bytes(), aside, with_pixels=True)
    return residual(written, state.names, state.whole, place=place.as_posix())


def _put(aside: Path, place: Path) -> str:
    """Move the clean file to its place; why not, where another file is that instance already."""
    tables.make_folder(place.parent)
    if place.exists():
        same = place.read_bytes() == aside.read_bytes()
        return "" if same else "another file is this instance already"
    with tables.writing(place):
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(aside, place)
    return ""
