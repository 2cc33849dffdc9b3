"""The first page of readers alone, where no arms are compared: how well they do by a reference standard."""

from __future__ import annotations

from collections.abc import Sequence

from overread.reporting.blocks import Cell, Figure, Table, heads, table
from overread.reporting.estimate_cells import known
from overread.reporting.figures.drawing_style import series_style
from overread.reporting.figures.forest_drawing import ForestPlot, ForestRow, Panel, Scale
from overread.reporting.figures.forest_plots import mark_of, panel_figure
from overread.reporting.first_page.first_page_parts import (
    MARK_TERM,
    RATES_TERM,
    FirstPage,
    first_rows,
    interval_term,
    leading_findings,
    number_cell,
    spelled,
)
from overread.reporting.number_format import capital, fixed, number, plural
from overread.reporting.report_data import ReportData, Row
from overread.reporting.sections.reader_results.arm_pairs import MEASURES, arm_words, own_references, pairs
from overread.reporting.sections.reader_results.reader_performance import together
from overread.reporting.sections.reader_results.reader_tables import together_title
from overread.reporting.sections.reader_results.reader_titles import (
    OTHERS,
    OTHERS_COUNT,
    READERS,
    ReadRows,
    arms,
    classes_of,
    in_sentence,
    is_pooled,
    reader_title,
)

_MOST = 24  # readers in the figure
_DERIVED = ("majority", "majority of the others", "dawid-skene")
_RATES = ("sensitivity", "specificity")
_AREA = ("auc",)
_TITLES = {"sensitivity": "Sensitivity", "specificity": "Specificity", "auc": "AUC"}
_AUC_TERM = (
    "AUC",
    "The probability that a reader rates a case with the finding higher than one without it; ties count one half.",
)


def performance_page(evidence: ReportData) -> FirstPage:
    """The page of the readers, for the finding with the most cases present."""
    reads = arms(evidence)[0]
    measures = _measures(reads)
    reference, finding = _chosen(evidence, reads, measures)
    by = in_sentence(reference)
    return FirstPage(
        "Evidence report: readers",
        str(evidence.study.get("question") or "").strip()
        or "How well do the readers find what the reference standard states?",
        _answer(evidence, reads, (finding, reference), measures),
        f"Reference standard: {by}{', made from reads of these readers' if reference in reads.made else ''}."
        f"{_other_arms(evidence, reads)}",
        (),
        _figure(reads, finding, reference, measures),
        _table(reads, reference, measures),
        _detail(reads, finding, reference, measures),
        (_AUC_TERM if measures == _AREA else RATES_TERM, interval_term(reads.confidence), MARK_TERM),
    )


def _measures(reads: ReadRows) -> tuple[str, ...]:
    """Sensitivity and specificity where there are calls, or ratings with a cut-off; the AUC of other graded reads."""
    both = (all(known(_pooled(reads, f, r, m)) for m in _RATES) for f in reads.findings for r in reads.references)
    return _RATES if any(both) else _AREA


def _chosen(evidence: ReportData, reads: ReadRows, measures: Sequence[str]) -> tuple[str, str]:
    """The reference, a stated one before a derived one, and the finding with the most cases present under it."""
    own = own_references(evidence)
    references = sorted(reads.references, key=lambda r: (r in _DERIVED, r not in own, r in reads.made))
    for reference in references:
        rows = {f: _pooled(reads, f, reference, measures[0]) for f in reads.findings}
        there = leading_findings(evidence, [f for f, row in rows.items() if known(row)])
        if there:
            return reference, max(there, key=lambda f: (rows[f] or {}).get("n_present") or 0)
    return references[0] if references else "", reads.findings[0]


def _pooled(reads: ReadRows, finding: str, reference: str, metric: str, rater: str = READERS) -> Row | None:
    at = "" if metric == "auc" else reads.cutoff(finding)
    row = reads.rows(finding, reference).get((metric, at, rater, ""))
    return together(reads, finding, reference, metric) if row is None and rater == READERS and not at else row


def _answer(evidence: ReportData, reads: ReadRows, place: tuple[str, str], measures: Sequence[str]) -> str:
    finding, reference = place
    rows = [_pooled(reads, finding, reference, m) for m in measures]
    if not all(map(known, rows)):
        return _each(reads, place, measures)
    name = f"{reads.heading(finding).lower()}{_where(reads)}"
    n = plural(len(reads.readers(finding)), "reader")
    every = [f for f in reads.findings if all(known(_pooled(reads, f, reference, m)) for m in measures)]
    leading = leading_findings(evidence, every)
    if measures == _AREA:
        used = leading if len(leading) > 1 else [finding]
        kind = "pooled" if any(is_pooled(_pooled(reads, f, reference, "auc")) for f in used) else "mean"
        if len(leading) > 1:
            span = _range(reads, leading, reference, "auc")
            return f"Over {len(leading)} findings, the {kind} AUC of {n}{_where(reads)} runs from {span}."
        return f"The {kind} AUC of {n} for {name} is {spelled(rows[0])}."
    if len(leading) > 1:
        ends = [_range(reads, leading, reference, m) for m in _RATES]
        start = f"Over {len(leading)} findings, the pooled sensitivity of {n}{_where(reads)} runs from {ends[0]}"
        return f"{start}, and their specificity from {ends[1]}."
    return (
        f"The pooled sensitivity of {n} for {name} is {spelled(rows[0])}, and their specificity "
        f"{spelled(rows[1], level=False)}."
    )


def _each(reads: ReadRows, place: tuple[str, str], measures: Sequence[str]) -> str:
    """The lowest and the highest of the readers, where there is no number of all together."""
    finding, reference = place
    name, said = reads.heading(finding).lower(), []
    for metric in measures:
        rows = [row for r in reads.readers(finding) if known(row := _pooled(reads, finding, reference, metric, r))]
        rows.sort(key=lambda row: number(row["estimate"]))
        if rows:
            ends = [f"{fixed(row['estimate'])} ({reader_title(row['rater'])})" for row in (rows[0], rows[-1])]
            n = plural(len(rows), "reader")
            said.append(f"the {MEASURES[metric]} of {n} for {name}{_where(reads)} runs from {' to '.join(ends)}")
    if not said:
        return "No AUC, sensitivity or specificity of the readers could be computed."
    return f"{capital('; '.join(said))}. No number of the readers together was estimated."


def _where(reads: ReadRows) -> str:
    """The arm, where there are several."""
    return "" if reads.only else f" {arm_words(reads.arm)}"


def _other_arms(evidence: ReportData, reads: ReadRows) -> str:
    """That the page is about one arm, and why the arms are not compared; "" of reads in one arm."""
    if reads.only:
        return ""
    own = bool(pairs(evidence)) and all(p.reference in reads.made for p in pairs(evidence))
    why = ": the same readers made the reference standard, which favours the arm whose reads it contains" if own else ""
    return f" The numbers are of the reads “{reads.arm}”. The arms are not compared{why}."


def _range(reads: ReadRows, findings: Sequence[str], reference: str, metric: str) -> str:
    """The lowest and the highest rate over findings, with their intervals."""
    rows = [(f, row) for f in findings if known(row := _pooled(reads, f, reference, metric))]
    ranked = sorted(rows, key=lambda pair: number(pair[1]["estimate"]))
    level = metric != "specificity"
    ends = [f"{spelled(r, level=level and k == 0)} for {reads.heading(f).lower()}" for k, (f, r) in enumerate(ranked)]
    return f"{ends[0]} to {ends[-1]}"


def _figure(reads: ReadRows, finding: str, reference: str, measures: Sequence[str]) -> Figure | None:
    people = reads.readers(finding)
    everyone = together_title([_pooled(reads, finding, reference, m) for m in measures])
    shown = [(READERS, everyone), *((r, reader_title(r)) for r in people[:_MOST])]
    rows = []
    for rater, title in shown:
        found = [_pooled(reads, finding, reference, m, rater) for m in measures]
        if any(map(known, found)):
            marks = tuple((mark_of(row, 0, digits=2),) for row in found)
            rows.append(ForestRow(title, marks, strong=rater == READERS))
    if not rows:
        return None
    panels = tuple(Panel(Scale(""), _TITLES[m], " ", labels=False) for m in measures)
    left = len(people) - _MOST
    return panel_figure(
        ForestPlot(tuple(rows), panels, (series_style(0),)),
        (),
        name="answer",
        caption=f"Line: {reads.confidence} interval."
        + (f" {left} readers with fewer reads are in the sections below." if left > 0 else ""),
        title=f"Each reader: {_words(measures)} for {reads.heading(finding).lower()}{_where(reads)}",
        note="Readers in the order of their number of reads.",
    )


def _words(measures: Sequence[str]) -> str:
    return "AUC" if measures == _AREA else "sensitivity and specificity"


def _table(reads: ReadRows, reference: str, measures: Sequence[str]) -> Table | None:
    body, shown = [], list[Row | None]()
    for finding in reads.findings:
        rows = [_pooled(reads, finding, reference, m) for m in measures]
        if any(map(known, rows)):
            first = next(row for row in rows if row)
            shown += rows
            body.append((Cell(reads.heading(finding)), classes_of(first), *map(number_cell, rows)))
    head = heads("Finding", "Present / absent", *(_TITLES[m] for m in measures))
    counts = f" {OTHERS_COUNT}" if reference == OTHERS else ""
    made = Table(
        f"The {together_title(shown).lower()}{_where(reads)}, for each finding",
        (head,),
        tuple(body),
        note=f"With {reads.confidence} interval.{counts}",
    )
    return first_rows(made, "findings") if body else None


def _detail(reads: ReadRows, finding: str, reference: str, measures: Sequence[str]) -> tuple[Table, ...]:
    body = [
        (Cell(reader_title(r)), *(number_cell(_pooled(reads, finding, reference, m, r)) for m in measures))
        for r in reads.readers(finding)
    ]
    words = _words(measures)
    caption = f"{words[0].upper()}{words[1:]} of each reader for {reads.heading(finding).lower()}"
    caption += f"{_where(reads)}, with {reads.confidence} interval."
    return (table(caption, (heads("Reader", *(_TITLES[m] for m in measures)),), body),) if body else ()
