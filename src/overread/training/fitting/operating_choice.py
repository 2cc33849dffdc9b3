"""Recalibration and operating points of every finding, fitted on tune and frozen before access to test labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from overread.errors import InputError
from overread.stats import calibration, rates

MINIMUM_PATIENTS = 10
"""Patients with the finding, and without it, below which tune does not carry a recalibration of two parameters."""

# Beyond this a probability in float64 no longer knows its logit (1 - 1e-13), so the fit does not go there.
_LARGEST_LOGIT = 30.0


def freeze(
    findings: Sequence[str],
    logits: ArrayLike,
    truth: ArrayLike,
    *,
    cluster: ArrayLike,
    specificities: Sequence[float] = (0.90, 0.95),
    sensitivities: Sequence[float] = (0.90, 0.95),
    positive_weights: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, Any]:
    """The logistic recalibration and the operating points of every finding, fitted on tune, as model.json keeps them.

    Parameters
    ----------
    findings
        names of the network's outputs, in its order
    logits
        raw outputs of the network on tune, (n_images, n_findings)
    truth
        1 present, 0 absent, NaN not stated or uncertain and ignored, (n_images, n_findings)
    cluster
        patient of each image, (n_images,); what is enough is counted in patients
    specificities, sensitivities
        what the operating points shall attain on tune: "spec90", "spec95", "sens90", "sens95"
    positive_weights
        weight of a present label in training, by finding; 1 where none is given

    Returns
    -------
    ``{"recalibration": {finding: {intercept, slope, note}}, "operating_points": {finding: {"spec90": {threshold,
    specificity, sensitivity, target, at, n_present, n_absent, note}, ...}}}``.
    Probability = expit(intercept + slope * logit); thresholds are on it and call = probability >= threshold. What
    cannot be had is None with a note; where tune does not carry a recalibration (under MINIMUM_PATIENTS of a class,
    complete separation, a slope that is not positive) the slope is 1 and the intercept is -log(weight), with a note:
    the weighted loss has its minimum at logit(p) + log(weight), of which the weight is thus taken out.

    Raises
    ------
    InputError
        arrays that do not match, logits that are not finite, truths other than 0, 1 and NaN, targets outside (0, 1)

    Assumptions: the recalibration is one for all training sites, and what is attained on tune is optimistic for test.
    Paper: Cox, Biometrika 1958, doi:10.1093/biomet/45.3-4.562 (the line). Checked against ``overread.stats``, and by
    hand in the tests.

    >>> made = freeze(["edema"], [[-1.0], [0.5], [0.0], [2.0]], [[0], [0], [1], [1]], cluster=[1, 2, 3, 4],
    ...               specificities=[0.5], sensitivities=[])
    >>> made["recalibration"]["edema"]["slope"], made["recalibration"]["edema"]["note"]
    (1.0, 'not recalibrated: tune has 2 patients with and 2 without the finding (at least 10 of each are needed)')
    >>> made["operating_points"]["edema"]["spec50"]["specificity"]
    0.5
    """
    values, states, patients = _arrays(findings, logits, truth, cluster)
    targets = _targets(specificities, sensitivities)
    recalibrations, points = {}, {}
    for column, finding in enumerate(findings):
        labelled = ~np.isnan(states[:, column])
        y, logit = states[labelled, column] == 1, values[labelled, column]
        line = recalibration(y, logit, cluster=patients[labelled], weight=positive_weights.get(finding, 1.0))
        recalibrations[finding] = line
        points[finding] = {
            name: _operating_point(y, probability(logit, line), name, **target) for name, target in targets.items()
        }
    return {"recalibration": recalibrations, "operating_points": points}


def probability(logit: ArrayLike, line: Mapping[str, Any]) -> NDArray[np.float64]:
    """The recalibrated probability expit(intercept + slope * logit), the ``score`` of every prediction, float64.

    >>> float(probability(0.0, {"intercept": 0.0, "slope": 1.0}))
    0.5
    """
    return np.asarray(expit(line["intercept"] + line["slope"] * np.asarray(logit, dtype=np.float64)))


def recalibration(
    y: NDArray[np.bool_], logit: NDArray[np.float64], *, cluster: NDArray[Any], weight: float = 1.0
) -> dict[str, Any]:
    """Fit intercept and slope on the logit by maximum likelihood; if that is not possible, take out the weight only.

    ``y`` bool, ``logit`` float64 and ``cluster`` (patients) are all (n_images,); ``weight`` is that of present labels.
    """

    def unfitted(reason: str) -> dict[str, Any]:
        return _unfitted(reason, weight)

    present, absent = len(np.unique(cluster[y])), len(np.unique(cluster[~y]))
    if min(present, absent) < MINIMUM_PATIENTS:
        return unfitted(
            f"tune has {present} patients with and {absent} without the finding "
            f"(at least {MINIMUM_PATIENTS} of each are needed)"
        )
    if logit[y].min() > logit[~y].max() or logit[y].max() < logit[~y].min():
        return unfitted("the logits separate the classes on tune, so that no finite line exists")
    line = calibration.calibration_line(y, expit(np.clip(logit, -_LARGEST_LOGIT, _LARGEST_LOGIT)))
    intercept, slope = line.intercept.value, line.slope.value
    if not (np.isfinite(intercept) and np.isfinite(slope)):
        return unfitted(f"the fit has no result ({line.slope.note or 'not converged'})")
    if slope <= 0:
        return unfitted(f"the slope on tune is {slope:.3g}, not positive: it would turn the ranking round")
    return {"intercept": float(intercept), "slope": float(slope), "note": ""}


def _unfitted(reason: str, weight: float) -> dict[str, Any]:
    taken = f"; the weight of present labels in training ({weight:.4g}) was taken out" if weight != 1 else ""
    return {"intercept": 0.0 - math.log(weight), "slope": 1.0, "note": f"not recalibrated: {reason}{taken}"}


def _operating_point(y: NDArray[np.bool_], score: NDArray[np.float64], name: str, **target: float) -> dict[str, Any]:
    """Return the threshold that attains the target on these cases, and the rates at it."""
    (kind, value), n_present, n_absent = *target.items(), int(y.sum()), int((~y).sum())
    point: dict[str, Any] = {"threshold": None, "specificity": None, "sensitivity": None, "target": value}
    point |= {"at": f"operating_point={name}", "n_present": n_present, "n_absent": n_absent, "note": ""}
    step = rates.threshold_at(y, score, **target)
    if not np.isfinite(step.threshold):
        return point | {"note": f"no threshold on tune: {step.note or f'none attains a {kind} of {value:g}'}"}
    counted = n_absent if kind == "specificity" else n_present
    coarse = f"coarse: {counted} tune images cannot show a {kind} of {value:g} apart from 1"
    alone = (
        ""
        if n_present and n_absent
        else f"all {y.size} tune images had the finding {'present' if n_present else 'absent'}"
    )
    return point | {
        "threshold": step.threshold,
        "specificity": step.specificity if n_absent else None,
        "sensitivity": step.sensitivity if n_present else None,
        "note": coarse if counted * (1 - value) < 1 - 1e-9 else alone,
    }


def _targets(specificities: Sequence[float], sensitivities: Sequence[float]) -> dict[str, dict[str, float]]:
    for kind, values in (("specificities", specificities), ("sensitivities", sensitivities)):
        wrong = [v for v in values if not 0 < v < 1]
        if wrong:
            raise InputError(kind, "fractions between 0 and 1", f"{len(wrong)} others", examples=wrong)
    return {f"spec{100 * v:g}": {"specificity": float(v)} for v in specificities} | {
        f"sens{100 * v:g}": {"sensitivity": float(v)} for v in sensitivities
    }


def _arrays(
    findings: Sequence[str], logits: ArrayLike, truth: ArrayLike, cluster: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[Any]]:
    values, states = np.asarray(logits, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    patients = np.asarray(cluster)
    if values.ndim != 2 or values.shape[1] != len(findings) or states.shape != values.shape:
        found = f"logits {values.shape}, truth {states.shape}, {len(findings)} findings"
        raise InputError("freeze", "logits and truth of one shape (n_images, n_findings)", found)
    if patients.shape != (len(values),):
        raise InputError("freeze", f"a patient for each of {len(values)} images", f"cluster of shape {patients.shape}")
    if not np.isfinite(values).all():
        raise InputError("freeze", "finite logits on tune", f"{int((~np.isfinite(values)).sum())} that are not")
    if not np.isin(states[~np.isnan(states)], (0.0, 1.0)).all():
        raise InputError("freeze", "truths 0, 1 or NaN", "other values")
    return values, states, patients
