"""Rendering of a simulated radiograph: chest, lungs, bones and disease projected, exposed and processed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from overread.errors import InputError, did_you_mean
from overread.simulation.acquisition import LUNG, SOFT, Acquisition, attenuate, develop, expose
from overread.simulation.anatomy.airways import gas
from overread.simulation.anatomy.chest_shape import Patient, Thorax, central, thorax, trunk
from overread.simulation.anatomy.lung_paths import lungs
from overread.simulation.anatomy.opacity_fields import Mask, clouds, masks, opacities
from overread.simulation.anatomy.skeleton import bones
from overread.simulation.anatomy.vessel_trees import vessels
from overread.simulation.disease_effects import FINDINGS, Disease, disease, raised
from overread.simulation.film_marks import collimate, label, wires
from overread.simulation.rays import Array, Film, Grid


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels.

    Parameters
    ----------
    x, y : float
        Left and upper edge.
    width, height : float
        Size.
    """

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Radiography:
    """A simulated radiograph with its ground truth.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (size, size)
        Image; air is dark.
    display : ndarray of float32, shape (size, size)
        The same before rounding, 0 to 1.
    masks : mapping of str to ndarray of bool, shape (size, size)
        Location of every finding with a severity above 0.
    severities : mapping of str to float
        Severities from 0 to 1.
    patient : Patient
        The patient.
    acquisition : Acquisition
        Device and positioning.
    """

    pixels: NDArray[np.uint8]
    display: NDArray[np.float32]
    masks: Mapping[str, Mask]
    severities: Mapping[str, float]
    patient: Patient
    acquisition: Acquisition

    def boxes(self, finding: str) -> tuple[Box, ...]:
        """Bounding boxes of the connected components of a finding's mask, except those below 3 % of its area."""
        mask = self.masks.get(finding)
        if mask is None or not mask.any():
            return ()
        parts, count = ndimage.label(mask, structure=np.ones((3, 3)))
        sizes = np.bincount(parts.ravel(), minlength=count + 1)
        found = []
        for number, where in enumerate(ndimage.find_objects(parts), start=1):
            if where is not None and sizes[number] >= max(2, 0.03 * mask.sum()):
                rows, columns = where
                size = float(columns.stop - columns.start), float(rows.stop - rows.start)
                found.append(Box(float(columns.start), float(rows.start), *size))
        return tuple(found)


def radiograph(
    patient: Patient,
    *,
    size: int,
    rng: np.random.Generator,
    acquisition: Acquisition | None = None,
    severities: Mapping[str, float] = MappingProxyType({}),
) -> Radiography:
    """Render a chest radiograph of a simulated patient.

    Parameters
    ----------
    patient : Patient
        The patient; `patient.anatomy` alone determines the normal chest.
    size : int
        Side of the square image in pixels, at least 32.
    rng : Generator
        Random numbers for the location of lesions and for noise.
    acquisition : Acquisition, optional
        Device and positioning; None = PA on the default device.
    severities : mapping
        Finding -> severity from 0 (absent) to 1 (most obvious).

    Returns
    -------
    Radiography
        Image and ground truth.

    Raises
    ------
    InputError
        A finding is unknown, a severity is outside 0 to 1, or `size` is below 32.

    Examples
    --------
    >>> import numpy as np
    >>> picture = radiograph(Patient(anatomy=3), size=64, rng=np.random.default_rng(0), severities={"mass": 0.7})
    >>> picture.pixels.shape, picture.pixels.dtype.name, list(picture.masks)
    ((64, 64), 'uint8', ['mass'])
    """
    _check(severities, size)
    taken = acquisition or Acquisition()
    lesion_rng, body_rng, noise_rng = rng.spawn(3)
    body = thorax(patient, supine=taken.supine, inspiration=taken.inspiration, turn=taken.turn)
    sick = disease(severities, body, supine=taken.supine, rng=lesion_rng)
    over = 2 if size < 200 else 1
    grid = Grid(size * over, taken.field_cm / body.scale / (size * over), *taken.centre, taken.angle)
    film = Film.under(taken.beam, grid)
    primary, inside, where = _transmit(raised(body, sick.lift), sick, film, taken, (patient.anatomy, body_rng))
    primary, covered = _shrink(primary, over), _shrink(inside, over)
    pitch = taken.field_cm / size
    signal = expose(primary, covered, taken.device, pitch=pitch, rng=noise_rng)
    picture = develop(signal, covered, taken.device, pitch=pitch)
    collimate(picture, taken, rng=noise_rng)
    label(picture, taken, rng=noise_rng)
    held = {finding: _shrink(mask.astype(np.float64), over) >= 0.5 for finding, mask in where.items()}
    return Radiography(
        pixels=np.round(picture * 255.0).astype(np.uint8),
        display=picture.astype(np.float32),
        masks=MappingProxyType(held),
        severities=MappingProxyType({f: float(severities.get(f, 0.0)) for f in FINDINGS}),
        patient=patient,
        acquisition=taken,
    )


def _check(severities: Mapping[str, float], size: int) -> None:
    for name, value in severities.items():
        if name not in FINDINGS:
            raise InputError(
                "severities", f"findings among {', '.join(FINDINGS)}", name, do=did_you_mean(name, FINDINGS)
            )
        if not 0.0 <= value <= 1.0:
            raise InputError(f"severity of {name}", "a number from 0 (absent) to 1", str(value))
    if size < 32:
        raise InputError("size", "at least 32 pixels", str(size))


def _shrink(picture: Array, over: int) -> Array:
    n = picture.shape[0] // over
    return picture.reshape(n, over, n, over).mean(axis=(1, 3)) if over > 1 else picture


def _transmit(
    body: Thorax, sick: Disease, film: Film, taken: Acquisition, seeds: tuple[int, np.random.Generator]
) -> tuple[Array, Array, dict[str, Mask]]:
    """Fraction of quanta transmitted, presence of the patient (1 or 0), and masks of the findings; all (n, n)."""
    anatomy, rng = seeds
    solids = central(body, sick.heart, sick.shift)
    chest = (body.walls, body.domes, solids)
    air = lungs(film.u, film.v, film.beam, chest=chest, fluid=sick.fluid, collapsed=sick.collapsed)
    whole = trunk(body, film)
    dense = opacities(film, air, sick, body, rng=rng)
    soft = np.maximum(whole - air.lung - air.air - gas(body, film, rng=rng), np.minimum(whole, 1.2))
    # Vessels and strands behind much tissue are drowned by it; inside a consolidation they vanish.
    seen = air.lung / (air.lung + 2.5) * np.minimum(1.5 * air.lung / np.maximum(air.outline, 0.1), 1.0)
    tree = 1.35 * vessels(body, sick, film, anatomy=anatomy) * (1.0 - 1.15 * dense.hidden)
    extra = (tree + dense.strands) * seen + dense.filled + dense.solid + 0.17 * air.pleura
    texture = 1.0 + 0.05 * clouds(film.x, film.y, rng, (1.6, 0.8, 0.45)) * seen
    # A retracted lung holds the same tissue in less room.
    texture *= np.where(film.x < 0, *sick.packed)
    bone = bones(body, film)
    if taken.wires:
        wires(bone, film, rng=rng)
    # What is denser than lung takes the place of lung, so only the difference counts.
    tissue = soft + extra * (SOFT - LUNG) / SOFT
    primary = attenuate(body.scale * tissue, body.scale * air.lung * texture, body.scale * bone)
    return primary, (whole > 0.4).astype(np.float64), masks(film, air, sick, body, dense=dense)
