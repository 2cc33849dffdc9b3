"""Subgroups of the cases of a population by one column or by the combination of two columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from overread import codes
from overread.codes import Analysis, Text
from overread.errors import InputError, did_you_mean
from overread.evaluation.context.analysis_context import AnalysisContext, population_cases
from overread.evaluation.context.estimate_rows import Counts, EstimateKey
from overread.evaluation.context.score_matrix import Bools, Column, ScoreMatrix
from overread.evaluation.context.site_populations import Population
from overread.evaluation.evaluation_config import CROSS, EvaluationConfig
from overread.evaluation.join.account import Dropped
from overread.evaluation.join.case_tables import band_names

SITE = "site"


@dataclass(frozen=True, slots=True, eq=False)
class CaseGroups:
    """Subgroups of one rater in one population: the cases (n_cases,) of every level of a column, in order."""

    rater: str
    population: Population
    name: str
    levels: Mapping[str, Bools]

    @property
    def cases(self) -> Bools:
        """The cases with a value in the column."""
        cases: Bools = np.logical_or.reduce(list(self.levels.values()))
        return cases

    def place(self, context: AnalysisContext, finding: str = "", level: str = "") -> EstimateKey:
        """Return the key of an estimate of one level."""
        place = context.place(Analysis.SUBGROUPS, finding, self.rater, self.population)
        return place.to(subgroup=self.name, level=level)

    def findings(self, context: AnalysisContext) -> list[str]:
        """Return the findings of the rater with a reference standard for a case of the column."""
        panel = context.panel
        given = [f for f in panel.findings if panel.gives(self.rater, f)]
        return [f for f in given if (self.cases & panel.stated(self.rater, f)).any()]


def split_by_groups(context: AnalysisContext, rater: str, population: Population) -> list[CaseGroups]:
    """Return the subgroups by every configured column, by site, and by the configured pairs of columns.

    A column in which all cases of the population have the same level, or none, defines no subgroups.
    """
    inside = population_cases(context, population)
    columns = dict(context.panel.groups)
    if len(population.sites) > 1:
        columns[SITE] = context.panel.site
    masks = {
        name: {level: inside & (column.codes == column.levels.index(level)) for level in ordered(context, name, column)}
        for name, column in columns.items()
    }
    for first, second in context.config.subgroup_intersections:
        if first in masks and second in masks:
            masks[f"{first}{CROSS}{second}"] = {
                f"{a}{CROSS}{b}": one & other for a, one in masks[first].items() for b, other in masks[second].items()
            }
    non_empty = {name: {k: v for k, v in levels.items() if v.any()} for name, levels in masks.items()}
    return [CaseGroups(rater, population, name, levels) for name, levels in non_empty.items() if len(levels) > 1]


def ordered(context: AnalysisContext, name: str, column: Column) -> list[str]:
    """Return the levels of a column in the order of the report: age bands by age, others by name."""
    order = band_names(context.config.age_bands) if name == "age_band" else sorted(column.levels)
    return [level for level in order if level in column.levels]


def few_evaluable(context: AnalysisContext, counts: Counts) -> Text:
    """Return a note if the group has too few patients with or without the finding."""
    config = context.config
    n_by_class = {"present": counts.patients_present, "absent": counts.patients_absent}
    needed = {"least_present": config.minimum_present, "least_absent": config.minimum_absent}
    return codes.note("few_patients_evaluable", **n_by_class, **needed)


@dataclass(frozen=True, slots=True)
class GroupPair:
    """Two groups of a column whose signed difference is estimated: level minus reference; `named` by the user."""

    column: str
    level: str
    reference: str
    named: bool

    @property
    def title(self) -> str:
        """The level of a contrast between models: both groups."""
        return f"{self.level} − {self.reference}"


def group_pairs(context: AnalysisContext) -> list[GroupPair]:
    """Return the configured pairs of groups, or else those of every subgroup column with exactly two levels."""
    if context.config.group_differences:
        return [GroupPair(*names, True) for names in context.config.difference_names()]
    columns = {name: ordered(context, name, column) for name, column in context.panel.groups.items()}
    return [GroupPair(name, levels[0], levels[1], False) for name, levels in columns.items() if len(levels) == 2]


def check_groups(panel: ScoreMatrix, raters: Sequence[str], config: EvaluationConfig) -> None:
    """Refuse groups and a baseline model that the evaluated cases do not have, all in one error."""
    if not raters:
        return
    columns = {name: list(column.levels) for name, column in panel.groups.items()} | {SITE: list(panel.site.levels)}
    for a, b in config.subgroup_intersections:
        columns[f"{a}{CROSS}{b}"] = [f"{x}{CROSS}{y}" for x in columns[a] for y in columns[b]]
    problems = []
    for column, *levels in config.difference_names():
        known = columns[column]
        expected = f"levels of {column} in the evaluated cases: {', '.join(known) or 'none'}"
        for level in levels:
            if level not in known:
                hint = did_you_mean(level, known)
                problems.append(InputError("evaluation.group_differences", expected, f"'{level}'", do=hint))
    models = list(dict.fromkeys((*raters, *(n for n, own in config.members.items() if set(own) & set(panel.raters)))))
    if config.baseline_model and config.baseline_model not in models:
        found, hint = f"'{config.baseline_model}'", did_you_mean(config.baseline_model, models)
        expected = f"one of the models {', '.join(models)}"
        problems.append(InputError("evaluation.baseline_model", expected, found, do=hint))
    if problems:
        raise InputError.all(problems)


def single_levels(context: AnalysisContext) -> list[Dropped]:
    """Account for the columns that define no subgroups of a population, because its cases have one level only."""
    dropped = []
    for population in dict.fromkeys(p for own in context.populations.values() for p in own):
        inside = population_cases(context, population)
        for name, column in context.panel.groups.items():
            of_level = column.codes[inside & (column.codes >= 0)]
            if of_level.size and (of_level == of_level[0]).all():
                parameters = {"column": name, "level": column.levels[of_level[0]], "population": population.name}
                dropped.append(Dropped("cases", codes.note("group_single_level", **parameters), of_level.size))
    return dropped
