"""Kappa among readers: Fleiss' kappa, Cohen's kappa of every pair and its mean, of calls and grades, and in blocks.

Intervals are analytic and clustered by patient. A block is a group of readers who share hardly any case with others,
because cases were not assigned at random: agreement over blocks mixes readers who never met. Agreement within a block
rests on the cases with two or more reads in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from overread import codes
from overread.codes import Analysis, Metric, Text
from overread.evaluation.context.auc_terms import FEWEST
from overread.evaluation.context.estimate_rows import Row, add_notes, patients_in, row, without_interval
from overread.evaluation.context.reader_context import ReaderContext, ReadSelection
from overread.evaluation.context.score_matrix import Floats
from overread.evaluation.join.read_matching import READERS
from overread.evaluation.readers.reader_tests import first_reads
from overread.stats import agreement
from overread.stats.estimate import Estimate

GRADES_AT_MOST = 20  # more different scores are measurements, of which categories cannot agree
BLOCK = "block="  # the part of `at` that names a block of readers
WEIGHTS = ("linear", "quadratic")
CONSTANT = "constant_reader"  # the note of a rater of a pair who used one category only
Statistic = Callable[..., Estimate]


@dataclass(frozen=True, slots=True, eq=False)
class RatedCases:
    """Answers (n_readers, n_cases) of one finding and arm, NaN = not read, and the parts of `at` that name them."""

    context: ReaderContext
    reads: ReadSelection
    answers: Floats
    at: tuple[str, ...] = ()
    note: Text = codes.NONE

    @property
    def readers(self) -> int:
        """Number of readers with an answer."""
        return int((~np.isnan(self.answers)).any(axis=1).sum())

    def row(self, rater: str, metric: Metric, estimate: Estimate, at: tuple[str, ...], reads: tuple[int, int]) -> Row:
        """Return a row; `reads` are the least number of reads of a case that is counted, and the number of readers."""
        counted = np.flatnonzero((~np.isnan(self.answers)).sum(axis=0) >= reads[0])
        patients = patients_in(self.context.panel.patient[counted])
        if patients < FEWEST and estimate.value == estimate.value:
            estimate = without_interval(estimate, codes.note("few_patients_in_all", n=patients, least=FEWEST))
        place = self.context.place(self.reads.finding, rater, reads=self.reads, analysis=Analysis.AGREEMENT)
        return row(
            place,
            metric,
            add_notes(estimate, self.note, self.context.unweighted),
            at=";".join(sorted((*self.at, *at))),
            test={"n_readers": reads[1], "n_cases": int(counted.size), "n_patients": patients},
            confidence=self.context.config.confidence,
        )


def kappa_rows(context: ReaderContext) -> list[Row]:
    """Estimate kappa among the readers of every finding and arm, of calls and of grades, also in blocks of readers."""
    rows: list[Row] = []
    for finding in context.panel.findings:
        for arm in context.panel.arms:
            reads = context.reads(finding, arm, context.config.uncertain_calls, every=True)
            table = first_reads(context, reads, np.zeros(len(context.panel.case_id)), reference="")
            calls = np.full((len(context.panel.readers), len(context.panel.case_id)), np.nan)
            calls[:, table.cases] = table.answers
            grades = grades_of(context, reads)
            for answers, of in ((calls, _of_calls), (grades, _of_grades)):
                rated = RatedCases(context, reads, answers)
                rows += _with_blocks(rated, of) if rated.readers > 1 else []
    return rows


def grades_of(context: ReaderContext, reads: ReadSelection) -> Floats:
    """Return the scores of the first reads of a finding in an arm (n_readers, n_cases), NaN without a score."""
    panel = context.panel
    mine = (panel.finding == panel.findings.index(reads.finding)) & (panel.arm == panel.arms.index(reads.arm))
    index = np.flatnonzero(mine & ~np.isnan(panel.graded))
    grades = np.full((len(panel.readers), len(panel.case_id)), np.nan)
    grades[panel.reader[index], panel.case[index]] = panel.graded[index]
    return grades


def _with_blocks(rated: RatedCases, of: Callable[[RatedCases], list[Row]]) -> list[Row]:
    """Return the rows of all readers, and within each block if there are several; a block is named in its note."""
    blocks = agreement.find_blocks(~np.isnan(rated.answers).T)
    several = int(blocks.max(initial=-1)) > 0
    everyone = replace(rated, note=codes.note("readers_in_blocks", n=int(blocks.max()) + 1)) if several else rated
    rows = [*of(everyone), *_pair_rows(everyone, graded=of is _of_grades, each=True)]
    for number in range(int(blocks.max()) + 1) if several else ():
        answers = np.where((blocks == number)[:, None], rated.answers, np.nan)
        names = tuple(r for r, b in zip(rated.context.panel.readers, blocks, strict=True) if b == number)
        words = codes.note("block_of_readers", readers=names)
        block = replace(rated, answers=answers, at=(f"{BLOCK}{number + 1}",), note=words)
        if block.readers > 1:
            rows += (_of_calls_in_block if of is _of_calls else of)(block)
            rows += _pair_rows(block, graded=of is _of_grades, each=False)
    return rows


def _estimated(rated: RatedCases, statistics: Mapping[Metric, Statistic], at: tuple[str, ...]) -> list[Row]:
    """Return a row of each statistic of all readers; cases with one read count where chance agreement uses them.

    Within a block they do not: most cases with one read in the block were read in another block too, so that the shares
    of the categories among them are not those of the cases on which the readers of the block are compared.
    """
    count = (~np.isnan(rated.answers)).sum(axis=0)
    within = any(part.startswith(BLOCK) for part in rated.at)
    rows = []
    for metric, statistic in statistics.items():
        single = metric in (Metric.FLEISS_KAPPA, Metric.GWET_AC1) and (count > 1).any() and not within
        least = 1 if single else 2
        cases = np.flatnonzero(count >= least)
        estimate = Estimate(np.nan, note=codes.note("no_case_with_two_calls"))
        if cases.size:
            patient = rated.context.panel.patient[cases]
            confidence = rated.context.config.confidence
            estimate = statistic(rated.answers[:, cases].T, cluster=patient, confidence=confidence)
        rows.append(rated.row(READERS, metric, estimate, at, (least, rated.readers)))
    return rows


def _of_calls(rated: RatedCases) -> list[Row]:
    """Return Fleiss' kappa of calls; percent agreement, AC1 and alpha are among the rows of agreement."""
    return _estimated(rated, {Metric.FLEISS_KAPPA: agreement.fleiss_kappa}, ())


def _of_calls_in_block(rated: RatedCases) -> list[Row]:
    """Return all measures of the calls of a block."""
    statistics: dict[Metric, Statistic] = {
        Metric.PERCENT_AGREEMENT: agreement.percent_agreement,
        Metric.GWET_AC1: partial(agreement.gwet_ac, categories=[0.0, 1.0]),
        Metric.KRIPPENDORFF_ALPHA: agreement.krippendorff_alpha,
    }
    return _estimated(rated, statistics, ()) + _of_calls(rated)


def _of_grades(rated: RatedCases) -> list[Row]:
    """Return agreement on grades: equal grades, weighted kappas, AC2, and alpha at its level of measurement."""
    if measured(rated.answers):
        alpha = {Metric.KRIPPENDORFF_ALPHA: partial(agreement.krippendorff_alpha, level="interval")}
        return _estimated(rated, alpha, ("level=interval",))
    rows = _estimated(rated, {Metric.PERCENT_AGREEMENT: agreement.percent_agreement}, ("grades=equal",))
    for weights in WEIGHTS:
        statistics: dict[Metric, Statistic] = {
            Metric.FLEISS_KAPPA: partial(agreement.fleiss_kappa, weights=weights),
            Metric.GWET_AC1: partial(agreement.gwet_ac, weights=weights),
        }
        rows += _estimated(rated, statistics, (f"weights={weights}",))
    alpha = {Metric.KRIPPENDORFF_ALPHA: partial(agreement.krippendorff_alpha, level="ordinal")}
    return rows + _estimated(rated, alpha, ("level=ordinal",))


def measured(answers: Floats) -> bool:
    """Return whether scores are measurements: more different values than grades."""
    return np.unique(answers[~np.isnan(answers)]).size > GRADES_AT_MOST


def _pair_rows(rated: RatedCases, *, graded: bool, each: bool) -> list[Row]:
    """Return the mean of Cohen's kappa over pairs of readers, and (`each`) that of every pair with a common case."""
    if graded and measured(rated.answers):
        return []
    panel, rows = rated.context.panel, []
    for weights in WEIGHTS if graded else (None,):
        found = agreement.pairwise_kappa(
            rated.answers.T, weights=weights, cluster=panel.patient, confidence=rated.context.config.confidence
        )
        weighted = (f"weights={weights}",) if weights else ()
        rows.append(rated.row(READERS, Metric.LIGHT_KAPPA, found.mean, weighted, (2, rated.readers)))
        for (i, j), kappa in zip(found.pairs, found.kappas, strict=True) if each else ():
            pair = replace(rated, answers=rated.answers[[i, j]], note=codes.NONE)
            at = (f"reader={panel.readers[j]}", *weighted)
            own = with_rater_names(kappa, f"reader {panel.readers[i]}", f"reader {panel.readers[j]}")
            rows.append(pair.row(panel.readers[i], Metric.COHEN_KAPPA, own, at, (2, 2)))
    return rows


def with_rater_names(kappa: Estimate, first: str, second: str) -> Estimate:
    """Return Cohen's kappa whose note names the raters, which the statistic calls reader a and reader b.

    >>> a, b = [0, 0, 0, 0], [0, 1, 1, 0]
    >>> with_rater_names(agreement.cohen_kappa(a, b), "reader R6", "reader R7").note.partition(";")[0]
    'reader R6 used only one category'
    """
    names = {"reader a": first, "reader b": second}
    parts = []
    for code in kappa.note.codes if kappa.note else ():
        if code.name == CONSTANT:
            given = code["readers"]
            readers = tuple(names[r] for r in given) if isinstance(given, tuple) else ()
            parts.append(codes.note(CONSTANT, readers=readers))
        else:
            parts.append(codes.render("notes", code))
    return replace(kappa, note=codes.notes(*parts))
