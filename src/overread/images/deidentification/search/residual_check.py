"""Whether what was taken out of a data set is in it still: every element, nested, in the file's name, in its bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from overread.images.deidentification.coded_entries import is_code, standard_code
from overread.images.deidentification.search.digits import in_numbers, in_text
from overread.images.deidentification.search.known_words import KNOWN, is_term, words_of
from overread.images.deidentification.search.removed_values import Removed
from overread.images.deidentification.statement import DEVICE, METHOD, is_ours
from overread.images.deidentification.values import BYTES, INTEGERS, REALS, values_of

_LEAST_DIGITS = 6  # of a number that is searched among measurements
_CLOSED = ("UI", "DA", "TM", "DT", "AS")  # made anew by rules that let no name pass


def residual(dataset: Dataset, removed: Removed, *, place: str = "") -> list[str]:
    """Where anything that was taken out is found: tags, sorted, and "file name".

    Names are compared as `names.Names` does; numbers, UIDs and dates as they were written, where they are not part of a
    longer number; numbers without their punctuation, and by their digits alone, too (`digits`). Lists of numbers are
    also read as letters. `place` is the path of the file.
    """
    texts = {w for w in removed.whole if len(w) >= 3}
    found = {path for path, element in _elements(dataset, "") if _holds(element, removed, texts)}
    if removed.names.find(place) or any(_within(t, place) for t in texts):
        found.add("file name")
    return sorted(found)


def _holds(element: DataElement, removed: Removed, texts: set[str]) -> bool:
    vr, values = element.VR, values_of(element)
    if vr in (*INTEGERS, *REALS, "DS", "IS", "AT"):
        return _numbers_hold(values, removed, texts)
    held = [v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in values]
    if vr in BYTES:
        held = [t.replace("\0", "") for t in held]
    text = " ".join(held)
    if any(_within(t, text) for t in texts):
        return True
    if vr in _CLOSED:
        return False
    if in_text(text, removed.digits):
        return True
    if vr == "CS" and is_term(text):
        return False
    squeezed = "".join(words_of(text))
    return bool(removed.names.find(text, KNOWN)) or any(n in squeezed for n in removed.numbers)


def _numbers_hold(values: list[Any], removed: Removed, texts: set[str]) -> bool:
    """Numbers as they are written, and a list of them as letters."""
    written = {str(v) for v in values} | {f"{v:.0f}" for v in values if isinstance(v, float)}
    wanted = removed.numbers | removed.names.whole | texts
    if any(len(w) >= _LEAST_DIGITS and w in wanted for w in written) or in_numbers(_written(values), removed.digits):
        return True
    codes = [int(v) for v in values if 32 <= float(v) < 0x110000] if len(values) > 1 else []
    return len(codes) > 1 and bool(removed.names.find("".join(map(chr, codes))))


def _written(values: list[Any]) -> list[str]:
    """Numbers as the file writes them, in which zeros at the beginning and the end stay."""
    return [str(getattr(v, "original_string", v)) for v in values]


def _within(wanted: str, text: str) -> bool:
    """Whether the identifier stands in the text, not as part of a longer number."""
    at = text.find(wanted)
    while at >= 0:
        before, after = text[at - 1 : at] if at else "", text[at + len(wanted) : at + len(wanted) + 1]
        if not (before.isalnum() or after.isalnum()):
            return True
        at = text.find(wanted, at + 1)
    return False


def closed_text(dataset: Dataset) -> str:
    """The text of a cleaned data set that no patient decides, in small letters: terms, coded entries, our statement."""
    held = [
        METHOD,
        DEVICE,
        str(getattr(dataset, "file_meta", "")),
        *KNOWN,
        *(str(e.value) for e in dataset if e.VR == "CS"),
    ]
    codes = (item for e in dataset if e.VR == "SQ" for item in e.value or [] if is_code(item))
    return " ".join([*held, *(str(c.get("CodeMeaning") or "") for c in codes)]).casefold()


def _elements(dataset: Dataset, above: str) -> Iterator[tuple[str, DataElement]]:
    """Tag path and element of everything but pixel data and what is known to be the standard's or ours."""
    meta = getattr(dataset, "file_meta", None) if not above else None
    coded = is_code(dataset) and standard_code(dataset)
    for part in (meta, dataset):
        for element in part or ():
            path = f"{above}{element.tag.group:04x},{element.tag.element:04x}"
            if element.VR == "SQ":
                for item in element.value or []:
                    yield from _elements(item, f"{path}/")
            elif coded and coded.get(element.tag) is not None and coded[element.tag].value == element.value:
                continue
            elif int(element.tag) != 0x7FE00010 and not is_ours(int(element.tag), element.value):
                yield path, element
