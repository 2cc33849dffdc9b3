"""Uncertain labels and reference standards: the same estimates under each, with the change."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from overread.reporting.blocks import Block, Cell, Paragraph, Section, Table, appendix, group, heads, table
from overread.reporting.estimate_cells import estimate_cell
from overread.reporting.number_format import listed
from overread.reporting.report_data import (
    ReportData,
    at_title,
    by,
    contrast_of,
    in_order,
    pick,
    points_in_order,
    population_title,
    value_at,
    with_contrast,
)
from overread.reporting.sections import absence_reasons

_TITLE = "Uncertain labels and reference standards"
_WORDS = {"ignore": "excluded", "absent": "taken as absent", "present": "taken as present"}
_RATES = ("sensitivity", "specificity")


def policies(evidence: ReportData) -> Section:
    """AUC under every policy and label source with the change; rates at the thresholds folded."""
    frame = pick(evidence.estimates, analysis="policies")
    if frame.is_empty():
        return Section("policies", _TITLE, absent=absence_reasons.policies(evidence))
    blocks: list[Block] = []
    for column in ("policy", "reference"):
        made = with_contrast(frame, column)
        others = made[column].unique(maintain_order=True).to_list()
        if not others:
            continue
        main = contrast_of(made["contrast"][0], column)
        words = _policy_words if column == "policy" else str
        blocks.append(Paragraph(_told(column, words(main))))
        own = frame.filter(
            pl.col(column).is_in([main, *others]) if column == "policy" else pl.col(column).is_in(others)
        )
        sides = ([main] if column == "policy" else []) + others
        blocks.append(_table(evidence, own, (column, sides, main), "auc", ""))
        rates = [_table(evidence, own, (column, sides, main), m, at) for m in _RATES if (at := _first_point(own, m))]
        blocks += (
            [appendix("Sensitivity and specificity at the thresholds of the main analysis", tuple(rates))]
            if rates
            else []
        )
    return Section("policies", _TITLE, tuple(blocks))


def _told(column: str, main: str) -> str:
    if column == "policy":
        return (
            f"In the main analysis, uncertain labels are {main}. Here the analyses are repeated with other ways of "
            "handling them, with the same scores and thresholds. Findings without an uncertain label do not change and "
            "are not shown."
        )
    return (
        f"In the main analysis, the reference standard is “{main}”. Here the analyses are repeated with another label "
        "source as reference standard, on the cases labelled by both."
    )


def _policy_words(policy: str) -> str:
    word = value_at(policy, "uncertain")
    return _WORDS.get(word, word)


def _first_point(frame: pl.DataFrame, metric: str) -> str:
    return next(iter(points_in_order(pick(frame, metric=metric)["at"])), "")


def _table(
    evidence: ReportData, frame: pl.DataFrame, sides: tuple[str, Sequence[str], str], metric: str, at: str
) -> Table:
    """A row per finding, a pair of columns per alternative: the number, and what changes."""
    column, values, main = sides
    numbers = by(pick(frame, metric=metric, at=at, contrast=""), "rater", "population", "finding", column)
    changes = by(pick(frame, metric=f"{metric}_difference", at=at), "rater", "population", "finding", column)
    name = {"auc": "AUC"}.get(metric, metric.capitalize())
    body: list[tuple[Cell, ...]] = []
    wide = 1 + len(values) + sum(v != main for v in values)
    for rater in evidence.cast.raters:
        for population in in_order(k[1] for k in changes if k[0] == rater):
            body.append(group(f"{rater} · {population_title(evidence, population)}", wide))
            for finding in evidence.cast.findings_and_mean:
                key = (rater, population, finding)
                if not any((*key, v) in changes for v in values):
                    continue
                cells = [Cell(evidence.heading(finding))]
                for value in values:
                    cells.append(estimate_cell(numbers.get((*key, value))))
                    if value != main:
                        cells.append(estimate_cell(changes.get((*key, value)), signed=True))
                body.append(tuple(cells))
    titles = [t for v in values for t in ((_side(column, v), "Change") if v != main else (_side(column, v),))]
    where = f", {at_title(at)}" if at else ""
    what = "handling of uncertain labels" if column == "policy" else "label source"
    caption = f"{name} by {what}{where}: {listed([_policy_words(v) if column == 'policy' else v for v in values])}."
    remark = (
        "Change: alternative minus main analysis, with a bootstrap percentile CI from the same patients. A mean over "
        "sites uses the sites that are evaluable both ways, so that a change can differ from the difference of "
        "the columns."
    )
    return table(caption, (heads("", *titles),), body, remark=remark, compact=True)


def _side(column: str, value: str) -> str:
    return _policy_words(value).capitalize() if column == "policy" else value
