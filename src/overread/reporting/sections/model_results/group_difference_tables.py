"""Signed differences and ratios of two groups, their contrasts between models, and the answer in one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isclose, isnan, nan

import polars as pl

from overread import codes
from overread.codes import Metric
from overread.reporting.blocks import Cell, Table, group, heads, table
from overread.reporting.estimate_cells import code_of, codes_of, estimate_cell, known, mean_of
from overread.reporting.number_format import capital, fixed, interval, listed, p_value
from overread.reporting.report_data import (
    MEAN,
    ReportData,
    Row,
    at_title,
    by,
    contrast_of,
    in_page_order,
    pick,
    points_in_order,
    population_title,
    with_contrast,
    with_key,
)
from overread.reporting.sections.model_results.group_notes import groups_compared

CROSS, MINUS = " × ", "\u2212"
_TITLES = {
    "sex": "Sex",
    "age_band": "Age",
    "view": "View",
    "site": "Site",
    "device": "Device",
    "manufacturer": "Manufacturer",
}
_PATIENTS = {("sex", "F"): "female", ("sex", "M"): "male"}
_MEASURES = (Metric.AUC, Metric.SENSITIVITY, Metric.SPECIFICITY, Metric.UNDERDIAGNOSIS)
# Notes that the table shows once below it, or that its caption says.
_SAID = ("groups_in_order", "level_follows_threshold")


def column_title(subgroup: str) -> str:
    """How a column of subgroups is headed.

    >>> column_title("age_band"), column_title("sex × view"), column_title("BMI_group")
    ('Age', 'Sex × view', 'BMI group')
    """
    return capital(_column_words(subgroup))


def _column_words(subgroup: str) -> str:
    """A column of subgroups within a sentence; a name of the user keeps its capital letters.

    >>> _column_words("sex × BMI_group")
    'sex × BMI group'
    """
    return CROSS.join(_TITLES.get(s, "").lower() or s.replace("_", " ") for s in subgroup.split(CROSS))


def measure_title(metric: str, point: str) -> str:
    """How a measure is headed: its name, and for rates the operating point.

    >>> measure_title("sensitivity", "operating_point=spec90"), measure_title("auc", "")
    ('Sensitivity at the threshold for specificity 0.90', 'AUC')
    """
    name = "AUC" if metric == Metric.AUC else metric.capitalize()
    return f"{name} at the {at_title(point)}" if point else name


def first_point(frame: pl.DataFrame) -> str:
    """The operating point that the tables of the page show; "" without one."""
    points = points_in_order(with_key(frame, "operating_point")["at"])
    return next(iter(points), "decision" if (frame["at"] == "decision").any() else "")


def answers(evidence: ReportData, frame: pl.DataFrame, raters: Sequence[str]) -> list[str]:
    """One sentence per pair of groups on the difference in AUC, at most three; else one on the largest gap."""
    rows = with_contrast(pick(frame, metric=Metric.AUC_DIFFERENCE), "level")
    mean = rows.filter(pl.col("finding") == MEAN, pl.col("estimate").is_not_nan())
    shown = mean if mean.height else rows.filter(pl.col("estimate").is_not_nan())
    what = (
        "Mean AUC"
        if mean.height
        else f"AUC for {evidence.heading(shown['finding'][0]).lower()}"
        if shown.height
        else ""
    )
    shown = shown.filter(pl.col("finding") == shown["finding"][0]) if shown.height else shown
    pairs = by(shown, "subgroup", "level", "contrast", "rater")
    said = []
    for pair in list(dict.fromkeys(k[:3] for k in pairs))[:3]:
        own = {r: pairs[(*pair, r)] for r in raters if (*pair, r) in pairs}
        if own:
            said.append(_answer(what, own))
    return said or _gap_answer(pick(frame, metric=Metric.GAP_AUC, finding=MEAN), raters)


def _answer(what: str, rows: Mapping[str, Row]) -> str:
    first = next(iter(rows.values()))
    level, reference, noun = _groups(first)
    if len(rows) > 1:
        values = [f"{rater} {_with_ci(row)}" for rater, row in rows.items()]
        return f"{what} in {level} minus {reference}{noun}: {listed(values)}."
    size = fixed(abs(first["estimate"]))
    if not float(size):
        return f"{what} differed by less than 0.001 between {level} and {reference}{noun}: {_with_ci(first)}."
    word = "lower" if first["estimate"] < 0 else "higher"
    return f"{what} was {size} {word} in {level} than in {reference}{noun} (difference {_with_ci(first)})."


def _groups(row: Row) -> tuple[str, str, str]:
    """The two groups as a sentence names them, and the noun after them."""
    column, level, reference = row["subgroup"], row["level"], contrast_of(row["contrast"], "level")
    if (column, level) in _PATIENTS and (column, reference) in _PATIENTS:
        return _PATIENTS[column, level], _PATIENTS[column, reference], " patients"
    return f"{_column_words(column)} {level}", f"{_column_words(column)} {reference}", ""


def _with_ci(row: Row) -> str:
    """A signed difference with the level of its interval."""
    text = interval(row["estimate"], row["low"], row["high"], signed=True)
    return text.replace("(", f"({100 * row['confidence']:g}% CI ", 1) if "(" in text else f"{text} (no CI)"


def _gap_answer(gaps: pl.DataFrame, raters: Sequence[str]) -> list[str]:
    known_gaps = gaps.filter(pl.col("rater").is_in(raters[:1]), pl.col("estimate").is_not_nan())
    if known_gaps.is_empty():
        return []
    row = known_gaps.sort("estimate", descending=True, maintain_order=True).row(0, named=True)
    level, worst = row["level"], contrast_of(row["contrast"], "level")
    text = interval(row["estimate"], row["low"], row["high"]).replace("(", f"({100 * row['confidence']:g}% CI ", 1)
    of = f"{_column_words(row['subgroup'])} {level} and {worst}"
    one = mean.findings if (mean := mean_of(row)) and len(mean.findings) == 1 else ()
    what = f"the AUC for {one[0].lower()}" if one else "mean AUC"
    groups = f", {compared}" if (compared := groups_compared(row)) else ""
    return [f"The largest gap in {what} of {row['rater']} was {text}, between {of}{groups}."]


def difference_table(evidence: ReportData, frame: pl.DataFrame, raters: Sequence[str], population: str) -> Table | None:
    """The two groups, their signed difference with P, and their ratio, one row per measure, pair and model."""
    point, several = first_point(frame), len(raters) > 1
    rows = by(_of_means(frame, point), "metric", "subgroup", "level", "contrast", "rater")
    body: list[tuple[Cell, ...]] = []
    for metric in _MEASURES:
        pairs = [k[1:4] for k in rows if k[0] == f"{metric}_difference"]
        at = "" if metric == Metric.AUC else point
        body += [group(measure_title(metric, at), 6 + several)] if pairs else []
        for pair in dict.fromkeys(pairs):
            for rater in (r for r in raters if (f"{metric}_difference", *pair, r) in rows):
                body.append(_difference_line(rows, metric, (*pair, rater), several=several))
    if not body:
        return None
    where = population_title(evidence, population)
    where = where.lower() if population == "internal" else where
    caption = f"Differences between two groups, {where}: first minus second group, mean over findings."
    remark = "Ratio: first divided by second group. P: test of no difference, Holm-adjusted over the pairs of groups."
    remark += " Of a column with two groups the difference is the gap, which is not listed again."
    remark += "".join(f" {capital(n)}." for n in _common_notes(rows.values()))
    names = ("Groups", *(("Model",) if several else ()), "First", "Second", "Difference", "P", "Ratio")
    return table(caption, (heads(*names),), body, remark=remark, compact=True)


def _of_means(frame: pl.DataFrame, point: str) -> pl.DataFrame:
    """The rows of the mean over findings and of under-diagnosis, at one operating point."""
    whole = (pl.col("finding") == MEAN) | pl.col("metric").str.starts_with(Metric.UNDERDIAGNOSIS)
    return frame.filter(pl.col("at").is_in(["", point]), whole)


def _difference_line(
    rows: Mapping[tuple[str, ...], Row], metric: str, key: tuple[str, ...], *, several: bool
) -> tuple[Cell, ...]:
    subgroup, level, contrast, rater = key
    reference = contrast_of(contrast, "level")
    row, ratio = rows[f"{metric}_difference", *key], rows.get((f"{metric}_ratio", *key))
    values = [rows.get((metric, subgroup, g, "", rater)) for g in (level, reference)]
    first, second = (r["estimate"] if known(r) else nan for r in values)
    if not isclose(first - second, row["estimate"], abs_tol=1e-9):  # the means by group are over other findings
        first = second = nan
    groups = [Cell("" if isnan(v) else fixed(v), "num") for v in (first, second)]
    notes = tuple(codes.render("notes", c) for c in codes_of(row) if c.name not in _SAID)
    title = Cell(f"{column_title(subgroup)}: {level} {MINUS} {reference}")
    model = (Cell(rater),) if several else ()
    cells = estimate_cell(row, signed=True), Cell(p_value(row["p_adjusted"]), "num"), estimate_cell(ratio)
    shown = Cell(cells[0].text, "num", notes=notes if notes or known(row) else (), marks="")
    return (title, *model, *groups, shown, cells[1], Cell(cells[2].text, "num"))


def _common_notes(rows: Iterable[Row]) -> list[str]:
    """What the rows say of all differences: in which order, and of under-diagnosis."""
    found: dict[str, None] = {}
    for row in rows:
        if row["metric"].endswith("_difference"):
            found |= dict.fromkeys(codes.render("notes", c) for c in codes_of(row) if c.name in _SAID)
    return list(found)


def _baseline(evidence: ReportData, rows: pl.DataFrame) -> str:
    """The model that is subtracted from all others: the stated one, or of many models the first; "" with all pairs."""
    with_first = (r for r in rows.to_dicts() if code_of(r, "contrasts_with_first"))
    first = next((contrast_of(r["contrast"], "rater") for r in with_first), "")
    return str(evidence.config.get("baseline_model") or first)


def contrast_table(evidence: ReportData, frame: pl.DataFrame, population: str) -> Table | None:
    """The difference between two groups in one model minus that in another, at the first operating point."""
    point = first_point(frame)
    rows = with_contrast(_of_means(frame, point).filter(pl.col("metric").str.ends_with("_contrast")), "rater")
    rows = in_page_order(evidence, rows, _baseline(evidence, rows))
    body: list[tuple[Cell, ...]] = []
    for metric in _MEASURES:
        own = pick(rows, metric=f"{metric}_difference_contrast")
        at = "" if metric == Metric.AUC else point
        body += [group(measure_title(metric, at), 4)] if own.height else []
        for row in own.iter_rows(named=True):
            models = f"{row['rater']} {MINUS} {contrast_of(row['contrast'], 'rater')}"
            notes = tuple(codes.render("notes", c) for c in codes_of(row) if c.name not in _SAID)
            value = Cell(estimate_cell(row, signed=True).text, "num", notes=notes)
            title = Cell(f"{column_title(row['subgroup'])}: {row['level']}")
            body.append((title, Cell(models), value, Cell(p_value(row["p_adjusted"]), "num")))
    if not body:
        return None
    where = population_title(evidence, population)
    where = where.lower() if population == "internal" else where
    caption = (
        f"Contrasts between models of the difference between two groups, {where}: the difference in the first model "
        "minus that in the second, paired on the same patients, mean over findings."
    )
    remark = (
        "P: test that the difference between the groups is the same in both models, Holm-adjusted over the "
        "pairs of groups and models of a measure."
    )
    head = heads("Groups", "Models", "Difference of differences", "P")
    return table(caption, (head,), body, remark=remark, compact=True)
