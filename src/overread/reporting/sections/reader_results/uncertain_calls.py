"""How the readers' uncertain calls count, with their number."""

from __future__ import annotations

from overread import codes
from overread.reporting.number_format import count, listed, plural
from overread.reporting.report_data import ReportData
from overread.reporting.sections.reader_results.reader_titles import in_words

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
