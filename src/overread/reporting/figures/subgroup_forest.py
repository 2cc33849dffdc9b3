"""The forest plot of subgroups: a band per column, its groups as rows, all cases as reference, differences as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, isnan

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from overread.reporting.blocks import Figure as Drawn
from overread.reporting.figures.drawing_style import (
    GREY,
    INK,
    PALE,
    RULE,
    WIDTH,
    canvas,
    drawing,
    key,
    key_height,
    series_colour,
    svg,
)
from overread.reporting.figures.figure_pool import delayed
from overread.reporting.figures.forest_drawing import Mark
from overread.reporting.figures.forest_plots import draw_mark, with_hollow

_STEP, _GAP, _HEAD, _FOOT = 0.162, 0.07, 0.24, 0.46  # inches: a mark's line, room between rows, headings, axis
_PATIENTS, _PLOT, _NUMBER, _LAST = 2.05, 2.25, 6.1, 7.75  # inches from the left: where the columns stand


@dataclass(frozen=True, slots=True)
class Level:
    """A group: its name, its patients as text, and its marks; `why` stands in place of numbers that do not exist."""

    title: str
    patients: str
    marks: tuple[Mark, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Band:
    """A column: all of its cases together, its groups, and per series the difference or gap in words."""

    title: str
    together: Level
    levels: tuple[Level, ...]
    gaps: tuple[str, ...]


def group_forest(bands: Sequence[Band], series: Sequence[str], *, label: str, name: str, caption: str) -> Drawn:
    """The drawing with its numbers and the words that stand for it."""
    caption = with_hollow(caption, (m for b in bands for level in (b.together, *b.levels) for m in level.marks))
    alt = _spoken(caption, bands, series)
    return Drawn(
        delayed(_forest, bands, series, label=label, name=name, alt=alt), caption, name, _numbers(bands, series)
    )


def _forest(bands: Sequence[Band], series: Sequence[str], *, label: str, name: str, alt: str) -> str:
    top = key_height(series) if len(series) > 1 else 0.05
    rows = [(b, level) for b in bands for level in (b.together, *b.levels)]
    heights = [max(len(level.marks), 1) * _STEP + _GAP for _, level in rows]
    height = top + _HEAD + sum(heights) + _FOOT
    with drawing():
        figure = canvas(height)
        box = (_PLOT / WIDTH, _FOOT / height, (_NUMBER - 0.15 - _PLOT) / WIDTH, sum(heights) / height)
        axes = figure.add_axes(box)
        axes.set_ylim(sum(heights), 0)
        axes.set_xlim(*_limits(bands))
        _draw(axes, bands)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(label)
        _headings(figure, height, top, label)
        if len(series) > 1:
            key(figure, series, top=0.2)
        return svg(figure, name, alt)


def _limits(bands: Sequence[Band]) -> tuple[float, float]:
    marks = [m for b in bands for level in (b.together, *b.levels) for m in level.marks]
    ends = [x for m in marks for x in (m.low, m.high, m.value) if isfinite(x)]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = 0.03 * (high - low or 1.0)
    return low - room, high + room


def _headings(figure: Figure, height: float, top: float, label: str) -> None:
    y = 1 - (top + _HEAD / 2) / height
    titles = (0.1, "Group", "left"), (_PATIENTS, "Patients", "right"), (_NUMBER, label, "left")
    for x, text, side in (*titles, (_LAST, "Difference, or gap; P", "left")):
        figure.text(x / WIDTH, y, text, ha=side, va="center", color=GREY, fontsize=8)


def _draw(axes: Axes, bands: Sequence[Band]) -> None:
    y = 0.0
    for band in bands:
        start = y
        for level in (band.together, *band.levels):
            strong = level is band.together
            tall = max(len(level.marks), 1) * _STEP + _GAP
            if strong:
                axes.axhspan(y, y + tall, xmin=-1, xmax=3, color=PALE, lw=0, zorder=0, clip_on=False)
            _row(axes, level, y, tall, strong=strong)
            if strong:
                for i, text in enumerate(band.gaps):
                    _text(axes, text, _LAST, y + _GAP / 2 + (i + 0.5) * _STEP, INK)
            y += tall
        for mark in band.together.marks:
            if isfinite(mark.value):
                axes.plot(
                    [mark.value] * 2, [start, y], color=series_colour(mark.series), lw=0.8, ls=(0, (3, 3)), zorder=1
                )
        axes.axhline(y, color=RULE, lw=0.5, zorder=0)
    axes.grid(axis="x", color=RULE, lw=0.4)


def _row(axes: Axes, level: Level, y: float, tall: float, *, strong: bool) -> None:
    middle, weight = y + tall / 2, "bold" if strong else "normal"
    ink = GREY if level.why else INK
    _text(axes, level.title, 0.1 if strong else 0.28, middle, ink, weight=weight)
    _text(axes, level.patients, _PATIENTS, middle, GREY, side="right")
    if level.why:
        _text(axes, level.why, _NUMBER, middle, GREY)
        return
    for i, m in enumerate(level.marks):
        at = y + _GAP / 2 + (i + 0.5) * _STEP
        _text(axes, m.label, _NUMBER, at, GREY if isnan(m.value) else INK, weight=weight)
        draw_mark(axes, m, at)


def _text(axes: Axes, text: str, x: float, y: float, ink: str, *, side: str = "left", weight: str = "normal") -> None:
    """Text that stands so many inches from the left of the figure, at a height of the axis."""
    axes.annotate(
        text,
        (0, y),
        xycoords=("axes fraction", "data"),
        xytext=((x - _PLOT) * 72, 0),
        textcoords="offset points",
        ha=side,
        va="center",
        color=ink,
        fontweight=weight,
        annotation_clip=False,
    )


def _spoken(caption: str, bands: Sequence[Band], series: Sequence[str]) -> str:
    """The plot in words, for those who do not see it."""
    said = []
    for band in bands:
        gaps = "; ".join(
            f"difference or gap{f' of {s}' if len(series) > 1 else ''} {g}"
            for s, g in zip(series, band.gaps, strict=True)
            if g
        )
        rows = (f"{lv.title} {lv.why or ', '.join(m.label for m in lv.marks)}" for lv in (band.together, *band.levels))
        said.append("; ".join((*rows, gaps)))
    return f"Forest plot. {caption} " + " | ".join(said)


def _numbers(bands: Sequence[Band], series: Sequence[str]) -> pl.DataFrame:
    rows = [
        (b.title, "all" if level is b.together else level.title, series[m.series], m.value, m.low, m.high)
        for b in bands
        for level in (b.together, *b.levels)
        for m in level.marks
    ]
    numbers = {"estimate": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    kinds = {"column": pl.String, "group": pl.String, "series": pl.String, **numbers}
    return pl.DataFrame(rows, schema=kinds, orient="row")
