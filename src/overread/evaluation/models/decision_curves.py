"""Decision curves, and net benefit at prespecified thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from overread import codes, tables
from overread.codes import Analysis, Metric, Text
from overread.evaluation.context.analysis_context import AnalysisContext, population_cases
from overread.evaluation.context.auc_terms import Cases, select
from overread.evaluation.context.estimate_rows import EstimateKey, Row, add_notes, count, not_estimable, row, share_text
from overread.evaluation.context.score_matrix import Floats
from overread.evaluation.context.site_populations import Population
from overread.evaluation.models.calibration_errors import unfit
from overread.evaluation.models.roc_rates import curve_point
from overread.evaluation.progress import advancing
from overread.stats.decision.net_benefits import DecisionCurve, NetBenefitDifference, compare_net_benefit, net_benefit
from overread.stats.estimate import Estimate
from overread.stats.multiplicity import holm
from overread.stats.sampling_design import sampling

# Where decision curves are drawn: densely where screening happens, up to one half.
GRID = np.unique(np.concatenate([np.linspace(0.005, 0.05, 10), np.linspace(0.06, 0.2, 15), np.linspace(0.22, 0.5, 15)]))
EVERYONE = "(everyone)"


def decisions(context: AnalysisContext) -> tuple[list[Row], list[Row]]:
    """Estimate the net benefit of every rater, its difference from treating all and from other raters, and decision
    curves.
    """
    rows: list[Row] = []
    curves: list[Row] = []
    steps = advancing(("raters", "pairs"), (len(context.raters), len(context.raters) - 1))
    next(steps)
    for rater in advancing(context.raters):
        for population in advancing(context.populations[rater]):
            for finding in advancing(context.panel.findings):
                if context.panel.ranks(rater, finding):
                    results = _of_rater(
                        context, context.place(Analysis.DECISION, finding, rater, population), population
                    )
                    rows, curves = rows + results[0], curves + results[1]
    next(steps)
    rows += _between(context)
    next(steps, None)
    return rows, curves


def _stated(context: AnalysisContext) -> Floats:
    return np.array(context.config.decision_thresholds, dtype=np.float64)


def _of_rater(context: AnalysisContext, place: EstimateKey, population: Population) -> tuple[list[Row], list[Row]]:
    thresholds, confidence = _stated(context), context.config.confidence
    cases = select(context.panel, place.rater, place.finding, population_cases(context, population))
    if not cases.truth.size:  # the row of the AUC says that nothing is stated
        return [], []
    counts = count(cases.truth.astype(np.float64), cases.patient)
    why = unfit(cases, cases.score, counts)
    if why:
        missing = not_estimable(why)
        return [
            row(place, Metric.NET_BENEFIT, missing, at=_at(t), counts=counts, confidence=confidence) for t in thresholds
        ], []
    curve = net_benefit(
        cases.truth, cases.score, np.concatenate([GRID, thresholds]), confidence=confidence, **cases.drawn
    )
    rows: list[Row] = []
    everyone = place.to(contrast=f"rater:{EVERYONE}")
    against = codes.note("p_against_treating_none")
    for i, t in enumerate(thresholds, start=GRID.size):
        own, less = _estimates(curve, i)
        own = add_notes(own, against)
        test = {"null": 0.0}
        rows.append(
            row(
                place,
                Metric.NET_BENEFIT,
                add_notes(own, against),
                at=_at(t),
                counts=counts,
                test=test,
                confidence=confidence,
            )
        )
        rows.append(
            row(
                everyone,
                Metric.NET_BENEFIT_DIFFERENCE,
                less,
                at=_at(t),
                counts=counts,
                test=test,
                confidence=confidence,
            )
        )
    curves = [
        curve_point(place, "net_benefit", i, (float(x), float(y), float(low), float(high)))
        for i, (x, y, low, high) in enumerate(
            zip(GRID, curve.model[: GRID.size], curve.low[: GRID.size], curve.high[: GRID.size], strict=True)
        )
    ]
    curves += [
        curve_point(place, "treat_all", i, (float(x), float(y), np.nan, np.nan))
        for i, (x, y) in enumerate(zip(GRID, curve.treat_all[: GRID.size], strict=True))
    ]
    return rows, curves


def _estimates(curve: DecisionCurve, i: int) -> tuple[Estimate, Estimate]:
    """Return the net benefit at the i-th threshold, and its difference from treating all."""
    low, high, se, p = (float(a[i]) for a in (curve.low, curve.high, curve.se, curve.p))
    own = Estimate(float(curve.model[i]), low, high, se, p, _method(curve), curve.note)
    return own, _difference(curve.minus_all, i, _method(curve))


def _difference(difference: NetBenefitDifference, i: int, method: Text) -> Estimate:
    value, low, high, se, p = (
        float(a[i]) for a in (difference.value, difference.low, difference.high, difference.se, difference.p)
    )
    return Estimate(value, low, high, se, p, method)


def _method(curve: DecisionCurve) -> Text:
    return codes.methods(codes.method("net_benefit"), curve.method)


def _between(context: AnalysisContext) -> list[Row]:
    """Estimate differences in net benefit of every pair of raters of a population, with Holm adjustment over
    findings.
    """
    rows: list[Row] = []
    for a, b in combinations(context.raters, 2):
        for population in context.populations[a]:
            if population in context.populations[b]:
                rows += _pair(context, (a, b), population)
    return rows


def _pair(context: AnalysisContext, pair: tuple[str, str], population: Population) -> list[Row]:
    thresholds, confidence, panel = _stated(context), context.config.confidence, context.panel
    found: list[tuple[EstimateKey, Cases, NetBenefitDifference]] = []
    for finding in panel.findings:
        if any((rater, finding) in panel.decisions for rater in pair):
            continue
        mask = population_cases(context, population) & panel.stated(pair[0], finding) & panel.stated(pair[1], finding)
        one, other = (select(panel, rater, finding, mask) for rater in pair)
        counts = count(one.truth.astype(np.float64), one.patient)
        if not one.truth.size or any(unfit(cases, cases.score, counts) for cases in (one, other)):
            continue  # the rows of the rater itself say why
        place = context.place(Analysis.DECISION, finding, pair[0], population).to(contrast=f"rater:{pair[1]}")
        difference = compare_net_benefit(
            one.truth, one.score, other.score, thresholds, confidence=confidence, **one.drawn
        )
        found.append((place, one, difference))
    return [r for i in range(thresholds.size) for r in _adjusted(found, i, _at(thresholds[i]), confidence)]


def _adjusted(
    found: Sequence[tuple[EstimateKey, Cases, NetBenefitDifference]], i: int, at: str, confidence: float
) -> list[Row]:
    if not found:
        return []
    adjusted = holm([difference.p[i] for _, _, difference in found])
    rows = []
    for (place, cases, difference), p in zip(found, adjusted, strict=True):
        family = (
            f"net benefit of {place.rater} against {place.contrast.removeprefix('rater:')}, {place.population}, {at}"
        )
        test = {"null": 0.0, "p_adjusted": float(p), "family": f"{family}: {tables.counted(len(found), 'findings')}"}
        method = codes.methods(
            codes.method("net_benefit"),
            codes.method("same_cases"),
            _sampling_method(cases),
            codes.method("agresti_coull"),
        )
        counts = count(cases.truth.astype(np.float64), cases.patient)
        made_row = _difference(difference, i, method)
        rows.append(
            row(place, Metric.NET_BENEFIT_DIFFERENCE, made_row, at=at, counts=counts, test=test, confidence=confidence)
        )
    return rows


def _sampling_method(cases: Cases) -> Text:
    """Describe how clustering, weights and strata entered the variance."""
    return sampling(cases.truth.size, where="decisions", **cases.drawn).words


def _at(threshold: float) -> str:
    return f"threshold={share_text(float(threshold))}"
