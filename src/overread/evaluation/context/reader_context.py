"""Shared inputs of the analyses of reads: read matrix, frozen thresholds, and resamples of readers and patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from overread import codes
from overread.codes import Analysis, Text
from overread.evaluation.context.analysis_context import AnalysisContext
from overread.evaluation.context.estimate_rows import Counts, EstimateKey, counts_at, patients_text
from overread.evaluation.context.estimate_rows import count as counted
from overread.evaluation.context.read_matrix import ReadMatrix, read_panel
from overread.evaluation.context.score_matrix import Bools, Codes, Floats, ScoreMatrix, build_scores
from overread.evaluation.context.site_populations import Population
from overread.evaluation.context.thresholds import (
    FEWEST,
    Frozen,
    Threshold,
    from_half,
    from_model,
    from_tune,
    locked_points,
    mapped_points,
)
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join.label_states import DECISION
from overread.evaluation.join.matching import Join
from overread.evaluation.join.read_matching import ReadJoin
from overread.evaluation.join.reference_standards import DERIVED, OTHERS
from overread.stats.reader_studies.product_bootstrap import PooledReads, ProductDraws, pool, product_draws

FAVOURED = codes.note("reference_from_readers")


@dataclass(frozen=True, slots=True, eq=False)
class ReaderThresholds:
    """The frozen thresholds of one output, the read cases (n_cases,) on which they may be tested, and their origin."""

    thresholds: Mapping[str, Threshold]
    tested: Bools
    words: Text

    @property
    def decided(self) -> bool:
        """Whether the output gives decisions: it has an operating point and no ROC curve."""
        return DECISION in self.thresholds


@dataclass(frozen=True, slots=True, eq=False)
class ReadSelection:
    """The reads of one finding in one arm under one policy: reader, case and call of each, all (n_reads,)."""

    finding: str
    arm: str
    policy: str
    index: Codes  # where they stand in the panel
    reader: Codes
    case: Codes
    call: Bools


@dataclass(frozen=True, slots=True, eq=False)
class ReaderContext:
    """Shared inputs of the analyses of reads; `models` holds the model of each output."""

    panel: ReadMatrix
    joined: ReadJoin
    config: EvaluationConfig
    policy: str  # of labels and case scores
    population: str
    populations: Mapping[str, tuple[Population, ...]]  # by model
    models: Mapping[str, str]  # by output
    points: Mapping[tuple[str, str], ReaderThresholds]  # by finding and output
    drawn: ProductDraws
    sittings: pl.DataFrame | None = None  # first readings of the read cases, see `arms.arm_sittings`
    practice: pl.DataFrame | None = None  # reader, case, arm and finding of reads that were excluded as practice

    def place(
        self,
        finding: str,
        rater: str,
        *,
        reads: ReadSelection,
        reference: str = "",
        analysis: Analysis = Analysis.READERS,
    ) -> EstimateKey:
        """Return the key of an estimate on the read cases; a rater that is not an output has the arm of the reads."""
        arm = "model" if rater in self.models else reads.arm
        policy = f"{self.policy};uncertain_call={reads.policy}"
        return EstimateKey(analysis, finding, rater, self.population, "read", reads.arm, "", reference, policy, arm)

    def reads(self, finding: str, arm: str, policy: str, *, every: bool = False) -> ReadSelection:
        """Return the reads with a call, of cases with scores of every output for the finding (`every`: of all
        cases).
        """
        panel, call = self.panel, self.panel.call[policy]
        mine = (panel.finding == panel.findings.index(finding)) & (panel.arm == panel.arms.index(arm)) & ~np.isnan(call)
        if not every:  # every case, where no output scores the finding
            mine &= panel.scored(finding)[panel.case]
        index = np.flatnonzero(mine)
        return ReadSelection(finding, arm, policy, index, panel.reader[index], panel.case[index], call[index] == 1)

    def ranked(self, finding: str) -> tuple[str, ...]:
        """Return the outputs with scores of a finding, which have a ROC curve; those with decisions have none."""
        return tuple(r for r in self.panel.outputs[finding] if not self.points[finding, r].decided)

    def pooled(self, reads: ReadSelection, truth: Floats, *, cases: Bools | None = None) -> PooledReads:
        """Pool the reads with a reference standard (n_reads,), of the cases of a mask if one is given."""
        panel = self.panel
        included = ~np.isnan(truth) if cases is None else ~np.isnan(truth) & cases[reads.case]
        case = reads.case[included]
        return pool(
            truth[included] == 1,
            reads.call[included],
            reader=reads.reader[included],
            case=case,
            patient=panel.patient[case],
            weights=None if panel.weight is None else panel.weight[case],
            shape=(len(panel.readers), panel.n_patients),
        )

    def truth(self, reads: ReadSelection, reference: str) -> Floats:
        """Return the truth of each read by a reference standard (n_reads,), NaN without a label or if its reader made
        the label.
        """
        truth = self.panel.truths(reads.finding, reference, reads.policy)[reads.case]
        made = self.panel.not_judged(reads.finding, reference)[reads.reader, reads.case]
        return np.where(made, np.nan, truth)

    def counts(self, pool: PooledReads) -> Counts:
        """Count the cases and patients of a pool."""
        return counted(pool.truth.astype(np.float64), pool.patient)

    def words(self) -> tuple[str, ...]:
        """Return what a reader of the evidence must know about the reads."""
        panel, config = self.panel, self.config
        called = any(bool(np.isfinite(call).any()) for call in panel.call.values())
        uncertain = f"; uncertain calls: {config.uncertain_calls}" if called else ""
        references = [r for r in panel.references if self._exists(r)]
        sentences = [
            f"Reads: {panel.case.size:,} answers by {len(panel.readers)} readers on {len(panel.case_id):,} cases of "
            f"{patients_text(panel.n_patients)}{uncertain}.",
            f"Reference standard{'s side by side' if len(references) > 1 else ''}: {', '.join(references) or 'none'}.",
        ]
        if called or config.rating_cutoffs != {}:  # graded reads without a cut-off have no call to resample
            drawn = f"{len(self.drawn):,} resamples of readers and, independently, of patients"
            sentences.append(f"Product bootstrap: {drawn}.")
        reader_made = [r for r in references if r in (*DERIVED, *config.made_by_all)]
        sentences += (
            [f"Made from these readers' own reads, which favours them: {', '.join(reader_made)}."]
            if reader_made
            else []
        )
        if panel.weight is not None and len(panel.arms) > 1:
            sentences.append(
                "Comparisons of arms use the sampling weights; there is no analysis of variance of weighted reads, "
                "and reading time and trust are not weighted."
            )
        for one in config.mapping:
            sentences.append(f"Mapping: {one['finding']} is scored by the maximum of {', '.join(one['from'])}.")
        return tuple(sentences)

    def _exists(self, reference: str) -> bool:
        """Return whether a reference standard states the truth of some read case."""
        policy = self.config.uncertain_calls
        return any(bool(np.isfinite(self.panel.truths(f, reference, policy)).any()) for f in self.panel.findings)

    @property
    def unweighted(self) -> Text:
        """Return the note of a row that does not use the sampling weights, if there are any."""
        return codes.NONE if self.panel.weight is None else codes.note("weights_not_used")

    def note(self, reads: ReadSelection, reference: str) -> Text:
        """Return the note of a row that depends on this reference standard."""
        if reference == OTHERS:
            return codes.note("reader_not_in_reference")
        return self.note_on(reads.finding, reference, reads.policy)

    def note_on(self, finding: str, reference: str, policy: str = "") -> Text:
        """Report whether the readers contributed to this reference standard, and the outcome of Dawid-Skene ("" = main
        policy).
        """
        reader_made = reference in (*DERIVED, *self.config.made_by_all)
        note = self.joined.truths.note(finding, reference, policy or self.config.uncertain_calls)
        made = np.flatnonzero(self.panel.not_judged(finding, reference).any(axis=1))
        makers = tuple(self.panel.readers[r] for r in made)
        words = codes.note("makers_excluded", readers=makers) if makers else None
        return codes.notes(FAVOURED if reader_made else None, words, note)


def build_reader_context(
    joined: Join, context: AnalysisContext, tuned: Join | None, half: Bools, rng: np.random.Generator
) -> ReaderContext | None:
    """Build the shared inputs of the analyses of reads; None without reads. A study without models has no outputs.

    `tuned` is the join of the tuning cases. `half` is the half of the patients (n_patients,) on which thresholds are
    fitted if too few patients have cases without reads.
    """
    if joined.reads is None:
        return None
    members = context.config.member_names()
    models = {r: r for r in context.panel.raters if r not in members}
    models |= {m.rater(r): r for m in context.config.mapped() for r in tuple(models)}
    outputs = [r for model in context.raters for r in models if models[r] == model]
    read_matrix = read_panel(joined.reads, context.config, raters=outputs)
    drawn = product_draws(
        len(read_matrix.readers), read_matrix.n_patients, rng=rng, replicates=context.config.replicates
    )
    return ReaderContext(
        read_matrix,
        joined.reads,
        context.config,
        context.panel.policy,
        _population(read_matrix, context),
        context.populations,
        models,
        _points(joined, read_matrix, context, tuned, half, models),
        drawn,
    )


def _population(read_matrix: ReadMatrix, context: AnalysisContext) -> str:
    """Return the population of the read cases if it has the same name for every model; else "all"."""
    sites = {read_matrix.site.levels[c] for c in np.unique(read_matrix.site.codes) if c >= 0}
    names = set()
    for model in context.raters:
        holding = [p.name for p in context.populations[model] if sites & set(p.sites)]
        names.add(holding[0] if len(holding) == 1 else "all")
    return names.pop() if len(names) == 1 else "all"


def _points(
    joined: Join,
    read_matrix: ReadMatrix,
    context: AnalysisContext,
    tuned: Join | None,
    half: Bools,
    models: Mapping[str, str],
) -> dict[tuple[str, str], ReaderThresholds]:
    ground, tune = (
        _outputs(joined, read_matrix.findings),
        None if tuned is None else _outputs(tuned, read_matrix.findings),
    )
    read_patients = set(joined.cases.join(joined.reads.cases, on="case_id", how="semi")["patient_id"])  # type: ignore[union-attr]
    points = {}
    mappings = {(m.finding, m.rater(r)): m for m in context.config.mapped() for r in context.raters}
    for finding, raters in read_matrix.outputs.items():
        for rater in raters:
            frozen, words = None, codes.NONE
            model = models[rater]
            own = context.frozen[model].own if rater == model else locked_points(context.panel, rater, {})
            if finding in own:  # given, or decisions: nothing is fitted, and every read case is tested
                everything = np.ones(len(read_matrix.case_id), dtype=bool)
                points[finding, rater] = ReaderThresholds(
                    own[finding].thresholds[finding], everything, own[finding].words
                )
                continue
            if (finding, rater) in mappings:
                given, words = mapped_points(context.frozen[model].own, mappings[finding, rater])
                if given:
                    everything = np.ones(len(read_matrix.case_id), dtype=bool)
                    points[finding, rater] = ReaderThresholds(given, everything, words)
                    continue
            if ground is not None:
                unread = np.array([p not in read_patients for p in ground.patients])
                frozen = _frozen(ground, tune, context, (finding, rater, model), (unread, half))
            found = _on_reads(frozen, ground, read_matrix, finding)
            points[finding, rater] = replace(found, words=codes.notes(found.words, words))
    return points


def _outputs(joined: Join, findings: Sequence[str]) -> ScoreMatrix | None:
    """Return scores of the read findings, mapped ones included, with the main reference standard; None without any."""
    scores = pl.concat([joined.scores, joined.mapped]).filter(pl.col("finding").is_in(list(findings)))
    return build_scores(replace(joined, scores=scores)) if scores.height else None


def _frozen(
    ground: ScoreMatrix,
    tune: ScoreMatrix | None,
    context: AnalysisContext,
    key: tuple[str, str, str],
    halves: tuple[Bools, Bools],
) -> tuple[Frozen, Text] | None:
    """Return the thresholds of one output from the best available source: model.json, tuning cases, patients without
    reads.
    """
    finding, rater, model = key
    record: Mapping[str, Any] = context.models.get(model, {})
    if rater == model and finding in (record.get("operating_points") or {}):
        frozen = from_model(record, ground)
        return frozen, frozen.words
    if tune is not None and rater in tune.raters and tune.gives(rater, finding) and finding in tune.findings:
        frozen = from_tune(tune, rater, ground, context.config)
        return frozen, frozen.words
    if rater not in ground.raters:
        return None
    unread, half = halves
    sites = [s for p in context.populations[model] if p.internal for s in p.sites] or list(ground.site.levels)
    enough = counts_at(ground, rater, finding, ground.at(sites) & unread[ground.patient]).at_least(FEWEST, FEWEST)
    frozen = from_half(ground, rater, context.populations[model], unread if enough else half, context.config)
    fitted = np.unique(ground.patient[~frozen.tested]).size
    name = "fitted_on_unread" if enough else "fitted_on_random_patients"
    return frozen, codes.note(name, n=fitted, reference=ground.reference)


def _on_reads(
    found: tuple[Frozen, Text] | None, ground: ScoreMatrix | None, read_matrix: ReadMatrix, finding: str
) -> ReaderThresholds:
    """Return the thresholds with the read cases on which they may be tested."""
    everything = np.ones(len(read_matrix.case_id), dtype=bool)
    if found is None or ground is None:
        return ReaderThresholds({}, everything, codes.note("no_reference_for_thresholds"))
    frozen, words = found
    spent = {ground.case_id[i] for i in np.flatnonzero(~frozen.tested)}
    tested = np.array([c not in spent for c in read_matrix.case_id], dtype=bool)
    return ReaderThresholds(frozen.thresholds.get(finding, {}), tested, words)
