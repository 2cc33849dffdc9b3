"""Sample size for an AUC, a rate, and a paired comparison of rates."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt

from scipy.special import ndtri

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import check_confidence, check_word
from overread.stats.rates.proportions import wilson
from overread.stats.result_text import described
from overread.stats.sample_size.common_result import (
    Needed,
    check_design,
    check_share,
    inflated,
    needed,
    smallest,
    whole,
)

VARIANCES = ("hanley-mcneil", "hanley-mcneil-large", "obuchowski")


@dataclass(frozen=True, slots=True)
class NeededCases:
    """Number of cases for a rate.

    Attributes
    ----------
    cases : int
        Cases of the class that the rate refers to.
    total : int
        All cases among which as many cases of that class are expected.
    exact : float
        Number of cases before rounding and before the design effect.
    method : str
        Assumptions.

    Notes
    -----
    `rate_sample_size` and `mcnemar_sample_size` return this result.
    """

    __repr__ = described

    cases: int
    total: int
    exact: float
    method: codes.Text


def auc_sample_size(
    auc: float,
    *,
    null: float | None = None,
    width: float | None = None,
    ratio: float = 1.0,
    power: float = 0.8,
    variance: str = "hanley-mcneil",
    design_effect: float = 1.0,
    confidence: float = 0.95,
) -> Needed:
    """Number of present and absent cases for an AUC: for an interval of given width, or a test against a null value.

    Parameters
    ----------
    auc : float
        Expected AUC, in (0, 1).
    null : float, optional
        Null value of the two-sided test at level 1 - `confidence`. Exactly one of `null` and `width` is required.
    width : float, optional
        Width of the interval, from limit to limit.
    ratio : float, default 1.0
        Absent cases per present case.
    power : float, default 0.8
        Power of the test.
    variance : {"hanley-mcneil", "hanley-mcneil-large", "obuchowski"}, default "hanley-mcneil"
        Variance of the AUC: complete formula, its leading term, or that of binormal ratings (larger for AUCs below
        0.9).
    design_effect : float, default 1.0
        Factor by which the number is inflated for several images per patient (see `design_effect`).
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    Needed
        Numbers of cases; `exact` is the number of present cases before rounding and before the design effect.

    Raises
    ------
    InputError
        If a value is out of range, not exactly one of `null` and `width` is given, or `null` equals `auc`.

    Notes
    -----
    Assumes independent patients and a Wald interval or test. Checked against the formulas in R 4.2.2 and pROC 1.18.0,
    `power.roc.test`.

    References
    ----------
    * Hanley JA, McNeil BJ (1982). The meaning and use of the area under a receiver operating characteristic (ROC)
      curve. Radiology 143:29-36. doi:10.1148/radiology.143.1.7063747
    * Obuchowski NA, Lieber ML, Wians FH (2004). ROC curves in Clinical Chemistry: uses, misuses, and possible
      solutions. Clinical Chemistry 50:1118-1125. doi:10.1373/clinchem.2004.031823

    Examples
    --------
    >>> auc_sample_size(0.8, null=0.7, power=0.9).present
    127
    >>> auc_sample_size(0.85, width=0.1, ratio=9.0).total
    930
    """
    where = "auc_sample_size"
    for name, value in (("auc", auc), ("null", 0.5 if null is None else null)):
        check_share(value, where=where, name=name)
    check_design(power, ratio, design_effect, where=where)
    check_confidence(confidence, where=where)
    check_word(variance, VARIANCES, where=where, name="variance")
    if (null is None) == (width is None) or (width is not None and not 0 < width < 1) or null == auc:
        found = f"null {null}, width {width}, auc {auc}"
        raise InputError(where, "either a width between 0 and 1 or a null other than the auc", found)
    z, z_power = float(ndtri(0.5 + confidence / 2)), float(ndtri(power))

    def enough(present: float) -> bool:
        """Whether so many present cases give the width, or the power."""
        if width is not None:
            return 2 * z * sqrt(auc_variance(auc, present, ratio * present, variance)) <= width
        assert null is not None
        least = z * sqrt(auc_variance(null, present, ratio * present, variance))
        return least + z_power * sqrt(auc_variance(auc, present, ratio * present, variance)) <= abs(auc - null)

    method = codes.methods(
        _aim(null, width, power), _variance_method(variance), codes.method("planned_confidence", confidence=confidence)
    )
    if variance == "hanley-mcneil":
        return needed(float(smallest(enough)), ratio, design_effect, method)
    unit = sqrt(auc_variance(auc, 1, ratio, variance))
    reach = z * unit * 2 / width if width is not None else None
    if reach is None:
        assert null is not None
        reach = (z * sqrt(auc_variance(null, 1, ratio, variance)) + z_power * unit) / abs(auc - null)
    return needed(reach**2, ratio, design_effect, method)


def _aim(null: float | None, width: float | None, power: float) -> codes.Text:
    if width is not None:
        return codes.method("planned_width", width=width)
    assert null is not None
    return codes.methods(codes.method("planned_null", null=null), codes.method("planned_power", power=power))


def _variance_method(variance: str) -> codes.Text:
    if variance == "hanley-mcneil":
        return codes.method("hanley_mcneil")
    if variance == "hanley-mcneil-large":
        return codes.method("hanley_mcneil_large")
    return codes.method("obuchowski_variance")


def auc_variance(auc: float, present: float, absent: float, variance: str) -> float:
    """Expected variance of an AUC, for planning before data are available.

    Examples
    --------
    >>> round(auc_variance(0.8, 50, 50, "hanley-mcneil"), 6)
    0.00198
    """
    if variance == "obuchowski":
        a = 1.414 * float(ndtri(auc))  # the constant of the paper
        return 0.0099 * exp(-a * a / 2) * ((5 * a * a + 8) / present + (a * a + 8) / absent)
    of_present, of_absent = auc / (2 - auc) - auc**2, 2 * auc**2 / (1 + auc) - auc**2
    if variance == "hanley-mcneil-large":
        return of_absent / present + of_present / absent
    own = auc * (1 - auc) + (present - 1) * of_present + (absent - 1) * of_absent
    return own / (present * absent)


def rate_sample_size(
    rate: float,
    *,
    half_width: float,
    share: float = 1.0,
    interval: str = "wald",
    design_effect: float = 1.0,
    confidence: float = 0.95,
) -> NeededCases:
    """Number of cases for the interval of a rate (sensitivity, specificity or another proportion).

    Parameters
    ----------
    rate : float
        Expected rate, in (0, 1).
    half_width : float
        Half of the width of the interval.
    share : float, default 1.0
        Proportion of all cases that the rate refers to: the prevalence for a sensitivity, 1 - prevalence for a
        specificity.
    interval : {"wald", "wilson"}, default "wald"
        Interval. "wilson" is the interval that overread reports, which needs more cases for rates near 1.
    design_effect : float, default 1.0
        Factor by which the number is inflated for several images per patient (see `design_effect`).
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    NeededCases
        Numbers of cases.

    Raises
    ------
    InputError
        If a value is out of range or `interval` is unknown.

    Notes
    -----
    Assumes independent patients. Checked against the formula in R 4.2.2.

    References
    ----------
    * Buderer NMF (1996). Statistical methodology: I. Incorporating the prevalence of disease into the sample size
      calculation for sensitivity and specificity. Academic Emergency Medicine 3:895-900.
      doi:10.1111/j.1553-2712.1996.tb03538.x

    Examples
    --------
    >>> result = rate_sample_size(0.9, half_width=0.05, share=0.1)
    >>> result.cases, result.total, round(result.exact, 2)
    (139, 1390, 138.29)
    """
    where = "rate_sample_size"
    for name, value in (("rate", rate), ("half_width", half_width), ("share", share / 2)):
        check_share(value, where=where, name=name)
    check_design(0.5, 1.0, design_effect, where=where)
    check_confidence(confidence, where=where)
    check_word(interval, ("wald", "wilson"), where=where, name="interval")
    exact = float(ndtri(0.5 + confidence / 2)) ** 2 * rate * (1 - rate) / half_width**2
    if interval == "wilson":
        exact = float(smallest(lambda n: _wilson_half(rate, n, confidence) <= half_width))
    cases = whole(design_effect * exact)
    method = codes.methods(
        codes.method("planned_half_width", half_width=half_width),
        codes.method("wilson") if interval == "wilson" else codes.method("scale_wald"),
        codes.method("planned_confidence", confidence=confidence),
        inflated(design_effect),
    )
    return NeededCases(cases, whole(cases / share), exact, method)


def _wilson_half(rate: float, n: float, confidence: float) -> float:
    """Half of the width of the Wilson score interval."""
    low, high = wilson(rate, n, confidence)
    return (high - low) / 2


def mcnemar_sample_size(
    only_a: float,
    only_b: float,
    *,
    power: float = 0.8,
    share: float = 1.0,
    design_effect: float = 1.0,
    confidence: float = 0.95,
) -> NeededCases:
    """Number of paired calls for McNemar's test of two raters on the same cases.

    Parameters
    ----------
    only_a : float
        Proportion of cases that only A calls correctly.
    only_b : float
        Proportion of cases that only B calls correctly.
    power : float, default 0.8
        Power of the two-sided test at level 1 - `confidence`.
    share : float, default 1.0
        Proportion of all cases that the rate refers to, such as the prevalence for a sensitivity.
    design_effect : float, default 1.0
        Factor by which the number is inflated for several images per patient (see `design_effect`).
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    NeededCases
        Numbers of cases.

    Raises
    ------
    InputError
        If the proportions are equal, negative or sum to more than 1, or another value is out of range.

    Notes
    -----
    Assumes independent patients. Checked against the formula in R 4.2.2.

    References
    ----------
    * Connor RJ (1987). Sample size for testing differences in proportions for the paired-sample design. Biometrics
      43:207-211. doi:10.2307/2531961

    Examples
    --------
    >>> mcnemar_sample_size(0.12, 0.05).cases
    270
    """
    where = "mcnemar_sample_size"
    if min(only_a, only_b) < 0 or only_a + only_b > 1 or only_a == only_b:
        found = f"{only_a} and {only_b}"
        raise InputError(where, "two different shares, 0 or more, that sum to at most 1", found)
    check_share(share / 2, where=where, name="share")
    check_design(power, 1.0, design_effect, where=where)
    check_confidence(confidence, where=where)
    z, z_power = float(ndtri(0.5 + confidence / 2)), float(ndtri(power))
    discordant, difference = only_a + only_b, only_a - only_b
    exact = ((z * sqrt(discordant) + z_power * sqrt(discordant - difference**2)) / difference) ** 2
    cases = whole(design_effect * exact)
    method = codes.methods(
        codes.method("planned_mcnemar"),
        codes.method("planned_power", power=power),
        codes.method("planned_confidence", confidence=confidence),
        inflated(design_effect),
    )
    return NeededCases(cases, whole(cases / share), exact, method)


def design_effect(images_per_patient: float, correlation: float) -> float:
    """Design effect of several images per patient: 1 + (images - 1) correlation.

    Parameters
    ----------
    images_per_patient : float
        Mean number of images per patient, at least 1.
    correlation : float
        Correlation of the results of two images of a patient, in [0, 1].

    Returns
    -------
    float
        Factor by which more images are needed than for independent images.

    Raises
    ------
    InputError
        If a value is out of range.

    Notes
    -----
    Kish L (1965). Survey Sampling. Wiley.

    Examples
    --------
    >>> design_effect(3.6, 0.5)
    2.3
    """
    if images_per_patient < 1 or not 0 <= correlation <= 1:
        found = f"{images_per_patient} images, correlation {correlation}"
        raise InputError("design_effect", "1 image or more, a correlation from 0 to 1", found)
    return 1 + (images_per_patient - 1) * correlation
