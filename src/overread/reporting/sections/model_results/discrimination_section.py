"""How well present is told from absent: AUC internal against external, per finding and model, and ROC curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from overread.reporting.blocks import Block, Cell, Figure, Folded, Paragraph, Section, Table, appendix, heads, table
from overread.reporting.estimate_cells import estimate_cell, known
from overread.reporting.figures.curve_panels import points, roc_panels
from overread.reporting.figures.drawing_style import others_series
from overread.reporting.figures.figure_pool import both_widths
from overread.reporting.figures.forest_drawing import Scale
from overread.reporting.figures.forest_plots import Line, forest_figure, mark_of
from overread.reporting.first_page.mean_aucs import drawn_models, model_means
from overread.reporting.number_format import fixed, listed
from overread.reporting.report_data import MEAN, ReportData, Row, by, overall, pick, population_title
from overread.reporting.sections.summary import outcome_table
from overread.reporting.seed_rows import folded_seeds, section_raters, seed_note, single_seeds

FOLDED_SEEDS = "The means over the training seeds are under Variation over seeds; each seed is folded below."
_BESIDE = 3  # models side by side in one table
_DRAWN_FIRST = 4  # models whose forest is before the tables


def discrimination(evidence: ReportData) -> Section:
    """AUC per finding: forest plot, table, ROC curves."""
    title = "Discrimination"
    if overall(evidence, "standalone", "auc").is_empty():
        return Section("discrimination", title, absent="no AUC was estimated")
    blocks: list[Block] = []
    last: list[Block] = []
    models = section_raters(evidence)
    first, *others = models or ("",)
    if len(evidence.cast.populations) > 1 or not others:
        blocks += _rater_blocks(evidence, first)
        blocks += [appendix(f"The same for {r}", tuple(_rater_blocks(evidence, r))) for r in others]
        if others:
            blocks.append(appendix("All models, internal test", tuple(_models_forest(evidence))))
    else:
        population = evidence.cast.populations[0]
        columns = [(r, r, population) for r in models]
        for i in range(0, len(columns), _BESIDE):
            made = outcome_table(
                evidence, columns[i : i + _BESIDE], f"AUC per finding, {_where(evidence, population)}."
            )
            shown = f"AUC per finding of {listed([r for r, *_ in columns[i : i + _BESIDE]])}"
            blocks += [made if i == 0 else appendix(shown, (made,))] if made else []
        forest = _models_forest(evidence)
        many = len(columns) > _DRAWN_FIRST
        blocks = blocks if many else [*forest, *blocks]
        last = forest if many else []  # it takes a sheet of its own; what is before it fills the first one
    blocks += [*_all_pairs(evidence), *_roc_blocks(evidence), *last]
    if set(models) <= set(single_seeds(evidence)):
        return Section("discrimination", title, (appendix("AUC of each seed", blocks),), answer=FOLDED_SEEDS)
    return Section("discrimination", title, (*blocks, *_seeds(evidence), *seed_note(evidence)))


def _seeds(evidence: ReportData) -> list[Block]:
    """The AUC of each seed that does not stand beside the models."""
    made = []
    for r in folded_seeds(evidence):
        columns = [(population_title(evidence, p), r, p) for p in evidence.cast.populations_of(r)]
        made += [t] if (t := outcome_table(evidence, columns, f"AUC of {r} per finding.")) else []
    return [appendix("AUC of each seed", made)] if made else []


def _aucs(evidence: ReportData) -> pl.DataFrame:
    return pick(overall(evidence, "standalone", "auc"), at="")


def _rater_blocks(evidence: ReportData, rater: str) -> list[Block]:
    rows = by(pick(_aucs(evidence), rater=rater), "finding", "population")
    shown = [p for p in evidence.cast.populations_of(rater) if any(k[1] == p for k in rows)]
    lines = [
        Line(evidence.heading(f), tuple(mark_of(rows.get((f, p)), i) for i, p in enumerate(shown)), strong=f == MEAN)
        for f in evidence.cast.mean_and_findings
        if any((f, p) in rows for p in shown)
    ]
    names = [population_title(evidence, p) for p in shown]
    several = len(shown) > 1
    caption = f"AUC of {rater} with CIs{', internal test against external sites' if several else ''}."
    scale = Scale("AUC", null=0.5, limits=_auc_limits(lines))
    series = others_series(len(names)) if several else [evidence.cast.series(rater)]
    picture = forest_figure(lines, names, scale, name=f"forest-{rater}", caption=caption, numbers=series)
    columns = list(zip(names, [rater] * len(names), shown, strict=True))
    where = "internal test and each external site" if several else _where(evidence, shown[0]) if shown else ""
    made = outcome_table(evidence, columns, f"AUC of {rater} per finding: {where}.")
    return [picture, made] if made else [picture]


def _where(evidence: ReportData, population: str) -> str:
    title = population_title(evidence, population)
    return title.lower() if population == "internal" else title


def _models_forest(evidence: ReportData) -> list[Block]:
    population = evidence.cast.populations[0] if evidence.cast.populations else ""
    rows = by(pick(_aucs(evidence), population=population), "finding", "rater")
    raters = [r for r in section_raters(evidence) if any(k[1] == r for k in rows)]
    lines = [
        Line(evidence.heading(f), tuple(mark_of(rows.get((f, r)), i) for i, r in enumerate(raters)), strong=f == MEAN)
        for f in evidence.cast.mean_and_findings
        if any((f, r) in rows for r in raters)
    ]
    caption = f"AUC by model with CIs, {_where(evidence, population)}."
    scale = Scale("AUC", null=0.5, limits=_auc_limits(lines))
    series = [evidence.cast.series(r) for r in raters]
    return [forest_figure(lines, raters, scale, name="forest-models", caption=caption, numbers=series)]


def _auc_limits(lines: Sequence[Line]) -> tuple[float, float]:
    lows = [x for r in lines for m in r.marks for x in (m.low, m.value) if x == x]
    return min(0.48, max(0.0, min(lows, default=0.5) - 0.02)), 1.01


def _all_pairs(evidence: ReportData) -> list[Block]:
    """Beside the main analysis: the AUC of all pairs where pairs were compared within sites or strata, or the other
    way round.
    """
    aucs = overall(evidence, "standalone", "auc")
    if not (frame := pick(overall(evidence, "standalone", "auc_difference"), at="pairs=all")).is_empty():
        return [Folded("Pairs of the same site and all pairs", (_pairs_table(evidence, aucs, frame),))]
    frame = pick(aucs, at="pairs=all")
    if frame.is_empty():
        return []
    rows, within = by(frame, "rater", "population", "finding"), by(_aucs(evidence), "rater", "population", "finding")
    body = [
        (
            Cell(evidence.heading(f)),
            Cell(r),
            Cell(population_title(evidence, p)),
            estimate_cell(within.get((r, p, f))),
            estimate_cell(row),
        )
        for (r, p, f), row in rows.items()
    ]
    head = heads("Finding", "Model", "Population", "Pairs within strata", "All pairs")
    caption = (
        "AUC of pairs within strata and of all pairs. The main analysis uses pairs within strata; the "
        "site-only baseline "
        "uses all pairs."
    )
    return [Folded("AUC of all pairs", (table(caption, (head,), body, compact=True),))]


def _pairs_table(evidence: ReportData, aucs: pl.DataFrame, differences: pl.DataFrame) -> Table:
    """AUC over pairs of the same site, over all pairs, and their difference."""
    rows = by(aucs, "rater", "population", "finding", "at")
    pooled = "pairs=site" in set(aucs["at"])
    site, every = ("pairs=site", "") if pooled else ("", "pairs=all")
    body = [
        (
            Cell(evidence.heading(f), kind="strong" if f == MEAN else ""),
            Cell(r),
            Cell(population_title(evidence, p)),
            estimate_cell(rows.get((r, p, f, site))),
            estimate_cell(rows.get((r, p, f, "pairs=all")) or rows.get((r, p, f, every))),
            estimate_cell(row, signed=True),
        )
        for (r, p, f), row in by(differences, "rater", "population", "finding").items()
        if f in evidence.cast.findings_and_mean
    ]
    head = heads("Finding", "Model", "Population", "Pairs of the same site", "All pairs", "Difference")
    main = "all pairs" if pooled else "pairs of the same site"
    caption = f"AUC over pairs of cases of the same site and over all pairs. The main analysis uses {main}."
    return table(caption, (head,), body, compact=True)


def series(evidence: ReportData, curve: str) -> list[tuple[str, pl.DataFrame]]:
    """The curves to lay over each other: the lead's populations, or, where there is one population, the raters."""
    frame = evidence.curves.filter(pl.col("curve") == curve, pl.col("subgroup").is_in(["", "all"]))
    shown = [p for p in evidence.cast.populations if p in set(frame["population"])]
    if len(shown) > 1:
        parts = [(population_title(evidence, p), pick(frame, rater=evidence.cast.lead, population=p)) for p in shown]
    else:
        parts = [(r, pick(frame, rater=r)) for r in drawn_models(evidence)]
    return [p for p in parts if p[1].height]


def curve_series(evidence: ReportData, frames: Sequence[tuple[str, pl.DataFrame]]) -> list[int]:
    """The series of the curves: of models their own, of populations one after the other."""
    raters = [frame["rater"][0] for _, frame in frames]
    if len(set(raters)) == len(raters):
        return [evidence.cast.series(r) for r in raters]
    return others_series(len(frames))


def whose(evidence: ReportData, frames: Sequence[tuple[str, pl.DataFrame]]) -> str:
    """Whose curves these are, for a caption; of more models than are drawn, how they were chosen."""
    raters = {frame["rater"][0] for _, frame in frames}
    if len(raters) == 1:
        return str(raters.pop())
    every = len(section_raters(evidence))
    fewer = evidence.cast.populations and len(drawn_models(evidence)) < every
    chosen = f" (of {every} models, those with the highest {model_means(evidence).name()})" if fewer else ""
    return f"the models {listed(sorted(raters))}{chosen}"


def drawn_findings(evidence: ReportData, frames: Sequence[tuple[str, pl.DataFrame]]) -> list[str]:
    """The findings that have a curve, in the page's order."""
    there = {f for _, frame in frames for f in frame["finding"].unique().to_list()}
    return [f for f in evidence.cast.findings if f in there]


def _roc_blocks(evidence: ReportData) -> list[Block]:
    frames = series(evidence, "roc")
    if not frames:
        return [Paragraph("No ROC curves were evaluated.", kind="small")]
    names = drawn_findings(evidence, frames)
    rows, areas = by(_aucs(evidence), "finding", "rater", "population"), _aucs_of_all_pairs(evidence)
    labels = {}
    for i, (_, frame) in enumerate(frames):
        for f in names:
            key = (f, frame["rater"][0], frame["population"][0])
            row = areas.get(key) or rows.get(key)
            if row is not None and known(row):
                labels[f, i] = fixed(row["estimate"])
    caption = (
        f"ROC curves of {whose(evidence, frames)} with pointwise confidence bands; AUCs are in the colour of their "
        "curves. No curve is drawn without cases of both classes."
    )
    if areas:
        caption += (
            " Of several sites, a curve is over the cases of all sites at common thresholds and its AUC is that of all "
            "pairs; the tables give the AUC over pairs of the same site."
        )
    alt = f"ROC curves per finding. {caption} The AUCs are in the tables."
    headings = {f: evidence.heading(f) for f in names}
    how = {"headings": headings, "labels": labels, "numbers": curve_series(evidence, frames)}
    wide, phone = both_widths(roc_panels, frames, names, **how, name="roc", alt=alt)
    return [Figure(wide, caption, "roc", points(frames, x="1 - specificity", y="sensitivity"), phone=phone)]


def _aucs_of_all_pairs(evidence: ReportData) -> dict[Any, Row]:
    """The AUCs that are the areas under the curves, where the main analysis compares cases of the same site only."""
    frame = pick(overall(evidence, "standalone", "auc"), at="pairs=all")
    frame = frame.filter(pl.col("note_codes").str.contains("sites_compared", literal=True))
    return by(frame, "finding", "rater", "population")
