"""Answers of a study of readers without a model, and which items then do not apply."""

from __future__ import annotations

import polars as pl

from overread.reporting.checklists.guideline_items import Found
from overread.reporting.estimate_cells import code_of
from overread.reporting.number_format import count, interval, listed
from overread.reporting.report_data import ReportData, Row
from overread.reporting.sections.reader_results.arm_pairs import MEASURES, pairs
from overread.reporting.sections.reader_results.arm_sentences import answer
from overread.reporting.sections.reader_results.reader_performance import measures_of, together
from overread.reporting.sections.reader_results.reader_titles import ReadRows, arms, in_sentence

NO_MODEL = "Not applicable: no model was evaluated"
# What is asked of a model and its development.
ABOUT_MODEL = frozenset(
    (
        "class_imbalance",
        "development_compared",
        "disjoint",
        "ensembling",
        "explanation",
        "external",
        "human_computer_agreement",
        "initial_weights",
        "input",
        "internal",
        "model_access",
        "model_building",
        "model_choice",
        "model_kind",
        "modifications",
        "output",
        "partitions",
        "poor_input",
        "predictions",
        "predictor_assessors",
        "recalibration",
    )
)


def without_model(evidence: ReportData) -> bool:
    """Whether neither a model was evaluated nor readers were aided by one."""
    return evidence.cast.reads_alone and not any(r.arm.partition(":")[0] == "aided" for r in arms(evidence))


def performance(evidence: ReportData) -> Found | None:
    """The difference between arms, or the performance of the readers, under the first reference standard."""
    compared = [p for p in pairs(evidence) if p.measures]
    if compared:
        several = len({p.finding for p in compared}) > 1
        return Found("arms", answer(compared[0], several=several))
    said = [
        f"{reads.heading(f)}: {text}"
        for reads, f, reference in _first(evidence)
        if (text := _rates(reads, f, reference))
    ]
    return Found("readers", f"By {in_sentence(_first(evidence)[0][2])}. {'; '.join(said)}.") if said else None


def counts(evidence: ReportData) -> Found | None:
    """Numbers present and absent of every finding under the first reference standard."""
    compared = {(p.finding, p.reference) for p in pairs(evidence) if p.measures}
    said, where = [], "readers"
    for reads, finding, reference in _first(evidence):
        rows = [together(reads, finding, reference, m) for m in MEASURES]
        row = next((r for r in rows if r and r["n_present"] is not None), None)
        if row:
            where = "arms" if (finding, reference) in compared else where
            said.append(f"{reads.heading(finding)} {count(row['n_present'])} / {count(row['n_absent'])}")
    return Found(where, f"Present / absent: {listed(said)}.") if said else None


def reference_standard(evidence: ReportData) -> Found | None:
    """The reference standards that the readers were judged by."""
    rows = evidence.estimates.filter(pl.col("analysis") == "readers", pl.col("reference") != "")
    found = arms(evidence)
    names = [in_sentence(r) for r in (found[0].references if found else ()) if (rows["reference"] == r).any()]
    return Found("methods", f"The readers were judged by {listed(names)}.") if names else None


def _first(evidence: ReportData) -> list[tuple[ReadRows, str, str]]:
    """The reads of the first arm, each finding with its first reference standard."""
    found = arms(evidence)[:1]
    return [(reads, f, reads.references[0]) for reads in found for f in reads.findings if reads.references]


def _rates(reads: ReadRows, finding: str, reference: str) -> str:
    rows: list[tuple[str, Row | None]] = [
        (m, together(reads, finding, reference, m)) for m in measures_of(reads, finding)
    ]
    return ", ".join(f"{MEASURES[m]} {interval(r['estimate'], r['low'], r['high'])}" for m, r in rows if r)


def missing_reads(evidence: ReportData) -> str:
    """How many reads the comparison of arms lacks, at most for one finding; "" where none is known to be missing."""
    noted = evidence.estimates.select("note_codes").unique().to_dicts()
    found = [(int(str(c["n"])), int(str(c["total"]))) for row in noted if (c := code_of(row, "reads_missing"))]
    if not found:
        return ""
    n, total = max(found)
    most = "up to " if len(set(found)) > 1 else ""
    return f" In the comparison of arms {most}{count(n)} of {count(total)} reads are missing; none was imputed."
