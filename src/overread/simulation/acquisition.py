"""Image formation and processing: geometry, scatter, blur, quantum noise, and the vendor's tone curve."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from overread.simulation.rays import Array, Beam


@dataclass(frozen=True)
class Device:
    """A radiography system: detector and image processing.

    Parameters
    ----------
    manufacturer, model : str
        Names in the DICOM header.
    scatter : float
        Scatter-to-primary ratio behind an average patient, after the grid.
    blur_cm : float
        Standard deviation of the point spread function in cm.
    quanta : float
        Effective quanta per cm² without patient.
    dark, bright : float
        Percentiles of the log signal between which grey values are spread.
    gamma, slope : float
        Parameters of the tone curve.
    edge, edge_cm : float
        Strength and radius in cm of unsharp masking.
    marker, marker_style : str
        Side marker and its style.
    """

    manufacturer: str = "Lumena"
    model: str = "Argo 7"
    scatter: float = 0.16
    blur_cm: float = 0.05
    quanta: float = 4e6
    dark: float = 1.5
    bright: float = 97.0
    gamma: float = 0.85
    slope: float = 3.0
    edge: float = 0.35
    edge_cm: float = 0.9
    marker: str = "L"
    marker_style: str = "plain"


@dataclass(frozen=True)
class Acquisition:
    """One exposure: device, view ("PA" or "AP") and positioning of the patient.

    `angle` and `turn` are in radians, `centre` and field in cm; `collimation` is the collimated fraction of the image
    (left, right, top, bottom); `wires` are leads and lines of a bedside image.
    """

    device: Device = field(default_factory=Device)
    view: str = "PA"
    inspiration: float = 1.0
    turn: float = 0.0
    angle: float = 0.0
    centre: tuple[float, float] = (0.0, 0.6)
    field_cm: float = 40.5
    collimation: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    wires: bool = False

    @property
    def supine(self) -> bool:
        """Whether the patient is supine or semi-recumbent: bedside images are AP."""
        return self.view == "AP"

    @property
    def beam(self) -> Beam:
        """Geometry: PA at 180 cm with the detector in front of the patient, AP at 110 cm with the detector behind."""
        return Beam(110.0, 14.0, False) if self.supine else Beam(180.0, 14.0, True)


# Linear attenuation per cm at a mean energy near 65 keV: soft tissue, aerated lung, cortical bone beyond soft tissue.
SOFT = 0.196
LUNG = 0.031
BONE = 0.34


def acquire(device: Device, view: str, *, rng: np.random.Generator) -> Acquisition:
    """Draw the positioning of a patient; bedside (AP) images are tilted, rotated and less inspired.

    Parameters
    ----------
    device : Device
        Radiography system.
    view : {"PA", "AP"}
        Projection.
    rng : Generator
        Random number generator.

    Returns
    -------
    Acquisition
        The exposure.
    """
    loose = 1.8 if view == "AP" else 1.0
    cut = np.clip(rng.normal(0.004, 0.014, 4) * loose, 0.0, 0.09)
    return Acquisition(
        device=device,
        view=view,
        inspiration=float(np.clip(1.0 - abs(rng.normal(0.0, 0.13)) * loose, 0.35, 1.0)),
        turn=float(rng.normal(0.0, 0.035) * loose),
        angle=float(rng.normal(0.0, 0.018) * loose),
        centre=(float(rng.normal(0.0, 0.5) * loose), float(0.6 + rng.normal(0.0, 0.7) * loose)),
        field_cm=float(np.clip(rng.normal(40.5, 1.2), 37.5, 44.0)),
        collimation=(float(cut[0]), float(cut[1]), float(cut[2]), float(cut[3])),
        wires=bool(view == "AP" and rng.random() < 0.6),
    )


def attenuate(soft: Array, lung: Array, bone: Array) -> Array:
    """Fraction of primary quanta transmitted by lengths (cm) of soft tissue, lung and bone (Beer-Lambert law).

    Examples
    --------
    >>> import numpy as np
    >>> round(float(attenuate(np.array(10.0), np.array(0.0), np.array(0.0))), 4)
    0.1409
    """
    return np.asarray(np.exp(-(SOFT * soft + LUNG * lung + BONE * bone)))


def expose(primary: Array, inside: Array, device: Device, *, pitch: float, rng: np.random.Generator) -> Array:
    """Log signal (higher = more attenuation) of a detector: primary + scatter, blurred, with quantum noise.

    primary (n, n) share of quanta that passed; inside (n, n) share of the pixel behind the patient; pitch in cm.
    """
    sharp = (
        ndimage.gaussian_filter(primary, device.blur_cm / pitch, truncate=3.0)
        if device.blur_cm > 0.15 * pitch
        else primary
    )
    signal = sharp + device.scatter * _scatter(np.minimum(primary, 0.25) * inside, pitch)
    sd = np.sqrt(signal / (device.quanta * pitch * pitch))
    noisy = signal + sd * rng.standard_normal(signal.shape)
    return np.asarray(-np.log(np.maximum(noisy, 1e-4)))


def _scatter(primary: Array, pitch: float) -> Array:
    """Primary signal spread over several cm, computed on coarse pixels because it has no detail."""
    n = primary.shape[0]
    step = max(1, n // 64)
    m = n // step * step
    coarse = primary[:m, :m].reshape(m // step, step, m // step, step).mean(axis=(1, 3))
    spread = ndimage.gaussian_filter(coarse, 3.2 / (pitch * step), mode="nearest", truncate=3.0)
    return np.asarray(ndimage.zoom(spread, n / spread.shape[0], order=1, mode="nearest", grid_mode=True))


def develop(log_signal: Array, inside: Array, device: Device, *, pitch: float) -> Array:
    """Grey values 0 (black) to 1 (white) by the device's processing: edge enhancement, grey range, tone curve."""
    picture = log_signal
    if device.edge > 0:
        low = ndimage.gaussian_filter(picture, device.edge_cm / pitch, truncate=2.5)
        picture = picture + device.edge * np.clip(picture - low, -0.6, 0.6)
    n = picture.shape[0]
    core = np.zeros(picture.shape, dtype=bool)
    core[n // 12 : n - n // 12, n // 10 : n - n // 10] = True
    seen = picture[core & (inside > 0.9)]
    dark, bright = np.percentile(seen if len(seen) > 50 else picture, [device.dark, device.bright])
    t = np.clip((picture - dark) / max(bright - dark, 1e-3), -0.5, 1.5)
    curve = 1.0 / (1.0 + np.exp(-device.slope * (t - 0.5)))
    ends = 1.0 / (1.0 + np.exp(device.slope * np.array([0.64, -0.62])))
    grey: Array = np.clip((curve - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0) ** device.gamma
    return grey
