"""One data set made free of what tells who the patient is, nested sequences and private attributes included."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pydicom
from pydicom.datadict import dictionary_has_tag, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from overread.images.deidentify.key import Key
from overread.images.deidentify.profile import CLEAN, EMPTY, KEEP, NEW_UID, REMOVE, REPLACE, Deidentification, action
from overread.images.deidentify.words import KNOWN, kept, words_of

_DUMMY: dict[str, Any] = {"PN": "ANONYMOUS", "DA": "19000101", "TM": "000000", "DT": "19000101000000", "IS": "0",
                          "DS": "0", "AS": "000Y", "UR": "http://localhost", "AE": "ANONYMOUS"}  # fmt: skip
_NUMBERS = ("US", "UL", "SS", "SL", "FL", "FD", "UV", "SV", "AT")
_BYTES = ("OB", "OW", "OF", "OD", "OL", "OV", "UN")
_TEXTS = ("SH", "LO", "ST", "LT", "UT", "UC", "CS")
_OLDEST = 89
# CID 7050, the methods that were applied.
_METHODS = {
    "basic": ("113100", "Basic Application Confidentiality Profile"),
    "pixels": ("113101", "Clean Pixel Data Option"),
    "descriptors": ("113105", "Clean Descriptors Option"),
    "modified_dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "patient": ("113108", "Retain Patient Characteristics Option"),
    "device": ("113109", "Retain Device Identity Option"),
    "institution": ("113112", "Retain Institution Identity Option"),
}  # fmt: skip
# Attributes whose words are looked for afterwards, by what their keyword holds.
_IDENTIFYING = (
    "PatientID", "OtherPatientID", "AccessionNumber", "StudyID", "Institution", "Address", "Telephone", "Physician",
    "Operator", "Residence", "Insurance", "MedicalRecord", "AdmissionID", "IssuerOf", "BirthName", "PlacerOrder",
    "FillerOrder", "RequestedProcedureID", "PerformedProcedureStepID", "ScheduledProcedureStepID", "NamesOf",
    "PersonName", "Occupation", "MilitaryRank", "BranchOfService", "Religious",
)  # fmt: skip
_PIXEL_DATA = (0x7FE00008, 0x7FE00009, 0x7FE00010)


@dataclass(slots=True)
class Cleaning:
    """What became of one data set: who it is of, what was done, and what must not be found in it any more."""

    key: Key
    options: Deidentification
    identity: str
    done: Counter[tuple[str, str]] = field(default_factory=Counter)  # (tag, action) -> times
    names: set[str] = field(default_factory=set)  # words that were taken out
    whole: set[str] = field(default_factory=set)  # identifiers and dates as they were written


def identity_of(dataset: Dataset) -> str:
    """What a patient is known by: number and issuer; "" where the file names no patient."""
    number, issuer = (str(dataset.get(t) or "").strip() for t in ("PatientID", "IssuerOfPatientID"))
    return f"{issuer}:{number}" if number and issuer else number


def cleaned(dataset: Dataset, key: Key, options: Deidentification) -> tuple[Dataset, Cleaning]:
    """The data set by the profile, and what was done to it; the one that was given is changed on the way.

    The pixels are not looked at here. Sequences are gone through to any depth, whatever the table says of them.
    """
    state = Cleaning(key, options, identity_of(dataset))
    if options.patient:
        _age(dataset)
    known = {str(dataset.get(t) or "").strip() for t in ("PatientID", "StudyInstanceUID", "AccessionNumber")}
    accession = str(dataset.get("AccessionNumber") or "").strip()
    _go_through(dataset, state, depth=0)
    if accession:  # emptied by the profile, which lets a dummy stand in its place: this one joins labels to images
        dataset.AccessionNumber = key.word(accession)
        _renamed(state, "0008,0050")
    dataset.PatientID = key.patient(state.identity)
    dataset.PatientName = dataset.PatientID
    _renamed(state, "0010,0010")
    state.whole |= {k for k in known if k}
    _say_so(dataset, options)
    _meta(dataset)
    return dataset, state


def _go_through(dataset: Dataset, state: Cleaning, *, depth: int) -> None:
    for tag in list(dataset.keys()):
        if int(tag) in _PIXEL_DATA and depth == 0:
            continue
        element = _element(dataset, tag)
        if element is None or not (tag.is_private or dictionary_has_tag(tag) or tag.group & 0xFF00 in (0x5000, 0x6000)):
            _noted(state, tag, "removed: not a known attribute")
            if element is not None:
                _remember(element, state)
            del dataset[tag]
            continue
        what = action(tag.group, tag.element, state.options)
        if int(tag) in _PIXEL_DATA:
            what = REMOVE  # the picture within an icon or a referenced image was not looked at
        _apply(dataset, element, what, state, depth)


def _element(dataset: Dataset, tag: Any) -> DataElement | None:
    """The element, or None where its bytes are no value of what it says it is."""
    try:
        element = dataset[tag]
        str(element.value)
        return element
    except (ValueError, TypeError, KeyError, NotImplementedError, AttributeError, OverflowError, RuntimeError,
            pydicom.errors.BytesLengthException):  # fmt: skip
        return None


def _apply(dataset: Dataset, element: DataElement, what: str, state: Cleaning, depth: int) -> None:
    tag, sequence = element.tag, element.VR == "SQ"
    if element.VR == "UN" and what in (KEEP, CLEAN):  # what cannot be read cannot be cleaned
        what = REMOVE
    if what == KEEP and not sequence:
        return
    if what in (REMOVE, EMPTY, REPLACE, NEW_UID) and not (sequence and what in (REPLACE, NEW_UID)):
        _remember(element, state)
    if sequence and what in (KEEP, CLEAN, REPLACE, NEW_UID):
        for item in element.value or []:
            _go_through(item, state, depth=depth + 1)
        _noted(state, tag, "items cleaned")
    elif what == REMOVE:
        _noted(state, tag, "removed")
        del dataset[tag]
    elif what == EMPTY:
        _noted(state, tag, "emptied")
        dataset[tag] = DataElement(tag, element.VR, Sequence() if sequence else None)
    elif what == NEW_UID:
        _noted(state, tag, "new identifier")
        dataset[tag] = DataElement(tag, element.VR, _new_uids(element, state))
    elif what == REPLACE:
        _noted(state, tag, "replaced")
        dataset[tag] = DataElement(tag, element.VR, _dummy(element, state))
    else:
        _clean(dataset, element, state)


def _clean(dataset: Dataset, element: DataElement, state: Cleaning) -> None:
    """Dates of the patient moved, known words of free text kept, anything else removed."""
    tag = element.tag
    if element.VR in ("DA", "DT", "TM"):
        _remember(element, state)
        value = [_moved(str(v), element.VR, state) for v in _values(element)]
        _noted(state, tag, "date moved" if element.VR != "TM" else "time kept")
        dataset[tag] = DataElement(tag, element.VR, value if len(value) > 1 else (value[0] if value else None))
    elif element.VR in _TEXTS:
        _remember(element, state)
        text = " ".join(str(v) for v in _values(element))
        _noted(state, tag, "known words kept")
        dataset[tag] = DataElement(tag, element.VR, kept(text)[: 16 if element.VR in ("SH", "CS") else 64])
    else:
        _remember(element, state)
        _noted(state, tag, "removed")
        del dataset[tag]


def _values(element: DataElement) -> list[Any]:
    value = element.value
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list | pydicom.multival.MultiValue) else [value]


def _moved(text: str, vr: str, state: Cleaning) -> str:
    if vr == "TM":
        return text
    digits = text.replace(".", "").replace("-", "")[:8]
    try:
        day = date(int(digits[:4]), int(digits[4:6] or 1), int(digits[6:8] or 1))
    except ValueError:
        return ""
    new = state.key.moved(day, state.identity)
    return f"{new:%Y%m%d}" + (text[8:] if vr == "DT" else "")


def _new_uids(element: DataElement, state: Cleaning) -> Any:
    new = [state.key.uid(str(v)) for v in _values(element)]
    return new if len(new) > 1 else (new[0] if new else None)


def _dummy(element: DataElement, state: Cleaning) -> Any:
    vr = element.VR
    if vr == "UI":
        return _new_uids(element, state)
    if vr in ("LO", "SH", "UC") and _values(element):
        return state.key.word(str(_values(element)[0]))
    if vr in _BYTES:
        return b"\0\0"
    return 0 if vr in _NUMBERS else _DUMMY.get(vr, "REMOVED")


def _remember(element: DataElement, state: Cleaning) -> None:
    """Keep what is taken out, so that the residual check can look for it."""
    if element.VR == "SQ":
        for item in element.value or []:
            for inner in item:
                _remember(inner, state)
        return
    if element.VR in _NUMBERS or (element.VR in _BYTES and len(element.value or b"") > 4096):
        return
    for value in _values(element):
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        text = text.strip(" \0")
        if element.VR == "UI":
            state.whole.add(text)
        elif element.VR in ("DA", "DT"):
            state.whole |= spellings(text)
        elif _names_someone(element):
            state.names |= {w for w in words_of(text) if len(w) >= 3 and w not in KNOWN}


def _names_someone(element: DataElement) -> bool:
    """Whether an attribute holds who or where somebody is, and not how a picture was made."""
    word = keyword_for_tag(element.tag)
    return element.VR == "PN" or any(part in word for part in _IDENTIFYING)


def spellings(text: str) -> set[str]:
    """A date in the forms in which people and machines write it; none where it is no date.

    >>> sorted(spellings("19500131"))[:3]
    ['01/31/1950', '1950-01-31', '1950.01.31']
    """
    digits = text.replace(".", "").replace("-", "")[:8]
    try:
        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return set()
    forms = ("%Y%m%d", "%Y-%m-%d", "%Y.%m.%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y")
    return {day.strftime(f) for f in forms}


def _age(dataset: Dataset) -> None:
    """Patient's Age worked out where only dates tell it; 90 stands for 90 and older."""
    from overread.images.header import header_of

    years = header_of(dataset, "").age_years
    text = str(dataset.get("PatientAge") or "").strip()
    if years is not None and years > _OLDEST:
        dataset.PatientAge = "090Y"
    elif years is not None and not text:
        dataset.PatientAge = f"{int(years):03d}Y" if years >= 2 else f"{int(years * 12):03d}M"
    elif text and years is None:
        dataset.PatientAge = ""


def _say_so(dataset: Dataset, options: Deidentification) -> None:
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "overread: PS3.15 Annex E, Basic Profile and options by code"
    items = []
    for name in ("basic", "pixels", *options.options()):
        item = Dataset()
        item.CodeValue, item.CodeMeaning = _METHODS[name]
        item.CodingSchemeDesignator = "DCM"
        items.append(item)
    dataset.DeidentificationMethodCodeSequence = Sequence(items)
    dataset.LongitudinalTemporalInformationModified = "MODIFIED" if options.dates == "shift" else "REMOVED"


def _meta(dataset: Dataset) -> None:
    """New file meta information: nothing of the old one but the encoding; the preamble is zeros."""
    old = getattr(dataset, "file_meta", None)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.UID(str(getattr(old, "TransferSyntaxUID", "") or "1.2.840.10008.1.2"))
    meta.MediaStorageSOPClassUID = pydicom.uid.UID(str(dataset.SOPClassUID))
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta = meta
    dataset.preamble = bytes(128)


def _renamed(state: Cleaning, tag: str) -> None:
    """What was emptied by the table and bears a pseudonym since is told as replaced."""
    state.done.pop((tag, "emptied"), None)
    state.done[tag, "replaced"] = 1


def _noted(state: Cleaning, tag: Any, what: str) -> None:
    state.done[f"{tag.group:04x},{tag.element:04x}", what] += 1
