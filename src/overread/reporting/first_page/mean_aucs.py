"""The numbers of the models that a first page needs: the mean AUCs, their differences, and rates at thresholds."""

from __future__ import annotations

from dataclasses import dataclass

from overread.reporting.estimate_cells import code_of, known
from overread.reporting.first_page.first_page_parts import negated, spelled
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

    def whole(self, rater: str, population: str) -> Row | None:
        """The mean AUC of a model, or the AUC of the only finding."""
        mean = self.areas.get((rater, population, MEAN))
        alone = self.evidence.cast.findings
        return mean or (self.areas.get((rater, population, alone[0])) if len(alone) == 1 else None)

    def difference(self, first: str, second: str, population: str, finding: str = MEAN) -> Row | None:
        """AUC of the first model minus that of the second, on the same cases."""
        alone = self.evidence.cast.findings
        for name in (finding, alone[0]) if finding == MEAN and len(alone) == 1 else (finding,):
            row = self.differences.get((first, f"rater:{second}", population, name))
            if row:
                return row
            row = self.differences.get((second, f"rater:{first}", population, name))
            if row:
                return negated(row)
        return None

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

    def name(self, *, capital: bool = False) -> str:
        """What the number is: the mean AUC, or the AUC of the only finding."""
        alone = self.evidence.cast.findings
        if len(alone) == 1:
            return f"AUC for {self.evidence.heading(alone[0]).lower()}"
        return "Mean AUC" if capital else "mean AUC"


@once
def model_means(evidence: ReportData) -> ModelMeans:
    """The rows of the models of an evaluation."""
    return ModelMeans(
        evidence,
        by(pick(overall(evidence, "standalone", "auc"), at=""), "rater", "population", "finding"),
        by(overall(evidence, "comparison", "auc_difference"), "rater", "contrast", "population", "finding"),
    )


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
    finding = evidence.cast.findings[0] if len(evidence.cast.findings) == 1 else MEAN
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


def pairs_line(means: ModelMeans, rater: str, population: str) -> str:
    """Over which pairs the AUC of a model is, where only cases of the same hospital are compared."""
    row = means.whole(rater, population)
    code = code_of(row, "aggregation_stratified")
    if row is None or code is None:
        return ""
    n, sites = (int(str(code[key])) for key in ("n_pairs", "n_sites"))
    said = f"AUC over {plural(n, 'pair')} of cases of the same hospital, {plural(sites, 'hospital')}"
    frames = (overall(means.evidence, "standalone", m) for m in ("auc", "auc_difference"))
    every, change = (
        next(iter(pick(f, rater=rater, population=population, finding=row["finding"], at="pairs=all").to_dicts()), None)
        for f in frames
    )
    if not known(every):
        return f"{said}."
    told = f" (difference {spelled(change, signed=True, nested=True)})" if known(change) else ""
    return f"{said}; over all pairs {fixed(every['estimate'])}{told}."
