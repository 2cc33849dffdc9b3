"""Curves as small panels, one per finding: receiver operating characteristic, calibration, training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from overread.reporting.figures.drawing_style import (
    GREY,
    INK,
    NARROW,
    RULE,
    WIDTH,
    columns_for,
    drawing,
    key,
    key_height,
    line_style,
    panels,
    series_colour,
    series_dash,
    series_marker,
    small,
    svg,
)
from overread.reporting.figures.forest_drawing import wrapped

_LEFT, _RIGHT, _TITLE, _FOOT, _BETWEEN = 0.66, 0.1, 0.3, 0.5, 0.18  # inches around and between panels
_TICKS, _LINE = 0.34, 0.14  # inches of the numbers between panels with axes of their own; a further line of a title
_TWO = 2  # panels in a row on a phone


def roc_panels(
    frames: Sequence[tuple[str, pl.DataFrame]],
    names: Sequence[str],
    *,
    labels: dict[Any, Any],
    headings: Mapping[str, str],
    name: str,
    alt: str,
    numbers: Sequence[int] = (),
    narrow: bool = False,
) -> str:
    """SVG of ROC curves with bands: a panel per finding, a line per series.

    frames : (series, its curve points) in the order of the key; names : findings, one panel each;
    labels : {(finding, series index): text} printed in the panel's lower right corner; numbers : the series of the
    page, which give colours and lines; without them those of the order.
    """
    place = tuple(numbers) or tuple(range(len(frames)))
    with drawing(narrow=narrow):
        columns = _TWO if narrow else columns_for(len(names))
        figure, axes = panels(len(names), columns=columns, height=_tall(columns), narrow=narrow)
        for axis, finding in zip(axes, names, strict=True):
            axis.plot([0, 1], [0, 1], color=RULE, lw=0.8, zorder=0)
            shown = 0
            for i, (_, frame) in enumerate(frames):
                part = frame.filter(pl.col("finding") == finding).sort("order")
                if part.height:
                    draw_curve(axis, part, place[i])
                text = labels.get((finding, i), "")
                if text:
                    axis.text(
                        0.98,
                        0.03 + (0.1 if narrow else 0.088) * (len(frames) - 1 - i),
                        text,
                        transform=axis.transAxes,
                        ha="right",
                        color=series_colour(place[i]),
                        fontsize=small(8, narrow=narrow),
                    )
                    shown += 1
            _square(axis, headings[finding])
        _outer(axes, columns, "1 − specificity", "Sensitivity")
        return _finish(figure, frames, name, alt, numbers=place, narrow=narrow)


def calibration_panels(
    frames: Sequence[tuple[str, pl.DataFrame]],
    names: Sequence[str],
    *,
    smooth: Sequence[tuple[str, pl.DataFrame]] = (),
    scores: Mapping[tuple[str, str], np.ndarray] | None = None,
    headings: Mapping[str, str],
    name: str,
    alt: str,
    numbers: Sequence[int] = (),
    narrow: bool = False,
) -> str:
    """SVG of calibration: predicted against observed share per bin with intervals, a panel per finding.

    frames : (series, its points) in the order of the key; smooth : (series, its smooth curve with band), drawn as far
    as the bins reach; scores : by (series, finding), for the histogram above a panel; names : findings.
    """
    place = tuple(numbers) or tuple(range(len(frames)))
    index, lines = {series: k for k, (series, _) in zip(place, frames, strict=True)}, dict(smooth)
    held = 0.24 if scores else 0.0  # of a panel's height, for the histogram
    with drawing(narrow=narrow):
        columns = _TWO if narrow else columns_for(len(names))
        tall = _tall(columns) * (1 + 0.8 * held)
        figure, axes = panels(len(names), columns=columns, height=tall, share=False, narrow=narrow)
        for axis, finding in zip(axes, names, strict=True):
            top = _reach(frames, finding)
            axis.plot([0, top], [0, top], color=GREY, lw=0.7, ls=(0, (4, 3)), zorder=0)
            for series, frame in frames:
                if (part := _of(lines.get(series), finding)) is not None:
                    draw_curve(axis, part, index[series], band=0.13, marked=False)
                _bins(axis, frame.filter(pl.col("finding") == finding).sort("order"), index[series], joined=not lines)
            axis.set_xlim(-0.02 * top, top * 1.02)
            axis.set_ylim(-0.02 * top, top * (1.02 + held))
            axis.set_box_aspect(1 + held)
            axis.set_title(headings[finding])
            axis.locator_params(nbins=2 if narrow else 3 if columns > 4 else 4)
            axis.grid(color=RULE, lw=0.35)
            if scores:
                mine = [(i, scores[s, finding]) for s, i in index.items() if (s, finding) in scores]
                _histogram(axis, mine, top, held)
        _outer(axes, columns, "Predicted probability", "Observed share")
        return _finish(figure, frames, name, alt, numbers=place, narrow=narrow)


def decision_panels(
    frames: Sequence[tuple[str, pl.DataFrame]],
    everyone: Sequence[tuple[str, pl.DataFrame]],
    names: Sequence[str],
    *,
    headings: Mapping[str, str],
    name: str,
    alt: str,
    numbers: Sequence[int] = (),
    narrow: bool = False,
) -> str:
    """SVG of decision curves, net benefit per 1,000 cases: a panel per finding, a line per series.

    frames : (series, its curve) in the order of the key; everyone : the same for treating all, drawn dashed, once
    where it is the same for all; names : findings. A panel ends where all curves are near 0.
    """
    place = tuple(numbers) or tuple(range(len(frames)))
    same = len({frame["population"][0] for _, frame in frames}) == 1
    with drawing(narrow=narrow):
        columns = 1 if narrow else min(3, len(names)) if len(names) <= 6 else columns_for(len(names))
        tall = 2.35 if columns < 4 else _tall(columns)
        figure, axes = panels(len(names), columns=columns, height=tall, share=False, narrow=narrow)
        for axis, finding in zip(axes, names, strict=True):
            parts = [(i, _of(frame, finding)) for i, (_, frame) in enumerate(frames)]
            curves = [(i, _per_thousand(part)) for i, part in parts if part is not None]
            for i, (_, frame) in enumerate(everyone[:1] if same else everyone):
                if (part := _of(frame, finding)) is not None:
                    ink = GREY if same else series_colour(place[i])
                    axis.plot(part["x"], part["y"] * 1000, color=ink, lw=0.9, ls=(0, (4, 2)), zorder=1)
            for i, part in curves:
                draw_curve(axis, part, place[i])
            axis.axhline(0, color=INK, lw=0.8, zorder=1)
            _limit_to_benefit(axis, [part for _, part in curves])
            if axis is axes[0]:
                reference = _of(everyone[0][1], finding) if everyone else None
                _name_references(axis, reference, size=small(7.5, narrow=narrow))
            axis.set_box_aspect(0.62 if columns < 4 else 0.85)
            axis.set_title(headings[finding])
            axis.locator_params(nbins=4)
            axis.grid(color=RULE, lw=0.35)
        _outer(axes, columns, "Threshold probability", "Net benefit per 1,000")
        return _finish(figure, frames, name, alt, numbers=place, narrow=narrow)


def _name_references(axis: Axes, everyone: pl.DataFrame | None, *, size: float) -> None:
    """Label the lines of treating none and treating all, in one panel."""
    right, low = axis.get_xlim()[1], axis.get_ylim()[0]
    axis.annotate("none", (right, 0), (-2, -3), textcoords="offset points", ha="right", va="top", fontsize=size)
    if everyone is not None:
        at = float(np.interp(-0.55 * low, -1000 * everyone["y"].to_numpy(), everyone["x"].to_numpy()))
        left = at < 0.8 * right  # the words stay inside the panel
        axis.annotate(
            "all",
            (at, 0.55 * low),
            (4 if left else -4, 0),
            textcoords="offset points",
            va="center",
            ha="left" if left else "right",
            fontsize=size,
            color=GREY,
        )


def _of(frame: pl.DataFrame | None, finding: str) -> pl.DataFrame | None:
    part = None if frame is None else frame.filter(pl.col("finding") == finding).sort("order")
    return part if part is not None and part.height else None


def _per_thousand(part: pl.DataFrame) -> pl.DataFrame:
    return part.with_columns(pl.col("y", "low", "high") * 1000)


def _limit_to_benefit(axis: Axes, curves: Sequence[pl.DataFrame]) -> None:
    """Limits: thresholds up to where every curve has lost 97 % of its top, and as much below 0 as shows a loss."""
    top = max((float(np.nanmax(part.select("y", "high").to_numpy())) for part in curves), default=1.0)
    best = max((float(part["y"].to_numpy().max()) for part in curves), default=1.0)
    kept = [part.filter(pl.col("y") > 0.03 * best)["x"].to_numpy() for part in curves]
    ends = [float(x.max()) for x in kept if x.size]
    axis.set_xlim(0, max([*ends, 0.05]) * 1.04)
    axis.set_ylim(-0.25 * top, 1.08 * top)


def points(frames: Sequence[tuple[str, pl.DataFrame]], *, x: str, y: str) -> pl.DataFrame:
    """The numbers of curves: series, finding, place along the curve, and the point with its band."""
    named = pl.col("x").alias(x), pl.col("y").alias(y)
    parts = [
        frame.sort("finding", "order").select(pl.lit(series).alias("series"), "finding", "order", *named, "low", "high")
        for series, frame in frames
    ]
    return pl.concat(parts)


def _tall(columns: int) -> float:
    """The height of a row of panels: square panels and their titles."""
    return min(WIDTH / max(columns, 3) + 0.12, 2.9)


def _bins(axis: Axes, part: pl.DataFrame, series: int, *, joined: bool = True) -> None:
    colour = series_colour(series)
    points = part.drop_nans(["x", "y"])
    x, y, low, high = (points[c].to_numpy() for c in ("x", "y", "low", "high"))
    axis.vlines(x, np.where(np.isnan(low), y, low), np.where(np.isnan(high), y, high), color=colour, lw=0.9, alpha=0.75)
    if joined:
        axis.plot(x, y, color=colour, lw=0.9, ls=series_dash(series))
    known = np.isfinite(low) & np.isfinite(high)
    for chosen, face in ((known, colour), (~known, "white")):  # hollow: no interval
        axis.plot(x[chosen], y[chosen], series_marker(series), ms=3.2, mfc=face, mec=colour, mew=0.9)


def _histogram(axis: Axes, scores: Sequence[tuple[int, np.ndarray]], top: float, held: float) -> None:
    """Above a panel: how many cases have such a score, as roots, for most findings are rare and most scores low."""
    base, edges = top * 1.05, np.linspace(0, top, 33)
    for drawn in (*axis.lines, *axis.collections):  # curves end where the histogram begins
        drawn.set_clip_path(Rectangle((-0.02 * top, -0.02 * top), 1.04 * top, 1.04 * top, transform=axis.transData))
    roots = [(i, np.sqrt(np.histogram(values, edges)[0])) for i, values in scores]
    most = max((float(r.max()) for _, r in roots), default=0.0) or 1.0
    for i, root in roots:
        bars = base + root / most * top * (held - 0.05)
        axis.stairs(bars, edges, baseline=base, fill=True, color=series_colour(i), alpha=0.3, lw=0)
        axis.stairs(bars, edges, baseline=base, color=series_colour(i), lw=0.7)
    axis.set_yticks([t for t in axis.get_yticks() if 0 <= t <= top * 1.001])


def _reach(frames: Sequence[tuple[str, pl.DataFrame]], finding: str) -> float:
    """The end of both axes: findings are rare, so a panel shows the range that its points fill."""
    ends = [0.02]
    for _, frame in frames:
        part = frame.filter(pl.col("finding") == finding).select(pl.max_horizontal("x", "y", "high")).to_series()
        ends += [v for v in part.to_list() if v is not None and np.isfinite(v)]
    return min(1.0, max(ends) * 1.05)


def draw_curve(axis: Axes, part: pl.DataFrame, series: int, *, band: float = 0.16, marked: bool = True) -> None:
    """A curve with its band, and a few marks of its series on it; `part` holds its points in order."""
    x, y, low, high = (part[c].to_numpy() for c in ("x", "y", "low", "high"))
    if not np.isnan(low).all():
        axis.fill_between(x, low, high, color=series_colour(series), alpha=band, lw=0)
    # the marks of curves that lie over each other are at different places
    places = {"markevery": (0.12 + 0.07 * (series % 4), 0.35), "ms": 3.4} if marked else {"marker": ""}
    axis.plot(x, y, lw=1.3, **{**line_style(series), **places})


def _square(axis: Axes, title: str) -> None:
    axis.set_xlim(-0.01, 1.01)
    axis.set_ylim(-0.01, 1.01)
    axis.set_box_aspect(1)
    axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axis.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axis.grid(color=RULE, lw=0.35)
    axis.set_title(title)


def _outer(axes: Sequence[Axes], columns: int, x: str, y: str) -> None:
    for i, axis in enumerate(axes):
        if i % columns == 0:
            axis.set_ylabel(y)
        if i >= len(axes) - columns:
            axis.set_xlabel(x)


def _finish(
    figure: Figure,
    frames: Sequence[tuple[str, pl.DataFrame]],
    name: str,
    alt: str,
    *,
    numbers: Sequence[int] = (),
    narrow: bool = False,
) -> str:
    names = [series for series, _ in frames]
    _place(figure, key_height(names, figure.get_size_inches()[0]))
    if len(names) > 1:
        key(figure, names, top=0.18, numbers=numbers)
    return svg(figure, name, alt, kind="narrow" if narrow else "wide")


def _place(figure: Figure, top: float) -> None:
    """Set the panels at fixed margins below a key of `top` inches; the height of the figure follows from them.

    Every panel has the width of its column and the height that its aspect asks for, so that the titles of the lowest
    axes stay inside the figure. A title that is wider than its panel takes more lines.
    """
    axes, width = figure.axes, figure.get_size_inches()[0]
    spec = axes[0].get_subplotspec()
    assert spec is not None  # panels are made by subplots
    grid = spec.get_gridspec()
    shared = axes[0].get_shared_y_axes().joined(axes[0], axes[-1]) and len(axes) > 1
    between = _BETWEEN if shared else _BETWEEN + _TICKS
    side = (width - _LEFT - _RIGHT - (grid.ncols - 1) * between) / grid.ncols
    title = _TITLE + _LINE * (_wrap_titles(axes, side) - 1)
    named = any(axis.get_xlabel() for axis in axes[: (grid.nrows - 1) * grid.ncols])  # in an upper row
    below = title + (_FOOT if named else 0.1 if shared else 0.28)
    tall = side * float(axes[0].get_box_aspect() or 0.62)
    height = top + title + grid.nrows * tall + (grid.nrows - 1) * below + _FOOT
    figure.set_size_inches(width, height)
    figure.subplots_adjust(
        left=_LEFT / width,
        right=1 - _RIGHT / width,
        bottom=_FOOT / height,
        top=1 - (top + title) / height,
        wspace=between / side,
        hspace=below / tall,
    )


def _wrap_titles(axes: Sequence[Axes], side: float) -> int:
    """Set the titles in lines as wide as a panel; the lines of the longest."""
    lines = 1
    for axis in axes:
        made = wrapped(axis.get_title(loc="left"), float(axis.title.get_fontsize()) * 1.06, side * 72 + 6, 3)
        axis.set_title("\n".join(made))
        lines = max(lines, len(made))
    return lines


def training_panels(
    runs: Sequence[tuple[str, Sequence[pl.DataFrame]]],
    *,
    name: str,
    alt: str,
    numbers: Sequence[int] = (),
    narrow: bool = False,
) -> str:
    """SVG of training: losses and mean AUC on the tuning split over the epochs; a colour per model, a line per run.

    numbers : the series of the page, which give colours and lines; without them those of the order.
    """
    wanted = [("loss", "Training loss"), ("tune_loss", "Loss on tune"), ("tune_auc", "Mean AUC on tune")]
    kinds = [(c, t) for c, t in wanted if any(c in h.columns for _, histories in runs for h in histories)]
    with drawing(narrow=narrow):
        figure, axes = panels(len(kinds), columns=1 if narrow else 3, height=2.5, share=False, narrow=narrow)
        figure.set_size_inches(NARROW if narrow else WIDTH, 2.5)
        for axis, (column, title) in zip(axes, kinds, strict=True):
            for i, (_, histories) in zip(numbers or range(len(runs)), runs, strict=True):
                for history in (h for h in histories if column in h.columns):
                    x = history["epoch"] if "epoch" in history.columns else np.arange(1, history.height + 1)
                    axis.plot(
                        x,
                        history[column],
                        color=series_colour(i),
                        ls=series_dash(i),
                        marker=series_marker(i),
                        ms=2.6,
                        lw=0.9,
                    )
            axis.set_title(title)
            axis.set_xlabel("Epoch")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            axis.grid(color=RULE, lw=0.35)
        return _finish(figure, [(n, h[0]) for n, h in runs], name, alt, numbers=numbers, narrow=narrow)
