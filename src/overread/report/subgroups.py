"""Subgroups: the AUC in each group, the gaps between groups, and which groups are too small."""

from __future__ import annotations

import polars as pl

from overread.report.blocks import Block, Cell, Figure, Folded, Footnotes, Section, Table, Text, group, heads
from overread.report.cells import classes_cell, estimate_cell, p_cells
from overread.report.evidence import MEAN, Evidence, Row, finding_title, in_order, pick, population_title
from overread.report.forest import Line, Scale, forest, mark_of

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
    lead = pick(frame, rater=evidence.cast.lead)
    for population in in_order(lead["population"]):
        blocks += _forest_blocks(evidence, pick(lead, population=population, metric="auc"), population)
    gaps = frame.filter(pl.col("metric").str.starts_with("gap") | pl.col("metric").str.ends_with("_difference"))
    blocks += [_gap_table(evidence, gaps)] if gaps.height else []
    for rater in (r for r in evidence.cast.raters if r in set(frame["rater"])):
        blocks.append(
            Folded(f"Every subgroup estimate of “{rater}”", (_full_table(evidence, pick(frame, rater=rater)),))
        )
    return Section("subgroups", title, tuple(blocks))


def _title(subgroup: str) -> str:
    return _TITLES.get(subgroup, subgroup.replace("_", " ").capitalize())


def _forest_blocks(evidence: Evidence, frame: pl.DataFrame, population: str) -> list[Block]:
    if frame.is_empty():
        return []
    levels = _levels(frame)
    shown = [MEAN] if (frame["finding"] == MEAN).any() else _fullest(evidence, frame)
    blocks: list[Block] = []
    for finding in shown:
        rows = {(r["subgroup"], r["level"]): r for r in pick(frame, finding=finding).to_dicts()}
        lines = [
            Line(f"{_title(s)}: {level}", (mark_of(rows.get((s, level)), 0),))
            for s, level in levels
            if (s, level) in rows
        ]
        if not any(m.value == m.value for line in lines for m in line.marks):
            continue
        where = population_title(evidence, population)
        where = where.lower() if population == "internal" else where
        caption = f"AUC of “{evidence.cast.lead}” by subgroup: {finding_title(finding).lower()}, {where}."
        alt = f"Forest plot. {caption} " + "; ".join(f"{x.title}: {x.marks[0].label}" for x in lines)
        name = f"subgroups-{population}-{finding}"
        blocks.append(Figure(forest(lines, ("AUC",), Scale("AUC"), name=name, alt=alt), caption))
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


def _gap_table(evidence: Evidence, frame: pl.DataFrame) -> Table:
    notes = Footnotes()
    rows = tuple(
        (
            Cell(_title(r["subgroup"])), Cell(_levels_of(r)), Cell(finding_title(r["finding"])),
            Cell(population_title(evidence, r["population"])), Cell(r["rater"]),
            Cell(_metric(r)),
            estimate_cell(r, notes, signed=True), *p_cells(r),
        )
        for r in frame.sort("subgroup", "population", "finding", "rater", maintain_order=True).to_dicts()
        if r["finding"] == MEAN or frame["finding"].n_unique() <= 6
    )  # fmt: skip
    head = heads("Subgroup", "Groups", "Finding", "Population", "Model", "Metric", "Difference", "p", "p adjusted")
    return Table("Gaps between groups, with intervals.", (head,), rows, notes.lines(), compact=True)


def _levels_of(row: Row) -> str:
    other = row["contrast"].partition(":")[2]
    return f"{row['level']} − {other}" if other else row["level"]


def _metric(row: Row) -> str:
    name = row["metric"].removeprefix("gap_").removesuffix("_difference").replace("_", " ").replace("auc", "AUC")
    return name + (f" ({row['at'].partition('=')[2]})" if row["at"] else "")


def _full_table(evidence: Evidence, frame: pl.DataFrame) -> Table:
    notes = Footnotes()
    kinds = [
        (m, a) for m, a in frame.select("metric", "at").unique(maintain_order=True).rows() if not m.startswith("gap")
    ]
    kinds = [k for k in kinds if not k[0].endswith("_difference")][:4]
    body: list[tuple[Cell, ...]] = []
    rows = {
        (r["population"], r["subgroup"], r["level"], r["finding"], r["metric"], r["at"]): r for r in frame.to_dicts()
    }
    for population in in_order(frame["population"]):
        part = pick(frame, population=population)
        for subgroup, level in _levels(part):
            body.append(
                group(f"{population_title(evidence, population)} · {_title(subgroup)}: {level}", len(kinds) + 2)
            )
            for f in (*evidence.cast.findings, MEAN):
                got = [rows.get((population, subgroup, level, f, *k)) for k in kinds]
                if any(got):
                    first = next(r for r in got if r)
                    cells = (estimate_cell(r, notes) if r else Cell("") for r in got)
                    body.append((Cell(finding_title(f)), classes_cell(first), *cells))
    titles = [
        f"{m.replace('_', ' ').replace('auc', 'AUC')}{' (' + a.partition('=')[2] + ')' if a else ''}" for m, a in kinds
    ]
    caption = "Estimates by population, subgroup and finding."
    return Table(caption, (heads("Finding", "Present / absent", *titles),), tuple(body), notes.lines(), compact=True)
