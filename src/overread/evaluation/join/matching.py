"""The join of scores with the reference standard, and the account of exclusions.

All policies are applied here: the choice of reference standard, the treatment of uncertain labels, the combination of
the scores of several images, cases without a score, mapped outputs, the treatment of uncertain calls of readers, and
reference standards that are derived from reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from overread import codes, tables
from overread.errors import InputError, did_you_mean
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join.account import TABLES, UNMATCHED, Dropped, account_frame, examples_of
from overread.evaluation.join.case_tables import case_table
from overread.evaluation.join.finding_mapping import mapped_scores, with_wholes
from overread.evaluation.join.label_states import Pair, decided_pairs
from overread.evaluation.join.read_matching import ReadJoin, join_reads
from overread.evaluation.join.reference_standards import KEY, decided
from overread.evaluation.join.unmatched import allowed, matched, share_of
from overread.findings import Vocabulary


@dataclass(frozen=True, slots=True)
class Join:
    """Scores beside truths, the cases behind them, and the account.

    scores: case_id, finding, rater, score, truth (bool), source; one row per score whose truth is stated.
    cases: one row per evaluated case: case_id, patient_id, site, weight, pairs_within, stratum and the
    subgroup columns.
    several_images: cases have several images, so that the policy on their scores acts. uncertain: how many labels of
    the reference are uncertain. unscored: the lines of the account about labelled cases that a rater did not score.
    vocabulary: that of the findings. decisions: the raters and findings whose values are decisions, not scores.
    """

    scores: pl.DataFrame
    cases: pl.DataFrame
    account: pl.DataFrame
    vocabulary: Vocabulary
    findings_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mapped: pl.DataFrame = field(default_factory=pl.DataFrame)
    reads: ReadJoin | None = None
    several_images: bool = False
    uncertain: int = 0
    unscored: tuple[Dropped, ...] = ()
    decisions: frozenset[Pair] = frozenset()


def join_tables(
    images: tables.Checked,
    labels: tables.Checked,
    predictions: tables.Checked | None,
    config: EvaluationConfig,
    *,
    split: str = "test",
    reads: tables.Checked | None = None,
) -> Join:
    """Join every score of a case of `split` with the reference standard, under the policies of the configuration.

    Parameters
    ----------
    images, labels, predictions : Checked
        The validated tables of these names; predictions may have case_id instead of image_id. Predictions may be None
        where reads are given: the join is then that of the reads alone.
    config : EvaluationConfig
        The policies.
    split : str
        The split that is evaluated. If no image has a split, all are of split "test".
    reads : Checked, optional
        Answers of readers.

    Returns
    -------
    Join
        Scores with their truth, the cases, and the account.

    Raises
    ------
    InputError
        Several label sources and no choice, or an unknown source; more labels, reads or predictions without an image,
        or labelled cases without a score, than the configuration allows; no score with a truth; what `join_reads`
        refuses.
    """
    dropped: list[Dropped] = _noted(images)
    chosen = _of_split(images, split, dropped)
    cases = case_table(chosen, config, dropped)
    if predictions is None:
        return _reads_alone(tables.Checked(images), labels, reads, cases, config, dropped)
    by_image = "image_id" in predictions.columns
    reference = _reference(labels, images, cases, config, dropped)
    truth = decided(reference, config)
    scores = _case_scores(predictions, images, chosen, config, dropped)
    both = scores.join(truth, on=KEY, how="inner")
    if both.is_empty():
        hint = tables.spelling_hint(labels["case_id"], images["case_id"])
        raise InputError(
            f"join of the {split} cases",
            "scores with a reference label",
            f"{scores.height:,} scores and {truth.height:,} labels, none of the same case and finding",
            do=f"{hint and f'{hint} '}Check that labels and predictions use the same names of cases and findings, and "
            "that the intended label source is selected.",
        )
    decisions = decided_pairs(scores)
    dropped += _decisions(scores, decisions, config)
    scored = scores.group_by("rater").agg(pl.col("finding").unique()).sort("rater").rows()
    findings_of = {str(rater): tuple(sorted(findings)) for rater, findings in scored}
    unscored = _missing(scores, truth, findings_of, config, dropped)
    dropped += unscored
    dropped += _unlabelled(scores, reference)
    dropped += _not_evaluated(scores, both, truth, reference)
    unstated = scores.height - both.height
    if unstated:
        lone = scores.join(truth, on=KEY, how="anti")
        dropped.append(Dropped("predictions", codes.note("label_missing"), unstated, examples_of(lone, KEY)))
    used = cases.join(both.select("case_id").unique(), on="case_id", how="semi")
    if used.height < cases.height:
        lone = cases.join(used, on="case_id", how="anti")
        reason = codes.note("case_without_scored_label")
        dropped.append(Dropped("cases", reason, lone.height, examples_of(lone, ("case_id",))))
    order = [*KEY, "rater", "score", "truth", "source"]
    extra, lacking = _mapped(scores, config)
    if lacking and reads is not None:
        words = codes.note("mapped_output_missing")
        dropped.append(Dropped("outputs", words, len(lacking), "; ".join(lacking[:5])))
    whole = decided(with_wholes(reference, config.mapped()), config)
    read = None
    if reads is not None:
        read = join_reads(reads, labels, images, cases, pl.concat([scores, extra]), config)
    return Join(
        both.select(order).sort(*KEY, "rater"),
        used.sort("case_id"),
        account_frame("join", dropped),
        config.vocabulary,
        findings_of,
        mapped=extra.join(whole, on=KEY, how="inner").select(order),
        reads=read,
        several_images=by_image and chosen["case_id"].n_unique() < chosen.height,
        uncertain=int((reference["state"] == "uncertain").sum()),
        unscored=tuple(unscored),
        decisions=decisions | decided_pairs(extra),
    )


def _reads_alone(
    images: tables.Checked,
    labels: tables.Checked,
    reads: tables.Checked | None,
    cases: pl.DataFrame,
    config: EvaluationConfig,
    dropped: list[Dropped],
) -> Join:
    """Join reads with the reference standards of their cases, without scores."""
    if reads is None:
        raise InputError("join", "predictions or reads", "neither")
    for (source,), mine in sorted(labels.partition_by("source", as_dict=True).items()):
        dropped += matched(mine, images, config.allowance("labels"), name=f"labels of source '{source}'")[1]
    types = {"case_id": pl.String, "finding": pl.String, "rater": pl.String, "score": pl.Float64}
    scores = pl.DataFrame(schema=types)
    read = join_reads(reads, labels, images, cases, scores, config)
    none = scores.with_columns(pl.lit(None, pl.Boolean).alias("truth"), pl.lit(None, pl.String).alias("source"))
    return Join(none, read.cases, account_frame("join", dropped), config.vocabulary, mapped=none, reads=read)


def _noted(images: pl.DataFrame) -> list[Dropped]:
    """Count problems found while the images were read: an impossible age, an unknown view."""
    if "source_note" not in images.columns:
        return []
    notes = images.select("image_id", pl.col("source_note").cast(pl.String).str.split("; ")).explode("source_note")
    groups = notes.drop_nulls().partition_by("source_note", as_dict=True, maintain_order=True)
    return [
        Dropped("images", codes.note("image_note", text=str(n)), g.height, examples_of(g, ("image_id",)), TABLES)
        for (n,), g in groups.items()
    ]


def _mapped(scores: pl.DataFrame, config: EvaluationConfig) -> tuple[pl.DataFrame, list[str]]:
    """Return the scores of mapped outputs, and the models without one of the parts."""
    lacking: list[str] = []
    return mapped_scores(scores, config.mapped(), missing=lacking), lacking


def _of_split(images: pl.DataFrame, split: str, dropped: list[Dropped]) -> pl.DataFrame:
    """Return the images of a split; if no image has a split, all are test images."""
    split_names = images["split"].fill_null("").cast(pl.String)
    if not split_names.is_in(["train", "tune", "test"]).any():
        return images if split == "test" else images.clear()
    if split == "test":
        for other in ("train", "tune", ""):
            rest = images.filter(split_names == other)
            if rest.height:
                word = codes.note("split_not_evaluated", split=other) if other else codes.note("no_split")
                dropped.append(Dropped("images", word, rest.height, examples_of(rest, ("image_id",))))
    return images.filter(split_names == split)


def _source(labels: pl.DataFrame, config: EvaluationConfig, dropped: list[Dropped]) -> pl.DataFrame:
    """Return the labels of the reference standard; those of other sources are counted and never mixed in."""
    present = dict(labels.group_by("source").len().sort("source").rows())
    shown = [f"'{s}' ({n:,})" for s, n in present.items()]
    if not config.sources:
        if len(present) > 1:
            raise InputError(
                "labels",
                "one label source, or the choice of one as reference standard",
                f"{len(present)} sources",
                examples=shown,
                do="State it: --reference SOURCE (evaluation.reference in a file).",
            )
        return labels
    for name in config.sources:
        if name not in present:
            hint = did_you_mean(name, present)
            raise InputError("labels", f"the label source '{name}'", "other sources", examples=shown, do=hint)
    chosen = labels.filter(pl.col("source").is_in(list(config.sources)))
    twice = chosen.filter(pl.struct(KEY).is_duplicated())
    if twice.height:
        raise InputError(
            "labels",
            "one reference per case and finding",
            f"{twice.height:,} labels of a case and finding that two of the named sources label",
            examples=examples_of(twice, KEY).split("; "),
            do="Name one of these sources.",
        )
    for name, count in present.items():
        if name not in config.sources:
            dropped.append(Dropped("labels", codes.note("source_not_reference", source=name), count))
    return chosen


def _reference(
    labels: pl.DataFrame,
    images: pl.DataFrame,
    cases: pl.DataFrame,
    config: EvaluationConfig,
    dropped: list[Dropped],
) -> pl.DataFrame:
    """Return the reference labels of the evaluated cases, and count uncertain ones."""
    for (source,), mine in sorted(labels.partition_by("source", as_dict=True).items()):
        if not config.sources or source in (*config.sources, *(config.references or [source])):
            dropped += matched(mine, images, config.allowance("labels"), name=f"labels of source '{source}'")[1]
    chosen = _source(labels, config, dropped).join(cases.select("case_id"), on="case_id", how="semi")
    uncertain = pl.col("state") == "uncertain"
    recoded = {} if config.uncertain == "ignore" else {"state": config.uncertain}
    rows = chosen.filter(uncertain)
    if rows.height:
        reason = codes.note("uncertain_recoded", **recoded) if recoded else codes.note("uncertain_excluded")
        dropped.append(Dropped("labels", reason, rows.height, examples_of(rows, KEY)))
    # The same policy acts on every source that is compared with the reference standard.
    evaluated = labels.filter(uncertain).join(chosen.select(KEY), on=KEY, how="semi")
    for (source,), rows in sorted(evaluated.partition_by("source", as_dict=True).items()):
        if config.sources and source not in config.sources and source in (config.references or [source]):
            name = "other_uncertain_recoded" if recoded else "other_uncertain_excluded"
            reason = codes.note(name, source=source, **recoded)
            dropped.append(Dropped("labels", reason, rows.height, examples_of(rows, KEY)))
    return chosen


def _case_scores(
    predictions: pl.DataFrame,
    images: pl.DataFrame,
    chosen: pl.DataFrame,
    config: EvaluationConfig,
    dropped: list[Dropped],
) -> pl.DataFrame:
    """Combine the scores of the images of each case by the policy: case_id, finding, rater, score."""
    unit = "image_id" if "image_id" in predictions.columns else "case_id"
    shifted = predictions.filter(pl.col("shift") != "none")
    if shifted.height:
        dropped.append(Dropped("predictions", codes.note("shifted_images"), shifted.height))
        predictions = predictions.filter(pl.col("shift") == "none")
    predictions, unmatched = matched(predictions, images, config.allowance("predictions"), name="predictions", key=unit)
    dropped += unmatched
    place = chosen.select(unit, *({"case_id"} - {unit})).unique()
    scores = predictions.join(place, on=unit, how="inner").rename({"model": "rater"})
    outside = predictions.height - scores.height
    if outside:
        dropped.append(Dropped("predictions", codes.note("images_not_evaluated"), outside))
    scores = scores.select(*KEY, "rater", "score")
    if unit == "case_id" or chosen["case_id"].n_unique() == chosen.height:
        return scores
    how = pl.col("score").mean() if config.case_score == "mean" else pl.col("score").max()
    if decided := decided_pairs(scores):  # a decision is not averaged: present if it is in any image
        pairs = pl.DataFrame(sorted(decided), schema=["rater", "finding"], orient="row").with_columns(_decision=True)
        scores = scores.join(
            pairs.with_columns(pl.col("finding").cast(scores.schema["finding"])),
            on=["rater", "finding"],
            how="left",
            maintain_order="left",
        )
        how = pl.when(pl.col("_decision").first().fill_null(False)).then(pl.col("score").max()).otherwise(how)
    case_scores = scores.group_by(*KEY, "rater", maintain_order=True).agg(how.alias("score"), pl.len().alias("_images"))
    several = case_scores.filter(pl.col("_images") > 1)["case_id"].n_unique()
    words = codes.note("case_score_combined", how=config.case_score)
    dropped.append(Dropped("cases", words, several))
    size = chosen.group_by("case_id").len("_size")
    partly = case_scores.join(size, on="case_id").filter(pl.col("_images") < pl.col("_size"))
    if partly.height:
        count = partly["case_id"].n_unique()
        reason = codes.note("case_score_partial")
        dropped.append(Dropped("cases", reason, count, examples_of(partly, ("case_id",))))
    return case_scores.drop("_images")


def _decisions(scores: pl.DataFrame, decisions: frozenset[Pair], config: EvaluationConfig) -> list[Dropped]:
    """Count models that give decisions in place of scores, and findings of other models with the values 0 and 1."""
    lines, members = [], config.member_names()
    pairs = set(scores.select("rater", pl.col("finding").cast(pl.String)).unique().iter_rows())
    mixed = {r for r, _ in pairs - decisions}
    whole = sorted({r for r, _ in decisions} - mixed - set(members))
    if whole:
        lines.append(Dropped("models", codes.note("decisions_without_scores"), len(whole), "; ".join(whole[:5])))
    for rater in sorted(mixed - set(members)):
        found = sorted(f for r, f in decisions if r == rater)
        if found:
            lines.append(
                Dropped("findings", codes.note("two_valued_scores", rater=rater), len(found), "; ".join(found[:5]))
            )
    return lines


def _missing(
    scores: pl.DataFrame,
    truth: pl.DataFrame,
    findings_of: Mapping[str, Iterable[str]],
    config: EvaluationConfig,
    dropped: list[Dropped],
) -> list[Dropped]:
    """Count labelled cases without a score of a rater, for the findings that it scores; too large a share is refused.

    Findings that a rater does not score at all are added to `dropped`.
    """
    problems, found = [], {}
    members = config.member_names()
    for rater, scored in findings_of.items():
        labelled = truth.filter(pl.col("finding").is_in(list(scored))).select(KEY)
        lone = labelled.join(scores.filter(pl.col("rater") == rater), on=KEY, how="anti")
        silent = sorted(set(truth["finding"].unique()) - set(scored))
        if silent and rater not in members:  # a seed gives what its ensemble gives: said once
            words = codes.note("finding_not_an_output", rater=rater)
            dropped.append(Dropped("findings", words, len(silent), "; ".join(silent[:5])))
        if lone.is_empty():
            continue
        cases, total = lone["case_id"].n_unique(), labelled["case_id"].n_unique()
        if cases > config.allowance("scores").share * total:
            problems.append(
                InputError(
                    f"predictions of {rater}",
                    "a score for every labelled case and finding",
                    f"{cases:,} of {total:,} cases ({cases / total:.1%}) without one",
                    examples=lone.select(pl.format("{} {}", *KEY)).to_series().head(5),
                    do=f"Score them, or allow it: {allowed('evaluation.missing_allowed.scores', cases / total)}.",
                )
            )
        found[rater] = _lines_of_unscored(rater, lone, labelled), lone
    if problems:
        raise InputError.all(problems)
    kept = []
    for rater, (lines, lone) in found.items():
        whole = found.get(members.get(rater, ""))
        if whole is None or lone.join(whole[1], on=KEY, how="anti").height:  # what its ensemble lacks is said once
            kept += lines
    return kept


def _lines_of_unscored(rater: str, lone: pl.DataFrame, labelled: pl.DataFrame) -> list[Dropped]:
    """Count cases without any score apart from those that lack the score of some findings and count for the others."""
    total = labelled["case_id"].n_unique()
    scored = labelled.join(lone, on=KEY, how="anti").select("case_id")
    whole, partly = (lone.join(scored, on="case_id", how=how) for how in ("anti", "semi"))
    lines = []
    for without, name in ((whole, "labelled_not_scored"), (partly, "finding_unscored")):
        if without.is_empty():
            continue
        cases = without["case_id"].n_unique()
        given: dict[str, codes.Parameter] = {"rater": rater, "share": share_of(cases, total), "of": total}
        if name == "finding_unscored":
            given["findings"] = tuple(sorted(without["finding"].unique()))
        lines.append(Dropped("cases", codes.note(name, **given), cases, examples_of(without, KEY), UNMATCHED))
    return lines


def _not_evaluated(
    scores: pl.DataFrame, both: pl.DataFrame, truth: pl.DataFrame, reference: pl.DataFrame
) -> list[Dropped]:
    """Name the scored findings without a label that counts: those whose labels are all uncertain, and the others."""
    lone = set(scores["finding"]) - set(both["finding"])
    unsure = reference.filter(
        pl.col("state") == "uncertain", pl.col("finding").is_in(list(lone - set(truth["finding"])))
    )
    uncertain = tuple(sorted(unsure["finding"].unique()))
    unlabelled = tuple(sorted(lone - set(uncertain)))
    found = []
    if uncertain:
        words = codes.note("findings_only_uncertain", n=unsure.height, findings=uncertain)
        found.append(Dropped("findings", words, len(uncertain), "; ".join(uncertain[:5])))
    if unlabelled:
        words = codes.note("findings_without_label", findings=unlabelled)
        found.append(Dropped("findings", words, len(unlabelled), "; ".join(unlabelled[:5])))
    return found


def _unlabelled(scores: pl.DataFrame, reference: pl.DataFrame) -> list[Dropped]:
    """Count scored cases without any reference label."""
    scored = scores.select("case_id").unique(maintain_order=True)
    lone = scored.join(reference, on="case_id", how="anti")
    if lone.is_empty():
        return []
    reason = codes.note("scored_not_labelled", share=share_of(lone.height, scored.height), of=scored.height)
    return [Dropped("cases", reason, lone.height, examples_of(lone, ("case_id",)), UNMATCHED)]
