"""The settings of a comparison of arms, checked with the reads: the baseline arm and the rating cut-offs."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from overread import codes
from overread.errors import InputError, did_you_mean
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join.account import Dropped

UNAIDED = "unaided"


def ordered_arms(arms: Sequence[str], config: EvaluationConfig) -> list[str]:
    """Return the arms with the baseline first, then by name.

    >>> ordered_arms(["aided", "unaided"], EvaluationConfig())
    ['unaided', 'aided']
    """
    baseline = config.baseline_arm or UNAIDED
    return sorted(arms, key=lambda arm: (arm != baseline, arm))


def check_arms(reads: pl.DataFrame, config: EvaluationConfig) -> None:
    """Refuse an unknown or missing baseline arm, and rating cut-offs of findings without ratings or off their scale."""
    problems = [*_baseline_problems(reads["arm"].unique().sort().to_list(), config), *_cutoff_problems(reads, config)]
    if problems:
        raise InputError.all(problems)


def left_out(reads: pl.DataFrame, references: Sequence[str], made: Sequence[str], dropped: list[Dropped]) -> None:
    """Count the reference standards by which arms are not compared, because the same readers made them."""
    own = [name for name in references if name in made]
    if own and reads["arm"].n_unique() > 1:
        words = codes.note("arms_not_judged_by_own_reads")
        dropped.append(Dropped("reference standards", words, len(own), "; ".join(own[:5])))


def _baseline_problems(arms: Sequence[str], config: EvaluationConfig) -> list[InputError]:
    baseline = config.baseline_arm
    if baseline and baseline not in arms:
        found = f"'{baseline}'; the reads have {', '.join(arms)}"
        return [InputError("evaluation.baseline_arm", "an arm of the reads", found, do=did_you_mean(baseline, arms))]
    if baseline or len(arms) < 2 or UNAIDED in arms:
        return []
    return [
        InputError(
            "evaluation.baseline_arm",
            f"the arm that is subtracted from the others, or an arm '{UNAIDED}'",
            f"{len(arms)} arms, none stated",
            examples=arms,
            do="State the usual arm: --baseline-arm ARM.",
        )
    ]


def _cutoff_problems(reads: pl.DataFrame, config: EvaluationConfig) -> list[InputError]:
    given = config.rating_cutoffs
    graded = reads.filter(pl.col("score").is_not_null())
    scales = graded.group_by("finding").agg(pl.col("score").min().alias("low"), pl.col("score").max().alias("high"))
    by_finding = {str(f): (low, high) for f, low, high in scales.sort("finding").rows()}
    problems = []
    for finding in given if not isinstance(given, int | float) else by_finding:
        where = "evaluation.rating_cutoffs" + ("" if isinstance(given, int | float) else f".{finding}")
        cutoff = config.rating_cutoff(finding)
        if finding not in by_finding:
            found = f"no graded read of '{finding}'"
            problems.append(InputError(where, "findings with graded reads", found, examples=list(by_finding)))
        elif cutoff is not None and not by_finding[finding][0] < cutoff <= by_finding[finding][1]:
            low, high = by_finding[finding]
            expected = f"a rating of '{finding}' above {low:g} and at most {high:g}"
            do = "A read counts as present if its rating is at least the cut-off."
            problems.append(InputError(where, expected, f"{cutoff:g}", do=do))
    if isinstance(given, int | float) and not by_finding:
        problems.append(InputError("evaluation.rating_cutoffs", "graded reads", "calls only"))
    return problems
