"""Path lengths of X-rays through simple solids in closed form.

Coordinates in cm: x to the right of the image (the patient's left), y downwards, z towards the patient's front; the
origin is the centre of the thorax. A ray is identified by the point (u, v) at which it meets the plane z = 0 magnified
onto the detector; along it x = u * (a + b z) and y = v * (a + b z), because the source is a point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overread.kernels import njit

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Beam:
    """A point source, a flat detector, and which of the two is in front of the patient.

    source_cm is the distance from source to detector, detector_cm that from the patient's middle to the detector.
    PA: the detector is in front of the patient and the heart, which lies in front, is magnified least. AP: behind.
    """

    source_cm: float = 180.0
    detector_cm: float = 14.0
    detector_in_front: bool = True

    @property
    def line(self) -> tuple[float, float]:
        """(a, b) of x(z) = u * (a + b z): the shrinkage from the detector to the depth z."""
        sign = 1.0 if self.detector_in_front else -1.0
        return 1.0 - self.detector_cm / self.source_cm, sign / self.source_cm

    def magnify(self, z: Array | float) -> Array:
        """How much larger than life a thing at depth z (cm) is cast onto the detector."""
        a, b = self.line
        return 1.0 / (a + b * np.asarray(z, dtype=np.float64))


@dataclass(frozen=True)
class Grid:
    """Square detector pixels: n by n, of `pitch` cm, centred at (x, y) and turned by `angle` radians."""

    n: int
    pitch: float
    x: float = 0.0
    y: float = 0.0
    angle: float = 0.0

    def rays(self) -> tuple[Array, Array]:
        """Detector positions u, v (cm) of the pixel centres, each (n, n)."""
        offset = (np.arange(self.n) + 0.5 - self.n / 2) * self.pitch
        right, down = np.meshgrid(offset, offset)
        c, s = math.cos(self.angle), math.sin(self.angle)
        return self.x + c * right - s * down, self.y + s * right + c * down

    def pixels(self, u: Array, v: Array) -> tuple[Array, Array]:
        """Column and row (fractional, pixel centres at whole numbers) of detector positions u, v in cm."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        du, dv = u - self.x, v - self.y
        shift = self.n / 2 - 0.5
        return (c * du + s * dv) / self.pitch + shift, (c * dv - s * du) / self.pitch + shift


@dataclass(frozen=True)
class Film:
    """A detector in its beam, and its pixels' rays: u, v on the detector, x, y in the patient's mid-plane."""

    grid: Grid
    beam: Beam
    u: Array
    v: Array
    x: Array
    y: Array

    @classmethod
    def under(cls, beam: Beam, grid: Grid) -> Film:
        """The film of this grid under this beam; u, v, x, y are (n, n) in cm."""
        u, v = grid.rays()
        shrink = beam.line[0]
        return cls(grid, beam, u, v, u * shrink, v * shrink)

    def blank(self) -> Array:
        """An empty canvas (n, n) to draw lengths on."""
        return np.zeros((self.grid.n, self.grid.n))

    def cast(self, points: Array) -> tuple[Array, Array, Array]:
        """Column, row and pixels per cm at points (..., 3) in cm."""
        magnified = self.beam.magnify(points[..., 2])
        column, row = self.grid.pixels(points[..., 0] * magnified, points[..., 1] * magnified)
        return column, row, magnified / self.grid.pitch


def ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float], turn: float = 0.0) -> Array:
    """An ellipsoid as twelve numbers: its centre and the matrix that maps it to the unit sphere.

    radii in cm along its own axes; `turn` (radians) turns it in the frontal plane, positive = clockwise on the picture.
    """
    c, s = math.cos(turn), math.sin(turn)
    axes = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]) / np.asarray(radii, dtype=np.float64)[:, None]
    return np.concatenate([np.asarray(centre, dtype=np.float64), axes.ravel()])


@njit()
def ellipsoid_interval(body: Array, u: float, v: float, a: float, b: float) -> tuple[float, float]:
    """Depths z (cm) at which the ray (u, v) enters and leaves an ellipsoid; (0, 0) where it misses."""
    ox, oy, oz = u * a - body[0], v * a - body[1], -body[2]
    dx, dy = u * b, v * b
    qa = qb = 0.0
    qc = -1.0
    for k in range(3):
        m0, m1, m2 = body[3 + 3 * k], body[4 + 3 * k], body[5 + 3 * k]
        o = m0 * ox + m1 * oy + m2 * oz
        d = m0 * dx + m1 * dy + m2
        qa += d * d
        qb += o * d
        qc += o * o
    inside = qb * qb - qa * qc
    if inside <= 0.0:
        return 0.0, 0.0
    root = math.sqrt(inside)
    return (-qb - root) / qa, (-qb + root) / qa


@njit()
def _chords(bodies: Array, u: Array, v: Array, a: float, b: float) -> Array:
    out = np.zeros(u.shape)
    for i in range(u.shape[0]):
        for j in range(u.shape[1]):
            slant = math.sqrt(1.0 + b * b * (u[i, j] * u[i, j] + v[i, j] * v[i, j]))
            for k in range(bodies.shape[0]):
                near, far = ellipsoid_interval(bodies[k], u[i, j], v[i, j], a, b)
                out[i, j] += (far - near) * slant
    return out


def chords(bodies: Array, u: Array, v: Array, beam: Beam) -> Array:
    """Length (cm) that each ray runs inside ellipsoids, summed over them.

    bodies (k, 12) from `ellipsoid`; u, v (n, m) detector positions in cm. Returns (n, m). Exact for a point source.

    >>> import numpy as np
    >>> ball = ellipsoid((0, 0, 0), (3, 3, 3))
    >>> float(chords(ball[None], np.zeros((1, 1)), np.zeros((1, 1)), Beam())[0, 0])
    6.0
    """
    a, b = beam.line
    return np.asarray(_chords(np.ascontiguousarray(bodies), u, v, a, b))


@njit()
def subtract(pieces: Array, count: int, near: float, far: float) -> int:
    """Take the depths near..far out of `count` intervals (rows of pieces, changed in place); how many are left."""
    if far <= near:
        return count
    left = 0
    added = 0
    extra_near = extra_far = 0.0
    for k in range(count):
        p, q = pieces[k, 0], pieces[k, 1]
        if far <= p or near >= q:
            pieces[left, 0], pieces[left, 1] = p, q
            left += 1
            continue
        if near > p:
            pieces[left, 0], pieces[left, 1] = p, near
            left += 1
            if far < q:
                # Intervals are disjoint, so at most one of them is cut in two.
                added, extra_near, extra_far = 1, far, q
        elif far < q:
            pieces[left, 0], pieces[left, 1] = far, q
            left += 1
    if added and left < pieces.shape[0]:
        pieces[left, 0], pieces[left, 1] = extra_near, extra_far
        left += 1
    return left


@njit()
def _sweep(canvas: Array, column: Array, row: Array, radius: Array, length: Array, gain: float) -> None:
    n = canvas.shape[0]
    for k in range(column.shape[0] - 1):
        x0, y0 = column[k], row[k]
        dx, dy = column[k + 1] - x0, row[k + 1] - y0
        flat = max(math.sqrt(dx * dx + dy * dy), 1e-3)
        if dx == 0.0 and dy == 0.0:
            dx = 1e-3
        ex, ey = dx / flat, dy / flat
        reach = max(radius[k], radius[k + 1], 0.7)
        j0, j1 = max(0, math.ceil(min(x0, x0 + dx) - reach)), min(n - 1, math.floor(max(x0, x0 + dx) + reach))
        i0, i1 = max(0, math.ceil(min(y0, y0 + dy) - reach)), min(n - 1, math.floor(max(y0, y0 + dy) + reach))
        for i in range(i0, i1 + 1):
            for j in range(j0, j1 + 1):
                along = (j - x0) * ex + (i - y0) * ey
                across = (i - y0) * ex - (j - x0) * ey
                part = min(max(along / flat, 0.0), 1.0)
                r = radius[k] + (radius[k + 1] - radius[k]) * part
                thin = 1.0
                if r < 0.7:
                    # Thinner than a pixel: as wide as one and fainter, so that its amount of matter stays.
                    thin = r * r / 0.49
                    r = 0.7
                half = r * r - across * across
                if half <= 0.0:
                    continue
                half = math.sqrt(half)
                overlap = min(along + half, flat) - max(along - half, 0.0)
                if overlap > 0.0:
                    canvas[i, j] += gain * thin * overlap / flat * length[k]


def sweep(canvas: Array, film: Film, points: Array, radius: Array | float, gain: float = 1.0) -> None:
    """Add to `canvas` (cm, in place) the length of rays inside a tube that follows a curve in space.

    points (k, 3) in cm; radius (k,) or one number, cm. A disc swept along the projected curve gives the tube's chord,
    2 * sqrt(r^2 - d^2) / sin(angle between ray and tube), exactly where the tube is straight; matter is conserved
    where it bends or points at the source. `gain` scales the length (negative: a cavity).
    """
    points = np.asarray(points, dtype=np.float64)
    column, row, per_cm = film.cast(points)
    wide = np.broadcast_to(np.asarray(radius, dtype=np.float64), per_cm.shape) * per_cm
    length = np.sqrt(np.sum(np.diff(points, axis=0) ** 2, axis=1))
    _sweep(canvas, column, row, np.ascontiguousarray(wide), length, gain)


@njit()
def _sweep_pieces(canvas: Array, column: Array, row: Array, radius: Array, length: Array, gain: Array) -> None:
    for k in range(column.shape[0]):
        _sweep(canvas, column[k], row[k], radius[k], length[k : k + 1], gain[k])


def sweep_pieces(canvas: Array, film: Film, pieces: Array, gain: Array | float = 1.0) -> None:
    """Add many straight tubes at once: pieces (k, 2, 4) holds x, y, z and radius (cm) of both ends."""
    if not len(pieces):
        return
    column, row, per_cm = film.cast(pieces[:, :, :3])
    wide = pieces[:, :, 3] * per_cm
    length = np.sqrt(np.sum((pieces[:, 1, :3] - pieces[:, 0, :3]) ** 2, axis=1))
    gains = np.broadcast_to(np.asarray(gain, dtype=np.float64), length.shape)
    _sweep_pieces(canvas, column, row, np.ascontiguousarray(wide), length, np.ascontiguousarray(gains))


@njit()
def _fill(canvas: Array, column: Array, row: Array, value: float) -> None:
    n, sides = canvas.shape[0], column.shape[0]
    for i in range(max(0, math.ceil(row.min())), min(n - 1, math.floor(row.max())) + 1):
        for j in range(max(0, math.ceil(column.min())), min(n - 1, math.floor(column.max())) + 1):
            inside = False
            for k in range(sides):
                m = (k + 1) % sides
                if (row[k] > i) != (row[m] > i):
                    cut = column[k] + (i - row[k]) * (column[m] - column[k]) / (row[m] - row[k])
                    if j < cut:
                        inside = not inside
            if inside:
                canvas[i, j] += value


def fill(canvas: Array, film: Film, corners: Array, thickness: float) -> None:
    """Add a flat plate that faces the beam: corners (k, 3) in cm, thickness in cm."""
    column, row, _ = film.cast(corners)
    _fill(canvas, column, row, thickness)
