"""Sample sizes of a study: numbers of cases, patients and readers, and sentences for its protocol."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import ceil, isnan
from pathlib import Path
from typing import Any

import polars as pl

from overread import limits, tables
from overread.errors import InputError
from overread.stats.sample_size import accuracy_size as sizes
from overread.stats.sample_size import paired_size, reader_size
from overread.stats.sample_size.common_result import Needed
from overread.tables.records.configuration import with_settings


@dataclass(frozen=True, slots=True)
class Expected:
    """Assumptions of a sample size calculation.

    All values are assumptions that the protocol must justify.

    Attributes
    ----------
    auc : float
        AUC of the model.
    auc_width : float
        Width of the confidence interval of the AUC.
    auc_least : float
        Least acceptable AUC, the null value of a test of `auc`.
    auc_other : float
        AUC of another model on the same cases.
    auc_correlation : float
        Correlation of the two AUC estimates.
    sensitivity, specificity : float
        Expected rates of the model.
    half_width : float
        Half width of their intervals.
    sensitivity_gain : float
        Difference in sensitivity between two raters.
    discordant : float
        Share of present cases with different calls of the two raters.
    prevalence : float
        Prevalence of the finding among the cases.
    images_per_patient : float
        Mean number of images per patient.
    image_correlation : float
        Correlation between images of a patient, for the design effect.
    readers : int
        Number of readers.
    reader_auc : float
        Mean AUC of the unaided readers.
    reader_gain : float
        Gain in AUC of the aided arm.
    reader_range : float
        Difference in AUC between the best and the worst reader.
    reader_repeat : float
        Difference in AUC between two readings of a reader.
    reader_correlation : float
        Correlation of the AUCs of a reader in the two arms, due to the same cases.
    present_share : float
        Share of present cases among those read.
    power : float
        Power of the tests.
    confidence : float
        Confidence level of the intervals; tests are two-sided at level 1 - confidence.
    """

    auc: float = 0.85
    auc_width: float = 0.10
    auc_least: float = 0.75
    auc_other: float = 0.80
    auc_correlation: float = 0.5
    sensitivity: float = 0.90
    specificity: float = 0.90
    half_width: float = 0.05
    sensitivity_gain: float = 0.07
    discordant: float = 0.17
    prevalence: float = 0.10
    images_per_patient: float = 1.0
    image_correlation: float = 0.5
    readers: int = 10
    reader_auc: float = 0.80
    reader_gain: float = 0.06
    reader_range: float = 0.06
    reader_repeat: float = 0.02
    reader_correlation: float = 0.47
    present_share: float = 0.5
    power: float = 0.80
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Plan:
    """Sample sizes of a study.

    Attributes
    ----------
    table : DataFrame
        One row per question: assumed, present, absent, cases, patients, readers, method, note.
    sentences : tuple of str
        One sentence per question, for the protocol.
    """

    table: pl.DataFrame
    sentences: tuple[str, ...]

    def __repr__(self) -> str:
        numbers = ("present", "absent", "cases", "patients", "readers")
        rows = [
            f"  {row['question']} ({row['assumed']}): "
            + ", ".join(f"{row[name]:,} {name}" for name in numbers if row[name] is not None)
            for row in self.table.iter_rows(named=True)
        ]
        return "\n".join(["Plan", *rows, "For the protocol:", *(f"  {sentence}" for sentence in self.sentences)])

    def write(self, out: Path | str) -> Path:
        """Write the table as CSV and the sentences as text; each file is replaced atomically.

        Parameters
        ----------
        out : path
            NAME.csv, with the sentences beside it as NAME.txt; or a folder for plan.csv and plan.txt.

        Returns
        -------
        Path
            The table.

        Raises
        ------
        InputError
            Files of these names exist and are not those of an earlier plan.
        """
        out = Path(out)
        table = out if out.suffix == ".csv" else out / "plan.csv"
        text = table.with_suffix(".txt")
        if table.exists() or text.exists():
            first = table.read_bytes().partition(b"\n")[0] if table.is_file() else b""
            if first != ",".join(self.table.columns).encode():
                raise InputError(
                    table,
                    f"no files {table.name} and {text.name}, or those of an earlier plan",
                    "others",
                    do="Choose another name.",
                )
        tables.write_frame(self.table, table)
        tables.write_text(text, "\n\n".join(self.sentences) + "\n")
        return table


def plan(expected: Expected | None = None, **settings: Any) -> Plan:
    """Calculate the number of cases, with and without the finding, for each question of a study.

    Parameters
    ----------
    expected : Expected, optional
        The assumptions; None = the defaults of Expected.
    **settings
        Fields of Expected that replace those of `expected`, such as auc=0.9.

    Returns
    -------
    Plan
        Sample sizes for the interval of an AUC, an AUC against the least acceptable one, two AUCs on the same cases,
        sensitivity, specificity, paired calls, and readers in two arms.

    Raises
    ------
    InputError
        All impossible or contradictory assumptions, in one error.

    Notes
    -----
    A case is an image. With several images per patient the numbers are multiplied by the design effect
    1 + (images - 1) x correlation. Readers read one image of each patient. Each row is one call of a function of
    `overread.stats.sample_size`, which gives its reference.

    Examples
    --------
    >>> plan(auc=0.85, auc_width=0.1).table.row(0, named=True)["present"]
    93
    """
    e: Expected = with_settings(expected or Expected(), settings, "plan")
    _check(e)
    effect = sizes.design_effect(e.images_per_patient, e.image_correlation)
    options: dict[str, Any] = {"design_effect": effect, "confidence": e.confidence}
    rows = [_width(e, options), _least(e, options), _two_models(e, options)]
    rows += [_rate(e, options, present=True), _rate(e, options, present=False), _calls(e, options), _reading(e)]
    for question, assumed, *_, cases in (row[:5] for row in rows):
        if cases is not None and cases > _MOST:
            do = "Expect a larger difference or a wider interval."
            raise InputError(f"plan: {question}", f"a study of at most {_MOST:,} cases", f"more for {assumed}", do=do)
    names = ("question", "assumed", "present", "absent", "cases", "readers", "method", "note")
    frame = pl.DataFrame([r[:-1] for r in rows], schema=dict(zip(names, _TYPES, strict=True)), orient="row")
    patients = (pl.col("cases") / pl.when(pl.col("readers").is_null()).then(e.images_per_patient).otherwise(1)).ceil()
    frame = frame.insert_column(5, frame.select(patients.cast(pl.Int64).alias("patients"))["patients"])
    return Plan(frame, tuple(r[-1] for r in rows))


_TYPES = (pl.String, pl.String, pl.Int64, pl.Int64, pl.Int64, pl.Int64, pl.String, pl.String)
_MOST = 10**12  # cases; more people than there are
_LEAST = 1e-9  # of any share, and how far it is from 1 at least
_Row = tuple[str, str, int | None, int | None, int | None, int | None, str, str, str]


def _check(e: Expected) -> None:
    """Check ranges and combinations of the assumptions; the statistics check the rest."""
    shares = {f.name for f in fields(e)} - {"images_per_patient", "image_correlation", "readers"}
    problems = [
        InputError(f"plan: {name}", "a number between 0 and 1", limits.shown(getattr(e, name)))
        for name in sorted(shares)
        if not limits.is_number(getattr(e, name)) or not _LEAST <= getattr(e, name) <= 1 - _LEAST
    ]
    problems += limits.outside("plan: images_per_patient", e.images_per_patient, 1, 1000)
    problems += limits.outside("plan: image_correlation", e.image_correlation, 0, 1)
    problems += limits.outside("plan: readers", e.readers, 2, 1000, whole=True)
    if problems:
        raise InputError.all(problems)
    if e.auc - e.auc_least < _LEAST:
        problems.append(InputError("plan: auc_least", "an AUC below the model's", f"{e.auc_least}"))
    if abs(e.auc_other - e.auc) < _LEAST:
        problems.append(InputError("plan: auc_other", "an AUC other than the model's", f"{e.auc_other}"))
    if e.discordant - e.sensitivity_gain < _LEAST:
        found = f"a gain of {e.sensitivity_gain:g} among {e.discordant:g} discordant"
        problems.append(InputError("plan: discordant", "more discordant cases than the gain alone", found))
    if e.reader_auc + e.reader_gain > 1 - _LEAST:
        found = f"{e.reader_auc:g} and {e.reader_gain:g} more"
        problems.append(InputError("plan: reader_gain", "an aided AUC below 1", found))
    if problems:
        raise InputError.all(problems)


def _ratio(e: Expected) -> float:
    return (1 - e.prevalence) / e.prevalence


def _all(total: int, e: Expected) -> str:
    """Describe the total number of cases, and of patients if these have several."""
    if e.images_per_patient == 1:
        return f"{total:,} at a prevalence of {e.prevalence:g}"
    effect = sizes.design_effect(e.images_per_patient, e.image_correlation)
    return (
        f"{total:,} images of {ceil(total / e.images_per_patient):,} patients at a prevalence of {e.prevalence:g}, "
        f"inflated by {effect:.2f} for {e.images_per_patient:g} images per patient of correlation "
        f"{e.image_correlation:g}"
    )


def _test(e: Expected) -> str:
    return f"with {e.power:.0%} power in a two-sided test at level {1 - e.confidence:.2g}"


def _sentence(size: Needed, e: Expected, aim: str, source: str) -> str:
    cases = f"{size.present:,} cases with the finding and {size.absent:,} without it ({_all(size.total, e)})"
    return f"{cases} {aim} ({source})."


HANLEY = "variance of Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747"


def _width(e: Expected, options: dict[str, Any]) -> _Row:
    size = sizes.auc_sample_size(e.auc, width=e.auc_width, ratio=_ratio(e), **options)
    aim = f"give a {e.confidence:.0%} Wald interval of width {e.auc_width:g} for an expected AUC of {e.auc:g}"
    sentence = _sentence(size, e, aim, HANLEY)
    assumed = f"AUC {e.auc:g}, width {e.auc_width:g}"
    return ("AUC: width of its interval", assumed, *_cases(size), None, size.method, "", sentence)


def _least(e: Expected, options: dict[str, Any]) -> _Row:
    size = sizes.auc_sample_size(e.auc, null=e.auc_least, ratio=_ratio(e), power=e.power, **options)
    aim = f"tell an expected AUC of {e.auc:g} from {e.auc_least:g} {_test(e)}"
    sentence = _sentence(size, e, aim, HANLEY)
    assumed = f"AUC {e.auc:g} against {e.auc_least:g}"
    return ("AUC against the least acceptable", assumed, *_cases(size), None, size.method, "", sentence)


def _two_models(e: Expected, options: dict[str, Any]) -> _Row:
    pair = paired_size.assumed_pair(e.auc, e.auc_other, correlation=e.auc_correlation, ratio=_ratio(e))
    size = paired_size.paired_auc_sample_size(pair, power=e.power, null="delong", **options)
    aim = (
        f"tell AUCs of {e.auc:g} and {e.auc_other:g} on the same cases apart {_test(e)} (DeLong), the two estimates "
        f"correlated {e.auc_correlation:g}"
    )
    source = (
        "Obuchowski & McClish 1997, doi:10.1002/(SICI)1097-0258(19970715)16:13<1529::AID-SIM565>3.0.CO;2-H; variance "
        "of Obuchowski, Lieber & Wians 2004, doi:10.1373/clinchem.2004.031823"
    )
    assumed = f"AUCs {e.auc:g} and {e.auc_other:g}, correlation {e.auc_correlation:g}"
    sentence = _sentence(size, e, aim, source)
    return ("two models' AUCs, same cases", assumed, *_cases(size), None, size.method, "", sentence)


def _cases(size: Needed) -> tuple[int, int, int]:
    return size.present, size.absent, size.total


def _rate(e: Expected, options: dict[str, Any], *, present: bool) -> _Row:
    name, rate = ("sensitivity", e.sensitivity) if present else ("specificity", e.specificity)
    share = e.prevalence if present else 1 - e.prevalence
    size = sizes.rate_sample_size(rate, half_width=e.half_width, share=share, interval="wilson", **options)
    other = size.total - size.cases
    split = (size.cases, other) if present else (other, size.cases)
    kind = "with" if present else "without"
    sentence = (
        f"{size.cases:,} cases {kind} the finding ({_all(size.total, e)}) give a {e.confidence:.0%} Wilson interval of "
        f"half width {e.half_width:g} for an expected {name} of {rate:g} (Buderer 1996, "
        "doi:10.1111/j.1553-2712.1996.tb03538.x; Wilson 1927, doi:10.1080/01621459.1927.10502953)."
    )
    return (f"{name}: precision", f"{rate:g} ± {e.half_width:g}", *split, size.total, None, size.method, "", sentence)


def _calls(e: Expected, options: dict[str, Any]) -> _Row:
    only_a, only_b = (e.discordant + e.sensitivity_gain) / 2, (e.discordant - e.sensitivity_gain) / 2
    size = sizes.mcnemar_sample_size(only_a, only_b, power=e.power, share=e.prevalence, **options)
    sentence = (
        f"{size.cases:,} cases with the finding ({_all(size.total, e)}), called by both raters, show a gain in "
        f"sensitivity of {e.sensitivity_gain:g} {_test(e)} (McNemar) where {e.discordant:.0%} of the calls differ "
        "(Connor 1987, doi:10.2307/2531961)."
    )
    assumed = f"gain {e.sensitivity_gain:g}, {e.discordant:g} discordant"
    split = (size.cases, size.total - size.cases, size.total)
    return ("two raters' sensitivity, same cases", assumed, *split, None, size.method, "", sentence)


def _reading(e: Expected) -> _Row:
    guess = reader_size.ReaderGuess(between=e.reader_range, within=e.reader_repeat, same_reader=e.reader_correlation)
    ratio = (1 - e.present_share) / e.present_share
    needed = reader_size.mrmc_plan(
        e.reader_auc,
        e.reader_gain,
        n_readers=e.readers,
        guess=guess,
        ratio=ratio,
        power=e.power,
        confidence=e.confidence,
    )
    assumed = f"{e.readers} readers, AUC {e.reader_auc:g}, gain {e.reader_gain:g}"
    question = "readers in two arms"
    if isnan(needed.n_cases):
        return (
            question,
            assumed,
            None,
            None,
            None,
            e.readers,
            needed.method,
            needed.note,
            f"No plan. {needed.note}.",
        )
    sentence = (
        f"{e.readers} readers who each read {int(needed.n_present):,} cases with the finding and "
        f"{int(needed.n_absent):,} without it, one of each patient, in both arms show a gain in AUC of "
        f"{e.reader_gain:g} from {e.reader_auc:g} {_test(e)} (Obuchowski-Rockette, readers and cases "
        f"random), the best and the worst reader differing by {e.reader_range:g}, a "
        f"reader's two readings by {e.reader_repeat:g}, a reader's arms correlated "
        f"{e.reader_correlation:g} (Zhou, Obuchowski & McClish 2011, doi:10.1002/9780470906514)."
    )
    cases = (int(needed.n_present), int(needed.n_absent), int(needed.n_cases))
    return (question, assumed, *cases, e.readers, needed.method, needed.note, sentence)
