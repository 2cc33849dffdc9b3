"""Limits of an answer about models: where they were tested and trained, how many, thresholds, rare findings."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from overread.reporting.estimate_cells import codes_of, known
from overread.reporting.first_page.answer_limits.limit_codes import noted
from overread.reporting.first_page.answer_limits.rare_cases import FEW, rare_findings
from overread.reporting.first_page.first_page_parts import Limitation, bounded
from overread.reporting.first_page.mean_aucs import case_sites, internal_sites, model_means
from overread.reporting.first_page.question import SEEDS, leading
from overread.reporting.number_format import capital, count, fixed, limit, listed, number, plural
from overread.reporting.report_data import MEAN, ReportData, Row, overall, pick
from overread.reporting.sections.reader_results.reader_titles import in_words
from overread.reporting.seed_rows import rows_of_seeds, section_raters, seed_count


def below_chance(evidence: ReportData) -> list[Limitation]:
    """AUCs at hospitals not used in training whose whole interval lies below 0.5: the score points the wrong way."""
    rows = pick(overall(evidence, "standalone", "auc"), at="").filter(pl.col("population").str.starts_with("external:"))
    low = [r for r in rows.to_dicts() if bounded(r) and number(r["high"]) < 0.5]
    low = [r for r in low if r["rater"] not in evidence.cast.members]
    if not low:
        return []
    worst = min(low, key=lambda r: number(r["estimate"]))
    finding = evidence.heading(worst["finding"]).lower()
    place = worst["population"].partition(":")[2]
    cases = f" ({plural(worst['n_cases'], 'case')})" if worst["n_cases"] else ""
    text = (
        f"{plural(len(low), 'AUC')} at a hospital not used in training {'lies' if len(low) == 1 else 'lie'} below "
        f"0.5 with the whole interval; lowest: {worst['rater']}, {finding}, {place}{cases}, "
        f"{fixed(worst['estimate'])} ({fixed(worst['low'])} to {limit(worst['high'])})."
    )
    return [Limitation(2, "an AUC below 0.5 at another hospital", "Worse than chance.", text, "discrimination")]


def external(evidence: ReportData) -> list[Limitation]:
    """Without, or with few, hospitals that were not used in training."""
    if not evidence.cast.raters or evidence.estimates.is_empty():
        return []
    n = len(evidence.cast.external)
    if n == 0:
        head, text = "No external hospital.", "Nothing here shows how the models do at a hospital not used in training."
        if not evidence.cast.trained:
            head = "No hospital known to be external."
            text = "Whether a hospital of the test was used in training is not known."
        return [Limitation(4, "no other hospital known to be unseen", head, text)]
    if n == 1:
        return [
            Limitation(
                5,
                "one external hospital",
                "One external hospital.",
                "At least two are needed to assess generalisation.",
                "drop",
            )
        ]
    text = "" if evidence.cast.trained else "That they were not used in training is declared, not verified."
    few = [Limitation(13, f"{n} external hospitals", f"{n} external hospitals.", text, "drop")]
    return few if text or n == 2 else []


def training_runs(evidence: ReportData) -> list[Limitation]:
    """Models of one training run."""
    silent = [m for m, e in evidence.models.items() if e.get("kind") == "single" and m in evidence.cast.raters]
    if not silent:
        return []
    text = f"Variation between training runs of {listed(silent)} is unknown."
    return [
        Limitation(
            5, "one training run per model", "One training run per model.", text, "h1" if evidence.cast.single else ""
        )
    ]


def roles(evidence: ReportData) -> list[Limitation]:
    """Roles that name hospitals without a case, while the internal test is of hospitals that no role names."""
    named, inside = set(map(str, evidence.cast.roles.get("single", {}).values())), internal_sites(evidence)
    without = sorted(named - set(case_sites(evidence)))
    unnamed = [site for site in inside if site not in named]
    if not without or not unnamed:
        return []
    text = (
        f"The roles name {listed(without)}, of which the test has no case; the internal test is of {listed(unnamed)}, "
        "which no role names."
    )
    return [Limitation(3, "roles that name other hospitals", "Hospitals of the roles are not those of the test.", text)]


def seeds(evidence: ReportData) -> list[Limitation]:
    """An interval of a mean over seeds is about patients."""
    rows = rows_of_seeds(evidence)
    if rows is None or leading(evidence) != SEEDS:
        return []
    n = seed_count(list(rows.variants.values()))
    text = "The intervals cover the sampling of patients, not that of training seeds; see the SD over seeds."
    each = " of each variant" if len(rows.variants) > 1 else ""
    return [Limitation(5, "intervals do not cover training seeds", f"{n} training seeds{each}.", text, "seeds")]


def selected(evidence: ReportData) -> list[Limitation]:
    """The best of several models, chosen on the cases of the test."""
    n = len(section_raters(evidence))
    if leading(evidence) == SEEDS or n < 4 or set(evidence.cast.single) & set(evidence.cast.raters):
        return []
    text = f"The highest of {n} AUCs is too high on average, because it is the highest on the cases that estimate it."
    return [Limitation(7, f"best of {n} models", "The best of several.", text, "comparison")]


def _of_findings(evidence: ReportData, rows: Sequence[Row]) -> str:
    """The findings, and the models, whose thresholds were chosen on cases of the test: `mass (B)`."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row["finding"] != MEAN and noted([row], "fitted_on_half"):
            found.setdefault(in_words(evidence.heading(row["finding"])), []).append(row["rater"])
    return listed([f"{title} ({listed(list(dict.fromkeys(raters)))})" for title, raters in found.items()])


def half(evidence: ReportData) -> list[Limitation]:
    """Thresholds that were chosen on a part of the test patients."""
    rows = (
        overall(evidence, "standalone", "threshold").to_dicts()
        + overall(evidence, "standalone", "sensitivity").to_dicts()
    )
    found = noted(rows, "fitted_on_half")
    if not found:
        return []
    fitted, tested = int(str(found[0]["fitted"])), int(str(found[0]["tested"]))
    half = 0.45 <= fitted / (fitted + tested) <= 0.55
    given = any(code.name == "threshold_given" for row in rows if known(row) for code in codes_of(row))
    those = f"Those for {_of_findings(evidence, rows)}" if given else "They"
    text = (
        f"{those} were chosen on {count(fitted)} of {count(fitted + tested)} patients and tested on the other "
        f"{count(tested)}; a locked threshold would use all."
    )
    share = "half of the patients" if half else "a part of the patients"
    what = "some thresholds" if given else "thresholds"
    return [Limitation(9, f"{what} chosen on {share}", f"{capital(what)} chosen on {share}.", text, "operating")]


def sites(evidence: ReportData) -> list[Limitation]:
    """Hospitals left out of a mean, and hospitals without a mean."""
    rows = pick(overall(evidence, "standalone", "auc"), at="")
    excluded = [c for name in ("sites_excluded", "sites_one_class") for c in noted(rows.to_dicts(), name)]
    left = sorted({site for c in excluded if isinstance(sites := c["sites"], tuple) for site in sites})
    means = rows.filter(pl.col("finding") == MEAN, pl.col("population").str.starts_with("external:")).to_dicts()
    whole = model_means(evidence).whole  # with one finding its AUC, where too few patients keep it out of a mean
    lone = sorted({r["population"].partition(":")[2] for r in means if not known(whole(r["rater"], r["population"]))})
    made = []
    if left:
        more = f" and {len(left) - 4} more" if len(left) > 4 else ""
        text = f"{listed(left[:4])}{more}: too few patients with or without a finding."
        made.append(
            Limitation(
                9,
                f"{plural(len(left), 'hospital')} not evaluable for some findings",
                f"{plural(len(left), 'hospital')} not in every mean.",
                text,
                "not-computed",
            )
        )
    if lone:
        what = "mean AUC" if model_means(evidence).finding == MEAN else "AUC"
        text = f"{listed(lone)}: no {what} could be computed."
        made.append(
            Limitation(
                9,
                f"{plural(len(lone), 'hospital')} not evaluable",
                f"{plural(len(lone), 'hospital')} not evaluable.",
                text,
                "not-computed",
            )
        )
    return made


def few_present(evidence: ReportData) -> list[Limitation]:
    """Findings with few cases, at each of several hospitals."""
    every = pick(overall(evidence, "standalone", "auc"), at="").to_dicts()
    rows = [r for r in every if r["finding"] in evidence.cast.findings and r["n_present"] is not None]
    several = len(evidence.cast.populations) > 1
    low: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row["finding"], row["population"] if several else "")
        low[key] = min(row["n_present"], low.get(key, row["n_present"]))
    text = rare_findings(evidence, low, rows)
    if not text or evidence.cast.single:
        return []
    return [Limitation(10, "few cases of some findings", f"Fewer than {FEW} cases present:", text, "discrimination")]
