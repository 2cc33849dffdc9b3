"""Tables of models beside the pooled readers: at the rates of the readers, and at the thresholds of the models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import polars as pl

from overread.reporting.blocks import Cell, Table, group, heads, table
from overread.reporting.estimate_cells import known
from overread.reporting.number_format import fixed, number, p_phrase
from overread.reporting.report_data import Row, pick
from overread.reporting.sections.reader_results.reader_titles import (
    OTHERS,
    OTHERS_COUNT,
    READERS,
    ReadRows,
    classes_of,
    in_sentence,
    output_title,
    point_title,
    reads_cell,
    reads_of,
    reference_title,
    threshold_of,
)

AT_SPECIFICITY, AT_SENSITIVITY = "specificity=readers", "sensitivity=readers"
AGAINST = f"rater:{READERS}"


def matched_table(reads: ReadRows, finding: str) -> Table:
    """The models at the readers' specificity and sensitivity, per reference standard."""
    body: list[tuple[Cell, ...]] = []
    for reference in reads.references:
        own = " (made from these readers)" if reference in reads.made - {OTHERS} else ""
        body += _grouped(reads, finding, reference, f"{reference_title(reference)}{own}")
    first = next(iter(reads.ranked(finding)), "")
    no_curve = OTHERS in reads.references and ("auc", "", first, "") not in reads.rows(finding, OTHERS)
    caption = f"{reads.heading(finding)}: each model against the pooled readers, by reference standard."
    return _matched(caption, body, _others_remark(reads.references, no_curve))


def first_reference_table(reads: ReadRows, findings: Iterable[str]) -> Table:
    """The models at the readers' specificity and sensitivity under the first reference standard, per finding."""
    reference = reads.references[0]
    body = [row for f in findings for row in _grouped(reads, f, reference, reads.heading(f))]
    caption = f"Each model against the pooled readers, by finding; reference standard: {in_sentence(reference)}."
    return _matched(caption, body, _others_remark((reference,), no_curve=False))


def _others_remark(references: Sequence[str], no_curve: bool) -> str:
    alone = "The majority of the other readers differs between readers, so that there is no single curve."
    said = [alone if no_curve else "", OTHERS_COUNT if OTHERS in references else ""]
    return " ".join(s for s in said if s)


def _grouped(reads: ReadRows, finding: str, reference: str, title: str) -> list[tuple[Cell, ...]]:
    """The pooled readers and every output under a reference standard; nothing without pooled reads."""
    rows = reads.rows(finding, reference)
    if ("sensitivity", "", READERS, "") not in rows:  # grades are not pooled
        return []
    outputs = [_output_row(rows, o) for o in reads.ranked(finding) if any(k[2] == o for k in rows)]
    return [group(title, 7), _average_row(reads, rows), *outputs]


def _matched(caption: str, body: Sequence[tuple[Cell, ...]], remark: str) -> Table:
    head = heads("", "Present / absent", "AUC", "Sensitivity", "Model − readers", "Specificity", "Model − readers")
    top = (
        Cell(""),
        Cell(""),
        Cell(""),
        Cell("at the readers’ specificity", "group", span=2),
        Cell("at the readers’ sensitivity", "group", span=2),
    )
    return table(caption, (top, head), body, remark=remark, compact=True)


def _average_row(reads: ReadRows, rows: dict[tuple[str, ...], Row]) -> tuple[Cell, ...]:
    up, across = rows.get(("sensitivity", "", READERS, "")), rows.get(("specificity", "", READERS, ""))
    first = Cell(_together(reads), "strong"), replace(classes_of(up), note=reads_of(up)), Cell("")
    return *first, reads_cell(up), Cell(""), reads_cell(across), Cell("")


def _together(reads: ReadRows) -> str:
    return "Pooled readers" if len(reads.people()) > 1 else "The reader"


def _output_row(rows: dict[tuple[str, ...], Row], output: str) -> tuple[Cell, ...]:
    area = rows.get(("auc", "", output, ""))
    counted = area or rows.get(("sensitivity_at_specificity", AT_SPECIFICITY, output, ""))
    cells: list[Cell] = []
    for metric, other, at in (
        ("sensitivity", "specificity", AT_SPECIFICITY),
        ("specificity", "sensitivity", AT_SENSITIVITY),
    ):
        cells.append(reads_cell(rows.get((f"{metric}_at_{other}", at, output, ""))))
        cells.append(_difference_cell(rows.get((f"{metric}_difference", at, output, AGAINST))))
    return Cell(output_title(output)), classes_of(counted), reads_cell(area) if area else Cell(""), *cells


def _difference_cell(row: Row | None) -> Cell:
    """A difference with its CI; below it P, and P adjusted by Holm."""
    cell = reads_cell(row, signed=True)
    if row is None or row["p"] != row["p"]:
        return cell
    adjusted = number(row["p_adjusted"])
    holm = f"; Holm {p_phrase(adjusted)}" if adjusted == adjusted else ""
    return replace(cell, note=f"P {p_phrase(row['p'])}{holm}")


def threshold_table(reads: ReadRows, finding: str, at: str) -> Table:
    """Rates at a threshold of the model and of the pooled readers; below a difference, the test by U-statistics."""
    test = f"{at};test=u-statistic"
    body: list[tuple[Cell, ...]] = []
    for reference in reads.references:
        rows = reads.rows(finding, reference)
        mine = [o for o in reads.outputs(finding) if ("sensitivity", at, o, "") in rows]
        if not mine:
            continue
        body.append(group(reference_title(reference), 5))
        up, across = rows.get(("sensitivity", "", READERS, "")), rows.get(("specificity", "", READERS, ""))
        if up and all(rows["sensitivity", at, o, ""]["n_cases"] == up["n_cases"] for o in mine):
            body.append((Cell(_together(reads), "strong"), reads_cell(up), Cell(""), reads_cell(across), Cell("")))
        for o in mine:
            cells = []
            for metric in ("sensitivity", "specificity"):
                less = reads_cell(rows.get((f"{metric}_difference", at, o, AGAINST)), signed=True)
                tested = _tested(rows.get((f"{metric}_difference", test, o, AGAINST)))
                cells += [reads_cell(rows.get((metric, at, o, ""))), replace(less, note=tested)]
            body.append((Cell(output_title(o), note=threshold_of(rows["sensitivity", at, o, ""])), *cells))
    head = heads("", "Sensitivity", "Model − readers", "Specificity", "Model − readers")
    caption = f"{reads.heading(finding)}, {point_title(at)}: each model against the pooled readers."
    return table(caption, (head,), body, remark=_frozen_remark(reads, finding, test), compact=True)


def _tested(row: Row | None) -> str:
    """The CI and P of the test by U-statistics, with P adjusted by Holm."""
    if not known(row):
        return ""
    sides = f"U: {fixed(row['low'], signed=True)} to {fixed(row['high'], signed=True)}, P {p_phrase(row['p'])}"
    adjusted = number(row["p_adjusted"])
    return sides + (f", Holm {p_phrase(adjusted)}" if adjusted == adjusted else "")


def _frozen_remark(reads: ReadRows, finding: str, test: str) -> str:
    rows = pick(reads.frame, finding=finding, at=test)
    if rows.is_empty():
        return ""
    said = "U: CI and P of the same difference by U-statistics; readers and patients are random"
    families = pick(reads.frame, at=test).filter(pl.col("family").fill_null("") != "").group_by("family").len()
    mine = families.filter(pl.col("family").is_in(rows["family"].drop_nulls().unique().to_list()))
    sizes = [str(n) for n in mine["len"].unique().sort().to_list()]
    holm = f"; Holm: over the {' or '.join(sizes)} tests of a reference standard and threshold" if sizes else ""
    return f"{said}{holm}."
