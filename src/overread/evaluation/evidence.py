"""The evaluation: the join, all analyses, and the tables that they produce."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from overread import codes, tables, threads
from overread.errors import InputError
from overread.evaluation.arms.arm_sittings import first_sittings
from overread.evaluation.context.analysis_context import AnalysisContext, with_areas
from overread.evaluation.context.estimate_rows import Row, estimates_frame, means_of_one
from overread.evaluation.context.finding_means import macro_discrimination, macro_operating, with_replicates
from overread.evaluation.context.patient_draws import draws
from overread.evaluation.context.reader_context import ReaderContext, build_reader_context
from overread.evaluation.context.score_matrix import build_scores
from overread.evaluation.context.site_populations import (
    STRATIFIED,
    WITHIN_SITE_MEAN,
    aggregation_over_sites,
    populations,
    trained_at,
)
from overread.evaluation.context.threshold_tables import check_thresholds
from overread.evaluation.context.thresholds import (
    Given,
    ThresholdSources,
    frozen_points,
    given_thresholds,
    half_of_patients,
    needs_fitting,
    origin_sentences,
)
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.hypotheses.hypothesis_inputs import check_asked
from overread.evaluation.hypotheses.pooled_training import h1
from overread.evaluation.join.account import Dropped, account_frame, identifiers
from overread.evaluation.join.case_tables import images_of_cases
from overread.evaluation.join.counted_reads import READING, with_makers, without_practice
from overread.evaluation.join.joined_scores import joined_table
from overread.evaluation.join.label_states import decided_pairs, with_decisions
from overread.evaluation.join.matching import Join, join_tables
from overread.evaluation.join.reference_standards import check_names
from overread.evaluation.join.unmatched import matched
from overread.evaluation.models.calibration_errors import calibration_rows
from overread.evaluation.models.decision_curves import decisions
from overread.evaluation.models.external_validation import drop, matrix, site_alone
from overread.evaluation.models.label_sensitivity import policies
from overread.evaluation.models.model_pairs import comparison
from overread.evaluation.models.roc_rates import fixed_rates
from overread.evaluation.models.seed_variation import seeds
from overread.evaluation.models.site_pairs import pairs_across_sites
from overread.evaluation.models.standalone import discrimination, operating
from overread.evaluation.progress import Progress, advancing, reporting
from overread.evaluation.readers.reader_analyses import analyse_reads, begin_tests
from overread.evaluation.subgroups.case_groups import check_groups, single_levels
from overread.evaluation.subgroups.group_analyses import subgroup_rows
from overread.stats.random_numbers import Random, generator


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Results of an evaluation.

    Attributes
    ----------
    estimates : DataFrame
        One row per estimate, with interval, method and note.
    verdicts : DataFrame
        One row per claim of a hypothesis.
    curves : DataFrame
        Points of ROC, calibration and decision curves.
    joined : DataFrame
        Every score and read beside its reference standard.
    account : DataFrame
        What was left out or changed, with counts and reasons.
    notes : tuple of str
        Methods and limitations that a reader of the numbers must know.
    opened : tuple of dict
        The analyses that accessed test labels, with models and number of cases.
    tuning_patients : tuple of str
        Patients on whom thresholds were fitted, where half of the test patients was used for it.
    undocumented : tuple of str
        Raters whose training sites are not recorded, so that a population is internal or external by declaration only.
    ledger_head : mapping or None
        Number and hash of the ledger entry of this evaluation; None without a ledger.
    """

    estimates: pl.DataFrame
    verdicts: pl.DataFrame
    curves: pl.DataFrame
    joined: pl.DataFrame
    account: pl.DataFrame
    notes: tuple[str, ...] = ()
    opened: tuple[dict[str, Any], ...] = ()
    tuning_patients: tuple[str, ...] = ()
    undocumented: tuple[str, ...] = ()
    ledger_head: Mapping[str, Any] | None = None


# Stages and their expected relative times, measured on two models, 14 findings and 5,000 images with 2,000 resamples.
_STAGES = {"join": 3.0, "resamples": 10.0, "analyses": 80.0, "policies": 6.0, "tables": 1.0}

# The analyses in order, with their expected relative times, measured as those of the stages.
_PLAIN: dict[Callable[[AnalysisContext], list[Row]], float] = {
    discrimination: 2.0,
    macro_discrimination: 0.1,
    operating: 2.0,
    macro_operating: 2.0,
    pairs_across_sites: 0.1,
    comparison: 2.0,
    subgroup_rows: 30.0,
    drop: 0.1,
    site_alone: 0.1,
    matrix: 0.1,
    seeds: 0.1,
}
_WITH_CURVES: dict[Callable[[AnalysisContext], tuple[list[Row], list[Row]]], float] = {
    fixed_rates: 50.0,
    calibration_rows: 10.0,
    decisions: 5.0,
}


def evaluate(
    images: pl.DataFrame | None,
    labels: pl.DataFrame | None,
    predictions: pl.DataFrame | None,
    config: EvaluationConfig,
    *,
    rng: Random,
    tune: pl.DataFrame | None = None,
    reads: pl.DataFrame | None = None,
    made_by: pl.DataFrame | None = None,
    sittings: pl.DataFrame | None = None,
    models: Mapping[str, Mapping[str, Any]] | None = None,
    thresholds: pl.DataFrame | None = None,
    protocol_hash: str = "",
    notes: Sequence[tables.Note] = (),
    progress: Progress | None = None,
    pool: Executor | None = None,
) -> Evidence:
    """Evaluate every rater and return the evidence as tables.

    Parameters
    ----------
    images, labels, predictions : DataFrame or None
        The tables of these names. Predictions need labels, reads need none of the three. Without images every case is
        taken as a patient of its own.
    config : EvaluationConfig
        The settings that affect numbers.
    rng : int or numpy.random.Generator
        Seed or generator for resampling and for the choice of tuning patients.
    tune : DataFrame, optional
        Predictions of tuning cases, on which thresholds and recalibrations of raters without a model.json are fitted.
        Without it they are fitted on images of split "tune" in `predictions`, or else on half of the patients.
    reads : DataFrame, optional
        Answers of readers. They do not change the analyses of models.
    made_by : DataFrame, optional
        The readers who contributed to the label of a case (source, case_id, reader, optionally finding). A label source
        does not judge the reads of those who made it.
    sittings : DataFrame, optional
        Reading times and trust of the reads, one row per case that a reader read.
    models : mapping of str to mapping, optional
        The content of model.json by rater.
    thresholds : DataFrame, optional
        The table `thresholds`: operating points that are given. Nothing is fitted for these models and findings, and
        all cases are tested; they stand in place of those of `models`.
    protocol_hash : str
        Hash of the protocol under which the evaluation is done.
    notes : sequence of Note
        Changes of identifiers made while the tables were read; they are added to the account.
    progress : callable, optional
        Called with per cent done and 100.
    pool : concurrent.futures.Executor, optional
        Processes, of which one does a part of the analyses of reads beside this one.

    Returns
    -------
    Evidence
        Estimates with intervals, curves, verdicts and the account of what was left out.

    Raises
    ------
    InputError
        Neither predictions nor reads; predictions without labels; everything that `join_tables` refuses, a
        patient in two splits, and models of H1 without predictions.

    Notes
    -----
    Matrix products use one thread, so that the result does not depend on the number of threads.
    """
    rng = generator(rng, where="evaluate")
    with threads.computing(), reporting(progress):
        stages = advancing(_STAGES, list(_STAGES.values()))
        next(stages)
        given = {"tune": tune, "reads": reads, "made_by": made_by, "sittings": sittings}
        inputs = _checked(images, labels, predictions, config, notes=notes, **given)
        locked = _given(thresholds, inputs, config)
        joined = join_tables(inputs.images, inputs.labels, inputs.predictions, config, reads=inputs.reads)
        next(stages)
        context, reading = _contexts(inputs, joined, config, (models or {}, locked), rng)
        tests = None if reading is None else begin_tests(reading, pool)
        next(stages)
        rows: list[Row] = []
        curves: list[Row] = []
        costs = [sum(_PLAIN.values()), sum(_WITH_CURVES.values()), 1.0, 0.0 if reading is None else 100.0]
        groups = advancing(("plain", "with curves", "verdicts", "reads"), costs)
        next(groups)
        for analysis in advancing(_PLAIN, list(_PLAIN.values())) if context.raters else ():
            rows += analysis(context)
        next(groups)
        for pair in advancing(_WITH_CURVES, list(_WITH_CURVES.values())) if context.raters else ():
            analysis_rows, points = pair(context)
            rows, curves = rows + analysis_rows, curves + points
        next(groups)
        analysis_rows, verdicts = h1(context, protocol_hash=protocol_hash)
        rows += analysis_rows
        next(groups)
        if reading is not None and tests is not None:
            analysis_rows, points, claims = analyse_reads(reading, tests, protocol_hash=protocol_hash)
            rows, curves, verdicts = rows + analysis_rows, curves + points, verdicts + claims
        next(groups, None)
        next(stages)
        rows += _policies(inputs, joined, context, rng)
        next(stages)
        found = (means_of_one(rows), curves, verdicts)
        evidence = _evidence(context, joined, reading, found, (inputs.notes, inputs.lost))
        next(stages, None)
    return evidence


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    """The input tables, checked and in canonical form, with notes and accounts of the checks."""

    images: tables.Checked
    labels: tables.Checked
    predictions: tables.Checked | None
    tune: tables.Checked | None
    reads: tables.Checked | None
    sittings: tables.Checked | None
    practice: pl.DataFrame | None  # reads that were excluded because they were practice
    notes: Sequence[tables.Note]
    lost: list[Dropped]


def _checked(
    images: pl.DataFrame | None,
    labels: pl.DataFrame | None,
    predictions: pl.DataFrame | None,
    config: EvaluationConfig,
    *,
    tune: pl.DataFrame | None,
    reads: pl.DataFrame | None,
    made_by: pl.DataFrame | None,
    sittings: pl.DataFrame | None,
    notes: Sequence[tables.Note],
) -> _Tables:
    """Check the tables, make identifiers canonical, and mark the images of tuning predictions."""
    check_complete(labels, predictions, reads)
    check_asked(config, predictions, reads)
    found = list(notes)
    named: dict[str, Any] = {"notes": found, "vocabulary": config.vocabulary}
    dropped: list[Dropped] = []
    labels = tables.empty("labels") if labels is None else labels
    checked_labels = tables.check(labels, "labels", where="labels", **named)
    scores, tuning = (
        None if given is None else tables.check(given, _table_of(given), where=where, **named)
        for where, given in (("predictions", predictions), ("tune", tune))
    )
    answers = None if reads is None else tables.check(reads, "reads", where="reads", **named)
    scores = None if scores is None else with_decisions(scores, dropped)
    if images is None:
        images = images_of_cases((scores, answers, tuning, checked_labels), dropped)
    checked_images = tables.check(images, "images", where="images", notes=found)
    if tuning is not None:
        key = "image_id" if "image_id" in tuning.columns else "case_id"
        kept, lost = matched(tuning, checked_images, config.allowance("tune"), name="tune predictions", key=key)
        tuning, dropped = tables.Checked(kept), dropped + lost
    check_names(checked_labels, config, reads=answers is not None)
    if sittings is not None and answers is None:
        raise InputError("sittings", "reads beside sittings", "no reads", do="Give the reads: --reads.")
    practice = None
    sat = None if sittings is None else tables.check(sittings, "sittings", where="sittings", notes=found)
    if answers is not None:
        makers = None if made_by is None else tables.check(made_by, "made_by", where="made_by", **named)
        answers = with_makers(answers, checked_labels, config, makers, dropped)
        if sat is not None:
            every = answers.select(*READING, "round", "finding")
            answers, sat = map(tables.Checked, without_practice(answers, sat, dropped))
            practice = every.join(answers, on=every.columns, how="anti")
    own_images = _with_tune(checked_images, tuning)
    return _Tables(own_images, checked_labels, scores, tuning, answers, sat, practice, found, dropped)


def check_complete(labels: object, predictions: object, reads: object) -> None:
    """Refuse an evaluation without predictions and reads, and predictions without labels; None = absent."""
    if predictions is None and reads is None:
        raise InputError("evaluate", "predictions of a model, or reads", "neither", do="Give --predictions or --reads.")
    if predictions is not None and labels is None:
        do = "Give --labels; reads without predictions need none."
        raise InputError("evaluate", "labels beside predictions", "none", do=do)


def _as_given(inputs: _Tables, raters: Sequence[str]) -> list[str]:
    """Return the raters in the order in which their models were given, which is that of comparisons; outputs of one
    model stay in their order.
    """
    given = [] if inputs.predictions is None else inputs.predictions["model"].unique(maintain_order=True).to_list()
    place = {model: i for i, model in enumerate(given)}
    return sorted(raters, key=lambda r: place.get(r, place.get(r.partition(" [")[0], len(place))))


def _given(thresholds: pl.DataFrame | None, inputs: _Tables, config: EvaluationConfig) -> Given:
    """Return the given thresholds, checked against the predictions."""
    if thresholds is None:
        return {}
    table = tables.check(thresholds, "thresholds", where="thresholds", vocabulary=config.vocabulary)
    scores = inputs.predictions
    check_thresholds(table, scores, frozenset() if scores is None else decided_pairs(scores, "model"))
    return given_thresholds(table)


def _contexts(
    inputs: _Tables,
    joined: Join,
    config: EvaluationConfig,
    recorded: tuple[Mapping[str, Mapping[str, Any]], Given],
    rng: np.random.Generator,
) -> tuple[AnalysisContext, ReaderContext | None]:
    """Return the inputs of the analyses of scores and of reads; the second is None without reads.

    `recorded` holds the records of models and the given thresholds.
    """
    models, given = recorded
    scores = build_scores(joined, policy=_policy(joined, config), finite=config.finite_population)
    raters = tuple(r for r in _as_given(inputs, scores.raters) if config.member_names().get(r) not in scores.raters)
    way = aggregation_over_sites(raters, config, models)
    scores = replace(scores, across_sites=way != STRATIFIED)
    half_rng, draw_rng = rng.spawn(2)
    wanting = [r for r in scores.raters if needs_fitting(scores, r, models, given)]
    source = inputs.predictions if inputs.tune is None else inputs.tune
    tuned = None if source is None else _tuning(inputs.images, inputs.labels, source, config, wanting)
    half = half_of_patients(scores, rng=half_rng)
    tuning = None if tuned is None else build_scores(tuned)
    members = tuple(m for m in config.member_names() if m in scores.raters)
    check_groups(scores, raters, config)
    where = populations(raters, scores.site.levels, config, models)
    if tuning is not None and not set(raters) & set(tuning.raters):
        tuned = None  # only members of ensembles have scores of tuning cases
    sources = ThresholdSources(given, models, None if tuned is None else tuning, half)
    frozen = {r: frozen_points(scores, r, where[r], sources, config) for r in raters}
    drawn = draws(scores, rng=draw_rng, replicates=config.replicates, within_sites=way == WITHIN_SITE_MEAN)
    own = populations(members, scores.site.levels, config, models)
    fitting = {m: tuning if tuning is not None and m in tuning.raters else None for m in members}
    seeds_frozen = {m: frozen_points(scores, m, own[m], replace(sources, tuned=fitting[m]), config) for m in members}
    context = AnalysisContext(scores, config, raters, where, models, drawn, frozen, {}, {}, seeds_frozen)
    context = with_replicates(with_areas(context))
    reading = build_reader_context(joined, context, tuned, half, rng.spawn(1)[0])
    return context, _with_sittings(reading, inputs)


def _with_sittings(reading: ReaderContext | None, inputs: _Tables) -> ReaderContext | None:
    """Give the analyses of reads the first sittings of the read cases; the others are counted."""
    if reading is None or inputs.sittings is None:
        return reading
    dropped: list[Dropped] = []
    sat = first_sittings(inputs.sittings, reading.joined, dropped)
    inputs.lost.extend(dropped)
    return replace(reading, sittings=sat, practice=inputs.practice)


def _policies(inputs: _Tables, joined: Join, context: AnalysisContext, rng: np.random.Generator) -> list[Row]:
    """Return rows for other label sources and other treatments of uncertain labels."""
    if inputs.predictions is None:
        return []
    return policies(
        context,
        joined,
        labels=inputs.labels,
        again=lambda changed: join_tables(inputs.images, inputs.labels, inputs.predictions, changed),
        policy=context.panel.policy,
        rng=rng.spawn(1)[0],
    )


def _evidence(
    context: AnalysisContext,
    joined: Join,
    reading: ReaderContext | None,
    results: tuple[list[Row], list[Row], list[Row]],
    read: tuple[Sequence[tables.Note], Sequence[Dropped]],
) -> Evidence:
    """Collect the rows of all analyses in tables; `read` holds the notes and accounts of the input tables."""
    (rows, curves, verdicts), ground, (notes, lost) = results, context.panel, read
    fitted = [f for f in context.frozen.values() if f.origin == "half"]
    used = sorted({p for f in fitted for p in ground.patient[~f.tested]})
    return Evidence(
        estimates=estimates_frame(rows),
        verdicts=tables.check(pl.DataFrame(verdicts), "verdicts") if verdicts else tables.empty("verdicts"),
        curves=tables.check(pl.DataFrame(curves), "curves") if curves else tables.empty("curves"),
        joined=joined_table(joined, context, reading),
        account=pl.concat([identifiers(notes), account_frame("join", lost), _account(joined, context)]),
        notes=_notes(context) + (reading.words() if reading else ()),
        opened=tuple(_opened(context, rows)),
        tuning_patients=tuple(ground.patients[p] for p in used),
        undocumented=tuple(r for r in context.raters if trained_at(r, context.config, context.models) is None),
    )


FILES = (
    *(f"{name}.parquet" for name in ("estimates", "verdicts", "curves", "joined", "account")),
    "account.csv",
    "notes.json",
    "tuning_patients.txt",
)
"""The files that `write` writes."""


def write(evidence: Evidence, folder: Path | str) -> list[Path]:
    """Write the evidence into a folder.

    Parameters
    ----------
    evidence : Evidence
        The result of `evaluate`.
    folder : path
        The folder; each file in it is replaced atomically.

    Returns
    -------
    list of Path
        The files: every table as Parquet, the account also as CSV, the notes, and the tuning patients if there are any.

    Raises
    ------
    WriteError
        A file cannot be written.
    """
    folder = Path(folder)
    written = [
        tables.write(getattr(evidence, name), folder / f"{name}.parquet", name)
        for name in ("estimates", "verdicts", "curves", "joined", "account")
    ]
    written.append(tables.write(evidence.account, folder / "account.csv", "account"))
    notes = {"notes": list(evidence.notes), "opened": list(evidence.opened), "ledger": evidence.ledger_head}
    written.append(tables.write_json(folder / "notes.json", notes))
    patients = folder / "tuning_patients.txt"
    if evidence.tuning_patients:
        written.append(tables.write_text(patients, "\n".join(evidence.tuning_patients) + "\n"))
    else:
        tables.remove(patients)  # of an earlier evaluation in this folder
    return written


def _table_of(predictions: pl.DataFrame) -> str:
    return "predictions" if "image_id" in predictions.columns else "case_predictions"


def _with_tune(images: pl.DataFrame, tune: pl.DataFrame | None) -> tables.Checked:
    """Mark the images of the tuning predictions; refuse a patient in two splits."""
    split_names = pl.col("split").fill_null("").cast(pl.String)
    if tune is not None:
        key = "image_id" if "image_id" in tune.columns else "case_id"
        mine = pl.col(key).is_in(tune[key].unique().to_list())
        wrong = images.filter(mine & split_names.is_in(["train", "test"]))
        if wrong.height:
            found = f"{wrong.height:,} images of split train or test"
            raise InputError("tune", "images outside the splits train and test", found, examples=wrong[key].head(5))
        split = pl.when(mine).then(pl.lit("tune")).when(split_names == "").then(pl.lit("test")).otherwise(split_names)
        images = images.with_columns(split.cast(images.schema["split"]).alias("split"))
    splits = images.filter(split_names != "").group_by("patient_id").agg(split_names.unique().sort().alias("splits"))
    both = splits.filter(pl.col("splits").list.len() > 1).sort("patient_id")
    if both.height:
        shown = both.select(
            pl.format("{} in {}", "patient_id", pl.col("splits").cast(pl.List(pl.String)).list.join(" and "))
        ).to_series()
        raise InputError(
            "images",
            "every patient in one split",
            f"{both.height:,} patients in several",
            examples=shown.head(6),
            do="Split by patient.",
        )
    return tables.Checked(images)


def _policy(joined: Join, config: EvaluationConfig) -> str:
    return (f"case_score={config.case_score};" if joined.several_images else "") + f"uncertain={config.uncertain}"


def _tuning(
    images: tables.Checked,
    labels: tables.Checked,
    predictions: tables.Checked,
    config: EvaluationConfig,
    wanting: Sequence[str],
) -> Join | None:
    """Join the tuning cases of the raters without thresholds of their own; None if there are no such cases."""
    key = "image_id" if "image_id" in predictions.columns else "case_id"
    cases = images.filter(pl.col("split").fill_null("").cast(pl.String) == "tune")
    mine = predictions.filter(pl.col("model").is_in(wanting)).join(cases.select(key).unique(), on=key, how="semi")
    if mine.is_empty():
        return None
    return join_tables(images, labels, tables.Checked(mine), config, split="tune")


def _account(joined: Join, context: AnalysisContext) -> pl.DataFrame:
    """Return the account of the join and, per subgroup column, the cases without a value in it."""
    dropped = []
    for name, column in context.panel.groups.items() if context.raters else ():
        none = int((column.codes < 0).sum())
        if none:
            dropped.append(Dropped("cases", codes.note("group_missing", column=name), none))
    dropped += single_levels(context)
    read = [joined.reads.account] if joined.reads is not None else []
    return pl.concat([joined.account, *read, account_frame("subgroups", dropped)])


def _notes(context: AnalysisContext) -> tuple[str, ...]:
    """Return what a reader must know beside the numbers."""
    panel, config = context.panel, context.config
    if not context.raters:
        return ()
    sentences = [f"Truth: label source {panel.reference}; {panel.policy.replace(';', ', ').replace('=', ': ')}."]
    sentences += [text for r, f in context.frozen.items() for text in origin_sentences(panel, r, f)]
    within = ", within sites" if context.drawn.within_site else ""
    within += ", within sampling strata" if context.drawn.within_stratum else ""
    sentences.append(
        f"Bootstrap: {config.replicates:,} resamples of {panel.n_patients:,} patients{within}. The same resamples "
        "are used in every analysis of these cases; analyses of reads and of other label policies use others."
    )
    if panel.weight is not None:
        strata_text = (
            "" if panel.strata is None else f", patients within {np.unique(panel.strata).size} sampling strata"
        )
        sentences.append(
            f"Every estimate is weighted by the inverse sampling probability{strata_text}; counts are not."
        )
    if panel.finite and panel.weight is not None:
        population = f"{panel.weight.sum():,.0f} cases that were drawn from"
        resampled = "intervals from the bootstrap or over pairs within strata are not corrected, and too wide"
        sentences.append(f"Finite population: estimates are about the {population}; {resampled}.")
    sentences += [f"Sampling strata: {panel.unstratified}."] if panel.unstratified else []
    if config.pooled and config.single and not config.matched:
        sentences.append("No size-matched pooled model: size and diversity of the training data are confounded in H1.")
    return tuple(sentences)


def _opened(context: AnalysisContext, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """List the analyses that accessed test labels, with raters and number of cases."""
    names = dict.fromkeys(r["analysis"] for r in rows)
    return [
        {"analysis": name, "models": list(context.panel.raters), "cases": len(context.panel.case_id)} for name in names
    ]
