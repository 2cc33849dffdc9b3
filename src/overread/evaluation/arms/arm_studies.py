"""The multi-reader multi-case analysis of the arms of one finding, chosen by the design of the reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from overread import codes
from overread.codes import Metric, Text
from overread.evaluation.arms.arm_designs import CROSSED, INCOMPLETE, READERS_IN_ARMS, design_note, design_of
from overread.evaluation.arms.arm_reads import ArmReads
from overread.evaluation.context.auc_terms import FEWEST
from overread.evaluation.context.estimate_rows import Counts, add_notes, without_interval
from overread.evaluation.context.score_matrix import Bools, Codes
from overread.evaluation.join.reference_standards import OTHERS
from overread.evaluation.readers.pooled_readers import counts_by_others
from overread.evaluation.readers.reader_tests import CENTRED, OBUCHOWSKI_ROCKETTE, U_STATISTIC
from overread.stats.estimate import Estimate
from overread.stats.reader_studies import mrmc
from overread.stats.reader_studies.study_results import ReaderStudy


@dataclass(frozen=True, slots=True, eq=False)
class ArmStudy:
    """Estimates of the arms and of their differences (later arm minus earlier arm) by the metric of a study."""

    reads: ArmReads
    metric: Metric
    test: str
    counts: Counts
    classes: Mapping[str, int | None]  # what replaces the counts in a row
    n_readers: int
    arms: Mapping[int, Estimate]
    pairs: Mapping[tuple[int, int], Estimate]  # (a, b): arm a minus arm b, a > b
    readers: Mapping[int, Mapping[tuple[int, int], Estimate]]  # by reader, as a fixed effect
    readers_of: Mapping[int, int]  # how many readers the value of an arm is of
    joint: ReaderStudy | None  # the analysis of all arms together, if there is one
    note: Text = codes.NONE

    @property
    def at(self) -> str:
        """The column `at` of the rows."""
        return self.reads.at(f"test={self.test}")


def studies_of(reads: ArmReads, metric: Metric, *, margin: float = 0.0) -> list[ArmStudy]:
    """Analyse all arms together, or pair by pair if the readers differ between pairs of three or more arms."""
    everyone = _judged(reads, metric, ~np.isnan(reads.values))
    active = everyone[:, everyone.any(axis=0)]
    n_arms = len(active)
    if n_arms < 3 or active.all() or (active.sum(axis=0) == 1).all():
        return [_study(reads, metric, tuple(range(n_arms)), margin)]
    alone = [_study(reads, metric, (a,), margin) for a in range(n_arms)]
    pairs = (_study(reads, metric, pair, margin) for pair in combinations(range(n_arms), 2))
    return alone + [replace(study, arms={}) for study in pairs]


def _judged(reads: ArmReads, metric: Metric, read: Bools) -> Bools:
    """Return which readers have reads of every class that the metric needs (n_arms, n_readers).

    A reader without them in an arm has no estimate there, and no part in the mean of the readers. If no reader has them
    in all arms, those with any read are returned: the class is missing for everyone, and the estimates give the reason.
    """
    masks = {Metric.SENSITIVITY: (reads.truth,), Metric.SPECIFICITY: (~reads.truth,)}
    of_classes = [read[..., mask].any(axis=2) for mask in masks.get(metric, (reads.truth, ~reads.truth))]
    has = np.asarray(np.logical_and.reduce(of_classes))
    any_read = np.asarray(read.any(axis=2))
    in_all = has.any(axis=1).all() if _nested(any_read) else has.all(axis=0).any()
    return has if in_all else any_read


def _nested(has: Bools) -> bool:
    """Return whether every reader has reads in one arm only."""
    return len(has) > 1 and bool((has.sum(axis=0) <= 1).all())


@dataclass(frozen=True, slots=True, eq=False)
class _Chosen:
    """The arms, readers and columns of an analysis, and the design of their reads."""

    arms: tuple[int, ...]
    readers: Codes
    columns: Codes
    read: Bools  # (n_arms, n_readers, n_columns)
    design: str
    counts: Counts
    note: Text
    why: Text  # why there is no interval; empty if there is one


def _choose(reads: ArmReads, metric: Metric, arms: tuple[int, ...]) -> _Chosen:
    """Choose the readers with an estimate in all of these arms, or every such reader if each has one arm only."""
    read = ~np.isnan(reads.values[list(arms)])
    any_read, has = np.asarray(read.any(axis=2)), _judged(reads, metric, read)
    nested = _nested(any_read)
    readers = np.flatnonzero(has.any(axis=0) if nested else has.all(axis=0))
    chosen = np.asarray(read[:, readers].any(axis=(0, 1)))
    columns = np.flatnonzero(chosen)
    read = np.asarray(read[:, readers][..., columns])
    design = design_of(read) if read.size else INCOMPLETE
    names = reads.context.panel.readers
    left = np.setdiff1d(np.flatnonzero(any_read.any(axis=0)), readers)
    in_all = np.asarray(any_read.all(axis=0) | nested)
    excluded = _excluded([names[r] for r in left[~in_all[left]]], [names[r] for r in left[in_all[left]]], metric)
    counts = reads.counts(chosen)
    why = _why_not(metric, counts, int(has[:, readers].sum(axis=1).min(initial=len(names))) if readers.size else 0)
    note = codes.notes(_note_on_design(reads, arms, readers, columns, design), excluded, reads.note)
    return _Chosen(arms, readers, columns, read, design, counts, note, why)


def _excluded(partial: Sequence[str], unjudged: Sequence[str], metric: Metric) -> Text:
    """Name the readers without a part in the mean: those of some arms only, and those without reads of a class."""
    return codes.notes(
        codes.note("readers_in_one_arm", readers=tuple(partial)) if partial else None,
        codes.note("readers_without_class", classes=_CLASSES[metric], readers=tuple(unjudged)) if unjudged else None,
    )


_CLASSES: Mapping[Metric, str] = {
    Metric.SENSITIVITY: "with the finding",
    Metric.SPECIFICITY: "without the finding",
    Metric.AUC: "with or of cases without the finding",
}


def _note_on_design(reads: ArmReads, arms: tuple[int, ...], readers: Codes, columns: Codes, design: str) -> Text:
    """Report the design. Under the majority of the others each case counts once, whatever its truth for a reader.

    There a read on whose case the other readers' votes are tied is no missing read: it was made, and is excluded.
    """
    names = tuple(reads.answers.arms[a] for a in arms)
    if reads.reference != OTHERS:
        read = ~np.isnan(reads.values[np.ix_(np.array(arms), readers, columns)])
        practice = reads.practice(arms, readers, reads.case[columns])
        return design_note(read, design, practice=practice, arms=names)
    case = np.unique(reads.case[columns])
    answered = ~np.isnan(reads.answers.values[np.ix_(np.array(arms), readers, case)])
    judged = np.zeros(reads.answers.values.shape, dtype=np.bool_)
    arm, reader, column = np.nonzero(~np.isnan(reads.values))
    judged[arm, reader, reads.case[column]] = True
    tied = answered & ~judged[np.ix_(np.array(arms), readers, case)]
    n, total = int(tied.sum()), int(answered.sum())
    excluded = codes.note("reads_without_majority", n=n, total=total) if n else None
    practice = reads.practice(arms, readers, case)
    of_design = design_note(answered, design_of(answered), practice=practice, arms=names)
    return codes.notes(of_design, excluded, _excluded_by_arm(answered, tied, names))


def _excluded_by_arm(answered: Bools, tied: Bools, arms: Sequence[str]) -> Text:
    """Report the excluded reads (n_arms, n_readers, n_cases) of each arm, where the arms then rest on other cases.

    The vote on a case is one for all arms of a reader: of readers who read it in several arms, each loses its reads.
    """
    of_case = tied.sum(axis=1)
    if (answered.sum(axis=0) > 1).any() or (of_case == of_case[:1]).all():
        return codes.NONE
    counts = zip(arms, tied.sum(axis=(1, 2)), answered.sum(axis=(1, 2)), strict=True)
    by_arm = tuple(f"{arm} {lost:,} of {read:,}" for arm, lost, read in counts)
    return codes.note("reads_without_majority_by_arm", arms=by_arm)


def _study(reads: ArmReads, metric: Metric, arms: tuple[int, ...], margin: float) -> ArmStudy:
    """Analyse some arms together."""
    chosen = _choose(reads, metric, arms)
    classes = counts_by_others(reads.reference, reads.case[chosen.columns])
    test, covariance, cases = _method(reads, metric, chosen)
    n_readers, last = int(chosen.readers.size), len(arms) - 1
    if not chosen.read.size:
        nothing = Estimate(np.nan, note=codes.note("few_readers_for_test"))
        pairs = {(arms[b], arms[a]): nothing for a, b in combinations(range(len(arms)), 2)}
        return ArmStudy(
            reads,
            metric,
            test,
            chosen.counts,
            classes,
            0,
            dict.fromkeys(arms, nothing),
            pairs,
            {},
            {},
            None,
            chosen.note,
        )
    found = _compared(reads, metric, chosen, covariance, cases, margin)

    def told(estimate: Estimate) -> Estimate:
        why = chosen.why
        return without_interval(estimate, estimate.note, why) if why else add_notes(estimate, found.note)

    def named(pairs: Mapping[tuple[int, int], Estimate]) -> dict[tuple[int, int], Estimate]:
        return {(arms[last - a], arms[last - b]): e for (a, b), e in pairs.items()}

    return ArmStudy(
        reads,
        metric,
        test,
        chosen.counts,
        classes,
        n_readers,
        {arms[last - k]: told(e) for k, e in enumerate(found.arms)},
        {pair: told(e) for pair, e in named(found.pairs).items()},
        {int(r): named(each.pairs) for r, each in zip(chosen.readers, found.per_reader, strict=True)},
        {arm: int(n) for arm, n in zip(arms, chosen.read.any(axis=2).sum(axis=1), strict=True)},
        found if not chosen.why and len(arms) == len(reads.answers.arms) else None,
        chosen.note,
    )


def _compared(
    reads: ArmReads, metric: Metric, chosen: _Chosen, covariance: str, cases: str, margin: float
) -> ReaderStudy:
    """Compare the arms, passed in reverse, so that a pair is the later minus the earlier arm."""
    columns = chosen.columns
    cluster, weight = reads.cluster, reads.weight
    return mrmc.compare_arms(
        reads.truth[columns],
        reads.values[np.ix_(np.array(chosen.arms[::-1]), chosen.readers, columns)],
        metric=metric,
        covariance=covariance,
        cases=cases,
        cluster=None if cluster is None else cluster[columns],
        weights=None if weight is None else weight[columns],
        margin=margin or None,
        interval="logit",
        confidence=reads.context.config.confidence,
    )


def _method(reads: ArmReads, metric: Metric, chosen: _Chosen) -> tuple[str, str, str]:
    """Return the name of the test, the covariance and the treatment of cases for a design.

    Obuchowski-Rockette needs a design that it knows, without weights and with two cases of each class in every cell.
    """
    truth, read, design = reads.truth[chosen.columns], chosen.read, chosen.design
    enough = read.size and min((read & mask).sum(axis=2).min() for mask in (truth, ~truth)) > 1
    if metric != Metric.AUC or reads.weight is not None or not enough or design in (INCOMPLETE, READERS_IN_ARMS):
        return U_STATISTIC, CENTRED, "random"
    return OBUCHOWSKI_ROCKETTE, "jackknife", "random" if design == CROSSED else design


def _why_not(metric: Metric, counts: Counts, n_readers: int) -> Text:
    """Return why there is no interval and no test; empty if there is one."""
    needed = {"sensitivity": (counts.patients_present,), "specificity": (counts.patients_absent,)}
    few = min(needed.get(metric, (counts.patients_present, counts.patients_absent)))
    if few < FEWEST:
        return codes.note("few_patients_for_test", n=few, least=FEWEST)
    return codes.note("few_readers_for_test") if n_readers < 2 else codes.NONE
