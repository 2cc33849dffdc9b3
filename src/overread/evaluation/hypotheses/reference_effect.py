"""Hypothesis H2: AUCs, and drops from internal to external, of the same scores by each reference standard.

The scores are the same and the truth differs, so that DeLong's test does not apply. Patients are resampled, with one
set of resamples for all reference standards, outputs and populations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from overread import codes
from overread.codes import Analysis, Metric, Text
from overread.evaluation.context.analysis_context import mean_note
from overread.evaluation.context.auc_terms import FEWEST
from overread.evaluation.context.estimate_rows import (
    MEAN,
    Counts,
    EstimateKey,
    Row,
    add_notes,
    count,
    not_estimable,
    row,
    without_interval,
)
from overread.evaluation.context.reader_context import ReaderContext
from overread.evaluation.context.score_matrix import Bools
from overread.evaluation.context.site_populations import Population
from overread.evaluation.readers.pooled_readers import Replicated
from overread.stats.resampling import patient_bootstrap
from overread.stats.resampling.patient_bootstrap import percentile_interval

CLAIM = (
    "A model's drop in AUC at unseen institutions depends on the choice of reference standard: it is smaller under "
    "another reference standard than under the labels of the data sets"
)
_METHOD = codes.method("reference_bootstrap")


@dataclass(frozen=True, slots=True, eq=False)
class OutputUnderReferences:
    """One output in one population by every reference standard, on the cases that all of them label."""

    finding: str
    rater: str
    population: Population
    counts: Mapping[str, Counts]  # by reference
    areas: Mapping[str, Replicated]  # by reference
    note: Text
    evaluable: bool  # enough patients with the finding and without it under every reference


def reference_rows(context: ReaderContext, *, protocol_hash: str = "") -> tuple[list[Row], list[Row]]:
    """Return the rows of H2, and its verdict where the configuration asks for it."""
    found: dict[tuple[str, str], list[OutputUnderReferences]] = {}
    for finding in (f for f in context.panel.findings if context.panel.outputs.get(f)):
        stating = [r for r in context.panel.references if not np.isnan(_truth(context, finding, r)).all()]
        if len(stating) < 2:  # nothing is beside the one
            continue
        for rater in context.ranked(finding):
            standings = [
                _standing(context, (finding, rater), p, stating)
                for p in context.populations[context.models[rater]]
                if _cases(context, finding, p, stating).any()
            ]
            found[finding, rater] = standings
    rows = [r for standings in found.values() for s in standings for r in _area_rows(context, s)]
    pairs = [p for standings in found.values() for p in _across(standings)]
    for inside, outside in pairs:
        rows += _drop_rows(context, inside, outside)
    mean, verdict = _verdict(context, pairs, protocol_hash)
    return rows + mean, [verdict] if "H2" in context.config.hypotheses else []


def _truth(context: ReaderContext, finding: str, reference: str) -> np.ndarray:
    return context.panel.truths(finding, reference, context.config.uncertain_calls)


def _cases(context: ReaderContext, finding: str, population: Population, references: Sequence[str]) -> Bools:
    """Return the read cases of a population with scores of every output and labels of every reference standard."""
    panel = context.panel
    here = np.isin(panel.site.codes, [i for i, s in enumerate(panel.site.levels) if s in population.sites])
    labelled = [~np.isnan(_truth(context, finding, r)) for r in references]
    return np.asarray(
        here & panel.scored(finding) & np.logical_and.reduce(labelled or [np.zeros(here.size, dtype=bool)])
    )


def _standing(
    context: ReaderContext, what: tuple[str, str], population: Population, references: Sequence[str]
) -> OutputUnderReferences:
    """Compute the AUC by each reference standard, as the unweighted mean over sites with both classes by all of
    them.
    """
    finding, rater = what
    panel, cases = context.panel, _cases(context, finding, population, references)
    truth = np.stack([_truth(context, finding, r) for r in references])
    counts = {r: count(np.where(cases, t, np.nan), panel.patient) for r, t in zip(references, truth, strict=True)}
    used, values, draws = [], [], []
    for site in population.sites:
        at = panel.site.levels.index(site) if site in panel.site.levels else -2
        here = np.flatnonzero(cases & (panel.site.codes == at))
        if here.size and all(count(t[here], panel.patient[here]).at_least(1, 1) for t in truth):
            aucs = _replicates(context, truth[:, here], panel.score[finding, rater][here], here)
            used.append(site)
            values.append(aucs[0])
            draws.append(aucs[1:])
    nothing = np.full((len(context.drawn), len(references)), np.nan)
    value = np.mean(values, axis=0) if values else np.full(len(references), np.nan)
    drawn = np.mean(draws, axis=0) if draws else nothing
    out = [s for s in population.sites if s in panel.site.levels and s not in used]
    note = codes.notes(
        codes.note("mean_over_sites", n=len(used)) if len(used) > 1 else None,
        codes.note("sites_one_class", sites=tuple(out)) if out and used else None,
    )
    config = context.config
    enough = all(c.at_least(config.minimum_present, config.minimum_absent) for c in counts.values())
    areas = {r: Replicated(float(value[k]), drawn[:, k]) for k, r in enumerate(references)}
    return OutputUnderReferences(finding, rater, population, counts, areas, note, enough and bool(used))


def _replicates(context: ReaderContext, truth: np.ndarray, score: np.ndarray, cases: np.ndarray) -> np.ndarray:
    """Compute the AUC by each reference standard, the estimate first: (1 + replicates, n_references)."""
    patients, codes = np.unique(context.panel.patient[cases], return_inverse=True)
    once = np.ones((1, patients.size), dtype=np.uint16)
    counts = np.concatenate([once, context.drawn.patients[:, patients].astype(np.uint16)])
    weight = None if context.panel.weight is None else context.panel.weight[cases]
    scores = np.broadcast_to(score, (1, *truth.shape))
    return patient_bootstrap.auc_replicates(truth, scores, counts, cluster=codes, weights=weight)[:, 0]


def _place(context: ReaderContext, result: OutputUnderReferences, reference: str) -> EstimateKey:
    arm = context.panel.arms[0]
    policy = f"{context.policy};uncertain_call={context.config.uncertain_calls}"
    return EstimateKey(
        Analysis.H2, result.finding, result.rater, result.population.name, "read", arm, "", reference, policy
    )


def _area_rows(context: ReaderContext, result: OutputUnderReferences) -> list[Row]:
    rows = []
    for reference, drawn in result.areas.items():
        place = _place(context, result, reference)
        rows.append(_row(context, place, Metric.AUC, drawn, [(result, reference)]))
    for a, b in combinations(result.areas, 2):
        place = _place(context, result, a).to(contrast=f"reference:{b}")
        drawn = result.areas[a] - result.areas[b]
        rows.append(_row(context, place, Metric.AUC_DIFFERENCE, drawn, [(result, b), (result, a)]))
    return rows


def _across(standings: Sequence[OutputUnderReferences]) -> list[tuple[OutputUnderReferences, OutputUnderReferences]]:
    """Pair every internal result with every external one of the same output."""
    inside = [s for s in standings if s.population.internal]
    return [(i, o) for i in inside for o in standings if not o.population.internal]


def _drop_rows(context: ReaderContext, inside: OutputUnderReferences, outside: OutputUnderReferences) -> list[Row]:
    rows, name = [], outside.population.name
    drops = {r: inside.areas[r] - outside.areas[r] for r in inside.areas if r in outside.areas}
    for reference, drawn in drops.items():
        place = _place(context, inside, reference).to(contrast=f"population:{name}")
        rows.append(_row(context, place, Metric.AUC_DROP, drawn, [(inside, reference), (outside, reference)]))
    for a, b in combinations(drops, 2):
        place = _place(context, inside, a).to(contrast=f"reference:{b}")
        drawn, at = drops[a] - drops[b], f"population={name}"
        under = [(s, r) for r in (b, a) for s in (inside, outside)]
        rows.append(_row(context, place, Metric.AUC_DROP_DIFFERENCE, drawn, under, at=at))
    return rows


def _row(
    context: ReaderContext,
    place: EstimateKey,
    metric: str,
    drawn: Replicated,
    under: Sequence[tuple[OutputUnderReferences, str]],
    *,
    at: str = "",
) -> Row:
    """Return a row that depends on these results and reference standards; counts are those of the last."""
    result, reference = under[-1]
    counts = result.counts[reference]
    few = min(min(s.counts[r].patients_present, s.counts[r].patients_absent) for s, r in under)
    estimate = percentile_interval(drawn.draws, value=drawn.value, confidence=context.config.confidence)
    if np.isnan(drawn.value):
        estimate = not_estimable(codes.note("cases_of_one_class"))
    elif few < FEWEST:
        estimate = without_interval(estimate, codes.note("few_patients_smaller_class", n=few, least=FEWEST))
    estimate = replace(estimate, method=_METHOD)
    notes = [s.note for s, _ in under] + [context.note_on(place.finding, r) for _, r in under]
    test = {"null": 0.0} if metric != Metric.AUC else {}
    return row(
        place,
        metric,
        add_notes(estimate, *notes),
        at=at,
        counts=counts,
        test=test,
        confidence=context.config.confidence,
    )


def _verdict(
    context: ReaderContext, pairs: Sequence[tuple[OutputUnderReferences, OutputUnderReferences]], protocol_hash: str
) -> tuple[list[Row], Row]:
    """Return the mean over findings of drop(own) - drop(other reference), per model and external site, and the
    verdict.
    """
    rows: list[Row] = []
    lows, highs = [], []
    for (model, site, other), mine in _contrasts(context, pairs).items():
        drawn = Replicated(float(np.mean([d.value for d, _ in mine])), np.mean([d.draws for d, _ in mine], axis=0))
        estimate = percentile_interval(drawn.draws, value=drawn.value, confidence=context.config.confidence)
        lows.append((estimate.low, model, site, other))
        highs.append((estimate.high, model, site, other))
        place = _place(context, mine[0][1], _own(context)).to(
            finding=MEAN, rater=model, contrast=f"reference:{other}", population=mine[0][1].population.name
        )
        estimate = add_notes(replace(estimate, method=_METHOD), mean_note([s.finding for _, s in mine]))
        rows.append(
            row(
                place,
                Metric.AUC_DROP_DIFFERENCE,
                estimate,
                at=f"population={site}",
                test={"null": 0.0},
                confidence=context.config.confidence,
            )
        )
    verdict, reason = _decided(context, lows, highs)
    made_row = {
        "hypothesis": "H2",
        "claim": CLAIM,
        "rule": rule(context),
        "verdict": verdict,
        "reason": reason,
        "protocol_hash": protocol_hash,
    }
    return rows, made_row


def _own(context: ReaderContext) -> str:
    """Return the labels of the data sets: the main reference standard if it is one of those compared, else the
    first.
    """
    sources = [s for s in context.config.sources if s in context.panel.references]
    return sources[0] if sources else context.panel.references[0]


def _contrasts(
    context: ReaderContext, pairs: Sequence[tuple[OutputUnderReferences, OutputUnderReferences]]
) -> dict[tuple[str, str, str], list[tuple[Replicated, OutputUnderReferences]]]:
    """Return the drop by the own labels minus that by another reference, by model, external population and reference.

    A finding is included once, with its first output, if it is evaluable in both populations.
    """
    own, contrasts = _own(context), {}  # type: ignore[var-annotated]
    for inside, outside in pairs:
        model = context.models[inside.rater]
        outputs = context.ranked(inside.finding)
        first = next(r for r in outputs if context.models[r] == model)
        both = own in inside.areas and own in outside.areas
        if inside.rater != first or not (inside.evaluable and outside.evaluable and both):
            continue
        mine = inside.areas[own] - outside.areas[own]
        for other in (r for r in inside.areas if r != own and r in outside.areas):
            drawn = mine - (inside.areas[other] - outside.areas[other])
            contrasts.setdefault((model, outside.population.name, other), []).append((drawn, inside))
    return contrasts


def rule(context: ReaderContext) -> str:
    """Return the decision rule in words, with the numbers of the configuration."""
    c, own = context.config, _own(context)
    return (
        f"A finding is evaluable where at least {c.minimum_present} patients have it and {c.minimum_absent} lack it in "
        f"both populations under every reference. D = mean over the evaluable findings of drop under {own} minus drop "
        f"under another reference, same scores and cases. Supported: the {100 * c.confidence:g} % lower limit of D is "
        f"above 0 for every model, external site and other reference. Not supported: at least one upper limit, not "
        f"adjusted for multiple comparisons, is below "
        f"{c.smallest_worthwhile_gain:g}. Otherwise, or without an external population or two references: cannot tell."
    )


def _decided(
    context: ReaderContext, lows: Sequence[tuple[float, str, str, str]], highs: Sequence[tuple[float, str, str, str]]
) -> tuple[str, str]:
    outside = any(not p.internal for ps in context.populations.values() for p in ps)
    if len(context.panel.references) < 2:
        return "cannot tell", "There is one reference only; two are needed."
    if not outside:
        return "cannot tell", "H2 could not be tested: there is no external site."
    if not lows:
        return "cannot tell", "No finding is evaluable in an internal and an external population under two references."
    if all(low > 0 for low, *_ in lows):
        low, model, site, other = min(lows)
        return (
            "supported",
            f"The lower limit of D is above 0 everywhere; the smallest is {low:+.4f} ({model}, {site}, {other}).",
        )
    out = [(h, *rest) for h, *rest in highs if h < context.config.smallest_worthwhile_gain]
    if out:
        named = ", ".join(f"{model} at {site} against {other} ({h:+.4f})" for h, model, site, other in out)
        return (
            "not supported",
            f"The upper limit of D is below {context.config.smallest_worthwhile_gain:g} at: {named}.",
        )
    short = ", ".join(f"{m} at {s} against {o} ({low:+.4f})" for low, m, s, o in lows if not low > 0)
    gain = context.config.smallest_worthwhile_gain
    return "cannot tell", (
        f"The lower limit of D is not above 0 at {short}, and a D of {gain:g} or more could not be excluded in any "
        "contrast."
    )
