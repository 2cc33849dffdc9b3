"""How many patients a study needs: one AUC, sensitivity and specificity, paired calls, paired AUCs, readers."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt

from scipy.special import ndtri

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import check_confidence, check_word
from overread.stats.rates.proportions import wilson
from overread.stats.reader_studies.obuchowski_rockette import Components
from overread.stats.sample_size.common_result import (
    Needed,
    check_design,
    check_share,
    inflated,
    needed,
    smallest,
    whole,
)
from overread.stats.sample_size.paired_size import (
    AucPair,
    assumed_pair,
    paired_auc_power,
    paired_auc_sample_size,
    pilot_pair,
)
from overread.stats.sample_size.reader_size import (
    MrmcPlan,
    MrmcPower,
    ReaderGuess,
    mrmc_plan,
    mrmc_power,
    mrmc_sample_size,
)

__all__ = [
    "AucPair",
    "Components",
    "MrmcPlan",
    "MrmcPower",
    "Needed",
    "NeededCases",
    "ReaderGuess",
    "assumed_pair",
    "auc_sample_size",
    "design_effect",
    "mcnemar_sample_size",
    "mrmc_plan",
    "mrmc_power",
    "mrmc_sample_size",
    "paired_auc_power",
    "paired_auc_sample_size",
    "pilot_pair",
    "rate_sample_size",
]

VARIANCES = ("hanley-mcneil", "hanley-mcneil-large", "obuchowski")


@dataclass(frozen=True, slots=True)
class NeededCases:
    """Cases that a rate is about, all cases among which so many are found, and the former before rounding."""

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
    """Cases with and without the finding for an AUC's interval of a given width, or to tell the AUC from another.

    Parameters: auc expected; either width of its interval (from limit to limit) or null, the AUC to be told from by a
    two-sided test of level 1 - confidence with this power; ratio absent : present; variance "hanley-mcneil" (the whole
    formula, smallest whole number), "hanley-mcneil-large" (its leading term) or "obuchowski" (binormal ratings, more
    cautious for AUCs below 0.9); design_effect, see `design_effect`.
    Returns a Needed; `exact` is the number with the finding before rounding and before the design effect.
    Raises InputError for an AUC outside (0, 1), none or both of null and width, a null equal to the AUC.
    Assumes independent patients and a Wald interval or test.
    Hanley & McNeil (1982) doi:10.1148/radiology.143.1.7063747; Obuchowski, Lieber & Wians (2004)
    doi:10.1373/clinchem.2004.031823. Checked against the formulas in R 4.2.2 and pROC 1.18.0 power.roc.test.

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
    """What the variance of an AUC is expected to be, before there are data.

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
    """Cases for a rate's interval of a given half width: sensitivity, specificity, or any proportion.

    Parameters: rate expected; half_width of its interval; share of all cases that the rate is about (the prevalence for
    a sensitivity, 1 - prevalence for a specificity); interval "wald" (the formula of the paper) or "wilson" (half the
    width of the interval that overread reports, which near 1 needs more); design_effect, see `design_effect`.
    Returns a NeededCases. Raises InputError outside (0, 1). Assumes independent patients.
    Buderer (1996) doi:10.1111/j.1553-2712.1996.tb03538.x. Checked against the formula in R 4.2.2.

    >>> rate_sample_size(0.9, half_width=0.05, share=0.1)
    NeededCases(cases=139, total=1390, exact=138.29..., method='CI of half width 0.05, Wald interval, confidence 0.95')
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
    """Pairs of calls needed to tell two raters' rates apart on the same cases (McNemar's test).

    Parameters: only_a, only_b, the shares of cases that A alone and B alone calls rightly; power of the two-sided test
    of level 1 - confidence; share of all cases that the rate is about (the prevalence for a sensitivity);
    design_effect. Returns a NeededCases. Raises InputError when the shares are equal or sum to more than 1.
    Assumes independent patients. Connor (1987) doi:10.2307/2531961. Checked against the formula in R 4.2.2.

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
    """By how much more images are needed when a patient has several, whose results go together.

    Parameters: the mean number of images per patient; the correlation of the results of two images of a patient.
    Returns 1 + (images - 1) correlation. Kish (1965) Survey Sampling.

    >>> design_effect(3.6, 0.5)
    2.3
    """
    if images_per_patient < 1 or not 0 <= correlation <= 1:
        found = f"{images_per_patient} images, correlation {correlation}"
        raise InputError("design_effect", "1 image or more, a correlation from 0 to 1", found)
    return 1 + (images_per_patient - 1) * correlation
