"""How well: AUC internal against external, ROC curves, operating points, calibration."""

from __future__ import annotations

import polars as pl

from overread.report.blocks import Block, Cell, Figure, Folded, Footnotes, Section, Table, Text, group, heads
from overread.report.cells import estimate_cell, known, value_cell
from overread.report.curves import calibration_panels, roc_panels
from overread.report.evidence import (
    MEAN,
    Evidence,
    at_title,
    by,
    finding_title,
    overall,
    pick,
    population_title,
)
from overread.report.forest import Line, Scale, forest, mark_of
from overread.report.numbers import fixed
from overread.report.summary import outcome_table

_RATES = (("sensitivity", "Sensitivity"), ("specificity", "Specificity"), ("ppv", "PPV"), ("npv", "NPV"), ("f1", "F1"))
_CALIBRATION = (
    ("calibration_intercept", "Intercept"),
    ("calibration_slope", "Slope"),
    ("calibration_in_the_large", "In the large"),
    ("brier", "Brier score"),
    ("ece", "ECE"),
)


def discrimination(evidence: Evidence) -> Section:
    """AUC per finding: forest plot, table, ROC curves."""
    title = "Discrimination"
    if overall(evidence, "standalone", "auc").is_empty():
        return Section("discrimination", title, absent="no AUC was estimated")
    blocks: list[Block] = []
    first, *others = evidence.cast.raters or ("",)
    if len(evidence.cast.populations) > 1 or not others:
        blocks += _rater_blocks(evidence, first)
        blocks += [Folded(f"The same for “{r}”", tuple(_rater_blocks(evidence, r))) for r in others]
        if others:
            blocks.append(Folded("All models side by side, internal test", tuple(_models_forest(evidence))))
    else:
        blocks += _models_forest(evidence)
        blocks += [t for r in evidence.cast.raters if (t := outcome_table(evidence, r))]
    blocks += _roc_blocks(evidence)
    return Section("discrimination", title, tuple(blocks))


def _rater_blocks(evidence: Evidence, rater: str) -> list[Block]:
    rows = by(pick(overall(evidence, "standalone", "auc"), rater=rater), "finding", "population")
    shown = [p for p in evidence.cast.populations_of(rater) if any(k[1] == p for k in rows)]
    lines = [
        Line(finding_title(f), tuple(mark_of(rows.get((f, p)), i) for i, p in enumerate(shown)), strong=f == MEAN)
        for f in (MEAN, *evidence.cast.findings)
        if any((f, p) in rows for p in shown)
    ]
    names = [population_title(evidence, p) for p in shown]
    caption = f"AUC of “{rater}” with intervals" + (
        ", internal test against external sites." if len(shown) > 1 else "."
    )
    alt = f"Forest plot. {caption} " + "; ".join(f"{r.title}: " + ", ".join(m.label for m in r.marks) for r in lines)
    scale = Scale("AUC", null=0.5, limits=_auc_limits(lines))
    picture = Figure(forest(lines, names, scale, name=f"forest-{rater}", alt=alt), caption)
    table = outcome_table(evidence, rater)
    return [picture, table] if table else [picture]


def _models_forest(evidence: Evidence) -> list[Block]:
    population = evidence.cast.populations[0] if evidence.cast.populations else ""
    rows = by(pick(overall(evidence, "standalone", "auc"), population=population), "finding", "rater")
    raters = [r for r in evidence.cast.raters if any(k[1] == r for k in rows)]
    lines = [
        Line(finding_title(f), tuple(mark_of(rows.get((f, r)), i) for i, r in enumerate(raters)), strong=f == MEAN)
        for f in (MEAN, *evidence.cast.findings)
        if any((f, r) in rows for r in raters)
    ]
    caption = f"AUC with intervals, {population_title(evidence, population)}, by model."
    alt = f"Forest plot. {caption} " + "; ".join(f"{r.title}: " + ", ".join(m.label for m in r.marks) for r in lines)
    scale = Scale("AUC", null=0.5, limits=_auc_limits(lines))
    return [Figure(forest(lines, raters, scale, name="forest-models", alt=alt), caption)]


def _auc_limits(lines: list[Line]) -> tuple[float, float]:
    lows = [x for r in lines for m in r.marks for x in (m.low, m.value) if x == x]
    return min(0.48, max(0.0, min(lows, default=0.5) - 0.02)), 1.01


def series(evidence: Evidence, curve: str) -> list[tuple[str, str, pl.DataFrame]]:
    """The curves to lay over each other: the lead's populations, or, where there is one population, the raters."""
    frame = evidence.curves.filter(pl.col("curve").str.starts_with(curve), pl.col("subgroup").is_in(["", "all"]))
    shown = [p for p in evidence.cast.populations if p in set(frame["population"])]
    if len(shown) > 1:
        parts = [(population_title(evidence, p), p, pick(frame, rater=evidence.cast.lead, population=p)) for p in shown]
    else:
        parts = [(r, r, pick(frame, rater=r)) for r in evidence.cast.raters]
    return [p for p in parts if p[2].height]


def _roc_blocks(evidence: Evidence) -> list[Block]:
    parts = series(evidence, "roc")
    if not parts:
        return [Text("ROC curves are left out: the evaluation holds none.", kind="small")]
    frames = [(title, frame) for title, _, frame in parts]
    there = {f for _, frame in frames for f in frame["finding"].unique().to_list()}
    names = [f for f in evidence.cast.findings if f in there]
    rows = by(overall(evidence, "standalone", "auc"), "finding", "rater", "population")
    labels = {}
    for i, (_, _, frame) in enumerate(parts):
        for f in names:
            key = (f, frame["rater"][0], frame["population"][0])
            if known(rows.get(key)):
                labels[f, i] = fixed(rows[key]["estimate"])
    who = f"“{evidence.cast.lead}”" if len({f["rater"][0] for _, f in frames}) == 1 else "each model"
    caption = (
        f"ROC curves of {who} with bands; the AUC in the ink of its curve. Nothing is drawn where a class is missing."
    )
    alt = f"ROC curves per finding. {caption} The AUCs stand in the table."
    return [Figure(roc_panels(frames, names, labels=labels, name="roc", alt=alt), caption)]


def operating(evidence: Evidence) -> Section:
    """Rates at the frozen thresholds, and sensitivity at fixed specificity (and the reverse) on the test ROC."""
    title = "Operating points"
    frame = pl.concat([overall(evidence, "standalone", m) for m, _ in _RATES])
    frozen = frame.filter(pl.col("at").str.starts_with("operating_point="))
    blocks: list[Block] = []
    for i, rater in enumerate(evidence.cast.raters):
        made = _frozen_tables(evidence, frozen.filter(pl.col("rater") == rater), rater)
        blocks += made if i == 0 else [Folded(f"Frozen thresholds of “{rater}”", tuple(made))] if made else []
    fixed_rates = [t for r in evidence.cast.raters if (t := _fixed_table(evidence, r))]
    blocks += [*fixed_rates[:1], *(Folded(t.caption.partition(" (")[0], (t,)) for t in fixed_rates[1:])]
    if not blocks:
        return Section(
            "operating", title, absent="no threshold was frozen and no rate at a fixed specificity estimated"
        )
    lead = Text(
        "A frozen threshold was chosen before the test labels were opened, so the rate that it was chosen for is itself "
        "a result here. PPV and NPV hold at the prevalence of that population and nowhere else."
    )
    return Section("operating", title, (lead, *blocks))


def _frozen_tables(evidence: Evidence, frame: pl.DataFrame, rater: str) -> list[Block]:
    made: list[Block] = []
    points = frame["at"].unique().sort().to_list()
    for i, at in enumerate(points):
        rows = by(pick(frame, at=at), "population", "finding", "metric")
        table = _rates_table(
            evidence, rows, rater, f"“{rater}”, {at_title(at)}: rates on the test set, with intervals."
        )
        made.append(table if i == 0 else Folded(f"“{rater}”, {at_title(at)}", (table,)))
    return made


def _rates_table(evidence: Evidence, rows: dict, rater: str, caption: str) -> Table:
    notes = Footnotes()
    body: list[tuple[Cell, ...]] = []
    shown = evidence.cast.populations_of(rater)
    for p in shown:
        names = [f for f in (*evidence.cast.findings, MEAN) if any((p, f, m) in rows for m, _ in _RATES)]
        if names and len(shown) > 1:
            body.append(group(population_title(evidence, p), len(_RATES) + 2))
        for f in names:
            row = next(rows[p, f, m] for m, _ in _RATES if (p, f, m) in rows)
            n = "" if row["n_present"] is None else f"{row['n_present']:,} / {row['n_absent']:,}"
            cells = (estimate_cell(rows.get((p, f, m)), notes) for m, _ in _RATES)
            body.append((Cell(finding_title(f)), Cell(n, kind="num"), *cells))
    return Table(caption, (heads("Finding", "Present / absent", *(t for _, t in _RATES)),), tuple(body), notes.lines())


def _fixed_table(evidence: Evidence, rater: str) -> Table | None:
    frame = pl.concat(
        [
            pick(overall(evidence, "standalone", m), rater=rater)
            for m in ("sensitivity_at_specificity", "specificity_at_sensitivity")
        ]
    )
    if frame.is_empty():
        return None
    kinds = [(m, at) for m, at in frame.select("metric", "at").unique().sort("metric", "at").rows()]
    rows = by(frame, "population", "finding", "metric", "at")
    notes = Footnotes()
    body: list[tuple[Cell, ...]] = []
    shown = evidence.cast.populations_of(rater)
    for p in shown:
        names = [f for f in (*evidence.cast.findings, MEAN) if any((p, f, m, at) in rows for m, at in kinds)]
        if names and len(shown) > 1:
            body.append(group(population_title(evidence, p), len(kinds) + 1))
        body += [
            (Cell(finding_title(f)), *(estimate_cell(rows.get((p, f, m, a)), notes) for m, a in kinds)) for f in names
        ]
    titles = [f"{m.split('_')[0].capitalize()} at {at_title(a)}" for m, a in kinds]
    caption = (
        f"“{rater}”: sensitivity at fixed specificity, and the reverse, on the test ROC itself (threshold re-chosen "
        "in every resample)."
    )
    return Table(caption, (heads("Finding", *titles),), tuple(body), notes.lines())


def calibration(evidence: Evidence) -> Section:
    """Calibration curves and figures."""
    title = "Calibration"
    frame = pl.concat([overall(evidence, "standalone", m) for m, _ in _CALIBRATION])
    blocks: list[Block] = []
    parts = series(evidence, "calibration")
    if parts:
        frames = [(t, f) for t, _, f in parts]
        there = {f for _, part in frames for f in part["finding"].unique().to_list()}
        names = [f for f in evidence.cast.findings if f in there]
        who = f"“{evidence.cast.lead}”" if len({f["rater"][0] for _, f in frames}) == 1 else "each model"
        caption = (
            f"Calibration of {who}: observed share against predicted probability, in bins of equal size, with "
            "intervals; "
            "the dashed line is perfect calibration. Each panel shows the range that its points fill."
        )
        blocks.append(
            Figure(
                calibration_panels(frames, names, name="calibration", alt=caption + " Numbers stand in the table."),
                caption,
            )
        )
    for i, rater in enumerate(evidence.cast.raters):
        rows = by(pick(frame, rater=rater), "population", "finding", "metric")
        if rows:
            table = _calibration_table(evidence, rows, rater)
            blocks.append(table if i == 0 else Folded(f"Calibration of “{rater}”", (table,)))
    if not blocks:
        return Section("calibration", title, absent="no probabilities were evaluated")
    return Section("calibration", title, tuple(blocks))


def _calibration_table(evidence: Evidence, rows: dict, rater: str) -> Table:
    kinds = [(m, t) for m, t in _CALIBRATION if any(k[2] == m for k in rows)]
    notes = Footnotes()
    body: list[tuple[Cell, ...]] = []
    shown = evidence.cast.populations_of(rater)
    for p in shown:
        names = [f for f in (*evidence.cast.findings, MEAN) if any((p, f, m) in rows for m, _ in kinds)]
        if names and len(shown) > 1:
            body.append(group(population_title(evidence, p), len(kinds) + 1))
        for f in names:
            cells = [
                (value_cell if m == "ece" and rows.get((p, f, m)) else estimate_cell)(
                    rows.get((p, f, m)), notes, digits=2 if m.startswith("calibration") else 3
                )
                for m, _ in kinds
            ]
            body.append((Cell(finding_title(f)), *cells))
    caption = (
        f"Calibration of “{rater}”: ideal is intercept 0, slope 1, in the large 0; lower is better for Brier score "
        "and ECE."
    )
    return Table(caption, (heads("Finding", *(t for _, t in kinds)),), tuple(body), notes.lines())
