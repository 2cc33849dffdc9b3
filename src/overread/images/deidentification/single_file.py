"""De-identification of one file: check pixels, clean, write to the work folder, verify, and move into place."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from overread import integrity, tables
from overread.errors import InputError, WriteError
from overread.images.deidentification.cleaning import Cleaning, Unclean, cleaned
from overread.images.deidentification.patients import PatientIdentity, patient_of
from overread.images.deidentification.pixels import Unchecked, examined, store
from overread.images.deidentification.profile import Deidentification, image_classes
from overread.images.deidentification.pseudonyms import Key
from overread.images.deidentification.search.byte_search import found_in, needles
from overread.images.deidentification.search.known_words import KNOWN
from overread.images.deidentification.search.residual_check import closed_text, residual
from overread.images.deidentification.statement import add_meta
from overread.images.deidentification.values import text_of
from overread.images.dicom.headers import dataset_of
from overread.images.raster.file_content import content, read_bytes
from overread.images.raster.image_faults import readable

_INDEX = "1.2.840.10008.1.3.10"  # media storage directory (DICOMDIR)
_DONE_BEFORE = "overread: "


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result for one file: `path` and `sha256` of the clean file in the clean folder, or the reason for its
    absence.
    """

    kind: str  # "clean", "quarantined", "no DICOM"
    path: str = ""
    reason: str = ""
    patient: str = ""
    identity: str = ""
    accession: str = ""  # as it was
    blackened: int = 0
    done: tuple[tuple[str, str, int], ...] = ()  # tag, action, times
    sha256: str = ""


def deidentify_file(
    path: Path, folders: tuple[Path, Path], key: Key, options: Deidentification, patient: PatientIdentity | None = None
) -> Outcome:
    """De-identify one file into `folders` = (clean folder, work folder on the same disk).

    `patient` is the patient as determined from all files of the run; None = from this file alone. A file whose pixels
    cannot be checked for burned-in text, or in which a removed value is found again, is quarantined: nothing of it is
    written to the clean folder.
    """
    try:
        data = read_bytes(path)
    except InputError as error:
        return Outcome("quarantined", reason=error.found)
    if content(data[:512]) != "DICOM":
        return Outcome("no DICOM", reason=content(data[:512]))
    try:
        with pydicom.config.disable_value_validation(), readable(path, "a DICOM file that can be cleaned"):
            return _cleaned_file(data, path, folders, key, options, patient)
    except WriteError:  # the result cannot be written: the run must stop, not quarantine every file
        raise
    except InputError as error:
        return Outcome("quarantined", reason=f"{error.expected}: {error.found}"[:300])


def _cleaned_file(
    data: bytes,
    path: Path,
    folders: tuple[Path, Path],
    key: Key,
    options: Deidentification,
    patient: PatientIdentity | None,
) -> Outcome:
    dataset = dataset_of(data, path, with_pixels=True)
    patient = patient or patient_of(dataset, options.issuer)
    why = _unfit(dataset) or patient.reason
    if why:
        return Outcome("quarantined", reason=why)
    accession = text_of(dataset, "AccessionNumber")
    try:
        clean, state = cleaned(dataset, key, options, identity=patient.identity)
        values, boxes = examined(dataset, path, options)
    except (Unchecked, Unclean) as error:
        return Outcome("quarantined", reason=str(error))
    store(clean, values, dataset)
    state.done["7fe0,0010", "made anew"] = 1
    clean.BurnedInAnnotation = "NO"
    add_meta(clean)
    for box in boxes:
        state.removed.names.add_words(box.text, KNOWN)
    place = Path(str(clean.PatientID)) / str(clean.StudyInstanceUID) / f"{clean.SOPInstanceUID}.dcm"
    aside = folders[1] / hashlib.sha256(str(path).encode()).hexdigest()
    try:
        with tables.writing(aside):
            clean.save_as(aside, enforce_file_format=True)
        left = _found_again(aside, state, place)
        if left:
            shown = ", ".join(left[:5])
            return Outcome("quarantined", reason=f"what was taken out is in it still ({shown})")
        digest = integrity.file_hash(aside)
        why = _put(aside, folders[0] / place)
    finally:
        tables.remove(aside)
    if why:
        return Outcome("quarantined", reason=why)
    done = tuple((tag, what, n) for (tag, what), n in sorted(state.done.items()))
    return Outcome(
        "clean",
        place.as_posix(),
        patient=str(clean.PatientID),
        identity=state.identity,
        accession=accession,
        blackened=len(boxes),
        done=done,
        sha256=digest,
    )


def _unfit(dataset: Dataset) -> str:
    """Reason why the file cannot be cleaned at all; "" if it can."""
    meta = getattr(dataset, "file_meta", None)
    if str(getattr(meta, "MediaStorageSOPClassUID", "")) == _INDEX:
        return "an index of a medium (DICOMDIR), no picture"
    missing = [t for t in ("SOPInstanceUID", "StudyInstanceUID", "SOPClassUID") if not dataset.get(t)]
    if missing:
        return f"no {', '.join(missing)}"
    kind = str(dataset.SOPClassUID)
    if kind not in image_classes():
        return f"an object of a class that is not cleaned: {pydicom.uid.UID(kind).name} (0008,0016)"
    if "PixelData" not in dataset:
        return "no pixel data (7FE0,0010)"
    if text_of(dataset, "DeidentificationMethod").startswith(_DONE_BEFORE):
        return "de-identified already"
    return ""


def _found_again(aside: Path, state: Cleaning, place: Path) -> list[str]:
    """Residual check of the file as written: its elements, then its bytes."""
    data = aside.read_bytes()
    written = dataset_of(data, aside, with_pixels=True)
    left = residual(written, state.removed, place=place.as_posix())
    pixels = written.PixelData
    wanted = needles(state.removed, closed_text(written))
    if found_in(pixels, wanted, chance=True):
        left.append("7fe0,0010")
    if not left and found_in(data[: len(data) - len(pixels)], wanted):
        left.append("bytes of the file")
    return left


def _put(aside: Path, place: Path) -> str:
    """Move the clean file into place; returns the reason if another file already is that instance."""
    tables.make_folder(place.parent)
    if place.exists():
        same = place.read_bytes() == aside.read_bytes()
        return "" if same else "another file is this instance already"
    with tables.writing(place):
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(aside, place)
    return ""
