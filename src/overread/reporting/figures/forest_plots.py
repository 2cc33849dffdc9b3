"""Forest plots: a point and its interval per row, the number beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any

import polars as pl
from matplotlib.axes import Axes

from overread.reporting.blocks import Figure
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
    series_dash,
    series_marker,
    svg,
)
from overread.reporting.figures.figure_pool import delayed
from overread.reporting.number_format import interval, number

_STEP, _GAP, _FOOT = 0.178, 0.10, 0.48  # inches: a mark's line, the room between rows, the axis


@dataclass(frozen=True, slots=True)
class Mark:
    """An estimate with its interval in one series; `label` is printed beside it instead of the number."""

    series: int
    value: float
    low: float
    high: float
    label: str = ""

    @property
    def interval(self) -> bool:
        """Whether there is an interval with a width: one of zero width shows no uncertainty."""
        return isfinite(self.low) and isfinite(self.high) and self.low < self.high


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the plot: its heading and its marks."""

    title: str
    marks: tuple[Mark, ...]
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """The axis: its words, limits (none: from the data), and the lines that mark no effect or a least gain."""

    label: str
    null: float | None = None
    gain: float | None = None
    limits: tuple[float, float] | None = None
    signed: bool = False
    better: tuple[str, str] | None = None


def mark_of(row: dict[str, Any] | None, series: int, *, signed: bool = False) -> Mark:
    """The mark of a row of estimates; a row that is missing or NaN is printed as an em dash."""
    value, low, high = (number((row or {}).get(k)) for k in ("estimate", "low", "high"))
    return Mark(series, value, low, high, interval(value, low, high, signed=signed))


def spoken(caption: str, lines: Sequence[Line]) -> str:
    """The plot in words, for those who do not see it."""
    return f"Forest plot. {caption} " + "; ".join(f"{r.title}: " + ", ".join(m.label for m in r.marks) for r in lines)


def forest_figure(lines: Sequence[Line], series: Sequence[str], scale: Scale, *, name: str, caption: str) -> Figure:
    """A forest plot as the page holds it: drawing, words for those who do not see it, and its numbers."""
    caption = with_hollow(caption, (m for line in lines for m in line.marks))
    drawn = delayed(forest, lines, series, scale, name=name, alt=spoken(caption, lines))
    return Figure(drawn, caption, name, _numbers(lines, series))


def _numbers(lines: Sequence[Line], series: Sequence[str]) -> pl.DataFrame:
    rows = [(r.title, series[m.series], m.value, m.low, m.high) for r in lines for m in r.marks]
    kinds = {"row": pl.String, "series": pl.String, "estimate": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def forest(lines: Sequence[Line], series: Sequence[str], scale: Scale, *, name: str, alt: str) -> str:
    """SVG of a forest plot: rows from the top, each with one mark per series, and the numbers in a column."""
    heights = [max(len(r.marks), 1) * _STEP + _GAP for r in lines]
    top = key_height(series) + (0.03 if len(series) > 1 else 0.02)
    height = sum(heights) + top + _FOOT + (0.12 if scale.better else 0)
    names = max((len(r.title) for r in lines), default=0)
    left, right = min(0.078 * names + 0.25, 3.4), 1.95
    with drawing():
        figure = canvas(height)
        box = (
            left / WIDTH,
            (height - top - sum(heights)) / height,
            (WIDTH - left - right) / WIDTH,
            sum(heights) / height,
        )
        axes = figure.add_axes(box)
        axes.set_ylim(sum(heights), 0)
        axes.set_xlim(*(scale.limits or _limits(lines, scale)))
        _ground(axes, lines, heights, scale)
        y = 0.0
        for line, tall in zip(lines, heights, strict=True):
            _draw_line(axes, line, y, tall)
            y += tall
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(scale.label)
        if scale.better:
            _sides(axes, scale)
        if len(series) > 1:
            key(figure, series, top=0.2)
        return svg(figure, name, alt)


def _limits(lines: Sequence[Line], scale: Scale) -> tuple[float, float]:
    ends = [x for r in lines for m in r.marks for x in (m.low, m.high, m.value) if isfinite(x)]
    ends += [x for x in (scale.null, scale.gain) if x is not None]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = 0.04 * (high - low or 1.0)
    return low - room, high + room


def _ground(axes: Axes, lines: Sequence[Line], heights: Sequence[float], scale: Scale) -> None:
    y = 0.0
    for line, tall in zip(lines, heights, strict=True):
        if line.strong:
            axes.axhspan(y, y + tall, color=PALE, lw=0, zorder=0)
        axes.axhline(y + tall, color=RULE, lw=0.4, zorder=0)
        y += tall
    axes.grid(axis="x", color=RULE, lw=0.4)
    if scale.null is not None:
        axes.axvline(scale.null, color=INK, lw=0.8, zorder=1)
    if scale.gain is not None:
        axes.axvline(scale.gain, color=GREY, lw=0.8, ls=(0, (4, 3)), zorder=1)


def _draw_line(axes: Axes, line: Line, y: float, tall: float) -> None:
    weight = "bold" if line.strong else "normal"
    axes.annotate(
        line.title,
        (0, y + tall / 2),
        xycoords=("axes fraction", "data"),
        xytext=(-8, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontweight=weight,
    )
    for i, m in enumerate(line.marks):
        at = y + _GAP / 2 + (i + 0.5) * _STEP
        axes.annotate(
            m.label,
            (1, at),
            xycoords=("axes fraction", "data"),
            xytext=(10, 0),
            textcoords="offset points",
            ha="left",
            va="center",
            fontweight=weight,
            color=INK if not isnan(m.value) else GREY,
        )
        draw_mark(axes, m, at)


def draw_mark(axes: Axes, mark: Mark, at: float) -> None:
    """Draw the marker with its interval at a height of the axes; the marker is hollow where there is no interval."""
    if isnan(mark.value):
        return
    low, high = axes.get_xlim()
    colour = series_colour(mark.series)
    if mark.interval:
        ends = [max(mark.low, low), min(mark.high, high)]
        axes.plot(ends, [at, at], color=colour, ls=series_dash(mark.series), lw=1.3, zorder=2)
    face = colour if mark.interval else "white"
    axes.plot([mark.value], [at], series_marker(mark.series), ms=4.6, mfc=face, mec=colour, mew=1.2, zorder=3)


def with_hollow(caption: str, marks: Iterable[Mark]) -> str:
    """The caption, with the meaning of hollow markers where one is drawn.

    >>> with_hollow("AUC.", [Mark(0, 0.8, float("nan"), float("nan"))])
    'AUC. A hollow marker has no confidence interval, or one of zero width.'
    """
    hollow = any(isfinite(m.value) and not m.interval for m in marks)
    return f"{caption} A hollow marker has no confidence interval, or one of zero width." if hollow else caption


def _sides(axes: Axes, scale: Scale) -> None:
    assert scale.better is not None
    for x, text, side in ((0.0, scale.better[0], "left"), (1.0, scale.better[1], "right")):
        axes.annotate(
            text,
            (x, 0),
            xycoords="axes fraction",
            xytext=(0, -30),
            textcoords="offset points",
            ha=side,
            va="top",
            color=GREY,
            fontsize=8,
        )
