"""Path lengths in aerated lung, free air and pleural fluid along each ray."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overread.kernels import njit
from overread.simulation.rays import Array, Beam, ellipsoid_interval, subtract


@dataclass(frozen=True)
class Lungs:
    """Lengths (cm) along each ray, all (n, n): aerated lung, free air, pleural fluid, and the visceral pleura.

    `outline` is how deep the chest cavity is there before anything is taken out of it (0 outside); `lateral` runs
    from 0 at the mediastinum to 1 at the chest wall, NaN outside the cavity.
    """

    lung: Array
    air: Array
    fluid: Array
    pleura: Array
    outline: Array
    lateral: Array


@njit()
def cavity(x: float, y: float, wall: Array) -> tuple[float, float]:
    """Half depth (cm) of one side of the chest cavity at (x, y), and the place 0..1 between mediastinum and wall.

    wall: side, apex y, base y, apex x, lateral x, medial x, half depth, middle z. Half depth 0 means outside.
    """
    t = (y - wall[1]) / (wall[2] - wall[1])
    if t <= 0.0 or t >= 1.0:
        return 0.0, 0.0
    rise = 1.0 - t
    outer = wall[3] + (wall[4] - wall[3]) * (1.0 - rise**2.5) ** 0.56
    if t > 0.7:
        outer -= 0.05 * wall[4] * ((t - 0.7) / 0.3) ** 2
    inner = wall[5]
    if t < 0.24:
        near = 1.0 - t / 0.24
        inner = wall[3] - (wall[3] - wall[5]) * math.sqrt(1.0 - near * near)
    place = (wall[0] * x - inner) / (outer - inner)
    if place <= 0.0 or place >= 1.0:
        return 0.0, 0.0
    off = abs(2.0 * place - 1.0)
    # Medially the lung thins out round the spine and the heart; at the chest wall it ends abruptly.
    power = 2.8 if place > 0.5 else 2.2
    return wall[6] * (1.0 - rise**2.4) ** 0.6 * math.sqrt(1.0 - off**power) ** 0.9, place


@njit()
def _pieces(pieces: Array, z: float, half: float, x: float, y: float, dome: Array) -> int:
    pieces[0, 0], pieces[0, 1] = z - half, z + half
    dx, dy = (x - dome[0]) / dome[3], (min(y, dome[1]) - dome[1]) / dome[4]
    if dx * dome[0] < 0.0:
        # Towards the midline the domes run out flat under the heart.
        dx *= 0.55
    under = 1.0 - dx * dx - dy * dy
    if under <= 0.0:
        return 1
    reach = dome[5] * math.sqrt(under)
    return subtract(pieces, 1, dome[2] - reach, dome[2] + reach)


@njit()
def _wetness(place: float, y: float, fluid: Array) -> float:
    """Share 0..1 of the cavity's depth that is fluid; fluid: surface y, meniscus height, veil, softness (cm)."""
    if fluid[1] <= 0.0:
        return 0.0
    surface = fluid[0] - fluid[1] * (place**5 + 0.15 * (1.0 - place) ** 4)
    s = min(max((y - surface) / fluid[3] + 0.3, 0.0), 1.0)
    wet = s * s * (3.0 - 2.0 * s)
    # In the lying patient fluid spreads behind the lung: a veil over all of it, denser below.
    s = min(max((y + 9.0) / 16.0, 0.0), 1.0)
    share: float = max(wet, fluid[2] * s * (1.0 - 0.35 * (1.0 - place)))
    return share


@njit()
def _reaches(solids: Array) -> Array:
    """How far (cm) from its centre, in the mid-plane, each solid can meet a ray, however slanted."""
    reach = np.zeros(solids.shape[0])
    for k in range(solids.shape[0]):
        for m in (3, 6):
            # The rows of the matrix are as long as one over the radii.
            reach[k] = max(reach[k], 1.0 / math.sqrt(solids[k, m] ** 2 + solids[k, m + 1] ** 2) + 3.5)
    return reach


@njit(fastmath={"contract", "arcp", "nsz"})
def _trace(u: Array, v: Array, line: Array, sides: Array, solids: Array, out: Array) -> None:
    """Fill out (6, n, m) with the fields of Lungs; sides (2, 26) = walls, domes, fluid, walls of the lung itself."""
    pieces, reach = np.zeros((12, 2)), _reaches(solids)
    for i in range(u.shape[0]):
        for j in range(u.shape[1]):
            x, y = u[i, j] * line[0], v[i, j] * line[0]
            own = sides[0] if x < 0 else sides[1]
            half, place = cavity(x, y, own[:8])
            out[5, i, j] = np.nan
            if half <= 0.0:
                continue
            z, held = own[7], half
            if own[24] < own[6]:
                held, _ = cavity(x, y, own[18:])
                out[3, i, j] = held
            out[4, i, j], out[5, i, j] = 2.0 * half, place
            count = _pieces(pieces, z, half, x, y, own[8:14])
            for k in range(solids.shape[0]):
                if count and (x - solids[k, 0]) ** 2 + (y - solids[k, 1]) ** 2 < reach[k] * reach[k]:
                    near, far = ellipsoid_interval(solids[k], u[i, j], v[i, j], line[0], line[1])
                    count = subtract(pieces, count, near, far)
            length = lung = 0.0
            for k in range(count):
                length += pieces[k, 1] - pieces[k, 0]
                lung += max(0.0, min(pieces[k, 1], z + held) - max(pieces[k, 0], z - held))
            wet = _wetness(place, y, own[14:18])
            out[0, i, j] = lung * (1.0 - wet)
            out[1, i, j] = (length - lung) * (1.0 - wet)
            out[2, i, j] = length * wet


def lungs(
    u: Array, v: Array, beam: Beam, *, chest: tuple[Array, Array, Array], fluid: Array, collapsed: Array
) -> Lungs:
    """Lengths of aerated lung, free air and fluid along every ray.

    u, v (n, m) detector positions in cm; chest = (walls (2, 8), domes (2, 6), solids (k, 12)); fluid (2, 4) = surface
    y, meniscus height, veil 0..1 and softness (cm) per side; collapsed (2, 8) = walls of the lung itself (equal to
    walls: no pneumothorax).
    """
    walls, domes, solids = chest
    out = np.zeros((6, *u.shape))
    sides = np.concatenate([walls, domes, fluid, collapsed], axis=1)
    _trace(u, v, np.array(beam.line), sides, np.ascontiguousarray(solids), out)
    if np.any(collapsed[:, 6] < walls[:, 6]):
        out[3] = _sheet(out[3], float(np.hypot(u[0, 1] - u[0, 0], v[0, 1] - v[0, 0])))
        # At the mediastinum and the dome the lung's depth ends too, but there is no pleura to be seen against air.
        out[3] *= (out[0] + out[1] > 0.5) & (np.nan_to_num(out[5]) > 0.25)
    return Lungs(*out)


def _sheet(held: Array, pitch: float) -> Array:
    """Chord through a sheet of 1 cm over the retracted lung: long where the lung's depth falls steeply."""
    slope_y, slope_x = np.gradient(held, pitch)
    steep: NDArray[np.float64] = 2.0 * np.hypot(slope_x, slope_y) * (np.hypot(slope_x, slope_y) > 1.0)
    return steep
