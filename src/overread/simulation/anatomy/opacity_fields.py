"""Opacities in the lungs (clouds of fluid, strands, nodules) and the location of each finding in the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from overread.kernels import njit
from overread.simulation.anatomy.chest_shape import Thorax, central
from overread.simulation.anatomy.lung_paths import Lungs
from overread.simulation.disease_effects import Disease, Patch, haze
from overread.simulation.rays import Array, Film, chords, sweep_pieces

Mask = NDArray[np.bool_]

# Thickness by which strands are drawn wider along the ray than across it: plates and bundles rather than threads.
BUNDLE = {"atelectasis": 6.0, "fibrosis": 3.0, "edema": 3.0}


@dataclass(frozen=True)
class Opacities:
    """Lengths (cm) of water in the lungs along each ray, (n, n), by how it lies there.

    filled: clouds; strands: plates and lines; solid: nodules and masses; hidden: 0 to 1, how much of the lung's own
    pattern the clouds hide; lines and balls: the same per finding.
    """

    filled: Array
    strands: Array
    solid: Array
    hidden: Array
    lines: dict[str, Array]
    balls: dict[str, Array]


def opacities(film: Film, air: Lungs, sick: Disease, body: Thorax, *, rng: np.random.Generator) -> Opacities:
    """Everything that disease adds inside aerated lung."""
    filled = _filled(film, air, sick, body, rng)
    lines = {name: _lines(film, sick, name) for name in sorted(set(sick.line_findings))}
    balls = {name: _balls(film, sick, name) * (air.lung > 0) for name in sorted(set(sick.ball_findings))}
    return Opacities(
        filled=filled,
        strands=sum(lines.values(), film.blank()),
        solid=sum(balls.values(), film.blank()),
        hidden=np.clip(filled / np.maximum(0.45 * air.lung, 1e-6), 0.0, 1.0),
        lines=lines,
        balls=balls,
    )


def _filled(film: Film, air: Lungs, sick: Disease, body: Thorax, rng: np.random.Generator) -> Array:
    streams = rng.spawn(len(sick.patches) + 1)
    filled = film.blank()
    for patch, stream in zip(sick.patches, streams[1:], strict=True):
        filled = np.maximum(filled, patch_depth(film.x, film.y, patch, air.lung, rng=stream))
    if sick.haze > 0:
        uneven = np.clip(1.0 + 0.32 * clouds(film.x, film.y, streams[0], (3.6, 1.8, 0.8)), 0.2, 1.8)
        filled = filled + sick.haze * (0.46 * haze(film.x, film.y, body) * uneven + 0.07) * air.lung
    return np.minimum(filled, 0.9 * air.lung)


def patch_depth(x: Array, y: Array, patch: Patch, lung: Array, *, rng: np.random.Generator) -> Array:
    """Length (cm) of water that one cloudy opacity puts into `lung` (cm) along the rays at x, y (cm)."""
    away = _away(x, y, patch)
    ragged = patch.ragged * clouds(x, y, rng, (3.2, 1.6, 0.8, 0.4))
    t = np.clip((1.45 - away + ragged) / 1.5, 0.0, 1.0)
    alpha = t * t * (3.0 - 2.0 * t) * np.clip(2.6 - away, 0.0, 1.0)
    return np.asarray(patch.density * alpha * np.minimum(0.8 * lung, patch.depth_cm))


def _away(x: Array, y: Array, patch: Patch) -> Array:
    c, s = np.cos(patch.turn), np.sin(patch.turn)
    dx, dy = x - patch.x, y - patch.y
    return np.asarray(((c * dx + s * dy) / patch.radius_x) ** 2 + ((c * dy - s * dx) / patch.radius_y) ** 2)


@njit()
def _uneven(x: Array, y: Array, lattice: Array, cell: float, out: Array, gain: float) -> None:
    m = lattice.shape[0]
    # Each layer lies askew to the others, so that no grid shows.
    c0, s0 = np.cos(2.4 * cell) / cell, np.sin(2.4 * cell) / cell
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            p, q = c0 * x[i, j] - s0 * y[i, j] + 0.5 * m, s0 * x[i, j] + c0 * y[i, j] + 0.5 * m
            a, b = int(np.floor(p)), int(np.floor(q))
            s, t = p - a, q - b
            s, t = s * s * (3 - 2 * s), t * t * (3 - 2 * t)
            a, b = a % m, b % m
            c, d = (a + 1) % m, (b + 1) % m
            top = lattice[b, a] * (1 - s) + lattice[b, c] * s
            low = lattice[d, a] * (1 - s) + lattice[d, c] * s
            out[i, j] += gain * (top * (1 - t) + low * t)


def clouds(x: Array, y: Array, rng: np.random.Generator, cells: tuple[float, ...]) -> Array:
    """Smooth random unevenness of standard deviation near 1 at points x, y (cm): one layer per cell size in cm."""
    out = np.zeros_like(x)
    total = float(np.sum(np.array(cells) ** 1.2)) ** 0.5
    for cell in cells:
        # Large shapes are stronger than small ones, as in natural clouds.
        _uneven(x, y, rng.standard_normal((64, 64)), cell, out, 1.35 * cell**0.6 / total)
    return out


def _lines(film: Film, sick: Disease, name: str) -> Array:
    canvas = film.blank()
    own = np.array([finding == name for finding in sick.line_findings])
    sweep_pieces(canvas, film, sick.lines[own], BUNDLE[name])
    return canvas


def _balls(film: Film, sick: Disease, name: str) -> Array:
    out = film.blank()
    for ball, finding in zip(sick.balls, sick.ball_findings, strict=True):
        if finding == name:
            out = np.maximum(out, chords(ball[None], film.u, film.v, film.beam))
    return out


def masks(film: Film, air: Lungs, sick: Disease, body: Thorax, *, dense: Opacities) -> dict[str, Mask]:
    """Where on the film each finding is, (n, n) each; a finding that is not there has no mask."""
    found: dict[str, Mask] = {}
    if sick.enlarged:
        solids = central(body, sick.heart, sick.shift)
        found["cardiomegaly"] = chords(solids[:3], film.u, film.v, film.beam) > 0
    if np.any(sick.fluid[:, 1] > 0):
        found["pleural_effusion"] = air.fluid > np.maximum(0.3 * (air.fluid + air.lung), 0.6)
    if np.any(sick.collapsed[:, 6] < body.walls[:, 6]):
        found["pneumothorax"] = (air.air > 1.0) & (air.air > 0.6 * (air.air + air.lung))
    found |= {name: chord > 0 for name, chord in dense.balls.items()}
    for name in sorted({patch.finding for patch in sick.patches} | (set(dense.lines) - {"edema"})):
        found[name] = _cloudy(film, air, sick, name, dense) & (air.lung > 0.8)
    if sick.haze > 0:
        found["edema"] = (haze(film.x, film.y, body) > 0.35) & (air.lung > 0.8)
    return found


def _cloudy(film: Film, air: Lungs, sick: Disease, name: str, dense: Opacities) -> Mask:
    near = np.zeros(film.x.shape, dtype=bool)
    for patch in sick.patches:
        if patch.finding == name:
            near |= _away(film.x, film.y, patch) < 1.9
    near &= dense.filled > 0.05 * air.lung
    if name in dense.lines:
        spread = ndimage.uniform_filter(dense.lines[name], max(3, round(1.2 / film.grid.pitch)))
        near |= spread > 0.25 * spread.max()
    return near
