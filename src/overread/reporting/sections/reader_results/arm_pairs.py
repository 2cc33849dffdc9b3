"""Pairs of arms that were compared: the rows of both arms and of their difference, and how arms are called."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from overread.reporting.estimate_cells import code_of, known
from overread.reporting.first_page.first_page_parts import bounded, leading_findings
from overread.reporting.number_format import number, plural
from overread.reporting.report_data import (
    ReportData,
    Row,
    at_values,
    confidence_of,
    contrast_of,
    finding_heading,
    natural,
    once,
    pick,
    value_at,
    with_contrast,
)
from overread.reporting.sections.reader_results.reader_titles import (
    ALL_ARMS,
    CUTOFF,
    DERIVED,
    OTHERS,
    READERS,
    ReadRows,
    arm_title,
    arms,
    is_pooled,
    with_calls,
)

MEASURES = {"auc": "AUC", "sensitivity": "sensitivity", "specificity": "specificity"}
MARGIN = "margin"


@dataclass(frozen=True)
class ArmPair:
    """The new arm and the usual one, for a finding under a reference standard: differences are new minus usual."""

    new: str
    usual: str
    finding: str
    reference: str
    rows: pl.DataFrame  # of this finding and reference, of every arm and rater
    title: str  # of the finding

    @property
    def confidence(self) -> str:
        """The level of the intervals: `95%`."""
        return confidence_of(self.rows)

    @cached_property
    def _found(self) -> dict[tuple[str, ...], list[Row]]:
        """The rows by metric, rater, arm and contrast."""
        found: dict[tuple[str, ...], list[Row]] = {}
        for row in self.rows.iter_rows(named=True):
            found.setdefault(tuple(row[k] for k in ("metric", "rater", "arm", "contrast")), []).append(row)
        return found

    def _differences(self, metric: str, rater: str) -> list[Row]:
        return self._found.get((f"{metric}_difference", rater, self.new, f"arm:{self.usual}"), [])

    def difference(self, metric: str, rater: str = READERS) -> Row | None:
        """The difference; where several tests made it, the first with an interval. None without such a row."""
        return _best(r for r in self._differences(metric, rater) if not value_at(r["at"], MARGIN))

    def non_inferiority(self, metric: str) -> Row | None:
        """The test against the margin, None where no margin was stated."""
        return _best(r for r in self._differences(metric, READERS) if value_at(r["at"], MARGIN))

    def all_arms(self, metric: str) -> Row | None:
        """The F test that the means of all arms are equal, None where there is none."""
        at = (self.difference(metric) or {}).get("at")
        found = self._found.get(("f_statistic", READERS, ALL_ARMS, ""), [])
        return next((r for r in found if r["at"] == at), None)

    def level(self, metric: str, arm: str, rater: str = READERS) -> Row | None:
        """The performance in one arm. Of the readers together it is their mean where the arms were compared by it."""
        rows = [r for r in self._found.get((metric, rater, arm, ""), ()) if known(r)]
        own = [r for r in rows if not set(at_values(r["at"])) - {CUTOFF}]
        if rater != READERS:
            return next(iter(own), None)
        test = value_at((self.difference(metric) or {}).get("at", ""), "test")
        tested = [r for r in rows if test and value_at(r["at"], "test") == test]
        return next(iter(tested or own or rows), None)

    def other_readers(self, metric: str, arm: str) -> str:
        """How many readers the mean of an arm is over, where the difference is over others; "" where they are the same.

        A reader of one arm has a part in the mean of that arm and none in the difference.
        """
        own, compared = (
            int((r or {}).get("n_readers") or 0) for r in (self.level(metric, arm), self.difference(metric))
        )
        return plural(own, "reader") if own and compared and own != compared else ""

    def compared_levels(self, metric: str) -> tuple[Row, Row] | None:
        """The means of the new and the usual arm; None where one is missing or not of the readers who were compared."""
        new, usual = (self.level(metric, arm) for arm in (self.new, self.usual))
        if not known(new) or not known(usual):
            return None
        if self.own_readers(metric):  # each mean is over the readers of its arm, who are those compared
            return new, usual
        same = not any(self.other_readers(metric, arm) for arm in (self.new, self.usual))
        return (new, usual) if same else None

    def own_readers(self, metric: str) -> tuple[int, int] | None:
        """How many readers the new and the usual arm have, where every reader read in one arm only; otherwise None."""
        if code_of(self.difference(metric), "readers_within_arms") is None:
            return None
        new, usual = (int((self.level(metric, a) or {}).get("n_readers") or 0) for a in (self.new, self.usual))
        return new, usual

    def one_reader(self, metric: str) -> bool:
        """Whether the number of the readers together is that of a single reader, and no mean."""
        return int((self.difference(metric) or {}).get("n_readers") or 0) == 1

    def pooled(self, metric: str) -> bool:
        """Whether reads were pooled from readers with unequal numbers of them: no mean of the readers' own values."""
        return is_pooled(self.difference(metric)) or any(
            is_pooled(self.level(metric, a)) for a in (self.new, self.usual)
        )

    def together(self, metric: str) -> str:
        """What the readers together are, as the name of a row."""
        if self.one_reader(metric):
            return "One reader"
        return "Pooled readers" if self.pooled(metric) else "Mean of the readers"

    def measure_of_readers(self, metric: str) -> str:
        """The measure of the readers together, within a sentence."""
        name = MEASURES[metric]
        if self.one_reader(metric):
            return f"{name} of the one reader compared"
        return f"{name} of the pooled readers" if self.pooled(metric) else f"mean {name} of the readers"

    def readers(self) -> list[str]:
        """The readers with a number in either arm, by name."""
        return self._named(self._readers_of(self.new) | self._readers_of(self.usual))

    def readers_of_both(self) -> list[str]:
        """The readers with a number in each arm, by name."""
        return self._named(self._readers_of(self.new) & self._readers_of(self.usual))

    def _readers_of(self, arm: str) -> set[str]:
        return {
            rater
            for (metric, rater, own, contrast), rows in self._found.items()
            if own == arm and metric in MEASURES and not contrast and any(map(known, rows))
        }

    def _named(self, raters: set[str]) -> list[str]:
        return sorted((r for r in raters if r and not r.startswith("(")), key=natural)

    @property
    def measures(self) -> list[str]:
        """The measures with a difference that is a number."""
        return [m for m in MEASURES if known(self.difference(m))]

    @property
    def leading_measure(self) -> str:
        """The measure of the answer: the first with an interval; AUC where the readers gave grades."""
        own = self.measures
        return next((m for m in own if bounded(self.difference(m))), own[0] if own else "sensitivity")

    @property
    def cutoff(self) -> str:
        """The rating from which graded reads count as present, "" for calls."""
        found = (value_at(at, CUTOFF) for at in self.rows["at"].unique().sort())
        return next((value for value in found if value), "")

    @property
    def leave_one_out(self) -> bool:
        """Whether each reader was judged by the majority of the other readers."""
        return self.reference == OTHERS


@once
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


def usable_pairs(evidence: ReportData) -> list[ArmPair]:
    """The pairs whose leading measure has an interval, or all where there is none."""
    every = pairs(evidence)
    return [p for p in every if bounded(p.difference(p.leading_measure))] or every


def leading_pair(evidence: ReportData) -> ArmPair | None:
    """The pair of the answer, None where no arms were compared.

    The reference standard that the evaluation names goes before, then the AUC before rates, then the findings that the
    answer is about.
    """
    usable = usable_pairs(evidence)
    if not usable:
        return None
    chosen = leading_findings(evidence, [p.finding for p in usable])
    own = own_references(evidence)
    made, graded = arms(evidence)[0].made, list(MEASURES)
    place = {p.reference: (p.reference in DERIVED, p.reference in made, p.reference not in own) for p in usable}
    return min(usable, key=lambda p: (place[p.reference], graded.index(p.leading_measure), p.finding not in chosen))


def own_references(evidence: ReportData) -> tuple[str, ...]:
    """The label sources that the evaluation names as its reference standard."""
    given = evidence.config.get("reference") or ()
    return (given,) if isinstance(given, str) else tuple(given)


def compared_readers(evidence: ReportData) -> int:
    """How many readers the leading comparison of arms is about, 0 where its rows do not say so."""
    first = leading_pair(evidence)
    row = (first.difference(first.leading_measure) if first else None) or {}
    return int(row.get("n_readers") or 0)


POOLED_TERM = "All reads together: a reader with more reads counts more."


def _best(rows: Iterable[Row]) -> Row | None:
    found = sorted(rows, key=lambda r: (not known(r), number(r["low"]) != number(r["low"])))
    return found[0] if found else None


def arm_words(arm: str) -> str:
    """An arm within a sentence; whose help an aided reader had is not known from the name of the arm.

    >>> arm_words("unaided"), arm_words("aided:score+map"), arm_words("cine"), arm_words("2"), arm_words("without AI")
    ('in unaided reading', 'in aided reading (score, map)', 'with cine', 'in arm 2', 'without AI')
    """
    kind, _, help_of = arm.partition(":")
    if kind in ("aided", "unaided"):
        return f"in {kind} reading" + (f" ({help_of.replace('+', ', ')})" if help_of else "")
    if arm.lower().startswith(("with ", "without ")):
        return arm
    return f"in {arm_title(arm)}" if arm.isdigit() else f"with {arm}"


def minus(pair: ArmPair) -> str:
    """The heading of the difference.

    >>> minus(ArmPair("cine", "spin echo", "nodule", "surgery", pl.DataFrame(), "Nodule"))
    'cine minus spin echo'
    """
    return f"{arm_title(pair.new)} minus {arm_title(pair.usual)}"
