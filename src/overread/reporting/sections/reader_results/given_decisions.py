"""Decisions of models without scores beside the pooled readers: both rates and their differences from the readers.

Decisions have no curve, so that they cannot be set to the specificity of the readers; they are compared as given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from overread.reporting.estimate_cells import known
from overread.reporting.first_page.first_page_parts import bounded, side, spelled
from overread.reporting.number_format import fixed, listed, number, plural
from overread.reporting.report_data import DECISION, Row
from overread.reporting.sections.reader_results.reader_titles import READERS, ReadRows, in_sentence, output_title

RATES = ("sensitivity", "specificity")
_SPELLED = 3  # comparisons of which each has its numbers in the sentence


@dataclass(frozen=True, slots=True)
class DecidedOutput:
    """The decisions of a model for a finding under a reference standard."""

    reads: ReadRows
    finding: str
    reference: str
    rater: str

    def rate(self, metric: str) -> Row | None:
        """The rate on the cases read."""
        return self._row((metric, DECISION, self.rater, ""))

    def pooled(self, metric: str) -> Row | None:
        """The rate of the pooled readers."""
        return self._row((metric, "", READERS, ""))

    def difference(self, metric: str) -> Row | None:
        """The rate of the model minus that of the pooled readers."""
        return self._row((f"{metric}_difference", DECISION, self.rater, f"rater:{READERS}"))

    def _row(self, key: tuple[str, ...]) -> Row | None:
        return self.reads.rows(self.finding, self.reference).get(key)


def decided_outputs(reads: ReadRows, reference: str) -> list[DecidedOutput]:
    """The decisions with a difference from the readers under a reference standard, in the order of the page."""
    every = (DecidedOutput(reads, f, reference, o) for f in reads.findings for o in reads.decided(f))
    return [d for d in every if any(known(d.difference(m)) for m in RATES)]


def main_reference(reads: ReadRows) -> str:
    """The first reference standard under which decisions are compared, "" without any."""
    return next((r for r in reads.references if decided_outputs(reads, r)), "")


def decisions_sentence(reads: ReadRows) -> str:
    """The differences of decisions from the pooled readers under the first reference standard, "" without decisions."""
    reference = main_reference(reads)
    found = decided_outputs(reads, reference)
    if not found:
        return ""
    start = f"By {in_sentence(reference)}, decisions"
    if len(found) > _SPELLED:
        models = list(dict.fromkeys(d.rater.partition(" [")[0] for d in found))
        who = listed(models) if len(models) <= _SPELLED else f"{len(models)} models"
        ranges = "; ".join(t for m in RATES if (t := _range(reads, found, m)))
        return f"{start} of {who} minus the pooled readers: {ranges}."
    several = len(reads.findings) > 1
    said: list[str] = []
    for d in found:
        about = f" for {reads.heading(d.finding).lower()}" if several else ""
        rows = [(m, row) for m in RATES if known(row := d.difference(m))]
        level = not said
        each = [f"{m} {spelled(row, digits=2, signed=True, level=level and k == 0)}" for k, (m, row) in enumerate(rows)]
        said.append(f"{output_title(d.rater)}{about}, {', '.join(each)}")
    return f"{start} minus the pooled readers: {'; '.join(said)}."


def _range(reads: ReadRows, found: Sequence[DecidedOutput], metric: str) -> str:
    every = [(d, row) for d in found if known(row := d.difference(metric)) and row is not None]
    rows = [(d, row) for d, row in every if bounded(row)] or every
    if not rows:
        return ""
    low, high = (f(rows, key=lambda pair: number(pair[1]["estimate"])) for f in (min, max))
    ends = " to ".join(
        f"{fixed(row['estimate'], 2, signed=True)} ({reads.heading(d.finding).lower()}, {output_title(d.rater)})"
        for d, row in (low, high)
    )
    if not bounded(rows[0][1]):
        return f"{metric} {ends}, without an interval in {plural(len(rows), 'comparison')}"
    below, above = (sum(side(row) == s for _, row in rows) for s in (-1, 1))
    counted = f"the whole interval below 0 in {below or 'none'} and above 0 in {above or 'none'}"
    return f"{metric} {ends}, {counted} of {plural(len(rows), 'comparison')}"
