"""The correlation of two images after alignment: the proof that one is a copy of the other.

The search for near-duplicates proposes pairs of views that look alike. Here the view of one image is moved onto the
other by an affine transformation, and what remains in common is measured.

References
----------
Baker, Matthews: Lucas-Kanade 20 years on. IJCV 2004. doi:10.1023/B:VISI.0000011205.11775.fd (inverse compositional
algorithm; here with images of mean 0 and length 1, as brightness and contrast of a copy differ).
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
_LEAST_GAIN = 2e-4  # of correlation: a smaller one ends the alignment
_INSIDE = 0.9  # share of the grid that lies inside the other image, at least
_LARGEST_CHANGE = 0.3  # of scale, shear or place, against the proposed view; beyond it, alignment has failed

Boxes = NDArray[np.float64]


def align(
    first: NDArray[np.uint8], second: NDArray[np.uint8], pairs: NDArray[np.int64], maps: NDArray[np.float64],
    views: Boxes, *, points: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Align views of `second` with `first`, pair by pair.

    Parameters
    ----------
    first, second : thumbnails (n, side, side) and (m, side, side).
    pairs : (k, 2), an image of each.
    maps : (k, 2, 3), the affine transformation to start at, from the unit square to shares of `first`.
    views : (k, 4), top, left, height, width of the view of `second`, as shares.
    points : of the grid, per side.

    Returns
    -------
    correlation (k,), and the transformations (k, 2, 3) at which it was reached. NaN where alignment failed.
    """
    smoothing = _smoothing(points)
    template = _details(_sampled(second, pairs[:, 1], view_map(views), points)[0], smoothing)
    slopes = _steepest(template)
    hessian = np.matmul(slopes.transpose(0, 2, 1), slopes) + 1e-6 * np.eye(6)
    start = maps.astype(np.float64)
    here, where = start.copy(), start.copy()
    found, active = np.full(len(pairs), np.nan), np.arange(len(pairs))
    for _ in range(_COARSE_STEPS if points <= COARSE else _FINE_STEPS):
        values, inside = _sampled(first, pairs[active, 0], here[active], points)
        detail = _details(values, smoothing)
        alike = np.where(inside >= _INSIDE, (detail * template[active]).sum(axis=(1, 2)), np.nan)
        gain = np.where(np.isnan(found[active]), np.inf, alike - found[active])
        better = active[(gain > 0) & ~np.isnan(alike)]
        found[better], where[better] = alike[(gain > 0) & ~np.isnan(alike)], here[better]
        on = (gain > _LEAST_GAIN) & ~np.isnan(alike)
        active, detail = active[on], detail[on]
        error = (detail - template[active]).reshape(len(active), points * points, 1)
        step = np.linalg.solve(hessian[active], np.matmul(slopes[active].transpose(0, 2, 1), error))[:, :, 0]
        small = np.abs(step).max(axis=1) < _LARGEST_CHANGE
        active, step = active[small], step[small]
        here[active] = _composed(here[active], step)
        active = active[np.abs(here[active] - start[active]).max(axis=(1, 2)) < _LARGEST_CHANGE]
        if not len(active):
            break
    return found, where


def partial_correlation(
    images: tuple[NDArray[np.uint8], NDArray[np.uint8]], means: tuple[NDArray[np.float32], NDArray[np.float32]],
    pairs: NDArray[np.int64], maps: NDArray[np.float64], views: Boxes,
) -> NDArray[np.float64]:  # fmt: skip
    """The correlation of aligned images without what both share with the mean images of their sites.

    Parameters
    ----------
    images, pairs, maps, views : as for `align`.
    means : the mean images (k, side, side) that belong to the first and the second image of each pair; one of zeros
        takes nothing away.

    Returns
    -------
    array of shape (k,)
        Partial correlation given both mean images; NaN where an image has no detail.
    """
    boxes, own = view_map(views), np.arange(len(pairs))
    sampled = [_sampled(images[0], pairs[:, 0], maps, FINE)[0], _sampled(images[1], pairs[:, 1], boxes, FINE)[0],
               _sampled(means[0], own, maps, FINE)[0], _sampled(means[1], own, boxes, FINE)[0]]  # fmt: skip
    flat = [_details(s, _smoothing(FINE)).reshape(len(pairs), -1) for s in sampled]
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


def _smoothing(points: int) -> NDArray[np.float32]:
    """The Gaussian as a matrix whose rows sum to 1, so that it is a mean at the edges too."""
    at = np.arange(points)
    weight = np.exp(-0.5 * ((at[:, None] - at) / (_BLUR * points)) ** 2)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True), np.float32)


def _sampled(
    images: NDArray[np.generic], which: NDArray[np.int64], maps: NDArray[np.float64], points: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Values (k, points, points) of images at a grid moved by `maps`, and the share of each grid that lies inside."""
    out, inside = np.empty((len(which), points, points), np.float32), np.empty(len(which), np.float32)
    _sample(images, which, maps, out, inside)
    return out, inside


@njit(parallel=True)
def _sample(images, which, maps, out, inside):
    points = out.shape[1]
    tall, wide = images.shape[1], images.shape[2]
    for k in prange(len(which)):
        image, m, count = images[which[k]], maps[k], 0
        for i in range(points):
            for j in range(points):
                total = 0.0
                for s in range(4):  # four samples per point, so that fine structure is averaged
                    u, v = (i + 0.25 + 0.5 * (s // 2)) / points, (j + 0.25 + 0.5 * (s % 2)) / points
                    y, x = m[0, 0] * u + m[0, 1] * v + m[0, 2], m[1, 0] * u + m[1, 1] * v + m[1, 2]
                    if s == 0 and -0.01 <= y <= 1.01 and -0.01 <= x <= 1.01:
                        count += 1
                    y, x = min(max(y * tall - 0.5, 0.0), tall - 1.001), min(max(x * wide - 0.5, 0.0), wide - 1.001)
                    r, c = int(y), int(x)
                    f, g = y - r, x - c
                    above = (1 - g) * image[r, c] + g * image[r, c + 1]
                    below = (1 - g) * image[r + 1, c] + g * image[r + 1, c + 1]
                    total += (1 - f) * above + f * below
                out[k, i, j] = total / 4
        inside[k] = count / (points * points)


def _details(values: NDArray[np.float32], smoothing: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values less their local mean, over their local standard deviation: mean 0, length 1, or 0 without any detail."""
    detail = values - np.matmul(np.matmul(smoothing, values), smoothing.T)
    variance = np.matmul(np.matmul(smoothing, detail * detail), smoothing.T)
    floor = _FLOOR * np.sqrt((detail * detail).mean(axis=(1, 2), keepdims=True))
    detail = detail / (np.sqrt(np.maximum(variance, 0)) + np.maximum(floor, 1e-6))
    detail = np.where(floor > 1e-4, detail - detail.mean(axis=(1, 2), keepdims=True), np.float32(0))
    length = np.sqrt((detail * detail).sum(axis=(1, 2), keepdims=True))
    return np.asarray(detail / np.where(length > 0, length, 1), np.float32)


def _steepest(template: NDArray[np.float32]) -> NDArray[np.float32]:
    """The derivatives of templates by the six parameters of an affine transformation, (k, points squared, 6)."""
    points = template.shape[1]
    down, right = np.gradient(template, 1 / points, axis=(1, 2))
    u, v = np.meshgrid(*[(np.arange(points, dtype=np.float32) + 0.5) / points] * 2, indexing="ij")
    slopes = np.stack([down * u, down * v, down, right * u, right * v, right], axis=-1)
    return slopes.reshape(len(template), points * points, 6)


def _composed(maps: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
    """The transformations (k, 2, 3) after the inverse of small ones with these parameters (k, 6)."""
    change = np.tile(np.eye(3), (len(maps), 1, 1))
    change[:, :2] += step.reshape(-1, 2, 3)
    return np.asarray(np.matmul(maps, np.linalg.inv(change)))
