"""The numbers of the models that a first page needs: the mean AUCs, their differences, and rates at thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from overread.reporting.estimate_cells import code_of, known, mean_of
from overread.reporting.first_page.first_page_parts import headline_finding, hospital, negated
from overread.reporting.number_format import number, plural
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

    @property
    def title(self) -> str:
        """The finding that a headline is about, where it is one of several; else ""."""
        several = len(self.evidence.cast.findings) > 1
        return self.evidence.heading(self.finding) if several and self.finding != MEAN else ""

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

    def counted(self, population: str, *raters: str) -> str:
        """A population with the number of cases of the AUCs of these models: `elm (up to 540 cases)`."""
        found = {own for rater in raters if (own := self.cases(rater, population))[0]}
        least = "" if len(found) == 1 and next(iter(found))[1] else "up to "
        return f"{hospital(population)} ({least}{plural(max(found)[0], 'case')})" if found else hospital(population)

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


def findings_of_means(rows: Iterable[Row | None]) -> set[tuple[str, ...]]:
    """The findings that means are over, each set of them once."""
    return {over.findings for r in rows if r is not None and (over := mean_of(r))}


def only_finding(rows: Iterable[Row | None]) -> str:
    """The finding of means that are all over the same single one; else ""."""
    sets = findings_of_means(rows)
    only = next(iter(sets)) if len(sets) == 1 else ()
    return only[0] if len(only) == 1 else ""


def over_own_findings(rows: Iterable[Row | None]) -> str:
    """That means at several hospitals are over different findings; "" where they are over the same ones."""
    return " (at each hospital over the findings evaluable there)" if len(findings_of_means(rows)) > 1 else ""


def no_mean_line(evidence: ReportData, finding: str) -> str:
    """Why a headline is about one finding of several: no mean over findings could be computed."""
    findings = evidence.cast.findings
    if finding == MEAN or len(findings) == 1:
        return ""
    rows = model_means(evidence).areas.values()
    code = next((c for row in rows if (c := code_of(row, "no_finding_evaluable"))), None)
    why = (
        f": none has at least {code['least_present']} patients with it, {code['least_absent']} without it, and a score "
        "of every model"
        if code
        else ""
    )
    return f"No mean over the {len(findings)} findings could be computed{why}."


def case_sites(evidence: ReportData, **place: str) -> list[str]:
    """The hospitals of the cases at a place, such as `population="internal"`; of an evaluation without sites none."""
    if "site" not in evidence.joined.columns:
        return []
    return sorted({str(site) for site in pick(evidence.joined, **place)["site"].drop_nulls().unique() if site})


def internal_sites(evidence: ReportData) -> list[str]:
    """The hospitals of the internal test of the leading model."""
    return case_sites(evidence, population="internal", rater=evidence.cast.lead)


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
    rows: dict[tuple[str, ...], Row]  # of the headline, by rater, population
    each: dict[tuple[str, ...], Row]  # by rater, population, finding

    def shared(self, raters: Sequence[str], population: str) -> str:
        """The only finding that these models share, where their means are not over the same findings; else ""."""
        means = [self.rows[r, population] for r in raters]
        if len(findings_of_means(means)) < 2:
            return ""
        own = [{f for (q, p, f), row in self.each.items() if (q, p) == (r, population) and known(row)} for r in raters]
        common = set.intersection(*own) - {MEAN}
        return common.pop() if len(common) == 1 else ""

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
    every = {m: with_key(overall(evidence, "standalone", m), "operating_point") for m in ("sensitivity", "specificity")}
    frames = {m: pick(frame, finding=finding) for m, frame in every.items()}
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
        each = {m: by(pick(every[m], at=at), "rater", "population", "finding") for m in metrics}
        made += [MeanRate(m, words, i == 0, rows[m], each[m]) for i, m in enumerate(metrics)]
    return made
