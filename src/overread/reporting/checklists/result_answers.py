"""Answers about results: measures, uncertainty, populations, subgroups, and robustness to choices."""

from __future__ import annotations

import polars as pl

from overread import codes
from overread.reporting.checklists import reader_answers
from overread.reporting.checklists.guideline_items import Found
from overread.reporting.first_page.mean_aucs import over_own_findings
from overread.reporting.number_format import count, interval, listed, plural
from overread.reporting.report_data import (
    GAP_METRICS,
    MEAN,
    ReportData,
    Row,
    at_title,
    confidence_of,
    overall,
    pick,
    population_title,
    with_key,
)

_METRICS = {
    "auc": "AUC",
    "partial_auc": "partial AUC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "lr_positive": "likelihood ratios",
    "sensitivity_at_specificity": "sensitivity at a fixed specificity",
    "calibration_slope": "calibration line",
    "brier": "Brier score",
    "ece": "calibration error",
    "ici": "ICI",
    "net_benefit": "net benefit",
    "auc_difference": "difference of AUCs",
}


def measures(evidence: ReportData) -> Found | None:
    """Every measure that left a number."""
    known = evidence.estimates.filter(pl.col("estimate").is_not_nan())["metric"].unique().to_list()
    named = [word for metric, word in _METRICS.items() if metric in known]
    return Found("methods", f"{listed(named)}; the method of each metric is in a table.") if named else None


def uncertainty(evidence: ReportData) -> Found | None:
    """Intervals, and the adjustment of p values."""
    rows = evidence.estimates.filter(pl.col("low").is_not_nan(), pl.col("high").is_not_nan())
    if rows.is_empty():
        return None
    clustered = " Patients are the unit of independence." if _clustered(rows) else ""
    families = evidence.estimates["family"].drop_nulls().n_unique()
    adjusted = f" P values are Holm-adjusted in {plural(families, 'family', 'families')}." if families else ""
    text = f"{count(rows.height)} of {count(evidence.estimates.height)} estimates have a CI"
    return Found(
        "methods",
        f"{text}{f' ({confidence_of(rows)})' if rows['confidence'].is_not_null().any() else ''}.{clustered}{adjusted}",
    )


def performance(evidence: ReportData) -> Found | None:
    """The headline AUC with its interval, wherever the leading model was tested; without a model that of readers."""
    if evidence.cast.reads_alone:
        return reader_answers.performance(evidence)
    said = _headline(evidence)
    if not said:
        return None
    left = "" if subgroups(evidence) else "performance in subgroups: none was evaluated"
    return Found("discrimination", f"“{evidence.cast.lead}”: {'; '.join(said)}.", left)


def by_population(evidence: ReportData) -> Found | None:
    """The AUC in every test set."""
    said = _headline(evidence)
    return Found("discrimination", "; ".join(said) + ".") if said else None


def sites_compared(evidence: ReportData) -> Found | None:
    """Performance site by site, where there is more than one."""
    sites = pick(evidence.estimates, analysis="matrix", subgroup="site", rater=evidence.cast.lead, finding=MEAN)
    known = sites.filter(pl.col("estimate").is_not_nan())
    if known.height > 1:
        best, worst = known.sort("estimate").row(-1, named=True), known.sort("estimate").row(0, named=True)
        own = over_own_findings(known.to_dicts())
        return Found(
            "matrix",
            f"Mean AUC by site{own}, from {_said(worst)} at {worst['level']} to {_said(best)} at "
            f"{best['level']}; {known.height} sites.",
        )
    said = _headline(evidence)
    return Found("discrimination", f"Site by site: {'; '.join(said)}.") if evidence.cast.external and said else None


def internal(evidence: ReportData) -> Found | None:
    """The AUC at the sites that the model was trained on."""
    row = _auc(evidence, "internal")
    if row is None or not evidence.cast.trained:
        return None
    return Found("discrimination", f"Internal test, {_name(evidence, row)}: {_said(row)}.")


def external(evidence: ReportData) -> Found | None:
    """The AUC at sites that the model never saw."""
    rows = [r for p in evidence.cast.external if (r := _auc(evidence, p))]
    said = [f"{population_title(evidence, r['population'])}, {_name(evidence, r)}: {_said(r)}" for r in rows]
    return Found("discrimination", f"{'; '.join(said)}.") if said else None


def fairness(evidence: ReportData) -> Found | None:
    """The gaps between groups that were evaluated."""
    gaps = evidence.estimates.filter(pl.col("metric").is_in(GAP_METRICS), pl.col("estimate").is_not_nan())
    if gaps.is_empty():
        return None
    columns = listed([c.replace("_", " ") for c in gaps["subgroup"].unique(maintain_order=True).to_list()])
    return Found("subgroups", f"Gaps between groups of {columns}: {count(gaps.height)}, each with its CI and P value.")


def subgroups(evidence: ReportData) -> Found | None:
    """Performance in subgroups."""
    rows = pick(evidence.estimates, analysis="subgroups", metric="auc").filter(pl.col("estimate").is_not_nan())
    if rows.is_empty():
        return None
    levels = [
        f"{name.replace('_', ' ')} ({', '.join(part['level'].unique(maintain_order=True).to_list())})"
        for (name,), part in rows.group_by("subgroup", maintain_order=True)
    ]
    return Found("subgroups", f"AUC by {listed(levels)}.")


def variability(evidence: ReportData) -> Found | None:
    """Subgroups and training seeds, and whether the settings of a protocol determined them."""
    groups, spread = subgroups(evidence), _has(evidence, "seeds")
    if not groups and not spread:
        return None
    stated = bool(evidence.study.get("protocol_hash"))
    parts = [groups.text.rstrip(".")] if groups else []
    parts += ["spread over training seeds"] if spread else []
    text = f"{'; '.join(parts)}{', by the settings of the protocol' if stated else ''}."
    return Found(
        "subgroups" if groups else "seeds", text, "" if stated else "whether stated beforehand: there was no protocol"
    )


def robustness(evidence: ReportData) -> Found | None:
    """Other policies, other reference standards, shifted images, other seeds: what was tried."""
    policies = pick(evidence.estimates, analysis="policies")
    tried = {
        "policies": "other handling of uncertain labels"
        if policies["policy"].n_unique() > 1
        else "other reference standards",
        "H2": "other reference standards",
        "shift": "perturbed images",
        "seeds": "other training seeds",
    }
    found = [(a, word) for a, word in tried.items() if _has(evidence, a)]
    if not found:
        return None
    return Found(_SECTIONS.get(found[0][0], "methods"), f"Tried: {listed(list(dict.fromkeys(w for _, w in found)))}.")


_SECTIONS = {"policies": "policies", "H2": "h2", "seeds": "seeds"}


_AGREEMENT = {
    "cohen_kappa": "Cohen's kappa",
    "fleiss_kappa": "Fleiss' kappa",
    "gwet_ac1": "Gwet's AC1",
    "krippendorff_alpha": "Krippendorff's alpha",
}


def agreement(evidence: ReportData) -> Found | None:
    """Agreement among those who read the cases."""
    rows = pick(evidence.estimates, analysis="agreement").filter(pl.col("estimate").is_not_nan())
    if rows.is_empty():
        return None
    named = rows["metric"].unique(maintain_order=True).to_list()
    return Found("readers", f"{listed([_AGREEMENT.get(m, m.replace('_', ' ')) for m in named])}.")


def cross_table(evidence: ReportData) -> Found | None:
    """Numbers with and without the finding, and sensitivity and specificity at the thresholds."""
    if evidence.cast.reads_alone:
        return reader_answers.counts(evidence)
    rows = with_key(overall(evidence, "standalone", "sensitivity"), "operating_point").filter(
        pl.col("n_present").is_not_null()
    )
    if rows.is_empty():
        return None
    points = rows["at"].unique().sort().to_list()
    return Found(
        "operating",
        f"Numbers present and absent, sensitivity and specificity per finding at "
        f"{listed([at_title(p) for p in points])}.",
    )


def failures(evidence: ReportData) -> Found | None:
    """Examples of cases that were wrongly called present."""
    if not evidence.heatmaps:
        return None
    return Found("heatmaps", "A false positive per finding, chosen by rule, with its heat map.")


def _headline(evidence: ReportData) -> list[str]:
    rows = [r for p in evidence.cast.populations if (r := _auc(evidence, p))]
    return [f"{population_title(evidence, r['population'])}, {_name(evidence, r)}: {_said(r)}" for r in rows]


def _auc(evidence: ReportData, population: str) -> Row | None:
    """The leading rater's mean AUC there, or that of its first finding, where it is a number."""
    rows = pick(overall(evidence, "standalone", "auc"), rater=evidence.cast.lead, population=population, at="")
    known = rows.filter(pl.col("estimate").is_not_nan()).sort(pl.col("finding") != MEAN, maintain_order=True)
    return known.row(0, named=True) if known.height else None


def _name(evidence: ReportData, row: Row) -> str:
    return "mean AUC over findings" if row["finding"] == MEAN else f"AUC of {evidence.heading(row['finding']).lower()}"


def _said(row: Row) -> str:
    return interval(row["estimate"], row["low"], row["high"])


def _has(evidence: ReportData, analysis: str) -> bool:
    return bool((evidence.estimates["analysis"] == analysis).any())


def _clustered(rows: pl.DataFrame) -> bool:
    used = {code.name for text in rows["method_code"].drop_nulls().unique() for code in codes.decode(text)}
    return not used.isdisjoint(_BY_PATIENT)


# Methods whose unit is the patient.
_BY_PATIENT = (
    "clustered_by_patient",
    "obuchowski",
    "influence_values",
    "patients_resampled",
    "reader_patient_bootstrap",
)
