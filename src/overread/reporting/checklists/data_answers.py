"""What is known of the data: where from, when, who, how split, which reference standard, what is missing."""

from __future__ import annotations

from typing import Any

import polars as pl

from overread.reporting.checklists import reader_answers
from overread.reporting.checklists.guideline_items import Found
from overread.reporting.figures.flow import step_title
from overread.reporting.first_page.agreement_question import unstated
from overread.reporting.methods.facts import study_facts
from overread.reporting.methods.methods_section import fact_sentences
from overread.reporting.number_format import count, fixed, listed, plural, share
from overread.reporting.report_data import MEAN, ReportData, left_out, overall
from overread.reporting.sections.reader_results.reader_titles import arms
from overread.reporting.sections.reader_results.reads_account import handling_of_calls
from overread.tables import counted

_SPLITS = {"split_by_patient": "Split by patient", "split_by_time": "Split by date", "split_given": "Split as supplied"}
_NO_DEVICES = "the devices that took the images"


def sources(evidence: ReportData) -> Found | None:
    """The data sets that the cohort came from, with their sites."""
    if evidence.images.is_empty():
        return None
    names = _words(evidence.images, "dataset")
    held = listed(names) if names else "not named"
    return Found("participants", f"Data sets: {held}; sites: {listed(_words(evidence.images, 'site'))}.")


def sites(evidence: ReportData) -> Found | None:
    """How many sites, and which."""
    names = _words(evidence.images, "site")
    return Found("participants", f"{plural(len(names), 'site')}: {listed(names)}.") if names else None


def dates(evidence: ReportData) -> Found | None:
    """The days of the first and the last image."""
    days = evidence.images["acquired"].drop_nulls()
    if days.is_empty():
        return None
    lacking = evidence.images.height - days.len()
    left = f"the date of {plural(lacking, 'image')}" if lacking else ""
    return Found("participants", f"Images acquired from {days.min()!s} to {days.max()!s}.", left)


def eligibility(evidence: ReportData) -> Found | None:
    """The steps of selection in the order in which they were applied."""
    steps = evidence.flow.filter(pl.col("reason") != "", pl.col("reason") != "kept", pl.col("step") != "noted")
    named = [f"{step_title(s)} ({r})" for s, r in steps.select("step", "reason").unique(maintain_order=True).rows()]
    return Found("participants", f"Excluded, in this order: {'; '.join(named)}.") if named else None


def flow(evidence: ReportData) -> Found | None:
    """The flow of exclusions, as a diagram with counts."""
    if evidence.flow.is_empty() or evidence.images.is_empty():
        return None
    n, patients = evidence.images.height, evidence.images["patient_id"].n_unique()
    return Found(
        "participants",
        f"Diagram with counts at every step; kept: {count(n)} images of {count(patients)} "
        "patients. Cases with and without each finding are in the tables below it.",
    )


def partitions(evidence: ReportData) -> Found | None:
    """How many images and patients every split has."""
    splits = _splits(evidence)
    if len(splits) < 2:
        return None
    parts = [
        f"{name} {count(part.height)} images of {count(part['patient_id'].n_unique())} patients"
        for name, part in splits.items()
    ]
    facts = study_facts(evidence)
    how = next((words for name, words in _SPLITS.items() if name in facts), "Split")
    return Found("participants", f"{how}: {listed(parts)}.")


def disjoint(evidence: ReportData) -> Found | None:
    """That no patient is in two splits, counted."""
    splits = _splits(evidence)
    if len(splits) < 2:
        return None
    people = [set(part["patient_id"].to_list()) for part in splits.values()]
    both = sum(len(p) for p in people) - len(set().union(*people))
    return Found("participants", f"Patients: {both or 'none'} in two splits (counted).")


def weights(evidence: ReportData) -> Found | None:
    """That cases were drawn with unequal chances, and are weighted for it."""
    given = evidence.joined["weight"].drop_nulls() if "weight" in evidence.joined.columns else pl.Series([])
    if given.is_empty() or given.n_unique() < 2:
        return None
    least, most = fixed(given.min(), 2), fixed(given.max(), 2)
    return Found("methods", f"Cases were sampled; weights (inverse chance of being drawn) from {least} to {most}.")


def characteristics(evidence: ReportData) -> Found | None:
    """Age, sex and view of the cohort; the table has them per site and split."""
    images = evidence.images
    ages, sexes = images["age_years"].drop_nulls(), images["sex"].cast(pl.String).drop_nulls()
    parts = [f"median age {fixed(ages.median(), 0)}"] if ages.len() else []
    parts += [f"female {share((sexes == 'F').sum(), sexes.len())}"] if sexes.len() else []
    if not parts:
        return None
    return Found("participants", f"Per site and split in the table; over all images: {listed(parts)}.")


def development_compared(evidence: ReportData) -> Found | None:
    """The training data beside every test set, in one table."""
    if not {"train", "test"} <= set(_splits(evidence)):
        return None
    text = "The training data beside every test set, in the table of the cohort and in that of the findings."
    return Found("participants", text)


def devices(evidence: ReportData) -> Found | None:
    """The makers and devices that took the images."""
    names = _words(evidence.images, "manufacturer") or _words(evidence.images, "device")
    return Found("participants", f"Made by {listed(names[:8])}.") if names else None


def devices_software(evidence: ReportData) -> Found | None:
    """The devices, and the software that made the scores, where every model has the record of its training."""
    recorded = set(evidence.cast.raters) <= set(evidence.models)
    records = evidence.trainings.values() if recorded else ()
    made = {k: str(v) for record in records for k, v in (record.get("versions") or {}).items()}
    found = devices(evidence)
    if not made:
        return found and Found(found.where, found.text, "the software that made the scores")
    programs = ", ".join(f"{k} {v}" for k, v in made.items())
    return Found(
        "provenance", f"{found.text if found else ''} Software: {programs}.".strip(), "" if found else _NO_DEVICES
    )


def reference_standard(evidence: ReportData) -> Found | None:
    """The sources of the labels of the main analysis; without a model what the readers were judged by."""
    if evidence.cast.reads_alone:
        return reader_answers.reference_standard(evidence)
    rows = evidence.estimates.filter(pl.col("analysis") == "standalone")
    names = [r for r in rows["reference"].unique().sort().to_list() if r]
    return Found("methods", f"Labels of: {listed(names)}.") if names else None


def uncertain_labels(evidence: ReportData) -> Found | None:
    """How the uncertain labels and calls of the account were handled, and how many there were; or that none was."""
    if not evidence.run or evidence.estimates.is_empty():
        return None
    told = fact_sentences(evidence, "Reference standard", "uncertain_excluded", "uncertain_recoded")
    repeated = told and "policies_uncertain" in study_facts(evidence)
    again = "Analyses were repeated with other ways of handling them." if repeated else ""
    others = fact_sentences(evidence, "Reference standard", "other_uncertain_excluded", "other_uncertain_recoded")
    whose = "the reference standard" if others else "an evaluated case"
    none = "" if unstated(evidence) else f"No label of {whose} was uncertain."
    called = any(not reads.graded(f) for reads in arms(evidence) for f in reads.findings)
    calls = handling_of_calls(evidence) or ("No call of a reader was uncertain." if called else "")
    labels = f"{told} {again}".strip() or none
    return Found("methods", " ".join(filter(None, (labels, others, calls))))


def missing(evidence: ReportData) -> Found | None:
    """What was dropped between the tables and the numbers, by reason."""
    if not evidence.run:
        return None
    reasons = [f"{r['reason']} ({counted(r['count'], r['unit'])})" for r in left_out(evidence).to_dicts()]
    told = f"Counted by reason: {'; '.join(reasons)}." if reasons else "Nothing was excluded."
    lost = reader_answers.missing_reads(evidence)
    return Found("account", f"{told}{lost} A case without a label of a finding is excluded from its analysis.")


def other_findings(evidence: ReportData) -> Found | None:
    """How many test cases have each of the findings that were labelled."""
    rows = _lead_auc(evidence)
    named = [f"{evidence.heading(r['finding']).lower()} {count(r['n_present'])}" for r in rows if r["n_present"]]
    return Found("discrimination", f"Test cases with each finding: {listed(named)}.") if len(named) > 1 else None


def counts(evidence: ReportData) -> Found | None:
    """Numbers present and absent behind the AUC of every finding."""
    if evidence.cast.reads_alone:
        return reader_answers.counts(evidence)
    rows = [r for r in _lead_auc(evidence) if r["n_present"] is not None]
    if not rows:
        return None
    named = [f"{evidence.heading(r['finding']).lower()} {count(r['n_present'])} / {count(r['n_absent'])}" for r in rows]
    return Found("discrimination", f"Present / absent: {listed(named)}; every other estimate has its own counts.")


def _lead_auc(evidence: ReportData) -> list[dict[str, Any]]:
    """The AUC of the leading rater per finding, at the first population."""
    rows = overall(evidence, "standalone", "auc").filter(pl.col("rater") == evidence.cast.lead, pl.col("at") == "")
    first = evidence.cast.populations[:1]
    return rows.filter(pl.col("finding") != MEAN, pl.col("population").is_in(first)).to_dicts()


def _words(frame: pl.DataFrame, column: str) -> list[str]:
    values = frame[column].cast(pl.String).drop_nulls().unique().sort().to_list()
    return [v for v in values if v]


def _splits(evidence: ReportData) -> dict[str, pl.DataFrame]:
    """The images of every split that has some."""
    named = evidence.images.with_columns(pl.col("split").cast(pl.String).fill_null(""))
    parts = {s: named.filter(pl.col("split") == s) for s in ("train", "tune", "test")}
    return {s: part for s, part in parts.items() if part.height}
