"""Subgroups: the answer, signed differences of two groups, largest gaps, estimates by group; details folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from overread import codes
from overread.reporting.blocks import (
    Block,
    Cell,
    Figure,
    Folded,
    Paragraph,
    Section,
    Table,
    appendix,
    group,
    heads,
    table,
    words,
)
from overread.reporting.estimate_cells import classes_cell, code_of, codes_of, estimate_cell, known, p_cells
from overread.reporting.figures.forest_plots import mark_of
from overread.reporting.figures.subgroup_forest import Band, Level, group_forest
from overread.reporting.number_format import capital, count, interval, listed, p_value
from overread.reporting.report_data import (
    GAP_METRICS,
    MEAN,
    ReportData,
    Row,
    at_title,
    by,
    contrast_of,
    in_order,
    overall,
    pick,
    population_title,
    with_contrast,
)
from overread.reporting.sections.model_results.group_difference_tables import (
    MINUS,
    answers,
    column_title,
    contrast_table,
    difference_table,
    first_point,
    measure_title,
)
from overread.reporting.sections.model_results.group_notes import gap_notes
from overread.reporting.seed_rows import section_raters, seed_note

_ALL = "all"
_GAPS = (
    ("gap_auc", "AUC"),
    ("gap_sensitivity", "sensitivity (= in false-negative rate)"),
    ("gap_specificity", "specificity (= in false-positive rate)"),
    ("gap_underdiagnosis", "underdiagnosis"),
)


_MEAN_OVER = "mean_over_findings"  # the note that lists the findings of a mean
# Of the notes of a gap, those that its table shows as footnotes.
_GAP_NOTES = (
    _MEAN_OVER,
    "group_excluded",
    "no_group_evaluable",
    "one_group_evaluable",
    "some_zero_variance",
)


def subgroups(evidence: ReportData) -> Section:
    """The answer in one line, the differences between two groups, a forest plot, the gaps; everything else folded."""
    title = "Subgroups"
    frame = pick(evidence.estimates, analysis="subgroups")
    if frame.is_empty():
        return Section("subgroups", title, absent="no subgroup was evaluated")
    populations = in_order(frame["population"])
    raters = section_raters(evidence)[: 4 if len(populations) == 1 else 1]
    said = answers(evidence, pick(frame, population=populations[0]), raters)
    blocks: list[Block] = [Paragraph(" ".join(said[1:]))] if said[1:] else []
    blocks.append(_caution(frame, within_sites=_within_sites(evidence, populations)))
    for i, population in enumerate(populations):
        made = _population(evidence, pick(frame, population=population), raters, population)
        blocks += made if i == 0 else [Folded(population_title(evidence, population), tuple(made))]
    for rater in (r for r in evidence.cast.raters if r in set(frame["rater"])):
        own = pick(frame, rater=rater)
        rest = (_finding_differences(evidence, own, rater), _finding_gaps(evidence, own, rater))
        between = tuple(t for t in rest if t)
        what = "differences and gaps by finding, and estimates by group" if between else "estimates by group"
        blocks.append(appendix(f"{rater}: {what}", (*between, _full_table(evidence, own))))
    return Section("subgroups", title, (*blocks, *seed_note(evidence)), answer=said[0] if said else "")


def _within_sites(evidence: ReportData, populations: Sequence[str]) -> bool:
    """Whether no AUC of these populations compares cases of different sites."""
    rows = pick(overall(evidence, "standalone", "auc"), at="").filter(pl.col("population").is_in(populations))
    return rows.height > 0 and all(
        code_of(row, "aggregation_stratified") or code_of(row, "mean_over_sites")
        for row in rows.to_dicts()
        if known(row)
    )


def _caution(frame: pl.DataFrame, *, within_sites: bool) -> Paragraph:
    """What differences between groups do not show, and how the means here differ from those of other sections."""
    text = (
        "Groups may differ in case mix and labelling as well as in the performance of the model; a difference does not "
        "identify its cause."
    )
    crossed = [s for s in _subgroups(frame) if not (within_sites and s == "site")]
    if crossed and frame.filter(pl.col("metric") == "auc", pl.col("estimate").is_finite()).height:
        of = "" if len(crossed) == len(_subgroups(frame)) else " (other than sites)"
        text += f" The overall AUC also compares patients of different groups{of} and can exceed that of every group."
    if frame.filter(pl.col("finding") == MEAN, pl.col("estimate").is_finite()).height:
        text += (
            " A mean over findings in this section is over the findings that are evaluable in every group, with a "
            "normal CI; in the other sections it is over all findings that are evaluable there, with a bootstrap CI. "
            "Therefore means and CIs can differ between sections."
        )
    return Paragraph(text, kind="small")


def _population(evidence: ReportData, frame: pl.DataFrame, raters: Sequence[str], population: str) -> list[Block]:
    """Differences between two groups, the forest plot, contrasts between models, gaps, and under-diagnosis."""
    signed = difference_table(evidence, frame, raters, population)
    made: list[Block] = [signed] if signed else []
    made += _forests(evidence, frame, raters, population)
    tables = contrast_table(evidence, frame, population), _gap_table(evidence, frame, raters, population)
    made += [t for t in tables if t]
    missed = _missed_table(evidence, frame, population)
    return [*made, Folded("Underdiagnosis by group", (missed,))] if missed else made


def _forests(evidence: ReportData, frame: pl.DataFrame, raters: Sequence[str], population: str) -> list[Figure]:
    """The mean over findings by group; where there is none, the three findings with most estimates."""
    where = population_title(evidence, population)
    where = where.lower() if population == "internal" else where
    who = f" of {raters[0]}" if len(raters) == 1 else ""
    made = []
    mean = pick(frame, metric="auc", finding=MEAN).filter(pl.col("estimate").is_not_nan()).height > 0
    for finding in [MEAN] if mean else _fullest(evidence, pick(frame, metric="auc")):
        bands = [
            b for s in _subgroups(frame) if (b := _band(evidence, pick(frame, subgroup=s, finding=finding), raters))
        ]
        if not bands:
            continue
        what = (
            "mean AUC over findings, the same in every group of a column"
            if finding == MEAN
            else (f"AUC for {evidence.heading(finding).lower()}")
        )
        whole = ", and of all cases (bold row, dashed line)" if finding == MEAN else ""
        over = _findings_of_means(pick(frame, finding=MEAN, metric="auc")) if finding == MEAN else ""
        caption = (
            f"Subgroups{who}, {where}: {what}{whole}. Difference: first minus second group, for columns with two "
            "groups or with named groups. Gap, for the others: largest minus smallest group estimate; its CI is "
            "simultaneous over all pairs of groups and truncated at 0. P: test that all groups are equal, "
            f"Holm-adjusted. Grey: groups with too few patients.{over}"
        )
        label = "Mean AUC" if finding == MEAN else "AUC"
        name = f"subgroups-{population}-{finding}"
        made.append(group_forest(bands, raters, label=label, name=name, caption=caption))
    return made


def _findings_of_means(frame: pl.DataFrame) -> str:
    """Over which findings the mean of each column and model is, as its row states; columns differ in it."""
    stated: dict[str, list[str]] = {}
    for (subgroup, rater), row in by(frame.filter(pl.col("estimate").is_not_nan()), "subgroup", "rater").items():
        whose = (
            f"{column_title(str(subgroup))} ({rater})" if frame["rater"].n_unique() > 1 else column_title(str(subgroup))
        )
        code = code_of(row, _MEAN_OVER)
        if code:
            names = stated.setdefault(codes.render("notes", code), [])
            names += [whose] if whose not in names else []
    if len(stated) < 2:
        return "".join(f" {capital(note)}." for note in stated)
    each = " ".join(f"{listed(names)}: {note}." for note, names in stated.items())
    return f" {each} Means of different findings cannot be compared."


def _subgroups(frame: pl.DataFrame) -> list[str]:
    """The columns with a known group; one in which every patient is of unknown group has none."""
    known = frame.filter(~pl.col("level").is_in(["", _ALL, "UNKNOWN"]))
    return [s for s in known["subgroup"].unique(maintain_order=True) if s]


def _band(evidence: ReportData, frame: pl.DataFrame, raters: Sequence[str]) -> Band | None:
    """A column of the forest plot; none where no group has a value."""
    areas, gaps = by(pick(frame, metric="auc"), "level", "rater"), by(pick(frame, metric="gap_auc"), "rater")
    names = [level for level in dict.fromkeys(k[0] for k in areas) if level != _ALL]
    levels = tuple(_level(level, [areas.get((level, r)) for r in raters]) for level in names)
    if not any(m.value == m.value for level in levels for m in level.marks):
        return None
    subgroup = frame["subgroup"][0]
    together = _level(column_title(subgroup), [areas.get((_ALL, r)) for r in raters])
    signed = by(with_contrast(pick(frame, metric="auc_difference"), "level"), "rater")
    texts = (_difference_text(signed[r,]) if (r,) in signed else _gap_text(gaps.get((r,))) for r in raters)
    return Band(column_title(subgroup), together, levels, tuple(texts))


def _level(title: str, rows: Sequence[Row | None]) -> Level:
    marks = tuple(mark_of(row, i) for i, row in enumerate(rows))
    first = next((row for row in rows if row), None)
    none = first is not None and all(m.value != m.value for m in marks)
    patients = "" if first is None or first.get("n_patients") is None else count(first["n_patients"])
    return Level(title, patients, marks, "too few patients" if none else "")


def _difference_text(row: Row) -> str:
    """A signed difference with its interval, in a line beside the plot; its p is in the table.

    >>> _difference_text({"estimate": -0.012, "low": -0.033, "high": 0.009, "level": "F", "contrast": "level:M"})
    'F − M: −0.012 (−0.033 to +0.009)'
    """
    names = f"{row['level']} {MINUS} {contrast_of(row['contrast'], 'level')}"
    if not known(row):
        return f"{names}: NE"
    return f"{names}: {interval(row['estimate'], row['low'], row['high'], signed=True)}"


def _gap_text(row: Row | None) -> str:
    """A gap with its interval and p, in a line beside the plot.

    >>> _gap_text({"estimate": 0.052, "low": 0.033, "high": 0.071, "p_adjusted": 0.0004, "p": 0.0002})
    '0.052 (0.033–0.071), P <0.001'
    """
    if row is None or not known(row):
        return "NE: fewer than two groups" if row else ""
    p = p_value(row["p_adjusted"])
    return f"{interval(row['estimate'], row['low'], row['high'])}, P {p}"


def _fullest(evidence: ReportData, frame: pl.DataFrame) -> list[str]:
    ranked = (
        frame.filter(pl.col("estimate").is_not_nan(), pl.col("finding") != MEAN)
        .group_by("finding")
        .agg(pl.len(), pl.col("n_present").sum())
        .sort("len", "n_present", descending=True)
    )
    best = ranked["finding"].head(3).to_list()
    return [f for f in evidence.cast.findings if f in best]


def _gap_table(evidence: ReportData, frame: pl.DataFrame, raters: Sequence[str], population: str) -> Table | None:
    """Gaps in the mean over findings and in under-diagnosis, at the first operating point; two columns per model."""
    point = first_point(frame)
    whole = (pl.col("finding") == MEAN) | pl.col("metric").str.contains("underdiagnosis", literal=True)
    shown = frame.filter(pl.col("at").is_in(["", point]), whole, pl.col("rater").is_in(raters))
    rows = by(shown, "metric", "subgroup", "rater")
    body: list[tuple[Cell, ...]] = []
    for metric, title in _GAPS:
        mine = [s for s in _subgroups(frame) if any((metric, s, r) in rows for r in raters)]
        mine = [s for s in mine if not _is_difference(pick(shown, subgroup=s), metric)]
        body += [group(f"Gap in {title}", 1 + 2 * len(raters))] if mine else []
        for subgroup in mine:
            got = [rows.get((metric, subgroup, r)) for r in raters]
            body.append((Cell(column_title(subgroup)), *(c for row in got for c in (_gap_cell(row), p_cells(row)[1]))))
    if not body:
        return None
    where = (
        population_title(evidence, population).lower()
        if population == "internal"
        else population_title(evidence, population)
    )
    caption = f"Gaps between groups, {where}: mean over findings; rates at the {at_title(point)}."
    remark = (
        "P: test that all groups are equal, Holm-adjusted over the columns. Other operating points are in the "
        "estimates."
    )
    first = (Cell(""), *(Cell(r, kind="group", span=2) for r in raters))
    return table(caption, (first, heads("", *(("Gap", "P") * len(raters)))), body, remark=remark, compact=True)


def _is_difference(frame: pl.DataFrame, gap: str) -> bool:
    """Whether the gap of a column is its signed difference: it has two groups, and their difference is given."""
    groups = set(frame.filter(pl.col("metric") == gap.removeprefix("gap_"))["level"]) - {"", _ALL, "UNKNOWN"}
    signed = with_contrast(pick(frame, metric=f"{gap.removeprefix('gap_')}_difference"), "level")
    return len(groups) == 2 and signed.height > 0


def _gap_cell(row: Row | None) -> Cell:
    """A gap with its interval; below it which groups it lies between; as footnotes only which groups were left out."""
    cell = estimate_cell(row)
    if row is None:
        return cell
    pair = f"{row['level']} − {row['contrast'].partition(':')[2]}" if row["level"] else ""
    return replace(cell, note=pair, notes=gap_notes(row, _GAP_NOTES))


def _finding_differences(evidence: ReportData, frame: pl.DataFrame, rater: str) -> Table | None:
    """Signed differences between two groups per finding, every population."""
    point = first_point(frame)
    signed = with_contrast(frame.filter(~pl.col("finding").is_in([MEAN, ""])), "level")
    body: list[tuple[Cell, ...]] = []
    for metric, _ in _GAPS[:3]:
        measure = metric.removeprefix("gap_")
        at = "" if measure == "auc" else point
        rows = pick(signed, metric=f"{measure}_difference", at=at)
        body += [group(measure_title(measure, at), 6)] if rows.height else []
        for row in rows.iter_rows(named=True):
            pair = f"{column_title(row['subgroup'])}: {row['level']} {MINUS} {contrast_of(row['contrast'], 'level')}"
            place = words(evidence.heading(row["finding"]), pair, population_title(evidence, row["population"]))
            shown = _GAP_NOTES if known(row) else [code.name for code in codes_of(row)]
            value = replace(estimate_cell(row, signed=True), notes=gap_notes(row, shown))
            body.append((*place, value, *p_cells(row)))
    caption = f"Differences of {rater} between two groups, first minus second group, by finding."
    head = heads("Finding", "Groups", "Population", "Difference", "P", "P (Holm)")
    return table(caption, (head,), body, compact=True) if body else None


def _finding_gaps(evidence: ReportData, frame: pl.DataFrame, rater: str) -> Table | None:
    """Gaps per finding, every population; a column with two groups has its signed difference instead."""
    point, names = first_point(frame), _subgroups(frame)
    single = frame.filter(~pl.col("finding").is_in([MEAN, ""]))
    doubled = [(m, s) for m, _ in _GAPS[:3] for s in names if _is_difference(pick(single, subgroup=s), m)]
    gaps = single.filter(pl.col("metric").is_in(GAP_METRICS))
    for metric, subgroup in doubled:
        gaps = gaps.filter((pl.col("metric") != metric) | (pl.col("subgroup") != subgroup))
    kinds = tuple(k for k in _GAPS[:3] if pick(gaps, metric=k[0]).height)
    caption = f"Gaps of {rater} between groups, by finding; rates at the {at_title(point)}."
    return _gaps(evidence, gaps, (point, kinds), caption) if kinds else None


def _gaps(
    evidence: ReportData, frame: pl.DataFrame, kinds: tuple[str, Sequence[tuple[str, str]]], caption: str
) -> Table:
    """One row per metric, column, population and finding: the gap, between whom, p and Holm's p."""
    point, metrics = kinds
    body: list[tuple[Cell, ...]] = []
    for metric, title in metrics:
        rows = pick(frame, metric=metric, at="" if metric == "gap_auc" else point)
        body += [group(f"Gap in {title}", 6)] if rows.height else []
        for row in rows.iter_rows(named=True):
            place = words(
                evidence.heading(row["finding"]),
                column_title(row["subgroup"]),
                population_title(evidence, row["population"]),
            )
            body.append((*place, _gap_cell(row), *p_cells(row)))
    return table(caption, (heads("Finding", "Column", "Population", "Gap", "P", "P (Holm)"),), body, compact=True)


def _missed_table(evidence: ReportData, frame: pl.DataFrame, population: str) -> Table | None:
    """Underdiagnosis by group, a column per model."""
    point = first_point(frame)
    rows = by(pick(frame, metric="underdiagnosis", at=point), "subgroup", "level", "rater")
    raters = [r for r in section_raters(evidence) if any(k[2] == r for k in rows)]
    if not rows:
        return None
    body: list[tuple[Cell, ...]] = []
    for subgroup in ("", *_subgroups(frame)):
        for level in dict.fromkeys(k[1] for k in rows if k[0] == subgroup):
            got = [rows.get((subgroup, level, r)) for r in raters]
            first = next(r for r in got if r)
            name = f"{column_title(subgroup)}: {level}" if subgroup else "All cases"
            body.append((Cell(name), Cell(count(first["n_cases"]), "num"), *(estimate_cell(r) for r in got)))
    healthy = next(iter(rows.values()))["finding"] != ""
    what = (
        "patients without the label No Finding in whom the model called No Finding"
        if healthy
        else "cases with at least one finding in which no finding was called"
    )
    where = population_title(evidence, population)
    where = where.lower() if population == "internal" else where
    caption = f"Underdiagnosis, {where}: proportion of {what}, at the {at_title(point)}."
    remark = (
        "The overall level of underdiagnosis follows from the threshold: a lower threshold for findings gives less "
        "underdiagnosis and more false alarms. Compare groups at the same threshold only."
    )
    head = heads("Group", "Cases with a finding", *raters)
    return table(caption, (head,), body, remark=remark, compact=True)


def _full_table(evidence: ReportData, frame: pl.DataFrame) -> Table:
    point = first_point(frame)
    kinds = [
        k
        for k in (("auc", ""), ("sensitivity", point), ("specificity", point))
        if pick(frame, metric=k[0], at=k[1]).height
    ]
    frame = frame.filter(~pl.col("metric").is_in(GAP_METRICS), pl.col("level") != _ALL)
    rows = by(frame, "population", "subgroup", "level", "finding", "metric", "at")
    body: list[tuple[Cell, ...]] = []
    for population in in_order(frame["population"]):
        own = pick(frame, population=population).filter(pl.col("level") != "")
        for subgroup, level in own.select("subgroup", "level").unique(maintain_order=True).rows():
            title = f"{population_title(evidence, population)} · {column_title(subgroup)}: {level}"
            body.append(group(title, len(kinds) + 2))
            for f in evidence.cast.findings_and_mean:
                got = [rows.get((population, subgroup, level, f, *k)) for k in kinds]
                first = next((r for r in got if r), None)
                if first:
                    cells = (estimate_cell(r) if r else Cell("") for r in got)
                    body.append((Cell(evidence.heading(f)), classes_cell(first), *cells))
    caption = "Estimates by group, population and finding. Rates at other operating points are in the estimates."
    head = heads("Finding", "Present / absent", *(_kind_title(m, at) for m, at in kinds))
    return table(caption, (head,), body, compact=True)


def _kind_title(metric: str, at: str) -> str:
    name = metric.replace("auc", "AUC")
    return f"{name} ({at_title(at)})" if at else name
