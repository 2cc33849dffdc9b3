"""Agreement among readers, and of each with the model: no truth is needed, and every finding that was read has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from overread import codes
from overread.codes import Analysis, Metric, Text
from overread.evaluation.context.auc_terms import FEWEST
from overread.evaluation.context.estimate_rows import (
    EstimateKey,
    Row,
    add_notes,
    not_estimable,
    patients_in,
    row,
    without_interval,
)
from overread.evaluation.context.reader_context import ReaderContext, ReadSelection
from overread.evaluation.context.score_matrix import Floats
from overread.evaluation.join.read_matching import READERS
from overread.evaluation.readers.pairwise_f1 import CALL_RATE, CallingModel, models_at
from overread.evaluation.readers.reader_tests import ReaderTable, first_reads
from overread.stats import agreement
from overread.stats.estimate import Estimate


def _ac1(ratings: Floats, **more: Any) -> Estimate:
    """AC1 of calls, which are of two kinds even where only one was used."""
    return agreement.gwet_ac(ratings, categories=[0.0, 1.0], **more)


AMONG: Mapping[str, Callable[..., Estimate]] = MappingProxyType(
    {
        Metric.PERCENT_AGREEMENT: agreement.percent_agreement,
        Metric.GWET_AC1: _ac1,
        Metric.KRIPPENDORFF_ALPHA: agreement.krippendorff_alpha,
    }
)


def _kappa(pair: Floats, **more: Any) -> Estimate:
    return agreement.cohen_kappa(pair[:, 0], pair[:, 1], **more)


BETWEEN: Mapping[str, Callable[..., Estimate]] = MappingProxyType(
    {
        Metric.PERCENT_AGREEMENT: agreement.percent_agreement,
        Metric.COHEN_KAPPA: _kappa,
        Metric.GWET_AC1: _ac1,
    }
)


def agreement_rows(context: ReaderContext) -> list[Row]:
    """Agreement among readers for every finding that was read, and with every output for those that are scored."""
    rows: list[Row] = []
    for finding in context.panel.findings:
        for arm in context.panel.arms:
            reads = context.reads(finding, arm, context.config.uncertain_calls, every=True)
            if reads.index.size:
                table = first_reads(context, reads, np.zeros(len(context.panel.case_id)))
                rows += _among(context, reads, table)
                for rater in context.panel.outputs.get(finding, ()):
                    rows += _with_model(context, reads, table, rater)
    return rows


def _among(context: ReaderContext, reads: ReadSelection, table: ReaderTable) -> list[Row]:
    """Agreement of all readers, patients resampled.

    Cases with two reads or more show agreement. Cases with one read count in the category shares of AC1, from which its
    chance agreement comes (Gwet 2014; irrCAC), and nowhere else.
    """
    place = context.place(reads.finding, READERS, reads=reads, analysis=Analysis.AGREEMENT)
    count = (~np.isnan(table.answers)).sum(axis=0)
    rows = []
    for metric, made in AMONG.items():
        kept = count > 0 if metric == Metric.GWET_AC1 and (count > 1).any() else count > 1
        of = Rated(context, table.answers[:, kept].T, table.patient[kept])
        rows.append(_row(place, metric, "", made, of))
    return rows


def _with_model(context: ReaderContext, reads: ReadSelection, table: ReaderTable, rater: str) -> list[Row]:
    """Agreement of the pooled reads with the model at every threshold, of each reader at the readers' call rate.

    Patients are resampled for the pooled reads at the readers' call rate; the other intervals are the linearised ones.
    """
    rows = []
    scored = context.reads(reads.finding, reads.arm, reads.policy)
    for model in models_at(context, scored, rater):
        at = ";".join(sorted((model.at, f"with={rater}")))
        pooled = scored.call.astype(np.float64), scored.case
        rows += _pair_rows(context, reads, (READERS, at, model), pooled, model.at == CALL_RATE)
        if model.at != CALL_RATE:
            continue
        for reader in np.flatnonzero(table.readers):
            kept = ~np.isnan(table.answers[reader])
            mine = table.answers[reader][kept], table.cases[kept]
            rows += _pair_rows(context, reads, (context.panel.readers[reader], at, model), mine, False)
    return rows


def _pair_rows(
    context: ReaderContext,
    reads: ReadSelection,
    who: tuple[str, str, CallingModel],
    answers: tuple[Floats, np.ndarray],
    resample: bool,
) -> list[Row]:
    name, at, model = who
    call, case = answers
    pair = np.stack([call, model.call[case]], axis=1)
    kept = ~np.isnan(pair).any(axis=1)
    place = context.place(reads.finding, name, reads=reads, analysis=Analysis.AGREEMENT)
    of = Rated(context, pair[kept], context.panel.patient[case[kept]], model.words, resample)
    return [_row(place, m, at, made, of) for m, made in BETWEEN.items()]


@dataclass(frozen=True, slots=True, eq=False)
class Rated:
    """Ratings (n_cases, n_raters) of patients (n_cases,), whether patients are resampled, and what is to be said."""

    context: ReaderContext
    ratings: Floats
    patient: np.ndarray
    note: Text = codes.NONE
    resample: bool = True


def _row(place: EstimateKey, metric: str, at: str, statistic: Callable[..., Estimate], of: Rated) -> Row:
    config, patients = of.context.config, patients_in(of.patient)
    made = not_estimable(codes.note("no_case_with_two_calls"))
    if of.ratings.size:
        more = {"rng": of.context.rng, "replicates": config.replicates} if of.resample else {}
        made = statistic(of.ratings, cluster=of.patient, confidence=config.confidence, **more)
    if patients < FEWEST and not np.isnan(made.value):
        made = without_interval(made, codes.note("few_patients_in_all", n=patients, least=FEWEST))
    readers = int((~np.isnan(of.ratings)).any(axis=0).sum()) if not at else 1 if place.rater != READERS else None
    numbers = {"n_readers": readers, "n_cases": len(of.ratings), "n_patients": patients}
    said = add_notes(made, of.note, of.context.unweighted)
    return row(place, metric, said, at=at, test=numbers, confidence=config.confidence)
