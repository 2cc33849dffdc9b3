"""The first page of models beside graded reads: the AUC of the models and the mean AUC of the readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from overread.reporting.blocks import Cell, Figure, Table, group, heads, table
from overread.reporting.estimate_cells import p_cells
from overread.reporting.figures.drawing_style import series_style
from overread.reporting.figures.forest_drawing import ForestPlot, ForestRow, Panel, Scale
from overread.reporting.figures.forest_plots import mark_of, panel_figure
from overread.reporting.first_page.first_page_parts import (
    AUC_TERM,
    MARK_TERM,
    FirstPage,
    bounded,
    first_rows,
    interval_term,
    number_cell,
)
from overread.reporting.number_format import plural
from overread.reporting.report_data import ReportData, Row
from overread.reporting.sections.reader_results.graded_areas import (
    GradedModel,
    graded_models,
    graded_reference,
    graded_sentence,
)
from overread.reporting.sections.reader_results.model_sentences import people_word
from overread.reporting.sections.reader_results.reader_titles import (
    ReadRows,
    classes_of,
    in_sentence,
    output_title,
    reader_title,
    reference_title,
)

_MEAN = "Mean of the readers"


def grades_and_readers_page(evidence: ReportData, reads: ReadRows) -> FirstPage:
    """The page of models and readers of whom only grades are compared."""
    reference = graded_reference(reads)
    found, who = graded_models(reads, reference), people_word(reads)
    mean = [(_MEAN, "The mean of the AUCs of the readers' grades.")] if who == "readers" else []
    return FirstPage(
        "Evidence report: models and readers",
        str(evidence.study.get("question") or "").strip()
        or f"{_models(found)} radiographs with a finding from those without as well as the {who}?",
        graded_sentence(reads),
        _more(evidence, reads, found),
        (),
        _figure(reads, found),
        graded_table(reads),
        _detail(reads),
        (AUC_TERM, *mean, interval_term(reads.confidence), MARK_TERM),
    )


def _models(found: Sequence[GradedModel]) -> str:
    names = list(dict.fromkeys(m.rater.partition(" [")[0] for m in found))
    return f"Does {names[0]} tell" if len(names) == 1 else "Do the models tell"


def _theirs(reads: ReadRows) -> str:
    return "reader" if people_word(reads) == "reader" else "mean of the readers"


def _more(evidence: ReportData, reads: ReadRows, found: Sequence[GradedModel]) -> str:
    own = evidence.joined.filter(pl.col("arm") != "model")
    sites = own["site"].drop_nulls().n_unique() if "site" in own.columns else 0
    said = [f"The {people_word(reads)} gave grades."]
    if any(bounded(m.difference) for m in found):
        said = ["The readers gave grades; intervals of differences are for readers and patients like these."]
    made = found[0].reference in reads.made if found else False
    if made:
        said.append("The reference standard was made from reads of these readers, which favours them.")
    if sites > 1:
        said.append(f"Cases of different hospitals are compared too ({plural(sites, 'hospital')}).")
    if len(found) > 1:
        said.append("Intervals and P values are not adjusted for the number of comparisons.")
    return " ".join(said)


def graded_table(reads: ReadRows) -> Table | None:
    """The AUCs of the models and the mean of the readers under the first reference standard; None without grades."""
    reference = graded_reference(reads)
    body = _body(reads, reference, people=False)
    if not body:
        return None
    note = (
        f"By {in_sentence(reference)}, with {reads.confidence} interval; differences are model minus {_theirs(reads)}."
    )
    if any(bounded(m.area) for m in graded_models(reads, reference)):
        note += (
            " Intervals are those of the comparison with readers; Discrimination has that of the AUC of a model alone."
        )
    return first_rows(Table("AUC of the models and of the readers' grades", (_head(),), tuple(body), note=note), "rows")


def _head() -> tuple[Cell, ...]:
    return heads("", "Present / absent", "AUC", "Difference", "P")


def _body(reads: ReadRows, reference: str, *, people: bool) -> list[tuple[Cell, ...]]:
    found = graded_models(reads, reference)
    body: list[tuple[Cell, ...]] = []
    for finding in dict.fromkeys(m.finding for m in found):
        own = [m for m in found if m.finding == finding]
        body.append(group(reads.heading(finding), 5))
        for m in own:
            less = number_cell(m.difference, signed=True)
            p = p_cells(m.difference)[0] if m.difference else Cell("")
            body.append(
                (Cell(output_title(m.rater)), classes_of(m.area), number_cell(m.area), less, replace(p, kind="num"))
            )
        title = _MEAN if people_word(reads) == "readers" else "The reader"
        body.append((Cell(title, "strong"), classes_of(own[0].mean), number_cell(own[0].mean), Cell(""), Cell("")))
        for reader in reads.readers(finding) if people else ():
            row = _of_reader(reads, finding, reference, reader)
            body.append((Cell(reader_title(reader)), classes_of(row), number_cell(row), Cell(""), Cell("")))
    return body


def _of_reader(reads: ReadRows, finding: str, reference: str, reader: str) -> Row | None:
    return reads.rows(finding, reference).get(("auc", "", reader, ""))


def _figure(reads: ReadRows, found: Sequence[GradedModel]) -> Figure | None:
    """Models and mean of the readers, of one finding each reader too; and the differences."""
    models = list(dict.fromkeys(m.rater.partition(" [")[0] for m in found))
    findings = list(dict.fromkeys(m.finding for m in found))
    rows: list[ForestRow] = []
    for finding in findings:
        own = [m for m in found if m.finding == finding]
        rows.append(ForestRow(reads.heading(finding)))
        for m in own:
            k = models.index(m.rater.partition(" [")[0])
            marks = (mark_of(m.area, k),), (mark_of(m.difference, k, signed=True),)
            rows.append(ForestRow(output_title(m.rater), marks))
        title = _MEAN if people_word(reads) == "readers" else "The reader"
        rows.append(ForestRow(title, ((mark_of(own[0].mean, len(models)),), ()), strong=True))
        for reader in reads.readers(finding) if len(findings) == 1 else ():
            row = _of_reader(reads, finding, own[0].reference, reader)
            rows.append(ForestRow(reader_title(reader), ((mark_of(row, len(models)),), ())))
    if not rows:
        return None
    less = Scale("", null=0.0, signed=True, better=("readers higher", "model higher"))
    panels = (Panel(Scale(""), f"AUC ({reads.confidence} interval)", labels=False), Panel(less, "Difference"))
    return panel_figure(
        ForestPlot(tuple(rows), panels, tuple(series_style(k) for k in range(len(models) + 1))),
        (),
        name="answer",
        caption=f"Line: {reads.confidence} interval.",
        title="AUC of each model and of the readers' grades",
        note=f"By {in_sentence(found[0].reference)}. Right: model minus {_theirs(reads)}.",
    )


def _detail(reads: ReadRows) -> tuple[Table, ...]:
    """The models, the mean and every reader, by reference standard."""
    body = []
    for reference in reads.references:
        if own := _body(reads, reference, people=True):
            body += [group(reference_title(reference), 5), *own]
    caption = f"AUC by reference standard, with {reads.confidence} interval; differences: model minus {_theirs(reads)}."
    return (table(caption, (_head(),), body),) if body else ()
