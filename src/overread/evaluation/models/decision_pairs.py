"""Paired comparison of the decisions of two raters: differences in sensitivity and specificity on the same cases."""

from __future__ import annotations

import numpy as np

from overread import codes, tables
from overread.codes import Analysis, Metric
from overread.evaluation.context.analysis_context import AnalysisContext, population_cases
from overread.evaluation.context.auc_terms import linear_estimate
from overread.evaluation.context.estimate_rows import Row, count, not_estimable, row
from overread.evaluation.context.rate_terms import rate_term
from overread.evaluation.context.score_matrix import Codes
from overread.evaluation.context.site_populations import Population
from overread.evaluation.join.label_states import DECISION
from overread.stats import rates
from overread.stats.estimate import Estimate
from overread.stats.multiplicity import holm

RATES = {Metric.SENSITIVITY_DIFFERENCE: 1, Metric.SPECIFICITY_DIFFERENCE: 0}  # the truth of the cases that count


def decision_pair(context: AnalysisContext, a: str, b: str, population: Population) -> list[Row]:
    """Return the differences in sensitivity and specificity (A - B) of every finding for which both give decisions.

    P values are adjusted by Holm over findings and both rates.
    """
    panel = context.panel
    rows = []
    for finding in (f for f in panel.findings if {(a, f), (b, f)} <= panel.decisions):
        mask = population_cases(context, population) & panel.stated(a, finding) & panel.stated(b, finding)
        index = np.flatnonzero(mask)
        if not index.size:
            continue
        place = context.place(Analysis.COMPARISON, finding, a, population).to(contrast=f"rater:{b}")
        counts = count(panel.truths(finding)[index], panel.patient[index])
        for metric in RATES:
            estimate, test = _difference(context, (a, b), finding, index, metric), {"null": 0.0}
            confidence = context.config.confidence
            rows.append(row(place, metric, estimate, at=DECISION, counts=counts, test=test, confidence=confidence))
    adjusted = holm([r["p"] for r in rows]) if rows else ()
    family = f"decisions of {a} against {b}, {population.name}: {tables.counted(len(rows), 'tests')}"
    return [r | {"p_adjusted": float(p), "family": family} for r, p in zip(rows, adjusted, strict=True)]


def _difference(
    context: AnalysisContext, pair: tuple[str, str], finding: str, index: Codes, metric: Metric
) -> Estimate:
    """Estimate one difference on the cases at `index` (n,).

    One case per patient: Tango's score interval and the score test. Several: the clustered Wald interval and test. With
    sampling weights: the linearised variance of the weighted rates.
    """
    panel, confidence = context.panel, context.config.confidence
    truth, patient = panel.truths(finding)[index] == 1, panel.patient[index]
    one, other = (panel.scores(rater, finding)[index] == 1 for rater in pair)
    if panel.weight is None:
        cluster = patient if np.unique(patient).size < patient.size else None
        found = rates.paired_difference(truth, one, other, cluster=cluster, confidence=confidence)
        return found.sensitivity if metric == Metric.SENSITIVITY_DIFFERENCE else found.specificity
    wanted = truth == RATES[metric]
    if not wanted.any():
        return not_estimable(codes.note("cases_of_one_class"))
    counts = count(truth.astype(np.float64), patient)
    terms = [
        (sign, rate_term(panel, index[wanted], (call == truth)[wanted], counts))
        for sign, call in ((1.0, one), (-1.0, other))
    ]
    return linear_estimate(terms, panel.n_patients, confidence=confidence, null=0.0)
