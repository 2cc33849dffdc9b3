"""Pairs of arms that were compared: the rows of both arms and of their difference, and how arms are called."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from overread.reporting.estimate_cells import known
from overread.reporting.number_format import number
from overread.reporting.report_data import (
    ReportData,
    Row,
    at_values,
    contrast_of,
    finding_heading,
    natural,
    pick,
    value_at,
    with_contrast,
)
from overread.reporting.sections.reader_results.reader_titles import (
    ALL_ARMS,
    CUTOFF,
    OTHERS,
    READERS,
    ReadRows,
    arm_title,
    arms,
    with_calls,
)

MEASURES = {"auc": "AUC", "sensitivity": "sensitivity", "specificity": "specificity"}
MARGIN = "margin"


@dataclass(frozen=True, slots=True)
class ArmPair:
    """The new arm and the usual one, for a finding under a reference standard: differences are new minus usual."""

    new: str
    usual: str
    finding: str
    reference: str
    rows: pl.DataFrame  # of this finding and reference, of every arm and rater
    title: str  # of the finding

    def difference(self, metric: str, rater: str = READERS) -> Row | None:
        """The difference; where several tests made it, the first with an interval. None without such a row."""
        rows = pick(self.rows, metric=f"{metric}_difference", rater=rater, arm=self.new, contrast=f"arm:{self.usual}")
        return _best(r for r in rows.to_dicts() if not value_at(r["at"], MARGIN))

    def non_inferiority(self, metric: str) -> Row | None:
        """The test against the margin, None where no margin was stated."""
        rows = pick(self.rows, metric=f"{metric}_difference", rater=READERS, contrast=f"arm:{self.usual}", arm=self.new)
        return _best(r for r in rows.to_dicts() if value_at(r["at"], MARGIN))

    def level(self, metric: str, arm: str, rater: str = READERS) -> Row | None:
        """The performance in one arm. Of the readers together it is their mean where the arms were compared by it."""
        rows = [r for r in pick(self.rows, metric=metric, rater=rater, arm=arm, contrast="").to_dicts() if known(r)]
        test = value_at((self.difference(metric) or {}).get("at", ""), "test")
        if rater == READERS:
            return next((r for r in rows if test and value_at(r["at"], "test") == test), next(iter(rows), None))
        return next((r for r in rows if not set(at_values(r["at"])) - {CUTOFF}), None)

    def readers(self) -> list[str]:
        """The readers with a row in either arm, by name."""
        names = {r for a in (self.new, self.usual) for r in pick(self.rows, arm=a)["rater"].to_list()}
        return sorted((n for n in names if n and not n.startswith("(")), key=natural)

    @property
    def measures(self) -> list[str]:
        """The measures with a difference that is a number."""
        return [m for m in MEASURES if known(self.difference(m))]

    @property
    def cutoff(self) -> str:
        """The rating from which graded reads count as present, "" for calls."""
        found = (value_at(at, CUTOFF) for at in self.rows["at"].unique().sort())
        return next((value for value in found if value), "")

    @property
    def leave_one_out(self) -> bool:
        """Whether each reader was judged by the majority of the other readers."""
        return self.reference == OTHERS


def pairs(evidence: ReportData) -> list[ArmPair]:
    """The compared pairs: findings in the order of the page, stated reference standards first."""
    found = arms(evidence)
    if not found:
        return []
    joint = pick(evidence.estimates, analysis="readers", subgroup="read", level=ALL_ARMS)  # analysis of variance
    every = pl.concat([*(reads.frame for reads in found), with_calls(joint)])
    made = [pair for reads in found for pair in _pairs_of(reads, every, evidence)]
    place = {f: i for i, f in enumerate(evidence.cast.findings)}
    return sorted(made, key=lambda p: (place.get(p.finding, len(place)),))


def _pairs_of(reads: ReadRows, every: pl.DataFrame, evidence: ReportData) -> Iterable[ArmPair]:
    """The pairs of which this arm is the new one."""
    compared = with_contrast(pick(reads.frame, rater=READERS, arm=reads.arm), "arm")
    for reference in reads.references:
        for finding in reads.findings:
            own = pick(compared, finding=finding, reference=reference)
            rows = pick(every, finding=finding, reference=reference)
            for usual in dict.fromkeys(contrast_of(c, "arm") for c in own["contrast"].to_list()):
                title = finding_heading(finding, evidence.vocabulary)
                yield ArmPair(reads.arm, usual, finding, reference, rows, title)


def _best(rows: Iterable[Row]) -> Row | None:
    found = sorted(rows, key=lambda r: (not known(r), number(r["low"]) != number(r["low"])))
    return found[0] if found else None


def arm_words(arm: str) -> str:
    """An arm within a sentence.

    >>> arm_words("unaided"), arm_words("aided:score+map"), arm_words("2")
    ('in unaided reading', 'in aided reading (score, map)', 'in arm 2')
    """
    kind, _, help_of = arm.partition(":")
    if kind in ("aided", "unaided"):
        return f"in {kind} reading" + (f" ({help_of.replace('+', ', ')})" if help_of else "")
    return f"in {arm_title(arm)}" if arm_title(arm) != arm else f"with {arm}"


def minus(pair: ArmPair) -> str:
    """The heading of the difference.

    >>> minus(ArmPair("cine", "spin echo", "nodule", "surgery", pl.DataFrame(), "Nodule"))
    'cine minus spin echo'
    """
    return f"{arm_title(pair.new)} minus {arm_title(pair.usual)}"
