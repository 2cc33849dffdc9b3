"""How many patients, cases and readers a study needs: one table and the sentences for its protocol."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isnan
from pathlib import Path
from typing import Any

import polars as pl

from overread import tables
from overread.errors import InputError
from overread.stats import power as sizes


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of a study, and how sure it is to be; every number is a guess to be argued in the protocol.

    auc: the model's; auc_width: of its interval; auc_least: the AUC that it must be told from; auc_other and
    auc_correlation: another model's on the same cases, and the correlation of the two estimates. sensitivity,
    specificity: with half_width of their intervals; sensitivity_gain: by how much more a second rater finds, of
    discordant, the share of present cases that the two call differently. prevalence: of the finding among the cases;
    images_per_patient, image_correlation: the design effect. reader_auc, reader_gain: the mean reader's AUC and the
    gain of the aided arm; readers; reader_range: best minus worst reader; reader_repeat: difference of a reader's two
    readings; reader_correlation: of a reader's two arms from sharing the cases; present_share: of the cases read.
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
    """The table (question, assumed, present, absent, cases, readers, method) and a sentence for each of its rows."""

    table: pl.DataFrame
    sentences: tuple[str, ...]

    def write(self, folder: Path | str) -> Path:
        """Write plan.csv and plan.txt into the folder, each whole or not at all; the folder's path is returned."""
        folder = Path(folder)
        tables.write_frame(self.table, folder / "plan.csv")
        tables.write_text(folder / "plan.txt", "\n\n".join(self.sentences) + "\n")
        return folder


def plan(expected: Expected) -> Plan:
    """How many cases, with and without the finding, each question of a study needs.

    Parameters: expected, see `Expected`. Returns a Plan: an AUC's interval, an AUC against the least acceptable one,
    two models' AUCs, sensitivity and specificity, paired calls, and readers in two arms. Several images of a patient
    inflate the numbers by 1 + (images - 1) correlation.
    Raises InputError for what no study can have: every problem at once.
    Each row is one call of `overread.stats.power`, which names paper and check.

    >>> plan(Expected(auc=0.85, auc_width=0.1)).table.row(0, named=True)["present"]
    93
    """
    _check(expected)
    e = expected
    effect = sizes.design_effect(e.images_per_patient, e.image_correlation)
    given: dict[str, Any] = {"design_effect": effect, "confidence": e.confidence}
    rows = [_width(e, given), _least(e, given), _two_models(e, given)]
    rows += [_rate(e, given, present=True), _rate(e, given, present=False), _calls(e, given), _reading(e)]
    names = ("question", "assumed", "present", "absent", "cases", "readers", "method", "note")
    frame = pl.DataFrame([r[:8] for r in rows], schema=dict(zip(names, _TYPES, strict=True)), orient="row")
    return Plan(frame, tuple(r[8] for r in rows))


_TYPES = (pl.String, pl.String, pl.Int64, pl.Int64, pl.Int64, pl.Int64, pl.String, pl.String)
_Row = tuple[str, str, int | None, int | None, int | None, int | None, str, str, str]


def _check(e: Expected) -> None:
    """Refuse what is no share, and what cannot be together; the statistics check the rest."""
    shares = {f.name for f in fields(e)} - {"images_per_patient", "image_correlation", "readers"}
    problems = [
        InputError(f"plan: {name}", "a number between 0 and 1", f"{getattr(e, name)}")
        for name in sorted(shares)
        if not 0 < getattr(e, name) < 1
    ]
    if e.auc_other == e.auc:
        problems.append(InputError("plan: auc_other", "an AUC other than the model's", f"{e.auc_other}"))
    if e.sensitivity_gain >= e.discordant:
        found = f"a gain of {e.sensitivity_gain:g} among {e.discordant:g} discordant"
        problems.append(InputError("plan: discordant", "more discordant cases than the gain alone", found))
    if e.reader_auc + e.reader_gain >= 1:
        found = f"{e.reader_auc:g} and {e.reader_gain:g} more"
        problems.append(InputError("plan: reader_gain", "an aided AUC below 1", found))
    if problems:
        raise InputError.all(problems)


def _ratio(e: Expected) -> float:
    return (1 - e.prevalence) / e.prevalence


def _images(e: Expected, effect: float) -> str:
    if effect == 1:
        return ""
    return (
        f", inflated by {effect:.2f} for {e.images_per_patient:g} images per patient of correlation "
        f"{e.image_correlation:g}"
    )


def _sentence(made: sizes.Needed, e: Expected, effect: float, aim: str, source: str) -> str:
    return (
        f"{made.present:,} cases with the finding and {made.absent:,} without it ({made.total:,} at a prevalence of "
        f"{e.prevalence:g}{_images(e, effect)}) {aim} ({source})."
    )


def _width(e: Expected, given: dict[str, Any]) -> _Row:
    made = sizes.auc_sample_size(e.auc, width=e.auc_width, ratio=_ratio(e), **given)
    aim = f"give a {e.confidence:.0%} interval of width {e.auc_width:g} for an expected AUC of {e.auc:g}"
    said = _sentence(made, e, given["design_effect"], aim, "Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747")
    assumed = f"AUC {e.auc:g}, width {e.auc_width:g}"
    return ("AUC: width of its interval", assumed, *_cases(made), None, made.method, "", said)


def _least(e: Expected, given: dict[str, Any]) -> _Row:
    made = sizes.auc_sample_size(e.auc, null=e.auc_least, ratio=_ratio(e), power=e.power, **given)
    aim = f"tell an expected AUC of {e.auc:g} from {e.auc_least:g} with {e.power:.0%} power"
    said = _sentence(made, e, given["design_effect"], aim, "Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747")
    assumed = f"AUC {e.auc:g} against {e.auc_least:g}"
    return ("AUC against the least acceptable", assumed, *_cases(made), None, made.method, "", said)


def _two_models(e: Expected, given: dict[str, Any]) -> _Row:
    pair = sizes.assumed_pair(e.auc, e.auc_other, correlation=e.auc_correlation, ratio=_ratio(e))
    made = sizes.paired_auc_sample_size(pair, power=e.power, null="delong", **given)
    aim = (
        f"tell AUCs of {e.auc:g} and {e.auc_other:g} on the same cases apart with {e.power:.0%} power, the estimates "
        f"correlated {e.auc_correlation:g}"
    )
    source = "Obuchowski & McClish 1997, doi:10.1002/(SICI)1097-0258(19970715)16:13<1529::AID-SIM565>3.0.CO;2-H"
    assumed = f"AUCs {e.auc:g} and {e.auc_other:g}, correlation {e.auc_correlation:g}"
    said = _sentence(made, e, given["design_effect"], aim, source)
    return ("two models' AUCs, same cases", assumed, *_cases(made), None, made.method, "", said)


def _cases(made: sizes.Needed) -> tuple[int, int, int]:
    return made.present, made.absent, made.total


def _rate(e: Expected, given: dict[str, Any], *, present: bool) -> _Row:
    name, rate = ("sensitivity", e.sensitivity) if present else ("specificity", e.specificity)
    share = e.prevalence if present else 1 - e.prevalence
    made = sizes.rate_sample_size(rate, half_width=e.half_width, share=share, interval="wilson", **given)
    other = made.total - made.cases
    split = (made.cases, other) if present else (other, made.cases)
    kind = "with the finding" if present else "without it"
    said = (
        f"{made.cases:,} cases {kind} ({made.total:,} at a prevalence of {e.prevalence:g}"
        f"{_images(e, given['design_effect'])}) give a {e.confidence:.0%} Wilson interval of half width "
        f"{e.half_width:g} for an expected {name} of {rate:g} (Buderer 1996, "
        "doi:10.1111/j.1553-2712.1996.tb03538.x)."
    )
    return (f"{name}: precision", f"{rate:g} ± {e.half_width:g}", *split, made.total, None, made.method, "", said)


def _calls(e: Expected, given: dict[str, Any]) -> _Row:
    only_a, only_b = (e.discordant + e.sensitivity_gain) / 2, (e.discordant - e.sensitivity_gain) / 2
    made = sizes.mcnemar_sample_size(only_a, only_b, power=e.power, share=e.prevalence, **given)
    said = (
        f"{made.cases:,} cases with the finding ({made.total:,} at a prevalence of {e.prevalence:g}"
        f"{_images(e, given['design_effect'])}), called by both raters, show a gain in sensitivity of "
        f"{e.sensitivity_gain:g} with {e.power:.0%} power where {e.discordant:.0%} of calls differ "
        "(Connor 1987, doi:10.2307/2531961)."
    )
    assumed = f"gain {e.sensitivity_gain:g}, {e.discordant:g} discordant"
    split = (made.cases, made.total - made.cases, made.total)
    return ("two raters' sensitivity, same cases", assumed, *split, None, made.method, "", said)


def _reading(e: Expected) -> _Row:
    guess = sizes.ReaderGuess(between=e.reader_range, within=e.reader_repeat, same_reader=e.reader_correlation)
    ratio = (1 - e.present_share) / e.present_share
    made = sizes.mrmc_plan(
        e.reader_auc, e.reader_gain, n_readers=e.readers, guess=guess, ratio=ratio, power=e.power,
        confidence=e.confidence,
    )  # fmt: skip
    assumed = f"AUC {e.reader_auc:g}, gain {e.reader_gain:g}, range {e.reader_range:g}"
    question = "readers in two arms, every case read in both"
    if isnan(made.n_cases):
        return (question, assumed, None, None, None, e.readers, made.method, made.note, f"No plan: {made.note}.")
    said = (
        f"{e.readers} readers who each read {int(made.n_present):,} cases with the finding and {int(made.n_absent):,} "
        f"without it in both arms show a gain in AUC of {e.reader_gain:g} from {e.reader_auc:g} with {e.power:.0%} "
        f"power, readers differing by {e.reader_range:g} from best to worst (Obuchowski-Rockette; Zhou, Obuchowski & "
        "McClish 2011, doi:10.1002/9780470906514)."
    )
    cases = (int(made.n_present), int(made.n_absent), int(made.n_cases))
    return (question, assumed, *cases, e.readers, made.method, made.note, said)
