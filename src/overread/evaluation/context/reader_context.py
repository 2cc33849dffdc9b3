"""What every analysis of reads is given: read panel, frozen thresholds of outputs, draws of readers and patients."""

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
from overread.evaluation.context.thresholds import FEWEST, Frozen, Threshold, from_half, from_model, from_tune
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join.matching import Join
from overread.evaluation.join.read_matching import ReadJoin
from overread.evaluation.join.reference_standards import DERIVED, OTHERS
from overread.stats.reader_studies.product_bootstrap import PooledReads, ProductDraws, pool, product_draws

FAVOURED = codes.note("reference_from_readers")


@dataclass(frozen=True, slots=True, eq=False)
class ReaderThresholds:
    """The frozen thresholds of one output, the read cases (n_cases,) they may be tested on, and how they came about."""

    thresholds: Mapping[str, Threshold]
    tested: Bools
    words: Text


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
    """The ground of the analyses of reads; models says by which model an output is given."""

    panel: ReadMatrix
    joined: ReadJoin
    config: EvaluationConfig
    policy: str  # of labels and case scores
    population: str
    populations: Mapping[str, tuple[Population, ...]]  # by model
    models: Mapping[str, str]  # by output
    points: Mapping[tuple[str, str], ReaderThresholds]  # by finding and output
    drawn: ProductDraws
    rng: np.random.Generator  # of the resampling that agreement does for itself

    def place(
        self,
        finding: str,
        rater: str,
        *,
        reads: ReadSelection,
        reference: str = "",
        analysis: Analysis = Analysis.READERS,
    ) -> EstimateKey:
        """Where an estimate on the read cases belongs; a rater that is no output answers in the arm of the reads."""
        arm = "model" if rater in self.models else reads.arm
        policy = f"{self.policy};uncertain_call={reads.policy}"
        return EstimateKey(analysis, finding, rater, self.population, "read", reads.arm, "", reference, policy, arm)

    def reads(self, finding: str, arm: str, policy: str, *, every: bool = False) -> ReadSelection:
        """The reads with a call, of cases that every output of the finding scores (`every`: of all cases)."""
        of, call = self.panel, self.panel.call[policy]
        mine = (of.finding == of.findings.index(finding)) & (of.arm == of.arms.index(arm)) & ~np.isnan(call)
        if not every:
            mine &= of.scored(finding)[of.case]
        index = np.flatnonzero(mine)
        return ReadSelection(finding, arm, policy, index, of.reader[index], of.case[index], call[index] == 1)

    def pooled(self, reads: ReadSelection, truth: Floats, *, cases: Bools | None = None) -> PooledReads:
        """The reads whose truth (n_reads,) is stated, gathered; of the cases of a mask, where one is given."""
        of = self.panel
        kept = ~np.isnan(truth) if cases is None else ~np.isnan(truth) & cases[reads.case]
        case = reads.case[kept]
        return pool(
            truth[kept] == 1,
            reads.call[kept],
            reader=reads.reader[kept],
            case=case,
            patient=of.patient[case],
            weights=None if of.weight is None else of.weight[case],
            shape=(len(of.readers), of.n_patients),
        )

    def truth(self, reads: ReadSelection, reference: str) -> Floats:
        """The truth of each read under a reference (n_reads,), NaN where it is not stated."""
        return self.panel.truths(reads.finding, reference, reads.policy)[reads.case]

    def counts(self, of: PooledReads) -> Counts:
        """Cases and patients behind a pool."""
        return counted(of.truth.astype(np.float64), of.patient)

    def words(self) -> tuple[str, ...]:
        """What a reader of the evidence must know of the reads."""
        of, config = self.panel, self.config
        said = [
            f"Reads: {of.case.size:,} answers by {len(of.readers)} readers on {len(of.case_id):,} cases of "
            f"{patients_text(of.n_patients)}; uncertain calls: {config.uncertain_calls}.",
            f"References side by side: {', '.join(of.references)}.",
            f"Product bootstrap: {len(self.drawn):,} resamples of readers and, independently, of patients.",
        ]
        made = [r for r in of.references if r in (*DERIVED, *config.reader_made)]
        said += [f"Made from these readers' own reads, which favours them: {', '.join(made)}."] if made else []
        for one in config.mapping:
            said.append(f"Mapping: {one['finding']} is scored by the maximum of {', '.join(one['from'])}.")
        return tuple(said)

    @property
    def unweighted(self) -> Text:
        """The note of a row that does not use the sampling weights, where there are any."""
        return codes.NONE if self.panel.weight is None else codes.note("weights_not_used")

    def note(self, reads: ReadSelection, reference: str) -> Text:
        """What a row that rests on this reference must say."""
        if reference == OTHERS:
            return codes.note("reader_not_in_reference")
        return self.note_on(reads.finding, reference, reads.policy)

    def note_on(self, finding: str, reference: str, policy: str = "") -> Text:
        """Whether the readers made this reference themselves, and how Dawid-Skene ended under a policy ("" = main)."""
        made = reference in (*DERIVED, *self.config.reader_made)
        said = self.joined.truths.note(finding, reference, policy or self.config.uncertain_calls)
        return codes.notes(FAVOURED if made else None, said)


def build_reader_context(
    joined: Join, context: AnalysisContext, tuned: Join | None, half: Bools, rng: np.random.Generator
) -> ReaderContext | None:
    """The ground of the analyses of reads; None where no reads were given.

    tuned: the join of the tuning cases; half: the half of the patients (n_patients,) from which thresholds come where
    too few patients are left whose cases were not read.
    """
    if joined.reads is None:
        return None
    members = context.config.member_names()
    models = {r: r for r in context.panel.raters if r not in members}
    models |= {m.rater(r): r for m in context.config.mapped() for r in tuple(models)}
    outputs = [r for model in context.raters for r in models if models[r] == model]
    made = read_panel(joined.reads, raters=outputs)
    drawn = product_draws(len(made.readers), made.n_patients, rng=rng, replicates=context.config.replicates)
    return ReaderContext(
        made,
        joined.reads,
        context.config,
        context.panel.policy,
        _population(made, context),
        context.populations,
        models,
        _points(joined, made, context, tuned, half, models),
        drawn,
        rng,
    )


def _population(made: ReadMatrix, context: AnalysisContext) -> str:
    """The population of the read cases, where it has the same name for every model; else "all"."""
    sites = {made.site.levels[c] for c in np.unique(made.site.codes) if c >= 0}
    names = set()
    for model in context.raters:
        holding = [p.name for p in context.populations[model] if sites & set(p.sites)]
        names.add(holding[0] if len(holding) == 1 else "all")
    return names.pop() if len(names) == 1 else "all"


def _points(
    joined: Join, made: ReadMatrix, context: AnalysisContext, tuned: Join | None, half: Bools, models: Mapping[str, str]
) -> dict[tuple[str, str], ReaderThresholds]:
    ground, tune = _outputs(joined, made.findings), None if tuned is None else _outputs(tuned, made.findings)
    read_patients = set(joined.cases.join(joined.reads.cases, on="case_id", how="semi")["patient_id"])  # type: ignore[union-attr]
    points = {}
    for finding, raters in made.outputs.items():
        for rater in raters:
            frozen = None
            if ground is not None:
                unread = np.array([p not in read_patients for p in ground.patients])
                frozen = _frozen(ground, tune, context, (finding, rater, models[rater]), (unread, half))
            points[finding, rater] = _on_reads(frozen, ground, made, finding)
    return points


def _outputs(joined: Join, findings: Sequence[str]) -> ScoreMatrix | None:
    """Scores of the read findings, mapped ones included, beside the truth of the main reference; None without any."""
    scores = pl.concat([joined.scores, joined.mapped]).filter(pl.col("finding").is_in(list(findings)))
    return build_scores(replace(joined, scores=scores)) if scores.height else None


def _frozen(
    ground: ScoreMatrix,
    tune: ScoreMatrix | None,
    context: AnalysisContext,
    key: tuple[str, str, str],
    halves: tuple[Bools, Bools],
) -> tuple[Frozen, Text] | None:
    """The thresholds of one output, from the best source there is: model.json, tuning cases, patients without reads."""
    finding, rater, model = key
    record: Mapping[str, Any] = context.models.get(model, {})
    if rater == model and finding in (record.get("operating_points") or {}):
        made = from_model(record, ground)
        return made, made.words
    if tune is not None and rater in tune.raters and tune.gives(rater, finding) and finding in tune.findings:
        made = from_tune(tune, rater, ground, context.config)
        return made, made.words
    if rater not in ground.raters:
        return None
    unread, half = halves
    sites = [s for p in context.populations[model] if p.internal for s in p.sites] or list(ground.site.levels)
    enough = counts_at(ground, rater, finding, ground.at(sites) & unread[ground.patient]).at_least(FEWEST, FEWEST)
    made = from_half(ground, rater, context.populations[model], unread if enough else half, context.config)
    fitted = np.unique(ground.patient[~made.tested]).size
    name = "fitted_on_unread" if enough else "fitted_on_random_patients"
    return made, codes.note(name, n=fitted, reference=ground.reference)


def _on_reads(
    found: tuple[Frozen, Text] | None, ground: ScoreMatrix | None, made: ReadMatrix, finding: str
) -> ReaderThresholds:
    """The thresholds with the read cases that they may be tested on."""
    everything = np.ones(len(made.case_id), dtype=bool)
    if found is None or ground is None:
        return ReaderThresholds({}, everything, codes.note("no_reference_for_thresholds"))
    frozen, words = found
    spent = {ground.case_id[i] for i in np.flatnonzero(~frozen.tested)}
    tested = np.array([c not in spent for c in made.case_id], dtype=bool)
    return ReaderThresholds(frozen.thresholds.get(finding, {}), tested, words)
