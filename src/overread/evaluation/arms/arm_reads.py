"""First reads of one finding in every arm as an array, with one reference standard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from overread import codes
from overread.codes import Metric, Text
from overread.evaluation.context.estimate_rows import Counts, EstimateKey, count
from overread.evaluation.context.reader_context import ReaderContext, ReadSelection
from overread.evaluation.context.score_matrix import Bools, Codes, Floats
from overread.evaluation.join.counted_reads import READING
from overread.evaluation.join.reference_standards import OTHERS
from overread.evaluation.readers.pooled_readers import RATES


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """First reads of one finding: scores or calls (n_arms, n_readers, n_cases), NaN = not read, of all read cases."""

    finding: str
    metrics: tuple[Metric, ...]
    cutoff: str  # "rating_cutoff=…" for calls made from graded reads, otherwise ""
    arms: tuple[str, ...]  # those with a read of the finding; the baseline is first
    values: Floats


@dataclass(frozen=True, slots=True, eq=False)
class ArmReads:
    """First reads of the cases with a reference standard; a case has two columns if its truth depends on the reader."""

    context: ReaderContext
    answers: Answers
    reference: str
    truth: Bools  # (n_columns,)
    case: Codes  # (n_columns,) where the case stands in the panel
    values: Floats  # (n_arms, n_readers, n_columns)

    @property
    def patient(self) -> Codes:
        """The patient of each column."""
        return self.context.panel.patient[self.case]

    @property
    def cluster(self) -> Codes | None:
        """The patient of each column, None if every column is of another patient."""
        patient = self.patient
        return None if np.unique(patient).size == patient.size else patient

    @property
    def weight(self) -> Floats | None:
        """The sampling weight of each column, None if all are equal."""
        weight = self.context.panel.weight
        return None if weight is None else weight[self.case]

    @property
    def note(self) -> Text:
        """What every row that depends on the reference standard must say."""
        if self.reference == OTHERS:
            return codes.note("reader_not_in_reference")
        return self.context.note_on(self.answers.finding, self.reference)

    def practice(self, arms: Sequence[int], readers: Codes, cases: Codes) -> Bools:
        """Mark the reads of these arms, readers and cases that were excluded because they were practice."""
        panel, excluded = self.context.panel, self.context.practice
        marked = np.zeros((len(arms), readers.size, cases.size), dtype=np.bool_)
        if excluded is None:
            return marked
        keys = excluded.filter(pl.col("finding") == self.answers.finding).select(READING)
        reader_at = {panel.readers[r]: i for i, r in enumerate(readers)}
        case_at = {panel.case_id[c]: i for i, c in enumerate(cases)}
        arm_at = {self.answers.arms[a]: i for i, a in enumerate(arms)}
        for reader, case, arm in keys.iter_rows():
            if reader in reader_at and case in case_at and arm in arm_at:
                marked[arm_at[arm], reader_at[reader], case_at[case]] = True
        return marked

    def place(self, rater: str, arm: str) -> EstimateKey:
        """Return the key of an estimate of a reader or of the mean of the readers in one arm."""
        none = np.empty(0, np.intp)
        policy = self.context.config.uncertain_calls
        reads = ReadSelection(self.answers.finding, arm, policy, none, none, none, none.astype(np.bool_))
        return self.context.place(self.answers.finding, rater, reads=reads, reference=self.reference)

    def at(self, *parts: str) -> str:
        """Return the column `at` of these parts and of the rating cut-off."""
        return ";".join(sorted(p for p in (self.answers.cutoff, *parts) if p))

    def counts(self, columns: Bools) -> Counts:
        """Count the cases of a mask (n_columns,) and their patients."""
        return count(self.truth[columns].astype(np.float64), self.patient[columns])


def answers_of(context: ReaderContext, finding: str) -> Iterator[Answers]:
    """Yield the graded reads, the calls, and the calls at the rating cut-off of a finding, where there are any."""
    panel, config = context.panel, context.config
    mine = (panel.finding == panel.findings.index(finding)) & panel.scored(finding)[panel.case]
    cutoff = config.rating_cutoff(finding)
    with np.errstate(invalid="ignore"):
        at_cutoff = np.where(np.isnan(panel.graded), np.nan, panel.graded >= (np.inf if cutoff is None else cutoff))
    kinds: list[tuple[tuple[Metric, ...], str, Floats]] = [
        ((Metric.AUC,), "", panel.graded),
        (RATES, "", panel.call[config.uncertain_calls]),
    ]
    kinds += [] if cutoff is None else [(RATES, f"rating_cutoff={cutoff:g}", at_cutoff)]
    for metrics, at, answer in kinds:
        index = np.flatnonzero(mine & ~np.isnan(answer))
        if index.size:
            arms = np.unique(panel.arm[index])
            values = np.full((arms.size, len(panel.readers), len(panel.case_id)), np.nan)
            values[np.searchsorted(arms, panel.arm[index]), panel.reader[index], panel.case[index]] = answer[index]
            yield Answers(finding, metrics, at, tuple(panel.arms[a] for a in arms), values)


def with_reference(context: ReaderContext, answers: Answers, reference: str) -> ArmReads | None:
    """Return the reads of cases with a reference standard; None if there are none."""
    policy = context.config.uncertain_calls
    if reference == OTHERS:
        return _with_others(context, answers, context.panel.others[policy])
    truth = context.panel.truths(answers.finding, reference, policy)
    values = np.where(context.panel.not_judged(answers.finding, reference), np.nan, answers.values)
    case = np.flatnonzero(~np.isnan(truth) & ~np.isnan(values).all(axis=(0, 1)))
    if not case.size:
        return None
    return ArmReads(context, answers, reference, truth[case] == 1, case, values[..., case])


def _with_others(context: ReaderContext, answers: Answers, others: Floats) -> ArmReads | None:
    """Judge each reader, in every arm, by the majority of the other readers' reads in the baseline arm.

    The truth of a case then depends on the reader: the case has a column for the readers for whom it is present and
    one for those for whom it is absent. Both are of the same patient, the unit of independence.
    """
    panel = context.panel
    index = np.flatnonzero((panel.finding == panel.findings.index(answers.finding)) & ~np.isnan(others))
    truth = np.full(answers.values.shape[1:], np.nan)
    truth[panel.reader[index], panel.case[index]] = others[index]
    split = np.concatenate([np.where(truth == k, answers.values, np.nan) for k in (1, 0)], axis=2)
    read = np.flatnonzero(~np.isnan(split).all(axis=(0, 1)))
    if not read.size:
        return None
    n_cases = len(panel.case_id)
    return ArmReads(context, answers, OTHERS, read < n_cases, read % n_cases, split[..., read])
