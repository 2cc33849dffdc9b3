"""Differences: model against model, internal against external, the site alone, and train by test."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import polars as pl

from overread.reporting.blocks import Block, Cell, Folded, Section, Table, Text, group, heads, table
from overread.reporting.estimate_cells import classes_cell, estimate_cell, p_cells
from overread.reporting.figures.forest_plots import Line, Scale, forest_figure, mark_of
from overread.reporting.number_format import number
from overread.reporting.report_data import (
    MEAN,
    ReportData,
    by,
    in_order,
    overall,
    pick,
    population_title,
)


def comparison(evidence: ReportData) -> Section:
    """Paired comparison of models on the same cases, p adjusted by Holm."""
    title = "Comparison of models"
    frame = overall(evidence, "comparison", "auc_difference")
    if frame.is_empty():
        return Section("comparison", title, absent="one model only, so there is nothing to compare")
    blocks: list[Block] = []
    pairs = frame.select("rater", "contrast").unique(maintain_order=True).rows()
    for i, (rater, contrast) in enumerate(pairs):
        part = frame.filter(pl.col("rater") == rater, pl.col("contrast") == contrast)
        made = _pair(evidence, part, rater, contrast.partition(":")[2], f"comparison-{i}")
        blocks += made if i == 0 else [Folded(f"“{rater}” against “{contrast.partition(':')[2]}”", tuple(made))]
    return Section("comparison", title, tuple(blocks))


def _pair(evidence: ReportData, frame: pl.DataFrame, a: str, b: str, name: str) -> list[Block]:
    rows = by(frame, "population", "finding")
    shown = in_order(k[0] for k in rows)
    lines = [
        Line(
            evidence.heading(f),
            tuple(mark_of(rows.get((p, f)), i, signed=True) for i, p in enumerate(shown)),
            strong=f == MEAN,
        )
        for f in (MEAN, *evidence.cast.findings)
        if any((p, f) in rows for p in shown)
    ]
    caption = f"Difference in AUC, “{a}” minus “{b}”, on the same cases, with intervals."
    scale = Scale("Difference in AUC", null=0.0, signed=True, better=(f"← “{b}” better", f"“{a}” better →"))
    names = [population_title(evidence, p) for p in shown]
    picture = forest_figure(lines, names, scale, name=name, caption=caption)
    return [picture, difference_table(evidence, rows, caption, "Difference")]


def difference_table(evidence: ReportData, rows: dict, caption: str, heading: str) -> Table:
    """Differences per population and finding with p and adjusted p; `rows` keyed by (population, finding)."""
    body: list[tuple[Cell, ...]] = []
    populations = in_order(k[0] for k in rows)
    for p in populations:
        if len(populations) > 1:
            body.append(group(population_title(evidence, p), 5))
        for f in (*evidence.cast.findings, MEAN):
            row = rows.get((p, f))
            if row is not None:
                cells = (classes_cell(row), estimate_cell(row, signed=True), *p_cells(row))
                body.append((Cell(evidence.heading(f), kind="strong" if f == MEAN else ""), *cells))
    families = {r["family"] for r in rows.values() if r.get("family")}
    remark = f"Adjusted by Holm within: {'; '.join(sorted(families))}." if families else ""
    return table(caption, (heads("Finding", "Present / absent", heading, "p", "p adjusted"),), body, remark=remark)


def drop(evidence: ReportData) -> Section:
    """The internal-to-external drop of every model."""
    title = "From internal to external"
    frame = overall(evidence, "drop", "auc_drop")
    if frame.is_empty():
        return Section("drop", title, absent="no external site, so there is no internal-to-external drop")
    blocks: list[Block] = [
        Text(
            "Drop = internal AUC − external AUC. The internal AUC is the unweighted mean over the training sites of "
            "the AUC "
            "within each site. It is a difference between two groups of patients, not an effect: case mix and the "
            "source of "
            "the labels differ too."
        )
    ]
    for i, rater in enumerate(r for r in evidence.cast.raters if pick(frame, rater=r).height):
        part = pick(frame, rater=rater).with_columns(
            pl.col("contrast").str.strip_prefix("population:").alias("external")
        )
        made = _drop_blocks(evidence, by(part, "external", "finding"), rater)
        blocks += made if i == 0 else [Folded(f"Drop of “{rater}”", tuple(made))]
    return Section("drop", title, tuple(blocks))


def _drop_blocks(evidence: ReportData, rows: dict, rater: str) -> list[Block]:
    shown = in_order(k[0] for k in rows)
    lines = [
        Line(
            evidence.heading(f),
            tuple(mark_of(rows.get((p, f)), i + 1, signed=True) for i, p in enumerate(shown)),
            strong=f == MEAN,
        )
        for f in (MEAN, *evidence.cast.findings)
        if any((p, f) in rows for p in shown)
    ]
    caption = f"Drop in AUC of “{rater}” from the internal test to each external site, with intervals."
    scale = Scale("Internal − external AUC", null=0.0, better=("← better outside", "worse outside →"))
    names = ["", *(population_title(evidence, p) for p in shown)]
    return [
        forest_figure(lines, names, scale, name=f"drop-{rater}", caption=caption),
        difference_table(evidence, rows, caption, "Internal − external"),
    ]


def site_alone(evidence: ReportData) -> Section:
    """What the site alone tells: its prevalence as a score, beside the model."""
    title = "What the site alone tells"
    frame = pick(evidence.estimates, analysis="site_alone")
    if frame.is_empty():
        absent = "the prevalence per training site is not known, so the site alone could not be scored"
        return Section("site-alone", title, absent=absent)
    blocks: list[Block] = [
        Text(
            "The score here is nothing but the finding's prevalence at the patient's site in the training split. Where "
            "that alone sorts the mixed test set well, a high AUC over mixed sites proves little; the AUC within sites "
            "is the one to read."
        )
    ]
    for i, rater in enumerate(r for r in evidence.cast.raters if r in set(frame["rater"])):
        made = _site_alone_table(evidence, frame, rater)
        blocks.append(made if i == 0 else Folded(f"The site alone beside “{rater}”", (made,)))
    return Section("site-alone", title, tuple(blocks))


def _site_alone_table(evidence: ReportData, frame: pl.DataFrame, rater: str) -> Table:
    site = f"(site) {rater}"
    kinds = (
        ("Site alone", site, "auc", "pairs=all"),
        (f"“{rater}”, all pairs", rater, "auc", "pairs=all"),
        ("Difference", rater, "auc_difference", "pairs=all"),
        (f"“{rater}”, pairs within sites", rater, "auc", "pairs=site"),
    )
    rows = by(pick(frame, population="internal"), "finding", "rater", "metric", "at")
    body = []
    for f in (f for f in (*evidence.cast.findings, MEAN) if (f, site, "auc", "pairs=all") in rows):
        cells = [
            estimate_cell(r, signed=m == "auc_difference") if (r := rows.get((f, who, m, at))) else Cell("")
            for _, who, m, at in kinds
        ]
        body.append((Cell(evidence.heading(f)), *cells))
    outside = frame.filter(pl.col("rater") == site, pl.col("population") != "internal")
    unseen = [n for n in outside["note"].unique(maintain_order=True).to_list() if n]
    remark = f"At external sites: {'; '.join(unseen)}." if unseen else ""
    caption = (
        f"AUC of the site alone beside that of “{rater}”, on the internal test of all its training sites together."
    )
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
    blocks += [Folded("Train by test, per finding", others)] if first and others else list(others)
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
