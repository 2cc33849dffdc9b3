"""From internal to external: the drop, what the site alone tells, the train-by-test matrix, the spread over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan

import numpy as np

from overread import codes
from overread.evaluation.context.analysis_context import (
    AnalysisContext,
    everywhere,
    macro_note,
    population_counts,
    reach,
    site_areas,
)
from overread.evaluation.context.auc_terms import AucTerm, Cases, auc_estimate, chosen, linear_estimate, mean_terms
from overread.evaluation.context.estimate_rows import MEAN, Row, add_notes, count, mean_row, not_estimable, row
from overread.evaluation.context.finding_means import evaluable_reaches
from overread.evaluation.context.score_matrix import Floats
from overread.evaluation.context.site_populations import Population
from overread.evaluation.hypotheses.pooled_training import seeds_of
from overread.stats import roc
from overread.stats.estimate import Estimate

CAVEAT = codes.note("drop_not_causal")
SITE_RATER = "(site)"


def drop(setting: AnalysisContext) -> list[Row]:
    """Internal AUC (unweighted mean over training sites of the within-site AUC) minus external AUC, for every rater."""
    rows: list[Row] = []
    for rater in setting.raters:
        populations = setting.populations[rater]
        for inside in (p for p in populations if p.internal):
            for outside in (p for p in populations if not p.internal):
                rows += _drops(setting, rater, inside, outside)
    return rows


def _drops(setting: AnalysisContext, rater: str, inside: Population, outside: Population) -> list[Row]:
    panel, confidence = setting.panel, setting.config.confidence
    shared = shared_patients(setting, inside, outside)
    note = codes.note("patients_in_both_populations", n=int(shared)) if shared else codes.NONE
    rows, terms_of = [], {}
    for finding in (f for f in panel.findings if panel.gives(rater, f)):
        here, there = (reach(setting, rater, finding, p) for p in (inside, outside))
        place = setting.place("drop", finding, rater, inside).to(contrast=f"population:{outside.name}")
        if not (here.evaluable and there.evaluable):
            few = tuple(p.name for p, r in ((inside, here), (outside, there)) if not r.evaluable)
            made = not_estimable(codes.note("few_patients_populations", populations=few))
        else:
            terms = mean_terms(here.areas) + mean_terms(there.areas, -1.0)
            terms_of[finding] = terms
            made = linear_estimate(terms, panel.n_patients, confidence=confidence, null=0.0)
            made = add_notes(Estimate(made.value, method=made.method) if shared else made, note, here.note, CAVEAT)
        counts = population_counts(setting, rater, finding, outside)
        rows.append(row(place, "auc_drop", made, counts=counts, test={"null": 0.0}, confidence=confidence))
    used = {f: t for f, t in terms_of.items() if f in setting.macro()}
    mean = not_estimable(macro_note(setting, []))
    if used:
        every = [(c / len(used), a) for terms in used.values() for c, a in terms]
        mean = linear_estimate(every, panel.n_patients, confidence=confidence, null=0.0)
        mean = add_notes(
            replace(mean, low=nan, high=nan, se=nan, p=nan) if shared else mean,
            note,
            macro_note(setting, list(used)),
            CAVEAT,
        )
    place = setting.place("drop", MEAN, rater, inside).to(contrast=f"population:{outside.name}")
    return [*rows, row(place, "auc_drop", mean, test={"null": 0.0}, confidence=confidence)]


def shared_patients(setting: AnalysisContext, a: Population, b: Population) -> int:
    """How many patients have cases in both populations."""
    panel = setting.panel
    return np.intersect1d(panel.patient[everywhere(setting, a)], panel.patient[everywhere(setting, b)]).size


def site_alone(setting: AnalysisContext) -> list[Row]:
    """The AUC of the site alone on the mixed internal test, beside the model's there and the model's within sites."""
    rows: list[Row] = []
    for rater in setting.raters:
        prevalence: Mapping[str, Mapping[str, float]] = setting.models.get(rater, {}).get("prevalence") or {}
        if not prevalence:
            continue
        for population in setting.populations[rater]:
            for finding in (f for f in setting.panel.findings if setting.panel.gives(rater, f)):
                rows += _site_alone(setting, rater, population, finding, prevalence)
    return rows


def _site_alone(
    setting: AnalysisContext,
    rater: str,
    population: Population,
    finding: str,
    prevalence: Mapping[str, Mapping[str, float]],
) -> list[Row]:
    place = setting.place("site_alone", finding, rater, population)
    alone = place.to(contrast=f"rater:{SITE_RATER}")
    confidence = setting.config.confidence
    if not population.internal:
        unseen = not_estimable(codes.note("site_unseen"))
        return [row(place.to(rater=f"{SITE_RATER} {rater}"), "auc", unseen, at="pairs=all", confidence=confidence)]
    of = chosen(setting.panel, rater, finding, everywhere(setting, population), within=False)
    counts = count(of.truth.astype(np.float64), of.patient)
    sites = setting.panel.site.codes[everywhere(setting, population) & setting.panel.stated(rater, finding)]
    known = _prevalences(setting, finding, sites, prevalence)
    rows = []
    if known is None or np.unique(known).size < 2:
        made = not_estimable(codes.note("site_prevalence_unknown" if known is None else "site_prevalence_equal"))
    else:
        made = auc_estimate(replace(of, score=known), counts, confidence=confidence)
    rows.append(
        row(place.to(rater=f"{SITE_RATER} {rater}"), "auc", made, at="pairs=all", counts=counts, confidence=confidence)
    )
    mixed = auc_estimate(of, counts, confidence=confidence)
    rows.append(row(place, "auc", mixed, at="pairs=all", counts=counts, confidence=confidence))
    within = _within_sites(of, sites, confidence)
    rows.append(row(place, "auc", within, at="pairs=site", counts=counts, confidence=confidence))
    if known is not None and np.unique(known).size > 1:
        made = roc.compare_aucs(of.truth, of.score, known, **of.drawn, confidence=confidence)
        test = {"null": 0.0}
        rows.append(row(alone, "auc_difference", made, at="pairs=all", counts=counts, test=test, confidence=confidence))
    return rows


def _within_sites(of: Cases, sites: np.ndarray, confidence: float) -> Estimate:
    return roc.stratified_auc(of.truth, of.score, sites, cluster=of.patient, weights=of.weight, confidence=confidence)


def _prevalences(
    setting: AnalysisContext, finding: str, sites: np.ndarray, prevalence: Mapping[str, Mapping[str, float]]
) -> Floats | None:
    """The training prevalence at each case's site; None where a site's is not known."""
    by_code = {}
    for code in np.unique(sites):
        known = (prevalence.get(setting.panel.site.levels[code]) or {}).get(finding)
        if known is None or np.isnan(known):
            return None
        by_code[code] = float(known)
    return np.array([by_code[c] for c in sites])


def matrix(setting: AnalysisContext) -> list[Row]:
    """Train by test: the within-site AUC of every rater at every site, and its mean over findings."""
    rows: list[Row] = []
    if len(setting.panel.site.levels) < 2:
        return rows
    confidence = setting.config.confidence
    for rater in setting.raters:
        for population in setting.populations[rater]:
            for site in population.sites:
                used: list[tuple[str, AucTerm]] = []
                for finding in setting.panel.findings:
                    found = setting.areas.get((rater, finding, site))
                    if found is None:
                        continue
                    place = setting.place("matrix", finding, rater, population).to(subgroup="site", level=site)
                    of = chosen(setting.panel, rater, finding, setting.panel.at([site]))
                    made = auc_estimate(of, found.counts, confidence=confidence)
                    rows.append(row(place, "auc", made, counts=found.counts, confidence=confidence))
                    if finding in setting.macro() and setting.evaluable(found.counts):
                        used.append((finding, found))
                place = setting.place("matrix", MEAN, rater, population).to(subgroup="site", level=site)
                mean = Estimate(nan)
                if used:
                    terms = mean_terms([a for _, a in used])
                    mean = linear_estimate(terms, setting.panel.n_patients, confidence=confidence)
                over = [f for f, _ in used]
                mean = add_notes(mean, macro_note(setting, over))
                rows.append(mean_row(place, "auc", mean, over=over, confidence=confidence))
    return rows


def seeds(setting: AnalysisContext) -> list[Row]:
    """The mean AUC of every seed, and their spread, over the findings that are evaluable for the ensemble."""
    rows: list[Row] = []
    for rater in setting.raters:
        members = [m for m in setting.config.members.get(rater, ()) if m in setting.panel.raters]
        if not members:
            continue
        areas = site_areas(setting.panel, members)
        for population in setting.populations[rater]:
            reaches = evaluable_reaches(setting, rater, population)
            if not reaches:
                continue
            values = []
            for member in members:
                terms = [
                    (c / len(reaches), a)
                    for f, r in reaches.items()
                    for c, a in mean_terms([areas[member, f, s] for s in r.sites if (member, f, s) in areas])
                ]
                made = linear_estimate(terms, setting.panel.n_patients, confidence=setting.config.confidence)
                place = setting.place("seeds", MEAN, member, population)
                note = macro_note(setting, list(reaches))
                rows.append(row(place, "auc", add_notes(made, note), confidence=setting.config.confidence))
                values.append(made.value)
            rows.append(_spread(setting, rater, population, values))
    return rows


def _spread(setting: AnalysisContext, rater: str, population: Population, values: Sequence[float]) -> Row:
    place = setting.place("seeds", MEAN, rater, population)
    if len(values) < 2:
        made = not_estimable(codes.note("single_seed"))
    else:
        ends = {"lowest": float(min(values)), "highest": float(max(values))}
        note = codes.note("seeds_range", n=len(values), of=seeds_of(setting, rater), **ends)
        made = Estimate(float(np.std(values, ddof=1)), method=codes.method("seed_standard_deviation"), note=note)
    return row(place, "auc_sd", made, confidence=setting.config.confidence)
