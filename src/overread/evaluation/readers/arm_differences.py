"""The same readers in two arms, aided and unaided say: areas of graded crossed reads, sensitivity and specificity."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from overread import codes
from overread.evaluation.context.estimate_rows import Row, add_notes, count, not_estimable, row
from overread.evaluation.context.plain_texts import as_note
from overread.evaluation.context.reader_context import READERS, ReaderContext, ReadSelection
from overread.evaluation.context.score_matrix import Floats
from overread.evaluation.readers.pooled_readers import RATES
from overread.evaluation.readers.reader_tests import (
    CENTRED,
    OBUCHOWSKI_ROCKETTE,
    U_STATISTIC,
    ReaderTable,
    first_reads,
    limited,
)
from overread.stats.estimate import Estimate
from overread.stats.reader_studies import mrmc


def arm_rows(setting: ReaderContext) -> list[Row]:
    """Readers in each arm minus the same readers in an earlier one ("unaided" is the first), under every reference."""
    rows: list[Row] = []
    policy = setting.config.uncertain_calls
    for finding in (f for f in setting.panel.findings if setting.panel.outputs.get(f)):
        for reference in setting.panel.references:
            truth = setting.panel.truths(finding, reference, policy)
            for other, arm in combinations(setting.panel.arms, 2):
                both = [setting.reads(finding, a, policy) for a in (arm, other)]
                rows += [] if np.isnan(truth).all() else _differences(setting, both, reference, truth)
    return rows


def _differences(setting: ReaderContext, both: list[ReadSelection], reference: str, truth: Floats) -> list[Row]:
    rows = []
    graded = [first_reads(setting, r, truth, graded=True) for r in both]
    if all(t.readers.any() for t in graded):
        rows.append(_row(setting, both, reference, graded, "auc"))
    calls = [first_reads(setting, r, truth) for r in both]
    if all(t.readers.any() for t in calls):
        rows += [_row(setting, both, reference, calls, metric) for metric in RATES]
    return rows


def _row(
    setting: ReaderContext, both: list[ReadSelection], reference: str, tables: list[ReaderTable], metric: str
) -> Row:
    whole, answers = _stacked(setting, tables, common=metric == "auc")
    whole = ReaderTable(
        setting.panel.truths(both[0].finding, reference, both[0].policy)[whole.cases] == 1,
        whole.patient,
        whole.cases,
        whole.answers,
    )
    made = _estimate(setting, whole, answers, metric)
    read = (~np.isnan(answers)).any(axis=2)  # (arms, readers)
    lacking = [setting.panel.readers[r] for r in np.flatnonzero(read.any(axis=0) & ~read.all(axis=0))]
    if lacking:
        made = add_notes(made, codes.note("readers_in_one_arm", readers=tuple(lacking)))
    place = setting.place(both[0].finding, READERS, reads=both[0], reference=reference)
    at = f"test={OBUCHOWSKI_ROCKETTE if metric == 'auc' else U_STATISTIC}"
    return row(
        place.to(contrast=f"arm:{both[1].arm}"),
        f"{metric}_difference",
        add_notes(made, setting.note(both[0], reference)),
        at=at,
        counts=count(whole.truth.astype(np.float64), whole.patient),
        test={"n_readers": int(read.any(axis=0).sum()), "null": 0.0},
        confidence=setting.config.confidence,
    )


def _stacked(setting: ReaderContext, tables: list[ReaderTable], *, common: bool) -> tuple[ReaderTable, Floats]:
    """Both arms on the same cases (`common`: those of both, else those of either): (n_arms, n_readers, n_cases)."""
    join = np.intersect1d if common else np.union1d
    kept = join(tables[0].cases, tables[1].cases)
    answers = np.full((2, len(setting.panel.readers), kept.size), np.nan)
    for k, table in enumerate(tables):
        at = np.flatnonzero(np.isin(table.cases, kept))
        answers[k][:, np.searchsorted(kept, table.cases[at])] = table.answers[:, at]
    flat = answers.reshape(2 * len(setting.panel.readers), kept.size)
    return ReaderTable(np.zeros(kept.size, dtype=bool), setting.panel.patient[kept], kept, flat), answers


def _estimate(setting: ReaderContext, whole: ReaderTable, answers: Floats, metric: str) -> Estimate:
    mine = (~np.isnan(answers)).any(axis=(0, 2))
    why = limited(setting, whole, metric)
    if int(mine.sum()) < 2:
        why = why or codes.note("few_readers_for_test")
    if metric == "auc" and np.isnan(answers[:, mine]).any():
        why = codes.note("arms_not_fully_crossed")
    if why:
        return not_estimable(why)
    found = mrmc.compare_arms(
        whole.truth,
        answers[:, mine],
        metric=metric,
        covariance="jackknife" if metric == "auc" else CENTRED,
        cluster=whole.patient,
        confidence=setting.config.confidence,
    )
    return add_notes(found.difference, as_note(found.note))
