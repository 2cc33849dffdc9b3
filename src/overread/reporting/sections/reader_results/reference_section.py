"""H2: the same scores on the same cases under several reference standards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from overread.reporting.blocks import Block, Cell, Paragraph, Section, Table, appendix, heads, table
from overread.reporting.estimate_cells import classes_cell, p_cells
from overread.reporting.figures.drawing_style import others_series
from overread.reporting.figures.forest_drawing import Scale
from overread.reporting.figures.forest_plots import MOST_MARKS, Line, forest_figure, mark_of
from overread.reporting.number_format import MISSING, number, p_phrase
from overread.reporting.report_data import (
    MEAN,
    ReportData,
    Row,
    by,
    contrast_of,
    in_order,
    pick,
    population_title,
    value_at,
)
from overread.reporting.sections.model_results.hypothesis_section import verdict_facts
from overread.reporting.sections.reader_results.reader_titles import (
    output_title,
    own_label,
    reads_cell,
    reference_title,
    references,
)

_TITLE = "Choice of reference standard"


def h2(evidence: ReportData) -> Section:
    """The verdict, the AUC under every reference, their differences, and the drops."""
    frame = pick(evidence.estimates, analysis="H2")
    verdicts = evidence.verdicts.filter(pl.col("hypothesis") == "H2")
    if frame.is_empty() and verdicts.is_empty():
        return Section("h2", _TITLE, absent="no second reference standard was compared")
    blocks: list[Block] = [verdict_facts(r) for r in verdicts.to_dicts()]
    blocks.append(
        Paragraph(
            "The same scores and cases were evaluated under several reference standards. Only cases for which every "
            "reference standard is available are included."
        )
    )
    areas = pick(frame, metric="auc", contrast="")
    for population in in_order(areas["population"]):
        part = pick(areas, population=population)
        less = pick(frame, metric="auc_difference", population=population)
        blocks += _area_blocks(evidence, part, less, population)
    blocks += _drops(evidence, frame)
    return Section("h2", _TITLE, tuple(blocks))


def _area_blocks(evidence: ReportData, areas: pl.DataFrame, less: pl.DataFrame, population: str) -> list[Block]:
    where = population_title(evidence, population)
    where = where.lower() if population == "internal" else where
    names = references(evidence, areas["reference"])
    rows = by(areas, "finding", "rater", "reference")
    pairs = list(dict.fromkeys(k[:2] for k in rows))
    order = (*evidence.vocabulary.ordered({f for f, _ in pairs} - {MEAN}), MEAN)
    pairs.sort(key=lambda k: order.index(k[0]))
    if len(pairs) * len(names) <= MOST_MARKS:
        return _outcomes(evidence, rows, less, pairs, names, (where, f"h2-{population}"))
    models = sorted({_model(r) for _, r in pairs}, key=lambda m: (evidence.cast.series(m), m))
    parts = [
        _outcomes(evidence, rows, less, [k for k in pairs if _model(k[1]) == m], names, (where, f"h2-{population}-{m}"))
        for m in models
    ]
    others = [block for part in parts[1:] for block in part]
    return [*parts[0], *([appendix(f"The same for the other models ({where})", others)] if others else [])]


def _model(rater: str) -> str:
    return rater.partition(" [")[0]


def _outcomes(
    evidence: ReportData,
    rows: dict[Any, Any],
    less: pl.DataFrame,
    pairs: list[tuple[str, ...]],
    names: Sequence[str],
    place: tuple[str, str],
) -> list[Block]:
    """The figure and the tables of these findings and models; `place`: the population, and the figure's name."""
    where, name = place
    lines = [
        Line(
            f"{evidence.heading(f)}: {output_title(r)}",
            tuple(mark_of(rows.get((f, r, n)), i) for i, n in enumerate(names)),
        )
        for f, r in pairs
    ]
    caption = f"AUC by reference standard, same scores and cases ({where}), with CIs."
    titles = [reference_title(n) for n in names]
    figure = forest_figure(lines, titles, Scale("AUC"), name=name, caption=caption, numbers=others_series(len(titles)))
    differences = _difference_tables(evidence, less, pairs, where, [n for n in names if own_label(evidence, n)])
    others = tuple(differences[1:])
    folded = [appendix(f"Differences between the other reference standards ({where})", others)] if others else []
    return [figure, _area_table(evidence, rows, pairs, names, where), *differences[:1], *folded]


def _area_table(
    evidence: ReportData, rows: dict[Any, Any], pairs: list[tuple[str, ...]], names: Sequence[str], where: str
) -> Table:
    body = []
    for f, r in pairs:
        got = [rows.get((f, r, n)) for n in names]
        cells = [replace(reads_cell(row), note=classes_cell(row).text) if row else Cell("") for row in got]
        body.append((Cell(evidence.heading(f)), Cell(output_title(r)), *cells))
    head = heads("Finding", "Model", *(reference_title(n) for n in names))
    remark = "Below an AUC: cases present / absent."
    return table(f"AUC under every reference standard ({where}).", (head,), body, remark=remark)


def _difference_tables(
    evidence: ReportData, frame: pl.DataFrame, pairs: list[tuple[str, ...]], where: str, own: Sequence[str]
) -> list[Table]:
    """Differences between references: first those from the set's own label, then the others."""
    frame = frame.with_columns(pl.col("contrast").str.strip_prefix("reference:").alias("other"))
    rows = by(frame, "finding", "rater", "reference", "other")
    between = list(dict.fromkeys(k[2:] for k in rows))
    first = [k for k in between if set(k) & set(own)] or between
    made = []
    for shown in (first, [k for k in between if k not in first]):
        body = []
        for f, r in pairs:
            got = [rows.get((f, r, *k)) for k in shown]
            if any(got):
                cells = (_tested(row) if row else Cell("") for row in got)
                body.append((Cell(evidence.heading(f)), Cell(output_title(r)), *cells))
        titles = (f"{reference_title(one)} − {reference_title(other)}" for one, other in shown)
        caption = f"Differences in AUC between reference standards ({where})."
        made += [table(caption, (heads("Finding", "Model", *titles),), body)] if body else []
    return made


def _tested(row: Row) -> Cell:
    """A difference; its p below it, where there is one."""
    p = p_cells(row)[0].text
    cell = reads_cell(row, signed=True)
    return cell if p == MISSING else replace(cell, note=f"P {p_phrase(number(row['p']))}")


def _drops(evidence: ReportData, frame: pl.DataFrame) -> list[Block]:
    """Internal minus external under every reference, and how much of it hangs on the reference."""
    drops = pick(frame, metric="auc_drop").with_columns(pl.col("contrast").alias("external"))
    less = pick(frame, metric="auc_drop_difference").with_columns(pl.col("at").alias("external"))
    if drops.is_empty() and less.is_empty():
        return []
    blocks: list[Block] = []
    for part, caption, signed in (
        (drops, "Drop in AUC (internal − external) under every reference standard.", False),
        (
            less,
            "Difference in the drop between reference standards: drop under one minus drop under the other.",
            True,
        ),
    ):
        body = [
            (
                Cell(evidence.heading(r["finding"])),
                Cell(output_title(r["rater"])),
                Cell(_external(evidence, r["external"])),
                Cell(_whose(r)),
                reads_cell(r, signed=signed),
                p_cells(r)[0],
            )
            for r in part.to_dicts()
        ]
        if body:
            head = heads("Finding", "Model", "External site", "Reference", "Difference", "p")
            blocks.append(table(caption, (head,), body, compact=True))
    return [appendix("Drop from internal to external, by reference standard", tuple(blocks))]


def _external(evidence: ReportData, text: str) -> str:
    return population_title(evidence, contrast_of(text, "population") or value_at(text, "population"))


def _whose(row: dict[str, Any]) -> str:
    other = contrast_of(row["contrast"], "reference")
    return reference_title(row["reference"]) + (f" − {reference_title(other)}" if other else "")
