"""The numbers of the models that a first page needs: the mean AUCs, their differences, and rates at thresholds."""

from __future__ import annotations

from dataclasses import dataclass

from overread.reporting.estimate_cells import known
from overread.reporting.first_page.first_page_parts import negated
from overread.reporting.number_format import number
from overread.reporting.report_data import (
    MEAN,
    ReportData,
    Row,
    by,
    operating_point,
    overall,
    pick,
    points_in_order,
    value_at,
    with_key,
)


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
        there = [r for r in self.evidence.cast.raters if known(self.whole(r, population))]
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


def model_means(evidence: ReportData) -> ModelMeans:
    """The rows of the models of an evaluation."""
    return ModelMeans(
        evidence,
        by(pick(overall(evidence, "standalone", "auc"), at=""), "rater", "population", "finding"),
        by(overall(evidence, "comparison", "auc_difference"), "rater", "contrast", "population", "finding"),
    )


@dataclass(frozen=True, slots=True)
class MeanRate:
    """A rate at a threshold that is meant for another rate."""

    metric: str
    meant: str  # "90% specificity"
    rows: dict[tuple[str, ...], Row]  # by rater, population


def mean_rates(evidence: ReportData) -> list[MeanRate]:
    """Sensitivity and specificity at the first threshold for a specificity, then the other way round."""
    made = []
    finding = evidence.cast.findings[0] if len(evidence.cast.findings) == 1 else MEAN
    frames = {
        m: pick(with_key(overall(evidence, "standalone", m), "operating_point"), finding=finding)
        for m in ("sensitivity", "specificity")
    }
    wanted = set()
    for at in points_in_order(frames["sensitivity"]["at"]):
        rate, target = operating_point(value_at(at, "operating_point"))
        if not rate or rate in wanted:
            continue
        wanted.add(rate)
        meant = f"{100 * target:g}% {rate}"
        metrics = ("sensitivity", "specificity") if rate == "specificity" else ("specificity",)
        made += [MeanRate(m, meant, by(pick(frames[m], at=at), "rater", "population")) for m in metrics]
    return made
