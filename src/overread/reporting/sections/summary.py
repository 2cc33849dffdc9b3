"""The first page: the study in a paragraph, the verdict, the headline numbers, the warnings, the governance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from overread import codes
from overread.reporting.blocks import Cell, Facts, Folded, Section, Table, heads, table, words
from overread.reporting.estimate_cells import classes_cell, estimate_cell
from overread.reporting.number_format import count, listed, plural
from overread.reporting.report_data import (
    FROM_READS,
    MEAN,
    ReportData,
    by,
    overall,
    pick,
    plain_words,
    population_title,
)
from overread.reporting.sections.duplicate_images import excluded_duplicates
from overread.reporting.sections.reader_results.reader_titles import arms as reads_arms
from overread.reporting.sections.reader_results.reader_titles import comparison_table, in_sentence, most_reads
from overread.reporting.sections.reader_results.reader_titles import warnings as reads_warnings
from overread.tables.table_notes import IDENTIFIERS, sentences

NOT_STATED = "not reported"
_NOT_EVALUATED = ("findings_only_uncertain", "findings_without_label")


def study_paragraph(evidence: ReportData) -> str:
    """The study in one paragraph, from what is on disk."""
    study, cast = evidence.study, evidence.cast
    parts = [str(study.get("question") or "").strip()]
    parts.append(_material(evidence))
    parts.append(_weighted(evidence))
    if cast.trained and cast.raters:
        parts.append(_models(evidence))
    elif cast.raters:
        parts.append(
            f"Predictions of {listed([f'“{r}”' for r in cast.raters])} were evaluated; the training of the "
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
    patients = f" of {count(people)} patients" if people is not None else ""
    return (
        f"Up to {count(most)} test cases{patients} per estimate; {what}." if most is not None else f"Studied: {what}."
    )


def _reads(evidence: ReportData, what: str) -> str:
    """What was read, where no model was evaluated: arms, readers, cases, patients, reference standards."""
    found = reads_arms(evidence)
    rows = evidence.estimates.filter(pl.col("analysis").is_in(["readers", "agreement"]))
    arms = f" in {plural(len(found), 'arm')} ({listed([r.arm for r in found])})" if len(found) > 1 else ""
    several = evidence.joined.select("patient_id", "case_id").unique()
    people = f" Cases are of {plural(several['patient_id'].n_unique(), 'patient')}." if several.height else ""
    people = (
        " Whose cases they are is not known: each was taken as a patient." if evidence.cases_are_patients else people
    )
    stated = [in_sentence(r) for r in (found[0].references if found else ())]
    by = f" Reference standard: {listed(stated)}." if stated else " No reference standard was supplied or derived."
    return f"{most_reads(rows)}{arms}; {what}.{people}{by}"


def _weighted(evidence: ReportData) -> str:
    """That the test cases are a weighted sample, with its size; "" where all weights are equal."""
    cases = evidence.joined.filter(pl.col("shift") == "none").select("case_id", "weight").unique("case_id")
    if cases.is_empty() or cases["weight"].null_count() == cases.height or cases["weight"].n_unique() < 2:
        return ""
    whole = float(cases["weight"].sum())
    return (
        f"The test cases are a weighted sample of {count(cases.height)} of {count(round(whole))} cases; estimates are "
        "weighted by the inverse sampling probability, except where a note says otherwise"
    )


def _models(evidence: ReportData) -> str:
    texts = []
    for rater in evidence.cast.raters:
        model = evidence.models.get(rater)
        if model:
            sites = [str(s) for s in model.get("training_sites") or ()]
            n = model.get("n_train_images")
            texts.append(f"“{rater}” on {listed(sites) or 'sites not stated'}" + (f" ({count(n)} images)" if n else ""))
    return f"Models and the sites they were trained on: {'; '.join(texts)}." if texts else ""


def verdict_block(evidence: ReportData) -> list[dict[str, Any]]:
    """The verdicts as the box at the top shows them."""
    return [
        {
            "hypothesis": row["hypothesis"],
            "claim": row["claim"],
            "verdict": row["verdict"],
            "css": str(row["verdict"]).replace(" ", "-"),
            "reason": row["reason"],
        }
        for row in evidence.verdicts.iter_rows(named=True)
    ]


def headlines(evidence: ReportData) -> tuple[Table, ...]:
    """The tables of the first page: the mean AUCs, and the comparison with readers."""
    return tuple(t for t in (headline(evidence), comparison_table(evidence)) if t)


def headline(evidence: ReportData) -> Table | None:
    """Macro AUC of every model at every population."""
    rows = by(pick(overall(evidence, "standalone", "auc"), finding=MEAN, at=""), "rater", "population")
    if not rows:
        return None
    head = heads("Model", *(population_title(evidence, p) for p in evidence.cast.populations))
    body = tuple(
        (Cell(r), *(estimate_cell(rows.get((r, p))) for p in evidence.cast.populations)) for r in evidence.cast.raters
    )
    level = evidence.estimates["confidence"].drop_nulls()
    percent = f"{100 * level[0]:g}% " if level.len() else ""
    caption = f"Mean AUC over findings ({percent}CI), by model and test population."
    remark = (
        "Internal test: held-out patients of the training sites of each model."
        if evidence.cast.trained and len(evidence.cast.raters) > 1
        else ""
    )
    return table(caption, (head,), body, remark=remark)


def warnings(evidence: ReportData) -> tuple[str, ...]:
    """Warnings: those of the protocol, and those that follow from the data."""
    found = [*_simulated(evidence), *(str(w) for w in evidence.study.get("warnings") or ())]
    if len(evidence.cast.external) < 2 and not any("external" in w for w in found):
        n = plural(len(evidence.cast.external), "external site")
        found.append(f"Fewer than two external sites ({n}): at least two are needed to assess generalisation.")
    found += [
        *_unmatched(evidence),
        *_not_evaluated(evidence),
        *_one_class(evidence),
        *reads_warnings(evidence),
        *_identifiers(evidence),
        *evidence.ledger_faults,
    ]
    silent = [m for m, e in evidence.models.items() if e.get("kind") == "single" and m in evidence.cast.raters]
    if silent:
        found.append(f"One training run only for {listed(silent)}: variation between training runs is unknown.")
    return tuple(dict.fromkeys(found))


def _identifiers(evidence: ReportData) -> list[str]:
    """What was changed in identifiers, or may be one identifier in two spellings, in the evaluation and the cohort."""
    flow = evidence.flow.filter(pl.col("step") == "noted", pl.col("unit") == IDENTIFIERS, pl.col("site") == "")
    return [*sentences(evidence.account), *(f"{reason}." for reason in flow["reason"])]


def _unmatched(evidence: ReportData) -> list[str]:
    """Rows that were left out because the images table lacks their case or image, in the words of the account."""
    if evidence.account.is_empty():
        return []
    rows = evidence.account.filter(pl.col("stage") == "unmatched").iter_rows(named=True)
    return [
        f"{plural(r['count'], r['unit'].removesuffix('s'))} excluded, {r['reason']}: {r['examples']}." for r in rows
    ]


def _not_evaluated(evidence: ReportData) -> list[str]:
    """Scored findings without any estimate, in the words of the account."""
    return [
        f"Findings {plain_words(row['reason'], evidence.vocabulary)}."
        for row in evidence.account.iter_rows(named=True)
        if any(code.name in _NOT_EVALUATED for code in codes.decode(row["reason_code"] or ""))
    ]


def _simulated(evidence: ReportData) -> list[str]:
    sources = (evidence.study.get("protocol") or {}).get("sources") or {}
    readers = [s.get("reader") for s in sources.values() if isinstance(s, Mapping)]
    if "simulate" not in readers:
        return []
    which = "The images are" if set(readers) == {"simulate"} else "Some of the images are"
    return [f"{which} simulated: the results are about the methods, not about patients."]


def _one_class(evidence: ReportData) -> list[str]:
    rows = overall(evidence, "standalone", "auc").filter(pl.col("finding") != MEAN)
    found = []
    for population in evidence.cast.populations:
        part = pick(rows, population=population)
        one = (pl.col("n_present") == 0) != (pl.col("n_absent") == 0)  # both 0: nothing is stated there at all
        lone = part.filter(one)["finding"].unique().to_list()
        names = [evidence.heading(f) for f in evidence.cast.findings if f in lone]
        if names:
            title = population_title(evidence, population)
            found.append(
                f"{title}: all cases are of one class for {listed(names)}; AUC, sensitivity or specificity "
                "cannot be estimated."
            )
    return found


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
    return (Folded(f"Accesses to the test labels ({len(rows)})", (openings,)),)


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
    for name in (*names, MEAN):
        found = [rows.get((name, *c[1:])) for c in shown]
        if any(found):
            cells = [cell for row in found for cell in (classes_cell(row), estimate_cell(row))]
            body.append((Cell(evidence.heading(name), kind="strong" if name == MEAN else ""), *cells))
    return table(caption, (top, sub), body)
