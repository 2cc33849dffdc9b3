"""ROC curves of graded reads: every reader and the mean of the readers, a panel per arm, and the averages together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from overread.reporting.figures.drawing_style import (
    GREY,
    KEY_LINE,
    NARROW,
    RULE,
    WIDTH,
    PanelGrid,
    canvas,
    drawing,
    series_colour,
    series_dash,
    small,
    svg,
)

_WIDE, _PHONE = PanelGrid(WIDTH, 3, head=0.32), PanelGrid(NARROW, 1, head=0.32)
_KEY = 0.34  # inches of a line of the key
_READERS = "(readers)"


@dataclass(frozen=True, slots=True)
class ArmCurves:
    """The curves of one arm: points with rater, order, x, y; the rater "(readers)" is the mean of the readers.

    `series` gives the colour of the average, `label` is printed beside it.
    """

    title: str
    series: int
    points: pl.DataFrame
    label: str = ""


def curve_panels(arms: Sequence[ArmCurves], *, name: str, alt: str, narrow: bool = False) -> str:
    """SVG of the panels; with two arms or more the last panel holds the means of the readers together."""
    panels = len(arms) + (len(arms) > 1)
    grid = _PHONE if narrow else _WIDE
    words = [
        "One reader",
        *(f"Mean of the readers, {a.title}" if len(arms) > 1 else "Mean of the readers" for a in arms),
    ]
    top = KEY_LINE * len(words) + 0.14 if narrow else _KEY
    height = top + grid.rows(panels)
    with drawing(narrow=narrow):
        figure = canvas(height, grid.width)
        for i in range(panels):
            axes = figure.add_axes(grid.box(i, top, height))
            _ground(axes, first=i % grid.columns == 0)
            if i < len(arms):
                axes.set_title(arms[i].title)
                _readers(axes, arms[i].points)
                _average(axes, arms[i], 0, narrow=narrow)
            else:
                axes.set_title("Means of the readers")
                for k, arm in enumerate(reversed(arms)):
                    _average(axes, arm, k, narrow=narrow)
        marks = [Line2D([], [], color=GREY, lw=0.9)]
        marks += [Line2D([], [], color=series_colour(a.series), ls=series_dash(a.series), lw=2.2) for a in arms]
        columns = 1 if narrow else len(words)
        figure.legend(marks, words, ncol=columns, loc="upper left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2)
        return svg(figure, name, alt, kind="narrow" if narrow else "wide")


def _ground(axes: Axes, *, first: bool) -> None:
    axes.plot([0, 1], [0, 1], color=RULE, lw=0.8, zorder=0)
    axes.set_xlim(-0.02, 1.0)
    axes.set_ylim(0.0, 1.025)
    axes.set_box_aspect(1)
    axes.grid(color=RULE, lw=0.35)
    axes.set_xlabel("1 − specificity")
    if first:
        axes.set_ylabel("Sensitivity")


def _readers(axes: Axes, points: pl.DataFrame) -> None:
    for _, curve in points.filter(pl.col("rater") != _READERS).sort("order").group_by("rater", maintain_order=True):
        axes.plot(curve["x"], curve["y"], color=GREY, lw=0.9, alpha=0.75, zorder=2)


def _average(axes: Axes, arm: ArmCurves, line: int, *, narrow: bool) -> None:
    curve = arm.points.filter(pl.col("rater") == _READERS).sort("order")
    colour = series_colour(arm.series)
    axes.plot(curve["x"], curve["y"], color=colour, ls=series_dash(arm.series), lw=2.2, zorder=3)
    if arm.label:
        size = small(8.2, narrow=narrow)
        at = 0.97, 0.04 + 0.065 * line
        axes.text(*at, arm.label, transform=axes.transAxes, ha="right", color=colour, fontsize=size)


def curve_numbers(arms: Sequence[ArmCurves]) -> pl.DataFrame:
    """What is drawn, as a table."""
    kept = [
        arm.points.sort("rater", "order").select(
            pl.lit(arm.title).alias("arm"),
            "rater",
            pl.col("x").alias("1 - specificity"),
            pl.col("y").alias("sensitivity"),
        )
        for arm in arms
    ]
    return pl.concat(kept)
