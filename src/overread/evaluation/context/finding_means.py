"""Means over the prespecified findings, with intervals from one shared set of resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from overread import codes
from overread.codes import Analysis, Metric
from overread.evaluation.context.analysis_context import (
    AnalysisContext,
    AreaKey,
    SiteAggregate,
    aggregate_sites,
    macro_note,
    over_pairs,
    parts_of,
    population_cases,
    population_note,
)
from overread.evaluation.context.auc_terms import linear_estimate, mean_terms
from overread.evaluation.context.estimate_rows import MEAN, EstimateKey, Row, add_notes, count, counts_at, mean_row
from overread.evaluation.context.patient_draws import STEP, RaterCases, auc_replicates, totals
from overread.evaluation.context.score_matrix import Floats
from overread.evaluation.context.site_populations import Population
from overread.evaluation.context.thresholds import point_at
from overread.evaluation.models.standalone import Calls, calls
from overread.evaluation.progress import advancing
from overread.stats.estimate import Estimate
from overread.stats.resampling.patient_bootstrap import percentile_interval


def with_replicates(context: AnalysisContext) -> AnalysisContext:
    """Return the context with the AUCs of evaluable findings of every population in every replicate.

    An AUC over pairs of several sites has no replicates, and its intervals are from influence values. A patient drawn
    c times gives c squared pairs of its own images, expected twice as many as between two patients. With few patients
    at a site this shifts the replicates noticeably, because two images of one patient are harder to tell apart.
    """
    panel = context.panel
    wanted = {
        (r, f, part)
        for r in context.raters
        for f in panel.findings
        for population in context.populations[r]
        if not over_pairs(context, population)
        for part in parts_of(context, r, f, population)
    }
    keys = [k for k, a in context.areas.items() if k in wanted and context.evaluable(a.counts)]
    replicates: dict[AreaKey, Floats] = {}
    for a in advancing(range(0, len(keys), STEP)):
        step = keys[a : a + STEP]
        values = auc_replicates(panel, context.drawn, [RaterCases(r, f, panel.at(part)) for r, f, part in step])
        replicates |= {k: values[:, i] for i, k in enumerate(step)}
    return replace(context, replicates=replicates)


def evaluable_sites(
    context: AnalysisContext, rater: str, population: Population, findings: Sequence[str] | None = None
) -> dict[str, SiteAggregate]:
    """Return the sites of every prespecified finding that is evaluable for this rater in this population."""
    selected = context.macro() if findings is None else findings
    found = {f: aggregate_sites(context, rater, f, population) for f in selected if context.panel.gives(rater, f)}
    return {f: r for f, r in found.items() if r.evaluable}


def mean_over(context: AnalysisContext, rater: str, reaches: Mapping[str, SiteAggregate]) -> tuple[float, Floats]:
    """Compute the mean over findings of the AUC of a population, and its replicates (replicates,)."""
    values = [np.mean([a.value for a in r.areas]) for r in reaches.values()]
    draws = [np.mean([context.replicates[rater, f, p] for p in r.parts], axis=0) for f, r in reaches.items()]
    return float(np.mean(values)), np.mean(draws, axis=0)


def mean_estimate(
    context: AnalysisContext, rater: str, population: Population, reaches: Mapping[str, SiteAggregate]
) -> Estimate:
    """Estimate the mean AUC over findings, with a percentile interval, or one from influence values where the AUCs are
    over pairs of several sites; NaN without a finding.
    """
    confidence = context.config.confidence
    if not reaches:
        return Estimate(np.nan)
    if over_pairs(context, population):
        terms = mean_terms([a for r in reaches.values() for a in r.areas])
        return linear_estimate(terms, context.panel.n_patients, confidence=confidence)
    value, draws = mean_over(context, rater, reaches)
    return percentile_interval(draws, value=value, confidence=confidence)


def macro_discrimination(context: AnalysisContext) -> list[Row]:
    """Estimate the mean AUC over the prespecified findings, for every rater and population."""
    rows = []
    for rater in (r for r in context.raters if context.panel.ranks_any(r)):
        for population in context.populations[rater]:
            place = context.place(Analysis.STANDALONE, MEAN, rater, population)
            reaches = evaluable_sites(context, rater, population)
            sites = population_note(context, population, [rater], over=list(reaches))
            note = codes.notes(macro_note(context, list(reaches), ranked_by=[rater]), sites)
            estimate = add_notes(mean_estimate(context, rater, population, reaches), note)
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
