"""Standalone performance of each rater in each population: AUC and rates at frozen operating points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overread import codes
from overread.codes import Analysis, Metric
from overread.evaluation.context.analysis_context import (
    AnalysisContext,
    SiteAggregate,
    aggregate_sites,
    over_pairs,
    population_cases,
    population_counts,
)
from overread.evaluation.context.auc_terms import area_of, auc_estimate, linear_estimate, mean_terms, select
from overread.evaluation.context.estimate_rows import (
    Counts,
    EstimateKey,
    Row,
    add_notes,
    count,
    counts_at,
    not_estimable,
    row,
    without_interval,
)
from overread.evaluation.context.score_matrix import Bools, ScoreMatrix
from overread.evaluation.context.site_populations import Population
from overread.evaluation.context.thresholds import Frozen, Threshold, point_at
from overread.evaluation.progress import advancing
from overread.stats import rates
from overread.stats.estimate import Estimate
from overread.stats.rates.operating_points import OperatingPoint
from overread.stats.rates.proportions import clustered_proportion

_ORIGINS = {
    "model.json": "threshold_stored",
    "tune": "threshold_fitted_tuning",
    "half": "threshold_fitted_half",
    "given": "threshold_given",
}
RATES = (
    Metric.SENSITIVITY,
    Metric.SPECIFICITY,
    Metric.PPV,
    Metric.NPV,
    Metric.F1,
    Metric.ACCURACY,
    Metric.LR_POSITIVE,
    Metric.LR_NEGATIVE,
)


def discrimination(context: AnalysisContext) -> list[Row]:
    """Estimate the AUC by rater, population and finding, and by site in an internal population of several sites."""
    rows: list[Row] = []
    for rater in advancing(context.raters):
        for population in advancing(context.populations[rater]):
            for finding in advancing(context.panel.findings):
                if context.panel.gives(rater, finding):
                    rows += _auc_rows(
                        context, context.place(Analysis.STANDALONE, finding, rater, population), population
                    )
    return rows


def _auc_rows(context: AnalysisContext, place: EstimateKey, population: Population) -> list[Row]:
    over = aggregate_sites(context, place.rater, place.finding, population)
    counts = population_counts(context, place.rater, place.finding, population)
    confidence = context.config.confidence
    if (place.rater, place.finding) in context.panel.decisions:
        return _rows_without_scores(context, place, population, counts)
    if not over.parts:
        missing = not_estimable(codes.note("no_case_labelled"))
        return [row(place, Metric.AUC, missing, counts=counts, confidence=confidence)]
    used = counts_at(context.panel, place.rater, place.finding, context.panel.at(over.sites))
    rows = [row(place, Metric.AUC, auc_over(context, place, over), counts=used, confidence=confidence)]
    prevalence = _prevalence(context, place, population)
    rows.append(row(place, Metric.PREVALENCE, prevalence, counts=counts, confidence=confidence))
    strata = (context.panel.pairs.codes[population_cases(context, population)] >= 0).any()
    if strata and not over_pairs(context, population):  # else the analysis of pairs across sites has this row
        rows.append(
            row(
                place,
                Metric.AUC,
                _auc_of_all_pairs(context, place, over),
                at="pairs=all",
                counts=used,
                confidence=confidence,
            )
        )
    if len(population.sites) > 1:
        rows += [_site_row(context, place, site) for site in population.sites]
    return rows


def _rows_without_scores(
    context: AnalysisContext, place: EstimateKey, population: Population, counts: Counts
) -> list[Row]:
    """Return the prevalence, and the reason why a model with scores of other findings has no AUC of this one."""
    confidence, rows = context.config.confidence, []
    if context.panel.ranks_any(place.rater):
        missing = not_estimable(codes.note("no_auc_of_decisions"))
        rows.append(row(place, Metric.AUC, missing, counts=counts, confidence=confidence))
    if counts.cases:
        prevalence = _prevalence(context, place, population)
        rows.append(row(place, Metric.PREVALENCE, prevalence, counts=counts, confidence=confidence))
    return rows


def auc_over(context: AnalysisContext, place: EstimateKey, over: SiteAggregate) -> Estimate:
    """Estimate the AUC at the only site or over pairs of all sites, or the unweighted mean of the within-site AUCs."""
    if not over.parts:
        return not_estimable(codes.note("no_case_labelled"))
    if len(over.parts) == 1:
        part = over.parts[0]
        cases = select(context.panel, place.rater, place.finding, context.panel.at(part))
        counts = context.areas[place.rater, place.finding, part].counts
        return add_notes(auc_estimate(cases, counts, confidence=context.config.confidence), over.note)
    defined = [a for a in over.areas if a.value == a.value]
    if not defined:
        return not_estimable(codes.note("undefined_at_every_site"), over.areas[0].note)
    estimate = linear_estimate(mean_terms(defined), context.panel.n_patients, confidence=context.config.confidence)
    if over.evaluable:
        return add_notes(estimate, over.note)
    return without_interval(estimate, codes.note("no_site_evaluable"), over.note)


def _site_row(context: AnalysisContext, place: EstimateKey, site: str) -> Row:
    spot = place.to(subgroup="site", level=site)
    found = context.areas.get((place.rater, place.finding, (site,)))
    if found is None:
        estimate = not_estimable(codes.note("no_case_labelled_at_site"))
        return row(spot, Metric.AUC, estimate, confidence=context.config.confidence)
    cases = select(context.panel, place.rater, place.finding, context.panel.at([site]))
    estimate = auc_estimate(cases, found.counts, confidence=context.config.confidence)
    return row(spot, Metric.AUC, estimate, counts=found.counts, confidence=context.config.confidence)


def _auc_of_all_pairs(context: AnalysisContext, place: EstimateKey, over: SiteAggregate) -> Estimate:
    """Estimate the AUC with pairs across strata within a site, for comparison with the stratified one."""
    panel = context.panel
    note = codes.note("all_pairs_compared")
    if len(over.sites) == 1:
        cases = select(panel, place.rater, place.finding, panel.at(over.sites), within=False)
        counts = context.areas[place.rater, place.finding, over.parts[0]].counts
        return add_notes(auc_estimate(cases, counts, confidence=context.config.confidence), note)
    sites = [select(panel, place.rater, place.finding, panel.at([s]), within=False) for s in over.sites]
    plain = [area_of(panel, selected) for selected in sites]
    defined = [a for a in plain if a.value == a.value]
    estimate = linear_estimate(mean_terms(defined), panel.n_patients, confidence=context.config.confidence)
    return add_notes(estimate, over.note, note)


def _prevalence(context: AnalysisContext, place: EstimateKey, population: Population) -> Estimate:
    cases = select(context.panel, place.rater, place.finding, population_cases(context, population))
    return clustered_proportion(cases.truth, **cases.drawn, confidence=context.config.confidence)


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """Truth and call of the cases on which a threshold may be tested, with the sampling design, all (n,)."""

    truth: Bools
    call: Bools
    patient: np.ndarray
    weight: np.ndarray | None
    strata: np.ndarray | None = None
    finite: bool = False


def calls(panel: ScoreMatrix, frozen: Frozen, place: EstimateKey, threshold: Threshold, cases: Bools) -> Calls:
    """Apply a frozen threshold to the cases of the mask on which it may be tested."""
    selected = select(panel, place.rater, place.finding, cases & frozen.part(place.finding).tested)
    return Calls(
        selected.truth,
        selected.score >= threshold.value,
        selected.patient,
        selected.weight,
        selected.strata,
        selected.finite,
    )


def operating(context: AnalysisContext) -> list[Row]:
    """Estimate sensitivity, specificity, PPV, NPV, F1, accuracy and likelihood ratios at every frozen threshold."""
    rows: list[Row] = []
    for rater in advancing(context.raters):
        frozen = context.frozen[rater]
        for population in advancing(context.populations[rater]):
            for finding in advancing(context.panel.findings):
                place = context.place(Analysis.STANDALONE, finding, rater, population)
                cases = population_cases(context, population)
                if not (cases & context.panel.stated(rater, finding)).any():  # the row of the AUC says so
                    continue
                for name, threshold in frozen.thresholds.get(finding, {}).items():
                    rows += point_rows(context, place, name, threshold, cases)
    return rows


def point_rows(
    context: AnalysisContext,
    place: EstimateKey,
    name: str,
    threshold: Threshold,
    cases: Bools,
    metrics: tuple[str, ...] = RATES,
) -> list[Row]:
    """Return the rows of a threshold and of the rates at it, on the cases of the mask."""
    frozen, at = context.frozen[place.rater].part(place.finding), point_at(name)
    confidence = context.config.confidence
    words = codes.notes(frozen.words, threshold.note)
    point_calls = calls(context.panel, frozen, place, threshold, cases)
    counts = count(point_calls.truth.astype(np.float64), point_calls.patient)
    rows = []
    if metrics == RATES and frozen.origin in _ORIGINS:  # a decision has no threshold
        value = Estimate(threshold.value, method=codes.method(_ORIGINS[frozen.origin]), note=words)
        rows.append(row(place, Metric.THRESHOLD, value, at=at, confidence=confidence))
    if np.isnan(threshold.value):
        missing = not_estimable(threshold.note or codes.note("no_threshold"))
        return [*rows, *(row(place, m, missing, at=at, counts=counts, confidence=confidence) for m in metrics)]
    point = operating_point(point_calls, confidence)
    for metric in metrics:
        estimate = add_notes(getattr(point, metric), words)
        rows.append(row(place, metric, estimate, at=at, counts=counts, confidence=confidence))
    return rows


def operating_point(point_calls: Calls, confidence: float) -> OperatingPoint:
    """Estimate the rates of these calls, with clustering by patient."""
    return rates.operating_point(
        point_calls.truth,
        point_calls.call,
        cluster=point_calls.patient,
        weights=point_calls.weight,
        strata=point_calls.strata,
        finite=point_calls.finite,
        confidence=confidence,
    )
