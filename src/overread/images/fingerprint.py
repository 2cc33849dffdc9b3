"""Whether two stored pictures are one picture: a fingerprint finds candidates among all pairs, a correlation judges.

The fingerprint is the sign of the picture's cosine coefficients between the 4th and the 18th frequency: below lies what
all chests have in common, above what a JPEG encoder or a resize changes. It does not change with a positive affine
change of grey. What it finds and misses was measured by validation/near_duplicates.py; see
docs/reference/duplicates.md.
"""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter

from overread.errors import InputError
from overread.kernels import njit

BITS, WORDS = 254, 4
LEAST_SIZE = 64  # pixels: below it a stored picture does not tell one chest from another
# Fingerprints nearer than this are compared as pictures; pictures that correlate at least so well are one. Of pairs of
# pictures about 1 in 38,000 is a candidate.
NEAREST, ALIKE = 61, 0.90
_SIDE, _DETAIL, _BLUR, _REACH = 32, 64, 3.0, 4
_FLAT = 1.0  # standard deviation in grey levels: a picture of one grey value has no fingerprint


def fingerprints(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The fingerprints (n, 4) of stored pictures (n, size, size); 0 in all four words where a picture is of one grey.

    Raises InputError: pictures smaller than 64 x 64.
    """
    _check(pixels)
    small = _averaged(pixels, _SIDE)
    spectrum = dctn(small, axes=(1, 2), norm="ortho", workers=1)
    bits = np.zeros((len(pixels), WORDS * 64), np.uint8)
    bits[:, :BITS] = spectrum[:, _ANNULUS] > 0
    bits[small.std(axis=(1, 2)) < _FLAT] = 0
    return np.packbits(bits, axis=1, bitorder="little").view(np.uint64)


def _annulus() -> NDArray[np.bool_]:
    u, v = np.mgrid[:_SIDE, :_SIDE]
    radius = np.hypot(u, v)
    return np.asarray((radius >= 4) & (radius < 18))


_ANNULUS = _annulus()


def _check(pixels: NDArray[np.uint8]) -> None:
    if pixels.ndim != 3 or pixels.shape[1] != pixels.shape[2] or pixels.shape[1] < LEAST_SIZE:
        expected = f"pictures (n, size, size) of at least {LEAST_SIZE} pixels"
        raise InputError("fingerprints", expected, f"an array {pixels.shape}")


def _averaged(pixels: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """The pictures at `side` x `side`, each value the mean over the area that falls on it."""
    size = pixels.shape[1]
    edges = np.linspace(0, size, side + 1)
    covered = np.minimum(np.arange(1, size + 1), edges[1:, None]) - np.maximum(np.arange(size), edges[:-1, None])
    weight = (np.clip(covered, 0, 1) * side / size).astype(np.float32)  # (side, size)
    return np.matmul(np.matmul(weight, pixels.astype(np.float32)), weight.T)


def near(prints: NDArray[np.uint64], *, within: int = NEAREST) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of fingerprints that differ in at most `within` bits: (pairs (k, 2) with i < j, distances (k,)).

    Every pair is compared, in blocks, on all cores; pictures of one grey are near to none. Checked against all pairs in
    NumPy.

    >>> pairs, distance = near(np.array([[1, 0, 0, 0], [3, 0, 0, 0], [2**60, 0, 7, 9]], np.uint64), within=2)
    >>> pairs.tolist(), distance.tolist()
    ([[0, 1]], [1])
    """
    prints = np.ascontiguousarray(prints, dtype=np.uint64)
    counts = _counted(prints, within)
    rows = np.flatnonzero(counts)
    starts = np.concatenate([[0], np.cumsum(counts[rows])])
    pairs = np.empty((starts[-1], 2), np.int64)
    distance = np.empty(starts[-1], np.int64)
    _filled(prints, within, rows, starts, pairs, distance)
    return pairs, distance


@njit()
def _ones(x):  # bits set in a 64-bit word
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (x * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit()
def _apart(prints, i, j):
    total = np.uint64(0)
    for w in range(prints.shape[1]):
        total += _ones(prints[i, w] ^ prints[j, w])
    return np.int64(total)


@njit()
def _none(prints, i):
    held = np.uint64(0)
    for w in range(prints.shape[1]):
        held |= prints[i, w]
    return held == 0


@njit(parallel=True)
def _counted(prints, within):
    n = len(prints)
    counts = np.zeros(n, np.int64)
    for k in prange(n):
        i = k // 2 if k % 2 == 0 else n - 1 - k // 2  # long rows and short ones in turn, so that all cores end together
        if _none(prints, i):
            continue
        found = 0
        for j in range(i + 1, n):
            if _apart(prints, i, j) <= within and not _none(prints, j):
                found += 1
        counts[i] = found
    return counts


@njit()
def _filled(prints, within, rows, starts, pairs, distance):
    for r in range(len(rows)):
        i, place = rows[r], starts[r]
        for j in range(i + 1, len(prints)):
            apart = _apart(prints, i, j)
            if apart <= within and not _none(prints, j):
                pairs[place, 0], pairs[place, 1], distance[place] = i, j, apart
                place += 1


def correlation(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How alike the details of pictures are, pair by pair: a (n, size, size), b likewise -> (n,), at most 1.

    The Pearson correlation of the two pictures at 64 x 64, each less its own blur (what all chests share is taken
    away), at the best shift of up to four of these pixels. NaN where a picture is of one grey value.

    Raises InputError: pictures smaller than 64 x 64.
    """
    _check(a)
    one, other = (np.fft.rfft2(_details(p)) for p in (a, b))
    shifted = np.fft.irfft2(one * np.conj(other), s=(_DETAIL, _DETAIL))
    near_zero = np.r_[-_REACH:0, 0 : _REACH + 1]
    return np.asarray(shifted[:, near_zero][:, :, near_zero].max(axis=(1, 2)), np.float64)


def _details(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    small = _averaged(pixels, _DETAIL)
    detail = small - gaussian_filter(small, (0, _BLUR, _BLUR))
    detail -= detail.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt((detail**2).sum(axis=(1, 2), keepdims=True))
    return np.where(length > 0, detail / np.where(length > 0, length, 1), np.nan)
