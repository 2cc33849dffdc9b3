"""Bones as hollow tubes and thin plates: ribs, spine, clavicles, scapulae, humeri and sternum."""

from __future__ import annotations

import numpy as np

from overread.simulation.anatomy.chest_shape import Thorax, turned
from overread.simulation.rays import Array, Film, fill, sweep, sweep_pieces

# Drop (cm) from the back to the front end, end angle (degrees from the spine), half height (cm) of ribs 1 to 12.
RIBS = np.array(
    [
        (3.6, 150, 0.62), (5.8, 150, 0.60), (7.6, 148, 0.62), (8.8, 147, 0.64), (9.6, 146, 0.66), (10.0, 144, 0.66),
        (10.2, 140, 0.66), (10.0, 134, 0.64), (9.4, 126, 0.62), (8.4, 115, 0.60), (5.2, 78, 0.52), (3.0, 55, 0.45),
    ]
)  # fmt: skip
MARROW = 0.86
# Courses of the left shoulder's bones: x, y, z and, for tubes, radius (cm).
CLAVICLE = np.array(
    [
        (1.6, -10.6, 7.0, 1.05), (4.5, -11.1, 7.6, 0.78), (8.0, -11.8, 6.0, 0.66), (11.5, -12.7, 3.0, 0.64),
        (14.3, -13.2, 0.5, 0.70), (15.8, -13.0, -0.5, 0.68),
    ]
)  # fmt: skip
BLADE = np.array(
    [
        (9.2, -10.6, -8.5), (14.6, -9.8, -5.5), (14.9, -7.4, -6.0), (13.3, -2.5, -8.0), (12.2, 2.6, -9.5),
        (11.2, 2.2, -9.5), (9.7, -4.0, -9.5),
    ]
)  # fmt: skip
LATERAL_RIM = np.array(
    [
        (14.8, -7.6, -6.0, 0.50), (13.9, -4.6, -7.2, 0.42), (12.9, -1.0, -8.6, 0.38), (12.1, 2.7, -9.5, 0.42),
        (11.2, 2.3, -9.6, 0.30),
    ]
)  # fmt: skip
SCAPULAR_SPINE = np.array(
    [
        (9.8, -8.2, -9.5, 0.30), (12.5, -10.4, -9.0, 0.45), (15.4, -12.6, -6.0, 0.60), (17.2, -13.0, -2.5, 0.75),
        (16.6, -13.0, -0.5, 0.60),
    ]
)  # fmt: skip
SOCKET = np.array([(15.0, -10.6, -4.5, 0.7), (15.3, -9.0, -4.5, 0.8), (14.9, -7.6, -5.0, 0.6)])
HUMERAL_HEAD = np.array([(17.1, -10.3, -2.2, 2.3), (17.9, -9.4, -1.8, 2.3)])
HUMERUS = np.array(
    [
        (17.6, -9.8, -1.5, 1.90), (18.8, -7.2, -0.5, 1.60), (19.6, -1.0, 0.5, 1.20), (20.4, 10.0, 1.0, 1.15),
        (20.6, 22.0, 2.0, 1.20),
    ]
)  # fmt: skip


def bones(body: Thorax, film: Film) -> Array:
    """Equivalent length (cm) of cortical bone along each ray; (n, n)."""
    canvas = film.blank()
    for number in range(12):
        for side in (-1.0, 1.0):
            _rib(canvas, film, body, (number, side))
    _spine(canvas, film, body)
    for side in (-1.0, 1.0):
        _shoulder(canvas, film, body, side)
    _sternum(canvas, film, body)
    return canvas * body.bone


def vertebra_y(number: Array | float) -> Array:
    """Height y (cm) of the middle of thoracic vertebra 1..12 (0 and below: cervical; above 12: lumbar)."""
    k = np.asarray(number, dtype=np.float64) - 1.0
    return -14.6 + 1.95 * k + 0.036 * k * np.abs(k)


def spine_x(body: Thorax, y: Array | float) -> Array:
    """How far (cm) the spine runs from the midline at height y."""
    return np.asarray(0.8 * body.scoliosis * np.sin(np.asarray(y) / 9.0 + 0.5))


def _hollow(canvas: Array, film: Film, points: Array, radius: Array, shape: tuple[float, float]) -> None:
    """A tube of cortex `shape[0]` cm thick around marrow; shape[1] flattens it along the ray."""
    cortex, flat = shape
    sweep(canvas, film, points, radius, flat)
    sweep(canvas, film, points, np.maximum(radius - cortex, 0.0), -MARROW * flat)


def rib(body: Thorax, number: int, side: float, steps: int = 26) -> Array:
    """The course (steps, 3) in cm of rib `number` (0..11) on side -1 (right) or 1 (left), from back to front."""
    drop, end, _ = RIBS[number]
    theta = np.radians(np.linspace(2.5, end, steps))
    part = theta / np.radians(end)
    start = float(vertebra_y(number + 1.0)) - 0.3
    y = start + drop * (0.06 * np.sin(np.pi * part) * -1.0 + part**1.55)
    wall = body.walls[0]
    t = np.clip((y - wall[1] + 0.7) / (wall[2] - wall[1]), 0.035, 1.0)
    outer = (
        wall[3]
        + (wall[4] - wall[3]) * (1 - (1 - t) ** 2.5) ** 0.56
        - 0.05 * wall[4] * np.clip((t - 0.7) / 0.3, 0, 1) ** 2
    )
    deep = wall[6] * (1 - (1 - t) ** 2.4) ** 0.6
    # The chest is a rounded box rather than an ellipse.
    x = 1.2 + (outer + 0.35 - 1.2) * np.sin(theta) ** 0.78
    z = wall[7] - (deep + 0.5) * np.sign(np.cos(theta)) * np.abs(np.cos(theta)) ** 0.85
    return turned(np.stack([side * x + spine_x(body, start) * (1 - part), y, z], axis=-1), body.turn)


def _rib(canvas: Array, film: Film, body: Thorax, which: tuple[int, float]) -> None:
    number, side = which
    points = rib(body, number, side)
    part = np.linspace(0.0, 1.0, len(points))
    radius = RIBS[number, 2] * (0.8 + 0.22 * np.sin(np.pi * np.clip(part * 1.6, 0, 1)) ** 0.5 + 0.2 * part**3)
    _hollow(canvas, film, points, radius, (0.17, 0.78))
    if number < 10 and body.calcium > 0.25:
        # Calcified cartilage goes on from the rib's front end towards the sternum.
        end = points[-1]
        front = end + np.array([[0.0, 0.0, 0.0], [-side * 1.6, 0.5, 0.4], [-side * 2.8, -0.4, 0.6]])
        sweep(canvas, film, front, 0.55, 0.07 * body.calcium)


def _spine(canvas: Array, film: Film, body: Thorax) -> None:
    number = np.arange(-3.0, 17.0)
    y, high = vertebra_y(number), vertebra_y(number + 0.5) - vertebra_y(number - 0.5)
    x, wide = spine_x(body, y), 1.35 + 0.045 * np.maximum(number, 0.0)
    half, z = 0.40 * high, -6.6
    parts = [
        _tubes(((x, y - half, z, wide), (x, y + half, z, wide)), 0.045),
        _tubes(((x, y + 0.4, z - 3.5, 0.24), (x, y + 1.5, z - 4.5, 0.36)), 0.4),
    ]
    chest = (number > 0) & (number <= 12)
    for side in (-1.0, 1.0):
        for edge in (-half, half):
            # End plates are a little hollowed, hence two halves that meet lower (or higher) in the middle.
            parts.append(_tubes(((x + side * wide, y + edge, z, 0.14), (x, y + 0.94 * edge, z, 0.14)), 0.6))
        for thin, gain in ((0.0, 0.8), (0.16, -MARROW * 0.8)):
            root = x + side * 0.68 * wide
            parts.append(_tubes(((root, y - 0.3, z - 2.0, 0.42 - thin), (root, y + 0.3, z - 2.0, 0.42 - thin)), gain))
        for thin, gain in ((0.0, 0.7), (0.12, -MARROW * 0.7)):
            ends = (
                (x + side * 0.9 * wide, y - 0.2, z - 2.6, 0.45 - thin),
                (x + side * (wide + 1.5), y - 0.7, z - 3.0, 0.38 - thin),
            )
            tubes, gains = _tubes(ends, gain)
            parts.append((tubes[chest], gains[chest]))
    pieces = np.concatenate([tubes for tubes, _ in parts])
    pieces[:, :, :3] = turned(pieces[:, :, :3], body.turn)
    sweep_pieces(canvas, film, pieces, np.concatenate([gains for _, gains in parts]))


def _tubes(ends: tuple[tuple[Array | float, ...], tuple[Array | float, ...]], gain: float) -> tuple[Array, Array]:
    """One tube per vertebra between two ends of x, y, z, radius: pieces (k, 2, 4) and their gains (k,)."""
    start, stop = (np.stack(np.broadcast_arrays(*end), axis=-1) for end in ends)
    pieces = np.stack([start, stop], axis=1)
    return pieces, np.full(len(pieces), gain)


def _place(body: Thorax, side: float, points: Array, slide: float) -> Array:
    """Points of the left shoulder on the side asked for, moved outwards with the width of the chest and by `slide`."""
    moved = points + np.array([0.6 * (body.walls[0, 4] - 13.9) + slide, 0.0, 0.0])
    return turned(moved * (side, 1.0, 1.0), body.turn)


def _shoulder(canvas: Array, film: Film, body: Thorax, side: float) -> None:
    # Arms out: the blades turn off the lungs. Arms at the side: they lie over them.
    out = body.arms_out
    slide = 1.0 * out - 1.6 * (1.0 - out)
    fill(canvas, film, _place(body, side, BLADE, slide), 0.12)
    sweep(canvas, film, _place(body, side, BLADE[[5, 6, 0, 1]], slide), 0.22, 0.5)
    for course, shape, share in (
        (CLAVICLE, (0.2, 1.05), 0.0),
        (LATERAL_RIM, (0.15, 0.8), 1.0),
        (SCAPULAR_SPINE, (0.14, 0.6), 0.7),
        (SOCKET, (0.15, 0.8), 0.8),
        (HUMERAL_HEAD, (0.16, 1.0), 0.6),
    ):
        _hollow(canvas, film, _place(body, side, course[:, :3], share * slide), course[:, 3], shape)
    abducted = HUMERUS[:, :3] + np.array([[0.0], [0.0], [0.9], [3.1], [4.8]]) * (out, 0.0, 0.0)
    _hollow(canvas, film, _place(body, side, abducted, 0.6 * slide), HUMERUS[:, 3], (0.32, 1.0))


def _sternum(canvas: Array, film: Film, body: Thorax) -> None:
    handle = turned(np.array([[0.0, -10.2, 8.0], [0.0, -6.2, 9.2]]), body.turn)
    _hollow(canvas, film, handle, np.array([2.6, 1.8]), (0.14, 0.28))
    blade = turned(np.array([[0.0, -6.0, 9.3], [0.0, 4.0, 10.2]]), body.turn)
    _hollow(canvas, film, blade, np.array([1.5, 1.7]), (0.12, 0.3))
