"""Pairwise F1 of readers and model, as in the comparison of CheXNet with radiologists.

No reference standard is needed: the F1 of a rater is computed against the calls of each other rater and averaged. The
model is one of the raters. Patients are resampled. Rajpurkar et al. (2017) arXiv:1711.05225, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from overread import codes
from overread.codes import Metric, Text
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
from overread.evaluation.context.score_matrix import Bools, Floats
from overread.evaluation.context.thresholds import point_at
from overread.evaluation.join.read_matching import READERS
from overread.evaluation.readers.pooled_readers import call_at
from overread.evaluation.readers.reader_tests import ReaderTable, first_reads
from overread.stats.resampling.patient_bootstrap import percentile_interval

SHARED = 10  # cases that two raters must both have called
CALL_RATE = "call_rate=readers"
METHOD = codes.method("pairwise_f1")


@dataclass(frozen=True, slots=True, eq=False)
class CallingModel:
    """The calls (n_cases,) of an output at one threshold, NaN if they may not be tested, and the threshold's origin."""

    at: str
    call: Floats
    words: Text


@dataclass(frozen=True, slots=True, eq=False)
class Averages:
    """Mean F1 of every rater: estimates (n_raters,) and replicates (draws, n_raters); NaN without a pair."""

    value: Floats
    draws: Floats
    pairs: np.ndarray  # (n_raters,) how many other raters each was compared with
    left_out: int


def models_at(context: ReaderContext, reads: ReadSelection, rater: str) -> list[CallingModel]:
    """Return the calls at every frozen threshold, and at the threshold with the call rate of the readers; decisions
    are calls already.
    """
    score, points = context.panel.score[reads.finding, rater], context.points[reads.finding, rater]
    models = [
        CallingModel(point_at(n), np.where(points.tested, call_at(score, t.value), np.nan), points.words)
        for n, t in points.thresholds.items()
        if not np.isnan(t.value)
    ]
    if points.decided:
        return models
    weight = np.bincount(reads.case, minlength=score.size).astype(np.float64)
    threshold = threshold_of_rate(score, weight, float(reads.call.mean()) if reads.call.size else np.nan)
    words = codes.note("threshold_call_rate")
    usable = np.where((weight > 0) & ~np.isnan(score), call_at(score, threshold), np.nan)
    if np.isinf(threshold):
        usable[:] = np.nan
        words = codes.note("call_rate_not_attainable")
    return [*models, CallingModel(CALL_RATE, usable, words)]


def threshold_of_rate(score: Floats, weight: Floats, rate: float) -> float:
    """Return the lowest threshold with a weighted call rate of at most `rate`; infinite if there is none.

    >>> threshold_of_rate(np.array([0.1, 0.4, 0.8, 0.9]), np.ones(4), 0.5)
    0.8
    """
    scored = (weight > 0) & ~np.isnan(score)
    values, place = np.unique(-score[scored], return_inverse=True)
    share = np.cumsum(np.bincount(place, weight[scored], minlength=values.size)) / max(weight[scored].sum(), 1e-300)
    steps = int((share <= rate + 1e-12).sum())
    return float(-values[steps - 1]) if steps else float(np.inf)


def pairwise_rows(context: ReaderContext) -> list[Row]:
    """Estimate mean F1 of readers and model, and the difference, for every output and threshold."""
    rows: list[Row] = []
    policy = context.config.uncertain_calls
    for finding in (f for f in context.panel.findings if context.panel.outputs.get(f)):
        for arm in context.panel.arms:
            reads = context.reads(finding, arm, policy)
            table = first_reads(context, reads, np.zeros(len(context.panel.case_id)), reference="")
            if int(table.readers.sum()) < 2:
                continue
            for rater in context.panel.outputs[finding]:
                for model in models_at(context, reads, rater):
                    rows += _rows(context, reads, table, rater, model)
    return rows


def _rows(
    context: ReaderContext, reads: ReadSelection, table: ReaderTable, rater: str, model: CallingModel
) -> list[Row]:
    readers = np.flatnonzero(table.readers)
    calls = np.vstack([table.answers[readers], model.call[table.cases]])
    mean_f1 = averages(calls, table.patient, context.drawn.patients)
    with np.errstate(invalid="ignore"):
        mine, theirs = mean_f1.draws[:, -1], _mean(mean_f1.draws[:, :-1])
    value, average = float(mean_f1.value[-1]), float(_mean(mean_f1.value[None, :-1])[0])
    place = context.place(reads.finding, rater, reads=reads)
    pooled = context.place(reads.finding, READERS, reads=reads)
    within = f"model={rater};{model.at}" if model.at > "model" else f"{model.at};model={rater}"
    left = codes.note("rater_pairs_excluded", n=mean_f1.left_out, least=SHARED) if mean_f1.left_out else codes.NONE
    note = codes.notes(model.words, left)
    about = CallSample(context, table, note)
    mean_note = codes.notes(codes.note("mean_over_readers"), note)
    rows = [
        _row(place, Metric.PAIRWISE_F1, model.at, (value, mine), about),
        _row(pooled, Metric.PAIRWISE_F1, within, (average, theirs), CallSample(context, table, mean_note)),
        _row(
            place.to(contrast=f"rater:{READERS}"),
            Metric.PAIRWISE_F1_DIFFERENCE,
            model.at,
            (value - average, mine - theirs),
            about,
        ),
    ]
    for k, reader in enumerate(readers):
        own = context.place(reads.finding, context.panel.readers[reader], reads=reads)
        about = CallSample(context, table, codes.note("compared_with_raters", n=int(mean_f1.pairs[k])), int(reader))
        rows.append(_row(own, Metric.PAIRWISE_F1, within, (float(mean_f1.value[k]), mean_f1.draws[:, k]), about))
    return rows


@dataclass(frozen=True, slots=True, eq=False)
class CallSample:
    """The reads behind a mean F1, of all readers or of one, and their notes."""

    context: ReaderContext
    table: ReaderTable
    note: Text
    reader: int | None = None


def _row(place: EstimateKey, metric: str, at: str, drawn: tuple[float, Floats], sample: CallSample) -> Row:
    value, draws = drawn
    table, config = sample.table, sample.context.config
    read = (
        ~np.isnan(table.answers[sample.reader]) if sample.reader is not None else np.ones(table.cases.size, dtype=bool)
    )
    patients = patients_in(table.patient[read])
    estimate = percentile_interval(draws, value=value, confidence=config.confidence)
    if np.isnan(value):
        estimate = not_estimable(codes.note("no_rater_pair", least=SHARED))
    elif patients < FEWEST:
        estimate = without_interval(estimate, codes.note("few_patients_in_all", n=patients, least=FEWEST))
    estimate = replace(estimate, method=METHOD)
    numbers = {
        "n_readers": int(table.readers.sum()) if sample.reader is None else 1,
        "n_cases": int(read.sum()),
        "n_patients": patients,
    }
    noted = add_notes(estimate, sample.note, sample.context.unweighted)
    return row(place, metric, noted, at=at, test=numbers, confidence=config.confidence)


def averages(calls: Floats, patient: np.ndarray, drawn: Floats) -> Averages:
    """Compute the mean F1 of each rater against every other, with replicates over resampled patients.

    `calls` (n_raters, n_cases) is 1, 0 or NaN; `patient` (n_cases,) holds codes; `drawn` (draws, n_patients) the number
    of times each patient is drawn. Pairs with fewer than `SHARED` common cases or without a present call are excluded.
    F1 is 2 TP / (2 TP + FP + FN), which is symmetric in the two raters.
    """
    n = len(calls)
    first, second = np.triu_indices(n, 1)
    present, called = calls == 1, ~np.isnan(calls)
    both = np.stack(
        [_by_patient(present[i] & present[j], patient, drawn.shape[1]) for i, j in zip(first, second, strict=True)]
    )
    apart = np.stack(
        [
            _by_patient((present[i] ^ present[j]) & called[i] & called[j], patient, drawn.shape[1])
            for i, j in zip(first, second, strict=True)
        ]
    )
    shared = np.array([int((called[i] & called[j]).sum()) for i, j in zip(first, second, strict=True)])
    usable = (shared >= SHARED) & (both.sum(axis=1) + apart.sum(axis=1) > 0)
    value = _f1(both[usable].sum(axis=1), apart[usable].sum(axis=1))[None, :]
    draws = _f1(drawn @ both[usable].T, drawn @ apart[usable].T)
    mine = np.stack([(first[usable] == r) | (second[usable] == r) for r in range(n)])
    met = np.array([((called[i] & called[j]).any()) for i, j in zip(first, second, strict=True)], dtype=bool)
    return Averages(
        np.array([_mean(value[:, m])[0] for m in mine]),
        np.stack([_mean(draws[:, m]) for m in mine], axis=1),
        mine.sum(axis=1),
        int((met & ~usable).sum()),
    )


def _by_patient(cases: Bools, patient: np.ndarray, n_patients: int) -> Floats:
    return np.bincount(patient[cases], minlength=n_patients).astype(np.float64)


def _f1(both: Floats, apart: Floats) -> Floats:
    total = 2 * both + apart
    f1: Floats = np.divide(2 * both, total, out=np.full(np.shape(total), np.nan), where=total > 0)
    return f1


def _mean(values: Floats) -> Floats:
    """Return the mean of the defined values of each row; NaN if there is none."""
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0.0).sum(axis=1)
    n = defined.sum(axis=1)
    mean: Floats = np.divide(total, n, out=np.full(len(values), np.nan), where=n > 0)
    return mean
