"""Hypothesis H1: a model trained on pooled institutions is better than every single-institution model at every new
site.

A finding is evaluable at an external site if there are enough patients with and without it and all compared models
score it. D(e, s) is the mean over the evaluable findings of AUC(pooled) - AUC(s) on the same cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from overread import codes
from overread.codes import Analysis, Metric, Text
from overread.errors import InputError, did_you_mean
from overread.evaluation.context.analysis_context import AnalysisContext, mean_note
from overread.evaluation.context.auc_terms import METHOD, AucTerm, area_of, combined, linear_estimate, select
from overread.evaluation.context.estimate_rows import (
    MEAN,
    Counts,
    EstimateKey,
    Row,
    add_notes,
    count,
    not_estimable,
    row,
    share_text,
)
from overread.evaluation.context.score_matrix import Bools
from overread.evaluation.context.site_populations import Population
from overread.stats.estimate import Estimate
from overread.stats.multiplicity import holm

SEEDS_TO_CLAIM = 3
SITES_TO_CLAIM = 2
CLAIM = (
    "A model trained on several institutions together has a higher mean AUC at unseen institutions than a model "
    "trained at any one of them alone"
)


@dataclass(frozen=True, slots=True, eq=False)
class SiteResult:
    """One external site: the AUC of every compared model for the evaluable findings, and why the others are not."""

    name: str
    areas: Mapping[str, Mapping[str, AucTerm]]  # by evaluable finding, then by model
    refused: Mapping[str, Text]  # the other findings, each with the reason
    counts: Mapping[str, Counts]

    def terms(self, a: str, b: str) -> list[tuple[float, AucTerm]]:
        """The terms of the mean over the evaluable findings of AUC(a) - AUC(b)."""
        share = 1 / max(len(self.areas), 1)
        return [t for by in self.areas.values() for t in ((share, by[a]), (-share, by[b]))]


@dataclass(frozen=True, slots=True)
class SiteContrast:
    """D(e, s) and its standard error."""

    site: str
    model: str
    value: float
    se: float

    def low(self, confidence: float) -> float:
        """The lower end of the two-sided interval."""
        return self.value - float(ndtri(0.5 + confidence / 2)) * self.se

    def below(self, gain: float) -> float:
        """The one-sided p of D >= gain; small where the gain is ruled out."""
        if self.se > 0:
            return float(ndtr((self.value - gain) / self.se))
        return 0.0 if self.value < gain else 1.0


def h1(context: AnalysisContext, *, protocol_hash: str = "") -> tuple[list[Row], list[Row]]:
    """Rows of every contrast, and the verdict; nothing where the configuration names no pooled and single models."""
    if not context.config.pooled or not context.config.single:
        return [], []
    compared = _compared(context)
    sites = [_site(context, name, compared) for name in _external(context, compared)]
    contrasts = [_contrast(context, s, m) for s in sites if s.areas for m in context.config.single]
    rows = _mean_rows(context, sites) + _margin_rows(context, contrasts) + _finding_rows(context, sites)
    return rows + _matched_rows(context, sites), [_verdict(context, sites, contrasts, protocol_hash)]


def _compared(context: AnalysisContext) -> list[str]:
    compared = [context.config.pooled, *context.config.single]
    missing = [m for m in compared if m not in context.raters]
    if missing:
        hint = did_you_mean(missing[0], context.raters)
        found = f"predictions by {', '.join(context.raters)}"
        raise InputError("H1", f"predictions by {', '.join(missing)}", found, do=hint)
    return compared


def _external(context: AnalysisContext, compared: Sequence[str]) -> list[str]:
    """The sites that are external to every compared model (declared ones, where the configuration declares any)."""
    sites = []
    for site in context.panel.site.levels:
        outside = all(any(p.name == f"external:{site}" for p in context.populations[m]) for m in compared)
        if outside and (not context.config.external_sites or site in context.config.external_sites):
            sites.append(site)
    absent = [s for s in context.config.external_sites if s not in context.panel.site.levels]
    return sites + absent  # a declared site without a case is shown, and why it says nothing


def _site(context: AnalysisContext, name: str, compared: Sequence[str]) -> SiteResult:
    """Which findings are evaluable at a site, and the AUCs of the compared models on the cases that all scored."""
    panel = context.panel
    areas, refused, counts = {}, {}, {}
    for finding in context.config.findings or panel.findings:
        silent = [m for m in compared if not panel.ranks(m, finding)]
        mask = _same_cases(context, name, finding, [m for m in compared if m not in silent])
        if finding in panel.findings:
            counts[finding] = count(np.where(mask, panel.truths(finding), np.nan), panel.patient)
        reason = _refused(context, counts.get(finding), silent)
        if reason:
            refused[finding] = reason
        else:
            areas[finding] = {
                m: area_of(panel, select(panel, m, finding, mask))
                for m in [*compared, *_matched(context, finding, mask)]
            }
    return SiteResult(name, areas, refused, counts)


def _matched(context: AnalysisContext, finding: str, mask: Bools) -> list[str]:
    """The size-matched model where it scored every one of these cases."""
    name = context.config.matched
    scored = name in context.raters and (name, finding) not in context.panel.decisions
    available = scored and bool(context.panel.stated(name, finding)[mask].all())
    return [name] if available else []


def _same_cases(context: AnalysisContext, site: str, finding: str, raters: Sequence[str]) -> Bools:
    mask = context.panel.at([site])
    if finding not in context.panel.findings:
        return np.zeros_like(mask)
    mask = mask & ~np.isnan(context.panel.truths(finding))
    for rater in raters:
        mask = mask & context.panel.stated(rater, finding)
    return mask


def _refused(context: AnalysisContext, counts: Counts | None, silent: Sequence[str]) -> Text:
    """Why a finding is not evaluable, empty where it is; counts is None for a finding that no model scores."""
    reasons = []
    if counts is None:
        reasons.append(codes.note("no_model_scores_finding"))
    elif not counts.cases:
        reasons.append(codes.note("no_label_of_finding"))
    elif not context.evaluable(counts):
        n_by_class = {"present": counts.patients_present, "absent": counts.patients_absent}
        least = {"least_present": context.config.minimum_present, "least_absent": context.config.minimum_absent}
        reasons.append(codes.note("few_patients_evaluable", **n_by_class, **least))
    if silent and counts is not None:
        reasons.append(codes.note("not_an_output", models=tuple(silent)))
    return codes.notes(*reasons)


def _contrast(context: AnalysisContext, site: SiteResult, model: str) -> SiteContrast:
    value, se = combined(site.terms(context.config.pooled, model), context.panel.n_patients)
    return SiteContrast(site.name, model, value, se)


def _place(context: AnalysisContext, finding: str, a: str, b: str, site: str) -> EstimateKey:
    population = Population(f"external:{site}", (site,))
    return context.place(Analysis.H1, finding, a, population).to(contrast=f"rater:{b}")


def _used(site: SiteResult) -> Text:
    """The findings of the mean at a site, or why there are none."""
    if site.areas:
        return mean_note(list(site.areas), of=len(site.areas) + len(site.refused))
    why = (codes.note("finding_not_evaluable", finding=f, reason=str(text)) for f, text in site.refused.items())
    return codes.notes(codes.note("not_evaluable"), *why)


def _reasons(site: SiteResult) -> str:
    return "; ".join(f"{f}: {why}" for f, why in site.refused.items())


def _patients(context: AnalysisContext, site: SiteResult) -> dict[str, int]:
    """The patients and cases behind a mean over findings."""
    panel = context.panel
    truth = [panel.findings.index(f) for f in site.areas]
    mask = panel.at([site.name]) & ~np.isnan(panel.truth[truth]).all(axis=0)
    return {"n_cases": int(mask.sum()), "n_patients": np.unique(panel.patient[mask]).size}


def _mean_rows(context: AnalysisContext, sites: Sequence[SiteResult]) -> list[Row]:
    """D(e, s) of every external site and single-institution model, NaN with the reasons where nothing is evaluable."""
    rows, confidence = [], context.config.confidence
    for site in sites:
        for model in context.config.single:
            place = _place(context, MEAN, context.config.pooled, model, site.name)
            estimate = _mean_estimate(context, site, context.config.pooled, model)
            test = {"null": 0.0, **(_patients(context, site) if site.areas else {})}
            rows.append(row(place, Metric.AUC_DIFFERENCE, estimate, test=test, confidence=confidence))
    return rows


def _mean_estimate(context: AnalysisContext, site: SiteResult, a: str, b: str) -> Estimate:
    if not site.areas:
        return not_estimable(_used(site), method=METHOD)
    estimate = linear_estimate(
        site.terms(a, b), context.panel.n_patients, confidence=context.config.confidence, null=0.0
    )
    return add_notes(estimate, _used(site))


def _margin_rows(context: AnalysisContext, contrasts: Sequence[SiteContrast]) -> list[Row]:
    """Whether each D(e, s) is ruled out to reach the smallest worthwhile gain: one-sided p, Holm over all (e, s)."""
    gain, confidence = context.config.smallest_worthwhile_gain, context.config.confidence
    p = np.array([c.below(gain) for c in contrasts])
    adjusted = holm(p) if len(p) else p
    rows = []
    for contrast, raw, p_adjusted, level in zip(contrasts, p, adjusted, _holm_levels(p, confidence), strict=True):
        place = _place(context, MEAN, context.config.pooled, contrast.model, contrast.site)
        high = contrast.value - float(ndtri(level)) * contrast.se
        note = codes.note("holm_limit", level=level)
        estimate = Estimate(contrast.value, high=high, se=contrast.se, p=float(raw), method=METHOD, note=note)
        family = f"H1, gain ruled out: {len(contrasts)} contrasts of site and model"
        test = {"p_adjusted": float(p_adjusted), "family": family, "null": gain}
        at = f"margin={share_text(gain)}"
        rows.append(row(place, Metric.AUC_DIFFERENCE, estimate, at=at, test=test, confidence=confidence))
    return rows


def _holm_levels(p: np.ndarray, confidence: float) -> list[float]:
    """The one-sided level that Holm's procedure gives each contrast; it rises until the first that is not rejected."""
    alpha, levels, step = (1 - confidence) / 2, np.empty(len(p)), 0
    for rank, i in enumerate(np.argsort(p, kind="stable")):
        levels[i] = alpha / (len(p) - step)
        if step == rank and p[i] <= levels[i]:
            step = min(rank + 1, len(p) - 1)
    return [float(x) for x in levels]


def _finding_rows(context: AnalysisContext, sites: Sequence[SiteResult]) -> list[Row]:
    """Per finding, site and model the difference; Holm over all of them. They name findings and decide nothing."""
    differences: list[tuple[EstimateKey, Estimate, Counts | None]] = []
    for site in sites:
        for model in context.config.single:
            for finding in [*site.areas, *site.refused]:
                place = _place(context, finding, context.config.pooled, model, site.name)
                if finding in site.areas:
                    by = site.areas[finding]
                    estimate = linear_estimate(
                        [(1.0, by[context.config.pooled]), (-1.0, by[model])],
                        context.panel.n_patients,
                        confidence=context.config.confidence,
                        null=0.0,
                    )
                else:
                    estimate = not_estimable(codes.note("not_evaluable"), site.refused[finding])
                differences.append((place, estimate, site.counts.get(finding)))
    tested = sum(e.p == e.p for _, e, _ in differences)
    adjusted = holm([e.p for _, e, _ in differences]) if differences else np.empty(0)
    family = f"H1 per finding: {tested} contrasts of site, model and finding"
    return [
        row(
            place,
            Metric.AUC_DIFFERENCE,
            e,
            counts=c,
            confidence=context.config.confidence,
            test={"p_adjusted": float(p), "family": family, "null": 0.0},
        )
        for (place, e, c), p in zip(differences, adjusted, strict=True)
    ]


def _matched_rows(context: AnalysisContext, sites: Sequence[SiteResult]) -> list[Row]:
    """The size-matched pooled model against each single one, and the pooled model against it: beside the verdict."""
    matched, rows = context.config.matched, []
    pairs = [(matched, s) for s in context.config.single] + [(context.config.pooled, matched)]
    for site in sites:
        if not matched or not site.areas or not all(matched in by for by in site.areas.values()):
            continue
        for a, b in pairs:
            place = _place(context, MEAN, a, b, site.name)
            estimate = add_notes(_mean_estimate(context, site, a, b), codes.note("size_matched"))
            test = {"null": 0.0, **_patients(context, site)}
            rows.append(row(place, Metric.AUC_DIFFERENCE, estimate, test=test, confidence=context.config.confidence))
    return rows


def seeds_of(context: AnalysisContext, model: str) -> int:
    """Return the number of training seeds of a model."""
    members = context.config.members.get(model) or context.models.get(model, {}).get("members") or ()
    return max(len(members), 1)


def rule(context: AnalysisContext) -> str:
    """Return the decision rule in words, with the numbers of the configuration."""
    c = context.config
    level = f"{100 * c.confidence:g} %"
    return (
        f"A finding is evaluable at an external site when at least {c.minimum_present} patients have it and "
        f"{c.minimum_absent} lack it there and all compared models score it. D(e, s) = mean over the evaluable "
        f"findings of AUC(pooled) - AUC(s) on the same cases, scores = mean logit over at least {SEEDS_TO_CLAIM} "
        f"seeds. Supported: the {level} lower limit of D(e, s) is above 0 for every evaluable external site e and "
        f"every single-institution model s, at {SITES_TO_CLAIM} or more sites. Not supported: for some (e, s) the "
        f"upper limit, Holm over all (e, s), is below {c.smallest_worthwhile_gain:g}. Otherwise, or with fewer than "
        f"{SITES_TO_CLAIM} evaluable sites: cannot tell."
    )


def _verdict(
    context: AnalysisContext, sites: Sequence[SiteResult], contrasts: Sequence[SiteContrast], protocol_hash: str
) -> Row:
    verdict, reason = _decided(context, sites, contrasts)
    refused = [f"{s.name}: {_reasons(s)}" for s in sites if s.refused]
    if refused:
        reason += " Not evaluable: " + " | ".join(refused) + "."
    return {
        "hypothesis": "H1",
        "claim": CLAIM,
        "rule": rule(context),
        "verdict": verdict,
        "reason": reason,
        "protocol_hash": protocol_hash,
    }


def _decided(
    context: AnalysisContext, sites: Sequence[SiteResult], contrasts: Sequence[SiteContrast]
) -> tuple[str, str]:
    config = context.config
    evaluable = [s.name for s in sites if s.areas]
    few = {m: n for m in [config.pooled, *config.single] if (n := seeds_of(context, m)) < SEEDS_TO_CLAIM}
    if len(evaluable) < SITES_TO_CLAIM:
        named = f" ({', '.join(evaluable)})" if evaluable else ""
        return "cannot tell", (
            f"{len(evaluable)} of {len(sites)} external sites {'is' if len(evaluable) == 1 else 'are'} "
            f"evaluable{named}; at least {SITES_TO_CLAIM} are needed."
        )
    if few:
        counted = ", ".join(f"{m}: {n}" for m, n in few.items())
        return (
            "cannot tell",
            f"At least {SEEDS_TO_CLAIM} seeds are needed to claim anything; there are fewer ({counted}).",
        )
    gain, alpha = config.smallest_worthwhile_gain, (1 - config.confidence) / 2
    lows = [c.low(config.confidence) for c in contrasts]
    if all(low > 0 for low in lows):
        where = contrasts[int(np.argmin(lows))]
        return "supported", (
            f"The lower limit of D is above 0 in all {len(contrasts)} contrasts at {len(evaluable)} sites; the "
            f"smallest is {min(lows):+.4f} ({where.site}, against {where.model})."
        )
    adjusted = holm([c.below(gain) for c in contrasts])
    out = [c for c, p in zip(contrasts, adjusted, strict=True) if p <= alpha]
    if out:
        named = ", ".join(f"{c.site} against {c.model} (D {c.value:+.4f})" for c in out)
        return "not supported", (
            f"D >= {gain:g} was rejected (one-sided {alpha:g}, Holm over {len(contrasts)} contrasts) at: {named}."
        )
    short = [f"{c.site} against {c.model} ({low:+.4f})" for c, low in zip(contrasts, lows, strict=True) if low <= 0]
    return "cannot tell", (
        f"The lower limit of D is not above 0 at {', '.join(short)}, and a gain of {gain:g} or more could not be "
        "excluded in any contrast."
    )
