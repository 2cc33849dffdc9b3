"""De-identification of a data set by the profile, including nested sequences and private attributes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag

from overread.images.deidentification import coded_entries, lut_copies, statement
from overread.images.deidentification.patients import patient_of
from overread.images.deidentification.profile import (
    CLEAN,
    EMPTY,
    KEEP,
    REMOVE,
    REPLACE,
    Deidentification,
    action,
    is_device,
    is_product,
    keeps_text,
)
from overread.images.deidentification.pseudonyms import Key
from overread.images.deidentification.search.free_text import may_name
from overread.images.deidentification.search.known_words import kept
from overread.images.deidentification.search.removed_values import Removed, collect, element_of
from overread.images.deidentification.values import (
    BYTES,
    INTEGERS,
    REALS,
    TEXTS,
    UNITS,
    checked,
    known_vr,
    number_texts,
    registered,
    text_of,
    values_of,
)
from overread.images.dicom.headers import header_of
from overread.images.raster.image_faults import said

_DUMMY: dict[str, Any] = {
    "PN": "ANONYMOUS",
    "DA": "19000101",
    "TM": "000000",
    "DT": "19000101000000",
    "IS": "0",
    "DS": "0",
    "AS": "000Y",
    "UR": "http://localhost",
    "AE": "ANONYMOUS",
}
_DATE = re.compile(r"(?P<day>\d{4}[.-]?\d{2}[.-]?\d{2})")
_DATE_TIME = re.compile(r"(?P<day>\d{4}(\d{2}(\d{2})?)?)(?P<rest>(?<=\d{8})\d{0,6}(\.\d{1,6})?([+-]\d{4})?)?")
_UID_LETTERS = frozenset("0123456789.")
_OLDEST = 89
_AGE_TAGS = ("PatientAge", "PatientBirthDate", "StudyDate")
PIXEL_DATA = 0x7FE00010
_CHARACTER_SET = 0x00080005


@dataclass(slots=True)
class Cleaning:
    """Result of cleaning a data set: its patient, the actions taken, and the values that must not occur in the
    output.
    """

    key: Key
    options: Deidentification
    identity: str
    done: Counter[tuple[str, str]] = field(default_factory=Counter)  # (tag, action) -> times
    removed: Removed = field(default_factory=Removed)
    little: bool = True


class Unclean(Exception):
    """Reason why a data set cannot be cleaned."""


def cleaned(dataset: Dataset, key: Key, options: Deidentification, *, identity: str = "") -> tuple[Dataset, Cleaning]:
    """Build a new data set by the profile.

    Parameters
    ----------
    dataset : Dataset
        Original data set; its pixel data are handled by the caller and are not in the result.
    key : Key
        Key of the pseudonyms.
    options : Deidentification
        Options of the profile.
    identity : str
        Identity that the patient's pseudonym is derived from; "" = that of this data set alone.

    Returns
    -------
    dataset : Dataset
        The new data set.
    cleaning : Cleaning
        Actions taken.

    Raises
    ------
    Unclean
        A look-up table may be text.

    Notes
    -----
    DICOM PS3.15, table E.1-1.
    """
    little = bool(getattr(dataset, "original_encoding", (False, True))[1] is not False)
    state = Cleaning(key, options, identity or patient_of(dataset, options.issuer).identity, little=little)
    collect(dataset, state.removed, lambda tag: action(tag.group, tag.element, options) == KEEP)
    cleaned_dataset = _anew(dataset, state)
    if options.patient:
        _age(dataset, cleaned_dataset)
    accession = text_of(dataset, "AccessionNumber")
    if accession:  # emptied by the profile, which lets a dummy stand in its place: this one joins labels to images
        cleaned_dataset.AccessionNumber = key.word(accession)
        _renamed(state, "0008,0050")
    cleaned_dataset.PatientID = key.patient(state.identity)
    cleaned_dataset.PatientName = cleaned_dataset.PatientID
    _renamed(state, "0010,0010")
    statement.add_to(cleaned_dataset, options)
    return cleaned_dataset, state


def _anew(dataset: Dataset, state: Cleaning, depth: int = 0) -> Dataset:
    """Data set of permitted elements; only values that are rebuilt here are included."""
    new_dataset = Dataset()
    for tag in sorted(dataset.keys()):
        if (int(tag) in (PIXEL_DATA, _CHARACTER_SET) and depth == 0) or tag.element == 0:  # 0: the length of a group
            continue
        texts = number_texts(dataset.get_item(tag))
        element = element_of(dataset, tag)
        if element is None and texts is None:
            _noted(state, tag, "removed: not a value of its kind")
            continue
        vr = element.VR if element is not None else dictionary_VR(tag)
        what = action(tag.group, tag.element, state.options)
        if what == REMOVE or vr in BYTES or tag.group < 8 or not known_vr(tag, vr):
            new = _noted(state, tag, "removed")
        elif vr == "SQ" and element is not None:
            new = _items(element, what, state, depth)
        else:
            values = texts if texts is not None else values_of(element) if element is not None else []
            new = _treated(tag, vr, values, what, state)
        if new is not None:
            new_dataset[tag] = new
    return new_dataset


def _items(element: DataElement, what: str, state: Cleaning, depth: int) -> DataElement | None:
    """Items of a sequence, each cleaned; look-up tables and coded entries are rebuilt as a whole."""
    tag = element.tag
    if what in (REPLACE, EMPTY):  # REPLACE: no image needs what such a sequence holds (PS3.15 E.1.1)
        _noted(state, tag, "emptied" if what == EMPTY else "removed")
        return DataElement(tag, "SQ", Sequence()) if what == EMPTY else None
    items = []
    for item in element.value or []:
        if int(tag) in lut_copies.SEQUENCES:
            items.append(_table(item, state))
            continue
        if coded_entries.is_code(item):
            new_item = coded_entries.standard_code(item)
            if new_item is None:
                continue
            nested = Dataset()
            nested.update({t: e for t in item if (e := element_of(item, t)) is not None and e.VR == "SQ"})
            new_item.update(_anew(nested, state, depth + 1))
        else:
            new_item = _anew(item, state, depth + 1)
        if len(new_item):
            items.append(new_item)
    if not items and element.value:
        return _noted(state, tag, "removed")
    _noted(state, tag, "items cleaned")
    return DataElement(tag, "SQ", Sequence(items))


def _table(item: Dataset, state: Cleaning) -> Dataset:
    try:
        return lut_copies.rebuilt(item, little=state.little)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise Unclean(f"a look-up table that cannot be examined: {said(error)}") from error


def _treated(tag: BaseTag, vr: str, values: list[Any], what: str, state: Cleaning) -> DataElement | None:
    """An element other than a sequence, by the action of the table and within its value representation."""
    text_stays = keeps_text(tag.group, tag.element, state.options)
    if what == EMPTY:
        _noted(state, tag, "emptied")
        return DataElement(tag, vr, None)
    if vr in TEXTS and is_device(tag.group, tag.element, state.options):
        return _device(tag, vr, values, state)
    if vr == "UI":
        return _uids(tag, values, what, state)
    if what == REPLACE:
        _noted(state, tag, "replaced")
        return DataElement(tag, vr, _dummy(vr, values, state))
    if vr in ("DA", "DT", "TM") and (what == CLEAN or not text_stays):
        return _date(tag, vr, values, state)
    if vr == "PN" or (vr in TEXTS and int(tag) not in UNITS):
        return _text(tag, vr, values, what, state) if text_stays and vr != "PN" else _noted(state, tag, "removed")
    new = None if what == CLEAN and vr != "CS" else checked(int(tag), vr, values)
    if new is None:
        return _noted(state, tag, "removed: not a value of its kind")
    return _with(tag, vr, new)


def _device(tag: BaseTag, vr: str, values: list[Any], state: Cleaning) -> DataElement | None:
    """Text about a device: kept if it names a product and no person, otherwise a pseudonym that distinguishes
    devices.
    """
    texts = [t for t in (" ".join(str(v).split()) for v in values) if t]
    if not texts:
        return DataElement(tag, vr, None)
    if not is_product(tag.group, tag.element):
        _noted(state, tag, "replaced")
        return DataElement(tag, vr, state.key.word("\\".join(texts)))
    if may_name(" ".join(texts), state.removed.names):
        return _noted(state, tag, "removed: may name a person")
    return _text(tag, vr, texts, KEEP, state)


def _with(tag: BaseTag, vr: str, values: list[Any]) -> DataElement:
    return DataElement(tag, vr, values if len(values) > 1 else (values[0] if values else None))


def _uids(tag: BaseTag, values: list[Any], what: str, state: Cleaning) -> DataElement:
    """UIDs registered in the standard are kept; all others are replaced unless an option keeps them."""
    texts = [str(v).strip(" \0") for v in values]
    if what == KEEP and keeps_text(tag.group, tag.element, state.options):
        return _with(tag, "UI", [t for t in texts if set(t) <= _UID_LETTERS])
    new = [t if registered(t) or not t else state.key.uid(t) for t in texts]
    if new != texts:
        _noted(state, tag, "new identifier")
    return _with(tag, "UI", new)


def _date(tag: BaseTag, vr: str, values: list[Any], state: Cleaning) -> DataElement | None:
    """The patient's dates shifted and times kept if the option is set; otherwise removed."""
    if state.options.dates != "shift":
        return _noted(state, tag, "removed")
    if vr == "TM":
        new = checked(int(tag), vr, values)
        if new is None:
            return _noted(state, tag, "removed: not a value of its kind")
    else:
        new = [_moved(str(getattr(v, "original_string", v)), vr, state) for v in values]
    _noted(state, tag, "date moved" if vr != "TM" else "time kept")
    return _with(tag, vr, new)


def _moved(text: str, vr: str, state: Cleaning) -> str:
    found = (_DATE if vr == "DA" else _DATE_TIME).fullmatch(text.strip(" \0"))
    if found is None:
        return ""
    digits = found["day"].replace(".", "").replace("-", "")
    try:
        day = date(int(digits[:4]), int(digits[4:6] or 1), int(digits[6:8] or 1))
        new = state.key.moved(day, state.identity)
    except (ValueError, OverflowError):
        return ""
    return f"{new:%Y%m%d}" + ((found["rest"] or "") if vr == "DT" else "")


def _text(tag: BaseTag, vr: str, values: list[Any], what: str, state: Cleaning) -> DataElement:
    """Free text that an option keeps, on one line; of descriptors, only known words that are not names."""
    text = " ".join(" ".join(str(v).split()) for v in values)
    if what == CLEAN:
        _noted(state, tag, "known words kept")
        text = kept(text, frozenset(state.removed.names.whole))
    return DataElement(tag, vr, "".join(c for c in text if c.isprintable())[: 16 if vr in ("SH", "AE") else 64])


def _dummy(vr: str, values: list[Any], state: Cleaning) -> Any:
    if vr in ("LO", "SH", "UC") and values:
        return state.key.word(str(values[0]))
    return 0 if vr in (*INTEGERS, *REALS) else _DUMMY.get(vr, "REMOVED")


def _age(dataset: Dataset, made: Dataset) -> None:
    """Patient's Age computed if only dates give it; 90 stands for 90 and older."""
    stated = Dataset()
    stated.update({t: e for t in map(Tag, _AGE_TAGS) if t in dataset and (e := element_of(dataset, t)) is not None})
    years = header_of(stated, "").age_years
    text = str(dataset.get("PatientAge") or "").strip()
    if years is not None and years > _OLDEST:
        made.PatientAge = "090Y"
    elif years is not None and not text:
        made.PatientAge = f"{int(years):03d}Y" if years >= 2 else f"{int(years * 12):03d}M"
    elif text and years is None:
        made.PatientAge = ""


def _renamed(state: Cleaning, tag: str) -> None:
    """Record as replaced an attribute that was emptied by the table and then received a pseudonym."""
    state.done.pop((tag, "emptied"), None)
    state.done[tag, "replaced"] = 1


def _noted(state: Cleaning, tag: BaseTag, what: str) -> DataElement | None:
    """Count an action; returns None, the value of an omitted element."""
    state.done[f"{tag.group:04x},{tag.element:04x}", what] += 1
    return None
