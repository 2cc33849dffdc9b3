"""Signed difference and ratio of two named groups, with Holm-adjusted p values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, nan

from scipy.special import ndtri

from overread import codes
from overread.codes import Metric, Text
from overread.evaluation.context.analysis_context import AnalysisContext, macro_note
from overread.evaluation.context.auc_terms import AucTerm, combined, combined_term, linear_estimate, mean_area
from overread.evaluation.context.estimate_rows import (
    MEAN,
    EstimateKey,
    Row,
    add_notes,
    not_estimable,
    row,
    without_interval,
)
from overread.evaluation.subgroups.case_groups import CaseGroups, GroupPair, group_pairs
from overread.evaluation.subgroups.group_gaps import Measure, gap_part, no_spread, together
from overread.stats.estimate import Estimate
from overread.stats.multiplicity import holm

DIFFERENCES = {
    Metric.AUC: Metric.AUC_DIFFERENCE,
    Metric.SENSITIVITY: Metric.SENSITIVITY_DIFFERENCE,
    Metric.SPECIFICITY: Metric.SPECIFICITY_DIFFERENCE,
    Metric.UNDERDIAGNOSIS: Metric.UNDERDIAGNOSIS_DIFFERENCE,
}
RATIOS = {
    Metric.AUC: Metric.AUC_RATIO,
    Metric.SENSITIVITY: Metric.SENSITIVITY_RATIO,
    Metric.SPECIFICITY: Metric.SPECIFICITY_RATIO,
    Metric.UNDERDIAGNOSIS: Metric.UNDERDIAGNOSIS_RATIO,
}


@dataclass(frozen=True, slots=True)
class DifferenceKey:
    """What is compared between which groups."""

    pair: GroupPair
    metric: Metric
    at: str
    finding: str


@dataclass(frozen=True, slots=True, eq=False)
class GroupTerms:
    """One metric in the two groups, or the reason why there is no estimate; the findings of a mean; notes."""

    level: AucTerm | Text
    reference: AucTerm | Text
    over: tuple[str, ...] = ()
    note: Text = codes.NONE

    def named(self, pair: GroupPair) -> list[tuple[str, AucTerm | Text]]:
        """Return the two groups by name."""
        return [(pair.level, self.level), (pair.reference, self.reference)]

    def signed(self) -> list[tuple[float, AucTerm]]:
        """Return the difference as terms of a linear combination; [] if a group has no estimate."""
        if isinstance(self.level, Text) or isinstance(self.reference, Text):
            return []
        return [(1.0, self.level), (-1.0, self.reference)]


Differences = dict[DifferenceKey, GroupTerms]


def differences(context: AnalysisContext, groups: CaseGroups, measures: Sequence[Measure]) -> Differences:
    """Return every metric in the two groups of every pair of this column, by finding and for the mean over findings.

    The mean is over the findings that are evaluable in both groups (see `gap_part`, for these two groups).
    """
    found: Differences = {}
    for pair in (p for p in group_pairs(context) if p.column == groups.name):
        for measure in measures:
            two = replace(measure, levels=(pair.level, pair.reference))
            note = codes.notes(measure.note, codes.NONE if pair.named else codes.note("groups_in_order"))
            for finding, outcomes in measure.found.items():
                level, reference = (outcomes.get(g, codes.note("no_case_in_group")) for g in two.levels)
                key = DifferenceKey(pair, measure.metric, measure.at, finding)
                found[key] = GroupTerms(level, reference, note=note)
            if measure.metric != Metric.UNDERDIAGNOSIS:
                key = DifferenceKey(pair, measure.metric, measure.at, MEAN)
                found[key] = _mean(context, two, note)
    return found


def _mean(context: AnalysisContext, two: Measure, note: Text) -> GroupTerms:
    pair_only = replace(two, found={f: {v: o for v, o in by.items() if v in two.levels} for f, by in two.found.items()})
    part = gap_part(context, pair_only)
    terms = [
        mean_area([two.areas(f)[v] for f in part.findings], context.panel.n_patients)
        if v in part.levels
        else part.lost.get(v, codes.note("no_finding_in_every_group"))
        for v in two.levels
    ]
    words = codes.notes(macro_note(context, part.findings), note)
    return GroupTerms(terms[0], terms[1], part.findings, words)


def difference_rows(context: AnalysisContext, place: EstimateKey, found: Differences) -> list[Row]:
    """Return the signed difference and the ratio of every pair of groups.

    p tests equality of the two groups. It is adjusted by Holm within the tests of one metric for one rater and
    population over all pairs; means over findings and single findings are separate families.
    """
    rows = [difference_row(context, place, key, terms) for key, terms in found.items()]
    rows += [_ratio_row(context, place, key, terms) for key, terms in found.items()]
    return holm_adjusted(rows, f"difference between two groups, {place.rater}, {place.population}")


def difference_row(context: AnalysisContext, place: EstimateKey, key: DifferenceKey, terms: GroupTerms) -> Row:
    """Return the row of one signed difference, its p not adjusted."""
    n_patients, confidence = context.panel.n_patients, context.config.confidence
    estimate = signed_estimate(terms.named(key.pair), terms.signed(), n_patients, confidence=confidence)
    return _row(context, place, (key, terms), DIFFERENCES[key.metric], estimate, {"null": 0.0})


def _ratio_row(context: AnalysisContext, place: EstimateKey, key: DifferenceKey, terms: GroupTerms) -> Row:
    estimate = ratio_estimate(key.pair, terms, context.panel.n_patients, confidence=context.config.confidence)
    return _row(context, place, (key, terms), RATIOS[key.metric], estimate, {})


def _row(
    context: AnalysisContext,
    place: EstimateKey,
    what: tuple[DifferenceKey, GroupTerms],
    metric: Metric,
    estimate: Estimate,
    test: Mapping[str, float],
) -> Row:
    (key, terms), pair = what, what[0].pair
    spot = place.to(finding=key.finding, subgroup=pair.column, level=pair.level, contrast=f"level:{pair.reference}")
    counts = together([one for _, one in terms.signed()]) if terms.signed() else None
    estimate = add_notes(estimate, terms.note)
    made = row(spot, metric, estimate, at=key.at, counts=counts, test=test, confidence=context.config.confidence)
    return made | {"over": terms.over}


def signed_estimate(
    groups: Sequence[tuple[str, AucTerm | Text]],
    terms: Sequence[tuple[float, AucTerm]],
    n_patients: int,
    *,
    confidence: float,
) -> Estimate:
    """Estimate a contrast of groups with a normal interval and the p value of no difference.

    There is no estimate without an estimate in every group, and no interval if the variance in one of them is 0 or
    undefined, because the other groups alone would make the contrast appear too certain.
    """
    reasons = [
        codes.note("group_not_evaluable", group=g, reason=str(one)) for g, one in groups if isinstance(one, Text)
    ]
    if reasons:
        return not_estimable(*reasons)
    estimate = linear_estimate(terms, n_patients, confidence=confidence, null=0.0)
    still = [
        codes.note("group_without_variance", group=g, reason=str(why))
        for g, one in groups
        if not isinstance(one, Text) and (why := no_spread(one))
    ]
    if still:
        return without_interval(estimate, *still)
    largest = len(terms) / 2  # a difference of rates is within 1, a difference of two differences within 2
    return replace(estimate, low=max(-largest, estimate.low), high=min(largest, estimate.high))


def ratio_estimate(pair: GroupPair, terms: GroupTerms, n_patients: int, *, confidence: float) -> Estimate:
    """Estimate the ratio of the two groups, with the delta-method interval on the log scale.

    The variance of log(a / b) is that of a / value(a) - b / value(b) from joint influence values, so that patients in
    both groups are accounted for (Katz et al. 1978, doi:10.2307/2530610, for two independent proportions). The standard
    error is that of the ratio, ratio x se(log ratio). There is no p value: the difference tests the same hypothesis.
    """
    method = codes.method("log_influence_values")
    level, reference = terms.level, terms.reference
    if isinstance(level, Text) or isinstance(reference, Text):
        return signed_estimate(terms.named(pair), [], n_patients, confidence=confidence)
    if reference.value == 0:
        return not_estimable(codes.note("ratio_to_zero", group=pair.reference), method=method)
    ratio = level.value / reference.value
    still = [codes.note("group_without_variance", group=g, reason=str(why)) for g, one in terms.named(pair)
             if isinstance(one, AucTerm) and (why := no_spread(one))]  # fmt: skip
    if level.value == 0:
        still = [codes.note("ratio_of_zero", group=pair.level)]
    if still:
        return Estimate(ratio, method=method, note=codes.notes(*still))
    se = combined([(1 / level.value, level), (-1 / reference.value, reference)], n_patients)[1]
    if not se > 0:
        return Estimate(ratio, method=method, note=codes.note("variance_undefined"))
    spread = exp(float(ndtri(0.5 + confidence / 2)) * se)
    return Estimate(ratio, ratio / spread, ratio * spread, ratio * se, nan, method)


def difference_term(context: AnalysisContext, terms: GroupTerms) -> AucTerm | Text:
    """Return the signed difference as a term, or the reason why there is none."""
    if not terms.signed():
        return next(one for one in (terms.level, terms.reference) if isinstance(one, Text))
    return combined_term(terms.signed(), context.panel.n_patients, together([one for _, one in terms.signed()]))


def holm_adjusted(rows: Sequence[Row], words: str) -> list[Row]:
    """Adjust p by Holm within the tests of one metric at one threshold; means and single findings apart."""
    families: dict[tuple[str, str, bool], list[int]] = {}
    for i, one in enumerate(rows):
        if one["p"] == one["p"]:
            families.setdefault((one["metric"], one["at"], one["finding"] == MEAN), []).append(i)
    adjusted_rows = [dict(one) for one in rows]
    for (metric, at, mean), members in families.items():
        what = metric.partition("_")[0].replace("auc", "AUC")
        name = f"{what}{f' at {at}' if at else ''} {words}, {'mean over findings' if mean else 'single findings'}"
        text = f"{name}: {len(members)} test{'' if len(members) == 1 else 's'}"
        for i, p in zip(members, holm([rows[i]["p"] for i in members]), strict=True):
            adjusted_rows[i] |= {"p_adjusted": float(p), "family": text}
    return adjusted_rows
