"""Each rater in each subgroup, and the gaps between groups: AUCs by shared draws and influence, rates analytic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri

from overread.evaluate.areas import Area, area, auc_estimate, chosen, linear_estimate
from overread.evaluate.cases import band_names
from overread.evaluate.panel import Bools, Column, Floats
from overread.evaluate.populations import Population
from overread.evaluate.resample import Spot, auc_replicates
from overread.evaluate.rows import MEAN, Place, Row, counts_at, noted, people, row
from overread.evaluate.setting import Setting, everywhere, macro_note
from overread.evaluate.standalone import point_rows
from overread.stats.bootstrap import percentile_interval
from overread.stats.estimate import Estimate

RATES = ("sensitivity", "specificity")


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One level of a subgroup column in a population: its cases, and the AUC of each finding there."""

    level: str
    cases: Bools
    areas: Mapping[str, Area]
    draws: Mapping[str, Floats]  # of evaluable findings, (replicates,)
    n_patients: int


def subgroups(setting: Setting) -> list[Row]:
    """Estimates of every rater, population, subgroup column and level, and the gap of each level to the largest one."""
    rows: list[Row] = []
    for rater in setting.raters:
        for population in setting.populations[rater]:
            for name, column in _columns(setting, population).items():
                groups = _groups(setting, rater, population, name, column)
                for group in groups:
                    rows += _level(setting, rater, population, name, group)
                rows += _gaps(setting, rater, population, name, groups)
    return rows


def _columns(setting: Setting, population: Population) -> dict[str, Column]:
    made = dict(setting.panel.groups)
    if len(population.sites) > 1:
        made["site"] = setting.panel.site
    return made


def _groups(setting: Setting, rater: str, population: Population, name: str, column: Column) -> list[Group]:
    """The levels in order (age bands by age), with their AUCs; one call for the draws of all of them."""
    panel, inside = setting.panel, everywhere(setting, population)
    masks = {level: inside & (column.codes == column.levels.index(level)) for level in _levels(setting, name, column)}
    masks = {level: mask for level, mask in masks.items() if mask.any()}
    found = [f for f in panel.findings if panel.gives(rater, f)]
    areas = {(level, f): area(panel, rater, f, mask) for level, mask in masks.items() for f in found}
    wanted = [k for k, a in areas.items() if k[1] in setting.macro() and setting.evaluable(a.counts)]
    values = auc_replicates(panel, setting.drawn, [Spot(rater, f, masks[level]) for level, f in wanted])
    return [
        Group(
            level,
            mask,
            {f: areas[level, f] for f in found},
            {f: values[:, i] for i, (at, f) in enumerate(wanted) if at == level},
            np.unique(panel.patient[mask]).size,
        )
        for level, mask in masks.items()
    ]


def _levels(setting: Setting, name: str, column: Column) -> list[str]:
    order = band_names(setting.config.age_bands) if name == "age_band" else sorted(column.levels)
    return [level for level in order if level in column.levels]


def _level(setting: Setting, rater: str, population: Population, name: str, group: Group) -> list[Row]:
    rows: list[Row] = []
    confidence = setting.config.confidence
    for finding, found in group.areas.items():
        place = _place(setting, finding, rater, population, name, group.level)
        if not found.counts.cases:  # the row of the whole population says where nothing is stated
            continue
        if setting.evaluable(found.counts):
            of = chosen(setting.panel, rater, finding, group.cases)
            made = auc_estimate(of, found.counts, confidence=confidence)
            rows.append(row(place, "auc", made, counts=found.counts, confidence=confidence))
            for point, threshold in setting.frozen[rater].thresholds.get(finding, {}).items():
                rows += point_rows(setting, place, point, threshold, group.cases, RATES)
        else:
            note = _too_few(setting, found)
            rows.append(row(place, "auc", Estimate(np.nan, note=note), counts=found.counts, confidence=confidence))
    place = _place(setting, MEAN, rater, population, name, group.level)
    used = list(group.draws)
    estimate = Estimate(np.nan)
    if used:
        value = float(np.mean([group.areas[f].value for f in used]))
        draws = np.mean([group.draws[f] for f in used], axis=0)
        estimate = percentile_interval(draws, value=value, confidence=confidence)
    rows.append(row(place, "auc", noted(estimate, macro_note(setting, used)), confidence=confidence))
    return rows


def _place(setting: Setting, finding: str, rater: str, population: Population, name: str, level: str) -> Place:
    return setting.place("subgroups", finding, rater, population).to(subgroup=name, level=level)


def _too_few(setting: Setting, found: Area) -> str:
    c = found.counts
    return (
        f"too few: {people(c.patients_present)} with the finding and {c.patients_absent} without it "
        f"({setting.config.minimum_present} and {setting.config.minimum_absent} needed)"
    )


def _gaps(setting: Setting, rater: str, population: Population, name: str, groups: Sequence[Group]) -> list[Row]:
    """AUC at a level minus AUC at the level with most patients, per finding and in the mean over common findings."""
    if len(groups) < 2:
        return []
    base = max(groups, key=lambda g: g.n_patients)
    rows: list[Row] = []
    confidence = setting.config.confidence
    for group in groups:
        if group.level == base.level:
            continue
        for finding in group.areas:
            place = _place(setting, finding, rater, population, name, group.level).to(contrast=f"level:{base.level}")
            one, other = group.areas[finding], base.areas[finding]
            counts = one.counts
            if setting.evaluable(one.counts) and setting.evaluable(other.counts):
                terms = [(1.0, one), (-1.0, other)]
                made = linear_estimate(terms, setting.panel.n_patients, confidence=confidence, null=0.0)
                rows.append(row(place, "gap_auc", made, counts=counts, test={"null": 0.0}, confidence=confidence))
                rows += _rate_gaps(setting, place, group, base)
        rows.append(_mean_gap(setting, rater, population, name, (group, base)))
    return rows


def _mean_gap(setting: Setting, rater: str, population: Population, name: str, pair: tuple[Group, Group]) -> Row:
    group, base = pair
    place = _place(setting, MEAN, rater, population, name, group.level).to(contrast=f"level:{base.level}")
    used = [f for f in group.draws if f in base.draws]
    confidence = setting.config.confidence
    if not used:
        return row(place, "gap_auc", Estimate(np.nan, note=macro_note(setting, used)), confidence=confidence)
    value = float(np.mean([group.areas[f].value - base.areas[f].value for f in used]))
    draws = np.mean([group.draws[f] - base.draws[f] for f in used], axis=0)
    interval = percentile_interval(draws, value=value, confidence=confidence)
    terms = [t for f in used for t in ((1 / len(used), group.areas[f]), (-1 / len(used), base.areas[f]))]
    p = linear_estimate(terms, setting.panel.n_patients, confidence=confidence, null=0.0).p
    made = noted(replace(interval, p=p), "p from the influence values", macro_note(setting, used))
    return row(place, "gap_auc", made, test={"null": 0.0}, confidence=confidence)


def _rate_gaps(setting: Setting, place: Place, group: Group, base: Group) -> list[Row]:
    """Sensitivity and specificity at a level minus those at the base, patients in both allowed for."""
    rows: list[Row] = []
    frozen, panel, confidence = setting.frozen[place.rater], setting.panel, setting.config.confidence
    for point, threshold in frozen.thresholds.get(place.finding, {}).items():
        if np.isnan(threshold.value):
            continue
        for metric, state in (("sensitivity", 1.0), ("specificity", 0.0)):
            parts = []
            for cases in (group.cases, base.cases):
                mask = cases & frozen.tested & panel.stated(place.rater, place.finding)
                index = np.flatnonzero(mask & (panel.truths(place.finding) == state))
                right = (panel.scores(place.rater, place.finding)[index] >= threshold.value) == bool(state)
                weight = np.ones(index.size) if panel.weight is None else panel.weight[index]
                parts.append((right, panel.patient[index], weight))
            counts = counts_at(panel, place.rater, place.finding, group.cases & frozen.tested)
            made = noted(_rate_difference(parts, panel.n_patients, confidence), frozen.words)
            at = f"operating_point={point}"
            test = {"null": 0.0}
            rows.append(row(place, f"gap_{metric}", made, at=at, counts=counts, test=test, confidence=confidence))
    return rows


def _rate_difference(parts: Sequence[tuple[Bools, np.ndarray, Floats]], n_patients: int, confidence: float) -> Estimate:
    """The difference of two ratios, its variance from the influence values summed per patient."""
    method = "difference of ratios, linearised, clustered by patient"
    values, total = [], np.zeros(n_patients)
    for (right, patient, weight), sign in zip(parts, (1.0, -1.0), strict=True):
        patients = np.unique(patient).size
        if patients < 2:
            return Estimate(np.nan, method=method, note="fewer than two patients in one of the groups")
        rate = float(np.average(right, weights=weight))
        influence = sign * weight * (right - rate) / weight.sum() * np.sqrt(patients / (patients - 1))
        total += np.bincount(patient, influence, minlength=n_patients)
        values.append(rate)
    se = float(np.sqrt(total @ total))
    difference = values[0] - values[1]
    if se == 0:
        return Estimate(difference, se=0.0, method=method, note="no spread is seen: no interval")
    return _wald(difference, se, method, confidence)


def _wald(value: float, se: float, method: str, confidence: float) -> Estimate:
    half = float(ndtri(0.5 + confidence / 2)) * se
    return Estimate(value, value - half, value + half, se, 2 * float(ndtr(-abs(value) / se)), method)
