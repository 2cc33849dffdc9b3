"""Limits of an answer about readers: the reference standard, how many read, and which cases."""

from __future__ import annotations

import polars as pl

from overread.reporting.first_page.answer_limits.limit_codes import account_codes, noted
from overread.reporting.first_page.first_page_parts import Limitation
from overread.reporting.first_page.question import ARMS, leading
from overread.reporting.number_format import count, listed, plural
from overread.reporting.report_data import ReportData, pick
from overread.reporting.sections.reader_results.arm_pairs import compared_readers
from overread.reporting.sections.reader_results.reader_titles import OTHERS, arms, in_sentence

_UNIDENTIFIED = "dawid_skene_refused"


def reader_made(evidence: ReportData) -> list[Limitation]:
    """Reference standards made from reads of the readers who are judged by them."""
    found = arms(evidence)
    if not found:
        return []
    own = [r for r in found[0].references if r in found[0].made]
    favour = [in_sentence(r) for r in own if r != OTHERS]
    if not favour:
        return []
    n = len(found[0].references)
    text = f"Results under {listed(favour)} favour the readers."
    if OTHERS in own:
        text += f" {in_sentence(OTHERS)[:1].upper()}{in_sentence(OTHERS)[1:]} leaves out the reader who is evaluated."
    verb = "is" if len(own) == 1 else "are"
    head = f"{count(len(own))} of {plural(n, 'reference standard')} {verb} made from reads of these readers."
    return [Limitation(3, f"{plural(len(own), 'reference standard')} made by these readers", head, text, "readers")]


def dawid_skene(evidence: ReportData) -> list[Limitation]:
    """Dawid-Skene was asked for and is not identified."""
    asked = "dawid-skene" in (evidence.config.get("references") or ())
    rows = evidence.estimates.filter(pl.col("note_codes").fill_null("") != "").iter_rows(named=True)
    found = noted(rows, _UNIDENTIFIED) if asked else []
    lost = account_codes(evidence, _UNIDENTIFIED) if asked else []
    if not found and not lost:
        return []
    text = "It was asked for and is not used: the reads do not determine it."
    named = evidence.vocabulary.ordered({str(c["finding"]) for c in (*found, *(code for code, _ in lost))})
    read = {f for reads in arms(evidence) for f in reads.findings}
    of = "" if set(named) >= read else f" for {listed([evidence.heading(f).lower() for f in named])}"
    return [Limitation(3, f"Dawid-Skene not identified{of}", f"Dawid-Skene is not identified{of}.", text, "account")]


def few_readers(evidence: ReportData) -> list[Limitation]:
    """Few readers."""
    rows = pick(evidence.estimates, analysis="readers")
    read = sorted({r for r in rows.filter(pl.col("arm") != "model")["rater"].to_list() if r and not r.startswith("(")})
    n = (compared_readers(evidence) if leading(evidence) == ARMS else 0) or len(read)
    if not 0 < n < 10:
        return []
    text = "The interval for readers in general may be too narrow."
    return [Limitation(7, plural(n, "reader"), f"{plural(n, 'reader')}.", text, "readers")]


def subset(evidence: ReportData) -> list[Limitation]:
    """Reads of a part of the test cases."""
    cases = evidence.joined.filter(pl.col("truth").is_not_null() | (pl.col("arm") != "model"))
    of_model = pl.col("arm") == "model"
    tested, reads = (set(cases.filter(mine)["case_id"].unique()) for mine in (of_model, ~of_model))
    read = len(tested & reads)  # readers may also have read cases that no model scored
    if not reads or read >= len(tested):
        return []
    text = "Unless these were sampled at random, predictive values cannot be estimated from them."
    head = f"{count(read)} of {count(len(tested))} test cases were read."
    return [Limitation(8, "a selected sample was read", head, text, "readers")]


def without_label(evidence: ReportData) -> list[Limitation]:
    """Cases that were read and have no label of a stated reference standard."""
    found = arms(evidence)
    most: dict[str, tuple[int, str]] = {}
    for code, row in account_codes(evidence, "read_not_labelled"):
        finding, reference = str(code["finding"]), str(code["reference"])
        labelled = any(r.rows(finding, reference) for r in found if reference in r.stated)
        if labelled and row["count"] > most.get(reference, (0, ""))[0]:
            most[reference] = row["count"], finding
    several = len({f for reads in found for f in reads.findings}) > 1
    told = [
        f"{plural(n, 'case')} by {in_sentence(r)}{f' (for {evidence.heading(f).lower()})' if several else ''}"
        for r, (n, f) in most.items()
    ]
    if not told:
        return []
    text = f"{listed(told)}. Not in any result by that reference standard."
    return [Limitation(10, "cases read without a label", "Read, but without a label:", text, "account")]
