"""The study in a paragraph, its governance, and the table of AUCs per finding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from overread.reporting.blocks import Cell, Facts, Folded, Section, Table, appendix, heads, table, words
from overread.reporting.estimate_cells import classes_cell, estimate_cell
from overread.reporting.number_format import count, listed, plural
from overread.reporting.report_data import (
    FROM_READS,
    MEAN,
    ReportData,
    by,
    overall,
    pick,
    weighted_sample,
)
from overread.reporting.sections.duplicate_images import excluded_duplicates
from overread.reporting.sections.reader_results.reader_titles import arms as reads_arms
from overread.reporting.sections.reader_results.reader_titles import in_sentence, most_reads
from overread.reporting.sections.reader_results.reads_account import not_compared, why_not_compared

NOT_STATED = "not reported"
_NOT_EVALUATED = ("findings_only_uncertain", "findings_without_label")


def study_paragraph(evidence: ReportData) -> str:
    """The study in one paragraph, from what is on disk."""
    study, cast = evidence.study, evidence.cast
    parts = [str(study.get("question") or "").strip()]
    parts.append(_material(evidence))
    parts.append(_weighted(evidence))
    parts += [_beside_models(evidence)] if cast.raters else []
    if cast.trained and cast.raters:
        parts.append(_models(evidence))
    elif cast.raters:
        parts.append(
            f"Predictions of {listed([f'{r}' for r in cast.raters])} were evaluated; the training of the "
            "models is not documented."
        )
    if cast.external:
        names = listed([p.partition(":")[2] for p in cast.external])
        known = "" if cast.trained else " (declared by the investigators; not verified)"
        parts.append(f"External test: {names}{known}. {excluded_duplicates(evidence)}")
    elif cast.raters:
        parts.append(
            "No site is external to the training data by record or declaration, so that external validity was not "
            "assessed."
        )
    return " ".join(p if p.endswith((".", "?", "!")) else p + "." for p in parts if p)


def _material(evidence: ReportData) -> str:
    images = evidence.images
    names = [evidence.heading(f).lower() if f != "covid_19" else "COVID-19" for f in evidence.cast.findings]
    what = f"{plural(len(names), 'finding')} ({listed(names)})"
    if evidence.cast.reads_alone:
        return _reads(evidence, what)
    if evidence.cohort and images.height:
        sites = images["site"].n_unique()
        return (
            f"{plural(images.height, 'radiograph')} of {plural(images['patient_id'].n_unique(), 'patient')} from "
            f"{plural(sites, 'site')} were used to study {what}."
        )
    rows = evidence.estimates.filter(~pl.col("analysis").is_in(FROM_READS))
    most, people = rows["n_cases"].max(), rows["n_patients"].max()
    patients = f" of {count(people)} patients" if people is not None and not evidence.cases_are_patients else ""
    alone = " of the models alone" if reads_arms(evidence) else ""
    if most is None:
        return f"Studied: {what}."
    return f"Up to {count(most)} test cases{patients} per estimate{alone}; {what}."


def _reads(evidence: ReportData, what: str) -> str:
    """What was read, where no model was evaluated: arms, readers, cases, patients, reference standards."""
    found = reads_arms(evidence)
    rows = evidence.estimates.filter(pl.col("analysis").is_in(["readers", "agreement"]))
    arms = _in_arms([r.arm for r in found])
    several = evidence.joined.select("patient_id", "case_id").unique()
    people = f" Cases are of {plural(several['patient_id'].n_unique(), 'patient')}." if several.height else ""
    people = (
        " Whose cases they are is not known: each was taken as a patient." if evidence.cases_are_patients else people
    )
    stated = [in_sentence(r) for r in (found[0].references if found else ())]
    by = f" Reference standard: {listed(stated)}." if stated else " No reference standard was supplied or derived."
    return f"{most_reads(rows)}{arms}; {what}.{people}{by}"


def _beside_models(evidence: ReportData) -> str:
    """What was read beside the models, of the findings with results: readers, reads, cases, arms, references."""
    found = reads_arms(evidence)
    if not found:
        return ""
    rows = pl.concat([reads.frame.filter(pl.col("finding").is_in(list(reads.shown))) for reads in found])
    by = listed([in_sentence(r) for r in found[0].references])
    everyone = {reader for reads in found for reader in reads.people}
    lost = f" {told} {why_not_compared(evidence)}" if (told := not_compared(evidence)) else ""
    read = list(dict.fromkeys(f for reads in found for f in reads.shown))
    named = f"; {plural(len(read), 'finding')} ({listed([evidence.heading(f).lower() for f in read])})"
    other = named if set(read) != set(evidence.cast.findings) else ""
    said = f"{most_reads(rows, len(everyone))}{_in_arms([r.arm for r in found])}{other}.{lost}"
    return f"{said} Reference standard of the reads: {by}."


def _in_arms(names: list[str]) -> str:
    return f" in {plural(len(names), 'arm')} ({_arms(names)})" if len(names) > 1 else ""


def _arms(names: list[str]) -> str:
    """Arms in a bracket; names that contain "and" are kept apart.

    >>> _arms(["unaided", "aided"]), _arms(["film", "film and computer"])
    ('unaided and aided', 'film; film and computer')
    """
    return "; ".join(names) if any(" and " in name for name in names) else listed(names)


def _weighted(evidence: ReportData) -> str:
    """That the test cases are a weighted sample, with its size; "" where all weights are equal."""
    if (sizes := weighted_sample(evidence)) is None:
        return ""
    return (
        f"The test cases are a weighted sample of {count(sizes[0])} of {count(sizes[1])} cases; estimates are "
        "weighted by the inverse sampling probability, except where a note says otherwise"
    )


def _models(evidence: ReportData) -> str:
    texts = []
    for rater in evidence.cast.raters:
        model = evidence.models.get(rater)
        if model:
            sites = [str(s) for s in model.get("training_sites") or ()]
            n = model.get("n_train_images")
            texts.append(f"{rater} on {listed(sites) or 'sites not stated'}" + (f" ({count(n)} images)" if n else ""))
    return f"Models and the sites they were trained on: {'; '.join(texts)}." if texts else ""


def governance(evidence: ReportData) -> Section:
    """Protocol, approval, data-use terms, and the accesses to the test labels."""
    study = evidence.study
    given = dict(study.get("governance") or {})
    approval = given.pop("approval", None) or " ".join(
        str(given.pop(k)) for k in ("approval_body", "approval_number", "approval_date") if given.get(k)
    )
    waiver, terms = given.pop("waiver", None), given.pop("data_use_terms", None) or given.pop("data_use", None)
    items = [
        ("Protocol hash", str(study.get("protocol_hash") or "no protocol was supplied")),
        ("Ethics approval", str(approval or (f"waived: {waiver}" if waiver else NOT_STATED))),
        ("Data-use terms", _said(terms) or NOT_STATED),
        *((k.replace("_", " ").capitalize(), _said(v)) for k, v in given.items() if _said(v)),
        ("Accesses to test labels", _opened(evidence)),
    ]
    return Section("governance", "Protocol and governance", (Facts(tuple(items)), *_openings(evidence)))


def _said(value: Any) -> str:
    return "; ".join(str(v) for v in value) if isinstance(value, list | tuple) else str(value or "")


def _opened(evidence: ReportData) -> str:
    head = evidence.ledger_head
    if not evidence.openings:
        why = "the ledger does not contain the entry of this evaluation" if head else "no ledger was given"
        return f"{why}: the number of accesses to the test labels is not known"
    first, last = evidence.openings[0].time, evidence.openings[-1].time
    n = len(evidence.openings)
    when = f"on {first[:10]}" if first[:10] == last[:10] else f"between {first[:10]} and {last[:10]}"
    own = f"; entry of this evaluation: {head['number']}, hash {head['hash'][:12]}" if head else ""
    whole = f"the ledger's chain of hashes is complete{own}"
    return f"{plural(n, 'time')}, {when} ({'incomplete, see Read this first' if evidence.ledger_faults else whole})"


def _openings(evidence: ReportData) -> tuple[Folded, ...]:
    if not evidence.openings:
        return ()
    rows = tuple(
        (
            Cell(str(e.number)),
            *words(e.time.replace("T", " ")[:16], e.analysis, ", ".join(e.models)),
            Cell(count(e.cases), kind="num"),
            Cell(e.protocol_hash[:12] or "—", kind="code"),
        )
        for e in evidence.openings
    )
    head = heads("No.", "Time (UTC)", "Analysis", "Models", "Cases", "Protocol")
    openings = table("Accesses to the test labels, from the ledger.", (head,), rows, compact=True)
    return (appendix(f"Accesses to the test labels ({len(rows)})", (openings,)),)


def outcome_table(evidence: ReportData, columns: Sequence[tuple[str, str, str]], caption: str) -> Table | None:
    """AUC per finding, with how many cases have it present and absent; columns are (heading, rater, population)."""
    rows = by(pick(overall(evidence, "standalone", "auc"), at=""), "finding", "rater", "population")
    shown = [c for c in columns if any(k[1:] == c[1:] for k in rows)]
    names = [f for f in evidence.cast.findings if any((f, *c[1:]) in rows for c in shown)]
    if not names:
        return None
    top = (Cell("Finding"), *(Cell(title, kind="group", span=2) for title, *_ in shown))
    sub = (Cell(""), *(Cell(t) for _ in shown for t in ("Present / absent", "AUC")))
    body = []
    for name in evidence.cast.findings_and_mean:
        found = [rows.get((name, *c[1:])) for c in shown]
        if any(found):
            cells = [cell for row in found for cell in (classes_cell(row), estimate_cell(row))]
            body.append((Cell(evidence.heading(name), kind="strong" if name == MEAN else ""), *cells))
    return table(caption, (top, sub), body)
