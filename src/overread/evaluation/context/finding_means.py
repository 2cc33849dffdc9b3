"""Means over the prespecified findings, with intervals from one shared set of resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from overread import codes
from overread.codes import Analysis, Metric
from overread.evaluation.context.analysis_context import (
    AnalysisContext,
    SiteMean,
    macro_note,
    population_cases,
    site_mean,
)
from overread.evaluation.context.auc_terms import AucTerm
from overread.evaluation.context.estimate_rows import MEAN, EstimateKey, Row, add_notes, count, counts_at, mean_row
from overread.evaluation.context.patient_draws import STEP, Draws, RaterCases, auc_replicates, totals
from overread.evaluation.context.score_matrix import Floats, ScoreMatrix
from overread.evaluation.context.site_populations import Population
from overread.evaluation.context.thresholds import point_at
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.models.standalone import Calls, calls
from overread.evaluation.progress import advancing
from overread.stats.estimate import Estimate
from overread.stats.resampling.patient_bootstrap import percentile_interval


def site_replicates(
    panel: ScoreMatrix,
    drawn: Draws,
    areas: Mapping[tuple[str, str, str], AucTerm],
    raters: Sequence[str],
    config: EvaluationConfig,
) -> dict[tuple[str, str, str], Floats]:
    """Compute the within-site AUC of every rater and evaluable finding in every replicate, by rater, finding and
    site.
    """
    keys = [
        k
        for k, a in areas.items()
        if k[0] in raters and a.counts.at_least(config.minimum_present, config.minimum_absent)
    ]
    masks = {s: panel.at([s]) for s in panel.site.levels}
    replicates: dict[tuple[str, str, str], Floats] = {}
    for a in advancing(range(0, len(keys), STEP)):
        step = keys[a : a + STEP]
        values = auc_replicates(panel, drawn, [RaterCases(r, f, masks[s]) for r, f, s in step])
        replicates |= {k: values[:, i] for i, k in enumerate(step)}
    return replicates


def evaluable_sites(
    context: AnalysisContext, rater: str, population: Population, findings: Sequence[str] | None = None
) -> dict[str, SiteMean]:
    """Return the sites of every prespecified finding that is evaluable for this rater in this population."""
    selected = context.macro() if findings is None else findings
    found = {f: site_mean(context, rater, f, population) for f in selected if context.panel.gives(rater, f)}
    return {f: r for f, r in found.items() if r.evaluable}


def mean_over(context: AnalysisContext, rater: str, reaches: Mapping[str, SiteMean]) -> tuple[float, Floats]:
    """Compute the mean over findings of the mean AUC over sites, and its replicates (replicates,)."""
    values = [np.mean([a.value for a in r.areas]) for r in reaches.values()]
    draws = [np.mean([context.replicates[rater, f, s] for s in r.sites], axis=0) for f, r in reaches.items()]
    return float(np.mean(values)), np.mean(draws, axis=0)


def macro_discrimination(context: AnalysisContext) -> list[Row]:
    """Estimate the mean AUC over the prespecified findings, for every rater and population."""
    rows = []
    for rater in (r for r in context.raters if context.panel.ranks_any(r)):
        for population in context.populations[rater]:
            place = context.place(Analysis.STANDALONE, MEAN, rater, population)
            reaches = evaluable_sites(context, rater, population)
            note = macro_note(context, list(reaches))
            if reaches:
                value, draws = mean_over(context, rater, reaches)
                estimate = percentile_interval(draws, value=value, confidence=context.config.confidence)
            else:
                estimate = Estimate(np.nan)
            estimate = add_notes(estimate, note)
            rows.append(mean_row(place, Metric.AUC, estimate, over=list(reaches), confidence=context.config.confidence))
    return rows


def macro_operating(context: AnalysisContext) -> list[Row]:
    """Estimate mean sensitivity and specificity over findings at every frozen operating point."""
    rows: list[Row] = []
    for rater in advancing(context.raters):
        for population in advancing(context.populations[rater]):
            for name in _points(context, rater):
                rows += _macro_point(context, rater, population, name)
    return rows


def _points(context: AnalysisContext, rater: str) -> list[str]:
    """Return the operating points of a rater, in the order in which they were frozen."""
    return list(dict.fromkeys(n for points in context.frozen[rater].thresholds.values() for n in points))


def _macro_point(context: AnalysisContext, rater: str, population: Population, name: str) -> list[Row]:
    place, frozen = context.place(Analysis.STANDALONE, MEAN, rater, population), context.frozen[rater]
    found = {f: c for f in context.macro() if (c := _evaluable_calls(context, place.to(finding=f), population, name))}
    halved = tuple(
        f for f in context.macro() if f not in found and _lost_by_half(context, place.to(finding=f), population)
    )
    note = codes.notes(
        macro_note(context, list(found)),
        codes.note("findings_lost_by_half", findings=halved) if halved else None,
    )
    rows = []
    for metric in (Metric.SENSITIVITY, Metric.SPECIFICITY):
        estimate = Estimate(np.nan)
        if found:
            columns = [hits_and_size(context, c, metric) for c in found.values()]
            value = float(np.mean([hits.sum() / size.sum() for hits, size in columns]))
            drawn = totals(context.drawn, np.stack([c for pair in columns for c in pair], axis=1))
            hits, size = drawn[:, 0::2], drawn[:, 1::2]
            rates = np.divide(hits, size, out=np.full(hits.shape, np.nan), where=size > 0)
            estimate = percentile_interval(rates.mean(axis=1), value=value, confidence=context.config.confidence)
        at = point_at(name)
        estimate = add_notes(estimate, frozen.words_over(found), note)
        rows.append(mean_row(place, metric, estimate, over=list(found), at=at, confidence=context.config.confidence))
    return rows


def _evaluable_calls(context: AnalysisContext, place: EstimateKey, population: Population, name: str) -> Calls | None:
    """Return the calls for a finding at a frozen threshold; None without a threshold or with too few patients of a
    class.
    """
    threshold = context.frozen[place.rater].thresholds.get(place.finding, {}).get(name)
    if threshold is None or np.isnan(threshold.value) or not context.panel.gives(place.rater, place.finding):
        return None
    point_calls = calls(
        context.panel, context.frozen[place.rater], place, threshold, population_cases(context, population)
    )
    return point_calls if context.evaluable(count(point_calls.truth.astype(np.float64), point_calls.patient)) else None


def _lost_by_half(context: AnalysisContext, place: EstimateKey, population: Population) -> bool:
    """Return whether a finding has too few patients only because thresholds were fitted on half of them."""
    part = context.frozen[place.rater].part(place.finding)
    if part.origin != "half" or not context.panel.gives(place.rater, place.finding):
        return False
    cases = population_cases(context, population)
    whole, tested = (counts_at(context.panel, place.rater, place.finding, m) for m in (cases, cases & part.tested))
    return context.evaluable(whole) and not context.evaluable(tested)


def hits_and_size(context: AnalysisContext, point_calls: Calls, metric: str) -> tuple[Floats, Floats]:
    """Sum per patient the weights of correct calls, and of all calls, of the class of the metric (n_patients,)."""
    weight = np.ones(point_calls.truth.size) if point_calls.weight is None else point_calls.weight
    among = point_calls.truth if metric == Metric.SENSITIVITY else ~point_calls.truth
    right = among & (point_calls.call == point_calls.truth)
    hits, size = (
        np.bincount(point_calls.patient, part * weight, minlength=context.panel.n_patients) for part in (right, among)
    )
    return hits.astype(np.float64), size.astype(np.float64)
