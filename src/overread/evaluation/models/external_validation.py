"""External validation: drop in AUC, site-only baseline, and train-by-test matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import nan

import numpy as np

from overread import codes
from overread.codes import Analysis, Metric
from overread.evaluation.context.analysis_context import (
    AnalysisContext,
    aggregate_sites,
    macro_note,
    population_cases,
    population_counts,
)
from overread.evaluation.context.auc_terms import AucTerm, Cases, auc_estimate, linear_estimate, mean_terms, select
from overread.evaluation.context.estimate_rows import MEAN, Row, add_notes, count, mean_row, not_estimable, row
from overread.evaluation.context.score_matrix import Floats
from overread.evaluation.context.site_populations import Population
from overread.stats import roc
from overread.stats.estimate import Estimate

CAVEAT = codes.note("drop_not_causal")
SITE_RATER = "(site)"


def drop(context: AnalysisContext) -> list[Row]:
    """Estimate internal AUC (by default the unweighted mean of the within-site AUCs) minus external AUC."""
    rows: list[Row] = []
    for rater in (r for r in context.raters if context.panel.ranks_any(r)):
        populations = context.populations[rater]
        for inside in (p for p in populations if p.internal):
            for outside in (p for p in populations if not p.internal):
                rows += _drops(context, rater, inside, outside)
    return rows


def _drops(context: AnalysisContext, rater: str, inside: Population, outside: Population) -> list[Row]:
    panel, confidence = context.panel, context.config.confidence
    shared = shared_patients(context, inside, outside)
    note = codes.note("patients_in_both_populations", n=int(shared)) if shared else codes.NONE
    rows, terms_of = [], {}
    for finding in (f for f in panel.findings if panel.ranks(rater, f)):
        here, there = (aggregate_sites(context, rater, finding, p) for p in (inside, outside))
        place = context.place(Analysis.DROP, finding, rater, inside).to(contrast=f"population:{outside.name}")
        if not (here.evaluable and there.evaluable):
            few = tuple(p.name for p, r in ((inside, here), (outside, there)) if not r.evaluable)
            estimate = not_estimable(codes.note("few_patients_populations", populations=few))
        else:
            terms = mean_terms(here.areas) + mean_terms(there.areas, -1.0)
            terms_of[finding] = terms
            estimate = linear_estimate(terms, panel.n_patients, confidence=confidence, null=0.0)
            estimate = add_notes(
                Estimate(estimate.value, method=estimate.method) if shared else estimate, note, here.note, CAVEAT
            )
        counts = population_counts(context, rater, finding, outside)
        rows.append(row(place, Metric.AUC_DROP, estimate, counts=counts, test={"null": 0.0}, confidence=confidence))
    used = {f: t for f, t in terms_of.items() if f in context.macro()}
    mean = not_estimable(macro_note(context, []))
    if used:
        every = [(c / len(used), a) for terms in used.values() for c, a in terms]
        mean = linear_estimate(every, panel.n_patients, confidence=confidence, null=0.0)
        mean = add_notes(
            replace(mean, low=nan, high=nan, se=nan, p=nan) if shared else mean,
            note,
            macro_note(context, list(used)),
            CAVEAT,
        )
    place = context.place(Analysis.DROP, MEAN, rater, inside).to(contrast=f"population:{outside.name}")
    return [*rows, row(place, Metric.AUC_DROP, mean, test={"null": 0.0}, confidence=confidence)]


def shared_patients(context: AnalysisContext, a: Population, b: Population) -> int:
    """Count patients with cases in both populations."""
    panel = context.panel
    return np.intersect1d(panel.patient[population_cases(context, a)], panel.patient[population_cases(context, b)]).size


def site_alone(context: AnalysisContext) -> list[Row]:
    """Estimate the AUC of the site-only baseline on the pooled internal test set, with the AUC of the model there and
    within sites.
    """
    rows: list[Row] = []
    for rater in context.raters:
        prevalence: Mapping[str, Mapping[str, float]] = context.models.get(rater, {}).get("prevalence") or {}
        if not prevalence:
            continue
        for population in context.populations[rater]:
            for finding in (f for f in context.panel.findings if context.panel.ranks(rater, f)):
                rows += _site_alone(context, rater, population, finding, prevalence)
    return rows


def _site_alone(
    context: AnalysisContext,
    rater: str,
    population: Population,
    finding: str,
    prevalence: Mapping[str, Mapping[str, float]],
) -> list[Row]:
    place = context.place(Analysis.SITE_ALONE, finding, rater, population)
    alone = place.to(contrast=f"rater:{SITE_RATER}")
    confidence = context.config.confidence
    if not population.internal:
        unseen = not_estimable(codes.note("site_unseen"))
        return [row(place.to(rater=f"{SITE_RATER} {rater}"), Metric.AUC, unseen, at="pairs=all", confidence=confidence)]
    cases = select(context.panel, rater, finding, population_cases(context, population), within=False)
    counts = count(cases.truth.astype(np.float64), cases.patient)
    sites = context.panel.site.codes[population_cases(context, population) & context.panel.stated(rater, finding)]
    known = _prevalences(context, finding, sites, prevalence)
    rows = []
    if known is None or np.unique(known).size < 2:
        estimate = not_estimable(codes.note("site_prevalence_unknown" if known is None else "site_prevalence_equal"))
    else:
        estimate = auc_estimate(replace(cases, score=known), counts, confidence=confidence)
    rows.append(
        row(
            place.to(rater=f"{SITE_RATER} {rater}"),
            Metric.AUC,
            estimate,
            at="pairs=all",
            counts=counts,
            confidence=confidence,
        )
    )
    mixed = auc_estimate(cases, counts, confidence=confidence)
    rows.append(row(place, Metric.AUC, mixed, at="pairs=all", counts=counts, confidence=confidence))
    within = _within_sites(cases, sites, confidence)
    rows.append(row(place, Metric.AUC, within, at="pairs=site", counts=counts, confidence=confidence))
    if known is not None and np.unique(known).size > 1:
        estimate = roc.compare_aucs(cases.truth, cases.score, known, **cases.drawn, confidence=confidence)
        test = {"null": 0.0}
        rows.append(
            row(alone, Metric.AUC_DIFFERENCE, estimate, at="pairs=all", counts=counts, test=test, confidence=confidence)
        )
    return rows


def _within_sites(cases: Cases, sites: np.ndarray, confidence: float) -> Estimate:
    return roc.stratified_auc(
        cases.truth, cases.score, sites, cluster=cases.patient, weights=cases.weight, confidence=confidence
    )


def _prevalences(
    context: AnalysisContext, finding: str, sites: np.ndarray, prevalence: Mapping[str, Mapping[str, float]]
) -> Floats | None:
    """Return the training prevalence at the site of each case; None if that of a site is unknown."""
    by_code = {}
    for code in np.unique(sites):
        known = (prevalence.get(context.panel.site.levels[code]) or {}).get(finding)
        if known is None or np.isnan(known):
            return None
        by_code[code] = float(known)
    return np.array([by_code[c] for c in sites])


def matrix(context: AnalysisContext) -> list[Row]:
    """Estimate the train-by-test matrix: the within-site AUC of every rater at every site, and its mean over
    findings.
    """
    rows: list[Row] = []
    if len(context.panel.site.levels) < 2:
        return rows
    confidence = context.config.confidence
    for rater in (r for r in context.raters if context.panel.ranks_any(r)):
        for population in context.populations[rater]:
            for site in population.sites:
                used: list[tuple[str, AucTerm]] = []
                for finding in context.panel.findings:
                    found = context.areas.get((rater, finding, (site,)))
                    if found is None:
                        continue
                    place = context.place(Analysis.MATRIX, finding, rater, population).to(subgroup="site", level=site)
                    cases = select(context.panel, rater, finding, context.panel.at([site]))
                    estimate = auc_estimate(cases, found.counts, confidence=confidence)
                    rows.append(row(place, Metric.AUC, estimate, counts=found.counts, confidence=confidence))
                    if finding in context.macro() and context.evaluable(found.counts):
                        used.append((finding, found))
                place = context.place(Analysis.MATRIX, MEAN, rater, population).to(subgroup="site", level=site)
                mean = Estimate(nan)
                if used:
                    terms = mean_terms([a for _, a in used])
                    mean = linear_estimate(terms, context.panel.n_patients, confidence=confidence)
                over = [f for f, _ in used]
                mean = add_notes(mean, macro_note(context, over))
                rows.append(mean_row(place, Metric.AUC, mean, over=over, confidence=confidence))
    return rows
