"""The rows of training seeds: what was estimated for each variant as mean over its seeds, and for each seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from overread.reporting.blocks import Paragraph
from overread.reporting.estimate_cells import code_of
from overread.reporting.first_page.first_page_parts import headline_finding
from overread.reporting.group_rows import GroupRows
from overread.reporting.number_format import listed, plural
from overread.reporting.report_data import MEAN, ReportData, Row, by, in_order, once, pick, points_in_order

_RANGE = "seeds_range"
_HEADLINE = ("rater", "metric", "at", "population", "finding", "subgroup", "level", "contrast")


@dataclass(frozen=True)
class SeedRows:
    """The rows of the analysis of seeds; a variant is an ensemble whose members are training runs."""

    evidence: ReportData
    frame: pl.DataFrame
    variants: dict[str, tuple[str, ...]]  # members by variant, in the declared order

    @cached_property
    def found(self) -> dict[tuple[str, ...], Row]:
        """The rows without groups by rater, metric, `at`, population and finding."""
        plain = self.frame.filter(pl.col("subgroup") == "", pl.col("contrast") == "")
        return by(plain, "rater", "metric", "at", "population", "finding")

    @property
    def populations(self) -> tuple[str, ...]:
        """The populations with a row."""
        return in_order(self.frame["population"])

    @cached_property
    def finding(self) -> str:
        """What a headline is about: the mean over findings, or one finding where there is one, or no mean."""
        means = [r for (name, metric, *_), r in self.found.items() if metric == "auc" and name in self.variants]
        return headline_finding(self.evidence, means)

    @property
    def points(self) -> tuple[str, ...]:
        """The operating points in the order of the page: those with given thresholds before fitted ones."""
        found = points_in_order({at for _, m, at, _, _ in self.found if m == "sensitivity"})
        return tuple(sorted(found, key=lambda at: not self.given(at)))

    def given(self, at: str) -> bool:
        """Whether the thresholds of an operating point were given and not fitted here."""
        found = (r for key, r in self.found.items() if key[1] == "sensitivity" and key[2] == at)
        return any(code_of(r, "threshold_given") for r in found)

    @cached_property
    def most_findings(self) -> int:
        """The largest number of findings of a mean over findings: means over fewer are marked."""
        codes_found = (code_of(r, "mean_over_findings") for key, r in self.found.items() if key[4] == MEAN)
        return max((int(str(code["n"])) for code in codes_found if code), default=0)

    def row(self, rater: str, metric: str, population: str, *, at: str = "", finding: str = "") -> Row | None:
        """The row of a variant or a seed; without a finding, the one that stands for the study."""
        row = self.found.get((rater, metric, at, population, finding or self.finding))
        return self.found.get((rater, metric, at, population, MEAN)) if row is None and not finding else row

    def spread(self, name: str, row: Row | None) -> Row | None:
        """The standard deviation over seeds that belongs to a mean."""
        if row is None:
            return None
        return self._every.get((name, f"{row['metric']}_sd", *(row[column] for column in _HEADLINE[2:])))

    @cached_property
    def _every(self) -> dict[tuple[str, ...], Row]:
        return by(self.frame, *_HEADLINE)

    def ensemble(self, name: str, population: str) -> Row | None:
        """The AUC of the predictions of the ensemble itself, where it has any."""
        rows = pick(self.evidence.estimates, analysis="standalone", metric="auc", at="", rater=name)
        rows = pick(rows, population=population, finding=self.finding).filter(pl.col("subgroup").is_in(["", "all"]))
        return next(iter(rows.to_dicts()), None)

    @cached_property
    def groups(self) -> GroupRows:
        """The differences between groups, as means over seeds, and their contrasts between variants."""
        return GroupRows(tuple(pick(self.frame, finding=self.finding).to_dicts()), named_only=False)


@once
def rows_of_seeds(evidence: ReportData) -> SeedRows | None:
    """The rows of the seeds of every declared variant; None where there are none."""
    frame = pick(evidence.estimates, analysis="seeds")
    raters = set(frame["rater"])
    declared = evidence.config.get("members") or {}
    there = {name: tuple(m for m in members if m in raters) for name, members in declared.items() if name in raters}
    return SeedRows(evidence, frame, there) if there else None


def seeds_are_models(evidence: ReportData) -> bool:
    """Whether all models of the page are variants or their seeds, so that the page is about the variants."""
    rows = rows_of_seeds(evidence)
    if rows is None:
        return False
    own = {*rows.variants, *(m for members in rows.variants.values() for m in members)}
    return bool(evidence.cast.raters) and set(evidence.cast.raters) <= own


def single_seeds(evidence: ReportData) -> tuple[str, ...]:
    """The models of the page that are single seeds of a declared variant."""
    rows = rows_of_seeds(evidence)
    members = {m for own in rows.variants.values() for m in own} if rows else set()
    return tuple(r for r in evidence.cast.raters if r in members)


def section_raters(evidence: ReportData) -> tuple[str, ...]:
    """The models that stand beside each other in a section: single seeds only where there is no other model.

    An ensemble stands for its seeds. Seeds of a variant without predictions of its own are folded away.
    """
    seeds = single_seeds(evidence)
    return tuple(r for r in evidence.cast.raters if r not in seeds) or evidence.cast.raters


def folded_seeds(evidence: ReportData) -> tuple[str, ...]:
    """The models of the page that do not stand beside the others because they are single seeds."""
    shown = section_raters(evidence)
    return tuple(r for r in evidence.cast.raters if r not in shown)


def split_pairs(evidence: ReportData, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The differences between two models that stand in a section, and those of a pair with a single seed."""
    shown = section_raters(evidence)
    beside = [f"rater:{r}" for r in shown]
    both = pl.col("rater").is_in(shown) & pl.col("contrast").is_in(beside)
    return frame.filter(both), frame.filter(~both)


def seeds_apart(evidence: ReportData) -> str:
    """Which training seeds do not stand beside the models, "" where there are none."""
    rows, folded = rows_of_seeds(evidence), folded_seeds(evidence)
    apart: dict[str, int] = {}
    for name, members in (rows.variants if rows else {}).items():
        own = len(members) if name in evidence.cast.raters else len(set(members) & set(folded))
        apart |= {name: own} if own else {}
    for seed in evidence.cast.members:
        name = seed.partition("/seed-")[0]
        apart |= {} if rows and name in rows.variants else {name: apart.get(name, 0) + 1}
    counts = listed([f"{plural(n, 'seed')} of {name}" for name, n in apart.items()])
    return f"Not listed as models: {counts}." if counts else ""


def seed_note(evidence: ReportData) -> tuple[Paragraph, ...]:
    """Where the training seeds are that do not stand beside the models of a section; () where there are none."""
    apart = seeds_apart(evidence)
    if not apart:
        return ()
    folded = " Those of a variant without an ensemble are in the folded parts." if folded_seeds(evidence) else ""
    where = " Mean and SD of AUC and rates over the seeds:" if rows_of_seeds(evidence) else " See estimates.csv."
    return (Paragraph(f"{apart}{folded}{where}", kind="small", link="seeds"),)


def seed_count(members: Sequence[Sequence[str]]) -> str:
    """How many seeds each variant has.

    >>> seed_count([("a", "b"), ("c", "d")]), seed_count([("a", "b"), ("c",)])
    ('2', '1–2')
    """
    numbers = sorted({len(own) for own in members})
    return f"{numbers[0]}–{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])


def seed_range(row: Row | None) -> tuple[float, float] | None:
    """The lowest and the highest value of the seeds."""
    code = code_of(row, _RANGE)
    return (float(str(code["lowest"])), float(str(code["highest"]))) if code else None
