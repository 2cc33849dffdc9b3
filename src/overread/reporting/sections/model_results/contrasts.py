"""Differences: between models, between internal and external AUC, site-only baseline, and train by test."""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from typing import Any

import polars as pl

from overread.reporting.blocks import Block, Cell, Paragraph, Section, Table, appendix, group, heads, table
from overread.reporting.estimate_cells import classes_cell, codes_of, estimate_cell, notes_of, p_cells
from overread.reporting.figures.drawing_style import others_series
from overread.reporting.figures.forest_drawing import Scale
from overread.reporting.figures.forest_plots import Line, forest_figure, mark_of
from overread.reporting.first_page.mean_aucs import model_means
from overread.reporting.number_format import number
from overread.reporting.report_data import (
    MEAN,
    ReportData,
    by,
    contrast_of,
    in_order,
    in_page_order,
    overall,
    pick,
    population_title,
    value_at,
)
from overread.reporting.sections import absence_reasons
from overread.reporting.seed_rows import seed_note, split_pairs


def comparison(evidence: ReportData) -> Section:
    """Paired comparison of models on the same cases, p adjusted by Holm."""
    title = "Comparison of models"
    frame = overall(evidence, "comparison", "auc_difference")
    decisions = _decision_tables(evidence)
    if frame.is_empty() and not decisions:
        return Section("comparison", title, absent=absence_reasons.comparison(evidence))
    models, seeds = split_pairs(evidence, in_page_order(evidence, frame))
    pairs = models.select("rater", "contrast").unique(maintain_order=True).rows()
    best = set(model_means(evidence).ranked(next(iter(evidence.cast.populations), ""))[:2])
    pairs.sort(key=lambda pair: {pair[0], contrast_of(pair[1], "rater")} != best)  # that of the answer is shown first
    blocks: list[Block] = []
    for i, (rater, contrast) in enumerate(pairs):
        made = _pair(evidence, pick(models, rater=rater, contrast=contrast), f"comparison-{i}")
        blocks += made if i == 0 else [appendix(f"{rater} against {contrast_of(contrast, 'rater')}", made)]
    with_seeds = seeds.select("rater", "contrast").unique(maintain_order=True).rows()
    tables = [_pair_table(evidence, pick(seeds, rater=r, contrast=c)) for r, c in with_seeds]
    blocks += [appendix("Comparisons with single seeds", tables)] if tables else []
    return Section("comparison", title, (*blocks, *decisions, *seed_note(evidence)))


def _decision_tables(evidence: ReportData) -> list[Block]:
    """Differences in sensitivity and specificity on the same cases: decisions of two models, or decisions and a given
    threshold of another model.
    """
    tables: list[Block] = []
    for rate in ("sensitivity", "specificity"):
        frame = in_page_order(evidence, overall(evidence, "comparison", f"{rate}_difference"))
        for rater, contrast, at in frame.select("rater", "contrast", "at").unique(maintain_order=True).rows():
            rows = by(pick(frame, rater=rater, contrast=contrast, at=at), "population", "finding")
            other = contrast_of(contrast, "rater")
            point = value_at(at, "operating_point")
            of = f"decisions and of scores at the given threshold {point}" if point else "decisions"
            caption = f"Difference in {rate} of {of}, {rater} minus {other}, on the same cases, with CIs."
            tables.append(difference_table(evidence, rows, caption, "Difference"))
    return tables


def _pair(evidence: ReportData, frame: pl.DataFrame, name: str) -> list[Block]:
    a, b = _sides(frame)
    rows = by(frame, "population", "finding")
    shown = in_order(k[0] for k in rows)
    lines = [
        Line(
            evidence.heading(f),
            tuple(mark_of(rows.get((p, f)), i, signed=True) for i, p in enumerate(shown)),
            strong=f == MEAN,
        )
        for f in evidence.cast.mean_and_findings
        if any((p, f) in rows for p in shown)
    ]
    caption = _pair_caption(a, b)
    scale = Scale("Difference in AUC", null=0.0, signed=True, better=(f"← {b} higher", f"{a} higher →"))
    names = [population_title(evidence, p) for p in shown]
    picture = forest_figure(lines, names, scale, name=name, caption=caption, numbers=others_series(len(names)))
    return [picture, _pair_table(evidence, frame)]


def _pair_table(evidence: ReportData, frame: pl.DataFrame) -> Table:
    rows = by(frame, "population", "finding")
    return difference_table(evidence, rows, _pair_caption(*_sides(frame)), "Difference")


def _sides(frame: pl.DataFrame) -> tuple[str, str]:
    """The two models of a pair."""
    return frame["rater"][0], contrast_of(frame["contrast"][0], "rater")


def _pair_caption(a: str, b: str) -> str:
    return f"Difference in AUC, {a} minus {b}, on the same cases, with CIs."


def difference_table(evidence: ReportData, rows: dict[Any, Any], caption: str, heading: str) -> Table:
    """Differences per population and finding with p and adjusted p; `rows` keyed by (population, finding)."""
    body: list[tuple[Cell, ...]] = []
    populations = in_order(k[0] for k in rows)
    for p in populations:
        if len(populations) > 1:
            body.append(group(population_title(evidence, p), 5))
        for f in evidence.cast.findings_and_mean:
            row = rows.get((p, f))
            if row is not None:
                cells = (classes_cell(row), estimate_cell(row, signed=True), *p_cells(row))
                body.append((Cell(evidence.heading(f), kind="strong" if f == MEAN else ""), *cells))
    families = {r["family"] for r in rows.values() if r.get("family")}
    remark = f"Holm-adjusted within: {'; '.join(sorted(families))}." if families else ""
    return table(caption, (heads("Finding", "Present / absent", heading, "P", "P (Holm)"),), body, remark=remark)


def drop(evidence: ReportData) -> Section:
    """The internal-to-external drop of every model."""
    title = "From internal to external"
    frame = overall(evidence, "drop", "auc_drop")
    if frame.is_empty():
        return Section("drop", title, absent=absence_reasons.drop(evidence))
    blocks: list[Block] = [
        Paragraph(
            f"Drop: internal minus external AUC. {_SEVERAL_SITES[_aggregation(frame)]} The drop is a difference "
            "between two groups of patients: it may reflect differences in case mix and labelling as well as in the "
            "performance of the model."
        )
    ]
    for i, rater in enumerate(r for r in evidence.cast.raters if pick(frame, rater=r).height):
        part = pick(frame, rater=rater)
        external = [contrast_of(contrast, "population") for contrast in part["contrast"]]
        part = part.with_columns(pl.Series("external", external, pl.String))
        made = _drop_blocks(evidence, by(part, "external", "finding"), rater)
        blocks += made if i == 0 else [appendix(f"Drop of {rater}", tuple(made))]
    return Section("drop", title, tuple(blocks))


_SEVERAL_SITES = {
    "": "The AUC of several internal sites is the unweighted mean of the within-site AUCs.",
    "aggregation_stratified": "The AUC of several internal sites is over pairs of cases of the same site.",
    "aggregation_pooled": "The AUC of several internal sites is over all pairs of their cases.",
}


def _aggregation(frame: pl.DataFrame) -> str:
    """The code of the note on how sites were aggregated; "" of a mean over sites."""
    names = {code.name for row in frame.iter_rows(named=True) for code in codes_of(row)}
    return next((name for name in _SEVERAL_SITES if name in names), "")


def _drop_blocks(evidence: ReportData, rows: dict[Any, Any], rater: str) -> list[Block]:
    shown = in_order(k[0] for k in rows)
    lines = [
        Line(
            evidence.heading(f),
            tuple(mark_of(rows.get((p, f)), i + 1, signed=True) for i, p in enumerate(shown)),
            strong=f == MEAN,
        )
        for f in evidence.cast.mean_and_findings
        if any((p, f) in rows for p in shown)
    ]
    caption = f"Drop in AUC of {rater} from the internal test to each external site, with CIs."
    scale = Scale("Internal − external AUC", null=0.0, better=("← higher outside", "lower outside →"))
    names = ["", *(population_title(evidence, p) for p in shown)]
    return [
        forest_figure(lines, names, scale, name=f"drop-{rater}", caption=caption, numbers=others_series(len(names))),
        difference_table(evidence, rows, caption, "Internal − external"),
    ]


def site_alone(evidence: ReportData) -> Section:
    """Site-only baseline: the prevalence at the site as score, compared with the model."""
    title = "Site-only baseline"
    frame = pick(evidence.estimates, analysis="site_alone")
    if frame.is_empty():
        return Section("site-alone", title, absent=absence_reasons.site_alone(evidence))
    blocks: list[Block] = [
        Paragraph(
            "The score of the baseline is the prevalence of the finding at the site of the case in the training set. "
            "Where its AUC is high, an AUC over all pairs of cases of several sites may reflect differences between "
            "sites; within-site AUCs do not."
        )
    ]
    for i, rater in enumerate(r for r in evidence.cast.raters if r in set(frame["rater"])):
        made = _site_alone_table(evidence, frame, rater)
        blocks.append(made if i == 0 else appendix(f"Site-only baseline and {rater}", (made,)))
    return Section("site-alone", title, tuple(blocks))


def _site_alone_table(evidence: ReportData, frame: pl.DataFrame, rater: str) -> Table:
    site = f"(site) {rater}"
    kinds = (
        ("Site-only baseline", site, "auc", "pairs=all"),
        (f"{rater}, all pairs", rater, "auc", "pairs=all"),
        ("Difference", rater, "auc_difference", "pairs=all"),
        (f"{rater}, pairs within sites", rater, "auc", "pairs=site"),
    )
    rows = by(pick(frame, population="internal"), "finding", "rater", "metric", "at")
    body = []
    for f in (f for f in evidence.cast.findings_and_mean if (f, site, "auc", "pairs=all") in rows):
        cells = [
            estimate_cell(r, signed=m == "auc_difference") if (r := rows.get((f, who, m, at))) else Cell("")
            for _, who, m, at in kinds
        ]
        body.append((Cell(evidence.heading(f)), *cells))
    outside = frame.filter(pl.col("rater") == site, pl.col("population") != "internal")
    unseen = list(dict.fromkeys(note for row in outside.iter_rows(named=True) for note in notes_of(row)))
    remark = f"At external sites: {'; '.join(unseen)}." if unseen else ""
    caption = f"AUC of the site-only baseline and of {rater} on the internal test set of all its training sites."
    return table(caption, (heads("Finding", *(t for t, *_ in kinds)),), body, remark=remark)


def matrix(evidence: ReportData) -> Section:
    """Train by test: the mean AUC of every model at every site."""
    title = "Train by test"
    frame = pick(evidence.estimates, analysis="matrix", metric="auc")
    if frame.is_empty():
        return Section("matrix", title, absent="no train-by-test matrix was evaluated")
    findings = frame["finding"].unique().to_list()
    first = [MEAN] if MEAN in findings else []
    blocks: list[Block] = [_matrix_table(evidence, frame, f) for f in first]
    others = tuple(_matrix_table(evidence, frame, f) for f in evidence.cast.findings if f in findings)
    blocks += [appendix("Train by test, by finding", others)] if first and others else list(others)
    return Section("matrix", title, tuple(blocks))


def _matrix_table(evidence: ReportData, frame: pl.DataFrame, finding: str) -> Table:
    part = frame.filter(pl.col("finding") == finding)
    sites = sorted(part["level"].unique().to_list())
    rows = by(part, "rater", "level")
    body = []
    for rater in (r for r in evidence.cast.raters if any(k[0] == r for k in rows)):
        cells = []
        for site in sites:
            row = rows.get((rater, site))
            cell = estimate_cell(row)
            value = number(row["estimate"]) if row else float("nan")
            inside = row is not None and row["population"] == "internal"
            shade = None if isnan(value) else min(max((value - 0.5) / 0.5, 0.0), 1.0)
            cells.append(replace(cell, shade=shade, note="internal" if inside else ""))
        body.append((Cell(rater), *cells))
    caption = (
        f"AUC by model (rows) and site of the test patients (columns): {evidence.heading(finding).lower()}. Darker is "
        "higher."
    )
    return table(caption, ((Cell("Trained"), *(Cell(f"Tested at {s}") for s in sites)),), tuple(body))
