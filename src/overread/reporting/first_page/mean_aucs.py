"""The numbers of the models that a first page needs: the mean AUCs, their differences, and rates at thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from overread.codes import Code
from overread.reporting.estimate_cells import code_of, known, mean_of
from overread.reporting.first_page.first_page_parts import headline_finding, negated, spelled
from overread.reporting.number_format import fixed, number, plural
from overread.reporting.report_data import (
    MEAN,
    ReportData,
    Row,
    by,
    once,
    operating_point,
    overall,
    pick,
    points_in_order,
    value_at,
    with_key,
)
from overread.reporting.seed_rows import section_raters

_DRAWN = 4  # models that a figure draws over each other


@dataclass(frozen=True, slots=True)
class ModelMeans:
    """The rows of models by what they are about; the mean over findings stands for the study, or its one finding."""

    evidence: ReportData
    areas: dict[tuple[str, ...], Row]  # by rater, population, finding
    differences: dict[tuple[str, ...], Row]  # by rater, contrast, population, finding
    finding: str  # what a headline is about: the mean over findings, or one finding where there is one, or no mean

    def whole(self, rater: str, population: str) -> Row | None:
        """The mean AUC of a model, or the AUC of the finding that the headline is about."""
        mean = self.areas.get((rater, population, MEAN))
        only = self.areas.get((rater, population, self.finding))
        return mean if known(mean) or only is None else only

    def difference(self, first: str, second: str, population: str, finding: str = MEAN) -> Row | None:
        """AUC of the first model minus that of the second, on the same cases."""
        rows: list[Row] = []
        for name in dict.fromkeys((finding, self.finding) if finding == MEAN else (finding,)):
            if row := self.differences.get((first, f"rater:{second}", population, name)):
                rows.append(row)
            elif row := self.differences.get((second, f"rater:{first}", population, name)):
                rows.append(negated(row))
        return next((row for row in rows if known(row)), rows[0] if rows else None)

    def ranked(self, population: str) -> list[str]:
        """The models with an AUC at a population, the highest first."""
        there = [r for r in section_raters(self.evidence) if known(self.whole(r, population))]
        return sorted(there, key=lambda r: -number((self.whole(r, population) or {})["estimate"]))

    def sorted_findings(self, rater: str, population: str) -> list[str]:
        """The findings of a population in the order of a model's AUC, those without a number last."""

        def height(finding: str) -> float:
            row = self.areas.get((rater, population, finding))
            return -number(row["estimate"]) if known(row) else 1.0

        raters = self.evidence.cast.raters
        there = [f for f in self.evidence.cast.findings if any((r, population, f) in self.areas for r in raters)]
        return sorted(there, key=height)

    def rows(self, rater: str, population: str) -> list[str]:
        """The findings of a figure or table; before them the mean, where there is one of several findings."""
        several = len(self.evidence.cast.findings) > 1
        mean = several and any(known(row) for (_, p, f), row in self.areas.items() if (p, f) == (population, MEAN))
        return [*([MEAN] if mean else []), *self.sorted_findings(rater, population)]

    def name(self, *, capital: bool = False) -> str:
        """What the number is: the mean AUC, or the AUC of the only finding."""
        alone = self.evidence.cast.findings
        if self.finding != MEAN:
            return f"AUC for {self.evidence.heading(self.finding).lower()}"
        rows = [row for (_, _, finding), row in self.areas.items() if finding == MEAN and known(row)]
        over = {f for row in rows for f in self._in_mean(row) or alone}
        if len(over) == 1:  # the others are evaluable nowhere
            return f"AUC for {self.evidence.heading(over.pop()).lower()}"
        return "Mean AUC" if capital else "mean AUC"

    def cases(self, rater: str, population: str) -> tuple[int, bool]:
        """How many cases the AUC of a model is over, and whether all of its findings have so many."""
        row = self.whole(rater, population)
        alone = (self.finding,) if self.finding != MEAN else ()
        findings = alone or (self._in_mean(row) if row else ()) or self.evidence.cast.findings
        shown = [own for f in findings if (own := self.areas.get((rater, population, f)))]
        counts = {int(r["n_cases"]) for r in shown if r["n_cases"]}
        return max(counts, default=0), len(counts) == 1

    def _in_mean(self, row: Row) -> list[str]:
        """The findings of a mean; its note has those of the vocabulary by their titles."""
        mean = mean_of(row)
        named = {name.lower() for name in mean.findings} if mean else set()
        return [f for f in self.evidence.cast.findings if named & {f, self.evidence.heading(f).lower()}]

    def all_cases(self, rater: str, population: str) -> int:
        """How many cases of a population have a score of the model and a label."""
        stated = pick(self.evidence.joined, rater=rater, population=population).filter(pl.col("truth").is_not_null())
        return stated["case_id"].n_unique()


@once
def model_means(evidence: ReportData) -> ModelMeans:
    """The rows of the models of an evaluation."""
    areas = by(pick(overall(evidence, "standalone", "auc"), at=""), "rater", "population", "finding")
    return ModelMeans(
        evidence,
        areas,
        by(overall(evidence, "comparison", "auc_difference"), "rater", "contrast", "population", "finding"),
        headline_finding(evidence, areas.values()),
    )


def no_mean_line(means: ModelMeans) -> str:
    """Why the headline is about one finding of several: no mean over findings could be computed."""
    findings = means.evidence.cast.findings
    if means.finding == MEAN or len(findings) == 1:
        return ""
    code = next((c for row in means.areas.values() if (c := code_of(row, "no_finding_evaluable"))), None)
    why = (
        f": none has at least {code['least_present']} patients with it, {code['least_absent']} without it, and a score "
        "of every model"
        if code
        else ""
    )
    return f"No mean over the {len(findings)} findings could be computed{why}."


def drawn_models(evidence: ReportData) -> list[str]:
    """The models that figures draw over each other: of more than four, the four with the highest mean AUC."""
    raters = list(section_raters(evidence))
    if len(raters) <= _DRAWN:
        return raters
    ranked = model_means(evidence).ranked(next(iter(evidence.cast.populations), ""))
    return sorted((ranked or raters)[:_DRAWN], key=raters.index)


@dataclass(frozen=True, slots=True)
class MeanRate:
    """A rate at a threshold that is meant for another rate, or that has a name."""

    metric: str
    threshold: str  # "threshold meant for 90% specificity", "given threshold “published”"
    first: bool  # the first rate at this threshold
    rows: dict[tuple[str, ...], Row]  # by rater, population

    @property
    def where(self) -> str:
        """The thresholds of several findings in the plural."""
        return self.threshold.replace("threshold ", "thresholds ", 1)

    @property
    def title(self) -> str:
        """The heading of the rate in a table."""
        metric = self.metric.capitalize()
        return f"{metric}, {self.threshold}" if self.first else f"{metric} there"


def mean_rates(evidence: ReportData) -> list[MeanRate]:
    """Sensitivity and specificity at the first threshold for a specificity, the first for a sensitivity, and the first
    with another name. Given thresholds go before those that were fitted on cases of this evaluation.

    At a threshold for a sensitivity only the specificity is given where one for a specificity goes before.
    """
    made: list[MeanRate] = []
    finding = model_means(evidence).finding
    frames = {
        m: pick(with_key(overall(evidence, "standalone", m), "operating_point"), finding=finding)
        for m in ("sensitivity", "specificity")
    }
    wanted = set()
    locked = {r["at"] for r in frames["sensitivity"].to_dicts() if code_of(r, "threshold_given")}
    for at in sorted(points_in_order(frames["sensitivity"]["at"]), key=lambda at: at not in locked):
        name = value_at(at, "operating_point")
        rate, target = operating_point(name)
        if rate in wanted:
            continue
        wanted.add(rate)
        rows = {m: by(pick(frames[m], at=at), "rater", "population") for m in frames}
        given = any(code_of(row, "threshold_given") for row in rows["sensitivity"].values())
        meant = f"threshold meant for {100 * target:g}% {rate}" if rate else f"threshold “{name}”"
        metrics = ("specificity",) if rate == "sensitivity" else tuple(frames)
        words = meant if rate or not given else f"given {meant}"
        made += [MeanRate(m, words, i == 0, rows[m]) for i, m in enumerate(metrics)]
    return made


def same_site(row: Row | None) -> bool:
    """Whether an AUC is over pairs of cases of the same hospital."""
    return code_of(row, "aggregation_stratified") is not None


def _pairs(means: ModelMeans, row: Row, code: Code) -> str:
    """The pairs of an AUC; of a mean over findings, of which each has its own, from the fewest to the most."""
    name, place = "aggregation_stratified", (row["rater"], row["population"])
    findings = means.evidence.cast.findings if row["finding"] == MEAN else ()
    counts = {f: _pairs_and_sites(own) for f in findings if (own := code_of(means.areas.get((*place, f)), name))}
    if len(set(counts.values())) > 1:
        ends = [
            f"{plural(pairs, 'pair')} at {plural(sites, 'hospital')} ({means.evidence.heading(f).lower()})"
            for f, (pairs, sites) in sorted(counts.items(), key=lambda item: item[1])
        ]
        return f"AUC over pairs of cases of the same hospital, of each finding its own: from {ends[0]} to {ends[-1]}"
    n, sites = next(iter(counts.values()), _pairs_and_sites(code))
    return f"AUC over {plural(n, 'pair')} of cases of the same hospital, {plural(sites, 'hospital')}"


def _pairs_and_sites(code: Code) -> tuple[int, int]:
    return int(str(code["n_pairs"])), int(str(code["n_sites"]))


def sites_line(means: ModelMeans, rater: str, population: str) -> str:
    """Over which hospitals the AUC of a model is a mean, and how many are not in it."""
    row = means.whole(rater, population)
    code = code_of(row, "mean_over_sites")
    if row is None or code is None:
        return ""
    out = {s for name in ("sites_excluded", "sites_one_class") for s in _named_sites(row, name)}
    n = int(str(code["n"]))
    if n == 1 and not out:
        return ""
    said = f"Mean of the AUCs at {plural(n, 'hospital')}, each with the same weight" if n > 1 else "AUC at 1 hospital"
    left = f"; {plural(len(out), 'hospital')} with too few patients {'is' if len(out) == 1 else 'are'} not in it"
    return f"{said}{left if out else ''}."


def _named_sites(row: Row, name: str) -> tuple[str, ...]:
    sites = code["sites"] if (code := code_of(row, name)) else ()
    return tuple(map(str, sites)) if isinstance(sites, tuple) else (str(sites),)


def pairs_line(means: ModelMeans, rater: str, population: str) -> str:
    """Over which pairs the AUC of a model is, where only cases of the same hospital are compared."""
    row = means.whole(rater, population)
    code = code_of(row, "aggregation_stratified")
    if row is None or code is None:
        return ""
    said = _pairs(means, row, code)
    frames = (overall(means.evidence, "standalone", m) for m in ("auc", "auc_difference"))
    every, change = (
        next(iter(pick(f, rater=rater, population=population, finding=row["finding"], at="pairs=all").to_dicts()), None)
        for f in frames
    )
    if not known(every):
        return f"{said}."
    told = f" (difference {spelled(change, signed=True, nested=True)})" if known(change) else ""
    return f"{said}; over all pairs {fixed(every['estimate'])}{told}."
