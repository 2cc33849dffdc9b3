"""How many cases tell two AUCs apart on the same cases: from pilot data, or from values assumed beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Bools, Floats, check_confidence, check_word, score_array, truth_array
from overread.stats.roc.delong import one_class, placements
from overread.stats.sample_size.common_result import Needed, check_design, check_share, needed


@dataclass(frozen=True, slots=True, eq=False)
class AucPair:
    """Two AUCs and their covariance for one present case: present + absent / ratio, both (2, 2)."""

    aucs: tuple[float, float]
    present: Floats
    absent: Floats
    ratio: float  # absent cases per present one, of the pilot or as assumed
    method: codes.Text

    def variances(self, ratio: float, null: str = "first") -> tuple[float, float]:
        """Variance of the difference under the null hypothesis, and as it is, for one present case."""
        c = self.present + self.absent / ratio
        as_is = float(c[0, 0] + c[1, 1] - 2 * c[0, 1])
        none = float(2 * c[0, 0] - 2 * c[0, 1]) if null == "first" else as_is
        least = 1e-12 * float(c[0, 0])  # below that it is rounding
        return (none if none > least else 0.0), (as_is if as_is > least else 0.0)


def pilot_pair(y: ArrayLike, score_a: ArrayLike, score_b: ArrayLike, *, covariance: str = "delong") -> AucPair:
    """Two AUCs and their covariance as a pilot study shows them.

    Parameters: y truth bool (n_cases,); scores (n_cases,); covariance "delong", or "binormal": that of two binormal
    curves (fitted as a line of the specificities' probits on the sensitivities', as pROC does) whose scores correlate
    as the pilot's do. Returns an AucPair. Raises InputError with fewer than two cases of a class, or when a score
    separates the classes (no binormal curve).
    DeLong, DeLong & Clarke-Pearson (1988) doi:10.2307/2531595; Obuchowski & McClish (1997)
    doi:10.1002/(SICI)1097-0258(19970715)16:13<1529::AID-SIM565>3.0.CO;2-H.
    Checked against pROC 1.18.0 power.roc.test.

    >>> pair = pilot_pair([1, 1, 0, 0, 0], [5, 3, 4, 2, 1], [5, 1, 3, 4, 2])
    >>> round(pair.aucs[0], 3), pair.ratio
    (0.833, 1.5)
    """
    where = "pilot_pair"
    check_word(covariance, ("delong", "binormal"), where=where, name="covariance")
    truth = truth_array(y, where=where)
    a, b = (score_array(s, truth.shape, where=where, name=n) for s, n in ((score_a, "score_a"), (score_b, "score_b")))
    few = min(int(truth.sum()), int((~truth).sum()))
    if few < 2:
        raise InputError(where, "at least two cases of each class", one_class(truth) or f"{few} of one class")
    (auc_a, placed_a), (auc_b, placed_b) = placements(truth, a), placements(truth, b)
    ratio = float((~truth).sum() / truth.sum())
    if covariance == "binormal":
        present, absent = _binormal(truth, a, b)
    else:
        both = np.stack([placed_a, placed_b])
        present, absent = np.cov(both[:, truth]), np.cov(both[:, ~truth])
    method = codes.methods(codes.method("pilot", n=truth.size), codes.method("rater_covariance", kind=covariance))
    return AucPair((auc_a, auc_b), present, absent, ratio, method)


def _binormal(truth: Bools, a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Obuchowski and McClish's covariance of two binormal AUCs, in the parts that either class adds."""
    (a1, b1), (a2, b2) = (_probit_line(truth, s) for s in (a, b))
    r = [float(np.corrcoef(a[mine], b[mine])[0, 1]) for mine in (truth, ~truth)]
    f, g = zip(*(_slopes(*line) for line in ((a1, b1), (a2, b2))), strict=True)
    present, absent = np.zeros((2, 2)), np.zeros((2, 2))
    level, steep = (a1, a2), (b1, b2)
    for i in range(2):
        for j in range(2):
            ra, rn = (1.0, 1.0) if i == j else r
            level_part = f[i] * f[j] * (ra + ra**2 * level[i] * level[j] / 2)
            mixed = ra**2 * (f[i] * g[j] * level[i] * steep[j] + f[j] * g[i] * level[j] * steep[i]) / 2
            scale_part = g[i] * g[j] * steep[i] * steep[j] / 2
            # a variance has no mixed part: level and slope of one curve are taken as independent
            present[i, j] = level_part + ra**2 * scale_part + (0.0 if i == j else mixed)
            absent[i, j] = f[i] * f[j] * rn * steep[i] * steep[j] + rn**2 * scale_part
    return present, absent


def _slopes(level: float, steep: float) -> tuple[float, float]:
    """Derivatives of the binormal AUC by its two parameters."""
    wide = 1 + steep**2
    height = exp(-(level**2) / 2 / wide)
    return height / sqrt(2 * pi * wide), -height * level * steep / sqrt(2 * pi * wide**3)


def _probit_line(truth: Bools, score: Floats) -> tuple[float, float]:
    """Intercept and slope of probit(specificity) on probit(sensitivity) over the steps of the empirical curve."""
    level = np.unique(score)
    hit = 1 - np.searchsorted(np.sort(score[truth]), level) / truth.sum()
    spared = np.searchsorted(np.sort(score[~truth]), level) / (~truth).sum()
    inside = (hit > 0) & (hit < 1) & (spared > 0) & (spared < 1)
    if np.unique(hit[inside]).size < 2:
        raise InputError("pilot_pair", "scores whose classes overlap", "no binormal curve", do="Use 'delong'.")
    slope, intercept = np.polyfit(ndtri(hit[inside]), ndtri(spared[inside]), 1)
    return float(intercept), float(slope)


def assumed_pair(auc_a: float, auc_b: float, *, correlation: float, ratio: float = 1.0) -> AucPair:
    """Two AUCs and their covariance as assumed beforehand.

    Parameters: both AUCs; the correlation of the two estimates (from a similar study), in either class; ratio
    absent : present. Returns an AucPair with Obuchowski's variances.
    Raises InputError outside (0, 1) or for a correlation outside [-1, 1).
    Obuchowski, Lieber & Wians (2004) doi:10.1373/clinchem.2004.031823.

    >>> paired_auc_sample_size(assumed_pair(0.85, 0.80, correlation=0.5)).present
    295
    """
    where = "assumed_pair"
    for name, value in (("auc_a", auc_a), ("auc_b", auc_b)):
        check_share(value, where=where, name=name)
    if not -1 <= correlation < 1:
        raise InputError(f"{where}: correlation", "a number from -1 to below 1", f"{correlation}")
    check_design(0.5, ratio, 1.0, where=where)
    a = np.array([1.414 * float(ndtri(auc)) for auc in (auc_a, auc_b)])  # the constant of the paper
    scale = 0.0099 * np.exp(-(a**2) / 2)
    together = np.array([[1.0, correlation], [correlation, 1.0]])
    present, absent = (together * np.sqrt(np.outer(v, v)) for v in (scale * (5 * a**2 + 8), scale * (a**2 + 8)))
    return AucPair((auc_a, auc_b), present, absent, ratio, codes.method("assumed_correlation", correlation=correlation))


def paired_auc_sample_size(
    pair: AucPair,
    *,
    power: float = 0.8,
    ratio: float | None = None,
    null: str = "first",
    design_effect: float = 1.0,
    margin: float = 0.0,
    confidence: float = 0.95,
) -> Needed:
    """Cases with and without the finding that tell two AUCs apart on the same cases.

    Parameters: pair, from `pilot_pair` or `assumed_pair`; power of the two-sided test of level 1 - confidence; ratio
    absent : present, None = the pair's own; null, the variance if there were no difference: "first", both curves being
    A's (Obuchowski & McClish, as pROC has it), or "delong", that of the test by which the study will be judged, which
    does not assume it (in a simulation of AUCs 0.80 and 0.74 "first" gave 72 % power where 80 % were planned);
    design_effect for several images of a patient; margin above 0: cases that show AUC(A) > AUC(B) - margin
    (non-inferiority, one-sided at half the level).
    Returns a Needed. Raises InputError when there is no difference to be found.
    Assumes that the difference and covariance of the pair are the true ones: plan with a difference worth finding, not
    with the one that a small pilot happened to show. Obuchowski & McClish (1997)
    doi:10.1002/(SICI)1097-0258(19970715)16:13<1529::AID-SIM565>3.0.CO;2-H. Checked against pROC 1.18.0 power.roc.test.

    >>> paired_auc_sample_size(assumed_pair(0.85, 0.80, correlation=0.5, ratio=9.0)).present
    205
    """
    where = "paired_auc_sample_size"
    check_design(power, pair.ratio if ratio is None else ratio, design_effect, where=where)
    gain, least, spread = _planned(pair, (ratio, null), margin, confidence, where=where)
    exact = ((least + float(ndtri(power)) * spread) / gain) ** 2
    method = codes.methods(
        codes.method("planned_paired_aucs"),
        codes.method("non_inferiority", margin=margin) if margin else None,
        pair.method,
        codes.method("planned_power", power=power),
        codes.method("planned_confidence", confidence=confidence),
    )
    return needed(exact, pair.ratio if ratio is None else ratio, design_effect, method)


def paired_auc_power(
    pair: AucPair,
    present: float,
    *,
    ratio: float | None = None,
    null: str = "first",
    design_effect: float = 1.0,
    margin: float = 0.0,
    confidence: float = 0.95,
) -> float:
    """The probability that so many present cases tell two AUCs apart on the same cases.

    Parameters: as `paired_auc_sample_size`; present, cases with the finding. Returns the power.

    >>> round(paired_auc_power(assumed_pair(0.85, 0.80, correlation=0.5, ratio=9.0), 205), 2)
    0.8
    """
    where = "paired_auc_power"
    check_design(0.5, pair.ratio if ratio is None else ratio, design_effect, where=where)
    if not present > 0:
        raise InputError(f"{where}: present", "cases with the finding, above 0", f"{present}")
    gain, least, spread = _planned(pair, (ratio, null), margin, confidence, where=where)
    return float(ndtr((sqrt(present / design_effect) * gain - least) / spread))


def _planned(
    pair: AucPair, design: tuple[float | None, str], margin: float, confidence: float, *, where: str
) -> tuple[float, float, float]:
    """The gain to be seen, what it must exceed, and its spread, the last two for one present case."""
    ratio, null = design
    check_confidence(confidence, where=where)
    check_word(null, ("first", "delong"), where=where, name="null")
    difference = pair.aucs[0] - pair.aucs[1]
    gain = difference + margin if margin else abs(difference)
    same, as_is = pair.variances(pair.ratio if ratio is None else ratio, null)
    if not gain > 1e-12 or margin < 0:
        found = f"AUCs {pair.aucs[0]:g} and {pair.aucs[1]:g}, margin {margin:g}"
        raise InputError(where, "two AUCs that differ, or a margin that the difference exceeds", found)
    if not (same > 0 and as_is > 0):
        raise InputError(where, "two scores that do not order the cases alike", "a difference without variance")
    return gain, float(ndtri(0.5 + confidence / 2)) * sqrt(same), sqrt(as_is)
