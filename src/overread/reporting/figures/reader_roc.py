"""A model's ROC curve with the readers' operating points on it, a panel per reference standard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, isfinite, nan
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from overread.reporting.figures.curve_panels import draw_curve
from overread.reporting.figures.drawing_style import (
    AMBER,
    GREY,
    INK,
    KEY_LINE,
    NARROW,
    RULE,
    WIDTH,
    PanelGrid,
    canvas,
    drawing,
    line_style,
    series_colour,
    small,
    svg,
)
from overread.reporting.number_format import capital

_WIDE, _PHONE = PanelGrid(WIDTH, 3, head=0.5), PanelGrid(NARROW, 1, head=0.5)
_SPARE = 12  # entries of the key that fit beside the panels
_ENTRY = 0.24  # inches of a line of the key
THRESHOLD_MARKS = ("X", "*", ">", "<")  # the marks of the operating points, none of them that of a model
_ENDS = (0.25, 0.4, 0.6, 0.8, 1.0)  # where the axis of 1 - specificity may end


@dataclass(frozen=True, slots=True)
class PlottedPoint:
    """Where a rater works: 1 - specificity and sensitivity, each with its interval (NaN where there is none)."""

    name: str
    x: float
    y: float
    x_interval: tuple[float, float] = (nan, nan)
    y_interval: tuple[float, float] = (nan, nan)
    reads: int = 0
    few: bool = False
    place: tuple[int, int] = (0, 0)  # of a model's point: which output, which operating point
    alone: bool = False  # of a model without a curve, so that the axis must not end before it


@dataclass(frozen=True, slots=True)
class RocPanel:
    """What is known under one reference standard: curves per output, readers, pooled readers, operating points."""

    title: str
    below: str  # what a reader of the figure must know of this standard
    curves: tuple[tuple[int, str, pl.DataFrame], ...]  # which output, its name, its points
    readers: tuple[PlottedPoint, ...]
    average: PlottedPoint | None
    frozen: tuple[PlottedPoint, ...]
    labels: tuple[tuple[int, str], ...] = ()  # which output, what is printed of it


@dataclass(frozen=True, slots=True)
class LegendKey:
    """The words of the key: outputs, operating points, and whether some readers have few reads.

    `series` are the series of the page by output; without them those of the order.
    """

    outputs: tuple[str, ...]
    points: tuple[tuple[int, str], ...]  # which operating point, and its words
    few: bool
    series: tuple[int, ...] = ()
    curves: bool = True  # whether a panel has a curve, with its band

    def place(self, output: int) -> int:
        """The series of an output."""
        return self.series[output] if self.series else output


def reader_panels(shown: Sequence[RocPanel], key: LegendKey, *, name: str, alt: str, narrow: bool = False) -> str:
    """SVG of the panels, three in a row; the key stands in place of a spare panel where it fits, else above them.

    On a phone the panels stand below each other, and below the key.
    """
    end = axis_end(shown)
    most = max((p.reads for panel in shown for p in panel.readers), default=1)
    grid = _PHONE if narrow else _WIDE
    grid = grid if any(panel.below for panel in shown) else replace(grid, head=0.32)
    models, people = _models(key), _people(key)
    spare = -len(shown) % grid.columns if len(models) + len(people) <= _SPARE else 0
    lines = len(models) if narrow else _lines([*key.outputs, *(words for _, words in key.points)])
    entry = KEY_LINE if narrow else _ENTRY
    top = 0.0 if spare else entry * (lines + (len(people) if narrow else 1)) + 0.12
    height = top + grid.rows(len(shown))
    with drawing(narrow=narrow):
        figure = canvas(height, grid.width)
        for i, panel in enumerate(shown):
            axis = figure.add_axes(grid.box(i, top, height))
            _draw(axis, panel, key, (end, most), narrow=narrow)
            axis.set_xlabel("1 − specificity")
            if i % grid.columns == 0:
                axis.set_ylabel("Sensitivity")
        if spare:
            x, y, _, tall = grid.box(len(shown), top, height)
            _legend(figure, [*models, *people], (x, y + tall + 0.04 / height), columns=1)
        elif narrow:
            _legend(figure, [*models, *people], (0.0, 1.0), columns=1)
        else:
            _legend(figure, models, (0.0, 1.0), columns=-(-len(models) // lines))
            _legend(figure, people, (0.0, 1 - _ENTRY * lines / height), columns=3)
        return svg(figure, name, alt, kind="narrow" if narrow else "wide")


def axis_end(shown: Sequence[RocPanel]) -> float:
    """Where the axis of 1 - specificity ends: all readers with enough reads, their average and their intervals fit.

    >>> axis_end([RocPanel("", "", (), (PlottedPoint("r", 0.31, 0.8, (0.2, 0.45)),), None, ())])
    0.6
    """
    shown_whole = ((*p.readers, *filter(None, [p.average]), *(m for m in p.frozen if m.alone)) for p in shown)
    some = [p for points in shown_whole for p in points if not p.few]
    reach = max((x for p in some for x in (p.x, p.x_interval[1]) if isfinite(x)), default=1.0)
    return next(e for e in _ENDS if reach <= e or e == 1.0)


def _draw(axis: Axes, panel: RocPanel, key: LegendKey, limits: tuple[float, int], *, narrow: bool) -> None:
    """Draw a panel up to the end of its axis; a reader's point is largest with the most reads."""
    end, most = limits
    axis.plot([0, 1], [0, 1], color=RULE, lw=0.8, zorder=0)
    for i, _, curve in panel.curves:
        series, band = key.place(i), 0.16 if len(panel.curves) < 3 else 0.09
        draw_curve(axis, curve, series, band=band)
    _readers(axis, panel.readers, most)
    for point in panel.frozen:
        colour, mark = series_colour(key.place(point.place[0])), THRESHOLD_MARKS[point.place[1] % len(THRESHOLD_MARKS)]
        axis.plot([point.x], [point.y], mark, ms=7, mfc="white", mec=colour, mew=1.5, zorder=5, clip_on=True)
    if panel.average:
        _average(axis, panel.average)
    for line, (i, text) in enumerate(reversed(panel.labels)):
        axis.text(
            0.985,
            0.03 + 0.062 * line,
            text,
            transform=axis.transAxes,
            ha="right",
            color=series_colour(key.place(i)),
            fontsize=small(8.2, narrow=narrow),
            zorder=6,
        )
    axis.set_xlim(-0.03 * end, end)
    axis.set_ylim(-0.02, 1.035)
    axis.set_box_aspect(1)
    axis.grid(color=RULE, lw=0.35)
    axis.locator_params(axis="x", nbins=5)
    axis.set_title(panel.title, pad=18 if panel.below else 6)
    if panel.below:
        axis.annotate(
            panel.below,
            (0, 1),
            xycoords="axes fraction",
            xytext=(0, 6),
            textcoords="offset points",
            color=AMBER,
            fontsize=small(8, narrow=narrow),
        )


def _readers(axis: Axes, points: Sequence[PlottedPoint], most: int) -> None:
    """Readers with their intervals, larger with more reads; those with few reads hollow, small, without."""
    few, many = ([p for p in points if p.few == kind] for kind in (True, False))
    axis.plot([p.x for p in few], [p.y for p in few], "o", ms=3.2, mfc="none", mec=GREY, mew=0.8, zorder=3)
    x, y = [p.x for p in many], [p.y for p in many]
    line: Any = {"color": GREY, "lw": 0.8, "alpha": 0.4, "zorder": 2}
    axis.hlines(y, [p.x_interval[0] for p in many], [p.x_interval[1] for p in many], **line)
    axis.vlines(x, [p.y_interval[0] for p in many], [p.y_interval[1] for p in many], **line)
    sizes = [(3.2 + 4.8 * (p.reads / most) ** 0.5) ** 2 for p in many]
    axis.scatter(x, y, s=sizes, color=GREY, edgecolors="white", lw=0.6, alpha=0.85, zorder=3)


def _average(axis: Axes, point: PlottedPoint) -> None:
    axis.axvline(point.x, color=INK, lw=0.7, ls=(0, (1, 2.4)), zorder=1)
    axis.axhline(point.y, color=INK, lw=0.7, ls=(0, (1, 2.4)), zorder=1)
    axis.hlines([point.y], *point.x_interval, color=INK, lw=1.8, zorder=6)
    axis.vlines([point.x], *point.y_interval, color=INK, lw=1.8, zorder=6)
    axis.plot([point.x], [point.y], "D", ms=8, mfc=INK, mec="white", mew=1.1, zorder=7)


def _models(key: LegendKey) -> list[tuple[Any, str]]:
    """The marks of models, each with its words."""
    shown = [(key.place(i), o) for i, o in enumerate(key.outputs)]
    lines = [(Line2D([], [], **line_style(k), lw=1.8), o) for k, o in shown]
    band = (
        Patch(color=series_colour(key.place(0)) if key.outputs else GREY, alpha=0.16, lw=0),
        "Pointwise confidence band",
    )
    mark: dict[str, Any] = {"ls": "", "ms": 7, "mfc": "white", "mec": INK, "mew": 1.3}
    points = [(Line2D([], [], marker=THRESHOLD_MARKS[i % 4], **mark), capital(p)) for i, p in key.points]
    return [*lines, *([band] if key.curves else []), *points]


def _people(key: LegendKey) -> list[tuple[Any, str]]:
    """The marks of readers, each with its words."""
    average = Line2D([], [], color=INK, lw=1.8, marker="D", ms=8, mfc=INK, mec="white")
    one = Line2D([], [], color=GREY, lw=0.8, marker="o", ms=7, mfc=GREY, mec="white")
    few = Line2D([], [], ls="", marker="o", ms=3.2, mfc="none", mec=GREY)
    made = [(average, "Pooled readers, with CIs"), (one, "Reader; larger with more reads")]
    return [*made, (few, "Reader with few reads")] if key.few else made


def _legend(figure: Figure, entries: Sequence[tuple[Any, str]], at: tuple[float, float], *, columns: int) -> None:
    marks, words = zip(*entries, strict=True)
    place: Any = {"loc": "upper left", "borderaxespad": 0.2, "handletextpad": 0.7, "columnspacing": 1.5}
    figure.legend(marks, words, ncol=columns, bbox_to_anchor=at, labelspacing=0.62, **place)


def _lines(words: Sequence[str]) -> int:
    """How many lines these words of a key take, with that of the band."""
    return max(1, ceil((sum(0.075 * len(w) + 0.75 for w in words) + 2.0) / WIDTH))


def numbers(shown: Sequence[RocPanel], key: LegendKey, panels: str = "reference") -> pl.DataFrame:
    """What is drawn, as a table: a row per point of a curve, reader, pooled readers and operating point.

    `panels` heads the column of the panels: by reference standard, or by finding.
    """
    rows = []
    for panel in shown:
        for i, _, curve in panel.curves:
            for r in curve.sort("order").iter_rows(named=True):
                band = (nan, nan), (r["low"], r["high"])
                rows.append(_number(panel, "curve", key.outputs[i], PlottedPoint("", r["x"], r["y"], *band)))
        average = [panel.average] if panel.average else []
        for kind, points in (
            ("reader", panel.readers),
            ("pooled readers", average),
            ("threshold", panel.frozen),
        ):
            rows += [_number(panel, kind, p.name, p) for p in points]
    kinds = {panels: pl.String, "what": pl.String, "rater": pl.String, "1 - specificity": pl.Float64}
    kinds |= dict.fromkeys(("x_low", "x_high", "sensitivity", "low", "high"), pl.Float64) | {"reads": pl.Int64}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def _number(panel: RocPanel, kind: str, rater: str, p: PlottedPoint) -> tuple[object, ...]:
    return panel.title, kind, rater, p.x, *p.x_interval, p.y, *p.y_interval, p.reads or None
