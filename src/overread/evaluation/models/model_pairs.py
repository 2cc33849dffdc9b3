"""Pairwise comparison of raters on the same cases: paired clustered DeLong tests, Holm-adjusted over findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from overread import codes, tables
from overread.codes import Analysis, Metric
from overread.evaluation.context.analysis_context import (
    AnalysisContext,
    Part,
    contributing_sites,
    macro_note,
    over_pairs,
    population_note,
)
from overread.evaluation.context.auc_terms import AucTerm, area_of, linear_estimate, mean_terms, select
from overread.evaluation.context.estimate_rows import (
    MEAN,
    EstimateKey,
    Row,
    add_notes,
    counts_at,
    mean_row,
    not_estimable,
    row,
    without_zero_width,
)
from overread.evaluation.context.patient_draws import RaterCases, auc_replicates
from overread.evaluation.context.score_matrix import Bools, Floats
from overread.evaluation.context.site_populations import Population
from overread.evaluation.models.decision_pairs import decision_pair
from overread.evaluation.progress import advancing
from overread.stats import roc
from overread.stats.estimate import Estimate
from overread.stats.multiplicity import holm
from overread.stats.resampling.patient_bootstrap import percentile_interval


def comparison(context: AnalysisContext) -> list[Row]:
    """Estimate AUC(A) - AUC(B) for every pair of raters in every shared population, and the mean over findings; of
    decisions, the differences in sensitivity and specificity.
    """
    rows: list[Row] = []
    for a, b in advancing(combinations(_ordered(context), 2)):
        for population in context.populations[a]:
            if population in context.populations[b]:  # the same name and the same sites: the same cases
                panel = context.panel
                if panel.ranks_any(a) and panel.ranks_any(b):
                    shared = [f for f in panel.findings if panel.ranks(a, f) and panel.ranks(b, f)]
                    areas = {f: _paired_areas(context, a, b, f, population) for f in shared}
                    rows += _pair(context, a, b, population, areas)
                rows += decision_pair(context, a, b, population)
    return rows


def _ordered(context: AnalysisContext) -> list[str]:
    lead = [context.config.pooled, *context.config.single, context.config.matched]
    named = [r for r in lead if r in context.raters]
    return named + [r for r in context.raters if r not in named]


def _pair(
    context: AnalysisContext,
    a: str,
    b: str,
    population: Population,
    areas: Mapping[str, dict[Part, tuple[AucTerm, AucTerm]]],
) -> list[Row]:
    differences = [(f, _noted(context, a, b, f, population, pairs), pairs) for f, pairs in areas.items() if pairs]
    tested = sum(estimate.p == estimate.p for _, estimate, _ in differences)
    family = f"{a} against {b}, {population.name}: {tables.counted(tested, 'findings')}" if tested else ""
    adjusted = holm([e.p for _, e, _ in differences]) if differences else np.empty(0)
    rows = []
    for (finding, estimate, pairs), p in zip(differences, adjusted, strict=True):
        place = _place(context, finding, a, b, population)
        both = _both(context, a, b, finding, [site for part in pairs for site in part])
        counts = counts_at(context.panel, a, finding, both)
        test = {"p_adjusted": float(p), "family": family, "null": 0.0}
        rows.append(
            row(place, Metric.AUC_DIFFERENCE, estimate, counts=counts, test=test, confidence=context.config.confidence)
        )
    rows.append(_macro(context, a, b, population, {f: pairs for f, _, pairs in differences}))
    return rows


def _place(context: AnalysisContext, finding: str, a: str, b: str, population: Population) -> EstimateKey:
    return context.place(Analysis.COMPARISON, finding, a, population).to(contrast=f"rater:{b}")


def _both(context: AnalysisContext, a: str, b: str, finding: str, sites: Sequence[str]) -> Bools:
    panel = context.panel
    return panel.at(sites) & panel.stated(a, finding) & panel.stated(b, finding)


def _paired_areas(
    context: AnalysisContext, a: str, b: str, finding: str, population: Population
) -> dict[Part, tuple[AucTerm, AucTerm]]:
    """Compute by site (or over the pairs of all sites) the AUCs of both raters on the cases that both scored, at
    evaluable sites or else where defined.
    """
    parts: list[Part] = [(site,) for site in population.sites]
    if over_pairs(context, population):
        both = _both(context, a, b, finding, population.sites)
        parts = [contributing_sites(context, population, both, finding)]
    areas = {}
    for part in parts:
        mask = _both(context, a, b, finding, part)
        if mask.any():
            one, other = (area_of(context.panel, select(context.panel, r, finding, mask)) for r in (a, b))
            areas[part] = (one, other)
    good = {s: p for s, p in areas.items() if context.evaluable(p[0].counts)}
    return good or areas


def _noted(
    context: AnalysisContext,
    a: str,
    b: str,
    finding: str,
    population: Population,
    pairs: dict[Part, tuple[AucTerm, AucTerm]],
) -> Estimate:
    """Return the difference with a note on the aggregation over sites."""
    estimate = without_zero_width(_difference(context, a, b, finding, pairs))
    return add_notes(estimate, population_note(context, population, [a, b], over=[finding]))


def _difference(
    context: AnalysisContext, a: str, b: str, finding: str, pairs: dict[Part, tuple[AucTerm, AucTerm]]
) -> Estimate:
    panel, confidence = context.panel, context.config.confidence
    if len(pairs) == 1:
        part = next(iter(pairs))
        cases = select(panel, a, finding, _both(context, a, b, finding, part))
        if cases.pairs is None:
            other = select(panel, b, finding, _both(context, a, b, finding, part))
            return roc.compare_aucs(cases.truth, cases.score, other.score, **cases.drawn, confidence=confidence)
    defined = [p for p in pairs.values() if p[0].value == p[0].value]
    if not defined:
        return not_estimable(next(iter(pairs.values()))[0].note)
    terms = mean_terms([p[0] for p in defined]) + mean_terms([p[1] for p in defined], -1.0)
    note = codes.note("mean_over_sites", n=len(defined)) if len(defined) > 1 else codes.NONE
    return linear_estimate(terms, panel.n_patients, confidence=confidence, null=0.0, note=note)


def _macro(
    context: AnalysisContext,
    a: str,
    b: str,
    population: Population,
    pairs_by_finding: dict[str, dict[Part, tuple[AucTerm, AucTerm]]],
) -> Row:
    used = {
        f: pairs
        for f, pairs in pairs_by_finding.items()
        if f in context.macro() and all(context.evaluable(p[0].counts) for p in pairs.values())
    }
    place = _place(context, MEAN, a, b, population)
    if not used:
        missing = not_estimable(macro_note(context, [], ranked_by=[a, b]))
        return row(place, Metric.AUC_DIFFERENCE, missing, confidence=context.config.confidence)
    terms = []
    for pairs in used.values():
        share = 1 / (len(used) * len(pairs))
        terms += [t for p in pairs.values() for t in ((share, p[0]), (-share, p[1]))]
    linear = linear_estimate(terms, context.panel.n_patients, confidence=context.config.confidence, null=0.0)
    estimate, wald = without_zero_width(linear), codes.NONE
    if not over_pairs(context, population):
        estimate = replace(_percentiles(context, a, b, used), p=estimate.p)
        tested = len(used) > 1 and estimate.p == estimate.p
        wald = codes.note("p_from_influence_values") if tested else codes.NONE
    sites = population_note(context, population, [a, b], over=list(used))
    estimate = add_notes(estimate, wald, macro_note(context, list(used), ranked_by=[a, b]), sites)
    test, confidence = {"null": 0.0}, context.config.confidence
    return mean_row(place, Metric.AUC_DIFFERENCE, estimate, over=list(used), test=test, confidence=confidence)


def _percentiles(
    context: AnalysisContext, a: str, b: str, used: Mapping[str, dict[Part, tuple[AucTerm, AucTerm]]]
) -> Estimate:
    """Estimate the mean over findings of the difference, with a percentile interval."""
    value = float(np.mean([np.mean([p[0].value - p[1].value for p in pairs.values()]) for pairs in used.values()]))
    draws = np.mean(
        [np.mean([_draws(context, a, b, f, p) for p in pairs], axis=0) for f, pairs in used.items()],
        axis=0,
    )
    return percentile_interval(draws, value=value, confidence=context.config.confidence)


def _draws(context: AnalysisContext, a: str, b: str, finding: str, part: Part) -> Floats:
    """Compute AUC(A) - AUC(B) at a site in every replicate, on the cases that both scored."""
    panel = context.panel
    mask = panel.at(part)
    if np.array_equal(panel.stated(a, finding) & mask, panel.stated(b, finding) & mask):
        return context.replicates[a, finding, part] - context.replicates[b, finding, part]
    both = _both(context, a, b, finding, part)
    values = auc_replicates(panel, context.drawn, [RaterCases(a, finding, both), RaterCases(b, finding, both)])
    return values[:, 0] - values[:, 1]
