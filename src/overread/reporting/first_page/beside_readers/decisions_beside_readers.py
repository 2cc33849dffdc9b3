"""The first page of decisions without scores beside readers: both rates, and their differences from the readers."""

from __future__ import annotations

from overread.reporting.blocks import Cell, Figure, Table, group, heads, table
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
    number_cell,
    pooled_term,
)
from overread.reporting.number_format import listed
from overread.reporting.report_data import ReportData
from overread.reporting.sections.reader_results.given_decisions import (
    RATES,
    DecidedOutput,
    decided_outputs,
    decisions_sentence,
    main_reference,
)
from overread.reporting.sections.reader_results.reader_titles import (
    ReadRows,
    in_sentence,
    output_title,
    pooling,
    reference_title,
)

_SPELLED = 2  # models that the question names
_WITHOUT_CURVE = (
    "Decisions were given without scores: they have no curve and no AUC, and are compared as given, not at the "
    "specificity of the readers."
)


def decisions_and_readers_page(evidence: ReportData, reads: ReadRows) -> FirstPage:
    """The page of models of which all gave decisions, and readers."""
    models = list(dict.fromkeys(o.partition(" [")[0] for f in reads.findings for o in reads.decided(f)))
    who = listed(models) if len(models) <= _SPELLED else f"{len(models)} models"
    return FirstPage(
        "Evidence report: models and readers",
        str(evidence.study.get("question") or "").strip()
        or f"Are the decisions of {who} right as often as the calls of the readers?",
        decisions_sentence(reads) or "No difference between decisions and the readers could be computed.",
        _WITHOUT_CURVE,
        (),
        _figure(reads, models),
        decisions_table(reads),
        _detail(reads),
        (pooled_term(pooling([reads])), RATES_TERM, interval_term(reads.confidence), MARK_TERM),
    )


def decisions_table(reads: ReadRows) -> Table | None:
    """Both rates of every decision and of the pooled readers, under the first reference standard."""
    reference = main_reference(reads)
    body = _body(reads, reference)
    if not body:
        return None
    note = f"By {in_sentence(reference)}, with {reads.confidence} interval; differences are model minus readers."
    return first_rows(Table("Decisions beside the pooled readers", (_head(),), tuple(body), note=note), "rows")


def _head() -> tuple[Cell, ...]:
    return heads("", "Sensitivity", "Difference", "Specificity", "Difference")


def _body(reads: ReadRows, reference: str) -> list[tuple[Cell, ...]]:
    found = decided_outputs(reads, reference)
    body: list[tuple[Cell, ...]] = []
    for finding in dict.fromkeys(d.finding for d in found):
        own = [d for d in found if d.finding == finding]
        body.append(group(reads.heading(finding), 5))
        readers = [number_cell(own[0].pooled(m), digits=2) for m in RATES]
        body.append((Cell("Pooled readers", "strong"), readers[0], Cell(""), readers[1], Cell("")))
        body += [(Cell(output_title(d.rater)), *_cells(d)) for d in own]
    return body


def _cells(decided: DecidedOutput) -> list[Cell]:
    cells = []
    for m in RATES:
        cells.append(number_cell(decided.rate(m), digits=2))
        cells.append(number_cell(decided.difference(m), digits=2, signed=True))
    return cells


def _figure(reads: ReadRows, models: list[str]) -> Figure | None:
    """Both rates of the readers and of each model, for each finding, under the first reference standard."""
    reference = main_reference(reads)
    found = decided_outputs(reads, reference)
    rows: list[ForestRow] = []
    for finding in dict.fromkeys(d.finding for d in found):
        own = [d for d in found if d.finding == finding]
        rows.append(ForestRow(reads.heading(finding)))
        pooled = tuple((mark_of(own[0].pooled(m), len(models), digits=2),) for m in RATES)
        rows.append(ForestRow("Pooled readers", pooled, strong=True))
        for d in own:
            series = models.index(d.rater.partition(" [")[0])
            rows.append(ForestRow(output_title(d.rater), tuple((mark_of(d.rate(m), series, digits=2),) for m in RATES)))
    if not rows:
        return None
    panels = tuple(Panel(Scale(""), m.capitalize(), " ", labels=False) for m in RATES)
    styles = tuple(series_style(k) for k in range(len(models) + 1))
    return panel_figure(
        ForestPlot(tuple(rows), panels, styles),
        (),
        name="answer",
        caption=f"Line: {reads.confidence} interval for readers and patients like these.",
        title="Each model and the pooled readers: sensitivity and specificity",
        note=f"Decisions as given, without scores; by {in_sentence(reference)}.",
    )


def _detail(reads: ReadRows) -> tuple[Table, ...]:
    """The table under every reference standard."""
    body = []
    for reference in reads.references:
        if own := _body(reads, reference):
            body += [group(reference_title(reference), 5), *own]
    caption = f"Decisions and pooled readers, by reference standard, with {reads.confidence} interval"
    caption += "; differences: model minus readers."
    return (table(caption, (_head(),), body),) if body else ()


def has_decisions(reads: ReadRows) -> bool:
    """Whether decisions of a model are compared with the readers."""
    return any(known(d.rate(m)) for d in decided_outputs(reads, main_reference(reads)) for m in RATES)
