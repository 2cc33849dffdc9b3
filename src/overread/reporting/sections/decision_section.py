"""Decision curves: whether acting on the scores does more good than acting on everyone, on nobody, or on another's."""

from __future__ import annotations

import polars as pl

from overread.reporting.blocks import Block, Cell, Figure, Folded, Section, Table, Text, group, heads, table
from overread.reporting.estimate_cells import notes_of, p_cells
from overread.reporting.figures.curve_panels import decision_panels, points
from overread.reporting.figures.figure_pool import delayed
from overread.reporting.number_format import interval, number
from overread.reporting.report_data import ReportData, by, overall, population_title
from overread.reporting.sections.discrimination_section import drawn_findings, series, whose

_SHOWN = 5  # findings drawn; the others are folded
_EVERYONE = "rater:(everyone)"


def decision(evidence: ReportData) -> Section:
    """Decision curves, net benefit at the stated thresholds, and models against each other."""
    title = "Decision curves"
    frame = overall(evidence, "decision", "net_benefit")
    if frame.filter(pl.col("estimate").is_not_nan()).is_empty():
        return Section("decision", title, absent="no probabilities were evaluated")
    blocks: list[Block] = [
        Text(
            "Net benefit: true positives less false positives weighed by the odds of the threshold, the probability "
            "from which on one would act. The threshold says what a needless action costs beside a missed case; it is "
            "not chosen on data. Scores as delivered: a model that is not calibrated acts at other probabilities than "
            "it says."
        )
    ]
    blocks += _figures(evidence)
    less = overall(evidence, "decision", "net_benefit_difference")
    tables = [_table(evidence, frame, less, rater) for rater in evidence.cast.raters]
    blocks += [Folded("Net benefit at stated thresholds, against acting on everyone", tuple(t for t in tables if t))]
    between = less.filter(pl.col("contrast") != _EVERYONE)
    if between.height:
        blocks.append(Folded("Models against each other", (_between(evidence, between),)))
    return Section("decision", title, tuple(blocks))


def _figures(evidence: ReportData) -> list[Block]:
    frames, everyone = series(evidence, "net_benefit"), series(evidence, "treat_all")
    if not frames:
        return []
    names = drawn_findings(evidence, frames)
    common = [f for f in _by_frequency(evidence) if f in names][:_SHOWN]
    first = [f for f in names if f in common]
    made: list[Block] = [_figure(evidence, frames, everyone, first, "decision-curves")]
    rest = [f for f in names if f not in first]
    if rest:
        made.append(
            Folded(
                "Decision curves of the other findings", (_figure(evidence, frames, everyone, rest, "decision-rest"),)
            )
        )
    return made


def _by_frequency(evidence: ReportData) -> list[str]:
    rows = overall(evidence, "standalone", "prevalence").filter(pl.col("estimate").is_not_nan())
    return rows.group_by("finding").agg(pl.col("estimate").max()).sort("estimate", descending=True)["finding"].to_list()


def _figure(
    evidence: ReportData,
    frames: list[tuple[str, pl.DataFrame]],
    everyone: list[tuple[str, pl.DataFrame]],
    names: list[str],
    name: str,
) -> Figure:
    caption = (
        f"Net benefit per 1,000 cases of acting on {whose(frames)} with pointwise bands; dashed: acting on everyone; "
        "the line at 0: acting on nobody. A panel ends where no curve is worth looking at."
    )
    alt = f"Decision curves per finding. {caption} The numbers stand in the tables."
    headings = {f: evidence.heading(f) for f in names}
    drawn = delayed(decision_panels, frames, everyone, names, headings=headings, name=name, alt=alt)
    mine = [(s, f.filter(pl.col("finding").is_in(names))) for s, f in frames]
    all_of = [(f"everyone, {s}", f.filter(pl.col("finding").is_in(names))) for s, f in everyone]
    return Figure(drawn, caption, name, points([*mine, *all_of], x="threshold", y="net_benefit"))


def _thousand(row: dict | None) -> Cell:
    if row is None:
        return Cell("")
    value, low, high = (1000 * number(row[k]) for k in ("estimate", "low", "high"))
    return Cell(interval(value, low, high, 1, signed=True), "num", notes=notes_of(row))


def _at(at: str) -> str:
    return at.removeprefix("threshold=")


def _table(evidence: ReportData, frame: pl.DataFrame, less: pl.DataFrame, rater: str) -> Table | None:
    rows = by(frame.filter(rater=rater), "population", "finding", "at")
    minus = by(less.filter(rater=rater, contrast=_EVERYONE), "population", "finding", "at")
    stated = sorted({k[2] for k in rows})
    shown = [p for p in evidence.cast.populations_of(rater) if any(k[0] == p for k in rows)]
    body: list[tuple[Cell, ...]] = []
    for p in shown:
        if len(shown) > 1:
            body.append(group(population_title(evidence, p), 2 * len(stated) + 1))
        for f in evidence.cast.findings:
            if any((p, f, at) in rows for at in stated):
                cells = [
                    c for at in stated for c in (_thousand(rows.get((p, f, at))), _thousand(minus.get((p, f, at))))
                ]
                body.append((Cell(evidence.heading(f)), *cells))
    if not body:
        return None
    head = heads("Finding", *(t for at in stated for t in (f"at {_at(at)}", f"less everyone, {_at(at)}")))
    caption = f"Net benefit of “{rater}” per 1,000 cases, and that less the net benefit of acting on everyone."
    return table(caption, (head,), body, compact=True)


def _between(evidence: ReportData, frame: pl.DataFrame) -> Table:
    body = [
        (
            Cell(evidence.heading(r["finding"])),
            Cell(f"{r['rater']} − {r['contrast'].partition(':')[2]}"),
            Cell(population_title(evidence, r["population"])),
            Cell(_at(r["at"]), "num"),
            _thousand(r),
            *p_cells(r),
        )
        for r in frame.iter_rows(named=True)
    ]
    head = heads("Finding", "Models", "Population", "Threshold", "Difference per 1,000", "p", "p (Holm)")
    return table("Net benefit of one model less that of another, same cases.", (head,), body, compact=True)
