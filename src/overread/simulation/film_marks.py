"""Markings on a radiograph: side markers, text, collimation, leads and lines."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from overread.simulation.acquisition import Acquisition
from overread.simulation.rays import Array, Beam, Film, Grid, sweep, sweep_pieces

# Capital letters as strokes in a box one unit wide and 1.5 high, y downwards.
LETTERS: Mapping[str, tuple[tuple[tuple[float, float], ...], ...]] = MappingProxyType(
    {
        "L": (((0, 0), (0, 1.5), (0.8, 1.5)),),
        "R": (((0, 1.5), (0, 0), (0.6, 0), (0.8, 0.35), (0.6, 0.75), (0, 0.75)), ((0.4, 0.75), (0.85, 1.5))),
        "A": (((0, 1.5), (0.42, 0), (0.85, 1.5)), ((0.15, 1.0), (0.7, 1.0))),
        "P": (((0, 1.5), (0, 0), (0.6, 0), (0.8, 0.38), (0.6, 0.8), (0, 0.8)),),
        "O": (((0.2, 0), (0.6, 0), (0.8, 0.4), (0.8, 1.1), (0.6, 1.5), (0.2, 1.5), (0, 1.1), (0, 0.4), (0.2, 0)),),
        "T": (((0, 0), (0.85, 0)), ((0.42, 0), (0.42, 1.5))),
        "B": (
            ((0, 0), (0, 1.5), (0.6, 1.5), (0.8, 1.1), (0.6, 0.75), (0, 0.75)),
            ((0.6, 0.75), (0.75, 0.35), (0.55, 0), (0, 0)),
        ),
        "E": (((0.8, 0), (0, 0), (0, 1.5), (0.8, 1.5)), ((0, 0.75), (0.6, 0.75))),
        "K": (((0, 0), (0, 1.5)), ((0.8, 0), (0, 0.85), (0.85, 1.5))),
        "M": (((0, 1.5), (0, 0), (0.42, 0.8), (0.85, 0), (0.85, 1.5)),),
    }
)
# What two styles of marking write on bedside pictures: words, their place and height as shares of the picture's side.
WORDS: Mapping[str, tuple[str, tuple[float, float], float]] = MappingProxyType(
    {"circled": ("PORTABLE", (0.03, 0.015), 0.03), "words": ("AP", (0.18, 0.05), 0.045)}
)


def write(picture: Array, words: str, *, place: tuple[float, float], height: float, thick: float = 0.13) -> None:
    """Write capital letters in white onto a picture (n, n), in place: place and height as shares of its side."""
    n = picture.shape[0]
    film = Film.under(Beam(1e9, 0.0), Grid(n, 1.0 / n, 0.5, 0.5))
    unit, canvas = height / 1.5, np.zeros_like(picture)
    for number, letter in enumerate(words):
        for stroke in LETTERS.get(letter, ()):
            points = [(place[0] + unit * (x + 1.25 * number), place[1] + unit * y, 0.0) for x, y in stroke]
            sweep(canvas, film, np.array(points), thick * unit)
    np.maximum(picture, np.clip(canvas / (0.9 * thick * unit), 0.0, 1.0) * 0.97, out=picture)


def label(picture: Array, acquisition: Acquisition, *, rng: np.random.Generator) -> None:
    """Draw the hospital's side marker (and its words for bedside pictures) onto a picture, in place."""
    device = acquisition.device
    x, y = 0.895 + rng.normal(0, 0.012), 0.05 + abs(rng.normal(0, 0.015))
    size = 0.045
    if device.marker_style == "circled":
        _disc(picture, x + 0.014, y + 0.022, 0.036)
    if device.marker_style == "low":
        y = 0.80 + rng.normal(0, 0.02)
    if device.marker == "R":
        x = 1.0 - x - 0.03
    write(
        picture,
        device.marker,
        place=(x - 0.03 * (len(device.marker) - 1), y),
        height=size,
        thick=0.2 if device.marker_style == "plain" else 0.13,
    )
    if acquisition.supine and device.marker_style in WORDS:
        words, place, height = WORDS[device.marker_style]
        write(picture, words, place=place, height=height, thick=0.16)


def _disc(picture: Array, x: float, y: float, radius: float) -> None:
    n = picture.shape[0]
    c = (np.arange(n) + 0.5) / n
    away = np.hypot(c[None, :] - x, c[:, None] - y)
    picture[away < radius] = 0.02
    ring = np.abs(away - radius) < max(0.005, 0.5 / n)
    picture[ring] = 0.9


def collimate(picture: Array, acquisition: Acquisition, *, rng: np.random.Generator) -> None:
    """Black out what the collimator kept from the detector, in place, with the shutters a little askew."""
    n = picture.shape[0]
    c = (np.arange(n) + 0.5) / n
    x, y = c[None, :], c[:, None]
    lean = rng.normal(0, 0.006, 4)
    left, right, top, bottom = acquisition.collimation
    out = (x < left + lean[0] * (y - 0.5)) & (left > 0)
    out |= (x > 1 - right + lean[1] * (y - 0.5)) & (right > 0)
    out |= (y < top + lean[2] * (x - 0.5)) & (top > 0)
    out |= (y > 1 - bottom + lean[3] * (x - 0.5)) & (bottom > 0)
    picture[out] = 0.0


def wires(canvas: Array, film: Film, *, rng: np.random.Generator) -> None:
    """Add to a bone canvas (cm) what lies on a bedside patient: electrodes with leads, perhaps a central line."""
    for k in range(3):
        x, y = (-8.5, 8.5, 7.5)[k] + rng.normal(0, 1.2), (-4.5, -4.0, 8.0)[k] + rng.normal(0, 1.5)
        pad = np.array([[[x, y, 11.0, 0.5], [x + 0.05, y, 11.0, 0.5]]])
        sweep_pieces(canvas, film, pad, 14.0)
        t = np.linspace(0, 1, 14)[:, None]
        away = np.array([rng.uniform(-4, 4), 24.0, 11.0])
        bend = np.sin(np.pi * t) * rng.normal(0, 2.0)
        lead = (
            np.array([x, y, 11.0]) * (1 - t)
            + away * t
            + np.concatenate([bend, np.zeros_like(t), np.zeros_like(t)], axis=1)
        )
        sweep(canvas, film, lead, 0.09, 1.3)
    if rng.random() < 0.6:
        line = np.array(
            [(-6.5, -16.0, 4.0), (-5.0, -12.5, 4.0), (-3.4, -9.8, 2.0), (-2.3, -6.0, 1.0), (-2.2, -1.5, 1.0)]
        )
        sweep(canvas, film, line + np.array([0.0, rng.normal(0, 0.4), 0.0]), 0.11, 1.2)
