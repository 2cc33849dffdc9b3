"""Calibration: curves and measures, of the scores as supplied and after recalibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from overread.reporting.blocks import Block, Cell, Figure, Section, Table, appendix, group, heads, table
from overread.reporting.estimate_cells import error_cell, estimate_cell
from overread.reporting.figures.curve_panels import calibration_panels, points
from overread.reporting.figures.figure_pool import both_widths
from overread.reporting.report_data import ReportData, by, overall, population_title, value_at
from overread.reporting.sections.model_results.discrimination_section import curve_series, drawn_findings, series, whose
from overread.reporting.seed_rows import seed_note

_METRICS = (
    ("calibration_intercept", "Intercept"),
    ("calibration_slope", "Slope"),
    ("calibration_in_the_large", "In the large"),
    ("brier", "Brier score"),
    ("ece", "Calibration error"),
    ("ici", "ICI"),
)
_KINDS = {
    "frozen": "recalibration stored with the model",
    "none": "scores as supplied",
    "logistic": "recalibrated here",
}
_CURVES = {"calibration": "", "recalibrated": " after logistic recalibration"}


def calibration(evidence: ReportData) -> Section:
    """Calibration curves and figures."""
    title = "Calibration"
    frame = pl.concat([overall(evidence, "standalone", m) for m, _ in _METRICS])
    frame = frame.with_columns(pl.Series("kind", [value_at(at, "recalibration") for at in frame["at"]], pl.String))
    blocks: list[Block] = [b for curve in _CURVES if (b := _curves(evidence, curve))]
    for i, rater in enumerate(evidence.cast.raters):
        own = frame.filter(pl.col("rater") == rater)
        tables = [_figures(evidence, own.filter(pl.col("kind") == k), rater, k) for k in own["kind"].unique().sort()]
        blocks += tables if i == 0 else [appendix(f"Calibration of {rater}", tuple(tables))] if tables else []
    if not blocks:
        return Section("calibration", title, absent="no measure of calibration was evaluated")
    return Section("calibration", title, (*blocks, *seed_note(evidence)))


def _curves(evidence: ReportData, curve: str) -> Figure | None:
    frames = series(evidence, curve)
    if not frames:
        return None
    smooth = series(evidence, f"{curve}_smooth")
    scores = _scores(evidence, frames) if curve == "calibration" else {}
    bars = " Histogram above: number of cases by score, on a square-root scale." if scores else ""
    lines = "; line: loess estimate with a pointwise confidence band" if smooth else ""
    caption = (
        f"Calibration of {whose(evidence, frames)}{_CURVES[curve]}: observed proportion against predicted probability. "
        f"Points: bins with equal numbers of cases, with CIs{lines}; dashed: perfect calibration. Each panel shows the "
        "range of "
        f"its points.{bars}"
    )
    alt = f"{caption} Intercepts, slopes and errors are in the table."
    names = drawn_findings(evidence, frames)
    how = {"smooth": smooth, "scores": scores, "headings": {f: evidence.heading(f) for f in names}}
    numbers = curve_series(evidence, frames)
    wide, phone = both_widths(calibration_panels, frames, names, **how, name=curve, alt=alt, numbers=numbers)
    return Figure(wide, caption, curve, points(frames, x="predicted", y="observed"), phone=phone)


def _scores(evidence: ReportData, frames: list[tuple[str, pl.DataFrame]]) -> dict[tuple[str, str], np.ndarray]:
    """The scores behind each series and finding, as delivered."""
    keys = ("rater", "population", "finding")
    known = (pl.col("score").is_not_null(), pl.col("truth").is_not_null(), pl.col("arm") == "model")
    kept = evidence.joined.lazy().filter(*known).group_by(keys).agg("score").collect()  # lazily: ten times quicker
    of = {key: kept["score"][i].to_numpy() for i, key in enumerate(kept.select(keys).iter_rows())}
    made = {}
    for title, frame in frames:
        for r, p, f in frame.select("rater", "population", "finding").unique().iter_rows():
            if (r, p, f) in of:
                made[title, f] = of[r, p, f]
    return made


def _figures(evidence: ReportData, frame: pl.DataFrame, rater: str, kind: str) -> Table:
    rows = by(frame, "population", "finding", "metric")
    kinds = [(m, t) for m, t in _METRICS if any(k[2] == m for k in rows)]
    body: list[tuple[Cell, ...]] = []
    shown = [p for p in evidence.cast.populations_of(rater) if any(k[0] == p for k in rows)]
    for p in shown:
        if len(shown) > 1:
            body.append(group(population_title(evidence, p), len(kinds) + 1))
        for f in evidence.cast.findings_and_mean:
            if any((p, f, m) in rows for m, _ in kinds):
                body.append((Cell(evidence.heading(f)), *(_cell(rows.get((p, f, m)), m) for m, _ in kinds)))
    what = f", {_KINDS.get(kind, kind)}" if kind else ""
    caption = f"Calibration of {rater}{what}. Ideal values: intercept 0, slope 1, in the large 0."
    remark = "Brier score and calibration error: lower is better."
    if "ece" in dict(kinds):
        remark += (
            " Below the calibration error and the ICI (mean distance from the loess estimate): the value "
            "expected under "
            "perfect calibration."
        )
    return table(caption, (heads("Finding", *(t for _, t in kinds)),), body, remark=remark, compact=True)


def _cell(row: dict[str, Any] | None, metric: str) -> Cell:
    return (
        error_cell(row) if metric in ("ece", "ici") else estimate_cell(row, digits=2 if "calibration" in metric else 3)
    )
