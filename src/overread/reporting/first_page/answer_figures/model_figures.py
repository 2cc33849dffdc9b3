"""The figures of the first page of models: by finding, by hospital, or by model."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

from overread.reporting.blocks import Figure
from overread.reporting.figures.drawing_style import DIFFERENCE, SeriesStyle, series_style
from overread.reporting.figures.forest_drawing import ForestPlot, ForestRow, Mark, Panel, Scale
from overread.reporting.figures.forest_plots import mark_of, panel_figure
from overread.reporting.first_page.first_page_parts import (
    most_findings,
)
from overread.reporting.first_page.mean_aucs import ModelMeans
from overread.reporting.number_format import count, listed, number, plural
from overread.reporting.report_data import MEAN, ReportData, Row, error_rate, population_title

BESIDE = 3  # models whose marks stand beside each other in a row


def models_figure(means: ModelMeans, ranked: Sequence[str], populations: Sequence[str]) -> Figure | None:
    """A row per finding, hospital or model, whichever tells most."""
    if not ranked:
        return None
    if len(ranked) > BESIDE:
        return _many_models(means, ranked, populations)
    if len(populations) > 1:
        return _by_hospital(means, ranked, populations)
    return _by_finding(means, ranked, populations[0])


def _styles(evidence: ReportData) -> tuple[SeriesStyle, ...]:
    return (*(series_style(k) for k in range(len(evidence.cast.raters))), DIFFERENCE)


def _difference_mark(evidence: ReportData, row: Row | None) -> Mark:
    return mark_of(row, len(evidence.cast.raters), signed=True)


def _key(evidence: ReportData, shown: Sequence[str]) -> tuple[str, ...]:
    return tuple(r if r in shown and len(shown) > 1 else "" for r in evidence.cast.raters)


def _by_finding(means: ModelMeans, ranked: Sequence[str], population: str) -> Figure:
    """A row per finding, in the order of the leading model's AUC; the paired difference beside it."""
    evidence = means.evidence
    pair = len(ranked) > 1
    rows = []
    for finding in means.rows(ranked[0], population):
        own = [(r, means.areas.get((r, population, finding))) for r in ranked]
        if not any(row for _, row in own):
            continue
        marks = tuple(mark_of(row, evidence.cast.series(r)) for r, row in own)
        last = (
            (_difference_mark(evidence, means.difference(ranked[0], ranked[1], population, finding)),) if pair else ()
        )
        present = next((row["n_present"] for _, row in own if row and row.get("n_present") is not None), None)
        counted = count(present) if present is not None and finding != MEAN else ""
        mean = f"Mean of {plural(most_findings(row for _, row in own), 'finding')}"
        title = mean if finding == MEAN else evidence.heading(finding)
        rows.append(ForestRow(title, (marks, last) if pair else (marks,), strong=finding == MEAN, count=counted))
    areas = Panel(
        Scale("0.5 is chance, 1 complete separation"),
        f"AUC ({means.evidence.confidence} interval)" if pair else "AUC",
        labels=not pair,
    )
    panels = (areas, _difference_panel(ranked)) if pair else (areas,)
    plot = ForestPlot(tuple(rows), panels, _styles(evidence), "present")
    title = f"Each finding: AUC of {listed(list(ranked))}"
    note = f"Findings in the order of the AUC of {ranked[0]}."
    note += f" Right: {ranked[0]} minus {ranked[1]}, on the same cases." if pair else ""
    return panel_figure(
        plot, _key(evidence, ranked), name="answer", caption=_caption(means, ranked, population), title=title, note=note
    )


def _difference_panel(ranked: Sequence[str]) -> Panel:
    sides = (f"{ranked[1]} higher", f"{ranked[0]} higher")
    short = all(len(s) < 26 for s in sides)
    scale = Scale("", null=0.0, signed=True, better=sides if short else ("second higher", "first higher"))
    return Panel(scale, f"{ranked[0]} minus {ranked[1]}")


def _caption(means: ModelMeans, ranked: Sequence[str], population: str) -> str:
    said = f"Line: {means.evidence.confidence} interval; cases of one patient are kept together."
    if len(ranked) < 2:
        return said
    evidence = means.evidence
    rows = {f: means.difference(ranked[0], ranked[1], population, f) for f in evidence.cast.findings}
    tested = {f: r for f, r in rows.items() if r and number(r["p_adjusted"]) == number(r["p_adjusted"])}
    if len(tested) < 2:
        return said
    corrected = "After correction for multiple tests (Holm)"
    pair = f"between {ranked[0]} and {ranked[1]}"
    alpha = error_rate(tested.values())
    clear = [f for f, r in tested.items() if number(r["p_adjusted"]) < alpha]
    at = f"at the {100 * alpha:g}% level"
    if not clear:
        return f"{said} {corrected} no difference {pair} remains {at}."
    ways = {number(tested[f]["estimate"]) > 0 for f in clear}
    favour = (
        f", all in favour of {ranked[0] if ways == {True} else ranked[1]}" if len(ways) == 1 and len(clear) > 1 else ""
    )
    names = listed([evidence.heading(f).lower() for f in clear])
    return (
        f"{said} {corrected} the difference {pair} remains for {len(clear)} of {len(tested)} "
        f"findings {at}{favour}: {names}."
    )


def _by_hospital(means: ModelMeans, ranked: Sequence[str], populations: Sequence[str]) -> Figure:
    """A row per hospital: the mean AUC, and the paired difference between two models."""
    evidence, pair = means.evidence, len(ranked) > 1
    inside = [p for p in populations if p == "internal"]
    outside = sorted(
        (p for p in populations if p != "internal"),
        key=lambda p: -number((means.whole(ranked[0], p) or {"estimate": -1})["estimate"]),
    )
    rows = []
    for p in (*inside, *outside):
        own = [(r, means.whole(r, p)) for r in ranked]
        marks = tuple(mark_of(row, evidence.cast.series(r)) for r, row in own)
        last = (_difference_mark(evidence, means.difference(ranked[0], ranked[1], p)),) if pair else ()
        n = max((row["n_cases"] or 0 for _, row in own if row and row.get("n_cases")), default=0)
        over = most_findings(row for _, row in own)
        note = f"mean of {plural(over, 'finding')}" if over else ""
        title = population_title(evidence, p).removeprefix("External: ")
        rows.append(
            ForestRow(
                title,
                (marks, last) if pair else (marks,),
                strong=p == "internal",
                note=note,
                count=count(n) if n else "",
            )
        )
    areas = Panel(
        Scale("0.5 is chance, 1 complete separation"), f"AUC ({means.evidence.confidence} interval)", labels=not pair
    )
    plot = ForestPlot(tuple(rows), (areas, _difference_panel(ranked)) if pair else (areas,), _styles(evidence), "cases")
    note = f"Hospitals in the order of the {means.name()} of {ranked[0]}."
    note += f" Right: {ranked[0]} minus {ranked[1]}, on the same cases." if pair else ""
    return panel_figure(
        plot,
        _key(evidence, ranked),
        name="answer",
        caption=f"Line: {means.evidence.confidence} interval; cases of one patient are kept together.",
        title=f"Each hospital: {means.name()} of {listed(list(ranked))}",
        note=note,
    )


def _many_models(means: ModelMeans, ranked: Sequence[str], populations: Sequence[str]) -> Figure:
    """A row per model: its mean AUC and the difference from the best, or its mean AUC at each hospital."""
    evidence = means.evidence
    lead = populations[0]
    shown = list(populations[:4])
    one = len(populations) == 1
    rows = []
    for r in ranked:
        series = evidence.cast.series(r)
        marks = tuple((mark_of(means.whole(r, p), series),) for p in shown)
        if one:
            row = means.difference(r, ranked[0], lead) if r != ranked[0] else None
            marks += ((_difference_mark(evidence, row) if row else Mark(0, nan, nan, nan, "highest"),),)
        rows.append(ForestRow(r, marks, strong=r == ranked[0]))
    panels = [
        Panel(Scale("" if not one else "0.5 is chance"), _panel_title(evidence, p, one=one), labels=False)
        for p in shown
    ]
    if one:
        scale = Scale("", null=0.0, signed=True)
        panels.append(Panel(scale, f"minus {ranked[0]}"))
    plot = ForestPlot(tuple(rows), tuple(panels), _styles(evidence))
    rest = f" {len(populations) - 4} more hospitals are in the sections below." if len(populations) > 4 else ""
    return panel_figure(
        plot,
        (),
        name="answer",
        caption=f"Line: {means.evidence.confidence} interval; cases of one patient are kept together.{rest}",
        title=f"{means.name(capital=True)} of each model" + ("" if one else ", at each hospital"),
        note=f"Models in the order of their {means.name()}"
        + (f"; right: each minus {ranked[0]}, on the same cases." if one else "."),
    )


def _panel_title(evidence: ReportData, population: str, *, one: bool) -> str:
    return (
        f"AUC ({evidence.confidence} interval)"
        if one
        else population_title(evidence, population).removeprefix("External: ")
    )
