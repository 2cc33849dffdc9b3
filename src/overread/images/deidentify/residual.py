"""Whether what was taken out of a data set is in it still: every element, nested, in the file's name, in its pixels."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.dataset import Dataset

from overread.images.deidentify.words import KNOWN, words_of

_NOT_SEARCHED = ("US", "UL", "SS", "SL", "FL", "FD", "AT", "OW", "OF", "OD")
_NUMBERS = ("DS", "IS", "TM")  # where a short number is a measurement, not an identifier
_LONG = 4096  # bytes: pixel data and tables of grey values are no text


def residual(dataset: Dataset, names: Iterable[str], whole: Iterable[str], *, place: str = "") -> list[str]:
    """Where the words (`names`) or the identifiers and dates (`whole`) that were taken out are found: tags, sorted.

    Words of three letters and more are looked for as whole words, whatever their case; identifiers and dates as they
    stand, and within longer text. `place` is the path of the file, which is looked through too.
    """
    words, texts = {n for n in names if n not in KNOWN}, {w for w in whole if len(w) >= 3}
    found = set()
    for path, vr, text in _texts(dataset, ""):
        held = set(words_of(text))
        hit = held & words
        if vr in _NUMBERS:
            hit = {w for w in hit if len(w) >= 6}
        if hit or any(_within(t, text) for t in texts):
            found.add(path)
    if set(words_of(place)) & words or any(_within(t, place) for t in texts):
        found.add("file name")
    return sorted(found)


def _within(wanted: str, text: str) -> bool:
    """Whether the identifier stands in the text, not as part of a longer number."""
    at = text.find(wanted)
    while at >= 0:
        before, after = text[at - 1 : at] if at else "", text[at + len(wanted) : at + len(wanted) + 1]
        if not (before.isalnum() or after.isalnum()):
            return True
        at = text.find(wanted, at + 1)
    return False


def _texts(dataset: Dataset, above: str) -> Iterable[tuple[str, str, str]]:
    """Tag path, VR and text of every element that can hold text, nested ones and the meta information included."""
    meta = getattr(dataset, "file_meta", None) if not above else None
    for part in (meta, dataset):
        for element in part or ():
            path = f"{above}{element.tag.group:04x},{element.tag.element:04x}"
            if element.VR == "SQ":
                for item in element.value or []:
                    yield from _texts(item, f"{path}/")
            elif element.VR not in _NOT_SEARCHED:
                value = element.value
                if isinstance(value, bytes):
                    if len(value) <= _LONG:
                        yield path, element.VR, value.decode("latin-1")
                else:
                    yield path, element.VR, str(value)
