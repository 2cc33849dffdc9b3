"""Descriptors of views of stored images, which propose candidates for near-duplicates.

A copy of a published radiograph is often cropped or has a border, and one descriptor of the whole image is not robust
to this. Each image is therefore described by many square views: uniform borders are trimmed, then squares of
decreasing side are placed on the remaining content. The view that a copy shows is among them, up to a few per cent of
its side, which descriptors of low spatial frequency tolerate.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import prange
from numpy.typing import NDArray
from scipy.fft import dct

from overread.errors import InputError
from overread.images.raster.file_content import LEAST_COMPARED
from overread.kernels import njit

SIDE = 48  # pixels of a thumbnail

_FLAT = 1.0  # standard deviation in grey levels: an image of one grey value has no fingerprint
_UNIFORM = 0.08  # a line belongs to the border if its standard deviation is below this share of the image's
_LONGEST_BORDER = 0.3  # share of the side that may be trimmed from each edge
_EDGE = 0.02  # share of the side beside a border that is trimmed too
_FREQUENCIES, _LOWEST, _HIGHEST = 7, 0.9, 6.1  # half cycles per view
_POINTS = 24
# Smallest view (share of the shorter side), ratio of one side length to the next, step between positions (share of the
# side of the view), and the largest share of an image that lies before a view.
_LEAST_VIEW, _RATIO, _STEP, _LARGEST_OFFSET = 0.48, 1.12, 0.12, 0.3

Array = NDArray[np.float32]


def content_boxes(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Bounding boxes of the content of images without uniform borders: top, bottom, left, right.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n, size, size)
        Stored images.

    Returns
    -------
    ndarray of int64, shape (n, 4)
        Half-open ranges of rows and columns. At most 30 % are trimmed from each side.

    Raises
    ------
    InputError
        The images are smaller than 64 x 64.
    """
    if pixels.ndim != 3 or pixels.shape[1] != pixels.shape[2] or pixels.shape[1] < LEAST_COMPARED:
        expected = f"images (n, size, size) of at least {LEAST_COMPARED} pixels"
        raise InputError("fingerprints", expected, f"an array {pixels.shape}")
    size = pixels.shape[1]
    return _trimmed(pixels, _UNIFORM, int(_LONGEST_BORDER * size), int(np.ceil(_EDGE * size)))


@njit()
def _line_deviation(values: NDArray[np.uint8]) -> float:
    mean, squares = 0.0, 0.0
    for v in values:
        mean += v
    mean /= len(values)
    for v in values:
        squares += (v - mean) ** 2
    deviation: float = np.sqrt(squares / len(values))
    return deviation


@njit(parallel=True)
def _trimmed(pixels: NDArray[np.uint8], uniform: float, most: int, edge: int) -> NDArray[np.int64]:
    n, size = pixels.shape[0], pixels.shape[1]
    boxes = np.empty((n, 4), np.int64)
    for i in prange(n):
        picture = pixels[i]
        limit = max(2.0, uniform * np.sqrt(np.var(picture)))
        top, bottom, left, right = 0, size, 0, size
        changed = True
        while changed:
            changed = False
            while top < most and _line_deviation(picture[top, left:right]) < limit:
                top, changed = top + 1, True
            while size - bottom < most and _line_deviation(picture[bottom - 1, left:right]) < limit:
                bottom, changed = bottom - 1, True
            while left < most and _line_deviation(picture[top:bottom, left]) < limit:
                left, changed = left + 1, True
            while size - right < most and _line_deviation(picture[top:bottom, right - 1]) < limit:
                right, changed = right - 1, True
        # Where a border ends, resampling and JPEG mix it with the image: some lines more belong to neither.
        top, left = top + edge * (top > 0), left + edge * (left > 0)
        bottom, right = bottom - edge * (bottom < size), right - edge * (right < size)
        boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3] = top, bottom, left, right
    return boxes


@njit(parallel=True)
def thumbnails(pixels: NDArray[np.uint8], boxes: NDArray[np.int64], side: int) -> NDArray[np.uint8]:
    """The content of images, stretched to `side` x `side`: each value is the mean over its area, uint8."""
    n = len(pixels)
    out = np.empty((n, side, side), np.uint8)
    for i in prange(n):
        top, bottom, left, right = boxes[i]
        tall, wide = (bottom - top) / side, (right - left) / side
        lines = np.zeros((bottom - top, side), np.float32)
        for x in range(side):
            begin, end = left + x * wide, left + (x + 1) * wide
            for c in range(int(begin), min(int(np.ceil(end)), right)):
                weight = np.float32((min(c + 1, end) - max(c, begin)) / wide)
                for r in range(bottom - top):
                    lines[r, x] += weight * pixels[i, top + r, c]
        for y in range(side):
            begin, end = y * tall, (y + 1) * tall
            total = np.zeros(side, np.float32)
            for r in range(int(begin), min(int(np.ceil(end)), bottom - top)):
                weight = np.float32((min(r + 1, end) - max(r, begin)) / tall)
                for x in range(side):
                    total[x] += weight * lines[r, x]
            for x in range(side):
                out[i, y, x] = np.uint8(min(255, total[x] + np.float32(0.5)))
    return out


def _offsets(length: float, side: float) -> list[float]:
    first = max(0.0, length - side - _LARGEST_OFFSET * length)
    last = min(_LARGEST_OFFSET * length, length - side)
    if last - first < 1e-9:
        return [(length - side) / 2]
    steps = int(np.ceil((last - first) / (_STEP * side)))
    return [float(o) for o in np.linspace(first, last, steps + 1)]


def query_boxes(tall: int, wide: int) -> NDArray[np.float64]:
    """The views that are compared with all views of other images: the whole, and the central square of an oblong."""
    shorter = min(tall, wide)
    whole, middle = (0.0, 0.0, tall, wide), ((tall - shorter) / 2, (wide - shorter) / 2, shorter, shorter)
    return np.array([whole, middle][: 1 + (tall != wide)]) / (tall, wide, tall, wide)


@lru_cache(maxsize=256)
def view_boxes(tall: int, wide: int) -> NDArray[np.float64]:
    """Views of an image whose content is `tall` x `wide`, as shares of it: (v, 4) of top, left, height, width.

    The first are those of `query_boxes`, the others are smaller or aside.
    """
    shorter = min(tall, wide)
    views = []
    side = float(shorter) / (_RATIO if tall == wide else 1)
    while side >= _LEAST_VIEW * shorter:
        views += [(y, x, side, side) for y in _offsets(tall, side) for x in _offsets(wide, side)]
        side /= _RATIO
    return np.concatenate([query_boxes(tall, wide), np.array(views) / (tall, wide, tall, wide)])


def _selected() -> NDArray[np.bool_]:
    u, v = np.mgrid[:_FREQUENCIES, :_FREQUENCIES]
    radius = np.hypot(u, v)
    return np.asarray((radius >= _LOWEST) & (radius <= _HIGHEST))


_SELECTED = _selected()
LENGTH = int(_SELECTED.sum())


@lru_cache(maxsize=4096)
def _basis(begin: float, length: float) -> Array:
    """The first cosine coefficients of a part of a line of `SIDE` values, as a matrix (_FREQUENCIES, SIDE)."""
    at = np.clip((begin + (np.arange(_POINTS) + 0.5) * length / _POINTS) * SIDE - 0.5, 0, SIDE - 1)
    before = np.minimum(at.astype(int), SIDE - 2)
    sampling = np.zeros((_POINTS, SIDE))
    rows = np.arange(_POINTS)
    sampling[rows, before], sampling[rows, before + 1] = 1 - (at - before), at - before
    basis: Array = (dct(np.eye(_POINTS), axis=0, norm="ortho")[:_FREQUENCIES] @ sampling).astype(np.float32)
    return basis


def describe(thumbs: NDArray[np.uint8], views: NDArray[np.float64]) -> Array:
    """Descriptions of views: thumbnails (n, SIDE, SIDE) of one shape and views (v, 4) -> (n, v, LENGTH), length 1.

    Each consists of the cosine coefficients of the view from 2 to 7 half cycles: a tint, brightness and contrast do not
    change it; of a view of one grey value it is 0.
    """
    out = np.empty((len(thumbs), len(views), LENGTH), np.float32)
    greys = thumbs.astype(np.float32)
    rows: dict[tuple[float, float], list[int]] = {}
    for number, (top, _, height, _) in enumerate(views.round(9).tolist()):
        rows.setdefault((top, height), []).append(number)
    for (top, height), members in rows.items():
        partial = np.matmul(_basis(top, height), greys)  # (n, f, SIDE)
        columns = np.concatenate([_basis(*views[m, [1, 3]].round(9).tolist()) for m in members])
        both = np.matmul(partial, columns.T).reshape(len(thumbs), _FREQUENCIES, len(members), _FREQUENCIES)
        out[:, members] = both.transpose(0, 2, 1, 3)[:, :, _SELECTED]
    size = np.sqrt(np.einsum("nvd,nvd->nv", out, out))[:, :, None]
    return np.where(size > _FLAT, out / np.maximum(size, _FLAT), np.float32(0))
