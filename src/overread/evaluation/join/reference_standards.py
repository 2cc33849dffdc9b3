"""Reference standards: label sources, and reads combined by majority vote or the model of Dawid and Skene.

An uncertain call is a vote only under a policy, so every derived reference standard exists once per policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import polars as pl

from overread import codes
from overread.codes import Text
from overread.errors import InputError, did_you_mean
from overread.evaluation.arms.arm_settings import ordered_arms
from overread.evaluation.evaluation_config import UNCERTAIN, EvaluationConfig
from overread.evaluation.join.account import Dropped, examples_of
from overread.stats import agreement
from overread.stats.arrays import Floats

KEY = ("case_id", "finding")
MAJORITY, DAWID_SKENE = "majority", "dawid-skene"
DERIVED = (MAJORITY, DAWID_SKENE)
OTHERS = "majority of the others"
LEAST_VOTES = 3  # of a case with most votes: of one or two votes that agree, each reader agrees with the majority
LEAST_OTHERS = 2  # votes of other readers of a case
# Note codes: too few votes for a majority, a model that the votes do not identify
REFUSED = {MAJORITY: "majority_refused", DAWID_SKENE: "dawid_skene_refused"}
WEAK_PRIOR = agreement.RatePrior(sensitivity=(4, 2), specificity=(4, 2))  # modes at 3/4, with the weight of 4 cases


@dataclass(frozen=True, slots=True, eq=False)
class Truths:
    """Truths of the read findings under every reference.

    frame: case_id, finding, reference, uncertain_call ("" = does not hang on it), truth. names: the references in their
    order. notes: what a row that rests on one must say, by finding, reference and uncertain_call. estimated: each
    reader's sensitivity and specificity as Dawid and Skene's model has them, and the expected present and absent cases
    that they rest on, by finding and uncertain_call.
    """

    frame: pl.DataFrame
    names: tuple[str, ...]
    notes: Mapping[tuple[str, str, str], Text] = field(default_factory=dict)
    estimated: Mapping[tuple[str, str], Mapping[str, tuple[float, ...]]] = field(default_factory=dict)

    def note(self, finding: str, reference: str, policy: str) -> Text:
        """Return the note on a finding for a reference standard and a policy on uncertain calls."""
        return self.notes.get((finding, reference, policy), self.notes.get((finding, reference, ""), codes.NONE))

    def refused(self, finding: str, reference: str, policy: str) -> bool:
        """Return whether a derived reference standard does not exist: too few votes, or a model not identified."""
        return any(code.name == REFUSED.get(reference) for code in self.note(finding, reference, policy).codes)

    def rates(self, finding: str, policy: str) -> Mapping[str, tuple[float, ...]]:
        """Return the sensitivity and specificity of each reader by the model of Dawid and Skene, with expected numbers
        of cases.
        """
        return self.estimated.get((finding, policy), self.estimated.get((finding, ""), {}))


def check_names(labels: pl.DataFrame, config: EvaluationConfig, *, reads: bool) -> None:
    """Refuse unknown reference standards and sources, and those that need reads if there are none."""
    sources = labels["source"].cast(pl.String).unique().sort().to_list()
    problems = []
    for key, names, known in (
        ("references", config.references, [*sources, *DERIVED]),
        ("reader_made", config.reader_made, sources),
        ("reference", config.sources, sources),
    ):
        for name in names:
            if name not in known:
                found, do = f"'{name}'; sources: {', '.join(sources)}", did_you_mean(name, known)
                problems.append(InputError(f"evaluation.{key}", "a label source", found, do=do))
            elif name in DERIVED and name not in sources and not reads:
                found, do = f"'{name}' and no reads", "Give the reads: --reads."
                problems.append(InputError(f"evaluation.{key}", "reads to make it from", found, do=do))
    for name in (n for n in sources if n in DERIVED and reads):
        found, do = f"a source named '{name}', which the reads make too", "Name the source otherwise: NAME=FILE."
        problems.append(InputError("labels", "label sources of other names", found, do=do))
    if problems:
        raise InputError.all(problems)


def decided(labels: pl.DataFrame, config: EvaluationConfig) -> pl.DataFrame:
    """Return case_id, finding, truth, source of labels, with uncertain labels treated by the policy."""
    if config.uncertain == "ignore":
        labels = labels.filter(pl.col("state") != "uncertain")
    present = ["present", "uncertain"] if config.uncertain == "present" else ["present"]
    return labels.select(*KEY, pl.col("state").cast(pl.String).is_in(present).alias("truth"), "source")


def truths(labels: pl.DataFrame, reads: pl.DataFrame, config: EvaluationConfig, dropped: list[Dropped]) -> Truths:
    """Return the truth of every read case and finding by every reference standard.

    `labels` are those of the read cases and findings, of all sources. `reads` have the call under each policy.

    Raises
    ------
    InputError
        A reference standard that is neither a label source nor derived from reads.
    """
    sources = labels["source"].cast(pl.String).unique().sort().to_list()
    voted = bool(reads["call"].is_not_null().any())  # graded reads give no votes
    names = _names(sources, config, DERIVED if voted else ())
    for name in names:
        if name not in (*sources, *DERIVED):
            known = [*sources, *DERIVED]
            found = f"label sources of the read cases and findings: {', '.join(sources) or 'none'}"
            raise InputError(
                "evaluation.references",
                f"a label source or {' or '.join(DERIVED)}",
                f"'{name}', {found}",
                do=did_you_mean(name, known),
            )
    source_truths = decided(labels, config).select(
        *KEY, pl.col("source").cast(pl.String).alias("reference"), pl.lit("").alias("uncertain_call"), "truth"
    )
    frames = [source_truths.filter(pl.col("reference").is_in(list(names)))]
    votes, arm = _voting(reads, config)
    derived = _Derived({}, {}, config.rate_prior())
    for finding in reads["finding"].unique().sort():
        mine = votes.filter(finding=finding)
        unsure = bool((mine["call"] == "uncertain").any())  # else one vote stands for every policy, under ""
        for policy in UNCERTAIN if unsure else (config.uncertain_calls,):
            for name in (n for n in DERIVED if n in names):
                counted = dropped if policy == config.uncertain_calls else []
                frames.append(_derived(mine, (finding, name, policy), derived, counted, policy if unsure else ""))
    if arm and any(n in DERIVED for n in names):
        words = codes.note("votes_of_one_arm", arm=arm)
        dropped.append(Dropped("reads", words, votes.select("reader", "case_id").n_unique()))
    whole = pl.concat(frames, how="vertical_relaxed")
    every = Truths(whole, names, derived.notes, derived.estimated)
    _unstated(every, reads, config, dropped)
    return every


def _names(sources: Sequence[str], config: EvaluationConfig, derived: Sequence[str]) -> tuple[str, ...]:
    """Return the reference standards: stated ones first, that of the evaluation before other sources, then derived."""
    first = [s for s in config.sources if s in sources]
    names = config.references or (*first, *(s for s in sources if s not in first), *derived)
    return tuple(sorted(names, key=lambda name: name in DERIVED))


@dataclass(frozen=True, slots=True)
class _Derived:
    """Notes and estimated rates by finding and policy, filled while the reference standards are derived, with the
    priors.
    """

    notes: dict[tuple[str, str, str], Text]
    estimated: dict[tuple[str, str], Mapping[str, tuple[float, ...]]]
    prior: agreement.RatePrior | None


def _voting(reads: pl.DataFrame, config: EvaluationConfig) -> tuple[pl.DataFrame, str]:
    """Return one vote per reader and case: the first read, in the baseline arm; and the arm."""
    arms = ordered_arms(reads["arm"].unique().to_list(), config)
    arm = arms[0]
    first = reads.filter(arm=arm).sort("round").unique(["reader", *KEY], keep="first", maintain_order=True)
    return first, arm if len(arms) > 1 else ""


def _derived(
    votes: pl.DataFrame, key: tuple[str, str, str], results: _Derived, dropped: list[Dropped], under: str
) -> pl.DataFrame:
    finding, name, policy = key
    cases, readers, table = vote_table(votes, policy)
    if name == MAJORITY:
        vote = agreement.majority(table, classes=[0, 1])
        most_votes = int(vote.n_votes.max(initial=0))
        if most_votes < LEAST_VOTES:
            if most_votes:
                words = codes.note(REFUSED[MAJORITY], finding=finding, least=LEAST_VOTES)
                results.notes[finding, name, under] = words
                dropped.append(Dropped("reference standards", words, 1))
            return _truth_frame([], [], key, under)
        single = vote.n_votes == 1
        truth = np.where(single, np.nan, vote.winner)
        for count, name_of_note in ((vote.tied, "vote_tied"), (single, "vote_single")):
            if count.any():
                shown = "; ".join(np.array(cases)[count][:5])
                dropped.append(Dropped("cases", codes.note(name_of_note, finding=finding), int(count.sum()), shown))
    else:
        model = agreement.dawid_skene(table, reader=readers, classes=[0, 1], start="best", prior=results.prior)
        if not model.identified:
            words = codes.notes(
                codes.note(REFUSED[DAWID_SKENE], finding=finding), model.reasons, _what_holds(table, results.prior)
            )
            if not np.isnan(table).all():
                results.notes[finding, name, under] = words
                dropped.append(Dropped("reference standards", words, 1))
            return _truth_frame([], [], key, under)
        p = model.posterior[:, 1]
        truth = np.where(np.isnan(p), np.nan, (p >= 0.5).astype(np.float64))
        expected = model.expected_cases[:, ::-1]  # present first
        columns = np.column_stack([model.sensitivity, model.specificity, expected]).tolist()
        results.estimated[finding, under] = {r: tuple(c) for r, c in zip(readers, columns, strict=True)}
        most = agreement.majority(table, classes=[0, 1]).winner
        other = [int(((most == k) & (truth == 1 - k)).sum()) for k in (0, 1)]  # NaN (a tie) equals neither
        results.notes[finding, name, under] = codes.notes(
            codes.note("dawid_skene_converged", iterations=int(model.iterations))
            if model.converged
            else codes.note("dawid_skene_not_converged"),
            codes.note("dawid_skene_prevalence", prevalence=float(model.prevalence[1]), more=other[0], fewer=other[1]),
            model.note,
            _prior_note(results.prior),
        )
    keep = ~np.isnan(truth)
    return _truth_frame(np.array(cases, dtype=object)[keep].tolist(), (truth[keep] == 1).tolist(), key, under)


def _truth_frame(cases: Sequence[str], truth: Sequence[bool], key: tuple[str, str, str], under: str) -> pl.DataFrame:
    """Return rows of `Truths.frame` of a finding and reference standard."""
    types = {"case_id": pl.String, "truth": pl.Boolean}
    return pl.DataFrame({"case_id": cases, "truth": truth}, schema=types).select(
        "case_id",
        pl.lit(key[0]).alias("finding"),
        pl.lit(key[1]).alias("reference"),
        pl.lit(under).alias("uncertain_call"),
        "truth",
    )


def _prior_note(prior: agreement.RatePrior | None) -> Text:
    """State the parameters of the priors."""
    if prior is None:
        return codes.NONE
    parameters = {f.name: "Beta({:g}, {:g})".format(*getattr(prior, f.name)) for f in fields(prior)}
    return codes.note("dawid_skene_priors", **parameters)


def _what_holds(table: Floats, prior: agreement.RatePrior | None) -> Text:
    """Name the variants of the model that these votes identify: with priors, where there are none, or within blocks of
    readers.
    """
    blocks = agreement.find_blocks(~np.isnan(table))
    held = []
    if prior is None and agreement.dawid_skene(table, classes=[0, 1], start="best", prior=WEAK_PRIOR).identified:
        held.append(codes.note("priors_identify"))
    each = [np.flatnonzero(blocks == b) for b in range(int(blocks.max(initial=-1)) + 1)]
    if each and all(
        agreement.dawid_skene(table[:, b], reader=np.zeros(b.size), classes=[0, 1], start="best").identified
        for b in each
    ):
        held.append(codes.note("blocks_identify", n=len(each)))
    return codes.notes(*held) if held else codes.note("nothing_identifies")


def with_others(reads: pl.DataFrame, config: EvaluationConfig, dropped: list[Dropped]) -> pl.DataFrame:
    """Add the majority of the other readers of the case, as "others_absent", "others_present", …

    Null at a tie or with fewer than `LEAST_OTHERS` other votes: one vote is no majority. Votes are first reads, as in
    the majority of all readers.
    """
    votes, key = _voting(reads, config)[0], list(KEY)
    for policy in UNCERTAIN:
        mine = votes.filter(pl.col(policy).is_not_null()).select("reader", *KEY, pl.col(policy).alias("own"))
        sums = mine.group_by(key).agg(
            pl.col("own").sum().cast(pl.Int64).alias("yes"), (~pl.col("own")).sum().cast(pl.Int64).alias("no")
        )
        own = pl.col("own")
        placed = reads.join(sums, on=key, how="left", maintain_order="left")
        placed = placed.join(mine, on=["reader", *KEY], how="left", maintain_order="left").with_columns(
            pl.col("yes").fill_null(0) - own.fill_null(False).cast(pl.Int64),
            pl.col("no").fill_null(0) - (~own).fill_null(False).cast(pl.Int64),
        )
        yes, no = pl.col("yes"), pl.col("no")
        enough = yes + no >= LEAST_OTHERS
        majority = pl.when(enough & (yes > no)).then(True).when(enough & (yes < no)).then(False)
        if policy == config.uncertain_calls:
            for rule, name in (
                (enough & (yes == no), "others_vote_tied"),
                (~enough, "others_vote_few"),
            ):
                voted = placed.filter(rule & pl.col("call").is_not_null().any().over("finding"))
                for (finding,), rows in sorted(voted.partition_by("finding", as_dict=True).items()):
                    reason = codes.note(name, finding=finding)
                    dropped.append(Dropped("reads", reason, rows.height, examples_of(rows, ("reader", "case_id"))))
        reads = reads.with_columns(placed.select(majority.alias(f"others_{policy}")).to_series())
    return reads


def vote_table(votes: pl.DataFrame, policy: str) -> tuple[list[str], list[str], Floats]:
    """Return cases, readers and their calls (n_cases, n_readers): 1 present, 0 absent, NaN not read or excluded."""
    cases, readers = (votes[c].unique().sort().to_list() for c in ("case_id", "reader"))
    table = np.full((len(cases), len(readers)), np.nan)
    if votes.height:
        places = [dict(zip(levels, range(len(levels)), strict=True)) for levels in (cases, readers)]
        i = votes["case_id"].replace_strict(places[0], return_dtype=pl.Int64).to_numpy()
        j = votes["reader"].replace_strict(places[1], return_dtype=pl.Int64).to_numpy()
        table[i, j] = votes[policy].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return cases, readers, table


def _unstated(found: Truths, reads: pl.DataFrame, config: EvaluationConfig, dropped: list[Dropped]) -> None:
    """Count read cases without a label of a reference standard that exists."""
    read_keys = reads.select(KEY).unique(maintain_order=True)
    policies = pl.col("uncertain_call").is_in(["", config.uncertain_calls])
    for name in found.names:
        labelled = found.frame.filter((pl.col("reference") == name) & policies).select(KEY)
        lone = read_keys.join(labelled, on=list(KEY), how="anti")
        for finding, mine in sorted(lone.partition_by("finding", as_dict=True).items()):
            if found.refused(finding[0], name, config.uncertain_calls):
                continue
            words = codes.note("read_not_labelled", finding=finding[0], reference=name)
            dropped.append(Dropped("cases", words, mine.height, examples_of(mine, ("case_id",))))
