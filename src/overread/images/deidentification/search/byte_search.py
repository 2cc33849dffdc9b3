"""Search for names in bytes, in every encoding in which they may have been written, as a final check."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from overread.images.deidentification.search.person_names import unspaced
from overread.images.deidentification.search.removed_values import Removed
from overread.kernels import njit

_ENCODINGS = (
    "utf_8",
    "utf_16_le",
    "utf_16_be",
    "latin_1",
    "gb18030",
    "big5",
    "shift_jis",
    "euc_jp",
    "iso2022_jp",
    "euc_kr",
    "iso2022_kr",
    "iso8859_5",
    "koi8_r",
    "cp1251",
    "iso8859_6",
    "cp1256",
    "iso8859_7",
    "iso8859_8",
    "cp1250",
    "cp1254",
    "tis_620",
    "utf_32_le",
)
# Letters and bytes from which a word is searched among bytes: shorter ones occur by chance in pseudonyms.
_LATIN, _LETTERS, _IDEOGRAPHS, _BYTES = 5, 4, 2, 4
_CHANCE = 1e-3  # expected coincidences among pixels up to which a match is none
_HITS = 4096
# ASCII capitals as small letters.
_FOLD = np.arange(256, dtype=np.uint8)
_FOLD[65:91] += 32


def needles(removed: Removed, shown: str = "") -> list[bytes]:
    """The bytes of every name and number in every encoding that has its letters.

    `shown`: text of the standard that a cleaned file holds in any case, in small letters; words in it are left out.
    """
    names = removed.names
    words = {
        w for w in names.whole | names.joined | names.written if len(w) >= (_IDEOGRAPHS if unspaced(w) else _LETTERS)
    }
    words |= {w.casefold() for w in removed.numbers | removed.whole if len(w) > _LETTERS and "." not in w}
    found = {r for r in removed.raw if len(r) >= _BYTES}
    for word in words:
        if word in shown:
            continue
        upper = {word.upper(), word.title(), unicodedata.normalize("NFD", word)}
        for form in {word} if word.isascii() else {word, *upper}:
            found |= set(_encoded(form))
    return sorted(n.translate(_FOLD.tobytes()) for n in found if len(n) >= _BYTES)


def _least(word: str) -> int:
    return _LATIN if word.isascii() else _IDEOGRAPHS if unspaced(word) else _LETTERS


def _encoded(word: str) -> Iterable[bytes]:
    for encoding in _ENCODINGS[:3] if word.isascii() else _ENCODINGS:
        try:
            data = word.encode(encoding)
        except UnicodeEncodeError:
            continue
        yield data[3:-3] if data.startswith(b"\x1b$") and data.endswith(b"\x1b(B") else data


def found_in(data: bytes, wanted: list[bytes], *, chance: bool = False) -> bool:
    """Whether any of the needles is in the data.

    Where `chance`, the data are pixels: a match counts only if values as they occur there, drawn independently, would
    give less than a thousandth of it.
    """
    if not wanted or not data:
        return False
    buffer = np.frombuffer(data, np.uint8)
    heads, following, starts, joined = _table(wanted)
    first, second = (np.isin(_FOLD, [n[k] for n in wanted]).astype(np.uint8) for k in (0, 1))
    hits = _scan(buffer, _FOLD, first, second, heads, following, starts, joined, _HITS)
    numbers = {int(n) for n in hits}
    if not numbers or not chance:
        return bool(numbers)
    counts = np.bincount(_FOLD[buffer], minlength=256).astype(float)
    return any(_expected(wanted[n], counts) < _CHANCE for n in numbers)


def _expected(needle: bytes, counts: NDArray[np.float64]) -> float:
    """How often a needle is expected by chance among bytes of these counts; generous, since pixels are alike nearby."""
    letters = np.frombuffer(needle, np.uint8)
    held = counts[letters.min() : int(letters.max()) + 1].sum()
    return float(held * np.prod(np.minimum(1.0, 2 * counts[letters] / max(held, 1.0))))


def _table(wanted: list[bytes]) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8]]:
    """Needles by their first two bytes: the first needle of each pair, the next one of every needle."""
    heads, following = np.full(65536, -1, np.int32), np.full(len(wanted), -1, np.int32)
    for k, needle in enumerate(wanted):
        head = needle[0] | needle[1] << 8
        following[k], heads[head] = heads[head], k
    starts = np.cumsum([0, *map(len, wanted)]).astype(np.int64)
    return heads, following, starts, np.frombuffer(b"".join(wanted), np.uint8)


@njit(nogil=True)
def _scan(
    data: NDArray[np.uint8],
    fold: NDArray[np.uint8],
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    heads: NDArray[np.int32],
    following: NDArray[np.int32],
    starts: NDArray[np.int64],
    joined: NDArray[np.uint8],
    most: int,
) -> NDArray[np.int32]:  # pragma: no cover - compiled
    found, n = np.empty(most, np.int32), 0
    for i in range(1, data.size):
        if not first[data[i - 1]] & second[data[i]]:  # nearly always: two small tables in the fastest memory
            continue
        k = heads[np.int64(fold[data[i - 1]]) | np.int64(fold[data[i]]) << 8]
        while k >= 0:
            length = starts[k + 1] - starts[k]
            if i - 1 + length <= data.size:
                same = 2
                while same < length and fold[data[i - 1 + same]] == joined[starts[k] + same]:
                    same += 1
                if same == length and n < most:
                    found[n] = k
                    n += 1
            k = following[k]
    return found[:n]
