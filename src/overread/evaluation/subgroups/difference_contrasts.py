"""Contrasts between models: the signed difference of two groups in one model minus that in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from overread import codes
from overread.codes import Analysis, Metric, Text
from overread.evaluation.context.analysis_context import AnalysisContext, macro_note
from overread.evaluation.context.auc_terms import AucTerm, mean_area
from overread.evaluation.context.estimate_rows import MEAN, Row, add_notes, row
from overread.evaluation.context.site_populations import Population
from overread.evaluation.subgroups.group_differences import (
    DifferenceKey,
    Differences,
    GroupTerms,
    holm_adjusted,
    signed_estimate,
)

CONTRASTS = {
    Metric.AUC: Metric.AUC_DIFFERENCE_CONTRAST,
    Metric.SENSITIVITY: Metric.SENSITIVITY_DIFFERENCE_CONTRAST,
    Metric.SPECIFICITY: Metric.SPECIFICITY_DIFFERENCE_CONTRAST,
    Metric.UNDERDIAGNOSIS: Metric.UNDERDIAGNOSIS_DIFFERENCE_CONTRAST,
}
MOST_FOR_ALL_PAIRS = 5  # models; ten models would have 45 pairs


def model_pairs(context: AnalysisContext) -> list[tuple[str, str, Text]]:
    """Return the pairs of models to compare, the second one subtracted, and a note if these are not all pairs.

    Members of an ensemble without predictions are left out: their means are compared in the analysis of seeds.
    """
    lead = [context.config.pooled, *context.config.single, context.config.matched]
    members = context.config.member_names()
    raters = [r for r in context.raters if r not in members]
    return pairs_among([*(r for r in lead if r in raters), *(r for r in raters if r not in lead)], context)


def pairs_among(models: Sequence[str], context: AnalysisContext) -> list[tuple[str, str, Text]]:
    """Return all pairs of up to five models; of more, or with a baseline model, each minus the baseline."""
    baseline = context.config.baseline_model
    if baseline in models:
        return [(m, baseline, codes.note("contrasts_with_baseline", model=baseline)) for m in models if m != baseline]
    if len(models) > MOST_FOR_ALL_PAIRS:
        note = codes.note("contrasts_with_first", model=models[0], n=len(models))
        return [(m, models[0], note) for m in models[1:]]
    return [(a, b, codes.NONE) for a, b in combinations(models, 2)]


def contrast_rows(
    context: AnalysisContext,
    analysis: Analysis,
    found: Mapping[tuple[str, Population], Differences],
    pairs: Sequence[tuple[str, str, Text]],
) -> list[Row]:
    """Estimate the difference of two groups in one model minus that in another, on the populations that they share.

    The covariance between models, groups and findings is that of the sums of influence values per patient. p tests that
    the difference is the same in both models; Holm's family holds the tests of one metric in one population over all
    pairs of models and groups, means over findings apart from single findings.
    """
    by_population: dict[str, list[Row]] = {}
    for a, b, note in pairs:
        for population in (p for rater, p in found if rater == a and (b, p) in found):
            one, other = found[a, population], found[b, population]
            for key in (k for k in one if k in other):
                place = context.place(analysis, key.finding, a, population).to(contrast=f"rater:{b}")
                terms = [(a, _terms(context, one, other, key)), (b, _terms(context, other, one, key))]
                place = place.to(subgroup=key.pair.column, level=key.pair.title)
                groups = [(f"{name}, {g}", t) for name, both in terms for g, t in both.named(key.pair)]
                signed = [*terms[0][1].signed(), *((-c, t) for c, t in terms[1][1].signed())]
                confidence = context.config.confidence
                estimate = signed_estimate(groups, signed, context.panel.n_patients, confidence=confidence)
                estimate = add_notes(estimate, terms[0][1].note, note, _cases_note(terms[0][1], terms[1][1]))
                metric, test = CONTRASTS[key.metric], {"null": 0.0}
                made = row(place, metric, estimate, at=key.at, test=test, confidence=confidence)
                made["over"] = terms[0][1].over
                by_population.setdefault(population.name, []).append(made)
    kind = "means over seeds" if analysis == Analysis.SEEDS else "models"
    return [r for name, own in by_population.items() for r in holm_adjusted(own, f"difference between {kind}, {name}")]


def _terms(context: AnalysisContext, mine: Differences, other: Differences, key: DifferenceKey) -> GroupTerms:
    """Return the groups of one model; a mean is over the findings that are evaluable in both models."""
    if key.finding != MEAN or mine[key].over == other[key].over:
        return mine[key]
    over = tuple(f for f in mine[key].over if f in other[key].over)
    parts = [mine[replace(key, finding=f)] for f in over]
    note = codes.notes(macro_note(context, over))
    means: list[AucTerm | Text] = []
    for terms in ([p.level for p in parts], [p.reference for p in parts]):
        areas = [t for t in terms if isinstance(t, AucTerm)]
        none = codes.note("no_finding_in_every_group")
        means.append(mean_area(areas, context.panel.n_patients) if areas else none)
    return GroupTerms(means[0], means[1], over, note)


def _cases_note(one: GroupTerms, other: GroupTerms) -> Text:
    """Return a note if the two models were not evaluated on the same numbers of cases."""
    same = all(a[1].counts == b[1].counts for a, b in zip(one.signed(), other.signed(), strict=False))
    return codes.NONE if same else codes.note("models_on_different_cases")
