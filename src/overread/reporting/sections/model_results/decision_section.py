"""Decision curves: net benefit of a model compared with treating all, treating none, and other models."""

from __future__ import annotations

from typing import Any

import polars as pl

from overread.reporting.blocks import (
    Block,
    Cell,
    Figure,
    Paragraph,
    Section,
    Table,
    appendix,
    group,
    heads,
    table,
)
from overread.reporting.estimate_cells import notes_of, p_cells
from overread.reporting.figures.curve_panels import decision_panels, points
from overread.reporting.figures.figure_pool import both_widths
from overread.reporting.number_format import interval, number
from overread.reporting.report_data import ReportData, by, in_page_order, overall, population_title, value_at
from overread.reporting.sections import absence_reasons
from overread.reporting.sections.model_results.discrimination_section import curve_series, drawn_findings, series, whose
from overread.reporting.seed_rows import seed_note, split_pairs

_SHOWN = 5  # findings drawn; the others are folded
TREAT_ALL = "rater:(everyone)"


def decision(evidence: ReportData) -> Section:
    """Decision curves, net benefit at the stated thresholds, and models against each other."""
    title = "Decision curves"
    frame = overall(evidence, "decision", "net_benefit")
    if frame.filter(pl.col("estimate").is_not_nan()).is_empty():
        return Section("decision", title, absent=absence_reasons.decision(frame))
    blocks: list[Block] = [
        Paragraph(
            "Net benefit is the proportion of true positives minus the proportion of false positives multiplied by the "
            "odds of the threshold probability. The threshold probability expresses the harm of a false positive "
            "relative to that of a false negative; it is not estimated from data. Probabilities were used as supplied; "
            "miscalibration changes the net benefit."
        )
    ]
    blocks += _figures(evidence)
    less = overall(evidence, "decision", "net_benefit_difference")
    tables = [_table(evidence, frame, less, rater) for rater in evidence.cast.raters]
    blocks += [
        appendix("Net benefit at threshold probabilities, compared with treating all", tuple(t for t in tables if t))
    ]
    between = less.filter(pl.col("contrast") != TREAT_ALL)
    models, seeds = split_pairs(evidence, between)
    if models.height:
        blocks.append(appendix("Comparison of models", (_between(evidence, models),)))
    if seeds.height:
        blocks.append(appendix("Comparison with single seeds", (_between(evidence, seeds),)))
    return Section("decision", title, (*blocks, *seed_note(evidence)))


def _figures(evidence: ReportData) -> list[Block]:
    frames, everyone = series(evidence, "net_benefit"), series(evidence, "treat_all")
    if not frames:
        return []
    names = drawn_findings(evidence, frames)
    common = [f for f in _by_frequency(evidence) if f in names][:_SHOWN]
    first = [f for f in names if f in common]
    made: list[Block] = [_figure(evidence, frames, everyone, first, "decision-curves")]
    rest = [f for f in names if f not in first]
    if rest:
        made.append(
            appendix(
                "Decision curves of the other findings", (_figure(evidence, frames, everyone, rest, "decision-rest"),)
            )
        )
    return made


def _by_frequency(evidence: ReportData) -> list[str]:
    rows = overall(evidence, "standalone", "prevalence").filter(pl.col("estimate").is_not_nan())
    return rows.group_by("finding").agg(pl.col("estimate").max()).sort("estimate", descending=True)["finding"].to_list()


def _figure(
    evidence: ReportData,
    frames: list[tuple[str, pl.DataFrame]],
    everyone: list[tuple[str, pl.DataFrame]],
    names: list[str],
    name: str,
) -> Figure:
    caption = (
        f"Net benefit per 1,000 cases of {whose(evidence, frames)} with pointwise confidence bands; dashed: treating "
        "all; line at 0: treating none. Each panel ends where all curves are below 3% of the highest net benefit."
    )
    alt = f"Decision curves per finding. {caption} The numbers are in the tables."
    headings = {f: evidence.heading(f) for f in names}
    how = {"headings": headings, "name": name, "alt": alt, "numbers": curve_series(evidence, frames)}
    wide, phone = both_widths(decision_panels, frames, everyone, names, **how)
    mine = [(s, f.filter(pl.col("finding").is_in(names))) for s, f in frames]
    all_of = [(f"treat all, {s}", f.filter(pl.col("finding").is_in(names))) for s, f in everyone]
    return Figure(wide, caption, name, points([*mine, *all_of], x="threshold", y="net_benefit"), phone=phone)


def _thousand(row: dict[str, Any] | None) -> Cell:
    if row is None:
        return Cell("")
    value, low, high = (1000 * number(row[k]) for k in ("estimate", "low", "high"))
    return Cell(interval(value, low, high, 1, signed=True), "num", notes=notes_of(row))


def _at(at: str) -> str:
    return value_at(at, "threshold")


def _table(evidence: ReportData, frame: pl.DataFrame, less: pl.DataFrame, rater: str) -> Table | None:
    rows = by(frame.filter(rater=rater), "population", "finding", "at")
    minus = by(less.filter(rater=rater, contrast=TREAT_ALL), "population", "finding", "at")
    stated = sorted({k[2] for k in rows})
    shown = [p for p in evidence.cast.populations_of(rater) if any(k[0] == p for k in rows)]
    body: list[tuple[Cell, ...]] = []
    for p in shown:
        if len(shown) > 1:
            body.append(group(population_title(evidence, p), 2 * len(stated) + 1))
        for f in evidence.cast.findings:
            if any((p, f, at) in rows for at in stated):
                cells = [
                    c for at in stated for c in (_thousand(rows.get((p, f, at))), _thousand(minus.get((p, f, at))))
                ]
                body.append((Cell(evidence.heading(f)), *cells))
    if not body:
        return None
    head = heads("Finding", *(t for at in stated for t in (f"at {_at(at)}", f"minus treating all, {_at(at)}")))
    caption = f"Net benefit of {rater} per 1,000 cases, and its difference from treating all."
    return table(caption, (head,), body, compact=True)


def _between(evidence: ReportData, frame: pl.DataFrame) -> Table:
    body = [
        (
            Cell(evidence.heading(r["finding"])),
            Cell(f"{r['rater']} − {r['contrast'].partition(':')[2]}"),
            Cell(population_title(evidence, r["population"])),
            Cell(_at(r["at"]), "num"),
            _thousand(r),
            *p_cells(r),
        )
        for r in in_page_order(evidence, frame).iter_rows(named=True)
    ]
    head = heads("Finding", "Models", "Population", "Threshold", "Difference per 1,000", "p", "p (Holm)")
    return table("Difference in net benefit between two models on the same cases.", (head,), body, compact=True)
