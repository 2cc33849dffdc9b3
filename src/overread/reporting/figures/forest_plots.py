"""Forest plots as blocks of the page: a point and its interval per row, the number beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any

import polars as pl
from matplotlib.axes import Axes

from overread.reporting.blocks import Figure
from overread.reporting.figures.drawing_style import series_colour, series_dash, series_marker, series_style
from overread.reporting.figures.forest_drawing import (
    ForestPlot,
    ForestRow,
    Mark,
    Panel,
    Scale,
    mark_shape,
    narrow_drawing,
    wide_drawing,
)
from overread.reporting.number_format import interval, number

MOST_MARKS = 72  # with their numbers, on one sheet of paper


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the plot: its heading and its marks."""

    title: str
    marks: tuple[Mark, ...]
    strong: bool = False


def mark_of(row: dict[str, Any] | None, series: int, *, signed: bool = False, digits: int = 3) -> Mark:
    """The mark of a row of estimates; a row that is missing or NaN is printed as an em dash."""
    value, low, high = (number((row or {}).get(k)) for k in ("estimate", "low", "high"))
    return Mark(series, value, low, high, interval(value, low, high, digits, signed=signed))


def forest_figure(
    lines: Sequence[Line],
    series: Sequence[str],
    scale: Scale,
    *,
    name: str,
    caption: str,
    numbers: Sequence[int] | None = None,
) -> Figure:
    """A forest plot as the page holds it: drawings, words for those who do not see it, and its numbers.

    The marks of a line refer to `series` by their place in it; `numbers` are the series of the page (of the models
    that of `ReportData.series`), where they differ.
    """
    plot = ForestPlot(
        tuple(ForestRow(line.title, (line.marks,), strong=line.strong) for line in lines),
        (Panel(scale),),
        tuple(series_style(k) for k in (numbers or range(len(series)))),
    )
    names = [n for n in series if n]
    return panel_figure(plot, series if len(names) > 1 else (), name=name, caption=caption)


def panel_figure(
    plot: ForestPlot, series: Sequence[str], *, name: str, caption: str, title: str = "", note: str = "", alt: str = ""
) -> Figure:
    """A forest plot of one or several panels as the page holds it; `series` names those of its key."""
    marks = [m for row in plot.rows for panel in row.marks for m in panel]
    caption = with_hollow(caption, marks)
    words = (alt or f"Forest plot. {title or caption}", spoken_rows(plot, caption))
    key = tuple((text, sample(plot, k)) for k, text in enumerate(series) if text)
    wide, narrow = wide_drawing(plot, name, words), narrow_drawing(plot, name, words)
    return Figure(wide, caption, name, _numbers(plot, series), phone=narrow, key=key, title=title, note=note)


def spoken_rows(plot: ForestPlot, caption: str) -> str:
    """The rows in words, for those who do not see the drawing."""
    rows = [
        f"{row.title}: " + ", ".join(m.label for panel in row.marks for m in panel) for row in plot.rows if row.marks
    ]
    return f"{caption} {'; '.join(rows)}"


def sample(plot: ForestPlot, series: int) -> str:
    """A mark with its line, for the key."""
    style = plot.styles[series]
    mark = mark_shape(14, 8, style, hollow=False, size=4)
    return (
        '<svg width="28" height="16" viewBox="0 0 28 16" aria-hidden="true"><path d="M1 8H27" '
        f'stroke="{style.colour}" stroke-width="2"{style.dashes}/>{mark}</svg>'
    )


def _numbers(plot: ForestPlot, series: Sequence[str]) -> pl.DataFrame:
    several = len(plot.panels) > 1
    rows = [
        (r.title, plot.panels[k].title if several else "", _name(series, m.series), m.value, m.low, m.high)
        for r in plot.rows
        for k, marks in enumerate(r.marks)
        for m in marks
    ]
    texts = dict.fromkeys(("row", "panel", "series"), pl.String)
    made = pl.DataFrame(rows, schema={**texts, **dict.fromkeys(("estimate", "low", "high"), pl.Float64)}, orient="row")
    return made if several else made.drop("panel")


def _name(series: Sequence[str], place: int) -> str:
    return series[place] if place < len(series) else ""


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
