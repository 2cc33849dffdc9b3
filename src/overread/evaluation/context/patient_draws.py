"""Bootstrap resamples of patients, and AUCs and rates in every replicate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overread.evaluation.context.score_matrix import NONE, Bools, Floats, ScoreMatrix
from overread.stats.resampling import patient_bootstrap

FEWEST_DRAWN = 10  # patients of a stratum that are drawn within it
_AT_ONCE = 64  # columns per call: bounds the memory of the truths and scores laid out for it
STEP = 8  # columns between two reports of progress


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Number of times each patient is drawn in each replicate, uint16 (replicates, n_patients)."""

    counts: NDArray[np.uint16]
    within_site: bool
    within_stratum: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class RaterCases:
    """The scores of one rater for one finding on the cases of a mask (n_cases,)."""

    rater: str
    finding: str
    cases: Bools


def draws(panel: ScoreMatrix, *, rng: np.random.Generator, replicates: int) -> Draws:
    """Draw patients with replacement, within sites if no patient has cases at two sites, and within sampling strata.

    Strata are not used if one holds fewer than ten patients at a site: resamples of so few vary too little.
    """
    disjoint = not shared_patients(panel.patient, panel.site.codes)
    strata = panel.site.codes if disjoint and len(panel.site.levels) > 1 else None
    finer = None
    if panel.strata is not None:
        finer = panel.strata if strata is None else strata * (panel.strata.max() + 1) + panel.strata
        n_patients = np.bincount(np.unique(np.stack([panel.patient, finer]), axis=1)[1])
        finer = finer if n_patients[n_patients > 0].min() >= FEWEST_DRAWN else None
    counts = patient_bootstrap.draw_counts(
        panel.patient, rng=rng, replicates=replicates, strata=strata if finer is None else finer
    )
    return Draws(counts, strata is not None, finer is not None)


def shared_patients(patient: np.ndarray, site: np.ndarray) -> int:
    """Count patients with cases at more than one site."""
    pairs = np.unique(np.stack([patient, site]), axis=1)
    return int((np.bincount(pairs[0]) > 1).sum())


def auc_replicates(panel: ScoreMatrix, drawn: Draws, selections: Sequence[RaterCases]) -> Floats:
    """Compute the AUC of every selection in every replicate (replicates, n_selections), within strata of pairs if
    given.
    """
    parts: list[tuple[int, Bools]] = []
    for i, selection in enumerate(selections):
        mask = selection.cases & panel.stated(selection.rater, selection.finding)
        parts += [(i, mask & (panel.pairs.codes == s)) for s in _strata(panel, mask)]
    values = (
        np.concatenate(
            [_auc_block(panel, drawn, selections, parts[a : a + _AT_ONCE]) for a in range(0, len(parts), _AT_ONCE)],
            axis=1,
        )
        if parts
        else np.empty((len(drawn.counts), 0))
    )
    aucs = np.full((len(drawn.counts), len(selections)), np.nan)
    for i in range(len(selections)):
        mine = [k for k, (owner, _) in enumerate(parts) if owner == i]
        if len(mine) == 1:
            aucs[:, i] = values[:, mine[0]]
        elif mine:
            aucs[:, i] = _pair_weighted(panel, drawn, selections[i], [parts[k][1] for k in mine], values[:, mine])
    return aucs


def _strata(panel: ScoreMatrix, mask: Bools) -> list[int]:
    codes = np.unique(panel.pairs.codes[mask])
    return [int(c) for c in codes] if codes.size else [NONE]


def _auc_block(
    panel: ScoreMatrix, drawn: Draws, selections: Sequence[RaterCases], parts: Sequence[tuple[int, Bools]]
) -> Floats:
    truth, score = stack_scores(panel, [(selections[i], mask) for i, mask in parts])
    return patient_bootstrap.auc_replicates(
        truth, score[None], drawn.counts, cluster=panel.patient, weights=panel.weight
    )[:, 0]


def stack_scores(panel: ScoreMatrix, parts: Sequence[tuple[RaterCases, Bools]]) -> tuple[Floats, Floats]:
    """Truths (NaN outside the mask) and scores of selections as arrays (n_selections, n_cases)."""
    truth = np.stack([np.where(mask, panel.truths(s.finding), np.nan) for s, mask in parts])
    score = np.stack([panel.scores(s.rater, s.finding) for s, _ in parts])
    return truth, score


def _pair_weighted(
    panel: ScoreMatrix, drawn: Draws, selection: RaterCases, masks: Sequence[Bools], values: Floats
) -> Floats:
    """Compute the mean over strata weighted by the number of pairs (present x absent) in every replicate."""
    truth = panel.truths(selection.finding)
    pairs = np.stack(
        [_drawn(drawn, panel, mask & (truth == 1)) * _drawn(drawn, panel, mask & (truth == 0)) for mask in masks],
        axis=1,
    )  # (replicates, n_strata)
    total = pairs.sum(axis=1)
    weighted = np.where(pairs > 0, pairs * np.nan_to_num(values), 0.0).sum(axis=1)
    mean: Floats = np.divide(weighted, total, out=np.full(total.shape, np.nan), where=total > 0)
    return mean


def _drawn(drawn: Draws, panel: ScoreMatrix, mask: Bools) -> Floats:
    weight = None if panel.weight is None else panel.weight[mask]
    cases = np.bincount(panel.patient[mask], weight, minlength=panel.n_patients).astype(np.float64)
    return totals(drawn, cases[:, None])[:, 0]


def rate_replicates(
    panel: ScoreMatrix,
    drawn: Draws,
    selections: Sequence[RaterCases],
    rates: Sequence[float],
    *,
    kind: str = "sensitivity",
) -> Floats:
    """Compute the sensitivity at each specificity in `rates`, with the threshold chosen anew in every replicate.

    With kind "specificity": the specificity at each sensitivity; with "curve": the sensitivity on the ROC curve. The
    result is (replicates, n_selections, k).
    """
    rates_drawn = []
    for a in range(0, len(selections), _AT_ONCE):
        block = selections[a : a + _AT_ONCE]
        truth, score = stack_scores(panel, [(s, s.cases & panel.stated(s.rater, s.finding)) for s in block])
        options = {"cluster": panel.patient, "weights": panel.weight}
        rates_drawn.append(
            patient_bootstrap.rate_replicates(truth, score[None], drawn.counts, rates, kind=kind, **options)[:, 0]
        )
    return np.concatenate(rates_drawn, axis=1) if rates_drawn else np.empty((len(drawn.counts), 0, len(rates)))


def totals(drawn: Draws, per_patient: Floats) -> Floats:
    """Sums over the drawn patients: values per patient (n_patients, k) -> (replicates, k)."""
    sums = np.empty((len(drawn.counts), per_patient.shape[1]))
    for a in range(0, len(sums), 256):  # in blocks, because the product needs the counts as floats
        sums[a : a + 256] = drawn.counts[a : a + 256].astype(np.float64) @ per_patient
    return sums


def original_sample(panel: ScoreMatrix) -> Draws:
    """Return draws in which every patient occurs once: the estimate itself, computed by the code of its replicates."""
    return Draws(np.ones((1, panel.n_patients), dtype=np.uint16), False)
