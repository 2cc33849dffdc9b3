"""Subgroups: the AUC in each group, the gaps between groups, and which groups are too small."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from overread.report.blocks import Block, Cell, Folded, Section, Table, Text, group, heads, table, words
from overread.report.cells import classes_cell, estimate_cell, p_cells
from overread.report.evidence import MEAN, Evidence, by, finding_title, in_order, pick, population_title
from overread.report.forest import Line, Scale, forest_figure, mark_of

_TITLES = {
    "sex": "Sex",
    "age_band": "Age",
    "view": "View",
    "site": "Site",
    "device": "Device",
    "manufacturer": "Manufacturer",
}


def subgroups(evidence: Evidence) -> Section:
    """AUC by subgroup as a forest plot and tables, then the gaps between groups."""
    title = "Subgroups"
    frame = pick(evidence.estimates, analysis="subgroups")
    if frame.is_empty():
        return Section("subgroups", title, absent="no subgroup was evaluated")
    blocks: list[Block] = [
        Text(
            "Groups differ in case mix as well as in how well a model serves them; a gap is a reason to look, not its "
            "cause."
        )
    ]
    raters = evidence.cast.raters[:4] if len(evidence.cast.populations) == 1 else evidence.cast.raters[:1]
    areas = pick(frame, metric="auc").filter(pl.col("rater").is_in(raters))
    for population in in_order(areas["population"]):
        blocks += _forest_blocks(evidence, pick(areas, population=population), raters, population)
    for i, rater in enumerate(r for r in evidence.cast.raters if r in set(frame["rater"])):
        own = pick(frame, rater=rater)
        gaps = _gap_tables(evidence, own, rater)
        blocks += gaps[:1] if i == 0 else []
        rest = (*(gaps if i else gaps[1:]), _full_table(evidence, own))
        blocks.append(Folded(f"Every subgroup of “{rater}”, and gaps per finding", rest))
    return Section("subgroups", title, tuple(blocks))


def _title(subgroup: str) -> str:
    return _TITLES.get(subgroup, subgroup.replace("_", " ").capitalize())


def _forest_blocks(evidence: Evidence, frame: pl.DataFrame, raters: Sequence[str], population: str) -> list[Block]:
    levels = _levels(frame)
    shown = [MEAN] if (frame["finding"] == MEAN).any() else _fullest(evidence, frame)
    blocks: list[Block] = []
    for finding in shown:
        rows = by(pick(frame, finding=finding), "subgroup", "level", "rater")
        lines = [
            Line(f"{_title(s)}: {level}", tuple(mark_of(rows.get((s, level, r)), i) for i, r in enumerate(raters)))
            for s, level in levels
            if any((s, level, r) in rows for r in raters)
        ]
        if not any(m.value == m.value for line in lines for m in line.marks):
            continue
        where = population_title(evidence, population)
        where = where.lower() if population == "internal" else where
        who = f" of “{raters[0]}”" if len(raters) == 1 else ""
        caption = f"AUC{who} by subgroup: {finding_title(finding).lower()}, {where}."
        name = f"subgroups-{population}-{finding}"
        blocks.append(forest_figure(lines, raters, Scale("AUC"), name=name, caption=caption))
    return blocks


def _levels(frame: pl.DataFrame) -> list[tuple[str, str]]:
    pairs = frame.select("subgroup", "level").unique(maintain_order=True).rows()
    order = list(dict.fromkeys(s for s, _ in pairs))
    return sorted(pairs, key=lambda p: (order.index(p[0]), _leading(p[1]), p[1]))


def _leading(level: str) -> float:
    digits = level.partition("-")[0].rstrip("+")
    return float(digits) if digits.isdigit() else -1.0


def _fullest(evidence: Evidence, frame: pl.DataFrame) -> list[str]:
    """Where no mean over findings is given: the three findings with most estimates and most patients who have it."""
    ranked = (
        frame.filter(pl.col("estimate").is_not_nan()).group_by("finding")
        .agg(pl.len(), pl.col("n_present").sum()).sort("len", "n_present", descending=True)
    )  # fmt: skip
    best = ranked["finding"].head(3).to_list()
    return [f for f in evidence.cast.findings if f in best]


def _gap_tables(evidence: Evidence, frame: pl.DataFrame, rater: str) -> list[Table]:
    """Gaps in mean AUC; then per finding in AUC and, at the first operating point, sensitivity and specificity."""
    frame = frame.filter(pl.col("metric").str.starts_with("gap_"))
    if frame.is_empty():
        return []
    point = _first_point(frame)
    kinds = [k for k in (("gap_auc", ""), ("gap_sensitivity", point), ("gap_specificity", point)) if _any(frame, *k)]
    mean, single = pick(frame, finding=MEAN), frame.filter(pl.col("finding") != MEAN)
    made = []
    if mean.height:
        caption = f"Gaps of “{rater}” in mean AUC between groups; the group that is subtracted has most patients."
        made.append(_gap_table(evidence, mean, kinds[:1], caption))
    if single.height:
        caption = f"Gaps of “{rater}” between groups, per finding. Gaps at other operating points are in the estimates."
        made.append(_gap_table(evidence, single, kinds, caption))
    return made


def _first_point(frame: pl.DataFrame) -> str:
    points = frame.filter(pl.col("at").str.starts_with("operating_point="))["at"].unique().to_list()
    return min(points, key=lambda at: ("sens" in at, at), default="")


def _any(frame: pl.DataFrame, metric: str, at: str) -> bool:
    return pick(frame, metric=metric, at=at).height > 0


def _gap_table(evidence: Evidence, frame: pl.DataFrame, kinds: list[tuple[str, str]], caption: str) -> Table:
    keys = ("population", "subgroup", "level", "contrast", "finding")
    rows = by(frame, *keys, "metric", "at")
    body: list[tuple[Cell, ...]] = []
    with_p = len(kinds) == 1 and any(r["p"] == r["p"] for r in rows.values())
    for key in dict.fromkeys(k[:5] for k in rows):
        got = [rows.get((*key, m, at)) for m, at in kinds]
        population, subgroup, level, contrast, finding = key
        place = (_title(subgroup), f"{level} − {contrast.partition(':')[2]}", population_title(evidence, population))
        cells = [estimate_cell(r, signed=True) if r else Cell("") for r in got]
        p = p_cells(got[0])[0] if with_p else None
        body.append((*words(*place), Cell(finding_title(finding)), *cells, *([p] if p else [])))
    body.sort(key=lambda r: (r[0].text, r[2].text))
    titles = [_kind_title(m, at) for m, at in kinds]
    head = heads("Subgroup", "Groups", "Population", "Finding", *titles, *(("p",) if with_p else ()))
    return table(caption, (head,), body, compact=True)


def _kind_title(metric: str, at: str) -> str:
    name = metric.removeprefix("gap_").replace("auc", "AUC")
    return f"{name} ({at.partition('=')[2]})" if at else name


def _full_table(evidence: Evidence, frame: pl.DataFrame) -> Table:
    point = _first_point(frame)
    kinds = [k for k in (("auc", ""), ("sensitivity", point), ("specificity", point)) if _any(frame, *k)]
    rows = by(frame, "population", "subgroup", "level", "finding", "metric", "at")
    body: list[tuple[Cell, ...]] = []
    for population in in_order(frame["population"]):
        for subgroup, level in _levels(pick(frame, population=population)):
            title = f"{population_title(evidence, population)} · {_title(subgroup)}: {level}"
            body.append(group(title, len(kinds) + 2))
            for f in (*evidence.cast.findings, MEAN):
                got = [rows.get((population, subgroup, level, f, *k)) for k in kinds]
                first = next((r for r in got if r), None)
                if first:
                    cells = (estimate_cell(r) if r else Cell("") for r in got)
                    body.append((Cell(finding_title(f)), classes_cell(first), *cells))
    caption = "Every subgroup, per population and finding. Rates at other operating points are in the estimates."
    head = heads("Finding", "Present / absent", *(_kind_title(m, at) for m, at in kinds))
    return table(caption, (head,), body, compact=True)
