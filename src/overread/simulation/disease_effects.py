"""Effects of findings on the simulated chest by severity: heart size, effusion, free air, opacities and lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from overread.simulation.anatomy.chest_shape import Thorax, central, hila
from overread.simulation.anatomy.lung_paths import lungs
from overread.simulation.rays import Array, Beam, ellipsoid

FINDINGS = (
    "cardiomegaly",
    "pleural_effusion",
    "consolidation",
    "nodule",
    "mass",
    "pneumothorax",
    "edema",
    "atelectasis",
    "fibrosis",
)

# The one place where findings are made plainer or subtler: severity (0..1) is multiplied by this before it acts.
STRENGTH: Mapping[str, float] = MappingProxyType(dict.fromkeys(FINDINGS, 1.0))


@dataclass(frozen=True)
class Patch:
    """A cloudy opacity in the lung: an ellipse (cm) whose tissue is filled with water up to `density` (0..1)."""

    finding: str
    x: float
    y: float
    radius_x: float
    radius_y: float
    turn: float
    density: float
    depth_cm: float
    ragged: float


@dataclass(frozen=True)
class Disease:
    """What all findings of one radiograph do to the chest; distances in cm, arrays per side (right, left).

    fluid and collapsed as in `lungs`; balls (k, 12) are nodules and masses, ball_findings says which; lines (k, 2, 4)
    are thin structures, line_findings says whose; haze is the strength of alveolar edema, 0..1; packed is how much
    denser each lung is for having retracted.
    """

    heart: float
    enlarged: bool
    shift: float
    lift: Array
    fluid: Array
    collapsed: Array
    patches: tuple[Patch, ...]
    balls: Array
    ball_findings: tuple[str, ...]
    lines: Array
    line_findings: tuple[str, ...]
    haze: float
    vessel_gain: float
    packed: Array


def disease(severities: Mapping[str, float], body: Thorax, *, supine: bool, rng: np.random.Generator) -> Disease:
    """Effects of findings of these severities (0 to 1, 0 = absent) on a chest.

    Each finding draws its side and location from its own random stream, so that a change of one does not move the
    others.
    """
    streams = dict(zip(FINDINGS, rng.spawn(len(FINDINGS)), strict=True))
    acts = {name: float(severities.get(name, 0.0)) * STRENGTH[name] for name in FINDINGS}
    fluid = _effusion(acts["pleural_effusion"], body, supine, streams["pleural_effusion"])
    collapsed, shift = _pneumothorax(acts["pneumothorax"], body, supine, streams["pneumothorax"])
    lift, collapse, plates = _atelectasis(acts["atelectasis"], body, streams["atelectasis"])
    net, scar = _fibrosis(acts["fibrosis"], body, streams["fibrosis"])
    kerley = _kerley(acts["edema"], body, streams["edema"])
    balls, ball_findings = [], []
    for name, grow in (("nodule", (0.55, 0.75)), ("mass", (1.5, 1.7))):
        for ball in _ball(acts[name], body, grow, streams[name]):
            balls.append(ball)
            ball_findings.append(name)
    patches = (*_consolidation(acts["consolidation"], body, streams["consolidation"]), *collapse, *scar)
    lines = np.concatenate([plates, net, kerley])
    owners = ("atelectasis",) * len(plates) + ("fibrosis",) * len(net) + ("edema",) * len(kerley)
    grown = acts["cardiomegaly"]
    return Disease(
        heart=1.0 + (0.10 + 0.27 * grown if grown > 0 else 0.0) + 0.04 * acts["edema"],
        enlarged=grown > 0,
        shift=shift,
        lift=lift + 1.6 * acts["fibrosis"],
        fluid=fluid,
        collapsed=collapsed,
        patches=patches,
        balls=np.array(balls).reshape(-1, 12),
        ball_findings=tuple(ball_findings),
        lines=lines,
        line_findings=owners,
        haze=acts["edema"],
        vessel_gain=1.0 + 0.7 * acts["edema"],
        packed=1.0 + 0.22 * np.maximum(body.walls[:, 4] - collapsed[:, 4], 0.0),
    )


def _effusion(severity: float, body: Thorax, supine: bool, rng: np.random.Generator) -> Array:
    both, first, share = rng.random() < 0.3, int(rng.random() < 0.45), rng.uniform(0.3, 0.9)
    fluid = np.tile([99.0, 0.0, 0.0, 2.5], (2, 1))
    for side, amount in ((first, severity), (1 - first, severity * share * both)):
        if amount <= 0:
            continue
        sulcus = body.domes[side, 1] - 1.6
        fluid[side] = (sulcus - 1.6 - 13.5 * amount**1.1, 2.2 + 3.5 * min(amount * 2.0, 1.0), 0.0, 2.4)
        if supine:
            fluid[side] = (sulcus - 1.0 - 8.5 * amount, 1.5 + 2.0 * amount, 0.20 + 0.5 * amount, 4.5)
    return fluid


def _pneumothorax(severity: float, body: Thorax, supine: bool, rng: np.random.Generator) -> tuple[Array, float]:
    side, flat = int(rng.random() < 0.45), rng.uniform(0.8, 1.25)
    collapsed = body.walls.copy()
    if severity <= 0:
        return collapsed, 0.0
    gap = (2.7 + 4.8 * severity**1.2) * flat
    collapsed[side, 1] += 1.5 * gap
    collapsed[side, 4] -= 0.85 * gap * (1.15 if supine else 1.0)
    collapsed[side, 3] -= 0.25 * gap
    collapsed[side, 6] -= 0.35 * gap
    tension = max(0.0, severity - 0.6) * 4.0
    return collapsed, tension if side == 0 else -tension


def _clear(body: Thorax, side: int, *, height: tuple[float, float], rng: np.random.Generator) -> Array:
    """A point in well aerated lung: (x, y, z) with `height` as fractions of the way from apex to dome."""
    beam, solids = Beam(1e6, 0.0), central(body, 1.05, 0.0)
    nothing = np.tile([99.0, 0.0, 0.0, 1.0], (2, 1))
    wall, dome = body.walls[side], body.domes[side]
    top, bottom = wall[1], dome[1] - dome[4]
    draws = rng.random((40, 3))
    x = wall[0] * (wall[5] + draws[:, 0] * (wall[4] - wall[5]))
    y = top + (height[0] + draws[:, 1] * (height[1] - height[0])) * (bottom - top)
    seen = lungs(
        x[:, None], y[:, None], beam, chest=(body.walls, body.domes, solids), fluid=nothing, collapsed=body.walls
    )
    good = np.flatnonzero((seen.lung[:, 0] > 0.55 * seen.outline[:, 0]) & (seen.outline[:, 0] > 6.0))
    pick = int(good[0]) if len(good) else 0
    return np.array([x[pick], y[pick], wall[7] + (draws[pick, 2] - 0.5) * 0.9 * seen.outline[pick, 0]])


def _consolidation(severity: float, body: Thorax, rng: np.random.Generator) -> list[Patch]:
    side, many, lower = int(rng.random() < 0.45), rng.random(), rng.random() < 0.7
    patches = []
    for k in range(3):
        at = _clear(body, side if k < 2 else 1 - side, height=(0.45, 0.95) if lower else (0.12, 0.5), rng=rng)
        size, turn, stretch = rng.uniform(0.85, 1.25), rng.uniform(-0.8, 0.8), rng.uniform(0.75, 1.3)
        if severity <= 0 or (k == 1 and many < 0.5) or (k == 2 and many < 0.8):
            continue
        radius = (3.1 + 3.0 * severity) * size * (1.0 if k == 0 else 0.75)
        density = 0.66 + 0.32 * severity
        patches.append(
            Patch("consolidation", at[0], at[1], radius * stretch, radius / stretch, turn, density, 2.6 * radius, 0.42)
        )
    return patches


def _ball(severity: float, body: Thorax, grow: tuple[float, float], rng: np.random.Generator) -> list[Array]:
    at = _clear(body, int(rng.random() < 0.45), height=(0.12, 0.92), rng=rng)
    stretch, turn, bumps = rng.uniform(0.85, 1.18), rng.uniform(0, np.pi), rng.normal(size=(3, 3))
    if severity <= 0:
        return []
    radius = grow[0] + grow[1] * severity
    lobes = [ellipsoid(tuple(at), (radius * stretch, radius / stretch, radius), turn)]
    if grow[0] > 1.0:
        for bump in bumps:
            aside = 0.55 * radius * bump / np.linalg.norm(bump)
            lobes.append(ellipsoid(tuple(at + aside), (0.62 * radius,) * 3))
    return lobes


def _atelectasis(severity: float, body: Thorax, rng: np.random.Generator) -> tuple[Array, list[Patch], Array]:
    side, lobar = int(rng.random() < 0.5), rng.random() < 0.4
    lift, patches, plates = np.zeros(2), [], []
    wall, dome = body.walls[side], body.domes[side]
    top = dome[1] - dome[4]
    for _ in range(3):
        draw = rng.random(5)
        middle, half = wall[0] * (5.0 + 6.0 * draw[0]), 2.0 + 2.4 * draw[1]
        y, slope, z = top - 0.6 - 3.6 * draw[2], (draw[3] - 0.5) * 0.7, (draw[4] - 0.5) * 6.0
        if severity > 0:
            radius = 0.20 + 0.22 * severity
            ends = np.array(
                [[middle - half, y - slope * half, z], [middle, y, z], [middle + half, y + slope * half, z]]
            )
            for a, b in ((0, 1), (1, 2)):
                plates.append(
                    np.column_stack([ends[[a, b]], (radius * 0.5, radius) if a == 0 else (radius, radius * 0.5)])
                )
    if severity > 0:
        lift[side] = 0.5 + 2.4 * severity
        if lobar:
            place = wall[0] * 4.6, top - 0.5 - lift[side]
            patches.append(
                Patch(
                    "atelectasis", *place, 2.0 + 1.2 * severity, 4.0, wall[0] * -0.5, 0.25 + 0.45 * severity, 6.0, 0.15
                )
            )
    return lift, patches, np.array(plates[: 2 + 2 * int(1 + 2 * severity)]).reshape(-1, 2, 4)


def _fibrosis(severity: float, body: Thorax, rng: np.random.Generator) -> tuple[Array, list[Patch]]:
    """Reticulation: short strands and small rings, dense at the bases and near the chest wall."""
    draws, rings = rng.random((900, 6)), []
    if severity <= 0:
        return np.zeros((0, 2, 4)), []
    for d in draws[: int(160 + 700 * severity)]:
        side = int(d[0] < 0.5)
        wall, dome = body.walls[side], body.domes[side]
        low = dome[1] + 0.5
        y = low - (low - wall[1] - 3.0) * d[1] ** 1.9
        x = wall[0] * (wall[4] - 0.4 - (wall[4] - 3.0) * d[2] ** 1.8)
        z, turn, size = wall[7] + (d[3] - 0.5) * 14.0, 2 * np.pi * d[4], 0.28 + 0.42 * d[5]
        corner = np.array([(np.cos(turn + k), np.sin(turn + k)) for k in (0.0, 2.1, 4.2)]) * size
        for k in range(3 if d[5] < 0.5 else 1):
            a, b = corner[k], corner[(k + 1) % 3]
            rings.append(
                [(x + a[0], y + a[1], z, 0.08 + 0.07 * severity), (x + b[0], y + b[1], z, 0.08 + 0.07 * severity)]
            )
    patches = []
    for side in (0, 1):
        wall, dome = body.walls[side], body.domes[side]
        at = wall[0] * 9.5, dome[1] - dome[4] + 0.2
        patches.append(Patch("fibrosis", *at, 5.2, 4.8, 0.0, 0.08 + 0.22 * severity, 9.0, 0.35))
    return np.array(rings), patches


def _kerley(severity: float, body: Thorax, rng: np.random.Generator) -> Array:
    draws = rng.random((2, 16, 3))
    if severity <= 0.3:
        return np.zeros((0, 2, 4))
    lines = []
    for side in (0, 1):
        wall, dome = body.walls[side], body.domes[side]
        for d in draws[side, : int(16 * severity)]:
            y, z = dome[1] - dome[4] + 2.5 - 6.5 * d[0], (d[1] - 0.5) * 10.0
            end = wall[0] * (wall[4] - 0.5)
            lines.append([(end, y, z, 0.055), (end - wall[0] * (1.2 + d[2]), y + 0.1 - 0.2 * d[1], z, 0.05)])
    return np.array(lines).reshape(-1, 2, 4)


def haze(u: Array, v: Array, body: Thorax) -> Array:
    """The bat's wings: how much of alveolar edema lies at each point, 1 near the lung roots, 0 far from them."""
    out = np.zeros(u.shape)
    for root, side in zip(hila(body), (-1.0, 1.0), strict=True):
        x, y = (u - root[0] - side * 2.3) / 4.8, (v - root[1] - 2.2) / 7.0
        out = np.maximum(out, np.exp(-((x * x + y * y) ** 1.3)))
    return out


def raised(body: Thorax, lift: Array) -> Thorax:
    """The same chest with its domes higher by `lift` (2,) cm."""
    domes = body.domes.copy()
    domes[:, 1] -= lift
    return replace(body, domes=domes)
