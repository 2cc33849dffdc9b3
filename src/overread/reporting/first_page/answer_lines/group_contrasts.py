"""The difference in AUC between two groups of cases, in every model and between models, as a line of the first page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from overread.reporting.estimate_cells import known
from overread.reporting.first_page.first_page_parts import bounded, fewer_findings, side, spelled
from overread.reporting.group_rows import GroupRows
from overread.reporting.number_format import fixed, listed, number, plural
from overread.reporting.report_data import Row, contrast_of

_SPELLED = 3  # models, or contrasts, of which each has its number in the line


def group_line(
    rows: GroupRows, names: Sequence[str], population: str, *, where: str = "", most: int, tabled: bool
) -> str:
    """The difference between the first groups in each of these models, and its contrasts between models.

    Differences that are `tabled` with their intervals are given without them. `where` follows the groups. That they are
    over fewer findings than the `most` of the headline is said.
    """
    groups, own = rows.first, {n: r for n in names if known(r := rows.difference(n, population))}
    if groups is None or not own:
        return ""
    start = f"The difference in AUC between groups ({groups[0].replace('_', ' ')}, {groups[1]}){where}"
    contrasts = rows.contrasts(population)
    start += _over([*own.values(), *contrasts], most)
    told = f"{start} {_own(own, tabled=tabled)}{f'; {_contrasts(contrasts)}' if contrasts else ''}."
    more = len(rows.groups) - 1
    return f"{told} {plural(more, 'more pair')} of groups: see the sections below." if more else told


def _over(rows: Sequence[Row], most: int) -> str:
    """Over how many of the findings of the headline the differences are, where they are over fewer."""
    found = [text for text in dict.fromkeys(fewer_findings(row, most) for row in rows) if text]
    return f", {listed(found)}," if found else ""


def _own(own: Mapping[str, Row], *, tabled: bool) -> str:
    """The difference of the groups in every model; of many, the lowest and the highest."""
    ranked = sorted(own, key=lambda n: number(own[n]["estimate"]))
    many = len(ranked) > _SPELLED
    names = [ranked[0], ranked[-1]] if many else list(own)
    values = [
        fixed(own[n]["estimate"], signed=True) if tabled else spelled(own[n], signed=True, level=i == 0)
        for i, n in enumerate(names)
    ]
    told = [f"{value} in {n}" for value, n in zip(values, names, strict=True)]
    return f"of {len(ranked)} variants runs from {' to '.join(told)}" if many else f"is {listed(told)}"


def _contrasts(contrasts: Sequence[Row]) -> str:
    """Every contrast between models; of many, the largest, and how many intervals lie on one side of 0."""
    if len(contrasts) <= _SPELLED:
        return "; ".join(_contrast(row, level=i == 0) for i, row in enumerate(contrasts))
    largest = max(contrasts, key=lambda r: abs(number(r["estimate"])))
    clear = sum(side(r) != 0 for r in contrasts)
    return (
        f"the largest of {len(contrasts)} contrasts is {_contrast(largest, level=True)}; 0 lies outside the interval "
        f"of {clear}"
    )


def _contrast(row: Row, *, level: bool) -> str:
    includes = "; the interval includes 0" if bounded(row) and not side(row) else ""
    names = f"{row['rater']} minus {contrast_of(row['contrast'], 'rater')}"
    return f"{names}: {spelled(row, signed=True, level=level)}{includes}"
