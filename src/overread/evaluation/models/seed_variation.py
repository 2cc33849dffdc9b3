"""Variation over training seeds: every headline of each seed, and its mean and standard deviation over the seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from overread import codes
from overread.codes import Analysis, Metric, Text
from overread.evaluation.context.analysis_context import (
    AnalysisContext,
    SiteAggregate,
    aggregate_sites,
    macro_note,
    population_cases,
    with_areas,
)
from overread.evaluation.context.auc_terms import AucTerm, combined_term, linear_estimate, mean_area, mean_terms
from overread.evaluation.context.estimate_rows import (
    MEAN,
    Counts,
    Row,
    add_notes,
    not_estimable,
    row,
    without_interval,
)
from overread.evaluation.context.finding_means import evaluable_sites
from overread.evaluation.context.site_populations import Population
from overread.evaluation.hypotheses.pooled_training import seeds_of
from overread.evaluation.models.standalone import auc_over
from overread.evaluation.progress import advancing
from overread.evaluation.subgroups.case_groups import few_evaluable, group_pairs, split_by_groups
from overread.evaluation.subgroups.difference_contrasts import contrast_rows, pairs_among
from overread.evaluation.subgroups.group_analyses import BY_GROUP
from overread.evaluation.subgroups.group_differences import (
    DIFFERENCES,
    Differences,
    GroupTerms,
    difference_row,
    difference_term,
    differences,
)
from overread.evaluation.subgroups.group_rates import NO_FINDING, judged, missed_cases, missed_share, shares
from overread.stats.estimate import Estimate

STANDARD_DEVIATIONS = {
    Metric.AUC: Metric.AUC_SD,
    Metric.SENSITIVITY: Metric.SENSITIVITY_SD,
    Metric.SPECIFICITY: Metric.SPECIFICITY_SD,
    Metric.UNDERDIAGNOSIS: Metric.UNDERDIAGNOSIS_SD,
    Metric.AUC_DIFFERENCE: Metric.AUC_DIFFERENCE_SD,
    Metric.SENSITIVITY_DIFFERENCE: Metric.SENSITIVITY_DIFFERENCE_SD,
    Metric.SPECIFICITY_DIFFERENCE: Metric.SPECIFICITY_DIFFERENCE_SD,
    Metric.UNDERDIAGNOSIS_DIFFERENCE: Metric.UNDERDIAGNOSIS_DIFFERENCE_SD,
}
OF_ALL = (MEAN, NO_FINDING, "")  # of the differences of groups in single findings, only mean and deviation have rows


@dataclass(frozen=True, slots=True, eq=False)
class SeedValue:
    """A headline of one seed: its row, its term for means over seeds or the reason why there is none, and a note."""

    made: Row
    term: AucTerm | Text
    note: Text = codes.NONE

    @property
    def headline(self) -> tuple[str, ...]:
        """Return what is estimated, without the seed."""
        names = ("metric", "at", "finding", "subgroup", "level", "contrast")
        return tuple(self.made[name] for name in names)


def seeds(context: AnalysisContext) -> list[Row]:
    """Estimate every headline of each training seed, and its mean and standard deviation over the seeds.

    Headlines are the AUC by finding and its mean, sensitivity, specificity and under-diagnosis at the operating points,
    and the signed differences of groups. The members of an ensemble are named in the configuration; the ensemble
    itself may have no predictions. The standard deviation is that of a sample (n - 1). The interval of a mean is that
    of these seeds: it covers the sampling of patients only.
    """
    rows: list[Row] = []
    found: dict[tuple[str, Population], Differences] = {}
    present = [name for name, members in context.config.members.items() if set(members) & set(context.panel.raters)]
    for name in advancing(present):
        own = _of_members(context, name)
        for population in own.populations[own.raters[0]]:
            values, signed = _headlines(context, own, name, population)
            rows += [v.made for v in values if not v.made["contrast"] or v.made["finding"] in OF_ALL]
            rows += _summaries(context, name, population, values)
            found[name, population] = _mean_differences(own, signed)
    return rows + contrast_rows(context, Analysis.SEEDS, found, pairs_among(present, context))


def _of_members(context: AnalysisContext, name: str) -> AnalysisContext:
    """Return the context of the members of an ensemble, with its populations and its findings of means."""
    members = tuple(m for m in context.config.members[name] if m in context.panel.raters)
    where = context.populations[name if name in context.raters else members[0]]
    own = replace(
        context,
        config=replace(context.config, findings=context.macro()),
        raters=members,
        populations=dict.fromkeys(members, where),
        frozen={m: context.seed_frozen[m] for m in members},
        replicates={},
    )
    return with_areas(own)


def _headlines(
    context: AnalysisContext, own: AnalysisContext, name: str, population: Population
) -> tuple[list[SeedValue], list[Differences]]:
    """Return all headlines of all seeds, and the groups of every seed."""
    lead = (context, name) if name in context.raters else (own, own.raters[0])
    sites = {f: aggregate_sites(*lead, f, population) for f in own.panel.findings if own.panel.gives(lead[1], f)}
    means = evaluable_sites(*lead, population)
    values, signed = [], []
    columns = {pair.column for pair in group_pairs(own)}
    for member in advancing(own.raters):
        values += [*_aucs(own, member, population, sites, means), *_rates(own, member, population)]
        mine: Differences = {}
        for groups in split_by_groups(own, member, population):
            if groups.name in columns:
                mine |= differences(own, groups, [m for analysis in BY_GROUP for m in analysis(own, groups)[1]])
        place = own.place(Analysis.SEEDS, "", member, population)
        for key, terms in mine.items():
            made = difference_row(own, place, key, terms)
            values.append(SeedValue(made, difference_term(own, terms), terms.note))
        signed.append(mine)
    return values, signed


def _aucs(
    own: AnalysisContext,
    member: str,
    population: Population,
    sites: Mapping[str, SiteAggregate],
    means: Mapping[str, SiteAggregate],
) -> Iterator[SeedValue]:
    """Yield the AUC of every finding, at the sites of the ensemble, and the mean over findings."""
    n_patients, confidence = own.panel.n_patients, own.config.confidence
    for finding, over in sites.items():
        parts = tuple(p for p in over.parts if (member, finding, p) in own.areas)
        if not parts:
            continue
        areas = tuple(own.areas[member, finding, p] for p in parts)
        place = own.place(Analysis.SEEDS, finding, member, population)
        mine = replace(over, areas=areas, parts=parts)
        counts = _sum_of([a.counts for a in areas])
        made = row(place, Metric.AUC, auc_over(own, place, mine), counts=counts, confidence=confidence)
        defined = [a for a in areas if a.value == a.value]
        term: AucTerm | Text = combined_term(mean_terms(defined), n_patients, counts) if defined else areas[0].note
        yield SeedValue(made, term, over.note)
    if means:
        terms = [
            (c / len(means), a)
            for f, r in means.items()
            for c, a in mean_terms([own.areas[member, f, p] for p in r.parts if (member, f, p) in own.areas])
        ]
        note = macro_note(own, list(means))
        estimate = add_notes(linear_estimate(terms, n_patients, confidence=confidence), note)
        made = row(own.place(Analysis.SEEDS, MEAN, member, population), Metric.AUC, estimate, confidence=confidence)
        yield SeedValue(made, combined_term(terms, n_patients), note)


def _rates(own: AnalysisContext, member: str, population: Population) -> Iterator[SeedValue]:
    """Yield the rates of every finding at its thresholds, their means over findings, and under-diagnosis."""
    everyone = population_cases(own, population)
    place = own.place(Analysis.SEEDS, "", member, population)
    found: dict[tuple[Metric, str], dict[str, AucTerm]] = {}
    for finding in (f for f in own.panel.findings if own.panel.gives(member, f)):
        for share in shares(own, member, finding, everyone):
            made, term = judged(own, share, place.to(finding=finding))
            if not isinstance(term, Text) and own.evaluable(share.counts) and finding in own.macro():
                found.setdefault((share.metric, share.at), {})[finding] = term
            yield SeedValue(made, term, share.words)
    for (metric, at), terms in found.items():
        mean = mean_area(list(terms.values()), own.panel.n_patients)
        note = codes.notes(own.frozen[member].words_over(terms), macro_note(own, list(terms)))
        spot, confidence = place.to(finding=MEAN), own.config.confidence
        estimate = add_notes(_estimate(mean, own, null=None), note)
        made = row(spot, metric, estimate, at=at, confidence=confidence) | {"over": tuple(terms)}
        yield SeedValue(made, mean, note)
    for finding, point, ill, missed in missed_cases(own, member):
        share = missed_share(own, member, point, everyone & ill, missed)
        made, term = judged(own, share, place.to(finding=finding))
        yield SeedValue(made, term, share.words)


def _sum_of(counts: Sequence[Counts]) -> Counts:
    """Sum the numbers of cases and patients of different sites."""
    return Counts(*(sum(getattr(c, n) for c in counts) for n in Counts.__slots__))


def _estimate(term: AucTerm, own: AnalysisContext, *, null: float | None) -> Estimate:
    """Estimate a mean from its term; a rate or an AUC is within 0 and 1."""
    estimate = linear_estimate([(1.0, term)], own.panel.n_patients, confidence=own.config.confidence, null=null)
    if null is not None:
        return replace(estimate, low=max(-1.0, estimate.low), high=min(1.0, estimate.high))
    return replace(estimate, low=max(0.0, estimate.low), high=min(1.0, estimate.high))


def _summaries(
    context: AnalysisContext, name: str, population: Population, values: Sequence[SeedValue]
) -> Iterator[Row]:
    """Yield the mean and the standard deviation over the seeds of every headline."""
    headlines: dict[tuple[str, ...], list[SeedValue]] = {}
    for value in values:
        headlines.setdefault(value.headline, []).append(value)
    place = context.place(Analysis.SEEDS, "", name, population)
    for (metric, at, finding, subgroup, level, contrast), of_seeds in headlines.items():
        spot = place.to(finding=finding, subgroup=subgroup, level=level, contrast=contrast)
        over = of_seeds[0].made.get("over", ())
        mean, spread = _mean_and_spread(context, name, metric, of_seeds)
        counts = {n: of_seeds[0].made[n] for n in ("n_present", "n_absent", "n_cases", "n_patients")}
        same = all(v.made[n] == c for v in of_seeds for n, c in counts.items())
        test = {"null": 0.0} if metric in DIFFERENCES.values() else {}
        for of, estimate in ((metric, mean), (STANDARD_DEVIATIONS[Metric(metric)], spread)):
            made = row(
                spot, of, estimate, at=at, test=test if of == metric else {}, confidence=context.config.confidence
            )
            yield made | (counts if same else {}) | {"over": over}


def _mean_and_spread(
    context: AnalysisContext, name: str, metric: str, of_seeds: Sequence[SeedValue]
) -> tuple[Estimate, Estimate]:
    method, spread_method = codes.method("seed_mean"), codes.method("seed_standard_deviation")
    missing = [
        codes.note("seed_not_evaluable", rater=v.made["rater"], reason=str(v.term))
        for v in of_seeds
        if isinstance(v.term, Text)
    ]
    terms = [v.term for v in of_seeds if not isinstance(v.term, Text)]
    notes = codes.notes(*(v.note for v in of_seeds[:1]))
    if missing:
        none = not_estimable(*missing, notes, method=method)
        return none, replace(none, method=spread_method)
    values = np.array([t.value for t in terms])
    ends = {"lowest": float(values.min()), "highest": float(values.max())}
    note = codes.note("seeds_range", n=values.size, of=max(seeds_of(context, name), values.size), **ends)
    mean = combined_term([(1 / values.size, t) for t in terms], context.panel.n_patients)
    estimate = _estimate(mean, context, null=0.0 if metric in DIFFERENCES.values() else None)
    estimate = replace(estimate, value=float(values.mean()), method=codes.methods(method, estimate.method))
    few = [few_evaluable(context, t.counts) for t in terms if t.counts.cases and not _enough(context, metric, t.counts)]
    if few:
        estimate = without_interval(estimate, few[0], note, notes)
    else:
        estimate = add_notes(estimate, note, codes.note("seeds_fixed"), notes)
    if values.size < 2:
        return estimate, not_estimable(codes.note("single_seed"), method=spread_method)
    return estimate, Estimate(float(np.std(values, ddof=1)), method=spread_method, note=codes.notes(note, notes))


def _enough(context: AnalysisContext, metric: str, counts: Counts) -> bool:
    """Return whether there are enough patients for the interval of a mean over seeds; rates were judged before."""
    return metric != Metric.AUC or context.evaluable(counts)


def _mean_differences(own: AnalysisContext, signed: Sequence[Differences]) -> Differences:
    """Return the groups with the mean over seeds of their terms, where every seed has one."""
    found: Differences = {}
    for key, first in signed[0].items():
        every = [mine[key] for mine in signed if key in mine]
        if len(every) == len(signed):
            level, reference = (
                _mean_term(own, side) for side in zip(*((t.level, t.reference) for t in every), strict=True)
            )
            found[key] = GroupTerms(level, reference, first.over, first.note)
    return found


def _mean_term(own: AnalysisContext, terms: Sequence[AucTerm | Text]) -> AucTerm | Text:
    known = [t for t in terms if not isinstance(t, Text)]
    if len(known) < len(terms):
        return next(t for t in terms if isinstance(t, Text))
    mean = combined_term([(1 / len(known), t) for t in known], own.panel.n_patients, known[0].counts)
    return replace(mean, note=known[0].note)
