"""Limits that are of the cases: whose they are, which were left out, and what could not be computed."""

from __future__ import annotations

import polars as pl

from overread.reporting.first_page.answer_limits.limit_codes import account_codes, noted
from overread.reporting.first_page.first_page_parts import Limitation, hospital, side
from overread.reporting.number_format import count, listed, plural
from overread.reporting.report_data import MEAN, ReportData, contrast_of, overall, pick, plain_words, with_contrast
from overread.reporting.sections.section_answers import changes
from overread.tables import counted
from overread.tables.table_notes import IDENTIFIERS, sentences

_LOST = ("not_in_images", "not_in_images_hint", "unscored_cases", "labelled_not_scored", "case_without_scored_label")


def own_patients(evidence: ReportData) -> list[Limitation]:
    """Every case was taken as its own patient, because no table says whose it is."""
    if not account_codes(evidence, "case_is_own_patient"):
        return []
    n = evidence.joined["case_id"].n_unique()
    head = f"Each of {count(n)} cases counted as a patient of its own." if n != 1 else "The case counted as a patient."
    text = "No table says whose the cases are. If a patient has several, the intervals are too narrow."
    return [Limitation(8, "every case taken as its own patient", head, text, "account")]


def lost(evidence: ReportData) -> list[Limitation]:
    """Rows without their partner in another table, one limitation for all."""
    found = [(code, row) for code, row in account_codes(evidence, *_LOST)]
    if not found:
        return []
    largest = sorted(found, key=lambda pair: -pair[1]["count"])[:2]
    told = [f"{counted(r['count'], r['unit'])} ({plain_words(r['reason'], evidence.vocabulary)})" for _, r in largest]
    more = f"; {plural(len(found) - 2, 'more reason')}" if len(found) > 2 else ""
    return [Limitation(10, "cases left out", "Left out:", f"{listed(told)}{more}.", "account")]


def finding_unscored(evidence: ReportData) -> list[Limitation]:
    """Cases that lack a model's score of some findings, and count for its other findings."""
    found = account_codes(evidence, "finding_unscored")
    if not found:
        return []
    largest = sorted(found, key=lambda pair: -pair[1]["count"])[:2]
    told = [f"{counted(r['count'], r['unit'])} ({plain_words(r['reason'], evidence.vocabulary)})" for _, r in largest]
    more = f"; {plural(len(found) - 2, 'more reason')}" if len(found) > 2 else ""
    short = "cases without the score of a finding"
    return [Limitation(10, short, "Not scored for every finding:", f"{listed(told)}{more}.", "account")]


def not_evaluated(evidence: ReportData) -> list[Limitation]:
    """Findings without a usable label."""
    lines = account_codes(evidence, "findings_only_uncertain", "findings_without_label")
    return [
        Limitation(
            10,
            "findings not evaluated",
            "Findings not evaluated:",
            f"{plain_words(row['reason'], evidence.vocabulary)}.",
            "account",
        )
        for _, row in lines
    ]


def without_pair(evidence: ReportData) -> list[Limitation]:
    """Hospitals whose cases are compared with none, because all are of one class."""
    rows = pick(overall(evidence, "standalone", "auc"), at="").to_dicts()
    found = [
        (int(str(code["cases"])), row["finding"] == MEAN, row["finding"], code)
        for row in rows
        for name in ("sites_without_pair", "many_sites_without_pair")
        for code in noted([row], name)
    ]
    if not found:
        return []
    # A hospital may have a pair for one finding and none for another: that with the most cases in no pair is named.
    _, mean, finding, code = max(found, key=lambda each: each[:2])
    several = len(evidence.cast.findings) > 1
    of = "a finding" if mean or not several else evidence.heading(finding).lower()
    auc = "no AUC" if mean or not several else "no AUC for it"
    n, sites = int(str(code["n"])), code["sites"]
    named = list(sites) if isinstance(sites, tuple) else [str(sites)]
    named = named[:3] if n > 3 else named
    names = f"{', '.join(named)} and {n - len(named)} more" if n > len(named) else listed(named)
    text = f"{names}: {plural(int(str(code['cases'])), 'case')} of one class, in {auc}."
    short = f"{plural(n, 'hospital')} without a pair"
    return [Limitation(9, short, f"{short} of cases with and without {of}.", text, "discrimination")]


def one_class(evidence: ReportData) -> list[Limitation]:
    """Findings whose cases are all of one class."""
    rows = overall(evidence, "standalone", "auc").filter(pl.col("finding") != MEAN)
    one = (pl.col("n_present") == 0) != (pl.col("n_absent") == 0)  # both 0: nothing is stated there at all
    pairs = rows.filter(one).select("population", "finding").unique(maintain_order=True).rows()
    if not pairs:
        return []
    several = len(evidence.cast.populations) > 1
    told = [evidence.heading(f).lower() + (f" ({hospital(p)})" if several else "") for p, f in pairs[:3]]
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    return [
        Limitation(
            10,
            "findings with cases of one class",
            "All cases of one class:",
            f"{listed(told)}{more}. No AUC can be estimated.",
            "not-computed",
        )
    ]


def uncertain(evidence: ReportData) -> list[Limitation]:
    """Uncertain labels, and what they were taken for."""
    counts: dict[str, int] = {}
    for code, row in account_codes(evidence, "uncertain_excluded", "uncertain_recoded"):
        how = "left out" if code.name == "uncertain_excluded" else f"taken as {code['state']}"
        counts[how] = counts.get(how, 0) + row["count"]
    told = [f"{plural(n, 'uncertain label')} {how}" for how, n in counts.items() if n]
    if not told:
        return []
    again = with_contrast(pick(evidence.estimates, analysis="policies"), "policy").height > 0
    text = "Results with other ways of handling them:" if again else ""
    return [Limitation(12, "uncertain labels", f"{listed(told)}.", text, "policies" if again else "")]


def other_sources(evidence: ReportData) -> list[Limitation]:
    """The reference standard, and how the AUC changes with another label source, where several were supplied."""
    rows = with_contrast(pick(evidence.estimates, analysis="policies", metric="auc_difference"), "reference").to_dicts()
    if not rows:
        return []
    main = contrast_of(rows[0]["contrast"], "reference")
    others = sorted({str(r["reference"]) for r in rows})
    named = listed([*others[:4], *([f"{len(others) - 4} more"] if len(others) > 4 else [])])
    told = changes(evidence, rows)
    text = f"With another label source ({named}), {told[:1].lower()}{told[1:]}"
    apart = any(side(r) for r in rows if r["finding"] != MEAN)
    short = "the AUC depends on the label source" if apart else "other label sources"
    head = f"The reference standard is “{main}”."
    return [Limitation(8 if apart else 12, short, head, text, "policies")]


def uncomputed(evidence: ReportData) -> list[Limitation]:
    """Numbers that could not be computed."""
    frame = evidence.estimates
    missing = frame.filter(pl.col("estimate").is_nan()).height
    if not missing:
        return []
    head = f"{count(missing)} of {plural(frame.height, 'number')} could not be computed."
    return [Limitation(11, "numbers not computed", head, "Each has its reason.", "not-computed")]


def identifiers(evidence: ReportData) -> list[Limitation]:
    """Identifiers that were changed when the tables were read."""
    flow = evidence.flow.filter(pl.col("step") == "noted", pl.col("unit") == IDENTIFIERS, pl.col("site") == "")
    told = [*sentences(evidence.account), *(f"{reason}." for reason in flow["reason"])]
    return [Limitation(14, "identifiers changed", text, link="account") for text in told]
