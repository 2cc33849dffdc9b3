"""Correlation of two images after affine alignment, which confirms that one is a copy of the other.

The search for near-duplicates proposes pairs of similar views. Here the view of one image is aligned with the other by
an affine transformation, and their correlation is computed.

References
----------
Baker, Matthews: Lucas-Kanade 20 years on. IJCV 2004. doi:10.1023/B:VISI.0000011205.11775.fd (inverse compositional
algorithm; here with images of mean 0 and length 1, because brightness and contrast of a copy differ).
"""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from overread.kernels import njit

COARSE, FINE = 20, 48  # points per side of the grid on which images are compared
_BLUR = 0.12  # standard deviation of the Gaussian whose result is subtracted, as a share of the side
_FLOOR = 0.3  # added to the local standard deviation, as a share of the global one
_COARSE_STEPS, _FINE_STEPS = 16, 8
_LEAST_DETAIL = 1e-4  # in grey levels: less is rounding
_LEAST_GAIN = 2e-4  # of correlation: a smaller one ends the alignment
_INSIDE = 0.9  # share of the grid that lies inside the other image, at least
_LARGEST_CHANGE = 0.3  # of scale, shear or place, against the proposed view; beyond it, alignment has failed
_SUMS = {"reassoc", "contract", "nsz", "arcp"}  # sums may be vectorised; NaN keeps its meaning

Boxes = NDArray[np.float64]
Array = NDArray[np.float32]


def align(
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    pairs: NDArray[np.int64],
    maps: NDArray[np.float64],
    views: Boxes,
    *,
    points: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Align views of `second` with `first`, pair by pair, by affine transformations.

    Parameters
    ----------
    first, second : ndarray of uint8, shape (n, side, side) and (m, side, side)
        Thumbnails.
    pairs : ndarray of int, shape (k, 2)
        Index into `first` and into `second`.
    maps : ndarray, shape (k, 2, 3)
        Initial affine transformations from the unit square to fractions of `first`.
    views : ndarray, shape (k, 4)
        Top, left, height and width of the view of `second`, as fractions.
    points : int
        Grid points per side.

    Returns
    -------
    correlation : ndarray, shape (k,)
        Correlation after alignment; NaN where alignment failed.
    maps : ndarray, shape (k, 2, 3)
        Transformations at which it was reached.

    Notes
    -----
    Inverse compositional algorithm (Baker and Matthews 2004, doi:10.1023/B:VISI.0000011205.11775.fd).
    """
    found, where = np.full(len(pairs), np.nan), maps.astype(np.float64)
    steps = _COARSE_STEPS if points <= COARSE else _FINE_STEPS
    _align(first, second, pairs, view_map(views), _smoothing(points), steps, found, where)
    return found, where


def partial_correlation(
    images: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    means: tuple[Array, Array],
    pairs: NDArray[np.int64],
    maps: NDArray[np.float64],
    views: Boxes,
    *,
    points: int,
) -> NDArray[np.float64]:
    """Correlation of aligned images after removal of what both share with the mean images of their sites.

    Parameters
    ----------
    images, pairs, maps, views, points
        As for `align`.
    means : tuple of ndarray, each of shape (k, side, side)
        Mean images that belong to the first and the second image of each pair; a mean image of zeros has no effect.

    Returns
    -------
    ndarray, shape (k,)
        Partial correlation given both mean images; NaN where an image has no detail.
    """
    boxes, own = view_map(views), np.arange(len(pairs))
    flat = [
        _details(images[0], pairs[:, 0], maps, points),
        _details(images[1], pairs[:, 1], boxes, points),
        _details(means[0], own, maps, points),
        _details(means[1], own, boxes, points),
    ]
    sides, shared = np.stack(flat[:2], axis=1), np.stack(flat[2:], axis=1)  # (k, 2, points squared)
    gram = np.matmul(shared, shared.transpose(0, 2, 1)) + 1e-3 * np.eye(2)
    weights = np.linalg.solve(gram, np.matmul(shared, sides.transpose(0, 2, 1)))  # (k, shared, sides)
    rest = sides - np.matmul(weights.transpose(0, 2, 1), shared)
    size = np.sqrt((rest**2).sum(axis=2)).prod(axis=1)
    return np.asarray((rest[:, 0] * rest[:, 1]).sum(axis=1) / np.where(size > 1e-6, size, np.nan))


def view_map(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """The transformations (k, 2, 3) from the unit square to boxes (k, 4) of top, left, height, width."""
    out = np.zeros((len(box), 2, 3))
    out[:, 0, 0], out[:, 1, 1] = box[:, 2], box[:, 3]
    out[:, 0, 2], out[:, 1, 2] = box[:, 0], box[:, 1]
    return out


def _smoothing(points: int) -> Array:
    """The Gaussian as a matrix whose rows sum to 1, so that it is a mean at the edges too."""
    at = np.arange(points)
    weight = np.exp(-0.5 * ((at[:, None] - at) / (_BLUR * points)) ** 2)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True), np.float32)


def _details(images: NDArray[np.generic], which: NDArray[np.int64], maps: NDArray[np.float64], points: int) -> Array:
    """Details (k, points squared) of images at a grid moved by `maps`."""
    out = np.empty((len(which), points, points), np.float32)
    _detail_all(images, which, maps, _smoothing(points), out)
    return out.reshape(len(which), points * points)


@njit(parallel=True, fastmath=_SUMS)
def _detail_all(
    images: NDArray[np.generic], which: NDArray[np.int64], maps: NDArray[np.float64], smoothing: Array, out: Array
) -> None:
    for k in prange(len(which)):
        _sample(images[which[k]], maps[k], out[k])
        _detail(out[k], smoothing)


@njit(parallel=True, fastmath=_SUMS)
def _align(
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    pairs: NDArray[np.int64],
    views: NDArray[np.float64],
    smoothing: Array,
    steps: int,
    found: NDArray[np.float64],
    where: NDArray[np.float64],
) -> None:
    points = len(smoothing)
    for k in prange(len(pairs)):
        template, values = np.empty((points, points), np.float32), np.empty((points, points), np.float32)
        _sample(second[pairs[k, 1]], views[k], template)
        _detail(template, smoothing)
        down, right, factor = np.empty_like(template), np.empty_like(template), np.empty((6, 6))
        _prepare(template, down, right, factor)
        here, begun = where[k].copy(), where[k].copy()
        step = np.empty(6)
        for _ in range(steps):
            inside = _sample(first[pairs[k, 0]], here, values)
            if inside < _INSIDE:
                break
            _detail(values, smoothing)
            alike = (values * template).sum()
            gain = np.inf if np.isnan(found[k]) else alike - found[k]
            if gain > 0:
                found[k] = alike
                where[k] = here
            if not gain > _LEAST_GAIN:
                break
            _step(values, template, down, right, factor, step)
            if not np.abs(step).max() < _LARGEST_CHANGE:
                break
            _compose(here, step)
            if not np.abs(here - begun).max() < _LARGEST_CHANGE:
                break


@njit(fastmath=_SUMS)
def _sample(image: NDArray[np.generic], m: NDArray[np.float64], out: Array) -> float:
    """Sample an image at a grid moved by `m`; return the share of the grid that lies inside the image."""
    points, (tall, wide) = len(out), image.shape
    a, b, c = m[0, 0] * tall / points, m[0, 1] * tall / points, m[0, 2] * tall - 0.5
    d, e, f = m[1, 0] * wide / points, m[1, 1] * wide / points, m[1, 2] * wide - 0.5
    margin, last, end = 0.01, tall - 1.001, wide - 1.001
    count = 0
    for i in range(points):
        for j in range(points):
            total = 0.0
            for s in range(4):  # four samples per point, so that fine structure is averaged
                u, v = i + 0.25 + 0.5 * (s // 2), j + 0.25 + 0.5 * (s % 2)
                y, x = a * u + b * v + c, d * u + e * v + f
                if s == 0:
                    within = -margin * tall <= y + 0.5 <= (1 + margin) * tall
                    count += within and -margin * wide <= x + 0.5 <= (1 + margin) * wide
                y, x = min(max(y, 0.0), last), min(max(x, 0.0), end)
                row, column = int(y), int(x)
                down, right = y - row, x - column
                above = image[row, column] * (1 - right) + image[row, column + 1] * right
                below = image[row + 1, column] * (1 - right) + image[row + 1, column + 1] * right
                total += above + (below - above) * down
            out[i, j] = total / 4
    return count / (points * points)


@njit(fastmath=_SUMS)
def _detail(values: Array, smoothing: Array) -> None:
    """Replace values by their details: less the local mean, over the local deviation; mean 0, length 1 (or all 0)."""
    points = len(values)
    smooth = np.empty_like(values)
    _smooth(values, smoothing, smooth)
    total = 0.0
    for i in range(points):
        for j in range(points):
            values[i, j] -= smooth[i, j]
            total += values[i, j] * values[i, j]
    floor = _FLOOR * np.sqrt(total / points**2)
    if floor <= _LEAST_DETAIL:
        values[:] = 0
        return
    _smooth(values * values, smoothing, smooth)
    for i in range(points):
        for j in range(points):
            values[i, j] /= np.sqrt(max(smooth[i, j], np.float32(0))) + np.float32(floor)
    values -= np.float32(values.mean())
    values /= np.float32(np.sqrt((values * values).sum()))


@njit(fastmath=_SUMS)
def _smooth(values: Array, smoothing: Array, out: Array) -> None:
    """out = smoothing @ values @ smoothing.T, for small matrices."""
    points = len(values)
    lines, across = np.zeros_like(values), smoothing.T.copy()
    for i in range(points):
        for k in range(points):
            weight = smoothing[i, k]
            for j in range(points):
                lines[i, j] += weight * values[k, j]
    out[:] = 0
    for i in range(points):
        for k in range(points):
            value = lines[i, k]
            for j in range(points):
                out[i, j] += value * across[k, j]


@njit(fastmath=_SUMS)
def _prepare(template: Array, down: Array, right: Array, hessian: NDArray[np.float64]) -> None:
    """The slopes of a template, and the sums of products of its derivatives by the six parameters."""
    points = len(template)
    hessian[:] = 0
    slope = np.empty(6)
    for i in range(points):
        for j in range(points):
            above, below = max(i - 1, 0), min(i + 1, points - 1)
            before, after = max(j - 1, 0), min(j + 1, points - 1)
            down[i, j] = (template[below, j] - template[above, j]) * points / (below - above)
            right[i, j] = (template[i, after] - template[i, before]) * points / (after - before)
            _derivatives(down[i, j], right[i, j], (i + 0.5) / points, (j + 0.5) / points, slope)
            for a in range(6):
                for b in range(6):
                    hessian[a, b] += slope[a] * slope[b]
    for a in range(6):
        hessian[a, a] += 1e-6


@njit()
def _derivatives(down: float, right: float, u: float, v: float, out: NDArray[np.float64]) -> None:
    """The derivatives of a value at (u, v) by the six parameters of an affine transformation."""
    out[0], out[1], out[2], out[3], out[4], out[5] = down * u, down * v, down, right * u, right * v, right


@njit(fastmath=_SUMS)
def _step(
    values: Array,
    template: Array,
    down: Array,
    right: Array,
    hessian: NDArray[np.float64],
    step: NDArray[np.float64],
) -> None:
    """The six parameters that reduce the difference of values and template: Gauss-Newton."""
    points = len(values)
    slope = np.empty(6)
    step[:] = 0
    for i in range(points):
        for j in range(points):
            _derivatives(down[i, j], right[i, j], (i + 0.5) / points, (j + 0.5) / points, slope)
            for a in range(6):
                step[a] += slope[a] * (values[i, j] - template[i, j])
    step[:] = np.linalg.solve(hessian, step)


@njit()
def _compose(here: NDArray[np.float64], step: NDArray[np.float64]) -> None:
    """Follow the transformation `here` by the inverse of the small one with these six parameters."""
    a, b, c, d = 1 + step[0], step[1], step[3], 1 + step[4]
    scale = 1 / (a * d - b * c)
    for k in range(2):
        m, n = here[k, 0], here[k, 1]
        here[k, 0], here[k, 1] = (m * d - n * c) * scale, (n * a - m * b) * scale
        here[k, 2] -= here[k, 0] * step[2] + here[k, 1] * step[5]
