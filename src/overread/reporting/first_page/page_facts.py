"""The counts below the answer and the line below the title."""

from __future__ import annotations

import polars as pl

from overread.reporting.number_format import count, plural
from overread.reporting.report_data import ReportData, pick
from overread.reporting.sections.reader_results.reader_titles import OTHERS, READERS, arms, most_cases
from overread.reporting.seed_rows import rows_of_seeds, section_raters, seeds_are_models

_COUNTS = (("cases", "n_cases"), ("patients", "n_patients"))
_OF_SITTINGS = ("median_seconds", "mean_trust")


def facts(evidence: ReportData) -> tuple[tuple[str, str], ...]:
    """What the answer rests on: (what, how many)."""
    cast = evidence.cast
    cases, patients = _most(evidence, "n_cases"), _most(evidence, "n_patients")
    made: list[tuple[str, str]] = []
    if _read_only(evidence):
        cases = _reads(evidence) or cases
    if cast.raters and not _read_only(evidence):
        scored = pl.col("arm") == "model", pl.col("truth").is_not_null()  # not the cases that only readers read
        joined = evidence.joined.filter(*scored)
        joined = joined.filter(pl.col("shift") == "none") if "shift" in joined.columns else joined
        if joined.height:
            cases, patients = joined["case_id"].n_unique(), joined["patient_id"].n_unique()
    ranges = _by_references(evidence, cases) if cast.raters else {}
    made += [(ranges.get("cases", ("cases", count(cases))))] if cases else []
    people = ranges.get("patients", ("patients", count(patients)))
    made += [people] if patients and not evidence.cases_are_patients else []
    readers = _readers(evidence)
    made += [("readers", count(readers))] if readers else []
    reads = _reads(evidence)
    made += [("cases read", count(reads))] if reads and cast.raters and not ranges else []
    found = arms(evidence) if readers else []
    n = len({f for each in found for f in each.shown}) or len(cast.findings)
    made += [("finding" if n == 1 else "findings", count(n))] if n else []
    references = found[0].references if found else ()
    made += [("reference standards", count(len(references)))] if len(references) > 1 else []
    made += [("external hospitals", count(len(cast.external)))] if cast.raters and not readers else []
    return tuple(made)


def _by_references(evidence: ReportData, cases: int) -> dict[str, tuple[str, str]]:
    """The counts as ranges over the reference standards, where another one than that of the models has more cases."""
    frames = [
        r.frame.filter(pl.col("reference") != OTHERS, pl.col("finding").is_in(list(r.shown))) for r in arms(evidence)
    ]
    if not frames:
        return {}
    most = pl.concat(frames).group_by("reference").agg(pl.col("n_cases", "n_patients").max()).drop_nulls()
    if max(most["n_cases"], default=0) <= cases or most["n_cases"].n_unique() == 1:
        return {}
    ends = ((what, most[column].min(), most[column].max()) for what, column in _COUNTS)
    return {what: (f"{what}, by reference standard", f"{count(low)} to {count(high)}") for what, low, high in ends}


def _read_only(evidence: ReportData) -> bool:
    return not evidence.cast.raters


def _most(evidence: ReportData, column: str) -> int:
    return max((int(n) for n in evidence.estimates[column].drop_nulls()), default=0)


def _readers(evidence: ReportData) -> int:
    """How many readers have a number that is of their reads: not those who only practised or were left out."""
    rows = pick(evidence.estimates, analysis="readers").filter(pl.col("arm") != "model", pl.col("rater") != READERS)
    of_reads = ~pl.col("metric").cast(pl.String).is_in(_OF_SITTINGS) & pl.col("estimate").is_not_nan()
    judged = rows.filter(of_reads, ~pl.col("rater").str.starts_with("("))["rater"].n_unique()
    agreeing = pick(evidence.estimates, analysis="agreement", rater=READERS).filter(pl.col("estimate").is_not_nan())
    return judged or max((int(n) for n in agreeing["n_readers"].drop_nulls()), default=0)  # judged by no reference


def _reads(evidence: ReportData) -> int:
    return max((most_cases(reads) for reads in arms(evidence)), default=0)


def _models(evidence: ReportData) -> str:
    """How many models, or how many variants with how many training seeds."""
    rows = rows_of_seeds(evidence)
    if rows is None or not seeds_are_models(evidence):
        n = len(section_raters(evidence))
        return plural(n, "model") if n else ""
    seeds = plural(sum(len(members) for members in rows.variants.values()), "seed")
    return f"{plural(len(rows.variants), 'variant')} · {seeds}" if len(rows.variants) > 1 else seeds


def made_line(evidence: ReportData) -> str:
    """What was evaluated, with which program, and when: the day of the evaluation, so that a page stays the same."""
    version = (evidence.run.get("versions") or {}).get("overread")
    day = str(evidence.run.get("started") or "")[:10]
    hashed = str(evidence.study.get("protocol_hash") or "")
    parts = [
        _models(evidence),
        plural(n, "reader") if (n := _readers(evidence)) else "",
        f"evaluated {day}" if day else "",
        "overread" + (f" {version}" if version else ""),
        f"protocol {hashed[:12]}" if hashed else "",
    ]
    return " · ".join(p for p in parts if p)
