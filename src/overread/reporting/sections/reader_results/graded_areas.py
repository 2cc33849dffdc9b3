"""Models beside the mean of the readers of graded reads: both AUCs and their difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from overread.reporting.estimate_cells import known
from overread.reporting.first_page.first_page_parts import bounded, side, spelled
from overread.reporting.number_format import fixed, number, plural
from overread.reporting.report_data import Row
from overread.reporting.sections.reader_results.model_sentences import people_word
from overread.reporting.sections.reader_results.reader_titles import READERS, ReadRows, in_sentence, output_title

TEST = "test=obuchowski-rockette"


@dataclass(frozen=True, slots=True)
class GradedModel:
    """The AUC of a model for a finding under a reference standard, beside that of the readers' grades."""

    reads: ReadRows
    finding: str
    reference: str
    rater: str

    @property
    def area(self) -> Row | None:
        """The AUC on the cases read."""
        return self._row(("auc", TEST, self.rater, ""))

    @property
    def mean(self) -> Row | None:
        """The mean AUC of the readers."""
        return self._row(("auc", TEST, READERS, ""))

    @property
    def difference(self) -> Row | None:
        """The AUC of the model minus the mean of the readers."""
        return self._row(("auc_difference", TEST, self.rater, f"rater:{READERS}"))

    @property
    def name(self) -> str:
        """The model and the finding, in a sentence."""
        return f"{output_title(self.rater)} for {self.reads.heading(self.finding).lower()}"

    def _row(self, key: tuple[str, ...]) -> Row | None:
        return self.reads.rows(self.finding, self.reference).get(key)


def graded_models(reads: ReadRows, reference: str) -> list[GradedModel]:
    """The models with a difference from the mean of the readers by a reference standard, in the order of the page."""
    every = (GradedModel(reads, f, reference, o) for f in reads.findings for o in reads.ranked(f))
    return [m for m in every if known(m.difference)]


def graded_reference(reads: ReadRows) -> str:
    """The first reference standard under which models are compared with grades, "" without any."""
    return next((r for r in reads.references if graded_models(reads, r)), "")


def graded_sentence(reads: ReadRows) -> str:
    """The difference from the mean of the readers under the first reference standard, "" without graded reads."""
    reference = graded_reference(reads)
    found = graded_models(reads, reference)
    if not found:
        return ""
    by = f"By {in_sentence(reference)}, the AUC"
    if len(found) > 1:
        return _several(by, found)
    one = found[0]
    alone = people_word(reads) == "reader"
    row, less = one.mean, spelled(one.difference, signed=True)
    zero = "; the interval includes 0" if bounded(one.difference) and not side(one.difference) else ""
    if alone and one.difference and not bounded(one.difference):
        less = f"{fixed(one.difference['estimate'], signed=True)}. It has no interval, because there is one reader"
    if not known(one.area) or not known(row) or one.area is None or row is None:
        return (
            f"{by} of {one.name} minus {'that of the reader' if alone else 'the mean of the readers'} is {less}{zero}."
        )
    whose = "that of the reader" if alone else "the mean AUC of the readers"
    values = f"{fixed(one.area['estimate'])} and {whose} {fixed(row['estimate'])}"
    return f"{by} of {one.name} is {values}, a difference of {less}{zero}."


def _several(by: str, found: Sequence[GradedModel]) -> str:
    theirs = "that of the reader" if people_word(found[0].reads) == "reader" else "the mean of the readers"
    ranked = sorted(found, key=lambda m: number((m.difference or {}).get("estimate")))
    ends = [
        f"{spelled(m.difference, signed=True, level=k == 0)} for {m.name}"
        for k, m in enumerate((ranked[0], ranked[-1]))
    ]
    below, above = (sum(side(m.difference) == s for m in found) for s in (-1, 1))
    if not any(bounded(m.difference) for m in found):
        return f"{by} of the models minus {theirs} runs from {' to '.join(ends)}."
    counted = f"the whole interval lies below 0 in {below or 'none'} and above 0 in {above or 'none'}"
    return (
        f"{by} of the models minus {theirs} runs from {' to '.join(ends)}; {counted} of "
        f"{plural(len(found), 'comparison')}."
    )
