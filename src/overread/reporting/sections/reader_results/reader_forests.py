"""Forest plots of readers: their performance in one arm, and both arms of each reader with the difference beside."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

from overread.reporting.blocks import Figure
from overread.reporting.estimate_cells import known
from overread.reporting.figures.drawing_style import DIFFERENCE, OTHER_SERIES, series_style
from overread.reporting.figures.figure_pool import both_widths
from overread.reporting.figures.forest_drawing import ForestPlot, ForestRow, Mark, Panel, Scale
from overread.reporting.figures.forest_plots import mark_of, panel_figure
from overread.reporting.figures.reader_curves import ArmCurves, curve_numbers, curve_panels
from overread.reporting.number_format import capital, count, fixed
from overread.reporting.report_data import ReportData, Row, pick
from overread.reporting.sections.reader_results.arm_pairs import MEASURES, ArmPair, arm_words, minus
from overread.reporting.sections.reader_results.reader_titles import (
    READERS,
    arm_title,
    in_sentence,
    is_pooled,
    reader_title,
)

_NOTHING = (Mark(0, nan, nan, nan, "—"),)


def performance_forest(
    people: Sequence[tuple[str, Sequence[Row | None]]],
    together: tuple[str, Sequence[Row | None]],
    measures: Sequence[str],
    *,
    name: str,
    caption: str,
    confidence: str,
) -> Figure | None:
    """A panel per measure, a row per reader, the readers together first; None without a number.

    Parameters
    ----------
    people : sequence of (name, rows)
        Readers with a row of the estimates per measure.
    together : (name, rows)
        The readers together.
    measures : sequence of str
        Headings of the panels.
    name, caption : str
        Name and caption of the figure.
    confidence : str
        The level of the intervals.
    """
    first = [(title, rows, i == 0) for i, (title, rows) in enumerate((together, *people)) if any(map(known, rows))]
    if not first:
        return None
    rows = tuple(
        ForestRow(
            title,
            tuple((mark_of(row, 0),) if known(row) else _NOTHING for row in found),
            strong=strong,
            count=_cases(found),
        )
        for title, found, strong in first
    )
    panels = tuple(Panel(Scale(""), f"{capital(m)} ({confidence} CI)") for m in measures)
    plot = ForestPlot(rows, panels, (series_style(OTHER_SERIES),), "Cases")
    return panel_figure(plot, (), name=name, caption=caption)


def _cases(rows: Sequence[Row | None]) -> str:
    numbers = [int(row["n_cases"]) for row in rows if row is not None and row["n_cases"] is not None]
    return count(max(numbers)) if numbers else ""


def pair_forest(pair: ArmPair, metric: str, *, name: str) -> Figure | None:
    """Both arms of every reader and the difference beside them, the mean of the readers first.

    Parameters
    ----------
    pair : ArmPair
        The two arms.
    metric : {"auc", "sensitivity", "specificity"}
        The measure.
    name : str
        Name of the figure.

    Returns
    -------
    Figure or None
        None without a number.
    """
    rows = []
    alone = pair.one_reader(metric)
    for rater in (*(() if alone else (READERS,)), *pair.readers()):
        levels = [pair.level(metric, arm, rater) for arm in (pair.usual, pair.new)]
        less = pair.difference(metric, rater)
        if any(map(known, (*levels, less))):
            marks = tuple(mark_of(row, i) for i, row in enumerate(levels) if known(row))
            beside = (mark_of(less, 2, signed=True),) if known(less) else (Mark(2, nan, nan, nan, "—"),)
            title = pair.together(metric) if rater == READERS else reader_title(rater)
            rows.append(ForestRow(title, (marks, beside), strong=rater == READERS))
    if not rows:
        return None
    measure = capital(MEASURES[metric])
    sides = (f"← {arm_title(pair.usual)} higher", f"{arm_title(pair.new)} higher →")
    panels = (
        Panel(Scale(""), f"{measure} ({pair.confidence} CI)", labels=False),
        Panel(Scale("", null=0.0, signed=True, better=sides), minus(pair)),
    )
    plot = ForestPlot(tuple(rows), panels, (series_style(1), series_style(0), DIFFERENCE))
    caption = (
        f"{pair.title}: {MEASURES[metric]} of each reader {arm_words(pair.usual)} and {arm_words(pair.new)}, and the "
        f"difference; reference standard: {in_sentence(pair.reference)}. The CI of "
        f"{'' if alone else f'the {pair.together(metric).lower()} allows for other readers and other cases, that of '}"
        f"one reader {'allows ' if alone else ''}for other cases."
    )
    return panel_figure(plot, (arm_title(pair.usual), arm_title(pair.new)), name=name, caption=caption)


def curves_figure(evidence: ReportData, arms: Sequence[tuple[str, Row | None]], pair: tuple[str, str]) -> Figure | None:
    """ROC curves of every reader and of the mean of the readers; None where no curve was written.

    Parameters
    ----------
    evidence : ReportData
        The tables.
    arms : sequence of (arm, row)
        The arms, the usual one first, each with the AUC of the mean of the readers.
    pair : (finding, reference)
        The finding and the reference standard.
    """
    finding, reference = pair
    frame = pick(evidence.curves, curve="roc", subgroup="read", finding=finding, reference=reference)
    places = [(1 - k) % 2 if k < 2 else k for k in range(len(arms))] if len(arms) > 1 else [0]
    drawn = []
    for (arm, row), series in zip(arms, places, strict=True):
        points = pick(frame, arm=arm)
        if points.height:
            # the area under the mean curve is the mean of the AUCs, which an AUC of pooled readers is not
            named = row is not None and known(row) and not is_pooled(row)
            label = f"mean AUC {fixed(row['estimate'])}" if row is not None and named else ""
            drawn.append(ArmCurves(arm_title(arm), series, points, label))
    if not drawn:
        return None
    caption = (
        f"{evidence.heading(finding)}: empirical ROC curve of each reader and of the mean of the readers (mean "
        f"sensitivity at each specificity){', by arm' if len(drawn) > 1 else ''}; reference standard: "
        f"{in_sentence(reference)}."
    )
    name = f"curves-{finding}-{reference}"
    alt = f"{caption} " + "; ".join(f"{d.title}: {d.label}" for d in drawn if d.label)
    wide, phone = both_widths(curve_panels, drawn, name=name, alt=alt)
    return Figure(wide, caption, name, curve_numbers(drawn), phone=phone)
