"""Sensitivity at fixed specificity, specificity at fixed sensitivity, and the ROC curve with its confidence band.

The threshold is chosen anew in every replicate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from overread import codes
from overread.codes import Analysis, Metric, Text
from overread.evaluation.context.analysis_context import (
    AnalysisContext,
    SiteAggregate,
    aggregate_sites,
    macro_note,
    over_pairs,
    population_counts,
)
from overread.evaluation.context.auc_terms import FEWEST, Cases, few_patients, select
from overread.evaluation.context.estimate_rows import (
    MEAN,
    Counts,
    EstimateKey,
    Row,
    add_notes,
    mean_row,
    not_estimable,
    row,
    share_text,
    without_interval,
)
from overread.evaluation.context.finding_means import evaluable_sites
from overread.evaluation.context.patient_draws import STEP, RaterCases, original_sample, rate_replicates
from overread.evaluation.context.score_matrix import Floats
from overread.evaluation.context.site_populations import Population
from overread.evaluation.progress import advancing
from overread.stats import rates, roc
from overread.stats.estimate import Estimate
from overread.stats.rates.fixed_specificity import UNDEFINED
from overread.stats.resampling.patient_bootstrap import percentile_interval
from overread.stats.roc.mean_curves import mean_curve

# Where the ROC curve is drawn: every half per cent up to 10 % false alarms, where screening works, then every per cent.
GRID = np.unique(np.concatenate([np.linspace(0, 0.1, 21), np.linspace(0, 1, 101)]).round(6))
_RULE = codes.method("fixed_rate_rechosen")


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """Rates of one finding: the estimates (k,) and their replicates (replicates, k)."""

    value: Floats
    draws: Floats
    reasons: Sequence[Text] = ()  # why a rate is not attainable, empty where it is


def _unattained(cases: Cases, target: float, kind: str) -> Text:
    """Return a note if only a threshold that calls none or all present attains the target; otherwise ""."""
    fixed = {"specificity" if kind == "sensitivity" else "sensitivity": target}
    return rates.unattained(cases.truth, cases.score, weights=cases.weight, **fixed)


def fixed_rates(context: AnalysisContext) -> tuple[list[Row], list[Row]]:
    """Return the rows of the rates at every fixed rate, and the points of the ROC curves, for every rater and
    population.
    """
    rows: list[Row] = []
    curves: list[Row] = []
    for rater in advancing([r for r in context.raters if context.panel.ranks_any(r)]):
        for population in advancing(context.populations[rater]):
            reaches = {
                f: r
                for f in context.panel.findings
                if context.panel.ranks(rater, f) and (r := _sites_of_rates(context, rater, f, population)).parts
            }
            kinds = advancing(("sensitivity", "specificity", "curve"), (4.0, 1.0, 20.0))
            next(kinds)
            forward = _rates(context, rater, reaches, context.config.specificities, kind="sensitivity")
            next(kinds)
            backward = _rates(context, rater, reaches, context.config.sensitivities, kind="specificity")
            next(kinds)
            drawn_curves = _rates(context, rater, reaches, 1 - GRID, kind="curve")
            next(kinds, None)
            rows += _rows(context, rater, population, reaches, (forward, backward))
            for finding, curve in drawn_curves.items():
                place = context.place(Analysis.STANDALONE, finding, rater, population)
                cases = [select(context.panel, rater, finding, context.panel.at(p)) for p in reaches[finding].parts]
                drawn = mean_curve(
                    [roc.roc_curve(selected.truth, selected.score, weights=selected.weight) for selected in cases], GRID
                )
                curves += curve_rows(place, drawn, curve.draws, context.config.confidence)
    return rows, curves


def _sites_of_rates(context: AnalysisContext, rater: str, finding: str, population: Population) -> SiteAggregate:
    """Return the sites each with its own threshold, as those of the AUC; or all sites with one threshold.

    A rate has no pairs. Where an AUC is over pairs of all sites, a rate is over all their cases at one threshold, as at
    a frozen operating point; a threshold at each of many small sites would not attain the fixed rate.
    """
    over = aggregate_sites(context, rater, finding, population)
    if not (over.parts and over_pairs(context, population)):
        return over
    note = codes.note("one_threshold_for_sites", n=len(population.sites))
    return replace(over, parts=(population.sites,), note=note)


def _rates(
    context: AnalysisContext,
    rater: str,
    reaches: dict[str, SiteAggregate],
    grid: Sequence[float] | Floats,
    *,
    kind: str,
) -> dict[str, Rates]:
    """Compute by finding the rate at each fixed rate, as a mean over the parts."""
    owners = [(f, p) for f, r in reaches.items() for p in r.parts]
    masks = {p: context.panel.at(p) for _, p in owners}
    selections = [RaterCases(rater, f, masks[p]) for f, p in owners]
    if not selections or not len(grid):
        return {}
    value = rate_replicates(context.panel, original_sample(context.panel), selections, list(grid), kind=kind)[0]
    steps = [selections[a : a + STEP] for a in range(0, len(selections), STEP)]
    draws = np.concatenate(
        [rate_replicates(context.panel, context.drawn, s, list(grid), kind=kind) for s in advancing(steps)], axis=1
    )
    rates_by_finding = {}
    for finding in reaches:
        mine = [i for i, (f, _) in enumerate(owners) if f == finding]
        cases = (
            [] if kind == "curve" else [select(context.panel, rater, f, masks[p]) for f, p in (owners[i] for i in mine)]
        )
        reasons = [next((n for selected in cases if (n := _unattained(selected, g, kind))), codes.NONE) for g in grid]
        known = np.array([not reason for reason in reasons])
        rates_by_finding[finding] = Rates(
            np.where(known, value[mine].mean(axis=0), np.nan), draws[:, mine].mean(axis=1), reasons
        )
    return rates_by_finding


def _rows(
    context: AnalysisContext,
    rater: str,
    population: Population,
    reaches: dict[str, SiteAggregate],
    both: tuple[dict[str, Rates], dict[str, Rates]],
) -> list[Row]:
    rows: list[Row] = []
    confidence = context.config.confidence
    macro = list(evaluable_sites(context, rater, population))
    for metric, fixed, found, targets in (
        (Metric.SENSITIVITY_AT_SPECIFICITY, "specificity", both[0], context.config.specificities),
        (Metric.SPECIFICITY_AT_SENSITIVITY, "sensitivity", both[1], context.config.sensitivities),
    ):
        for k, target in enumerate(targets):
            at = f"{fixed}={share_text(target)}"
            for finding, finding_rates in found.items():
                place = context.place(Analysis.STANDALONE, finding, rater, population)
                counts = population_counts(context, rater, finding, population)
                estimate = _interval(finding_rates.draws[:, k], float(finding_rates.value[k]), confidence)
                estimate = _few(estimate, counts, finding_rates.reasons[k])
                note = reaches[finding].note
                rows.append(row(place, metric, add_notes(estimate, note), at=at, counts=counts, confidence=confidence))
            place = context.place(Analysis.STANDALONE, MEAN, rater, population)
            used = [f for f in macro if f in found and not np.isnan(found[f].value[k])]
            estimate = Estimate(np.nan)
            if used:
                draws = np.mean([found[f].draws[:, k] for f in used], axis=0)
                value = float(np.mean([found[f].value[k] for f in used]))
                estimate = _interval(draws, value, confidence)
                estimate = replace(estimate, method=codes.methods(_RULE, estimate.method))
            estimate = add_notes(estimate, macro_note(context, used))
            rows.append(mean_row(place, metric, estimate, over=used, at=at, confidence=confidence))
    return rows


def _interval(draws: Floats, value: float, confidence: float) -> Estimate:
    return percentile_interval(draws, value=value, confidence=confidence, undefined_because=UNDEFINED)


def _few(estimate: Estimate, counts: Counts, reason: Text) -> Estimate:
    """Remove the interval below ten patients of a class; NaN with the reason if the rate is not attainable."""
    method = codes.methods(_RULE, estimate.method)
    if np.isnan(estimate.value):
        return not_estimable(reason or codes.note("cases_of_one_class"), method=method)
    if counts.at_least(FEWEST, FEWEST):
        return replace(estimate, method=method)
    return without_interval(replace(estimate, method=method), few_patients(counts, FEWEST))


def curve_rows(place: EstimateKey, drawn: tuple[Floats, Floats], draws: Floats, confidence: float) -> list[Row]:
    """Return the points of an ROC curve with its pointwise percentile band; none without one of the classes.

    `drawn` holds the points (x, y) of the curve; `draws` (replicates, grid points) the curve at `GRID` in every
    replicate.
    """
    x, y = drawn
    if not x.size:
        return []
    edge = (1 - confidence) / 2
    defined = ~np.isnan(draws[:, 0])
    low, high = np.full(x.size, np.nan), np.full(x.size, np.nan)
    if defined.mean() >= 0.99:
        band = np.quantile(draws[defined], [edge, 1 - edge], axis=0)
        low, high = (np.interp(x, GRID, limit) for limit in band)
    points = zip(x.tolist(), y.tolist(), low.tolist(), high.tolist(), strict=True)
    return [curve_point(place, "roc", i, point) for i, point in enumerate(points)]


def curve_point(
    place: EstimateKey, curve: str, order: int, point: tuple[float, float, float, float], at: str = ""
) -> Row:
    """One row of curves: (x, y, low, high)."""
    values: dict[str, Any] = {
        "curve": curve,
        "at": at,
        "finding": place.finding,
        "rater": place.rater,
        "arm": place.arm,
        "population": place.population,
        "subgroup": place.subgroup,
        "level": place.level,
        "reference": place.reference,
        "policy": place.policy,
        "order": order,
    }
    return values | dict(zip(("x", "y", "low", "high"), point, strict=True))
