"""The figure of the first page of arms: both arms of every reader and the difference, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

from overread.reporting.blocks import Cell, Figure, Table, heads, table
from overread.reporting.estimate_cells import known
from overread.reporting.figures.drawing_style import DIFFERENCE, series_style
from overread.reporting.figures.forest_drawing import ForestPlot, ForestRow, Mark, Panel, Scale
from overread.reporting.figures.forest_plots import mark_of, panel_figure
from overread.reporting.first_page.first_page_parts import number_cell
from overread.reporting.number_format import capital, number
from overread.reporting.report_data import ReportData, Row
from overread.reporting.sections.reader_results.arm_pairs import MEASURES, ArmPair, arm_words, minus
from overread.reporting.sections.reader_results.reader_titles import arm_title, arms, in_words, reader_title


def arms_figure(evidence: ReportData, pair: ArmPair) -> Figure | None:
    """Both arms of every reader, and the difference beside them."""
    metric = pair.leading_measure
    means = pair.compared_levels(metric)
    own = [means[1], means[0]] if means else []  # means of other readers have another difference
    row = pair.difference(metric)
    alone = pair.one_reader(metric)
    together = any(map(known, [*own, row])) and not alone
    rows = [_figure_row(pair.together(metric), own, row, strong=True)] if together else []
    for reader in _shown(pair):
        levels = [pair.level(metric, a, reader) for a in (pair.usual, pair.new)]
        if any(map(known, levels)):
            rows.append(_figure_row(reader_title(reader), levels, reader_difference(pair, reader)))
    if not rows:
        return None
    name = MEASURES[metric]
    sides = (f"{arm_title(pair.usual)} higher", f"{arm_title(pair.new)} higher")
    sides = sides if all(len(s) < 24 for s in sides) else ("lower", "higher")
    panels = (
        Panel(
            Scale("0.5 is chance, 1 complete separation" if metric == "auc" else ""),
            f"{capital(name)} ({pair.confidence} interval)",
            labels=False,
        ),
        Panel(Scale("", null=0.0, signed=True, better=sides), "Difference"),
    )
    plot = ForestPlot(tuple(rows), panels, (series_style(1), series_style(0), DIFFERENCE))
    of = f" for {in_words(pair.title)}" if several_findings(evidence) else ""
    return panel_figure(
        plot,
        (arm_title(pair.usual), arm_title(pair.new)),
        name="answer",
        caption=f"Line: {pair.confidence} interval{'' if alone else _OF_ALL} for cases like these.",
        title=f"Each reader{'' if pair.own_readers(metric) is None else ' in his or her own arm'}{of}: {name} "
        f"{arm_words(pair.usual)} and {arm_words(pair.new)}",
        note=f"Right: {minus(pair)}.",
    )


_OF_ALL = "; that of all readers is for readers and cases like these, that of one reader"


def _shown(pair: ArmPair) -> list[str]:
    """The readers of both arms, or all where each reader read in one arm only."""
    return pair.readers_of_both() if pair.own_readers(pair.leading_measure) is None else pair.readers()


def _figure_row(title: str, levels: Sequence[Row | None], difference: Row | None, *, strong: bool = False) -> ForestRow:
    marks = tuple(mark_of(row, i) for i, row in enumerate(levels) if known(row))
    last = (mark_of(difference, 2, signed=True),) if known(difference) else (Mark(2, nan, nan, nan, ""),)
    return ForestRow(title, (marks, last), strong=strong)


def reader_difference(pair: ArmPair, reader: str) -> Row | None:
    """The difference of a reader: a row where there is one, else that of the two arms, without an interval."""
    metric = pair.leading_measure
    row = pair.difference(metric, reader)
    if known(row):
        return row
    new, usual = (pair.level(metric, a, reader) for a in (pair.new, pair.usual))
    if not known(new) or not known(usual):
        return None
    return {**new, "estimate": number(new["estimate"]) - number(usual["estimate"]), "low": nan, "high": nan, "p": nan}


def readers_table(pair: ArmPair) -> tuple[Table, ...]:
    """The numbers of the figure."""
    metric = pair.leading_measure
    body = []
    for reader in _shown(pair):
        cells = [number_cell(pair.level(metric, a, reader)) for a in (pair.usual, pair.new)]
        body.append((Cell(reader_title(reader)), *cells, number_cell(reader_difference(pair, reader), signed=True)))
    head = heads("Reader", arm_title(pair.usual), arm_title(pair.new), minus(pair))
    name = MEASURES[metric]
    return (table(f"{capital(name)} of each reader, with {pair.confidence} interval.", (head,), body),) if body else ()


def several_findings(evidence: ReportData) -> bool:
    """Whether the comparison is about more than one finding."""
    return len({f for reads in arms(evidence) for f in reads.findings}) > 1
