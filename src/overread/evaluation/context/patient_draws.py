"""Bootstrap resamples of patients, and AUCs and rates in every replicate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from overread.evaluation.context.score_matrix import Bools, Codes, Floats, ScoreMatrix
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


def draws(panel: ScoreMatrix, *, rng: np.random.Generator, replicates: int, within_sites: bool = True) -> Draws:
    """Draw patients with replacement, within sites if no patient has cases at two sites, and within sampling strata.

    Strata are not used if one holds fewer than ten patients at a site: resamples of so few vary too little. For the
    same reason `within_sites` is False where AUCs are over pairs of all sites, which may have few patients each.
    """
    disjoint = within_sites and not shared_patients(panel.patient, panel.site.codes)
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
    """Compute the AUC of every selection in every replicate (replicates, n_selections), over pairs of cases within
    strata where pairs are restricted to these (`ScoreMatrix.pair_strata`).
    """
    blocks = [_auc_block(panel, drawn, selections[a : a + _AT_ONCE]) for a in range(0, len(selections), _AT_ONCE)]
    return np.concatenate(blocks, axis=1) if blocks else np.empty((len(drawn.counts), 0))


def _auc_block(panel: ScoreMatrix, drawn: Draws, selections: Sequence[RaterCases]) -> Floats:
    masks = [s.cases & panel.stated(s.rater, s.finding) for s in selections]
    truth, score = stack_scores(panel, list(zip(selections, masks, strict=True)))
    strata: dict[int, tuple[Codes, Codes]] = {}
    for i, mask in enumerate(masks):
        index = np.flatnonzero(mask)
        restricted = panel.pair_strata(index)
        if restricted is not None and np.unique(restricted).size > 1:
            strata[i] = (index, np.unique(restricted, return_inverse=True)[1])
            score[i, index] = _stratum_by_stratum(score[i, index], strata[i][1])
    aucs: Floats = patient_bootstrap.auc_replicates(
        truth, score[None], drawn.counts, cluster=panel.patient, weights=panel.weight
    )[:, 0]
    for i, (index, stratum) in strata.items():
        aucs[:, i] = _within_strata(aucs[:, i], panel, drawn, truth[i, index] == 1, (index, stratum))
    return aucs


def _stratum_by_stratum(score: Floats, stratum: Codes) -> Floats:
    """Return ranks of the cases in which every case of a stratum is above every case of the strata before it."""
    order = np.lexsort((score, stratum))
    ranked, own = score[order], stratum[order]
    rank = np.empty(score.size)
    rank[order] = np.cumsum(np.r_[False, (ranked[1:] != ranked[:-1]) | (own[1:] != own[:-1])])
    return rank


def _within_strata(
    auc: Floats, panel: ScoreMatrix, drawn: Draws, present: Bools, strata: tuple[Codes, Codes]
) -> Floats:
    """Compute the AUC over pairs within strata from that of all pairs of the scores of `_stratum_by_stratum`.

    With m_k present and n_k absent cases drawn of stratum k, the concordant pairs of all strata together are
    AUC (sum of m_k) (sum of n_k); those of two strata k < l are all m_l n_k pairs, as stratum l is above stratum k.
    """
    index, stratum = strata
    m, n = (_drawn(drawn, panel, index[among], stratum[among], int(stratum.max()) + 1) for among in (present, ~present))
    below = np.cumsum(n, axis=1) - n
    concordant = np.nan_to_num(auc) * m.sum(axis=1) * n.sum(axis=1) - (m * below).sum(axis=1)
    pairs = (m * n).sum(axis=1)
    if panel.weight is None:  # counts of pairs are whole numbers and halves
        concordant = np.rint(2 * concordant) / 2
    within: Floats = np.divide(concordant, pairs, out=np.full(pairs.shape, np.nan), where=pairs > 0)
    return within


def _drawn(drawn: Draws, panel: ScoreMatrix, cases: Codes, stratum: Codes, n_strata: int) -> Floats:
    """Sum the (weighted) drawn cases by stratum (replicates, n_strata)."""
    weight = np.ones(cases.size) if panel.weight is None else panel.weight[cases]
    per_patient = csr_array((weight, (stratum, panel.patient[cases])), shape=(n_strata, panel.n_patients))
    sums = np.empty((len(drawn.counts), n_strata))
    for a in range(0, len(sums), 256):  # in blocks, because the product needs the counts as floats
        sums[a : a + 256] = (per_patient @ drawn.counts[a : a + 256].T.astype(np.float64)).T
    return sums


def stack_scores(panel: ScoreMatrix, parts: Sequence[tuple[RaterCases, Bools]]) -> tuple[Floats, Floats]:
    """Truths (NaN outside the mask) and scores of selections as arrays (n_selections, n_cases)."""
    truth = np.stack([np.where(mask, panel.truths(s.finding), np.nan) for s, mask in parts])
    score = np.stack([panel.scores(s.rater, s.finding) for s, _ in parts])
    return truth, score


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
