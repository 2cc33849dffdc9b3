"""Detection of burned-in text by its shape, recognition with Tesseract, and blackening.

Letters are small and of high contrast: a top-hat filter (white and black, at two scales) keeps them and removes
anatomy. Only regions above the noise level that form a row are passed to Tesseract; most images have no text and cost
one filter. Recall and false alarms were measured by validation/burned_in_text.py.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from overread.images.deidentification.search.known_words import KNOWN, words_of

Grey = NDArray[np.uint8]
_SIDE = 1024  # pixels of the longer side in which text is looked for
_HEIGHTS = (9, 21)  # pixels: strokes thinner than this are letters, in small and in large print
_NOISE, _LEAST = 8.0, 40  # deviations (MAD) above the median, grey levels at least
_SURE = 60.0  # Tesseract's confidence from which a word counts
_CROSSED = 4  # strokes that a line along a row of text crosses at least
_FRAME = 12  # pixels of white around a page
_GAP = 16  # pixels between the regions that are read together
_ALONG = 12  # heights of a line by which its box goes on to either side
_MARGIN = 6  # pixels around a line


@dataclass(frozen=True, slots=True)
class TextBox:
    """A line of burned-in text: its box in pixels, and the text (which must not leave this computer)."""

    top: int
    left: int
    bottom: int
    right: int
    text: str


def tesseract() -> str | None:
    """Path of the Tesseract program, or None if it is not installed."""
    return shutil.which("tesseract")


def find_text(picture: Grey, known: frozenset[str] = frozenset()) -> list[TextBox]:
    """Find lines of text in an image, except mere side or projection markers.

    Parameters
    ----------
    picture : ndarray of uint8, shape (rows, columns)
        The image.
    known : frozenset of str
        Identifying words in lower case (names and numbers of the header). A line with one of them counts whatever its
        length; a single word of two letters counts only if the line consists of such words.

    Returns
    -------
    list of TextBox
        Lines of text.

    Raises
    ------
    OSError, subprocess.SubprocessError
        Tesseract failed.
    """
    return _lying(picture, known) + [_turned(b, picture.shape[1]) for b in _lying(np.rot90(picture), known)]


def _lying(picture: Grey, known: frozenset[str]) -> list[TextBox]:
    """Lines along the rows, upright or upside down.

    Letters too faint to be detected may continue beside a line: the box is extended along the whole line.
    """
    regions = candidates(picture)
    told: dict[int, list[str]] = {}
    for words, k in _read(picture, regions) if regions else []:
        if _tells(" ".join(words), known):
            told.setdefault(k, []).extend(words)
    pad = round(_MARGIN * max(1.0, max(picture.shape) / _SIDE))
    boxes = []
    for k in sorted(told):
        top, left, bottom, right = regions[k]
        along = _ALONG * (bottom - top)
        boxes.append(
            TextBox(
                max(0, top - pad),
                max(0, left - along),
                min(picture.shape[0], bottom + pad),
                min(picture.shape[1], right + along),
                " ".join(told[k]),
            )
        )
    return boxes


def _turned(box: TextBox, columns: int) -> TextBox:
    """Box of the image rotated by 90 degrees (counter-clockwise), in pixels of the original."""
    return TextBox(box.left, columns - box.bottom, box.right, columns - box.top, box.text)


def _tells(text: str, known: frozenset[str]) -> bool:
    """Whether a text may identify the patient: five letters of words not used in radiography, or a number."""
    words = words_of(text)
    letters = sum(len(w) for w in words if len(w) >= 3 and w not in KNOWN and any(c.isalpha() for c in w))
    digits = sum(len(w) for w in words if w.isdigit())
    named = [w in known for w in words]
    return (
        letters >= 5
        or digits >= 3
        or any(n and len(w) >= 3 for n, w in zip(named, words, strict=True))
        or (
            bool(named) and all(named)  # words of two letters are read by chance: they count where they are the line
        )
    )


def candidates(picture: Grey) -> list[tuple[int, int, int, int]]:
    """Regions that may contain text: top, left, bottom and right in pixels.

    A region is a low row of strokes lighter or darker than their surroundings, with as many changes between light and
    dark along it as letters have.
    """
    small, scale = _small(picture)
    regions = []
    for least, most in ((np.minimum, np.maximum), (np.maximum, np.minimum)):
        strokes = np.zeros(small.shape, np.uint8)
        mask = np.zeros(small.shape, bool)
        for size in _HEIGHTS:
            smooth = _running(most, _running(least, small, size), size)
            hat = small - smooth if least is np.minimum else smooth - small
            middle = float(np.median(hat[::4, ::4]))
            noise = float(np.median(np.abs(hat[::4, ::4] - middle)))
            mask |= hat > max(middle + _NOISE * 1.4826 * noise, _LEAST)
            strokes = np.maximum(strokes, hat)
        joined, _ = ndimage.label(_running(np.maximum, mask, (3, 17)))  # the letters of a word run together
        for where in ndimage.find_objects(joined):
            if _is_row(strokes[where]):
                pad = 6
                top, left = (max(0, round((s.start - pad) * scale)) for s in where)
                bottom, right = (
                    min(n, round((s.stop + pad) * scale)) for s, n in zip(where, picture.shape, strict=True)
                )
                regions.append((top, left, bottom, right))
    return _merged(regions)


def _is_row(strokes: Grey) -> bool:
    """Whether a region has the shape of a line of letters."""
    height, width = strokes.shape
    if not (6 <= height <= 100 and width >= 28 and width >= 1.2 * height):
        return False
    dark = strokes[height // 4 : max(height // 4 + 1, 3 * height // 4)] > 0.5 * float(strokes.max())
    changes = (dark[:, 1:] & ~dark[:, :-1]).sum(axis=1)  # strokes that a line along the row crosses
    crossed: bool = float(np.quantile(changes, 0.75)) >= max(_CROSSED, 0.25 * width / height)
    return crossed


def _merged(regions: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Merge overlapping regions."""
    merged: list[tuple[int, int, int, int]] = []
    for top, left, bottom, right in sorted(regions):
        for number, (t, le, b, r) in enumerate(merged):
            if min(bottom, b) > max(top, t) and min(right, r) > max(left, le):
                merged[number] = (min(top, t), min(left, le), max(bottom, b), max(right, r))
                break
        else:
            merged.append((top, left, bottom, right))
    return merged


def _running(least: np.ufunc, values: Any, window: int | tuple[int, int]) -> Any:
    """The running minimum (or maximum) over rectangles of odd sides, in about log2(side) passes an axis."""
    sides = (window, window) if isinstance(window, int) else window
    padded = np.pad(values, [(s // 2, s // 2) for s in sides], mode="edge")
    for axis, side in enumerate(sides):
        done = 1
        while done < side:
            step = min(done, side - done)
            length = padded.shape[axis] - step
            padded = least(padded[:length], padded[step:]) if axis == 0 else least(padded[:, :length], padded[:, step:])
            done += step
    return padded


def _small(picture: Grey) -> tuple[Grey, float]:
    from PIL import Image

    scale = max(1.0, max(picture.shape) / _SIDE)
    if scale == 1.0:
        return picture, 1.0
    rows, columns = (round(n / scale) for n in picture.shape)
    return np.asarray(Image.fromarray(picture).resize((columns, rows), Image.Resampling.BOX)), scale


def _read(picture: Grey, regions: list[tuple[int, int, int, int]]) -> list[tuple[list[str], int]]:
    """Lines that Tesseract recognises, each with the number of its region; all regions are placed on one page.

    Letters may be light or dark, with or without border: the page is read as strokes and unfiltered, in both
    polarities, upright and upside down.
    """
    program = tesseract()
    if program is None:
        raise FileNotFoundError("tesseract")
    lines: list[tuple[list[str], int]] = []
    ways = [(black, strokes, over) for over in (False, True) for strokes in (True, False) for black in (False, True)]
    for black, strokes, over in ways:
        pieces = [_ink(picture[t:b, left:r], black, strokes) for t, left, b, r in regions]
        pieces = [p[::-1, ::-1] for p in pieces] if over else pieces
        page = np.full((sum(len(p) + _GAP for p in pieces), max(p.shape[1] for p in pieces)), 255, np.uint8)
        starts = np.cumsum([0, *(len(p) + _GAP for p in pieces)])
        for start, piece in zip(starts, pieces, strict=False):
            page[start : start + len(piece), : piece.shape[1]] = piece
        for words, middle in _lines(program, page):
            k = int(np.searchsorted(starts, middle, side="right")) - 1
            lines.append((words, min(max(k, 0), len(regions) - 1)))
    return lines


def _ink(region: Grey, black: bool, strokes: bool) -> Grey:
    """The region as black letters on white, enlarged if it is low: its top-hat (white or black), or unfiltered."""
    from PIL import Image

    grown = max(1, min(4, round(60 / max(region.shape[0], 1))))
    image = Image.fromarray(region).resize((region.shape[1] * grown, region.shape[0] * grown), Image.Resampling.BICUBIC)
    values = np.asarray(image)
    if not strokes:
        return values if black else 255 - values
    width = max(9, values.shape[0] // 2) | 1
    least, most = (np.maximum, np.minimum) if black else (np.minimum, np.maximum)
    smooth = _running(most, _running(least, values, width), width)
    hat = smooth - values if black else values - smooth
    text: Grey = (255 - hat.astype(np.float32) * (255.0 / max(int(hat.max()), 1))).astype(np.uint8)
    return text


def _lines(program: str, ink: Grey) -> list[tuple[list[str], int]]:
    """Words of each line recognised with sufficient confidence, and its row on the page."""
    framed = np.pad(ink, _FRAME, constant_values=255)
    header = f"P5 {framed.shape[1]} {framed.shape[0]} 255\n".encode()
    done = subprocess.run(
        [program, "stdin", "stdout", "--psm", "6", "-c", "tessedit_create_tsv=1"],
        input=header + framed.tobytes(),
        capture_output=True,
        check=True,
        timeout=60,
        env={"OMP_THREAD_LIMIT": "1", "PATH": "/usr/bin:/usr/local/bin:/bin"},
    )
    found: dict[tuple[str, ...], list[tuple[str, int]]] = {}
    for row in done.stdout.decode("utf-8", "replace").splitlines()[1:]:
        cells = row.split("\t")
        if len(cells) >= 12 and float(cells[10] or -1) >= _SURE and cells[11].strip():
            middle = int(cells[7]) + int(cells[9]) // 2 - _FRAME
            found.setdefault(tuple(cells[2:5]), []).append((cells[11], middle))
    return [([w for w, _ in words], words[0][1]) for words in found.values()]


def blackened(values: NDArray[np.generic], boxes: list[TextBox], dark: int) -> NDArray[np.generic]:
    """Stored values with every box filled with the value displayed as black."""
    out = values.copy()
    for box in boxes:
        out[box.top : box.bottom, box.left : box.right] = dark
    return out
