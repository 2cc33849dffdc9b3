"""What the account counts of reads: uncertain calls and how they count, and cases that not every model scored."""

from __future__ import annotations

import polars as pl

from overread import codes
from overread.reporting.number_format import count, listed, plural
from overread.reporting.report_data import ReportData
from overread.reporting.sections.reader_results.reader_titles import arms, in_words

_EXCLUDED, _RECODED = "uncertain_calls_excluded", "uncertain_calls_recoded"
HANDLED = {"absent": "taken as absent", "present": "taken as present", "ignore": "excluded"}


def counted_calls(evidence: ReportData) -> dict[str, tuple[int, str]]:
    """How many calls were uncertain and what they count as, by finding."""
    return {
        str(code["finding"]): (
            int(row["count"]),
            HANDLED["ignore"] if code.name == _EXCLUDED else HANDLED[str(code["state"])],
        )
        for row in evidence.account.iter_rows(named=True)
        for code in codes.decode(row["reason_code"] or "")
        if code.name in (_EXCLUDED, _RECODED)
    }


def handling_of_calls(evidence: ReportData) -> str:
    """How many calls were uncertain, for which findings, and what they count as; "" where none was.

    The number is that of the account: reads, of every arm.
    """
    found = counted_calls(evidence)
    if not found:
        return ""
    n, how = sum(k for k, _ in found.values()), next(iter(found.values()))[1]
    each = [f"{in_words(evidence.heading(f))} {count(found[f][0])}" for f in evidence.vocabulary.ordered(set(found))]
    verb = "is" if n == 1 else "are"
    return f"{plural(n, 'uncertain call')} {verb} {how} ({listed(each)})."


def unscored_reads(evidence: ReportData) -> dict[str, tuple[int, int]]:
    """How many cases read were not scored by every model, and how many were read, by finding with results."""
    shown = {f for reads in arms(evidence) for f in reads.shown}
    lost = {
        str(code["finding"]): int(row["count"])
        for row in evidence.account.iter_rows(named=True)
        for code in codes.decode(row["reason_code"] or "")
        if code.name == "read_not_scored_by_all"
    }
    read = evidence.joined.filter(pl.col("arm") != "model").group_by("finding").agg(pl.col("case_id").n_unique())
    found = {f: (lost[f], n) for f, n in read.rows() if f in lost and f in shown}
    return {f: found[f] for f in evidence.vocabulary.ordered(set(found))}


def not_compared(evidence: ReportData) -> str:
    """Of how many cases read how many are in no comparison, for the finding that loses most; "" where none is."""
    found = unscored_reads(evidence)
    if not found:
        return ""
    finding, (n, read) = max(found.items(), key=lambda item: item[1][0])
    several = len({f for reads in arms(evidence) for f in reads.shown}) > 1
    of = f" for {evidence.heading(finding).lower()}" if several else ""
    more = f", and cases of {plural(len(found) - 1, 'more finding')}," if len(found) > 1 else ""
    verb = "is" if n == 1 and not more else "are"
    return f"{count(n)} of {plural(read, 'case')} read{of}{more} {verb} not compared."


def why_not_compared(evidence: ReportData) -> str:
    """Why these cases are in no comparison."""
    return "Not every model scored them." if len(evidence.cast.raters) > 1 else "The model did not score them."
