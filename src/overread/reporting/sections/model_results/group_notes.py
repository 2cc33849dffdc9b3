"""Footnotes of gaps between groups: which groups were left out, in one note for all of them."""

from __future__ import annotations

from collections.abc import Sequence

from overread import codes
from overread.codes import Code
from overread.reporting.estimate_cells import code_of, codes_of
from overread.reporting.number_format import listed, plural
from overread.reporting.report_data import Row, natural

_EXCLUDED, _COMPARED = "group_excluded", "groups_compared"
_MOST_NAMES = 30


def gap_notes(row: Row, names: Sequence[str]) -> tuple[str, ...]:
    """The notes of a gap that have these names; several groups that were left out share one note."""
    shown = [code for code in codes_of(row) if code.name in names]
    left = [code for code in shown if code.name == _EXCLUDED]
    if len(left) < 2:
        return tuple(codes.render("notes", code) for code in shown)
    rest = (codes.render("notes", code) for code in shown if code.name != _EXCLUDED)
    return (*rest, _left_out(left))


def _left_out(left: Sequence[Code]) -> str:
    """Which groups were left out of a gap, and why."""
    reasons = {str(code["reason"]) for code in left}
    few = "too few patients"
    reason = reasons.pop() if len(reasons) == 1 else few if all(r.startswith(few) for r in reasons) else "not evaluable"
    groups = sorted((str(code["group"]) for code in left), key=natural)
    more = len(groups) - _MOST_NAMES
    named = f"{', '.join(groups[:_MOST_NAMES])} and {more} more" if more > 0 else listed(groups)
    return f"{plural(len(left), 'group')} excluded ({reason}): {named}"


def groups_compared(row: Row) -> str:
    """How many of the groups of a column a gap is over, where some were left out."""
    compared, left = code_of(row, _COMPARED), [code for code in codes_of(row) if code.name == _EXCLUDED]
    if compared is None or not left:
        return ""
    n = int(str(compared["n"]))
    return f"{'the only ' if n == 2 else 'of '}{n} of {n + len(left)} groups with enough patients"
