"""The join of reads with scores and reference standards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from overread import codes, tables
from overread.errors import InputError
from overread.evaluation.arms.arm_settings import check_arms, left_out
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join.account import Dropped, account_frame, examples_of
from overread.evaluation.join.counted_reads import MADE, first_readings, not_judged
from overread.evaluation.join.finding_mapping import with_wholes
from overread.evaluation.join.reference_standards import DERIVED, KEY, Truths, truths, with_others
from overread.evaluation.join.unmatched import matched
from overread.findings import Vocabulary

READ = ("reader", "case_id", "arm", "round")
READERS = "(readers)"  # the mean of the readers or the pooled readers, where a row names one
RESERVED = (READERS, "(mean)")
FEW_READS = 10  # present or absent reads below which the rate among them has no interval


@dataclass(frozen=True, slots=True, eq=False)
class ReadJoin:
    """What the join makes of reads.

    reads: first readings: reader, case_id, finding, arm, round, score, call, under "absent", "present" and "ignore" the
    call as that policy has it (null = left out), and under "others_absent" … what most of the other readers of the case
    say. repeats: every reading, with these calls, of the cases that a reader read again in the same arm. made: reader,
    case_id and finding of the reads that a reference does not judge, by reference.
    vocabulary: that of the findings.
    scores: case_id, finding, rater, score of the outputs for the read cases. cases: one row per read case.
    """

    reads: pl.DataFrame
    scores: pl.DataFrame
    cases: pl.DataFrame
    truths: Truths
    account: pl.DataFrame
    vocabulary: Vocabulary
    repeats: pl.DataFrame = field(default_factory=pl.DataFrame)
    made: Mapping[str, pl.DataFrame] = field(default_factory=dict)


def join_reads(
    reads: pl.DataFrame,
    labels: pl.DataFrame,
    images: pl.DataFrame,
    cases: pl.DataFrame,
    scores: pl.DataFrame,
    config: EvaluationConfig,
) -> ReadJoin:
    """Join reads with scores and reference standards, and account for exclusions.

    `labels` and `images` are the complete tables; `cases` the evaluated cases; `scores` has case_id, finding, rater and
    score of all outputs, mapped ones included.

    Raises
    ------
    InputError
        A read without call and score, reads of unknown cases only, or an unknown reference standard.
    """
    dropped: list[Dropped] = []
    sound = _sound(reads)
    _not_models(sound, scores)
    check_arms(sound, config)
    reads = _of_cases(sound, images, cases, config, dropped)
    scored_findings = set(scores["finding"].unique())
    lone = [f for f in reads["finding"].unique().sort() if f not in scored_findings]
    if lone and scored_findings:
        words = codes.note("read_not_scored_by_any")
        dropped.append(Dropped("findings", words, len(lone), "; ".join(lone[:5])))
    reads, repeats = first_readings(_calls(reads, config, dropped), dropped)
    reads = with_others(reads, config, dropped)
    seen = reads.select("case_id").unique()
    without = cases.join(seen, on="case_id", how="anti")
    if without.height:
        reason = codes.note("case_without_read")
        dropped.append(Dropped("cases", reason, without.height, examples_of(without, ("case_id",))))
    read_keys = reads.select(KEY).unique()
    _refuse_unlabelled(labels, seen)
    own_labels = with_wholes(labels, config.mapped()).join(read_keys, on=list(KEY), how="semi")
    reference_truths = truths(own_labels, reads, config, dropped)
    made = not_judged(reads, reference_truths.frame, dropped)
    left_out(reads, reference_truths.names, (*DERIVED, *config.made_by_all), dropped)
    _few(reads, reference_truths, config, dropped)
    mine = scores.join(read_keys, on=list(KEY), how="semi").select(*KEY, "rater", "score")
    _unscored(mine, reads, dropped)
    return ReadJoin(
        reads.sort(*READ, "finding"),
        mine,
        cases.join(seen, on="case_id", how="semi").sort("case_id"),
        reference_truths,
        account_frame("reads", dropped),
        config.vocabulary,
        repeats,
        made,
    )


def _sound(reads: pl.DataFrame) -> pl.DataFrame:
    """Return the reads in plain types; reads without call and score are refused."""
    if reads.is_empty():
        raise InputError("reads", "reads", "none", do="Give a row for every case that a reader read.")
    empty = reads.filter(pl.col("score").is_null() & pl.col("call").is_null())
    if empty.height:
        raise InputError(
            "reads",
            "a call or a score in every row",
            f"{empty.height:,} rows with neither",
            examples=examples_of(empty, ("reader", "case_id", "finding")).split("; "),
            do="Leave out the row of a finding that the reader did not answer.",
        )
    reads = reads.with_columns(pl.col("finding").cast(pl.String), pl.col("call").cast(pl.String))
    _plain_names(reads)
    return reads


def _plain_names(reads: pl.DataFrame) -> None:
    """Refuse readers named like the mean of the readers or a mean over findings."""
    reserved = [r for r in reads["reader"].unique().sort() if r in RESERVED]
    if reserved:
        do = "Name the reader otherwise."
        raise InputError(
            "reads", f"readers other than {' and '.join(RESERVED)}", "a reader of that name", examples=reserved, do=do
        )


def _not_models(reads: pl.DataFrame, scores: pl.DataFrame) -> None:
    """Refuse a reader and a model of the same name, whose rows could not be distinguished."""
    both = sorted(set(reads["reader"].unique()) & set(scores["rater"].unique()))
    if both:
        raise InputError(
            "reads",
            "readers and models with different names",
            "a reader and a model with the same name",
            examples=both,
            do="Rename the file: its name is the model name.",
        )


def _refuse_unlabelled(labels: pl.DataFrame, seen: pl.DataFrame) -> None:
    """Refuse labels of which none is of a case that was read: they judge no reader."""
    if labels.is_empty() or labels.join(seen, on="case_id", how="semi").height:
        return
    read, labelled = seen["case_id"].sort(), labels["case_id"].unique().sort()
    hint = tables.spelling_hint(read, labelled)
    raise InputError(
        "reads",
        "reads of cases with a label",
        f"{read.len():,} cases that were read and {labelled.len():,} with a label, none of them the same",
        examples=[f"read: '{read[0]}'", f"labelled: '{labelled[0]}'"],
        do=f"{hint and f'{hint} '}Check that both files use the same names of cases, or leave the labels out.",
    )


def _of_cases(
    reads: pl.DataFrame,
    images: pl.DataFrame,
    cases: pl.DataFrame,
    config: EvaluationConfig,
    dropped: list[Dropped],
) -> pl.DataFrame:
    unknown = reads.join(images.select("case_id"), on="case_id", how="anti")
    own_reads = reads.join(cases.select("case_id"), on="case_id", how="semi")
    if own_reads.is_empty():
        found = f"{unknown['case_id'].n_unique():,} cases that are not in it"
        if unknown.height < reads.height:
            found += f" and {(reads.height - unknown.height):,} answers on cases of another split"
        hint = tables.spelling_hint(unknown["case_id"], images["case_id"])
        do = f"{hint} Check that both files use the same names of cases.".strip()
        if unknown["case_id"].is_in(images["image_id"].to_list()).any():
            do = "These are images, and a case of this table has another name: give the case of each read (case_id)."
        raise InputError(
            "reads",
            "reads of test cases of the images table",
            found,
            examples=reads["case_id"].unique(maintain_order=True).head(5),
            do=do,
        )
    known, unmatched = matched(reads, images, config.allowance("reads"), name="reads", unit=READ)
    dropped += unmatched
    other = known.join(cases.select("case_id"), on="case_id", how="anti")
    if other.height:
        shown = examples_of(other, ("case_id",))
        reason = codes.note("reads_of_other_split")
        dropped.append(Dropped("reads", reason, other.select(READ).n_unique(), shown))
    return own_reads


def _calls(reads: pl.DataFrame, config: EvaluationConfig, dropped: list[Dropped]) -> pl.DataFrame:
    """Return the reads with the call under each policy: true, false, or null if excluded."""
    call = pl.col("call")
    sure = pl.when(call == "present").then(True).when(call == "absent").then(False)
    with_calls = reads.with_columns(
        sure.when(call == "uncertain").then(False).alias("absent"),
        sure.when(call == "uncertain").then(True).alias("present"),
        sure.alias("ignore"),
    )
    for finding, mine in sorted(with_calls.filter(call == "uncertain").partition_by("finding", as_dict=True).items()):
        words = codes.note("uncertain_calls_excluded", finding=finding[0])
        if config.uncertain_calls != "ignore":
            words = codes.note("uncertain_calls_recoded", finding=finding[0], state=config.uncertain_calls)
        dropped.append(Dropped("reads", words, mine.height, examples_of(mine, ("reader", "case_id"))))
    scored = with_calls.filter(call.is_null())
    cut = [f for f in scored["finding"].unique() if config.rating_cutoff(f) is not None]
    scored = scored.filter(~pl.col("finding").is_in(cut))  # the ratings of the others are calls at the cut-off
    if scored.height:
        words = codes.note("scores_without_call")
        dropped.append(Dropped("reads", words, scored.select(READ).n_unique(), ""))
    return with_calls


def _few(reads: pl.DataFrame, reference_truths: Truths, config: EvaluationConfig, dropped: list[Dropped]) -> None:
    """Count readers with few present or absent reads for a reference standard, and readers without reads in an arm."""
    truth = reference_truths.frame.filter(pl.col("uncertain_call").is_in(["", config.uncertain_calls]))
    both = reads.filter(pl.col(config.uncertain_calls).is_not_null()).join(truth, on=list(KEY))
    if MADE in both.columns:
        both = both.filter(~pl.col(MADE).list.contains(pl.col("reference")))
    counted = both.group_by("finding", "arm", "reference", "reader").agg(
        pl.col("truth").sum().alias("present"), (~pl.col("truth")).sum().alias("absent")
    )
    few = counted.filter(pl.min_horizontal("present", "absent") < FEW_READS)
    for (finding, arm, reference), mine in sorted(
        few.partition_by("finding", "arm", "reference", as_dict=True).items()
    ):
        where = {"finding": finding, "arm": arm, "reference": reference}
        words = codes.note("readers_with_few_reads", **where, least=FEW_READS)
        dropped.append(Dropped("readers", words, mine.height, examples_of(mine.sort("reader"), ("reader",))))
    readers, arms = reads.select("reader").unique(), reads.select("arm").unique()
    lone = readers.join(arms, how="cross").join(reads, on=["reader", "arm"], how="anti").sort("arm", "reader")
    for (arm,), mine in sorted(lone.partition_by("arm", as_dict=True).items()):
        dropped.append(
            Dropped(
                "readers",
                codes.note("reader_without_read_in_arm", arm=arm),
                mine.height,
                examples_of(mine, ("reader",)),
            )
        )


def _unscored(scores: pl.DataFrame, reads: pl.DataFrame, dropped: list[Dropped]) -> None:
    """Count read cases without a score of an output; they are excluded for every output of the finding and for
    readers.
    """
    for (finding,), mine in sorted(scores.partition_by("finding", as_dict=True).items()):
        read_cases = reads.filter(pl.col("finding") == finding).select("case_id").unique()
        raters = mine["rater"].n_unique()
        whole = mine.group_by("case_id").len("raters").filter(pl.col("raters") == raters)
        lone = read_cases.join(whole, on="case_id", how="anti")
        if lone.height:
            words = codes.note("read_not_scored_by_all", finding=finding)
            dropped.append(Dropped("cases", words, lone.height, examples_of(lone.sort("case_id"), ("case_id",))))
