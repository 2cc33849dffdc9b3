"""Air outside the lungs: trachea, main bronchi, gastric bubble and bowel gas."""

from __future__ import annotations

import numpy as np

from overread.simulation.anatomy.chest_shape import Thorax, hila, turned
from overread.simulation.rays import Array, Film, chords, ellipsoid, sweep


def gas(body: Thorax, film: Film, *, rng: np.random.Generator) -> Array:
    """Length (cm) of each ray in air outside the lungs, shape (n, n); abdominal gas differs between images."""
    canvas = film.blank()
    windpipe = turned(
        np.array([[0.0, -22.0, 1.5], [0.15, -14.0, 0.5], [0.2, -8.0, -1.0], [0.4, -3.0, -2.0]]), body.turn
    )
    sweep(canvas, film, windpipe, np.array([0.75, 0.75, 0.75, 0.7]), 0.8)
    for root in hila(body):
        course = np.array([windpipe[-1], (0.7 * root[0], root[1] - 1.6, -1.5), root])
        sweep(canvas, film, course, np.array([0.62, 0.55, 0.45]), 0.8)
    # Walls and food fill part of every pocket, hence less than its chord.
    return canvas + 0.45 * chords(_pockets(body, rng), film.u, film.v, film.beam)


def _pockets(body: Thorax, rng: np.random.Generator) -> Array:
    top = body.domes[1, 1] - body.domes[1, 4]
    amount, aside = rng.uniform(0.0, 1.0), rng.normal(0, 0.8)
    size = (1.0 + 2.0 * amount, 0.8 + 1.2 * amount, 1.6 + 1.4 * amount)
    pockets = [ellipsoid((5.6 + aside, top + 2.9 + 0.6 * amount, 2.0), size)]
    for _ in range(int(rng.integers(0, 5))):
        place = (float(rng.uniform(3, 13)), top + float(rng.uniform(3.5, 9.0)), 3.0)
        flat = (float(rng.uniform(0.7, 2.0)), float(rng.uniform(0.5, 1.1)), 1.2)
        pockets.append(ellipsoid(place, flat, float(rng.normal(0, 0.5))))
    return np.array(pockets)
