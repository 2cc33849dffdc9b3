"""Sensitivity analyses: other treatments of uncertain labels, and other label sources as reference standard.

Each alternative uses the same join with a changed configuration. Differences have intervals from paired resamples, in
which the same patients are drawn under both configurations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from overread import codes
from overread.codes import Analysis, Metric, Text
from overread.evaluation.context.analysis_context import (
    AnalysisContext,
    aggregate_sites,
    macro_note,
    over_pairs,
    population_cases,
    population_counts,
    with_areas,
)
from overread.evaluation.context.auc_terms import AucTerm, linear_estimate, mean_terms
from overread.evaluation.context.estimate_rows import (
    MEAN,
    Counts,
    EstimateKey,
    Row,
    add_notes,
    count,
    mean_row,
    not_estimable,
    row,
)
from overread.evaluation.context.finding_means import hits_and_size, mean_estimate, mean_over, with_replicates
from overread.evaluation.context.patient_draws import Draws, draws, totals
from overread.evaluation.context.score_matrix import Bools, Floats, ScoreMatrix, build_scores, subset_cases
from overread.evaluation.context.site_populations import WITHIN_SITE_MEAN, Population
from overread.evaluation.context.thresholds import point_at
from overread.evaluation.evaluation_config import UNCERTAIN, EvaluationConfig
from overread.evaluation.join.matching import Join
from overread.evaluation.models.standalone import auc_over, calls, point_rows
from overread.stats.estimate import Estimate
from overread.stats.resampling.patient_bootstrap import percentile_interval

ANALYSIS = Analysis.POLICIES
DIFFERENCES = {
    Metric.SENSITIVITY: Metric.SENSITIVITY_DIFFERENCE,
    Metric.SPECIFICITY: Metric.SPECIFICITY_DIFFERENCE,
}
RATES = tuple(DIFFERENCES)
Again = Callable[[EvaluationConfig], Join]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The main analysis and an alternative on resamples of the same patients; `contrast` names the main analysis."""

    main: AnalysisContext
    other: AnalysisContext
    contrast: str
    note: Text = codes.NONE
    source: str = ""  # the reference standard of the main analysis, where another label source is compared with it

    def on_cases(self, cases: Sequence[int]) -> Text:
        """Return the note of a number with these numbers of cases, one for each of its findings."""
        if not self.source or not cases:
            return self.note
        fewest, most = min(cases), max(cases)
        if fewest == most:
            return codes.note("cases_with_both_labels", n=most, source=self.source)
        return codes.note("cases_with_both_labels_range", fewest=fewest, most=most, source=self.source)

    def findings(self, rater: str) -> list[str]:
        """Return the findings of the rater for which the two reference standards differ."""
        here, there = self.main.panel, self.other.panel
        shared = [f for f in there.findings if here.gives(rater, f) and there.gives(rater, f)]
        return [f for f in shared if _stated(here, f) != _stated(there, f)]


def policies(
    context: AnalysisContext, joined: Join, *, labels: pl.DataFrame, again: Again, policy: str, rng: np.random.Generator
) -> list[Row]:
    """Estimate AUC and rates at frozen thresholds under every policy on uncertain labels and every label source.

    `again` joins the same tables under another configuration; `policy` is the text of the main policy. Without
    uncertain labels there is nothing to compare between policies. Other label sources (all, or those of `references`)
    are compared on the cases that both label; with reads this is the analysis H2.
    """
    rows: list[Row] = []
    for i, pair in enumerate(_by_uncertain(context, joined, again, policy, rng)):
        rows += _rows(pair) + (_as_it_is(pair) if i == 0 else [])
    if joined.reads is None:
        for pair in _by_source(context, labels, again, rng):
            rows += _rows(pair)
    return rows


def _by_uncertain(
    context: AnalysisContext, joined: Join, again: Again, policy: str, rng: np.random.Generator
) -> Iterator[Pair]:
    if not joined.uncertain:
        return
    for word in (w for w in UNCERTAIN if w != context.config.uncertain):
        # what a rater did not score of the labels that now count is counted, not refused: the main table stands
        alternative = again(replace(context.config.allowing_all(), uncertain=word))
        text = policy.replace(f"uncertain={context.config.uncertain}", f"uncertain={word}")
        yield _paired(
            context,
            build_scores(alternative, policy=text, finite=context.panel.finite),
            f"policy:{policy}",
            _unscored(alternative),
            rng,
        )


def _by_source(
    context: AnalysisContext, labels: pl.DataFrame, again: Again, rng: np.random.Generator
) -> Iterator[Pair]:
    config, ground = context.config, context.panel
    own_labels = labels.filter(pl.col("case_id").is_in(list(ground.case_id)), pl.col("finding").is_in(ground.findings))
    for source in own_labels["source"].cast(pl.String).unique().sort():
        if source in ground.reference.split("+") or (config.references and source not in config.references):
            continue
        alternative = again(replace(config.allowing_all(), reference=source))
        here, there = _common_cases(ground, build_scores(alternative, policy=ground.policy, finite=ground.finite))
        if not len(here.case_id):
            continue
        contrast = f"reference:{ground.reference}"
        pair = _paired(replace(context, panel=here), there, contrast, codes.NONE, rng, whole=context.panel)
        yield replace(pair, source=ground.reference)


def _unscored(alternative: Join) -> Text:
    counts: dict[str, int] = {}
    for line in alternative.unscored:  # of cases without any score, and of those that lack one of some findings
        rater = str(line.reason.codes[0]["rater"])
        counts[rater] = counts.get(rater, 0) + line.count
    return codes.notes(*(codes.note("unscored_cases", n=n, rater=rater) for rater, n in counts.items()))


def _common_cases(main: ScoreMatrix, other: ScoreMatrix) -> tuple[ScoreMatrix, ScoreMatrix]:
    """Return both score matrices on the common cases and findings, in the same order."""
    _, here, there = np.intersect1d(np.array(main.case_id), np.array(other.case_id), return_indices=True)
    findings = [f for f in main.findings if f in other.findings]
    left, right = subset_cases(main, here, findings), subset_cases(other, there, findings)
    unstated = np.isnan(left.truth) | np.isnan(right.truth)
    truths = (np.where(unstated, np.nan, p.truth) for p in (left, right))
    return tuple(replace(p, truth=t) for p, t in zip((left, right), truths, strict=True))  # type: ignore[return-value]


def _paired(
    context: AnalysisContext,
    other: ScoreMatrix,
    contrast: str,
    note: Text,
    rng: np.random.Generator,
    *,
    whole: ScoreMatrix | None = None,
) -> Pair:
    """Return both analyses with resamples of the same patients; the main resamples are reused for the same patients."""
    ground = context.panel
    if whole is None and ground.patients == other.patients:
        main, theirs = context, context.drawn
    else:
        wider, narrower = (other, ground) if len(other.patients) > len(ground.patients) else (ground, other)
        within = context.aggregation == WITHIN_SITE_MEAN
        drawn = draws(wider, rng=rng, replicates=context.config.replicates, within_sites=within)
        place = {name: i for i, name in enumerate(wider.patients)}
        part = Draws(drawn.counts[:, [place[name] for name in narrower.patients]], drawn.within_site)
        mine, theirs = (part, drawn) if wider is other else (drawn, part)
        main = _side(context, ground, mine, whole or ground)
    return Pair(main, _side(context, other, theirs, whole or ground), contrast, note)


def _side(context: AnalysisContext, ground: ScoreMatrix, drawn: Draws, frozen_on: ScoreMatrix) -> AnalysisContext:
    """Return the context for another score matrix: thresholds stay frozen and are not tested on patients used for
    fitting.
    """

    def untouched(tested: Bools) -> Bools:
        fitted = {frozen_on.patients[p] for p in np.unique(frozen_on.patient[~tested])}
        free = np.array([name not in fitted for name in ground.patients])
        return free[ground.patient]

    frozen = {rater: one.moved(untouched) for rater, one in context.frozen.items()}
    ground = replace(ground, across_sites=context.panel.across_sites)
    return with_replicates(with_areas(replace(context, panel=ground, drawn=drawn, frozen=frozen)))


def _stated(ground: ScoreMatrix, finding: str) -> dict[str, float]:
    truth = ground.truths(finding)
    return {ground.case_id[i]: truth[i] for i in np.flatnonzero(~np.isnan(truth))}


def _as_it_is(pair: Pair) -> list[Row]:
    """Return the rows of the main policy, for comparison."""
    return [
        r
        for rater, population in _both(pair)
        for f in pair.findings(rater)
        for r in _values(pair.main, _place(pair.main, f, rater, population), population)
    ] + [
        _mean(pair.main, rater, population, _common(pair, rater, population))
        for rater, population in _both(pair)
        if pair.findings(rater) and pair.main.panel.ranks_any(rater)
    ]


def _both(pair: Pair) -> list[tuple[str, Population]]:
    return [(rater, p) for rater in pair.main.raters for p in pair.main.populations[rater]]


def _place(context: AnalysisContext, finding: str, rater: str, population: Population) -> EstimateKey:
    return context.place(ANALYSIS, finding, rater, population)


def _rows(pair: Pair) -> list[Row]:
    """Return the rows of the alternative and the differences, for every finding whose truth differs."""
    rows: list[Row] = []
    for rater, population in _both(pair):
        findings = pair.findings(rater)
        for finding in findings:
            place = _place(pair.other, finding, rater, population)
            note = pair.on_cases(_cases(pair.other, rater, population, [finding]))
            rows += _values(pair.other, place, population, note)
            if pair.other.panel.ranks(rater, finding):
                rows.append(_auc_difference(pair, place, population))
            for point in pair.main.frozen[rater].thresholds.get(finding, {}):
                rows += _rate_differences(pair, place, population, point)
        if findings and pair.main.panel.ranks_any(rater):
            common = _common(pair, rater, population)
            note = pair.on_cases(_cases(pair.other, rater, population, common))
            rows.append(_mean(pair.other, rater, population, common, note))
            rows.append(_mean_difference(pair, rater, population, common))
    return rows


def _values(context: AnalysisContext, place: EstimateKey, population: Population, note: Text = codes.NONE) -> list[Row]:
    """Return AUC, sensitivity and specificity of a finding, as in the standalone analysis."""
    rows = []
    if context.panel.ranks(place.rater, place.finding):
        over = aggregate_sites(context, place.rater, place.finding, population)
        counts = population_counts(context, place.rater, place.finding, population)
        estimate = add_notes(auc_over(context, place, over), note)
        rows.append(row(place, Metric.AUC, estimate, counts=counts, confidence=context.config.confidence))
    cases = population_cases(context, population)
    for name, threshold in context.frozen[place.rater].thresholds.get(place.finding, {}).items():
        rows += point_rows(context, place, name, threshold, cases, RATES)
    return rows


def _auc_difference(pair: Pair, place: EstimateKey, population: Population) -> Row:
    """Estimate the AUC of the alternative minus that of the main analysis; means are over sites evaluable in both."""
    here, there = (aggregate_sites(s, place.rater, place.finding, population) for s in (pair.main, pair.other))
    estimate = not_estimable(codes.note("few_patients_alternative"))
    keys = [(place.rater, place.finding, p) for p in there.parts if p in here.parts]
    if here.evaluable and there.evaluable and over_pairs(pair.main, population):
        estimate = _paired_influence(pair, here.areas, there.areas)
    elif here.evaluable and there.evaluable and keys:
        value = float(np.mean([pair.other.areas[k].value - pair.main.areas[k].value for k in keys]))
        drawn = np.mean([pair.other.replicates[k] - pair.main.replicates[k] for k in keys], axis=0)
        estimate = percentile_interval(drawn, value=value, confidence=pair.main.config.confidence)
    counts = population_counts(pair.other, place.rater, place.finding, population)
    return _difference_row(pair, place, Metric.AUC_DIFFERENCE, estimate, counts=counts)


def _paired_influence(pair: Pair, main: Sequence[AucTerm], other: Sequence[AucTerm]) -> Estimate:
    """Estimate the mean of the alternative minus that of the main analysis from the influence values of their patients,
    who are matched by name.
    """
    names = sorted({*pair.main.panel.patients, *pair.other.panel.patients})
    place = {name: i for i, name in enumerate(names)}
    terms: list[tuple[float, AucTerm]] = []
    for side, areas, sign in ((pair.other, other, 1.0), (pair.main, main, -1.0)):
        index = np.array([place[name] for name in side.panel.patients], dtype=np.intp)
        terms += mean_terms([replace(a, patients=index[a.patients]) for a in areas], sign)
    estimate = linear_estimate(terms, len(names), confidence=pair.main.config.confidence, null=0.0)
    return replace(estimate, p=np.nan)  # these differences are estimated, not tested


def _rate_differences(pair: Pair, place: EstimateKey, population: Population, point: str) -> list[Row]:
    """Estimate differences in sensitivity and specificity at a frozen threshold, alternative minus main analysis."""
    threshold, rows = pair.main.frozen[place.rater].thresholds[place.finding][point], []
    if threshold.value != threshold.value:
        return []
    sides = [
        (s, calls(s.panel, s.frozen[place.rater], place, threshold, population_cases(s, population)))
        for s in (pair.other, pair.main)
    ]
    counts = [count(c.truth.astype(np.float64), c.patient) for _, c in sides]
    for metric in RATES:
        estimate = not_estimable(codes.note("few_patients_alternative"))
        if all(pair.main.evaluable(h) for h in counts):
            (value, drawn), (less, less_drawn) = (_rate(s, hits_and_size(s, c, metric)) for s, c in sides)
            estimate = percentile_interval(
                drawn - less_drawn, value=value - less, confidence=pair.main.config.confidence
            )
        estimate = add_notes(estimate, pair.main.frozen[place.rater].part(place.finding).words)
        rows.append(_difference_row(pair, place, DIFFERENCES[metric], estimate, counts=counts[0], at=point_at(point)))
    return rows


def _rate(context: AnalysisContext, parts: tuple[Floats, Floats]) -> tuple[float, Floats]:
    """Return a rate and its replicates (replicates,)."""
    hits, size = parts
    drawn = totals(context.drawn, np.stack(parts, axis=1))
    rates = np.divide(drawn[:, 0], drawn[:, 1], out=np.full(len(drawn), np.nan), where=drawn[:, 1] > 0)
    return float(hits.sum() / size.sum()), rates


def _common(pair: Pair, rater: str, population: Population) -> list[str]:
    """Return the findings that are evaluable in both analyses."""
    sides = (pair.main, pair.other)
    given = [f for f in pair.main.macro() if all(s.panel.gives(rater, f) for s in sides)]
    return [f for f in given if all(aggregate_sites(s, rater, f, population).evaluable for s in sides)]


def _mean(
    context: AnalysisContext, rater: str, population: Population, findings: list[str], note: Text = codes.NONE
) -> Row:
    place, confidence = _place(context, MEAN, rater, population), context.config.confidence
    estimate = Estimate(np.nan)
    if findings:
        reaches = {f: aggregate_sites(context, rater, f, population) for f in findings}
        estimate = mean_estimate(context, rater, population, reaches)
    return mean_row(
        place,
        Metric.AUC,
        add_notes(estimate, macro_note(context, findings), note),
        over=findings,
        confidence=confidence,
    )


def _mean_difference(pair: Pair, rater: str, population: Population, findings: list[str]) -> Row:
    estimate = Estimate(np.nan)
    there, here = ({f: aggregate_sites(s, rater, f, population) for f in findings} for s in (pair.other, pair.main))
    if findings and over_pairs(pair.main, population):
        areas = ([a for r in side.values() for a in r.areas] for side in (here, there))
        estimate = _paired_influence(pair, *areas)
    elif findings:
        (value, drawn), (less, less_drawn) = (
            mean_over(s, rater, side) for s, side in ((pair.other, there), (pair.main, here))
        )
        estimate = percentile_interval(drawn - less_drawn, value=value - less, confidence=pair.main.config.confidence)
    place = _place(pair.other, MEAN, rater, population)
    estimate = add_notes(estimate, macro_note(pair.other, findings))
    cases = _cases(pair.other, rater, population, findings)
    return _difference_row(pair, place, Metric.AUC_DIFFERENCE, estimate, cases=cases)


def _cases(context: AnalysisContext, rater: str, population: Population, findings: Sequence[str]) -> list[int]:
    """Return the number of cases of each finding."""
    return [population_counts(context, rater, f, population).cases for f in findings]


def _difference_row(
    pair: Pair,
    place: EstimateKey,
    metric: str,
    estimate: Estimate,
    *,
    counts: Counts | None = None,
    cases: Sequence[int] = (),
    at: str = "",
) -> Row:
    return row(
        place.to(contrast=pair.contrast),
        metric,
        add_notes(estimate, pair.on_cases([counts.cases] if counts else cases)),
        at=at,
        counts=counts,
        test={"null": 0.0},
        confidence=pair.main.config.confidence,
    )
