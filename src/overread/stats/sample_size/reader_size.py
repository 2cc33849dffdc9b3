"""Sample size and power of a reader study, from a pilot study or from assumptions."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, inf, isinf, nan, sqrt

import numpy as np
from scipy.special import chdtri, chndtr, fdtri, ncfdtr, nctdtr, ndtr, ndtri, stdtrit

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import check_confidence, check_word
from overread.stats.reader_studies.obuchowski_rockette import Components
from overread.stats.result_text import described

MOST_CASES = 10_000_000


@dataclass(frozen=True, slots=True)
class MrmcPower:
    """Power of a crossed reader study of two arms.

    Attributes
    ----------
    power : float
        Power.
    n_readers : int
        Number of readers.
    n_cases : float
        Number of cases; NaN with a note if no number suffices.
    noncentrality : float
        Noncentrality parameter of F or chi-square; with a margin, of t or the normal distribution.
    df : float
        Degrees of freedom of the denominator; infinite for chi-square or normal.
    critical : float
        Critical value.
    method : str
        Design and test.
    note : str
        Reason for values that are NaN, otherwise "".

    Notes
    -----
    `mrmc_power` and `mrmc_sample_size` return this result.
    """

    __repr__ = described

    power: float
    n_readers: int
    n_cases: float
    noncentrality: float  # of F or chi-square; with a margin of t or the normal
    df: float  # of the denominator; infinite = chi-square or normal
    critical: float
    method: codes.Text = codes.NONE
    note: codes.Text = codes.NONE


@dataclass(frozen=True, slots=True)
class ReaderGuess:
    """Assumptions on readers for a study without pilot data.

    Attributes
    ----------
    between : float
        Expected range (largest minus smallest) of the values of the readers, in units of the metric.
    within : float
        Expected range of the values of two readings of the same cases by one reader in one arm.
    same_reader : float
        Correlation of the values of one reader in two arms due to common cases (r1).
    same_arm : float
        Correlation of the values of two readers in one arm (r2).
    different : float
        Correlation of the values of two readers in different arms (r3).
    across_arms : float
        Correlation of the true values of a reader in the two arms (rb).

    Notes
    -----
    Notation of Zhou XH, Obuchowski NA, McClish DK (2011), doi:10.1002/9780470906514.
    """

    __repr__ = described

    between: float  # best minus worst reader expected among the n_readers, in units of the metric
    within: float  # larger minus smaller value when a reader reads the same cases twice in one arm
    same_reader: float  # correlation of a reader's two arms that comes from sharing the cases (r1)
    same_arm: float = 0.3  # of two readers in one arm (r2)
    different: float = 0.3  # of two readers in different arms (r3)
    across_arms: float = 0.8  # correlation of a reader's true ability in the two arms (rb)


@dataclass(frozen=True, slots=True)
class MrmcPlan:
    """Number of cases of a planned reader study and the implied variance components.

    Attributes
    ----------
    n_present : float
        Number of present cases.
    n_absent : float
        Number of absent cases.
    components : Components
        Variance components implied by the assumptions.
    within : float
        Variance of repeated readings of a reader, a part of `components.error`.
    method : str
        Design and test.
    note : str
        Reason for values that are NaN, otherwise "".

    Notes
    -----
    `mrmc_plan` returns this result.
    """

    __repr__ = described

    n_present: float
    n_absent: float
    components: Components
    within: float  # variance of a reader's repeated readings, a part of components.error
    method: codes.Text = codes.NONE
    note: codes.Text = codes.NONE

    @property
    def n_cases(self) -> float:
        """Number of all cases."""
        return self.n_present + self.n_absent


def mrmc_power(
    effect: float,
    *,
    n_readers: int,
    n_cases: int,
    components: Components,
    readers: str = "random",
    cases: str = "random",
    margin: float | None = None,
    confidence: float = 0.95,
) -> MrmcPower:
    """Power of a crossed reader study to detect a difference between the mean performance in two arms.

    Parameters
    ----------
    effect : float
        True difference A - B, in units of the metric.
    n_readers : int
        Number of readers of the planned study.
    n_cases : int
        Number of cases of the planned study.
    components : Components
        Variance components of a pilot study (`compare_arms(...).components`), or assumed ones, with `n_cases` set to
        the number of cases that they refer to.
    readers : {"random", "fixed"}, default "random"
        As for `compare_arms`.
    cases : {"random", "fixed"}, default "random"
        As for `compare_arms`.
    margin : float, optional
        Non-inferiority margin: power to show A - B > -margin, one-sided at (1 - `confidence`) / 2.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    MrmcPower
        Power, noncentrality parameter and critical value.

    Raises
    ------
    InputError
        If there are fewer than 2 readers or cases, the components have no number of cases, or readers and cases are
        fixed.

    Notes
    -----
    The test is that of `compare_arms`; negative components count as 0. The components error, cov1, cov2 and cov3 are
    assumed to be proportional to 1 / n_cases at the ratio of present to absent cases of the pilot. Checked against
    RJafroc 2.1.3 (`SsPowerGivenJK`).

    References
    ----------
    * Hillis SL, Obuchowski NA, Berbaum KS (2011). Power estimation for multireader ROC methods: an updated and unified
      approach. Academic Radiology 18:129-142. doi:10.1016/j.acra.2010.09.007

    Examples
    --------
    >>> pilot = Components(reader_by_arm=0.0002004, error=0.0008023, cov1=0.0003466, cov2=0.0003441, cov3=0.000239,
    ...                    n_cases=114)
    >>> round(mrmc_power(0.05, n_readers=6, n_cases=251, components=pilot).power, 3)
    0.892
    """
    where = "mrmc_power"
    _check(n_readers, n_cases, components, readers, cases, where)
    check_confidence(confidence, where=where)
    denominator, df = _denominator(n_readers, components.n_cases / n_cases, components, readers, cases)
    method = codes.method("obuchowski_rockette", readers=readers, cases=cases)
    if not denominator > 0:
        return MrmcPower(nan, n_readers, n_cases, nan, df, nan, method, codes.note("no_component_variance"))
    if margin is not None:
        power, shift, limit = _one_sided(effect, margin, sqrt(2 * denominator / n_readers), df, confidence)
        method = codes.methods(method, codes.method("non_inferiority", margin=margin))
    else:
        shift = n_readers * effect**2 / (2 * denominator)
        if isinf(df):
            limit = float(chdtri(1, 1 - confidence))
            power = 1 - float(chndtr(limit, 1, shift))
        else:
            limit = float(fdtri(1, df, confidence))
            power = 1 - float(ncfdtr(1, df, shift, limit))
    return MrmcPower(power, n_readers, n_cases, shift, df, limit, method)


def mrmc_sample_size(
    effect: float,
    *,
    n_readers: int,
    components: Components,
    power: float = 0.8,
    readers: str = "random",
    cases: str = "random",
    margin: float | None = None,
    confidence: float = 0.95,
) -> MrmcPower:
    """Smallest number of cases for which a crossed reader study has the required power.

    Parameters
    ----------
    effect : float
        True difference A - B, in units of the metric.
    n_readers : int
        Number of readers of the planned study.
    components : Components
        As for `mrmc_power`.
    power : float, default 0.8
        Required power.
    readers : {"random", "fixed"}, default "random"
        As for `compare_arms`.
    cases : {"random", "fixed"}, default "random"
        As for `compare_arms`.
    margin : float, optional
        As for `mrmc_power`.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    MrmcPower
        Number of cases and attained power. If no number of cases suffices, n_cases is NaN and the note gives the
        largest attainable power; more readers are then needed.

    Raises
    ------
    InputError
        As for `mrmc_power`, and if `power` is not in (0, 1).

    Notes
    -----
    Assumptions are those of `mrmc_power`. Checked against RJafroc 2.1.3 (`SsSampleSizeKGivenJ`).

    References
    ----------
    * Hillis SL, Obuchowski NA, Berbaum KS (2011). Power estimation for multireader ROC methods: an updated and unified
      approach. Academic Radiology 18:129-142. doi:10.1016/j.acra.2010.09.007

    Examples
    --------
    >>> pilot = Components(reader_by_arm=0.0002004, error=0.0008023, cov1=0.0003466, cov2=0.0003441, cov3=0.000239,
    ...                    n_cases=114)
    >>> mrmc_sample_size(0.05, n_readers=6, components=pilot).n_cases
    170
    """
    if not 0 < power < 1:
        raise InputError("mrmc_sample_size: power", "a number between 0 and 1", f"{power}")

    def reached(n_cases: int) -> MrmcPower:
        return mrmc_power(
            effect,
            n_readers=n_readers,
            n_cases=n_cases,
            components=components,
            readers=readers,
            cases=cases,
            margin=margin,
            confidence=confidence,
        )

    high = 2
    while not (result := reached(high)).power >= power:
        if high >= MOST_CASES or result.note:
            note = result.note or codes.note("limited_power", readers=n_readers, power=result.power)
            return MrmcPower(
                result.power, n_readers, nan, result.noncentrality, result.df, result.critical, result.method, note
            )
        high *= 2
    low = high // 2  # not sufficient, except at the minimum
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle).power >= power else (middle, high)
    return reached(max(high, 2))


def mrmc_plan(
    value: float,
    effect: float,
    *,
    n_readers: int,
    guess: ReaderGuess,
    metric: str = "auc",
    ratio: float = 1.0,
    power: float = 0.8,
    confidence: float = 0.95,
) -> MrmcPlan:
    """Number of cases of a reader study of two arms, from assumptions without a pilot study.

    Parameters
    ----------
    value : float
        Expected AUC (or sensitivity) of the mean of the readers.
    effect : float
        True difference of the arms.
    n_readers : int
        Number of readers.
    guess : ReaderGuess
        Variability and correlations of the readers.
    metric : {"auc", "sensitivity"}, default "auc"
        Measure of performance.
    ratio : float, default 1.0
        Absent cases per present case.
    power : float, default 0.8
        Required power.
    confidence : float, default 0.95
        Confidence level of the two-sided interval, between 0 and 1.

    Returns
    -------
    MrmcPlan
        Numbers of cases, and components that `mrmc_power` accepts. NaN with a note if no number of cases suffices.

    Raises
    ------
    InputError
        If a value is out of range or the correlations are inconsistent.

    Notes
    -----
    The degrees of freedom are n_readers - 1 (Obuchowski and Rockette), which is conservative compared with those of
    Hillis. Variance of the AUC: 0.0099 exp(-A^2/2) (5 A^2 + 8 + (A^2 + 8)/ratio) with A = 1.414 probit(AUC); of a
    sensitivity: p (1 - p). Ranges are converted to standard deviations by the expected range of a normal sample.
    Checked against MRMCsamplesize 1.0.0.

    References
    ----------
    * Zhou XH, Obuchowski NA, McClish DK (2011). Statistical Methods in Diagnostic Medicine, 2nd edition. Wiley.
      doi:10.1002/9780470906514

    Examples
    --------
    >>> plan = mrmc_plan(0.75, 0.1, n_readers=10, guess=ReaderGuess(between=0.1, within=0.05, same_reader=0.47))
    >>> plan.n_present, plan.n_absent
    (25, 25)
    """
    where = "mrmc_plan"
    check_word(metric, ("auc", "sensitivity"), where=where, name="metric")
    check_confidence(confidence, where=where)
    _check_guess(value, effect, n_readers, guess, ratio, power, where)
    reader = (guess.between / expected_range(n_readers)) ** 2
    within = (guess.within / expected_range(2)) ** 2
    by_arm = reader * (1 - guess.across_arms)
    shift = _noncentrality(power, n_readers - 1, confidence)
    available_variance = n_readers * effect**2 / (2 * shift) - by_arm - within
    cases = available_variance / (1 - guess.same_reader + (n_readers - 1) * (guess.same_arm - guess.different))
    model = codes.method("obuchowski_rockette", readers="random", cases="random")
    method = codes.methods(model, codes.method("reader_df"))
    if cases <= 0:
        nothing = Components(by_arm, nan, nan, nan, nan, reader=reader)
        return MrmcPlan(nan, nan, nothing, within, method, codes.note("unreachable_power", readers=n_readers))
    n_present = ceil(_unit_variance(value, metric, ratio) / cases)
    n_absent, error = ceil(n_present * ratio), cases + within
    n_cases = n_present + n_absent if metric == "auc" else n_present
    cov1, cov2, cov3 = (r * error for r in (guess.same_reader, guess.same_arm, guess.different))
    parts = Components(by_arm, error, cov1, cov2, cov3, n_cases=n_cases, reader=reader)
    return MrmcPlan(n_present, n_absent, parts, within, method)


def expected_range(n: int) -> float:
    """Expected range (largest minus smallest) of n standard normal values.

    Examples
    --------
    >>> round(expected_range(2), 6), round(expected_range(10), 3)
    (1.128379, 3.078)
    """
    x = np.linspace(-12, 12, 4801)
    density = n * x * ndtr(x) ** (n - 1) * np.exp(-(x**2) / 2) / sqrt(2 * np.pi)
    return float(2 * density.sum() * (x[1] - x[0]))  # the trapezoidal rule is exact up to rounding here


def _denominator(n_readers: int, shrink: float, parts: Components, readers: str, cases: str) -> tuple[float, float]:
    """Denominator of the F (chi-square) test and its degrees of freedom (Hillis et al. 2011)."""
    shared = max(parts.cov2 - parts.cov3, 0.0)
    own = shrink * (parts.error - parts.cov1 - shared)
    if readers == "fixed":
        return own + shrink * n_readers * shared, inf
    interaction = max(parts.reader_by_arm, 0.0) + own
    whole = interaction + (shrink * n_readers * shared if cases == "random" else 0.0)
    return whole, (n_readers - 1) * (whole / interaction) ** 2 if interaction > 0 else inf


def _one_sided(effect: float, margin: float, se: float, df: float, confidence: float) -> tuple[float, float, float]:
    """Power, noncentrality parameter and critical value of a non-inferiority test."""
    if not margin > 0:
        raise InputError("mrmc_power: margin", "a margin above 0, in units of the metric", f"{margin}")
    shift, level = (effect + margin) / se, (1 + confidence) / 2
    if isinf(df):
        limit = float(ndtri(level))
        return float(ndtr(shift - limit)), shift, limit
    limit = float(stdtrit(df, level))
    return 1 - float(nctdtr(df, shift, limit)), shift, limit


def _noncentrality(power: float, df: int, confidence: float) -> float:
    """Noncentrality parameter at which F(1, df) exceeds its critical value with the required probability."""
    limit, low, high = float(fdtri(1, df, confidence)), 0.0, 1.0
    while 1 - float(ncfdtr(1, df, high, limit)) < power:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - float(ncfdtr(1, df, middle, limit)) < power else (low, middle)
    return (low + high) / 2


def _unit_variance(value: float, metric: str, ratio: float) -> float:
    """Variance for one present case."""
    if metric == "sensitivity":
        return value * (1 - value)
    a = 1.414 * float(ndtri(value))  # rounding of sqrt(2) in the papers, kept for agreement
    return 0.0099 * exp(-(a**2) / 2) * (5 * a**2 + 8 + (a**2 + 8) / ratio)


def _check(n_readers: int, n_cases: int, parts: Components, readers: str, cases: str, where: str) -> None:
    """Raise if the design or the components are invalid."""
    check_word(readers, ("random", "fixed"), where=where, name="readers")
    check_word(cases, ("random", "fixed"), where=where, name="cases")
    if readers == cases == "fixed":
        raise InputError(
            where, "random readers or random cases", "both fixed", do="With both fixed there is no uncertainty."
        )
    if n_readers < 2 or n_cases < 2:
        raise InputError(where, "at least 2 readers and 2 cases", f"{n_readers} readers, {n_cases} cases")
    if parts.n_cases < 2:
        do = "Set the number of cases of the pilot study in Components(..., n_cases=...)."
        raise InputError(f"{where}: components", "the number of cases that they are of", f"{parts.n_cases}", do=do)


def _check_guess(
    value: float, effect: float, n_readers: int, guess: ReaderGuess, ratio: float, power: float, where: str
) -> None:
    """Raise if the assumptions are invalid."""
    numbers = {"value": value, "effect": effect, "power": power, "between": guess.between, "within": guess.within}
    numbers |= {name: getattr(guess, name) for name in ("same_reader", "same_arm", "different", "across_arms")}
    wrong = [f"{name} {number}" for name, number in numbers.items() if not 0 < number < 1]
    if wrong:
        raise InputError(where, "numbers between 0 and 1", f"{len(wrong)} other values", examples=wrong)
    if n_readers < 2 or not ratio > 0:
        raise InputError(where, "at least 2 readers and a ratio above 0", f"{n_readers} readers, ratio {ratio}")
    if guess.different > guess.same_arm:
        raise InputError(where, "correlation different <= same_arm", f"{guess.different} > {guess.same_arm}")
