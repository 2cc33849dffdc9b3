"""The first page of readers alone, in one arm: how well they do by a reference standard."""

from __future__ import annotations

from collections.abc import Sequence

from overread.reporting.blocks import Cell, Figure, Table, heads, table
from overread.reporting.estimate_cells import known
from overread.reporting.figures.drawing_style import series_style
from overread.reporting.figures.forest_drawing import ForestPlot, ForestRow, Panel, Scale
from overread.reporting.figures.forest_plots import mark_of, panel_figure
from overread.reporting.first_page.arm_question import own_references
from overread.reporting.first_page.first_page_parts import (
    MARK_TERM,
    FirstPage,
    first_rows,
    interval_term,
    number_cell,
    spelled,
)
from overread.reporting.number_format import number, plural
from overread.reporting.report_data import ReportData, Row
from overread.reporting.sections.reader_results.reader_titles import READERS, ReadRows, arms, in_sentence

_MOST = 24  # readers in the figure
_DERIVED = ("majority", "majority of the others", "dawid-skene")
_RATES = ("sensitivity", "specificity")


def performance_page(evidence: ReportData) -> FirstPage:
    """The page of the readers, for the finding with the most cases present."""
    reads = arms(evidence)[0]
    reference, finding = _chosen(reads, own_references(evidence))
    level = next((number(c) for c in reads.frame["confidence"] if c), 0.95)
    rates = (
        "Sensitivity and specificity",
        "The proportion called present of the cases with the finding, and called absent of those without it.",
    )
    by = in_sentence(reference)
    return FirstPage(
        "Evidence report: readers",
        str(evidence.study.get("question") or "").strip()
        or "How well do the readers find what the reference standard states?",
        _answer(reads, finding, reference),
        f"Reference standard: {by}{', made from reads of these readers' if reference in reads.made else ''}.",
        (),
        _figure(reads, finding, reference),
        _table(reads, reference),
        _detail(reads, finding, reference),
        (rates, interval_term(level), MARK_TERM),
    )


def _chosen(reads: ReadRows, own: Sequence[str]) -> tuple[str, str]:
    """The reference, a stated one before a derived one, and the finding with the most cases present under it."""
    references = sorted(reads.references, key=lambda r: (r in _DERIVED, r not in own, r in reads.made))
    for reference in references:
        rows = {f: _pooled(reads, f, reference, "sensitivity") for f in reads.findings}
        there = [f for f, row in rows.items() if known(row)]
        if there:
            return reference, max(there, key=lambda f: (rows[f] or {}).get("n_present") or 0)
    return references[0] if references else "", reads.findings[0]


def _pooled(reads: ReadRows, finding: str, reference: str, metric: str, rater: str = READERS) -> Row | None:
    return reads.rows(finding, reference).get((metric, "", rater, ""))


def _answer(reads: ReadRows, finding: str, reference: str) -> str:
    rows = [_pooled(reads, finding, reference, m) for m in _RATES]
    if not all(map(known, rows)):
        return "No sensitivity or specificity of the readers could be computed."
    name = reads.heading(finding).lower()
    n = plural(len(reads.readers(finding)), "reader")
    return (
        f"The pooled sensitivity of {n} for {name} is {spelled(rows[0])}, and their specificity "
        f"{spelled(rows[1], level=False)}."
    )


def _figure(reads: ReadRows, finding: str, reference: str) -> Figure | None:
    people = reads.readers(finding)
    shown = [(READERS, "Pooled readers"), *((r, r) for r in people[:_MOST])]
    rows = []
    for rater, title in shown:
        found = [_pooled(reads, finding, reference, m, rater) for m in _RATES]
        if any(map(known, found)):
            marks = tuple((mark_of(row, 0, digits=2),) for row in found)
            rows.append(ForestRow(title, marks, strong=rater == READERS))
    if not rows:
        return None
    panels = tuple(Panel(Scale(""), m.capitalize(), " ", labels=False) for m in _RATES)
    left = len(people) - _MOST
    return panel_figure(
        ForestPlot(tuple(rows), panels, (series_style(0),)),
        (),
        name="answer",
        caption="Line: 95% interval."
        + (f" {left} readers with fewer reads are in the sections below." if left > 0 else ""),
        title=f"Each reader: sensitivity and specificity for {reads.heading(finding).lower()}",
        note="Readers in the order of their number of reads.",
    )


def _table(reads: ReadRows, reference: str) -> Table | None:
    body = []
    for finding in reads.findings:
        rows = [_pooled(reads, finding, reference, m) for m in _RATES]
        if any(map(known, rows)):
            first = next(row for row in rows if row)
            counted = f"{first['n_present']} / {first['n_absent']}" if first.get("n_present") is not None else ""
            body.append((Cell(reads.heading(finding)), Cell(counted, "num"), *map(number_cell, rows)))
    head = heads("Finding", "Present / absent", "Sensitivity", "Specificity")
    made = Table("The pooled readers, for each finding", (head,), tuple(body), note="With 95% interval.")
    return first_rows(made, "findings") if body else None


def _detail(reads: ReadRows, finding: str, reference: str) -> tuple[Table, ...]:
    body = [
        (Cell(r), *(number_cell(_pooled(reads, finding, reference, m, r)) for m in _RATES))
        for r in reads.readers(finding)
    ]
    caption = f"Sensitivity and specificity of each reader for {reads.heading(finding).lower()}, with 95% interval."
    return (table(caption, (heads("Reader", "Sensitivity", "Specificity"),), body),) if body else ()
