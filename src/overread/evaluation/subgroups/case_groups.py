"""The cases of a population parted by a column, or by two columns crossed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from overread import codes
from overread.codes import Analysis, Text
from overread.evaluation.context.analysis_context import AnalysisContext, population_cases
from overread.evaluation.context.estimate_rows import Counts, EstimateKey
from overread.evaluation.context.score_matrix import Bools, Column
from overread.evaluation.context.site_populations import Population
from overread.evaluation.join.case_tables import band_names

CROSS = " × "


@dataclass(frozen=True, slots=True, eq=False)
class CaseGroups:
    """One rater in one population, its cases parted by a column: the cases (n_cases,) of every level, in order."""

    rater: str
    population: Population
    name: str
    levels: Mapping[str, Bools]

    @property
    def cases(self) -> Bools:
        """The cases that have a value in the column."""
        cases: Bools = np.logical_or.reduce(list(self.levels.values()))
        return cases

    def place(self, context: AnalysisContext, finding: str = "", level: str = "") -> EstimateKey:
        """Where an estimate of one level belongs."""
        place = context.place(Analysis.SUBGROUPS, finding, self.rater, self.population)
        return place.to(subgroup=self.name, level=level)

    def findings(self, context: AnalysisContext) -> list[str]:
        """The findings that the rater gives and that are stated for a case of the column."""
        panel = context.panel
        given = [f for f in panel.findings if panel.gives(self.rater, f)]
        return [f for f in given if (self.cases & panel.stated(self.rater, f)).any()]


def split_by_groups(context: AnalysisContext, rater: str, population: Population) -> list[CaseGroups]:
    """The population by every column of the configuration and by site, then by the columns crossed."""
    inside = population_cases(context, population)
    columns = dict(context.panel.groups)
    if len(population.sites) > 1:
        columns["site"] = context.panel.site
    made = {
        name: {level: inside & (column.codes == column.levels.index(level)) for level in ordered(context, name, column)}
        for name, column in columns.items()
    }
    for first, second in context.config.subgroup_intersections:
        if first in made and second in made:
            made[f"{first}{CROSS}{second}"] = {
                f"{a}{CROSS}{b}": one & other for a, one in made[first].items() for b, other in made[second].items()
            }
    held = {name: {k: v for k, v in levels.items() if v.any()} for name, levels in made.items()}
    return [CaseGroups(rater, population, name, levels) for name, levels in held.items() if levels]


def ordered(context: AnalysisContext, name: str, column: Column) -> list[str]:
    """The levels of a column in the order of the page: age bands by age, others by name."""
    order = band_names(context.config.age_bands) if name == "age_band" else sorted(column.levels)
    return [level for level in order if level in column.levels]


def few_evaluable(context: AnalysisContext, counts: Counts) -> Text:
    """Too few patients with the finding, or without it, for an estimate in this group."""
    config = context.config
    given = {"present": counts.patients_present, "absent": counts.patients_absent}
    needed = {"least_present": config.minimum_present, "least_absent": config.minimum_absent}
    return codes.note("few_patients_evaluable", **given, **needed)
