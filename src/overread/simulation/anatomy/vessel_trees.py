"""Pulmonary arteries and veins as two branching trees within the lungs that follow Murray's law."""

from __future__ import annotations

import math

import numpy as np

from overread.kernels import njit
from overread.simulation.anatomy.chest_shape import Thorax, hila, turned
from overread.simulation.anatomy.lung_paths import cavity
from overread.simulation.disease_effects import Disease
from overread.simulation.rays import Array, Film, sweep_pieces

# First branches of one lung: angle towards the feet (degrees), radius (cm), length to the first fork (cm).
TRUNKS = np.array(
    [
        (-78, 0.30, 2.2), (-60, 0.34, 2.0), (-38, 0.30, 2.0), (-15, 0.28, 2.2), (8, 0.30, 2.4), (28, 0.36, 2.4),
        (48, 0.44, 2.6), (62, 0.48, 2.8), (74, 0.46, 3.0), (88, 0.36, 3.0),
    ]
)  # fmt: skip
SMALLEST = 0.05
MOST = 9000


@njit()
def _grow(starts: Array, wall: Array, noise: Array) -> Array:
    stack = np.zeros((256, 9))
    out = np.zeros((MOST, 2, 4))
    top, made, drawn = 0, 0, 0
    for k in range(starts.shape[0]):
        stack[top] = starts[k]
        top += 1
    while top > 0 and made < MOST - 1:
        top -= 1
        x, y, z, dx, dy, dz, radius, length, _ = stack[top]
        if radius < SMALLEST:
            continue
        half, place = cavity(x, y, wall)
        if half <= 0.0 or abs(z - wall[7]) > half or place > 0.985:
            continue
        ex, ey, ez = x + dx * length, y + dy * length, z + dz * length
        out[made, 0, 0], out[made, 0, 1], out[made, 0, 2], out[made, 0, 3] = x, y, z, radius
        out[made, 1, 0], out[made, 1, 1], out[made, 1, 2], out[made, 1, 3] = ex, ey, ez, radius * 0.88
        made += 1
        share = 0.5 + 0.3 * noise[drawn % noise.shape[0], 0]
        for child in range(2):
            part = share if child == 0 else 1.0 - share
            draw = noise[drawn % noise.shape[0]]
            drawn += 1
            # Murray: the cubes of the radii add up; the thinner branch turns further from the parent's way.
            thin = radius * 0.93 * max(part, 0.05) ** (1.0 / 3.0)
            bend = (0.18 + 0.75 * (1.0 - part)) * (1.0 if child == 0 else -1.0)
            roll = draw[1] * math.pi
            nx, ny, nz = dx - dy * bend * math.cos(roll), dy + dx * bend * math.cos(roll), dz + bend * math.sin(roll)
            nx, ny, nz = nx + 0.12 * draw[2], ny + 0.12 * draw[3], nz + 0.12 * draw[4]
            norm = math.sqrt(nx * nx + ny * ny + nz * nz)
            if top < 255:
                row = stack[top]
                row[0], row[1], row[2] = ex, ey, ez
                row[3], row[4], row[5] = nx / norm, ny / norm, nz / norm
                row[6], row[7] = thin, (0.5 + 2.6 * thin**0.6) * (0.85 + 0.3 * draw[5])
                top += 1
    return out[:made]


def vessels(body: Thorax, sick: Disease, film: Film, *, anatomy: int) -> Array:
    """Length (cm) of each ray in pulmonary vessels, (n, n): congested by edema, drawn in by a pneumothorax."""
    pieces = tree(body, anatomy)
    # Congestion widens the vessels of the upper lobes most.
    upper = np.clip((4.0 - pieces[:, :, 1]) / 10.0, 0.25, 1.0)
    pieces[:, :, 3] *= 1.0 + (sick.vessel_gain - 1.0) * upper
    for side, root in enumerate(hila(body)):
        if sick.collapsed[side, 6] < body.walls[side, 6]:
            own = np.sign(pieces[:, 0, 0]) == body.walls[side, 0]
            ratio = (sick.collapsed[side, 4] - 1.0) / (body.walls[side, 4] - 1.0)
            pieces[own, :, :3] = root + (pieces[own, :, :3] - root) * ratio
    pieces[:, :, :3] = turned(pieces[:, :, :3], body.turn)
    canvas = film.blank()
    sweep_pieces(canvas, film, pieces)
    return canvas


def tree(body: Thorax, anatomy: int) -> Array:
    """Every piece of the pulmonary vessels of both lungs: (k, 2, 4) = x, y, z, radius (cm) of its two ends."""
    pieces = []
    for number, (side, root) in enumerate(zip((-1.0, 1.0), hila(body), strict=True)):
        rng = np.random.default_rng([anatomy, 2, number])
        angle = np.radians(TRUNKS[:, 0] + 6.0 * rng.normal(size=len(TRUNKS)))
        lift = rng.uniform(-0.55, 0.55, len(TRUNKS))
        starts = np.zeros((len(TRUNKS), 9))
        starts[:, :3] = root + rng.normal(size=(len(TRUNKS), 3)) * (0.4, 1.1, 1.0)
        starts[:, 3] = side * np.cos(angle) * np.cos(lift)
        starts[:, 4] = np.sin(angle) * np.cos(lift)
        starts[:, 5] = np.sin(lift)
        starts[:, 6] = 1.3 * TRUNKS[:, 1] * rng.uniform(0.85, 1.15, len(TRUNKS))
        starts[:, 7] = TRUNKS[:, 2] * rng.uniform(0.8, 1.2, len(TRUNKS))
        noise = rng.uniform(-1, 1, (2048, 6))
        noise[:, 5] = 0.5 * (noise[:, 5] + 1)
        pieces.append(_grow(starts, body.walls[number], noise))
        stems = np.zeros((len(TRUNKS), 2, 4))
        stems[:, 0, :3] = root - (side * 1.2, 0.0, 0.0) + rng.normal(size=(len(TRUNKS), 3)) * (0.2, 0.9, 0.8)
        stems[:, 1, :3] = starts[:, :3]
        stems[:, :, 3] = starts[:, 6:7] * 0.8
        pieces.append(stems)
    return np.concatenate(pieces)
