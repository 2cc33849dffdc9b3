"""Identifying values of a data set, collected before it is cleaned and searched for afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

from overread.images.deidentification.search.digits import numbers_of
from overread.images.deidentification.search.known_words import KNOWN, words_of
from overread.images.deidentification.search.person_names import Names
from overread.images.deidentification.values import BYTES, INTEGERS, REALS, registered, values_of

# Attributes that name somebody or something of the hospital, by parts of their keywords.
_NUMBERS = (
    "PatientID",
    "OtherPatientID",
    "AccessionNumber",
    "StudyID",
    "Insurance",
    "MedicalRecord",
    "AdmissionID",
    "PlacerOrder",
    "FillerOrder",
    "RequestedProcedureID",
    "PerformedProcedureStepID",
    "ScheduledProcedureStepID",
    "IssuerOf",
    "Telephone",
    "Telecom",
)
_PLACES = (
    "Institution",
    "Address",
    "Physician",
    "Operator",
    "Residence",
    "BirthName",
    "NamesOf",
    "PersonName",
    "Occupation",
    "MilitaryRank",
    "BranchOfService",
    "Religious",
)
_MAKER = ("Manufacturer", "ManufacturerModelName")
# Encodings in which names are stored although the character set states another, or none.
_ENCODINGS = (
    "gb18030",
    "big5",
    "shift_jis",
    "euc_jp",
    "euc_kr",
    "cp1251",
    "koi8_r",
    "cp1253",
    "cp1256",
    "cp1250",
    "iso8859_8",
    "tis_620",
    "latin_1",
)
_SHORTEST = 5  # letters and digits of a number that is also searched without its punctuation


@dataclass(slots=True)
class Removed:
    """What must not be found again: names, numbers without their punctuation, and texts as they were written."""

    names: Names = field(default_factory=Names)
    numbers: set[str] = field(default_factory=set)
    digits: set[str] = field(default_factory=set)  # of the same numbers, without leading zeros
    whole: set[str] = field(default_factory=set)  # numbers, UIDs, and dates in all spellings
    raw: set[bytes] = field(default_factory=set)  # names in the encoding of the file

    def add_number(self, text: str, *, telephone: bool = False) -> None:
        """Add a number or code of the hospital: as it is written, its words, without punctuation, and its digits."""
        self.digits |= numbers_of(text, telephone=telephone)
        self.names.add_words(text, KNOWN)
        if len(text) >= 3 and text.casefold() not in KNOWN:
            self.whole.add(text)
        squeezed = "".join(words_of(text))
        for form in (squeezed, squeezed.lstrip("0")):
            if len(form) >= _SHORTEST and any(c.isdigit() for c in form):
                self.numbers.add(form)


def collect(dataset: Dataset, removed: Removed, keep: Any) -> None:
    """Add what a data set and its sequences hold; `keep` tells of a tag whether its text stays."""
    places = Names()
    _collect(dataset, removed, places, keep)
    for word in _MAKER:  # a hospital may be named like the manufacturer of its devices
        places.discard(set(words_of(str(dataset.get(word) or ""))))
    removed.names.merge(places)


def _collect(dataset: Dataset, removed: Removed, places: Names, keep: Any) -> None:
    for tag in list(dataset.keys()):
        raw = dataset.get_item(tag)
        element = element_of(dataset, tag)
        if element is None:
            continue
        if element.VR == "SQ":
            for item in element.value or []:
                _collect(item, removed, places, keep)
        elif element.VR == "PN":
            _person(element, raw, removed)
        elif not keep(tag):
            _other(element, removed, places)


def element_of(dataset: Dataset, tag: Any) -> DataElement | None:
    """The element, or None where its bytes are no value of what it says it is."""
    try:
        element: DataElement = dataset[tag]
        str(element.value) if element.VR not in (*BYTES, "SQ") else None
        return element
    except (
        ValueError,
        TypeError,
        KeyError,
        NotImplementedError,
        AttributeError,
        OverflowError,
        RuntimeError,
        IndexError,
        ArithmeticError,
    ):
        return None


def _person(element: DataElement, raw: object, removed: Removed) -> None:
    for value in values_of(element):
        removed.names.add_person(str(value))
    stored = raw.value if isinstance(raw, RawDataElement) else None
    if not isinstance(stored, bytes) or stored.isascii():
        return
    for part in stored.split(b"^"):
        removed.raw |= {p.strip(b" \0") for p in part.split(b"=") if not p.isascii()}
    for text in _decoded(stored):
        removed.names.add_person(text)


def _decoded(stored: bytes) -> list[str]:
    """A name in every encoding that its bytes fit; only UTF-8 where they fit that, which is no coincidence."""
    found = []
    for encoding in ("utf_8", *_ENCODINGS):
        try:
            found.append(stored.decode(encoding))
        except UnicodeDecodeError:
            continue
        if encoding == "utf_8":
            break
    return found


def _other(element: DataElement, removed: Removed, places: Names) -> None:
    vr, keyword = element.VR, keyword_for_tag(element.tag)
    if vr in (*INTEGERS, *REALS, "AT") or (vr in BYTES and len(element.value or b"") > 4096):
        return
    for value in values_of(element):
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        text = text.strip(" \0")
        if vr == "UI":
            removed.whole |= {text} - {""} if not registered(text) else set()
        elif vr in ("DA", "DT"):
            removed.whole |= spellings(text)
        elif any(part in keyword for part in _NUMBERS):
            removed.add_number(text, telephone="Tele" in keyword)
        elif any(part in keyword for part in _PLACES):
            places.add_words(text, KNOWN)


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
    forms = ("%Y%m%d", "%Y-%m-%d", "%Y.%m.%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d%m%Y")
    return {day.strftime(f) for f in forms}
