"""AUC over all pairs of cases beside the AUC over pairs of the same site, in a population of several sites.

Their difference is what the model gains (or loses) because the sites differ in prevalence and in the level of its
scores. It is computed from the contributions of the patients to both AUCs, so that it has an interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from overread import codes
from overread.codes import Analysis, Metric
from overread.evaluation.context.analysis_context import (
    AnalysisContext,
    contributing_sites,
    macro_note,
    over_pairs,
    population_cases,
)
from overread.evaluation.context.auc_terms import (
    FEWEST,
    AucTerm,
    Cases,
    area_of,
    auc_estimate,
    few_patients,
    linear_estimate,
    mean_terms,
    select,
)
from overread.evaluation.context.estimate_rows import (
    MEAN,
    EstimateKey,
    Row,
    add_notes,
    mean_row,
    not_estimable,
    row,
    without_interval,
)
from overread.evaluation.context.finding_means import evaluable_sites
from overread.evaluation.context.site_populations import POOLED, STRATIFIED, Population
from overread.evaluation.progress import advancing
from overread.stats.estimate import Estimate

ALL, SITE = "pairs=all", "pairs=site"
CONTRAST = "pairs:site"
_NOTES = {ALL: codes.note("sites_compared"), SITE: codes.note("sites_not_compared")}


@dataclass(frozen=True, slots=True, eq=False)
class PairTerms:
    """One AUC over all pairs and one over pairs of the same site, of the same cases, by the value of `at`."""

    cases: Mapping[str, Cases]
    terms: Mapping[str, AucTerm]

    @property
    def defined(self) -> bool:
        """Whether both AUCs have a value."""
        return all(term.value == term.value for term in self.terms.values())


def pairs_across_sites(context: AnalysisContext) -> list[Row]:
    """Estimate, where the sites of a population are aggregated over pairs, the AUC that is not the main one, and AUC
    (all pairs) - AUC (pairs of the same site), for every finding and for the mean over findings. Decisions have no AUC.
    """
    rows: list[Row] = []
    for rater in advancing([r for r in context.raters if context.panel.ranks_any(r)]):
        for population in (p for p in context.populations[rater] if over_pairs(context, p)):
            found = {}
            for finding in (f for f in context.panel.findings if context.panel.ranks(rater, f)):
                if (pairs := _terms(context, rater, finding, population)) is not None:
                    found[finding] = pairs
                    rows += _rows(context, context.place(Analysis.STANDALONE, finding, rater, population), pairs)
            used = {f: found[f] for f in evaluable_sites(context, rater, population) if found[f].defined}
            rows += _mean_rows(context, context.place(Analysis.STANDALONE, MEAN, rater, population), used)
    return rows


def _beside(context: AnalysisContext) -> tuple[str, ...]:
    """Return which of the two AUCs is not that of the main analysis."""
    if context.aggregation == POOLED:
        return (SITE, ALL) if context.panel.pairs.levels else (SITE,)
    return (ALL,)


def _terms(context: AnalysisContext, rater: str, finding: str, population: Population) -> PairTerms | None:
    panel, mask = context.panel, population_cases(context, population)
    stated = panel.stated(rater, finding)
    if not (mask & stated).any():
        return None
    within = replace(panel, across_sites=False)
    strict = replace(context, panel=within, config=replace(context.config, aggregation=STRATIFIED))
    sites = contributing_sites(strict, population, stated, finding)
    cases = {
        ALL: select(panel, rater, finding, mask, within=False),
        SITE: select(within, rater, finding, panel.at(sites)),
    }
    return PairTerms(cases, {at: area_of(panel, selected) for at, selected in cases.items()})


def _rows(context: AnalysisContext, place: EstimateKey, pairs: PairTerms) -> list[Row]:
    confidence, rows = context.config.confidence, []
    for at in _beside(context):
        counts = pairs.terms[at].counts
        estimate = add_notes(auc_estimate(pairs.cases[at], counts, confidence=confidence), _NOTES[at])
        rows.append(row(place, Metric.AUC, estimate, at=at, counts=counts, confidence=confidence))
    counts, difference = pairs.terms[ALL].counts, not_estimable(pairs.terms[SITE].note)
    if pairs.defined:
        difference = _difference(context, {place.finding: pairs})
        if not counts.at_least(FEWEST, FEWEST):
            difference = without_interval(difference, few_patients(counts, FEWEST))
    rows.append(
        row(
            place.to(contrast=CONTRAST),
            Metric.AUC_DIFFERENCE,
            difference,
            at=ALL,
            counts=counts,
            test={"null": 0.0},
            confidence=confidence,
        )
    )
    return rows


def _difference(context: AnalysisContext, used: Mapping[str, PairTerms]) -> Estimate:
    """Estimate the mean over findings of AUC (all pairs) - AUC (pairs of the same site)."""
    terms = mean_terms([p.terms[ALL] for p in used.values()]) + mean_terms([p.terms[SITE] for p in used.values()], -1.0)
    return linear_estimate(terms, context.panel.n_patients, confidence=context.config.confidence, null=0.0)


def _mean_rows(context: AnalysisContext, place: EstimateKey, used: Mapping[str, PairTerms]) -> list[Row]:
    confidence, rows = context.config.confidence, []
    note = macro_note(context, list(used), ranked_by=[place.rater])
    for at in _beside(context):
        mean = not_estimable(note)
        if used:
            terms = mean_terms([p.terms[at] for p in used.values()])
            mean = linear_estimate(terms, context.panel.n_patients, confidence=confidence)
            mean = add_notes(mean, _NOTES[at], note)
        rows.append(mean_row(place, Metric.AUC, mean, over=list(used), at=at, confidence=confidence))
    difference = add_notes(_difference(context, used), note) if used else not_estimable(note)
    spot, test = place.to(contrast=CONTRAST), {"null": 0.0}
    rows.append(
        mean_row(spot, Metric.AUC_DIFFERENCE, difference, over=list(used), at=ALL, test=test, confidence=confidence)
    )
    return rows
