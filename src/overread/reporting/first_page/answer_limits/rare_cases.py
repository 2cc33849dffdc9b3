"""Limits of findings with few or no cases present, in the tests of models and among the cases that were read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from overread.reporting.first_page.first_page_parts import Limitation, bounded, constant
from overread.reporting.first_page.question import ARMS, READER_STUDY, READERS_ALONE, leading
from overread.reporting.number_format import count, listed
from overread.reporting.report_data import ReportData, Row, contrast_of, pick
from overread.reporting.sections.reader_results.arm_pairs import leading_pair
from overread.reporting.sections.reader_results.reader_titles import OTHERS, READERS, arms

FEW = 50  # present cases: below, intervals are wide


def rare_findings(evidence: ReportData, present: Mapping[str, int], rows: Iterable[Row]) -> str:
    """The findings with few cases present, the rarest first, with their numbers; "" where none has.

    `rows` hold the estimates that few cases make imprecise: a finding without an interval there is named.
    """
    few = [f for n, f in sorted((n, f) for f, n in present.items() if 0 < n < FEW)]
    if not few:
        return ""
    wide = {r["finding"] for r in rows if bounded(r) and not constant(r)}
    without = [evidence.heading(f).lower() for f in few if f not in wide]
    names = [f"{evidence.heading(f).lower()} ({count(present[f])})" for f in few]
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    told = "No interval of AUC or sensitivity could be computed."
    if len(without) < len(few):
        none = f"; {listed(without)} {'has' if len(without) == 1 else 'have'} none" if without else ""
        told = f"The intervals are wide{none}."
    return f"{listed(names[:3])}{rest}. {told}"


def few_read(evidence: ReportData) -> list[Limitation]:
    """Findings with few cases present among those read, by the reference standard of the answer."""
    kind, found = leading(evidence), arms(evidence)
    if kind not in (ARMS, READERS_ALONE, READER_STUDY) or not found:
        return []
    first = leading_pair(evidence) if kind == ARMS else None
    reference = first.reference if first else found[0].references[0] if found[0].references else ""
    present: dict[str, int] = {}
    absent: dict[str, int] = {}
    rows: list[Row] = []
    for reads in found:
        own = pick(reads.frame, reference=reference).filter(pl.col("finding").is_in(list(reads.shown)))
        rows += own.filter(pl.col("metric").str.contains("^(auc|sensitivity)")).to_dicts()
        for column, most in (("n_present", present), ("n_absent", absent)):
            for f, n in own.group_by("finding").agg(pl.col(column).max()).drop_nulls().rows():
                most[f] = max(n, most.get(f, 0))
    together = [r for r in rows if READERS in (r["rater"], contrast_of(r["contrast"], "rater"))]
    text = "" if reference == OTHERS else rare_findings(evidence, present, together)
    link = "arms" if kind == ARMS else "readers"
    made = Limitation(10, "few cases of some findings", f"Fewer than {FEW} cases present:", text, link)
    without = sorted((n, evidence.heading(f).lower()) for f, n in absent.items() if n < FEW and reference != OTHERS)
    names = f"{listed([f'{title} ({count(n)})' for n, title in without])}. The intervals of specificity are wide."
    rest = Limitation(10, "few cases without some findings", f"Fewer than {FEW} cases absent:", names, link)
    none = [evidence.heading(f).lower() for f, n in present.items() if not n and not evidence.cast.raters]
    lone = f"{listed(none)}. No sensitivity and no AUC can be estimated."
    one = Limitation(10, "findings with cases of one class", "No case with the finding:", lone, link)
    return [*([made] if text else []), *([rest] if without else []), *([one] if none else [])]
