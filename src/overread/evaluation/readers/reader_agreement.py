"""Agreement among readers, and of each reader with the model, for every finding that was read."""

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
from overread.evaluation.join.label_states import DECISION
from overread.evaluation.join.read_matching import READERS
from overread.evaluation.readers.pairwise_f1 import CALL_RATE, CallingModel, models_at
from overread.evaluation.readers.reader_kappas import with_rater_names
from overread.evaluation.readers.reader_tests import ReaderTable, first_reads
from overread.stats import agreement
from overread.stats.estimate import Estimate


def _ac1(ratings: Floats, **more: Any) -> Estimate:
    """Estimate AC1 of calls, which have two categories even if only one was used."""
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


_SAME_RATE = (CALL_RATE, DECISION)  # the calls of a model that single readers are compared with


def agreement_rows(context: ReaderContext) -> list[Row]:
    """Estimate agreement among readers for every read finding, and with every output for scored findings."""
    rows: list[Row] = []
    for finding in context.panel.findings:
        for arm in context.panel.arms:
            reads = context.reads(finding, arm, context.config.uncertain_calls, every=True)
            if reads.index.size:
                table = first_reads(context, reads, np.zeros(len(context.panel.case_id)), reference="")
                rows += _among(context, reads, table)
                for rater in context.panel.outputs.get(finding, ()):
                    rows += _with_model(context, reads, table, rater)
    return rows


def _among(context: ReaderContext, reads: ReadSelection, table: ReaderTable) -> list[Row]:
    """Estimate agreement of all readers, with intervals clustered by patient.

    Observed agreement uses cases with two or more reads. Cases with one read contribute only to the category
    proportions of AC1, from which its chance agreement is computed (Gwet 2014; irrCAC).
    """
    place = context.place(reads.finding, READERS, reads=reads, analysis=Analysis.AGREEMENT)
    count = (~np.isnan(table.answers)).sum(axis=0)
    rows = []
    for metric, statistic in AMONG.items():
        rated_cases = count > 0 if metric == Metric.GWET_AC1 and (count > 1).any() else count > 1
        rated = Rated(context, table.answers[:, rated_cases].T, table.patient[rated_cases])
        rows.append(_row(place, metric, "", statistic, rated))
    return rows


def _with_model(context: ReaderContext, reads: ReadSelection, table: ReaderTable, rater: str) -> list[Row]:
    """Estimate agreement of the pooled reads, and of each reader, with the model.

    The pooled reads are compared at every threshold, each reader at the call rate of the readers.
    """
    rows = []
    scored = context.reads(reads.finding, reads.arm, reads.policy)
    for model in models_at(context, scored, rater):
        at = ";".join(sorted((model.at, f"with={rater}")))
        pooled = scored.call.astype(np.float64), scored.case
        rows += _pair_rows(context, reads, (READERS, at, model), pooled)
        if model.at not in _SAME_RATE:
            continue
        for reader in np.flatnonzero(table.readers):
            read = ~np.isnan(table.answers[reader])
            mine = table.answers[reader][read], table.cases[read]
            rows += _pair_rows(context, reads, (context.panel.readers[reader], at, model), mine)
    return rows


def _pair_rows(
    context: ReaderContext,
    reads: ReadSelection,
    who: tuple[str, str, CallingModel],
    answers: tuple[Floats, np.ndarray],
) -> list[Row]:
    name, at, model = who
    call, case = answers
    pair = np.stack([call, model.call[case]], axis=1)
    complete = ~np.isnan(pair).any(axis=1)
    place = context.place(reads.finding, name, reads=reads, analysis=Analysis.AGREEMENT)
    names = "the readers" if name == READERS else f"reader {name}", "the model"
    rated = Rated(context, pair[complete], context.panel.patient[case[complete]], model.words, names)
    return [_row(place, m, at, statistic, rated) for m, statistic in BETWEEN.items()]


@dataclass(frozen=True, slots=True, eq=False)
class Rated:
    """Ratings (n_cases, n_raters) of patients (n_cases,), the note of their rows, and the names of a pair of raters."""

    context: ReaderContext
    ratings: Floats
    patient: np.ndarray
    note: Text = codes.NONE
    names: tuple[str, str] = ("", "")


def _row(place: EstimateKey, metric: str, at: str, statistic: Callable[..., Estimate], rated: Rated) -> Row:
    config, patients = rated.context.config, patients_in(rated.patient)
    estimate = not_estimable(codes.note("no_case_with_two_calls"))
    if rated.ratings.size:
        estimate = statistic(rated.ratings, cluster=rated.patient, confidence=config.confidence)
        estimate = with_rater_names(estimate, *rated.names)
    if patients < FEWEST and not np.isnan(estimate.value):
        estimate = without_interval(estimate, codes.note("few_patients_in_all", n=patients, least=FEWEST))
    readers = int((~np.isnan(rated.ratings)).any(axis=0).sum()) if not at else 1 if place.rater != READERS else None
    numbers = {"n_readers": readers, "n_cases": len(rated.ratings), "n_patients": patients}
    noted = add_notes(estimate, rated.note, rated.context.unweighted)
    return row(place, metric, noted, at=at, test=numbers, confidence=config.confidence)
