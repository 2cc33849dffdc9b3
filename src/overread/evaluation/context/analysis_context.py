"""What every analysis is given: panel, policies, populations, draws, what was frozen, the AUCs by site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from overread import codes
from overread.codes import Analysis, Text
from overread.evaluation.context.auc_terms import AucTerm, area_of, select
from overread.evaluation.context.estimate_rows import Counts, EstimateKey, counts_at
from overread.evaluation.context.patient_draws import Draws
from overread.evaluation.context.score_matrix import Bools, Floats, ScoreMatrix
from overread.evaluation.context.site_populations import Population
from overread.evaluation.context.thresholds import Frozen
from overread.evaluation.evaluation_config import EvaluationConfig


@dataclass(frozen=True, slots=True, eq=False)
class AnalysisContext:
    """The ground that all analyses stand on; raters are those that are no seed of another."""

    panel: ScoreMatrix
    config: EvaluationConfig
    raters: tuple[str, ...]
    populations: Mapping[str, tuple[Population, ...]]
    models: Mapping[str, Mapping[str, Any]]
    drawn: Draws
    frozen: Mapping[str, Frozen]
    areas: Mapping[tuple[str, str, str], AucTerm]  # by rater, finding, site; pairs within strata where stated
    replicates: Mapping[tuple[str, str, str], Floats]  # the same AUCs in every draw (replicates,), where evaluable

    def place(self, analysis: Analysis, finding: str, rater: str, population: Population) -> EstimateKey:
        """Where an estimate of this rater in this population belongs."""
        panel = self.panel
        return EstimateKey(analysis, finding, rater, population.name, reference=panel.reference, policy=panel.policy)

    def macro(self) -> tuple[str, ...]:
        """The findings that macro means are over: those fixed beforehand, else all that every rater scores."""
        if self.config.findings:
            return self.config.findings
        return tuple(f for f in self.panel.findings if all(self.panel.gives(r, f) for r in self.raters))

    def evaluable(self, counts: Counts) -> bool:
        """Whether enough patients have the finding, and lack it."""
        return counts.at_least(self.config.minimum_present, self.config.minimum_absent)


@dataclass(frozen=True, slots=True, eq=False)
class SiteMean:
    """The sites over which a population's estimate of one finding is averaged, and a note on those left out."""

    sites: tuple[str, ...]
    areas: tuple[AucTerm, ...]
    evaluable: bool  # at each of these sites enough patients have the finding, and lack it
    note: Text = codes.NONE


def site_mean(context: AnalysisContext, rater: str, finding: str, population: Population) -> SiteMean:
    """The sites of a population at which the finding is evaluable; where there is none, those where it is defined.

    A finding is evaluable at a site when enough patients there have it and enough lack it. An average never includes a
    site at which a handful of patients decides.
    """
    found = {s: context.areas[rater, finding, s] for s in population.sites if (rater, finding, s) in context.areas}
    good = tuple(s for s, a in found.items() if context.evaluable(a.counts) and a.value == a.value)
    defined = good or tuple(s for s, a in found.items() if a.value == a.value)
    used = defined or tuple(found)
    return SiteMean(used, tuple(found[s] for s in used), bool(good), _sites_note(population.sites, used))


def _sites_note(sites: Sequence[str], used: Sequence[str]) -> Text:
    """Over how many sites of a population the mean is, and which have no part in it; nothing of a single site."""
    if len(sites) < 2:
        return codes.NONE
    out = tuple(s for s in sites if s not in used)
    return codes.notes(
        codes.note("single_site", site=used[0]) if len(used) == 1 else codes.note("mean_over_sites", n=len(used)),
        codes.note("sites_excluded", sites=out) if out else None,
    )


def site_areas(panel: ScoreMatrix, raters: Sequence[str]) -> dict[tuple[str, str, str], AucTerm]:
    """The within-site AUC of every rater and finding at every site where the truth is stated."""
    made = {}
    masks = {s: panel.at([s]) for s in panel.site.levels}
    for rater in raters:
        for finding in panel.findings:
            for site, mask in masks.items():
                if (mask & panel.stated(rater, finding)).any():
                    made[rater, finding, site] = area_of(panel, select(panel, rater, finding, mask))
    return made


def macro_note(context: AnalysisContext, used: Sequence[str]) -> Text:
    """The findings of a mean by name, and those of the set fixed beforehand that could not take part."""
    config, out = context.config, tuple(f for f in context.macro() if f not in used)
    least = {"least_present": config.minimum_present, "least_absent": config.minimum_absent}
    if not used:
        return codes.note("no_finding_evaluable", **least, findings=out)
    return codes.notes(mean_note(used), codes.note("findings_not_evaluable", **least, findings=out) if out else None)


def mean_note(findings: Sequence[str]) -> Text:
    """The findings of a mean by name."""
    return codes.note("mean_over_findings", n=len(findings), findings=tuple(findings))


def population_counts(context: AnalysisContext, rater: str, finding: str, population: Population) -> Counts:
    """Counts of all cases of a population with a score and a stated truth."""
    return counts_at(context.panel, rater, finding, context.panel.at(population.sites))


def population_cases(context: AnalysisContext, population: Population) -> Bools:
    """The cases of a population (n_cases,)."""
    return context.panel.at(population.sites)
