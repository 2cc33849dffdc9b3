"""Every pair of raters of the same population, on the same cases: paired clustered DeLong, Holm over the findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from overread import codes
from overread.evaluation.context.analysis_context import AnalysisContext, macro_note
from overread.evaluation.context.auc_terms import AucTerm, area, chosen, linear_estimate, mean_terms
from overread.evaluation.context.estimate_rows import (
    MEAN,
    EstimateKey,
    Row,
    add_notes,
    counts_at,
    mean_row,
    not_estimable,
    row,
)
from overread.evaluation.context.patient_draws import Spot, auc_replicates
from overread.evaluation.context.score_matrix import Bools, Floats
from overread.evaluation.context.site_populations import Population
from overread.evaluation.progress import advancing
from overread.stats import roc
from overread.stats.estimate import Estimate
from overread.stats.multiplicity import holm
from overread.stats.resampling.patient_bootstrap import percentile_interval


def comparison(setting: AnalysisContext) -> list[Row]:
    """AUC(A) - AUC(B) of every pair of raters in every population that both share, and the mean over findings."""
    rows: list[Row] = []
    for a, b in advancing(combinations(_ordered(setting), 2)):
        for population in setting.populations[a]:
            if population in setting.populations[b]:  # the same name and the same sites: the same cases
                rows += _pair(setting, a, b, population)
    return rows


def _ordered(setting: AnalysisContext) -> list[str]:
    lead = [setting.config.pooled, *setting.config.single, setting.config.matched]
    named = [r for r in lead if r in setting.raters]
    return named + [r for r in setting.raters if r not in named]


def _pair(setting: AnalysisContext, a: str, b: str, population: Population) -> list[Row]:
    found = [
        (f, _paired_areas(setting, a, b, f, population))
        for f in setting.panel.findings
        if setting.panel.gives(a, f) and setting.panel.gives(b, f)
    ]
    made = [(f, _difference(setting, a, b, f, pairs), pairs) for f, pairs in found if pairs]
    family = f"{a} against {b}, {population.name}: {len(made)} findings"
    adjusted = holm([e.p for _, e, _ in made]) if made else np.empty(0)
    rows = []
    for (finding, estimate, pairs), p in zip(made, adjusted, strict=True):
        place = _place(setting, finding, a, b, population)
        both = _both(setting, a, b, finding, list(pairs))
        counts = counts_at(setting.panel, a, finding, both)
        test = {"p_adjusted": float(p), "family": family, "null": 0.0}
        rows.append(
            row(place, "auc_difference", estimate, counts=counts, test=test, confidence=setting.config.confidence)
        )
    rows.append(_macro(setting, a, b, population, {f: pairs for f, _, pairs in made}))
    return rows


def _place(setting: AnalysisContext, finding: str, a: str, b: str, population: Population) -> EstimateKey:
    return setting.place("comparison", finding, a, population).to(contrast=f"rater:{b}")


def _both(setting: AnalysisContext, a: str, b: str, finding: str, sites: Sequence[str]) -> Bools:
    panel = setting.panel
    return panel.at(sites) & panel.stated(a, finding) & panel.stated(b, finding)


def _paired_areas(
    setting: AnalysisContext, a: str, b: str, finding: str, population: Population
) -> dict[str, tuple[AucTerm, AucTerm]]:
    """By site the AUCs of both raters on the cases that both scored: at evaluable sites, else where it is defined."""
    made = {}
    for site in population.sites:
        mask = _both(setting, a, b, finding, [site])
        if mask.any():
            made[site] = (area(setting.panel, a, finding, mask), area(setting.panel, b, finding, mask))
    good = {s: p for s, p in made.items() if setting.evaluable(p[0].counts)}
    return good or made


def _difference(
    setting: AnalysisContext, a: str, b: str, finding: str, pairs: dict[str, tuple[AucTerm, AucTerm]]
) -> Estimate:
    panel, confidence = setting.panel, setting.config.confidence
    if len(pairs) == 1:
        site = next(iter(pairs))
        of = chosen(panel, a, finding, _both(setting, a, b, finding, [site]))
        if of.pairs is None:
            other = chosen(panel, b, finding, _both(setting, a, b, finding, [site]))
            return roc.compare_aucs(of.truth, of.score, other.score, **of.drawn, confidence=confidence)
    defined = [p for p in pairs.values() if p[0].value == p[0].value]
    if not defined:
        return not_estimable(next(iter(pairs.values()))[0].note)
    terms = mean_terms([p[0] for p in defined]) + mean_terms([p[1] for p in defined], -1.0)
    note = codes.note("mean_over_sites", n=len(defined)) if len(defined) > 1 else codes.NONE
    return linear_estimate(terms, panel.n_patients, confidence=confidence, null=0.0, note=note)


def _macro(
    setting: AnalysisContext,
    a: str,
    b: str,
    population: Population,
    made: dict[str, dict[str, tuple[AucTerm, AucTerm]]],
) -> Row:
    used = {
        f: pairs
        for f, pairs in made.items()
        if f in setting.macro() and all(setting.evaluable(p[0].counts) for p in pairs.values())
    }
    place = _place(setting, MEAN, a, b, population)
    if not used:
        missing = not_estimable(macro_note(setting, []))
        return row(place, "auc_difference", missing, confidence=setting.config.confidence)
    value = float(np.mean([np.mean([p[0].value - p[1].value for p in pairs.values()]) for pairs in used.values()]))
    draws = np.mean(
        [np.mean([_draws(setting, a, b, f, s) for s in pairs], axis=0) for f, pairs in used.items()],
        axis=0,
    )
    interval = percentile_interval(draws, value=value, confidence=setting.config.confidence)
    terms = []
    for pairs in used.values():
        share = 1 / (len(used) * len(pairs))
        terms += [t for p in pairs.values() for t in ((share, p[0]), (-share, p[1]))]
    p = linear_estimate(terms, setting.panel.n_patients, confidence=setting.config.confidence, null=0.0).p
    estimate = replace(interval, p=p)
    wald = codes.note("p_from_influence_values") if len(used) > 1 else codes.NONE
    estimate = add_notes(estimate, wald, macro_note(setting, list(used)))
    test, confidence = {"null": 0.0}, setting.config.confidence
    return mean_row(place, "auc_difference", estimate, over=list(used), test=test, confidence=confidence)


def _draws(setting: AnalysisContext, a: str, b: str, finding: str, site: str) -> Floats:
    """AUC(A) - AUC(B) at a site in every draw, on the cases that both scored."""
    panel = setting.panel
    mask = panel.at([site])
    if np.array_equal(panel.stated(a, finding) & mask, panel.stated(b, finding) & mask):
        return setting.replicates[a, finding, site] - setting.replicates[b, finding, site]
    both = _both(setting, a, b, finding, [site])
    values = auc_replicates(panel, setting.drawn, [Spot(a, finding, both), Spot(b, finding, both)])
    return values[:, 0] - values[:, 1]
