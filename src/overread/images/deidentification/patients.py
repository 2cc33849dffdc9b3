"""Patient of each file, determined from all headers before any file is cleaned."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pydicom
from pydicom.dataset import Dataset

from overread import limits, regular
from overread.errors import InputError
from overread.images.deidentification.values import text_of
from overread.images.dicom.headers import dataset_of
from overread.images.raster.file_content import content
from overread.images.store.executors import in_portions
from overread.images.store.worker_pool import WorkItem
from overread.tables.identifiers.identity import patients

_HEAD = 1 << 16  # bytes; the patient module comes early
_PORTION = 64
_TAGS = ("PatientID", "IssuerOfPatientID")
AMBIGUOUS = "no issuer of the patient ID (0010,0021), and other files give several issuers for this number"


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """Identity that a patient's pseudonym is derived from, "" if unknown; `reason` explains why."""

    identity: str = ""
    reason: str = ""


def patient_of(dataset: Dataset, issuer: str = "") -> PatientIdentity:
    """Patient of a single data set."""
    return _resolved([_stated(dataset)], issuer)[0]


def read_patients(paths: Sequence[Path], issuer: str = "", *, workers: int = 0) -> list[PatientIdentity]:
    """Determine the patient of every file.

    Parameters
    ----------
    paths : sequence of Path
        DICOM files.
    issuer : str
        Issuer of Patient ID (0010,0021) of files that do not state one.
    workers : int
        Processes; 0 = this process.

    Returns
    -------
    list of PatientIdentity
        One per file.

    Notes
    -----
    A number with at most one issuer is one patient, whether all or some files state the issuer; one number with two
    issuers is two patients. A file without issuer whose number has several is ambiguous. The identity is
    "issuer:number", or the number if no file states its issuer: it depends on the other files of a run only where a
    file lacks the issuer that they state.
    """
    portions = [paths[i : i + _PORTION] for i in range(0, len(paths), _PORTION)]
    reading: WorkItem[Path, list[tuple[str, str]]] = WorkItem(_pair, list, _unread)
    with closing(in_portions(reading, portions, workers)) as stream:
        return _resolved([pair for portion in stream for pair in portion], issuer)


def _resolved(pairs: list[tuple[str, str]], issuer: str) -> list[PatientIdentity]:
    numbers = pl.Series([n for n, _ in pairs], dtype=pl.String)
    found = patients(numbers, pl.Series([i or issuer for _, i in pairs], dtype=pl.String))
    rows = zip(found.keys, found.numbers, found.issuers, found.ambiguous, strict=True)
    return [_patient(*row) for row in rows]


def _patient(key: str | None, number: str | None, issuer: str | None, ambiguous: bool) -> PatientIdentity:
    if ambiguous:
        return PatientIdentity(reason=AMBIGUOUS)
    if key is None:
        return PatientIdentity(
            reason="no patient ID: pseudonym and dates could not be the same in all files of the patient"
        )
    return PatientIdentity(f"{issuer.casefold()}:{number}" if issuer else str(number))


def _unread(path: Path, why: str) -> tuple[str, str]:
    return "", ""


def _pair(path: Path) -> tuple[str, str]:
    """Number and issuer of one file; ("", "") if it is not DICOM or damaged, which is reported when it is cleaned."""
    try:
        with pydicom.config.disable_value_validation(), regular.opened(path, most=limits.IMAGE_BYTES) as file:
            head = file.read(_HEAD)
            if content(head[:512]) != "DICOM":
                return "", ""
            found = _stated(dataset_of(head, path, with_pixels=False, tags=_TAGS))
            if not found[0]:  # a long private group may come before it
                found = _stated(dataset_of(head + file.read(limits.HEADER_BYTES), path, with_pixels=False, tags=_TAGS))
            return found
    except (OSError, InputError):
        return "", ""


def _stated(dataset: Dataset) -> tuple[str, str]:
    number, issuer = (text_of(dataset, tag) for tag in _TAGS)
    return number, issuer
