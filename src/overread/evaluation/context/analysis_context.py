"""Shared inputs of the analyses of scores: score matrix, populations, resamples, frozen thresholds and AUCs by site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    """Shared inputs of the analyses of scores; `raters` excludes members of ensembles."""

    panel: ScoreMatrix
    config: EvaluationConfig
    raters: tuple[str, ...]
    populations: Mapping[str, tuple[Population, ...]]
    models: Mapping[str, Mapping[str, Any]]
    drawn: Draws
    frozen: Mapping[str, Frozen]
    areas: Mapping[tuple[str, str, str], AucTerm]  # by rater, finding, site; pairs within strata where stated
    replicates: Mapping[tuple[str, str, str], Floats]  # the same AUCs in every draw (replicates,), where evaluable
    seed_frozen: Mapping[str, Frozen] = field(default_factory=dict)  # thresholds of the members of ensembles

    def place(self, analysis: Analysis, finding: str, rater: str, population: Population) -> EstimateKey:
        """Return the key of an estimate of this rater in this population."""
        panel = self.panel
        return EstimateKey(analysis, finding, rater, population.name, reference=panel.reference, policy=panel.policy)

    def macro(self) -> tuple[str, ...]:
        """The findings over which means are computed: the prespecified ones, else all that every rater scores."""
        if self.config.findings:
            return self.config.findings
        return tuple(f for f in self.panel.findings if all(self.panel.gives(r, f) for r in self.raters))

    def evaluable(self, counts: Counts) -> bool:
        """Return whether there are enough patients with and without the finding."""
        return counts.at_least(self.config.minimum_present, self.config.minimum_absent)


@dataclass(frozen=True, slots=True, eq=False)
class SiteMean:
    """The sites over which a population's estimate of one finding is averaged, and a note on those left out."""

    sites: tuple[str, ...]
    areas: tuple[AucTerm, ...]
    evaluable: bool  # at each of these sites enough patients have the finding, and lack it
    note: Text = codes.NONE


def site_mean(context: AnalysisContext, rater: str, finding: str, population: Population) -> SiteMean:
    """Return the sites of a population at which the finding is evaluable, or else those at which its AUC is defined.

    A finding is evaluable at a site with enough patients with and without it, so that a mean over sites never includes
    a site whose AUC depends on a handful of patients.
    """
    found = {s: context.areas[rater, finding, s] for s in population.sites if (rater, finding, s) in context.areas}
    good = tuple(s for s, a in found.items() if context.evaluable(a.counts) and a.value == a.value)
    defined = good or tuple(s for s, a in found.items() if a.value == a.value)
    used = defined or tuple(found)
    return SiteMean(used, tuple(found[s] for s in used), bool(good), _sites_note(population.sites, used))


def _sites_note(sites: Sequence[str], used: Sequence[str]) -> Text:
    """Describe the sites included in and excluded from a mean; empty for a population of one site."""
    if len(sites) < 2:
        return codes.NONE
    out = tuple(s for s in sites if s not in used)
    return codes.notes(
        codes.note("single_site", site=used[0]) if len(used) == 1 else codes.note("mean_over_sites", n=len(used)),
        codes.note("sites_excluded", sites=out) if out else None,
    )


def site_areas(panel: ScoreMatrix, raters: Sequence[str]) -> dict[tuple[str, str, str], AucTerm]:
    """Compute the within-site AUC of every rater and finding at every site with a reference standard."""
    terms = {}
    masks = {s: panel.at([s]) for s in panel.site.levels}
    for rater in raters:
        for finding in panel.findings:
            for site, mask in masks.items():
                if (mask & panel.stated(rater, finding)).any():
                    terms[rater, finding, site] = area_of(panel, select(panel, rater, finding, mask))
    return terms


def macro_note(context: AnalysisContext, used: Sequence[str]) -> Text:
    """Name the findings of a mean, and the prespecified findings that could not be included."""
    config, out = context.config, tuple(f for f in context.macro() if f not in used)
    least = {"least_present": config.minimum_present, "least_absent": config.minimum_absent}
    if not used and not out:
        return codes.note("no_common_finding")
    if not used:
        return codes.note("no_finding_evaluable", **least, findings=out)
    return codes.notes(mean_note(used), codes.note("findings_not_evaluable", **least, findings=out) if out else None)


def mean_note(findings: Sequence[str]) -> Text:
    """Name the findings of a mean."""
    return codes.note("mean_over_findings", n=len(findings), findings=tuple(findings))


def population_counts(context: AnalysisContext, rater: str, finding: str, population: Population) -> Counts:
    """Count the cases of a population with a score and a reference standard."""
    return counts_at(context.panel, rater, finding, context.panel.at(population.sites))


def population_cases(context: AnalysisContext, population: Population) -> Bools:
    """The cases of a population (n_cases,)."""
    return context.panel.at(population.sites)
