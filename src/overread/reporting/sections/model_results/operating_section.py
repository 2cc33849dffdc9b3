"""Rates at thresholds chosen before the test, and at rates fixed on the ROC curve of the test set."""

from __future__ import annotations

from typing import Any

import polars as pl

from overread.reporting.blocks import Block, Cell, Paragraph, Section, Table, appendix, group, heads, table
from overread.reporting.estimate_cells import classes_cell, estimate_cell
from overread.reporting.number_format import significant
from overread.reporting.report_data import (
    DECISION,
    MEAN,
    ReportData,
    at_title,
    by,
    overall,
    pick,
    points_in_order,
    population_title,
    value_at,
    weighted_sample,
    with_key,
)
from overread.reporting.sections.model_results.discrimination_section import FOLDED_SEEDS
from overread.reporting.seed_rows import seed_note, single_seeds

_RATES = (("sensitivity", "Sensitivity"), ("specificity", "Specificity"), ("ppv", "PPV"), ("npv", "NPV"), ("f1", "F1"))
_FIXED = ("sensitivity_at_specificity", "specificity_at_sensitivity")
_FIXED_TITLE = "{}: sensitivity at a fixed specificity, and vice versa, on the ROC curve of the test set"


def operating(evidence: ReportData) -> Section:
    """Rates at the thresholds, and sensitivity at a fixed specificity (and vice versa) on the test set's ROC curve."""
    title = "Operating points"
    frame = pl.concat([overall(evidence, "standalone", m) for m, _ in (*_RATES, ("threshold", ""))])
    frozen = pl.concat([with_key(frame, "operating_point"), with_key(frame, DECISION)])
    blocks: list[Block] = []
    for i, rater in enumerate(evidence.cast.raters):
        made = _frozen_tables(evidence, pick(frozen, rater=rater), rater)
        blocks += made if i == 0 else [appendix(f"Thresholds of {rater}", tuple(made))] if made else []
    fixed_rates = [(_FIXED_TITLE.format(r), t) for r in evidence.cast.raters if (t := _fixed_table(evidence, r))]
    blocks += [*(t for _, t in fixed_rates[:1]), *(appendix(title, (t,)) for title, t in fixed_rates[1:])]
    if not blocks:
        absent = "no threshold and no rate at a fixed specificity was evaluated"
        return Section("operating", title, absent=absent)
    if set(evidence.cast.raters) <= set(single_seeds(evidence)):
        folded = appendix("Operating points of each seed", blocks)
        return Section("operating", title, (Paragraph(_lead(evidence, frozen)), folded), answer=FOLDED_SEEDS)
    return Section("operating", title, (Paragraph(_lead(evidence, frozen)), *blocks, *seed_note(evidence)))


def _lead(evidence: ReportData, frozen: pl.DataFrame) -> str:
    """Where the thresholds come from, and what the predictive values apply to."""
    thresholds = pick(frozen, metric="threshold")
    given = thresholds.filter(_given()).height
    parts = []
    if given < thresholds.height:
        parts.append(
            "Thresholds were chosen on cases other than those they are evaluated on (their origin is in the notes and "
            "in the Methods), so that the attained rate can differ from the target. Thresholds are printed with four "
            "significant digits; estimates.csv has them in full."
        )
    if given:
        parts.append("Given thresholds were applied unchanged to all test cases; nothing was fitted for them.")
    if (frozen["at"] == DECISION).any():
        parts.append("Decisions without scores have rates and no ROC curve; all test cases were used.")
    weighted = weighted_sample(evidence) is not None
    where = "sampled population, as estimated with the sampling weights" if weighted else "test set"
    return " ".join([*parts, f"PPV and NPV apply at the prevalence of the {where}."])


def _given() -> pl.Expr:
    return pl.col("method_code").str.contains("threshold_given", literal=True)


def _point_title(rows: pl.DataFrame, at: str) -> str:
    """The title of an operating point: how the threshold was chosen, or that it or the decision was given."""
    if at == DECISION:
        return "decisions as given"
    thresholds = pick(rows, metric="threshold")
    if thresholds.height and thresholds.filter(_given()).height == thresholds.height:
        return f"given threshold “{value_at(at, 'operating_point')}”"
    return at_title(at)


def _frozen_tables(evidence: ReportData, frame: pl.DataFrame, rater: str) -> list[Block]:
    made: list[Block] = []
    for i, at in enumerate(points_in_order(frame["at"])):
        rows, title = by(pick(frame, at=at), "population", "finding", "metric"), _point_title(pick(frame, at=at), at)
        caption = f"{rater}, {title}: {'' if at == DECISION else 'threshold, and '}rates with CIs."
        rates = _rates_table(evidence, rows, rater, caption)
        made.append(rates if i == 0 else appendix(f"{rater}, {title}", (rates,)))
    return made


def _rates_table(evidence: ReportData, rows: dict[Any, Any], rater: str, caption: str) -> Table:
    body: list[tuple[Cell, ...]] = []
    shown = evidence.cast.populations_of(rater)
    thresholds = any(k[2] == "threshold" for k in rows)
    for p in shown:
        names = [f for f in evidence.cast.findings_and_mean if any((p, f, m) in rows for m, _ in _RATES)]
        if names and len(shown) > 1:
            body.append(group(population_title(evidence, p), len(_RATES) + 2 + thresholds))
        for f in names:
            first = next(rows[p, f, m] for m, _ in _RATES if (p, f, m) in rows)
            cells = [Cell(evidence.heading(f), "strong" if f == MEAN else ""), classes_cell(first)]
            if thresholds:
                row = rows.get((p, f, "threshold"))
                cells.append(Cell(significant(row["estimate"]) if row else "", "num"))
            # a mean over findings is given for sensitivity and specificity only: the other cells stay empty
            cells += [estimate_cell(r) if (r := rows.get((p, f, m))) or f != MEAN else Cell("") for m, _ in _RATES]
            body.append(tuple(cells))
    head = ("Finding", "Present / absent", *(("Threshold",) if thresholds else ()), *(t for _, t in _RATES))
    return table(caption, (heads(*head),), body)


def _fixed_table(evidence: ReportData, rater: str) -> Table | None:
    frame = pl.concat([pick(overall(evidence, "standalone", m), rater=rater) for m in _FIXED])
    if frame.is_empty():
        return None
    kinds = [(m, at) for m in _FIXED for at in sorted(pick(frame, metric=m)["at"].unique().to_list())]
    rows = by(frame, "population", "finding", "metric", "at")
    body: list[tuple[Cell, ...]] = []
    shown = evidence.cast.populations_of(rater)
    for p in shown:
        names = [f for f in evidence.cast.findings_and_mean if any((p, f, m, at) in rows for m, at in kinds)]
        if names and len(shown) > 1:
            body.append(group(population_title(evidence, p), len(kinds) + 1))
        for f in names:
            cells = (estimate_cell(rows.get((p, f, m, at))) for m, at in kinds)
            body.append((Cell(evidence.heading(f), "strong" if f == MEAN else ""), *cells))
    titles = [f"{m.split('_')[0].capitalize()} at {at_title(a)}" for m, a in kinds]
    caption = (
        f"{_FIXED_TITLE.format(rater)} (threshold chosen on the test set, again in every bootstrap sample of patients)."
    )
    return table(caption, (heads("Finding", *titles),), body)
