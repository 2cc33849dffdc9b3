"""Shared inputs of the analyses of scores: score matrix, populations, resamples, frozen thresholds and AUCs by site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from overread import codes
from overread.codes import Analysis, Text
from overread.evaluation.context.auc_terms import AucTerm, area_of, select
from overread.evaluation.context.estimate_rows import Counts, EstimateKey, counts_at
from overread.evaluation.context.patient_draws import Draws
from overread.evaluation.context.score_matrix import Bools, Codes, Floats, ScoreMatrix
from overread.evaluation.context.site_populations import (
    STRATIFIED,
    WITHIN_SITE_MEAN,
    Population,
    aggregation_over_sites,
)
from overread.evaluation.context.thresholds import Frozen
from overread.evaluation.evaluation_config import EvaluationConfig

Part = tuple[str, ...]  # the sites whose cases make one AUC
AreaKey = tuple[str, str, Part]  # rater, finding, sites
_NAMED = 10  # sites that a note names; the rows of the sites name all


@dataclass(frozen=True, slots=True, eq=False)
class AnalysisContext:
    """Shared inputs of the analyses of scores; `raters` excludes members of ensembles."""

    panel: ScoreMatrix
    config: EvaluationConfig
    raters: tuple[str, ...]
    populations: Mapping[str, tuple[Population, ...]]
    models: Mapping[str, Mapping[str, Any]]
    drawn: Draws
    frozen: Mapping[str, Frozen]
    areas: Mapping[AreaKey, AucTerm]  # at single sites and over those that are aggregated
    replicates: Mapping[AreaKey, Floats]  # these AUCs in every draw (replicates,), where evaluable
    seed_frozen: Mapping[str, Frozen] = field(default_factory=dict)  # thresholds of the members of ensembles

    @property
    def aggregation(self) -> str:
        """How the AUC of a population of several sites is computed, in every analysis of scores."""
        return aggregation_over_sites(self.raters, self.config, self.models)

    def place(self, analysis: Analysis, finding: str, rater: str, population: Population) -> EstimateKey:
        """Return the key of an estimate of this rater in this population."""
        panel, policy = self.panel, self.panel.policy
        if any(r == rater for r, _ in panel.decisions) and not panel.ranks_any(rater):
            policy = policy.replace("case_score=mean", "case_score=max")  # decisions of images are not averaged
        return EstimateKey(analysis, finding, rater, population.name, reference=panel.reference, policy=policy)

    def macro(self) -> tuple[str, ...]:
        """The findings over which means are computed: the prespecified ones, else all that every rater scores."""
        if self.config.findings:
            return self.config.findings
        return tuple(f for f in self.panel.findings if all(self.panel.gives(r, f) for r in self.raters))

    def evaluable(self, counts: Counts) -> bool:
        """Return whether there are enough patients with and without the finding."""
        return counts.at_least(self.config.minimum_present, self.config.minimum_absent)


@dataclass(frozen=True, slots=True, eq=False)
class SiteAggregate:
    """The parts over which a population's AUC of one finding is averaged, and a note on the sites left out.

    With aggregation "within-site mean" a part is a site; otherwise there is one part, all sites that contribute a pair.
    """

    parts: tuple[Part, ...]
    areas: tuple[AucTerm, ...]
    evaluable: bool  # in each of these parts enough patients have the finding, and lack it
    note: Text = codes.NONE

    @property
    def sites(self) -> Part:
        """The sites of all parts."""
        return tuple(s for part in self.parts for s in part)


def aggregate_sites(context: AnalysisContext, rater: str, finding: str, population: Population) -> SiteAggregate:
    """Return the parts of a population whose AUCs make that of the population.

    A mean over sites is over those at which the finding is evaluable, or else those at which its AUC is defined: it
    never includes a site whose AUC depends on a handful of patients. An AUC over pairs uses every pair of every site.
    """
    found = {
        p: context.areas[rater, finding, p]
        for p in parts_of(context, rater, finding, population)
        if (rater, finding, p) in context.areas
    }
    good = tuple(p for p, a in found.items() if context.evaluable(a.counts) and a.value == a.value)
    defined = good or tuple(p for p, a in found.items() if a.value == a.value)
    used = defined or tuple(found)
    if over_pairs(context, population):
        note = population_note(context, population, [rater], over=[finding])
    else:
        note = _sites_note(population.sites, [p[0] for p in used])
    return SiteAggregate(used, tuple(found[p] for p in used), bool(good), note)


def over_pairs(context: AnalysisContext, population: Population) -> bool:
    """Return whether the AUC of this population is one AUC over pairs of cases of its several sites."""
    return len(population.sites) > 1 and context.aggregation != WITHIN_SITE_MEAN


def parts_of(context: AnalysisContext, rater: str, finding: str, population: Population) -> list[Part]:
    """Return the sites one by one, or together those that contribute a pair (if none does, those with a case)."""
    if not over_pairs(context, population):
        return [(s,) for s in population.sites]
    whole = contributing_sites(context, population, context.panel.stated(rater, finding), finding)
    return [whole] if whole else []


def contributing_sites(context: AnalysisContext, population: Population, cases: Bools, finding: str) -> Part:
    """Return the sites whose cases (of the mask) are in a pair; without a pair, all sites with a case."""
    present, absent = _classes(context.panel, cases, finding)
    if context.aggregation == STRATIFIED:
        paired = {s for s in population.sites if present[s] and absent[s]}
    else:
        paired = {s for s in population.sites if present[s] or absent[s]}
    return tuple(s for s in population.sites if s in paired) or tuple(
        s for s in population.sites if present[s] or absent[s]
    )


def _classes(panel: ScoreMatrix, cases: Bools, finding: str) -> tuple[dict[str, int], dict[str, int]]:
    """Count the present and the absent cases of a mask at every site."""
    truth, levels = panel.truths(finding), panel.site.levels
    counts = (
        np.bincount(panel.site.codes[cases & (truth == outcome) & (panel.site.codes >= 0)], minlength=len(levels))
        for outcome in (1, 0)
    )
    present, absent = (dict(zip(levels, map(int, c), strict=True)) for c in counts)
    return present, absent


def pairs_note(context: AnalysisContext, population: Population, cases: Mapping[str, Bools]) -> Text:
    """State how the sites of a population were aggregated: the pairs, and the sites that contribute none.

    `cases` holds by finding the cases (n_cases,) with score and reference standard. Of a mean over findings, pairs are
    those of all findings, and a site without a pair has none for any of them.
    """
    panel, paired, n_pairs = context.panel, set(), 0
    for finding, mask in cases.items():
        index = np.flatnonzero(panel.at(contributing_sites(context, population, mask, finding)) & mask)
        truth, strata = panel.truths(finding)[index] == 1, panel.pair_strata(index)
        if found := count_pairs(truth, strata):
            n_pairs += found
            paired |= set(contributing_sites(context, population, mask, finding))
    out = tuple(s for s in population.sites if s not in paired)
    n = {"n_sites": len(paired), "n_pairs": n_pairs, "n_sites_without_pair": len(out)}
    if context.aggregation != STRATIFIED:
        return codes.note("aggregation_pooled", **n)
    lost = int((panel.at(out) & np.logical_or.reduce(list(cases.values()))).sum())
    name = "sites_without_pair" if len(out) <= _NAMED else "many_sites_without_pair"
    return codes.notes(
        codes.note("aggregation_stratified", **n),
        codes.note(name, n=len(out), cases=lost, sites=out[:_NAMED]) if out else None,
    )


def population_note(
    context: AnalysisContext, population: Population, raters: Sequence[str], *, over: Sequence[str]
) -> Text:
    """State how the sites were aggregated in an estimate of cases that all these raters scored, over these findings."""
    if not over or not over_pairs(context, population):
        return codes.NONE
    panel = context.panel
    stated = {f: np.logical_and.reduce([panel.stated(r, f) for r in raters]) for f in over}
    return pairs_note(context, population, stated)


def count_pairs(truth: Bools, strata: Codes | None) -> int:
    """Count the pairs of a present and an absent case, within strata if there are any.

    >>> count_pairs(np.array([True, True, False, False]), np.array([0, 0, 0, 1]))
    2
    """
    if not truth.size:
        return 0
    stratum = np.zeros(truth.size, np.intp) if strata is None else np.unique(strata, return_inverse=True)[1]
    present, absent = (np.bincount(stratum[among], minlength=stratum.max() + 1) for among in (truth, ~truth))
    return int(present @ absent)


def _sites_note(sites: Sequence[str], used: Sequence[str]) -> Text:
    """Describe the sites included in and excluded from a mean; empty for a population of one site."""
    if len(sites) < 2:
        return codes.NONE
    out = tuple(s for s in sites if s not in used)
    return codes.notes(
        codes.note("single_site", site=used[0]) if len(used) == 1 else codes.note("mean_over_sites", n=len(used)),
        codes.note("sites_excluded", sites=out) if out else None,
    )


def with_areas(context: AnalysisContext) -> AnalysisContext:
    """Return the context with the AUC of every rater and finding at every site, and over the sites aggregated."""
    panel = context.panel
    areas: dict[AreaKey, AucTerm] = {}
    for rater in context.raters:
        for finding in (f for f in panel.findings if panel.ranks(rater, f)):
            parts: set[Part] = {(s,) for s in panel.site.levels}
            parts |= {p for q in context.populations[rater] for p in parts_of(context, rater, finding, q)}
            for part in sorted(parts):
                if (mask := panel.at(part) & panel.stated(rater, finding)).any():
                    areas[rater, finding, part] = area_of(panel, select(panel, rater, finding, mask))
    return replace(context, areas=areas)


def areas_at(panel: ScoreMatrix, rater: str, finding: str, parts: Sequence[Part]) -> list[AucTerm]:
    """Compute the AUC of a rater over the cases of every part that has a case with score and truth."""
    masks = [panel.at(part) & panel.stated(rater, finding) for part in parts]
    return [area_of(panel, select(panel, rater, finding, mask)) for mask in masks if mask.any()]


def macro_note(context: AnalysisContext, used: Sequence[str], *, ranked_by: Sequence[str] = ()) -> Text:
    """Name the findings of a mean, and the prespecified findings that could not be included.

    `ranked_by` names the raters of an AUC: their decisions have none, whatever the number of patients.
    """
    config, every = context.config, [f for f in context.macro() if f not in used]
    decided = tuple(f for f in every if {(r, f) for r in ranked_by} & context.panel.decisions)
    out = tuple(f for f in every if f not in decided)
    least = {"least_present": config.minimum_present, "least_absent": config.minimum_absent}
    decisions = codes.note("findings_of_decisions", findings=decided) if decided else None
    if not used and not out:
        return codes.note("no_auc_of_decisions" if decided else "no_common_finding")
    if not used:
        return codes.notes(codes.note("no_finding_evaluable", **least, findings=out), decisions)
    return codes.notes(
        mean_note(used, of=len(context.macro())),
        codes.note("findings_not_evaluable", **least, findings=out) if out else None,
        decisions,
    )


def mean_note(findings: Sequence[str], *, of: int | None = None) -> Text:
    """Name the findings of a mean; `of` is the number of findings that it could have been over."""
    names = tuple(findings)
    return codes.note("mean_over_findings", n=len(names), of=len(names) if of is None else of, findings=names)


def population_counts(context: AnalysisContext, rater: str, finding: str, population: Population) -> Counts:
    """Count the cases of a population with a score and a reference standard."""
    return counts_at(context.panel, rater, finding, context.panel.at(population.sites))


def population_cases(context: AnalysisContext, population: Population) -> Bools:
    """The cases of a population (n_cases,)."""
    return context.panel.at(population.sites)
