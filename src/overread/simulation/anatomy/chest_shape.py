"""Shape of a patient's chest: lung boundaries, diaphragm, heart, great vessels and soft tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from overread.simulation.rays import Array, Film, chords, ellipsoid, sweep

# Half width and half depth (cm) of neck and trunk at heights y of a person 172 cm tall with a body mass index of 24.
TRUNK = np.array(
    [
        (-24.0, 5.6, 5.6), (-18.5, 5.8, 5.9), (-16.8, 6.6, 6.3), (-15.2, 8.8, 6.9), (-13.6, 12.0, 7.7),
        (-11.5, 14.6, 8.7), (-8.0, 15.9, 9.8), (-3.0, 16.2, 10.6), (4.0, 16.5, 11.0), (11.0, 16.5, 11.0),
        (18.0, 16.0, 10.8), (28.0, 16.4, 10.8),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Patient:
    """A simulated patient.

    Parameters
    ----------
    sex : {"F", "M"}
        Sex.
    age_years : float
        Age in years.
    height_cm : float
        Height in cm.
    bmi : float
        Body mass index in kg/m².
    anatomy : int
        Seed of the individual anatomy, which does not change between visits.
    """

    sex: str = "M"
    age_years: float = 50.0
    height_cm: float = 174.0
    bmi: float = 25.0
    anatomy: int = 0


@dataclass(frozen=True)
class Thorax:
    """The measures of one chest, in cm of a reference person; `scale` brings them to life size.

    walls (2, 8): per lung (right, left) side, apex y, base y, apex x, lateral x, medial x, half depth, middle z.
    domes (2, 6): per side centre x, y, z and radii of the half of the diaphragm.
    """

    scale: float
    walls: Array
    domes: Array
    wall_cm: float
    fat: float
    breast: float
    heart: float
    heart_turn: float
    aorta: float
    calcium: float
    bone: float
    scoliosis: float
    turn: float
    arms_out: float


def thorax(patient: Patient, *, supine: bool = False, inspiration: float = 1.0, turn: float = 0.0) -> Thorax:
    """Measures of a chest from sex, age, habitus and the person's own seed.

    inspiration 1 = full, 0 = expiration (domes about 4 cm higher); turn = rotation about the long axis in radians;
    supine raises the domes and brings the arms to the sides.
    """
    own = np.random.default_rng([patient.anatomy, 1]).normal(size=12)
    female, age, fat = patient.sex == "F", patient.age_years, (patient.bmi - 24.0) / 10.0
    width = 13.9 * (1.0 + 0.035 * own[0] + 0.02 * fat) * (0.965 if female else 1.0)
    depth = 8.9 * (1.0 + 0.04 * own[1] + 0.003 * (age - 50) / 10)
    apex = -13.2 + 0.4 * own[2]
    dome = 9.9 + 0.7 * own[3] - 1.0 * fat - 3.6 * (1.0 - inspiration) - (1.0 if supine else 0.0)
    left = dome + 1.1 + 0.4 * own[4]
    top = 6.6 + 0.4 * own[10]
    walls = np.array([[side, apex + 0.15 * side, 16.5, 5.4, width, 0.9, depth, -0.4] for side in (-1.0, 1.0)])
    domes = np.array(
        [
            [-6.4, dome + top, 0.8, 8.6 * width / 13.9, top, 12.5],
            [6.6, left + top, 0.8, 8.4 * width / 13.9, top, 12.5],
        ]
    )
    return Thorax(
        scale=patient.height_cm / 172.0,
        walls=walls,
        domes=domes,
        wall_cm=1.0,
        fat=fat,
        breast=float(np.clip(0.75 + 0.3 * own[5] + 0.35 * fat, 0.25, 1.5)) if female and age >= 14 else 0.0,
        heart=float(np.clip(1.0 + 0.045 * own[6] + 0.0008 * (age - 50) + (0.05 if supine else 0.0), 0.85, 1.2)),
        heart_turn=0.62 + 0.08 * own[7] - 0.12 * fat - 0.15 * (1.0 - inspiration),
        aorta=float(np.clip((age - 45.0) / 40.0 + 0.15 * own[8], -0.2, 1.2)),
        calcium=float(np.clip((age - 58.0) / 25.0 + 0.3 * own[9], 0.0, 1.2)),
        bone=float(np.clip(1.15 - 0.006 * (age - 30.0), 0.7, 1.2)) * (0.9 if female and age > 55 else 1.0),
        scoliosis=0.35 * own[11],
        turn=turn,
        arms_out=0.0 if supine else 1.0,
    )


def turned(points: Array, angle: float) -> Array:
    """Points (…, 3) turned about the body's long axis, as when the patient does not stand square to the detector."""
    out = np.array(points, dtype=np.float64)
    c, s = np.cos(angle), np.sin(angle)
    out[..., 0] = c * points[..., 0] + s * points[..., 2]
    out[..., 2] = c * points[..., 2] - s * points[..., 0]
    return out


def hila(body: Thorax) -> Array:
    """Where the lung roots lie, (2, 3) cm: right, left (a little higher)."""
    drop = 0.25 * (body.domes[0, 1] - body.domes[0, 4] - 10.0)
    return np.array([[-3.9, 1.3 + drop, -0.5], [4.3, 0.3 + drop, -0.8]])


def central(body: Thorax, heart: float, shift: float) -> Array:
    """Heart, great vessels, spine and mediastinum as ellipsoids (k, 12): what the lungs do not fill.

    heart scales the heart about its usual size; shift (cm) moves the mediastinum to the patient's left.
    """
    h = body.heart * heart
    # A failing heart grows to the left and down and rests on the dome.
    drop = body.domes[1, 1] - body.domes[1, 4] - 11.0
    y, unfold = 0.55 * drop, body.aorta
    parts = [
        (
            (2.7 + 1.5 * (h - 1), 6.1 + y + 0.15 * drop + 0.8 * (h - 1), 1.6),
            (6.4 * h, 4.5 * h, 6.2 * h),
            body.heart_turn,
        ),
        ((-1.0 - 0.8 * (h - 1), 6.0 + y, 1.0), (3.4 * h, 4.9 * h, 5.6 * h), -0.1),
        ((1.6, 9.2 + 0.95 * drop, 1.4), (6.0 * h, 3.0 * h, 6.8 * h), 0.16),
        ((1.5, 1.6 + 0.7 * y, 2.0), (2.9 * h, 4.6, 2.8), -0.42),
        ((-1.3, -2.2 + 0.5 * y, 1.0), (1.55 + 0.35 * unfold, 7.5, 2.2), 0.06),
        ((1.15 + 0.5 * unfold, -4.3 - 0.3 * unfold, -0.8), (2.1 + 0.25 * unfold, 2.7, 3.4), -0.1),
        ((1.75 + 0.7 * unfold, 5.0, -5.4), (1.25 + 0.1 * unfold, 12.5, 1.3), -0.015 - 0.02 * unfold),
        ((0.3, -3.0, -1.5), (2.35, 11.0, 4.2), 0.03),
        ((0.0, -14.5, -1.0), (3.2, 6.5, 4.5), 0.0),
        ((0.0, 4.0, -7.2), (1.8, 40.0, 3.0), 0.0),
    ]
    out = []
    for centre, radii, angle in parts:
        middle = turned(np.asarray(centre) + np.array([shift if centre[2] > -5 else 0.3 * shift, 0.0, 0.0]), body.turn)
        out.append(ellipsoid(tuple(middle), radii, angle))
    return np.array(out)


def trunk(body: Thorax, film: Film) -> Array:
    """Length (cm) of each ray in neck, trunk, shoulders, arms and breasts, lungs not yet taken out; (n, n)."""
    x, y = film.x, film.y
    heights, width, depth = TRUNK.T
    wide = width + np.where(heights > -10, 2.0, 0.9) * body.fat + (body.walls[0, 4] - 13.9)
    deep = depth * (1 + 0.22 * body.fat) + (body.walls[0, 6] - 8.9)
    fine = np.linspace(heights[0], heights[-1], 260)
    w = np.interp(y.ravel(), fine, PchipInterpolator(heights, wide)(fine)).reshape(y.shape)
    d = np.interp(y.ravel(), fine, PchipInterpolator(heights, deep)(fine)).reshape(y.shape)
    middle = 0.25 * body.scoliosis * np.sin(y / 9.0)
    inside = np.clip(1.0 - (np.abs(x - middle) / w) ** 2.6, 0.0, None)
    core = 2.0 * d * np.sqrt(inside) ** 0.85
    limbs = np.zeros_like(core)
    out, thick = body.arms_out, 1.0 + 0.3 * body.fat
    for side in (-1.0, 1.0):
        shoulder = [(side * 5.0, -14.3, -2.0), (side * 11.0, -12.6, -1.5), (side * (16.6 + body.fat), -10.4, -0.5)]
        arm = [
            (side * (18.3 + body.fat), -7.6 + 0.8 * out, 0.0),
            (side * (19.3 + 0.9 * out + 1.5 * body.fat), -1.0, 0.5),
            (side * (20.3 + 2.6 * out + 1.8 * body.fat), 9.0, 1.0 + out),
            (side * (20.6 + 4.6 * out + 1.8 * body.fat), 22.0, 2.0 + out),
        ]
        radius = np.array([2.0, 3.6, 5.0, 5.2, 4.9, 4.5, 4.0]) * thick
        sweep(limbs, film, np.array(shoulder + arm), radius)
    # Shoulder and trunk overlap: a smooth maximum is their union without a seam.
    total = np.sqrt(np.sqrt(core**4 + limbs**4))
    thickness: Array = total + _breasts(body, film)
    return thickness


def _breasts(body: Thorax, film: Film) -> Array:
    if body.breast <= 0:
        pectoral = [ellipsoid((s * 9.5, -1.5, 10.5), (6.5, 6.0, 1.3 + 0.3 * body.fat), s * 0.5) for s in (-1.0, 1.0)]
        return 0.5 * chords(np.array(pectoral), film.u, film.v, film.beam)
    b, total = body.breast, film.blank()
    m = 1.0 / float(film.beam.magnify(9.0))
    for side in (-1.0, 1.0):
        dx, dy = side * film.u * m - (8.3 + 0.9 * b), film.v * m - (5.0 + 2.6 * b)
        # The upper slope runs out gently into the chest wall; the lower edge is a fold.
        high = np.where(dy < 0, 7.5 + 1.5 * b, 3.0 + 1.7 * b)
        across = np.where(dx < 0, 6.2 + 1.0 * b, 5.4 + 1.3 * b)
        left = np.clip(1.0 - (dx / across) ** 2 - (dy / high) ** 2, 0.0, None)
        total += 3.3 * b * left ** (0.65 + 0.5 / (1.0 + np.exp(dy / 1.2)))
    return total
